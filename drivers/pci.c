/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio-pci (VIRTIO 1.4, 4.1). See pci.h. */
#include "pci.h"

#define CAPS_MAX    48u /* that fit into 192 bytes */
#define CAPS_FIRST  0x40u
#define COMMON_MIN  56u /* up to what only some features have */
#define MSIX_ENABLE 0x8000u
#define MSIX_MASKED 0x4000u
#define MSIX_ENTRY  16u
#define STATUS_CAPS 0x10u

static struct drv_pci *pci(struct drv_dev *dev)
{
	return (struct drv_pci *)(void *)dev; /* its first field */
}

uint32_t drv_pci_read(const struct drv_pci *p, uint16_t offset, unsigned width)
{
	return p->host->read(p->host->ctx, p->bdf, offset, width);
}

void drv_pci_write(const struct drv_pci *p, uint16_t offset, unsigned width, uint32_t v)
{
	p->host->write(p->host->ctx, p->bdf, offset, width, v);
}

uint8_t drv_pci_cap(const struct drv_pci *p, uint8_t id, uint8_t after)
{
	uint16_t at = after ? after + 1 : DRV_PCI_CAPS;

	if (!(drv_pci_read(p, DRV_PCI_STATUS, 2) & STATUS_CAPS))
		return 0;
	for (unsigned n = 0; n < CAPS_MAX; n++) {
		uint8_t cap = drv_pci_read(p, at, 1) & 0xfc;

		if (cap < CAPS_FIRST)
			return 0;
		if (drv_pci_read(p, cap, 1) == id)
			return cap;
		at = cap + 1;
	}
	return 0;
}

/* Common configuration. */

static const struct drv_reg_map map = {
	.offered_sel = { DRV_PCI_DEVICE_FEATURE_SELECT, 4 },
	.offered = { DRV_PCI_DEVICE_FEATURE, 4 },
	.accepted_sel = { DRV_PCI_DRIVER_FEATURE_SELECT, 4 },
	.accepted = { DRV_PCI_DRIVER_FEATURE, 4 },
	.status = { DRV_PCI_DEVICE_STATUS, 1 },
	.generation = { DRV_PCI_CONFIG_GENERATION, 1 },
	.queue_sel = { DRV_PCI_QUEUE_SELECT, 2 },
	.queue_max = { DRV_PCI_QUEUE_SIZE, 2 },
	.queue_size = { DRV_PCI_QUEUE_SIZE, 2 },
	.queue_ready = { DRV_PCI_QUEUE_ENABLE, 2 },
	.queue_reset = { DRV_PCI_QUEUE_RESET, 2 },
	.queue_desc = DRV_PCI_QUEUE_DESC,
	.queue_driver = DRV_PCI_QUEUE_DRIVER,
	.queue_device = DRV_PCI_QUEUE_DEVICE,
};

static uint16_t get16(const struct drv_pci *p, uint32_t at)
{
	return (uint16_t)drv_io_read(p->regs.base + at, 2);
}

static void put16(const struct drv_pci *p, uint32_t at, uint16_t v)
{
	drv_io_write(p->regs.base + at, 2, v);
}

/* Connects an interrupt of the device with a vector; the device may refuse (4.1.5.1.2). */
static int set_vector(struct drv_pci *p, uint32_t at, uint16_t q)
{
	uint16_t v = drv_irq_vector(&p->regs.irq, q);

	put16(p, at, v);
	return get16(p, at) == v ? 0 : DRV_REFUSED;
}

static int set_status(struct drv_dev *dev, uint8_t v)
{
	int r = 0;

	/* A reset has disconnected it. */
	if (v & VIRTIO_S_DRIVER_OK && pci(dev)->msix)
		r = set_vector(pci(dev), DRV_PCI_CONFIG_MSIX_VECTOR, DRV_CONFIG);
	drv_regs_ops.set_status(dev, v);
	return r;
}

uintptr_t drv_pci_notify_addr(struct drv_pci *p, uint16_t q)
{
	uint32_t len = drv_has(&p->dev, VIRTIO_F_NOTIFICATION_DATA) ? 4 : 2;
	uint64_t off;

	put16(p, DRV_PCI_QUEUE_SELECT, q);
	off = (uint64_t)get16(p, DRV_PCI_QUEUE_NOTIFY_OFF) * p->notify_multiplier;
	return off + len <= p->notify_len ? p->notify + (uintptr_t)off : 0;
}

