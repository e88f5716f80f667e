/* SPDX-License-Identifier: BSD-3-Clause */
/* Drives an entropy device (VIRTIO 1.4, 5.4) by both transports, the least that shows that
 * registers, doorbells and interrupts work. */
#include "rt.h"

#define QUEUE_SIZE  8u
#define RNG_PCI	    0x10441af4u
#define ECAM	    0xe0000000ull
#define VIRTIO_MMIO 0xfeb00000ull
#define IOAPIC	    0xfec00000ull
#define MSI_ADDR    0xfee00000u
#define VECTOR	    0x40u

#define ACKNOWLEDGE 1u
#define DRIVER	    2u
#define DRIVER_OK   4u
#define FEATURES_OK 8u

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct ring {
	struct desc desc[QUEUE_SIZE];
	struct {
		uint16_t flags, idx, ring[QUEUE_SIZE], used_event;
	} avail;
	struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[QUEUE_SIZE];
		uint16_t avail_event;
	} used __attribute__((aligned(4)));
} __attribute__((aligned(4096)));

static volatile struct ring ring;
static volatile uint8_t buffer[64];

/* Where the parts of a virtio-pci device are. */
struct pci_dev {
	unsigned devfn, msix, pci_cfg;
	uint64_t bar, common, notify, isr, table, pba;
	uint32_t notify_step, notify_len;
};

static void offer(void)
{
	ring.desc[0].addr = (uint64_t)buffer;
	ring.desc[0].len = sizeof(buffer);
	ring.desc[0].flags = 2;
	ring.avail.ring[ring.avail.idx % QUEUE_SIZE] = 0;
	__asm__ volatile("mfence" ::: "memory");
	ring.avail.idx++;
	__asm__ volatile("mfence" ::: "memory");
}

static bool answered(uint16_t n)
{
	uint64_t limit = rdtsc() + 20000000000ull;

	while (ring.used.idx != n && rdtsc() < limit)
		__asm__ volatile("pause");
	return ring.used.idx == n;
}

static bool buffer_filled(void)
{
	uint8_t any = 0;

	for (unsigned i = 0; i < sizeof(buffer); i++)
		any |= buffer[i];
	return any;
}

static bool find(struct pci_dev *d)
{
	for (d->devfn = 8; d->devfn < 256; d->devfn++)
		if (pci_read(d->devfn, 0) == RNG_PCI)
			return true;
	return false;
}

static uint8_t config8(const struct pci_dev *d, unsigned reg)
{
	return (uint8_t)(pci_read(d->devfn, reg) >> (8 * (reg & 3)));
}

/* Walks the list of capabilities, which must end. */
static bool walk_caps(struct pci_dev *d)
{
	unsigned at = config8(d, 0x34), n = 0;

	for (; at && n < 48; at = config8(d, at + 1), n++) {
		uint64_t where = d->bar + pci_read(d->devfn, at + 8);

		if (config8(d, at) == 0x11)
			d->msix = at;
		if (config8(d, at) != 0x09)
			continue;
		switch (config8(d, at + 3)) {
		case 1:
			d->common = where;
			break;
		case 2:
			d->notify = where;
			d->notify_len = pci_read(d->devfn, at + 12);
			d->notify_step = pci_read(d->devfn, at + 16);
			break;
		case 3:
			d->isr = where;
			break;
		case 5:
			d->pci_cfg = at;
			break;
		default:
			break;
		}
	}
	if (d->msix) {
		d->table = d->bar + (pci_read(d->devfn, d->msix + 4) & ~7u);
		d->pba = d->bar + (pci_read(d->devfn, d->msix + 8) & ~7u);
	}
	return n < 48 && d->common && d->notify && d->isr && d->pci_cfg && d->msix;
}

