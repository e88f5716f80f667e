/* SPDX-License-Identifier: BSD-3-Clause */
/* The transports themselves: interrupts, queue reset, notifications, enumeration, bad hardware. */
#include "devices/devices.h"
#include "drivers/rng.h"
#include "machine.h"
#include "tap.h"

static enum machine_kind kind; /* of this run of the cases */

static int use(struct machine *m, struct drv_rng *rng)
{
	uint8_t buf[16];

	return drv_rng_read(rng, buf, sizeof(buf), machine_until());
}

/* Counts are those of the device: one for each buffer here, as the driver waits for each. */
static void interrupts(struct tap *t)
{
	struct machine *m = machine_open(kind, &vdev_rng, NULL);
	struct drv_rng rng;
	uint32_t n = 99;

	REQUIRE(t, !drv_rng_open(&rng, m->dev));
	if (kind == MMIO_POLL || kind == PCI_POLL) {
		CHECK(t, !m->dev->ops->interrupts);
		CHECK_EQ(t, use(m, &rng), 0);
		machine_close(m);
		return;
	}
	REQUIRE(t, m->dev->ops->interrupts);
	CHECK_EQ(t, m->dev->ops->interrupts(m->dev, 0, &n), 0);
	CHECK_EQ(t, n, 0);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t until = machine_until();

		/* Else none comes if the answer is there before the driver waits. */
		CHECK(t, !drv_ring_enable_interrupts(&rng.req.pool.q.ring, 0));
		CHECK_EQ(t, use(m, &rng), 0);
		/* The answer may be seen before its interrupt. */
		do {
			m->platform.wait(m, m->dev, until);
			CHECK_EQ(t, m->dev->ops->interrupts(m->dev, 0, &n), 0);
		} while (!n && drv_now(m->dev) < until);
		CHECK_EQ(t, n, 1);
	}
	CHECK_EQ(t, m->dev->ops->interrupts(m->dev, DRV_CONFIG, &n), 0);
	CHECK_EQ(t, n, 0);
	CHECK_EQ(t, m->dev->ops->interrupts(m->dev, 40, &n), DRV_UNSUPPORTED);
	machine_close(m);
}

static void queue_reset(struct tap *t)
{
	struct machine *m = machine_open(kind, &vdev_rng, NULL);
	struct drv_rng rng;

	REQUIRE(t, !drv_rng_open(&rng, m->dev));
	CHECK(t, drv_has(m->dev, VIRTIO_F_RING_RESET));
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(t, use(m, &rng), 0);
		CHECK_EQ(t, drv_queue_restart(&rng.req.pool.q), 0);
	}
	CHECK_EQ(t, use(m, &rng), 0);
	machine_close(m);
}

static void life_cycle(struct tap *t)
{
	struct machine *m = machine_open(kind, &vdev_rng, NULL);
	struct drv_queue q;
	uint16_t max = 1;
	uint8_t status = 0, byte;
	uint32_t generation;

	CHECK_EQ(t, drv_begin(m->dev, UINT64_MAX, DRV_FEATURE(63)), DRV_REFUSED);
	CHECK_EQ(t, drv_begin(m->dev, 0, 0), 0);
	CHECK_EQ(t, m->dev->features, DRV_FEATURE(VIRTIO_F_VERSION_1));
	CHECK_EQ(t, m->dev->ops->queue_max(m->dev, 7, &max), 0);
	CHECK_EQ(t, max, 0);
	CHECK_EQ(t, drv_queue_open(&q, m->dev, 7, 0, 0), DRV_REFUSED);
	CHECK_EQ(t, drv_queue_open(&q, m->dev, 0, 8, 0), 0);
	CHECK_EQ(t, drv_run(m->dev), 0);
	CHECK_EQ(t, m->dev->ops->status(m->dev, &status), 0);
	CHECK_EQ(t, status, 15);
	CHECK_EQ(t, m->dev->ops->generation(m->dev, &generation), 0);
	CHECK_EQ(t, m->dev->ops->config_read(m->dev, 0x1000, &byte, 1), DRV_INVALID);
	CHECK_EQ(t, m->dev->ops->config_write(m->dev, UINT32_MAX, &byte, 1), DRV_INVALID);
	CHECK_EQ(t, drv_reset(m->dev), 0);
	CHECK_EQ(t, m->dev->ops->status(m->dev, &status), 0);
	CHECK_EQ(t, status, 0);
	machine_close(m);
}

/* A configuration space of tables, for buses and functions that our board does not have. */
#define FAKE_FUNCTIONS 8u

struct fake_function {
	uint16_t bdf;
	uint8_t space[256];
	uint32_t bar_len[6]; /* 0: none; of the lower half of a wide one */
	bool wide;	     /* BAR 0 and 1 are one */
};

struct fake_bus {
	struct fake_function f[FAKE_FUNCTIONS];
	unsigned n;
};