/* Remembers how queue q is notified. */
static int look_up_notify(struct drv_dev *dev, uint16_t q)
{
	struct drv_pci *p = pci(dev);

	if (q >= DRV_PCI_QUEUES)
		return DRV_UNSUPPORTED;
	p->queues[q].at = drv_pci_notify_addr(p, q);
	p->queues[q].data = q;
	if (drv_has(dev, VIRTIO_F_NOTIF_CONFIG_DATA))
		p->queues[q].data = get16(p, DRV_PCI_QUEUE_NOTIF_CONFIG_DATA);
	return p->queues[q].at ? 0 : DRV_REFUSED;
}

static int queue_start(struct drv_dev *dev, uint16_t q, const struct drv_queue_addr *addr)
{
	int r = look_up_notify(dev, q); /* which selects the queue */

	if (!r && pci(dev)->msix)
		r = set_vector(pci(dev), DRV_PCI_QUEUE_MSIX_VECTOR, q);
	return r ? r : drv_regs_ops.queue_start(dev, q, addr);
}

static int notify(struct drv_dev *dev, uint16_t q, uint32_t next)
{
	struct drv_pci *p = pci(dev);
	int r = q < DRV_PCI_QUEUES && p->queues[q].at ? 0 : look_up_notify(dev, q);

	if (r)
		return r;
	if (drv_has(dev, VIRTIO_F_NOTIFICATION_DATA))
		drv_io_write(p->queues[q].at, 4, p->queues[q].data | next << 16);
	else
		drv_io_write(p->queues[q].at, 2, p->queues[q].data);
	return 0;
}

/* Capabilities. */

/* The address, for the processor, of a part of a BAR; 0 if it is not all there. */
static uintptr_t region(const struct drv_pci *p, unsigned bar, uint64_t offset, uint64_t len)
{
	const struct drv_pci_bar *b = &p->bars[bar < 6 ? bar : 0];
	uint64_t at = b->addr + p->host->cpu_offset + offset;

	if (bar > 5 || !b->addr || offset > b->len || len > b->len - offset)
		return 0;
	return at <= UINTPTR_MAX && len <= UINTPTR_MAX - at ? (uintptr_t)at : 0;
}

/* Takes a structure that can be reached and is the first of its type (4.1.4). */
static void take_cap(struct drv_pci *p, uint8_t cap)
{
	uint8_t type = (uint8_t)drv_pci_read(p, cap + 3, 1);
	uint32_t offset = drv_pci_read(p, cap + 8, 4), len = drv_pci_read(p, cap + 12, 4);
	uintptr_t at = region(p, drv_pci_read(p, cap + 4, 1), offset, len);

	if (type == DRV_PCI_CFG_PCI && !p->cfg_cap)
		p->cfg_cap = cap;
	if (!at)
		return;
	if (type == DRV_PCI_CFG_COMMON && !p->regs.base && len >= COMMON_MIN && offset % 4 == 0) {
		p->regs.base = at;
		p->regs.len = len;
	} else if (type == DRV_PCI_CFG_NOTIFY && !p->notify && offset % 2 == 0) {
		p->notify = at;
		p->notify_len = len;
		p->notify_multiplier = drv_pci_read(p, cap + 16, 4);
	} else if (type == DRV_PCI_CFG_ISR && !p->isr && len) {
		p->isr = at;
	} else if (type == DRV_PCI_CFG_DEVICE && !p->regs.config && offset % 4 == 0) {
		p->regs.config = at;
		p->regs.config_len = len;
	}
}

static void find_msix(struct drv_pci *p)
{
	uint32_t table, pba;

	p->msix_cap = drv_pci_cap(p, DRV_PCI_CAP_MSIX, 0);
	if (!p->msix_cap)
		return;
	p->msix_vectors = (uint16_t)((drv_pci_read(p, p->msix_cap + 2, 2) & 0x7ff) + 1);
	table = drv_pci_read(p, p->msix_cap + 4, 4);
	pba = drv_pci_read(p, p->msix_cap + 8, 4);
	p->msix_table = region(p, table & 7, table & ~7u, p->msix_vectors * MSIX_ENTRY);
	p->msix_pba = region(p, pba & 7, pba & ~7u, (p->msix_vectors + 63u) / 64 * 8);
}

static void set_msix(struct drv_pci *p, bool on)
{
	uint32_t control = drv_pci_read(p, p->msix_cap + 2, 2) & ~(MSIX_ENABLE | MSIX_MASKED);

	drv_pci_write(p, p->msix_cap + 2, 2, control | (on ? MSIX_ENABLE : 0));
	p->msix = on;
}

