/* SPDX-License-Identifier: BSD-3-Clause */
/* As many entropy devices as the machine has, all driven at the same time: each has a ring and a
 * buffer of its own, gets one request, and must answer it and interrupt. */
#include "rt.h"

#define DEVICES_MAX 256u
#define QUEUE_SIZE  2u
#define BYTES	    16u
#define RNG_PCI	    0x10441af4u
#define ECAM	    0xe0000000ull
#define VIRTIO_MMIO 0xfeb00000ull
#define MMIO_MAGIC  0x74726976u
#define IOAPIC	    0xfec00000ull
#define LAPIC_IRR   0xfee00200ull
#define MSI_ADDR    0xfee00000u
#define VECTOR	    0x40u
#define PCI_LINES   16u

#define STARTED 3u  /* ACKNOWLEDGE, DRIVER */
#define AGREED	11u /* and FEATURES_OK */
#define LIVE	15u /* and DRIVER_OK */

/* A queue of two: descriptors, available ring and used ring of VIRTIO 1.4, 2.7. */
struct ring {
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} desc[QUEUE_SIZE];
	uint16_t avail_flags, avail_idx, avail_ring[QUEUE_SIZE], used_event;
	uint16_t used_flags __attribute__((aligned(4))), used_idx;
	struct {
		uint32_t id, len;
	} used_ring[QUEUE_SIZE];
	uint16_t avail_event;
	uint8_t bytes[BYTES];
} __attribute__((aligned(64)));

static volatile struct ring rings[DEVICES_MAX];

/* Where a virtio-pci device has its registers. */
struct pci_dev {
	unsigned devfn, msix;
	uint64_t common, notify, isr, table;
};

static struct pci_dev devs[DEVICES_MAX];

static void offer(volatile struct ring *r)
{
	r->desc[0].addr = (uint64_t)r->bytes;
	r->desc[0].len = BYTES;
	r->desc[0].flags = 2;
	__asm__ volatile("mfence" ::: "memory");
	r->avail_idx = 1;
	__asm__ volatile("mfence" ::: "memory");
}

static bool answered(volatile struct ring *r)
{
	uint64_t limit = rdtsc() + 20000000000ull;
	uint8_t any = 0;

	while (r->used_idx != 1 && rdtsc() < limit)
		__asm__ volatile("pause");
	for (unsigned i = 0; i < BYTES; i++)
		any |= r->bytes[i];
	return r->used_idx == 1 && any;
}

static void set_caps(struct pci_dev *d)
{
	uint64_t bar = pci_read(d->devfn, 0x10);
	unsigned at = pci_read(d->devfn, 0x34) & 0xff;

	for (unsigned n = 0; at && n < 48; n++) {
		uint32_t head = pci_read(d->devfn, at);
		uint64_t where = bar + pci_read(d->devfn, at + 8);

		if ((head & 0xff) == 0x11) {
			d->msix = at;
			d->table = bar + (pci_read(d->devfn, at + 4) & ~7u);
		}
		if ((head & 0xff) == 0x09 && head >> 24 == 1)
			d->common = where;
		if ((head & 0xff) == 0x09 && head >> 24 == 2)
			d->notify = where;
		if ((head & 0xff) == 0x09 && head >> 24 == 3)
			d->isr = where;
		at = (head >> 8) & 0xff;
	}
	pci_write(d->devfn, 4, 6);
}

/* As a driver has to look: other functions of a slot only if function 0 says that there are. */
static unsigned find_pci(void)
{
	unsigned n = 0;

	for (unsigned slot = 1; slot < 32; slot++) {
		bool many = pci_read(slot << 3, 0x0c) >> 23 & 1;

		for (unsigned fn = 0; fn < (many ? 8 : 1); fn++) {
			unsigned devfn = slot << 3 | fn;

			if (n == DEVICES_MAX || pci_read(devfn, 0) != RNG_PCI ||
				read32(ECAM + (devfn << 12)) != RNG_PCI)
				continue;
			devs[n].devfn = devfn;
			set_caps(&devs[n++]);
		}
	}
	return n;
}

static void start_pci(const struct pci_dev *d, volatile struct ring *r, uint16_t vector)
{
	write8(d->common + 20, 0);
	write8(d->common + 20, STARTED);
	write32(d->common + 8, 1);
	write32(d->common + 12, 1);
	write8(d->common + 20, AGREED);
	write16(d->common + 22, 0);
	write16(d->common + 24, QUEUE_SIZE);
	write16(d->common + 26, vector);
	write32(d->common + 32, (uint32_t)(uint64_t)&r->desc);
	write32(d->common + 40, (uint32_t)(uint64_t)&r->avail_flags);
	write32(d->common + 48, (uint32_t)(uint64_t)&r->used_flags);
	write16(d->common + 28, 1);
	write8(d->common + 20, LIVE);
}

