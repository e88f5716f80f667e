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

/* Queue registers. */

static uint32_t common_get(struct drv_dev *dev, uint32_t at, unsigned width)
{
	return drv_io_read(pci(dev)->common + at, width);
}

static void common_put(struct drv_dev *dev, uint32_t at, unsigned width, uint32_t v)
{
	drv_io_write(pci(dev)->common + at, width, v);
}

static void common_put64(struct drv_dev *dev, uint32_t at, uint64_t v)
{
	common_put(dev, at, 4, (uint32_t)v);
	common_put(dev, at + 4, 4, (uint32_t)(v >> 32));
}

static int features(struct drv_dev *dev, uint64_t *offered)
{
	common_put(dev, DRV_PCI_DEVICE_FEATURE_SELECT, 4, 0);
	*offered = common_get(dev, DRV_PCI_DEVICE_FEATURE, 4);
	common_put(dev, DRV_PCI_DEVICE_FEATURE_SELECT, 4, 1);
	*offered |= (uint64_t)common_get(dev, DRV_PCI_DEVICE_FEATURE, 4) << 32;
	return 0;
}

static int accept(struct drv_dev *dev, uint64_t v)
{
	common_put(dev, DRV_PCI_DRIVER_FEATURE_SELECT, 4, 0);
	common_put(dev, DRV_PCI_DRIVER_FEATURE, 4, (uint32_t)v);
	common_put(dev, DRV_PCI_DRIVER_FEATURE_SELECT, 4, 1);
	common_put(dev, DRV_PCI_DRIVER_FEATURE, 4, (uint32_t)(v >> 32));
	return 0;
}

static int status(struct drv_dev *dev, uint8_t *v)
{
	*v = (uint8_t)common_get(dev, DRV_PCI_DEVICE_STATUS, 1);
	return 0;
}

/* Connects an interrupt of the device with a vector; the device may refuse (4.1.5.1.2). */
static int set_vector(struct drv_dev *dev, uint32_t at, uint16_t q)
{
	uint16_t v = drv_irq_vector(&pci(dev)->irq, q);

	common_put(dev, at, 2, v);
	return common_get(dev, at, 2) == v ? 0 : DRV_REFUSED;
}

static int set_status(struct drv_dev *dev, uint8_t v)
{
	int r = 0;

	/* A reset has disconnected it. */
	if (v & VIRTIO_S_DRIVER_OK && pci(dev)->msix)
		r = set_vector(dev, DRV_PCI_CONFIG_MSIX_VECTOR, DRV_CONFIG);
	common_put(dev, DRV_PCI_DEVICE_STATUS, 1, v);
	return r;
}

static int config_read(struct drv_dev *dev, uint32_t offset, void *buf, uint32_t len)
{
	struct drv_pci *p = pci(dev);

	if (offset > p->device_len || len > p->device_len - offset)
		return DRV_INVALID;
	drv_io_get(p->device, offset, buf, len);
	return 0;
}

static int config_write(struct drv_dev *dev, uint32_t offset, const void *buf, uint32_t len)
{
	struct drv_pci *p = pci(dev);

	if (offset > p->device_len || len > p->device_len - offset)
		return DRV_INVALID;
	drv_io_put(p->device, offset, buf, len);
	return 0;
}

static int generation(struct drv_dev *dev, uint32_t *v)
{
	*v = common_get(dev, DRV_PCI_CONFIG_GENERATION, 1);
	return 0;
}

static int queue_max(struct drv_dev *dev, uint16_t q, uint16_t *max)
{
	uint32_t v;

	common_put(dev, DRV_PCI_QUEUE_SELECT, 2, q);
	v = common_get(dev, DRV_PCI_QUEUE_SIZE, 2);
	*max = (uint16_t)(v < 32768 ? v : 32768);
	return 0;
}

uintptr_t drv_pci_notify_addr(struct drv_pci *p, uint16_t q)
{
	uint32_t len = drv_has(&p->dev, VIRTIO_F_NOTIFICATION_DATA) ? 4 : 2;
	uint64_t off;

	common_put(&p->dev, DRV_PCI_QUEUE_SELECT, 2, q);
	off = (uint64_t)common_get(&p->dev, DRV_PCI_QUEUE_NOTIFY_OFF, 2) * p->notify_multiplier;
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
		p->queues[q].data = (uint16_t)common_get(dev, DRV_PCI_QUEUE_NOTIF_CONFIG_DATA, 2);
	return p->queues[q].at ? 0 : DRV_REFUSED;
}

static int queue_start(struct drv_dev *dev, uint16_t q, const struct drv_queue_addr *addr)
{
	int r = look_up_notify(dev, q);

	if (r)
		return r;
	common_put(dev, DRV_PCI_QUEUE_SELECT, 2, q);
	common_put(dev, DRV_PCI_QUEUE_SIZE, 2, addr->size);
	if (pci(dev)->msix)
		r = set_vector(dev, DRV_PCI_QUEUE_MSIX_VECTOR, q);
	if (r)
		return r;
	common_put64(dev, DRV_PCI_QUEUE_DESC, addr->desc);
	common_put64(dev, DRV_PCI_QUEUE_DRIVER, addr->driver);
	common_put64(dev, DRV_PCI_QUEUE_DEVICE, addr->device);
	common_put(dev, DRV_PCI_QUEUE_ENABLE, 2, 1);
	return common_get(dev, DRV_PCI_QUEUE_ENABLE, 2) == 1 ? 0 : DRV_REFUSED;
}

