/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding virtio functions, and giving addresses to what firmware left without. See pci.h. */
#include "pci.h"

#define VENDOR	  0x1af4u
#define DEPTH_MAX 8u /* bridges behind bridges */
#define MIB	  UINT64_C(0x100000)

/* Registers of bridges. */
#define SUBORDINATE  0x1a
#define MEMORY	     0x20
#define PREFETCHABLE 0x24
#define CLOSED	     0x0000fff0u /* a window whose base is above its limit */

struct scan {
	struct drv_pci_host *h;
	struct drv_pci_function *found;
	unsigned n, max;
	unsigned highest; /* bus number in use */
};

static uint32_t ecam_read(void *ctx, uint16_t bdf, uint16_t offset, unsigned width)
{
	return drv_io_read((uintptr_t)ctx + ((uintptr_t)bdf << 12) + offset, width);
}

static void ecam_write(void *ctx, uint16_t bdf, uint16_t offset, unsigned width, uint32_t v)
{
	drv_io_write((uintptr_t)ctx + ((uintptr_t)bdf << 12) + offset, width, v);
}

void drv_pci_ecam(struct drv_pci_host *h, uintptr_t base, uint8_t first_bus, uint8_t last_bus)
{
	*h = (struct drv_pci_host){
		.read = ecam_read,
		.write = ecam_write,
		.ctx = (void *)(base - ((uintptr_t)first_bus << 20)),
		.first_bus = first_bus,
		.last_bus = last_bus,
	};
}

static uint32_t get(const struct scan *s, uint16_t bdf, uint16_t offset, unsigned width)
{
	return s->h->read(s->h->ctx, bdf, offset, width);
}

static void put(const struct scan *s, uint16_t bdf, uint16_t offset, unsigned width, uint32_t v)
{
	s->h->write(s->h->ctx, bdf, offset, width, v);
}

static uint64_t align_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) & ~(to - 1);
}

unsigned drv_pci_bar(
	const struct drv_pci_host *h, uint16_t bdf, unsigned i, struct drv_pci_bar *bar)
{
	uint16_t at = (uint16_t)(DRV_PCI_BAR0 + 4 * i);
	uint32_t low = h->read(h->ctx, bdf, at, 4), high = 0;
	bool wide = (low & 7) == 4 && i < 5;
	uint64_t mask;

	*bar = (struct drv_pci_bar){ 0 };
	if (low & 1)
		return 1;
	h->write(h->ctx, bdf, at, 4, UINT32_MAX);
	mask = h->read(h->ctx, bdf, at, 4) & ~15u;
	h->write(h->ctx, bdf, at, 4, low);
	if (wide) {
		high = h->read(h->ctx, bdf, at + 4, 4);
		h->write(h->ctx, bdf, at + 4, 4, UINT32_MAX);
		mask |= (uint64_t)h->read(h->ctx, bdf, at + 4, 4) << 32;
		h->write(h->ctx, bdf, at + 4, 4, high);
	} else if (mask) {
		mask |= UINT64_C(0xffffffff) << 32;
	}
	bar->addr = (uint64_t)high << 32 | (low & ~15u);
	bar->len = ~mask + 1;
	/* Lengths are powers of two; anything else is no register. */
	if (!mask || bar->len & (bar->len - 1))
		bar->len = 0;
	return wide ? 2 : 1;
}

/* Addresses for those BARs that have none. */
static void assign_bars(struct scan *s, uint16_t bdf)
{
	struct drv_pci_host *h = s->h;
	uint32_t command = get(s, bdf, DRV_PCI_COMMAND, 2);
	struct drv_pci_bar bar;

	put(s, bdf, DRV_PCI_COMMAND, 2, command & ~(DRV_PCI_COMMAND_MEMORY | DRV_PCI_COMMAND_IO));
	for (unsigned i = 0, n; i < 6; i += n) {
		uint64_t at;

		n = drv_pci_bar(h, bdf, i, &bar);
		if (!bar.len || bar.addr || bar.len > h->window_end)
			continue;
		at = align_up(h->window, bar.len);
		if (at > h->window_end - bar.len)
			continue;
		put(s, bdf, (uint16_t)(DRV_PCI_BAR0 + 4 * i), 4, (uint32_t)at);
		h->window = at + bar.len;
	}
	put(s, bdf, DRV_PCI_COMMAND, 2, command);
}