static struct fake_function *function(struct fake_bus *b, uint16_t bdf)
{
	for (unsigned i = 0; i < b->n; i++) {
		unsigned bridge = b->f[i].bdf >> 8;
		uint8_t bus = bridge ? b->f[bridge - 1].space[0x19] : 0;

		/* Behind a bridge without a bus number nobody is reached. */
		if ((b->f[i].bdf & 0xff) == (bdf & 0xff) && bus == bdf >> 8 && (bus || !bridge))
			return &b->f[i];
	}
	return NULL;
}

static uint32_t bus_get(void *ctx, uint16_t bdf, uint16_t offset, unsigned width)
{
	struct fake_function *f = function(ctx, bdf);
	uint32_t v = UINT32_MAX;

	if (f)
		memcpy(&v, f->space + (offset & 0xff), width);
	return width == 4 ? v : v & ((1u << 8 * width) - 1);
}

static void bus_put(void *ctx, uint16_t bdf, uint16_t offset, unsigned width, uint32_t v)
{
	struct fake_function *f = function(ctx, bdf);
	unsigned bar = (offset - 0x10u) / 4;

	if (!f || offset > 0xff)
		return;
	if (offset >= 0x10 && offset < 0x28 && !(f->space[0x0e] & 0x7f)) {
		uint32_t type = f->wide && !bar ? 4 : 0;

		if (!f->bar_len[bar] && !(f->wide && bar == 1))
			return;
		if (f->bar_len[bar])
			v = (v & ~(f->bar_len[bar] - 1)) | type;
	}
	memcpy(f->space + offset, &v, width);
}

/* A function on bus 0, or behind the bridge with this number (from 1). */
static struct fake_function *add(struct fake_bus *b, unsigned bridge, unsigned devfn, uint32_t id)
{
	struct fake_function *f = &b->f[b->n++];

	*f = (struct fake_function){ .bdf = (uint16_t)(bridge << 8 | devfn) };
	memcpy(f->space, &id, 4);
	return f;
}

static void scan_start(struct fake_bus *b, struct drv_pci_host *h)
{
	*b = (struct fake_bus){ 0 };
	*h = (struct drv_pci_host){ .read = bus_get,
		.write = bus_put,
		.ctx = b,
		.last_bus = 15,
		.window = 0x10000100,
		.window_end = 0x11000000 };
}

static uint32_t bar_of(const struct fake_function *f, unsigned i)
{
	uint32_t v;

	memcpy(&v, f->space + 0x10 + 4 * i, 4);
	return v;
}

static void scan_bridges(struct tap *t)
{
	struct drv_pci_function found[4] = { { 0 } };
	struct drv_pci_host h;
	struct fake_bus b;
	uint32_t window;

	scan_start(&b, &h);
	add(&b, 0, 1 << 3, 0x00081b36)->space[0x0e] = 1; /* bridge 1 */
	add(&b, 1, 2 << 3, 0x00081b36)->space[0x0e] = 1; /* bridge 2, behind it */
	add(&b, 2, 0, 0x10421af4);			 /* a disk behind both */
	b.f[2].bar_len[1] = 0x4000;
	add(&b, 1, 31 << 3, 0x10411af4); /* a network card behind the first */
	b.f[3].wide = true;
	b.f[3].space[0x10] = 4;
	b.f[3].bar_len[0] = 0x8000;
	add(&b, 0, 2 << 3, 0x12348086)->space[0x0e] = 0x80; /* somebody else's, many functions */
	add(&b, 0, (2 << 3) + 7, 0x10001af4);		    /* a transitional function of it */
	b.f[5].space[0x2e] = 3;
	CHECK_EQ(t, drv_pci_scan(&h, found, 4), 3);
	CHECK_EQ(t, found[0].id, 2);
	CHECK_EQ(t, found[0].bdf, 2 << 8);
	CHECK_EQ(t, found[1].id, 1);
	CHECK_EQ(t, found[1].bdf, 1 << 8 | 31 << 3);
	CHECK_EQ(t, found[2].id, 3);
	CHECK_EQ(t, found[2].bdf, 2 << 3 | 7);
	/* Bus numbers: primary, secondary, subordinate. */
	CHECK_EQ(t, memcmp(b.f[0].space + 0x18, "\0\1\2", 3), 0);
	CHECK_EQ(t, memcmp(b.f[1].space + 0x18, "\1\2\2", 3), 0);
	/* Addresses, and the windows of the bridges in front. */
	CHECK_EQ(t, bar_of(&b.f[2], 1), 0x10100000);
	CHECK_EQ(t, bar_of(&b.f[3], 0), 0x10200004);
	CHECK_EQ(t, bar_of(&b.f[3], 1), 0);
	memcpy(&window, b.f[0].space + 0x20, 4);
	CHECK_EQ(t, window, 0x10201010);
	memcpy(&window, b.f[1].space + 0x20, 4);
	CHECK_EQ(t, window, 0x10101010);
	CHECK_EQ(t, b.f[0].space[4] & 6, 6);
	/* Again: everything has its place. */
	h.window = 0x20000000;
	CHECK_EQ(t, drv_pci_scan(&h, found, 1), 3);
	CHECK_EQ(t, bar_of(&b.f[2], 1), 0x10100000);
	CHECK_EQ(t, h.window, 0x20000000);
}