static int queue_reset(struct drv_dev *dev, uint16_t q, uint64_t until)
{
	if (pci(dev)->common_len < DRV_PCI_QUEUE_RESET + 2)
		return DRV_UNSUPPORTED;
	common_put(dev, DRV_PCI_QUEUE_SELECT, 2, q);
	common_put(dev, DRV_PCI_QUEUE_RESET, 2, 1);
	while (common_get(dev, DRV_PCI_QUEUE_RESET, 2))
		if (drv_now(dev) > until)
			return DRV_TIMEOUT;
	return common_get(dev, DRV_PCI_QUEUE_ENABLE, 2) ? DRV_REFUSED : 0;
}

static int notify(struct drv_dev *dev, uint16_t q, uint32_t next)
{
	struct drv_pci *p = pci(dev);
	int r = q < DRV_PCI_QUEUES && p->queues[q].at ? 0 : look_up_notify(dev, q);

	if (r)
		return r;
	if (drv_has(dev, VIRTIO_F_NOTIFICATION_DATA))
		drv_io_write32(p->queues[q].at, p->queues[q].data | next << 16);
	else
		drv_io_write16(p->queues[q].at, p->queues[q].data);
	return 0;
}

static int interrupts(struct drv_dev *dev, uint16_t q, uint32_t *count)
{
	return drv_irq_take(&pci(dev)->irq, q, count);
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

static int shm(struct drv_dev *dev, uint8_t id, void **mem, uint64_t *len)
{
	struct drv_pci *p = pci(dev);
	uint8_t at = 0;

	for (unsigned n = 0; n < CAPS_MAX && (at = drv_pci_cap(p, DRV_PCI_CAP_VENDOR, at)); n++) {
		uint64_t offset;

		if (drv_pci_read(p, at + 3, 1) != DRV_PCI_CFG_SHM ||
			drv_pci_read(p, at + 5, 1) != id || at > 0xff - 24 + 1)
			continue;
		offset = drv_pci_read(p, at + 8, 4) | (uint64_t)drv_pci_read(p, at + 16, 4) << 32;
		*len = drv_pci_read(p, at + 12, 4) | (uint64_t)drv_pci_read(p, at + 20, 4) << 32;
		*mem = (void *)region(p, drv_pci_read(p, at + 4, 1), offset, *len);
		return *mem ? 0 : DRV_UNSUPPORTED;
	}
	return DRV_UNSUPPORTED;
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
	if (type == DRV_PCI_CFG_COMMON && !p->common && len >= COMMON_MIN && offset % 4 == 0) {
		p->common = at;
		p->common_len = len;
	} else if (type == DRV_PCI_CFG_NOTIFY && !p->notify && offset % 2 == 0) {
		p->notify = at;
		p->notify_len = len;
		p->notify_multiplier = drv_pci_read(p, cap + 16, 4);
	} else if (type == DRV_PCI_CFG_ISR && !p->isr && len) {
		p->isr = at;
	} else if (type == DRV_PCI_CFG_DEVICE && !p->device && offset % 4 == 0) {
		p->device = at;
		p->device_len = len;
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

static const struct drv_ops pci_ops = {
	.name = "pci",
	.features = features,
	.accept = accept,
	.status = status,
	.set_status = set_status,
	.config_read = config_read,
	.config_write = config_write,
	.generation = generation,
	.queue_max = queue_max,
	.queue_start = queue_start,
	.queue_reset = queue_reset,
	.notify = notify,
	.shm = shm,
};

int drv_pci_open(struct drv_pci *p, const struct drv_platform *platform,
	const struct drv_pci_host *host, uint16_t bdf, void *mem, size_t len)
{
	uint32_t id;
	uint8_t at = 0;

	*p = (struct drv_pci){ .ops = pci_ops, .host = host, .bdf = bdf };
	p->dev = (struct drv_dev){
		.ops = &p->ops, .platform = platform, .mem = mem, .mem_len = len
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
	if (!p->common || !p->notify || !p->isr) {
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

		drv_io_write32(entry, (uint32_t)msi[i].addr);
		drv_io_write32(entry + 4, (uint32_t)(msi[i].addr >> 32));
		drv_io_write32(entry + 8, msi[i].data);
		drv_io_write32(entry + 12, 0); /* not masked */
	}
	p->irq.nvectors = (uint16_t)n;
	p->ops.interrupts = interrupts;
	return 0;
}

void drv_pci_use_intx(struct drv_pci *p)
{
	if (p->msix_cap)
		set_msix(p, false);
	p->irq.nvectors = 2;
	p->ops.interrupts = interrupts;
	drv_pci_write(p, DRV_PCI_COMMAND, 2,
		drv_pci_read(p, DRV_PCI_COMMAND, 2) & ~DRV_PCI_COMMAND_NO_INTX);
}

void drv_pci_message(struct drv_pci *p, uint16_t vector)
{
	if (vector < DRV_IRQ_VECTORS)
		p->irq.count[vector]++;
}

bool drv_pci_interrupt(struct drv_pci *p)
{
	uint32_t v = drv_io_read8(p->isr) & 3; /* which takes it back */

	drv_irq_status(&p->irq, v);
	return v;
}