static void scan_function(struct scan *s, uint16_t bdf, uint32_t id)
{
	uint32_t device = id >> 16;

	if ((id & 0xffff) != VENDOR || device < 0x1000 || device > 0x107f)
		return;
	/* Transitional devices have the device ID as the subsystem's (4.1.2.3). */
	device = device >= 0x1040 ? device - 0x1040 : get(s, bdf, DRV_PCI_SUBSYSTEM_ID, 2);
	if (s->h->window < s->h->window_end)
		assign_bars(s, bdf);
	if (s->n < s->max)
		s->found[s->n] = (struct drv_pci_function){ bdf, (uint16_t)device };
	s->n++;
}

static void scan_bus(struct scan *s, unsigned bus, unsigned depth);

/* A bridge that firmware did not set up: the next bus number, and what its functions take of the
 * window. */
static void open_bridge(struct scan *s, uint16_t bdf, unsigned depth)
{
	struct drv_pci_host *h = s->h;
	uint32_t buses = get(s, bdf, DRV_PCI_BUSES, 4) & 0xff000000u;
	uint32_t secondary = s->highest + 1, window = CLOSED;
	uint64_t start = align_up(h->window, MIB);

	h->window = start;
	s->highest = secondary;
	put(s, bdf, DRV_PCI_BUSES, 4,
		buses | (uint32_t)h->last_bus << 16 | secondary << 8 | bdf >> 8);
	scan_bus(s, secondary, depth + 1);
	put(s, bdf, SUBORDINATE, 1, s->highest);
	h->window = align_up(h->window, MIB);
	if (h->window > start)
		window = (uint32_t)((h->window - 1) & 0xfff00000u) |
			 ((uint32_t)(start >> 16) & 0xfff0u);
	put(s, bdf, MEMORY, 4, window);
	put(s, bdf, PREFETCHABLE, 4, CLOSED);
	put(s, bdf, DRV_PCI_COMMAND, 2,
		get(s, bdf, DRV_PCI_COMMAND, 2) | DRV_PCI_COMMAND_MEMORY | DRV_PCI_COMMAND_MASTER);
}

/* Numbers only grow, so that no bus is visited twice whatever the bridges say. */
static void scan_bridge(struct scan *s, uint16_t bdf, unsigned depth)
{
	uint32_t buses = get(s, bdf, DRV_PCI_BUSES, 4);
	unsigned secondary = buses >> 8 & 0xff, subordinate = buses >> 16 & 0xff;

	if (depth == DEPTH_MAX || s->highest >= s->h->last_bus)
		return;
	if (secondary <= s->highest || secondary > s->h->last_bus) {
		open_bridge(s, bdf, depth);
		return;
	}
	s->highest = secondary;
	scan_bus(s, secondary, depth + 1);
	if (subordinate > s->highest && subordinate <= s->h->last_bus)
		s->highest = subordinate;
}

/* Calls itself through bridges, to DEPTH_MAX. */
static void scan_bus(struct scan *s, unsigned bus, unsigned depth)
{
	for (unsigned i = 0; i < 256; i++) {
		uint16_t bdf = (uint16_t)(bus << 8 | i);
		uint32_t id = get(s, bdf, DRV_PCI_ID, 4), header;

		if ((id & 0xffff) == 0xffff) {
			if (i % 8 == 0)
				i += 7; /* no function 0, no device */
			continue;
		}
		header = get(s, bdf, DRV_PCI_HEADER, 1);
		if ((header & 0x7f) == 1)
			scan_bridge(s, bdf, depth);
		else if ((header & 0x7f) == 0)
			scan_function(s, bdf, id);
		if (i % 8 == 0 && !(header & 0x80))
			i += 7; /* one function only */
	}
}

unsigned drv_pci_scan(struct drv_pci_host *h, struct drv_pci_function *found, unsigned max)
{
	struct scan s = { .h = h, .found = found, .max = max, .highest = h->first_bus };

	scan_bus(&s, h->first_bus, 0);
	return s.n;
}