static void scan_limits(struct tap *t)
{
	struct drv_pci_function found[4];
	struct drv_pci_host h;
	struct fake_bus b;

	/* A BAR that does not fit stays without an address; no window, no addresses. */
	scan_start(&b, &h);
	add(&b, 0, 0, 0x10421af4)->bar_len[0] = 0x2000000;
	add(&b, 0, 8, 0x10421af4)->bar_len[0] = 0x1000;
	CHECK_EQ(t, drv_pci_scan(&h, found, 4), 2);
	CHECK_EQ(t, bar_of(&b.f[0], 0), 0);
	CHECK_EQ(t, bar_of(&b.f[1], 0), 0x10001000);
	h.window = h.window_end;
	memset(b.f[1].space + 0x10, 0, 4);
	CHECK_EQ(t, drv_pci_scan(&h, found, 4), 2);
	CHECK_EQ(t, bar_of(&b.f[1], 0), 0);
	/* Bridges that lead to themselves, or beyond the last bus. */
	scan_start(&b, &h);
	add(&b, 0, 1 << 3, 0x00081b36)->space[0x0e] = 1;
	add(&b, 1, 1 << 3, 0x00081b36)->space[0x0e] = 1;
	b.f[0].space[0x19] = b.f[1].space[0x19] = 1;
	CHECK_EQ(t, drv_pci_scan(&h, found, 4), 0);
	h.last_bus = 0;
	CHECK_EQ(t, drv_pci_scan(&h, found, 4), 0);
}

/* Capabilities in a circle, out of range, for registers that are not there. */
static void bad_functions(struct tap *t)
{
	static const struct drv_platform none = { 0 };
	struct drv_pci_host h;
	struct fake_bus b;
	struct drv_pci p;
	uint64_t seed = 1;

	scan_start(&b, &h);
	add(&b, 0, 0, 0x10421af4)->bar_len[0] = 0x8000;
	b.f[0].space[0x06] = 0x10;
	CHECK_EQ(t, drv_pci_open(&p, &none, &h, 0, NULL, 0), DRV_UNSUPPORTED);
	CHECK_EQ(t, drv_pci_open(&p, &none, &h, 8, NULL, 0), DRV_GONE);
	b.f[0].space[0x34] = 0x40;
	b.f[0].space[0x40] = 9;
	b.f[0].space[0x41] = 0x40;
	CHECK_EQ(t, drv_pci_open(&p, &none, &h, 0, NULL, 0), DRV_UNSUPPORTED);
	for (unsigned i = 0; i < 20000; i++) {
		for (unsigned at = 0x34; at < 256; at++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			b.f[0].space[at] = (uint8_t)(seed >> 56 & (seed >> 48 & 1 ? 0xff : 0xf));
		}
		memcpy(b.f[0].space + 0x10, "\0\0\1\x10", 4);
		if (!drv_pci_open(&p, &none, &h, 0, NULL, 0)) {
			/* What was taken lies inside the BAR. */
			CHECK(t, p.regs.base >= 0x10010000 &&
					 p.regs.base + p.regs.len <= 0x10018000);
			CHECK(t, p.notify >= 0x10010000 && p.notify + p.notify_len <= 0x10018000);
			CHECK(t, p.isr >= 0x10010000 && p.isr < 0x10018000);
		}
	}
	/* An honest one, after all: common, notify, ISR. */
	memset(b.f[0].space + 0x34, 0, 256 - 0x34);
	b.f[0].space[0x34] = 0x40;
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t cap[20] = { 9, i < 2 ? (uint8_t)(0x60 + 0x20 * i) : 0, 20,
			(uint8_t)(i + 1), 0, 0, 0, 0, 0, (uint8_t)(i << 4), 0, 0, 64 };

		memcpy(b.f[0].space + 0x40 + 0x20 * i, cap, sizeof(cap));
	}
	CHECK_EQ(t, drv_pci_open(&p, &none, &h, 0, NULL, 0), 0);
	CHECK_EQ(t, p.regs.base, 0x10010000);
	CHECK_EQ(t, p.isr, 0x10012000);
}

int main(void)
{
	static const char *const names[] = { "mmio", "mmio-irq", "pci", "pci-intx", "pci-msix" };
	struct tap t = { 0 };

	for (kind = MMIO_POLL; kind < MACHINE_KINDS; kind++) {
		printf("# %s\n", names[kind]);
		TAP_RUN(&t, interrupts);
		TAP_RUN(&t, queue_reset);
		TAP_RUN(&t, life_cycle);
	}
	TAP_RUN(&t, scan_bridges);
	TAP_RUN(&t, scan_limits);
	TAP_RUN(&t, bad_functions);
	return tap_done(&t);
}