static void use_msix(const struct pci_dev *d)
{
	write32(d->table, MSI_ADDR);
	write32(d->table + 4, 0);
	write32(d->table + 8, VECTOR);
	write32(d->table + 12, 0);
	pci_write(d->devfn, d->msix, 1u << 31);
}

void case_many_pci(const struct start_info *info)
{
	unsigned n = find_pci(), served = 0, interrupts = 0;

	irq_setup();
	put_value("devices", n);
	for (unsigned i = 0; i < n; i++) {
		use_msix(&devs[i]);
		start_pci(&devs[i], &rings[i], 0);
	}
	for (unsigned i = 0; i < n; i++) {
		uint32_t before = irq_count;

		offer(&rings[i]);
		write16(devs[i].notify, 0);
		served += answered(&rings[i]);
		interrupts += irq_wait(before + 1);
	}
	put_value("served", served);
	put_value("interrupts", interrupts);
	power_off();
}

static void route(unsigned line, uint32_t low)
{
	write32(IOAPIC, 0x10 + 2 * line + 1);
	write32(IOAPIC + 0x10, 0);
	write32(IOAPIC, 0x10 + 2 * line);
	write32(IOAPIC + 0x10, low);
}

/* The lines that have reached the local APIC, which keeps them: nobody takes interrupts here. */
static uint32_t arrived(void)
{
	return read32(LAPIC_IRR + 0x10 * (VECTOR / 32)) & 0xf;
}

/* Each pin of a slot arrives at the line that it is wired to, and at no other one. */
void case_pins(const struct start_info *info)
{
	unsigned n = find_pci();
	uint32_t want = 0;

	irq_setup();
	__asm__ volatile("cli");
	for (unsigned line = 0; line < 4; line++)
		route(PCI_LINES + line, 1u << 15 | (VECTOR + line));
	for (unsigned i = 0; i < n && devs[i].devfn >> 3 == 1; i++) {
		unsigned pin = pci_read(devs[i].devfn, 0x3c) >> 8 & 0xff;
		uint64_t limit = rdtsc() + 20000000000ull;

		want |= 1u << (1 + pin - 1) % 4;
		start_pci(&devs[i], &rings[i], 0xffff);
		offer(&rings[i]);
		write16(devs[i].notify, 0);
		while (arrived() != want && rdtsc() < limit)
			__asm__ volatile("pause");
		put_value("pin", pin);
		check(arrived() == want, "line");
		check(read8(devs[i].isr) == 1, "isr");
	}
	power_off();
}

static void start_mmio(uint64_t base, volatile struct ring *r)
{
	write32(base + 0x70, 0);
	write32(base + 0x70, STARTED);
	write32(base + 0x24, 1);
	write32(base + 0x20, 1);
	write32(base + 0x70, AGREED);
	write32(base + 0x30, 0);
	write32(base + 0x38, QUEUE_SIZE);
	write32(base + 0x80, (uint32_t)(uint64_t)&r->desc);
	write32(base + 0x90, (uint32_t)(uint64_t)&r->avail_flags);
	write32(base + 0xa0, (uint32_t)(uint64_t)&r->used_flags);
	write32(base + 0x44, 1);
	write32(base + 0x70, LIVE);
}

/* Four lines are shared by all: the device that interrupts is the one that was asked. */
void case_many_mmio(const struct start_info *info)
{
	unsigned n = 0, served = 0, interrupts = 0;

	irq_setup();
	while (n < DEVICES_MAX && read32(VIRTIO_MMIO + n * 0x1000) == MMIO_MAGIC)
		n++;
	put_value("devices", n);
	for (unsigned line = 20; line < 24; line++)
		route(line, 1u << 15 | VECTOR);
	for (unsigned i = 0; i < n; i++)
		start_mmio(VIRTIO_MMIO + i * 0x1000, &rings[i]);
	for (unsigned i = 0; i < n; i++) {
		uint64_t base = VIRTIO_MMIO + i * 0x1000;
		uint32_t before = irq_count;

		irq_ack = (uint32_t)base + 0x64;
		offer(&rings[i]);
		write32(base + 0x50, 0);
		served += answered(&rings[i]);
		interrupts += irq_wait(before + 1);
	}
	put_value("served", served);
	put_value("interrupts", interrupts);
	power_off();
}