/* Decoding off, sizes, decoding on; and no interrupt yet. */
static void read_bars(struct drv_pci *p)
{
	uint32_t command = drv_pci_read(p, DRV_PCI_COMMAND, 2) | DRV_PCI_COMMAND_NO_INTX;

	drv_pci_write(
		p, DRV_PCI_COMMAND, 2, command & ~(DRV_PCI_COMMAND_MEMORY | DRV_PCI_COMMAND_IO));
	for (unsigned i = 0; i < 6;)
		i += drv_pci_bar(p->host, p->bdf, i, &p->bars[i]);
	drv_pci_write(
		p, DRV_PCI_COMMAND, 2, command | DRV_PCI_COMMAND_MEMORY | DRV_PCI_COMMAND_MASTER);
}

int drv_pci_open(struct drv_pci *p, const struct drv_platform *platform,
	const struct drv_pci_host *host, uint16_t bdf, void *mem, size_t len)
{
	uint32_t id;
	uint8_t at = 0;

	*p = (struct drv_pci){
		.host = host,
		.bdf = bdf,
		.regs = { .map = &map, .ops = drv_regs_ops },
	};
	p->regs.ops.name = "pci";
	p->regs.ops.set_status = set_status;
	p->regs.ops.queue_start = queue_start;
	p->regs.ops.notify = notify;
	p->dev = (struct drv_dev){
		.ops = &p->regs.ops,
		.regs = &p->regs,
		.platform = platform,
		.mem = mem,
		.mem_len = len,
	};
	id = drv_pci_read(p, DRV_PCI_ID, 4);
	if ((id & 0xffff) != 0x1af4 || id >> 16 < 0x1000 || id >> 16 > 0x107f)
		return DRV_GONE;
	p->dev.id = (uint16_t)(id >> 16 >= 0x1040 ? (id >> 16) - 0x1040
						  : drv_pci_read(p, DRV_PCI_SUBSYSTEM_ID, 2));
	read_bars(p);
	for (unsigned n = 0; n < CAPS_MAX && (at = drv_pci_cap(p, DRV_PCI_CAP_VENDOR, at)); n++)
		if (at <= 0xff - 20 + 1)
			take_cap(p, at);
	find_msix(p);
	if (!p->regs.base || !p->notify || !p->isr) {
		drv_log(platform,
			"pci: registers missing, in I/O space, or in a BAR without address");
		return DRV_UNSUPPORTED;
	}
	if (p->msix_cap)
		set_msix(p, false);
	return 0;
}

/* Interrupts. */

int drv_pci_use_msix(struct drv_pci *p, const struct drv_pci_msi *msi, unsigned n)
{
	if (!p->msix_cap || !p->msix_table || !n)
		return DRV_UNSUPPORTED;
	if (n > p->msix_vectors)
		n = p->msix_vectors;
	if (n > DRV_IRQ_VECTORS)
		n = DRV_IRQ_VECTORS;
	set_msix(p, true);
	for (unsigned i = 0; i < n; i++) {
		uintptr_t entry = p->msix_table + i * MSIX_ENTRY;

		drv_io_write(entry, 4, (uint32_t)msi[i].addr);
		drv_io_write(entry + 4, 4, (uint32_t)(msi[i].addr >> 32));
		drv_io_write(entry + 8, 4, msi[i].data);
		drv_io_write(entry + 12, 4, 0); /* not masked */
	}
	drv_regs_use_irq(&p->regs, (uint16_t)n);
	return 0;
}

void drv_pci_use_intx(struct drv_pci *p)
{
	if (p->msix_cap)
		set_msix(p, false);
	drv_regs_use_irq(&p->regs, 2);
	drv_pci_write(p, DRV_PCI_COMMAND, 2,
		drv_pci_read(p, DRV_PCI_COMMAND, 2) & ~DRV_PCI_COMMAND_NO_INTX);
}

void drv_pci_message(struct drv_pci *p, uint16_t vector)
{
	if (vector < DRV_IRQ_VECTORS)
		p->regs.irq.count[vector]++;
}

bool drv_pci_interrupt(struct drv_pci *p)
{
	uint32_t v = drv_io_read(p->isr, 1) & 3; /* which takes it back */

	drv_irq_status(&p->regs.irq, v);
	return v;
}