static void check_config_space(struct pci_dev *d)
{
	uint32_t size;

	check(pci_read(0, 8) >> 16 == 0x0600, "host-bridge-class");
	check(read32(ECAM + (d->devfn << 12)) == RNG_PCI, "ecam-agrees");
	check(config8(d, 8) >= 1, "revision");
	check(pci_read(d->devfn, 0x2c) >> 16 >= 0x40, "subsystem-device");
	d->bar = pci_read(d->devfn, 0x10);
	pci_write(d->devfn, 0x10, 0xffffffff);
	size = ~pci_read(d->devfn, 0x10) + 1;
	check(size == 0x8000, "bar-size");
	/* Somewhere else than the firmware put it. */
	d->bar = 0xd0000000;
	pci_write(d->devfn, 0x10, (uint32_t)d->bar);
	pci_write(d->devfn, 4, 6);
	check(walk_caps(d), "capabilities");
}

static void set_up(struct pci_dev *d, uint16_t vector)
{
	uint32_t features;

	write8(d->common + 20, 0);
	check(read8(d->common + 20) == 0, "reset");
	write8(d->common + 20, ACKNOWLEDGE);
	write8(d->common + 20, ACKNOWLEDGE | DRIVER);
	write32(d->common, 1);
	features = read32(d->common + 4);
	check(features & 1, "version-1-offered");
	write32(d->common + 8, 1);
	write32(d->common + 12, 1);
	write8(d->common + 20, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	check(read8(d->common + 20) & FEATURES_OK, "features-ok");
	check(read16(d->common + 18) == 1, "num-queues");
	write16(d->common + 22, 7);
	check(read16(d->common + 24) == 0, "queue-that-is-not");
	write16(d->common + 22, 0);
	check(read16(d->common + 24) >= QUEUE_SIZE, "queue-size");
	write16(d->common + 24, QUEUE_SIZE);
	write16(d->common + 26, vector);
	check(read16(d->common + 26) == vector, "queue-vector");
	write32(d->common + 32, (uint32_t)(uint64_t)&ring.desc);
	write32(d->common + 36, 0);
	write32(d->common + 40, (uint32_t)(uint64_t)&ring.avail);
	write32(d->common + 44, 0);
	write32(d->common + 48, (uint32_t)(uint64_t)&ring.used);
	write32(d->common + 52, 0);
	write16(d->common + 28, 1);
	check(read16(d->common + 28) == 1, "queue-enable");
	write8(d->common + 20, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static void kick(const struct pci_dev *d)
{
	write16(d->notify + read16(d->common + 30) * d->notify_step, 0);
}

/* The common structure through configuration space alone (4.1.4.9). */
static void check_cfg_access(const struct pci_dev *d)
{
	pci_write(d->devfn, d->pci_cfg + 4, 0);
	pci_write(d->devfn, d->pci_cfg + 8, 20);
	pci_write(d->devfn, d->pci_cfg + 12, 1);
	check((pci_read(d->devfn, d->pci_cfg + 16) & 0xff) ==
			(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK),
		"pci-cfg-access");
}

void case_pci(const struct start_info *info)
{
	struct pci_dev d = { 0 };

	irq_setup();
	if (!find(&d)) {
		check(false, "device-found");
		power_off();
	}
	check_config_space(&d);
	write32(d.table, MSI_ADDR);
	write32(d.table + 4, 0);
	write32(d.table + 8, VECTOR);
	write32(d.table + 12, 0);
	pci_write(d.devfn, d.msix, 1u << 31);
	set_up(&d, 0);
	check_cfg_access(&d);

	offer();
	kick(&d);
	check(irq_wait(1), "interrupt");
	check(answered(1) && buffer_filled(), "random-bytes");

	/* Masked: it waits in the pending bit. */
	write32(d.table + 12, 1);
	offer();
	kick(&d);
	check(answered(2), "answered-while-masked");
	for (unsigned i = 0; i < 100000 && !(read32(d.pba) & 1); i++)
		__asm__ volatile("pause");
	check((read32(d.pba) & 1) && irq_count == 1, "pending-while-masked");
	write32(d.table + 12, 0);
	check(irq_wait(2), "interrupt-after-unmask");
	check(!(read32(d.pba) & 1), "pending-gone");

	write8(d.common + 20, 0);
	check(read8(d.common + 20) == 0 && read16(d.common + 28) == 0, "reset-disables-queue");
	check(read16(d.common + 26) == 0xffff, "reset-unmaps-vector");
	power_off();
}

/* Without MSI-X: ISR status and the interrupt bit of the status register. */
void case_intx(const struct start_info *info)
{
	struct pci_dev d = { 0 };
	uint64_t limit = rdtsc() + 20000000000ull;

	if (!find(&d)) {
		check(false, "device-found");
		power_off();
	}
	check_config_space(&d);
	set_up(&d, 0xffff);
	offer();
	kick(&d);
	check(answered(1), "random-bytes");
	while (!(pci_read(d.devfn, 4) & (1u << 19)) && rdtsc() < limit)
		__asm__ volatile("pause");
	check(pci_read(d.devfn, 4) & (1u << 19), "interrupt-status");
	check(read8(d.isr) == 1, "isr");
	check(read8(d.isr) == 0, "isr-cleared-by-reading");
	check(!(pci_read(d.devfn, 4) & (1u << 19)), "interrupt-status-gone");
	power_off();
}

static void ioapic_route(unsigned pin, uint32_t low)
{
	write32(IOAPIC, 0x10 + 2 * pin + 1);
	write32(IOAPIC + 0x10, 0);
	write32(IOAPIC, 0x10 + 2 * pin);
	write32(IOAPIC + 0x10, low);
}

static void mmio_set_up(uint64_t base)
{
	write32(base + 0x70, 0);
	check(read32(base + 0x70) == 0, "reset");
	write32(base + 0x70, ACKNOWLEDGE | DRIVER);
	write32(base + 0x14, 1);
	check(read32(base + 0x10) & 1, "version-1-offered");
	write32(base + 0x24, 1);
	write32(base + 0x20, 1);
	write32(base + 0x70, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	check(read32(base + 0x70) & FEATURES_OK, "features-ok");
	write32(base + 0x30, 0);
	check(read32(base + 0x44) == 0, "queue-not-ready");
	check(read32(base + 0x34) >= QUEUE_SIZE, "queue-size-max");
	write32(base + 0x38, QUEUE_SIZE);
	write32(base + 0x80, (uint32_t)(uint64_t)&ring.desc);
	write32(base + 0x84, 0);
	write32(base + 0x90, (uint32_t)(uint64_t)&ring.avail);
	write32(base + 0x94, 0);
	write32(base + 0xa0, (uint32_t)(uint64_t)&ring.used);
	write32(base + 0xa4, 0);
	write32(base + 0x44, 1);
	check(read32(base + 0x44) == 1, "queue-ready");
	write32(base + 0x70, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

void case_mmio(const struct start_info *info)
{
	uint64_t base = VIRTIO_MMIO;

	irq_setup();
	check(read32(base) == 0x74726976, "magic");
	check(read32(base + 4) == 2, "version");
	check(read32(base + 8) == 4, "device-id");
	write32(base + 0xac, 0);
	check(read32(base + 0xb0) == 0xffffffff && read32(base + 0xb4) == 0xffffffff, "no-shm");
	mmio_set_up(base);
	/* Line 20, level-triggered, to this processor. */
	irq_ack = (uint32_t)base + 0x64;
	ioapic_route(20, 1u << 15 | VECTOR);
	offer();
	write32(base + 0x50, 0);
	check(irq_wait(1), "interrupt");
	check(answered(1) && buffer_filled(), "random-bytes");
	check(read32(base + 0x60) == 0, "interrupt-acknowledged");
	offer();
	write32(base + 0x50, 0);
	check(irq_wait(2), "second-interrupt");
	/* Once each on KVM proper; an emulated one may enter a handler twice that it left for MMIO.
	 */
	check(irq_count <= 4, "no-storm");
	write32(base + 0x70, 0);
	check(read32(base + 0x44) == 0, "reset-disables-queue");
	power_off();
}
