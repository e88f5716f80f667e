/* SPDX-License-Identifier: BSD-3-Clause */
/* What a guest can say of its machine: description, memory, clock, entropy, power (PLAT-n). */
#include "conformance/cases/cases.h"
#include "drivers/mmio.h"
#include "drivers/pci.h"

#define MIB	     (UINT64_C(1) << 20)
#define MEMORY_SLACK (8 * MIB) /* for firmware, tables, the image */
#define READS	     5000u
#define NAP_NS	     UINT64_C(50000000)
#define RATE_OFF     20000u /* parts per million that the clock may be off */
#define MILLION	     1000000u
#define TRIES	     10u
#define RANDOM_LEN   32u
#define RNG	     4 /* device ID (5) */

static const struct cf_guest *guest_of(struct cf *c)
{
	return cf_target(c)->guest;
}

/* A number that the user says of the machine; false if none was said. */
static bool said(struct cf *c, const char *key, uint64_t *v)
{
	const char *text = cf_fact(c, key);

	return text && cf_number(text, v);
}

static void described(struct cf *c)
{
	const struct cf_guest *g = guest_of(c);
	uint64_t devices;

	if (!cf_check(c, g->description, "there is neither a device tree nor ACPI"))
		return;
	if (said(c, "devices", &devices))
		cf_eq(c, g->ndevices, devices, "the number of virtio devices found");
	cf_note(c, "%s, %u virtio devices", g->description, g->ndevices);
}

static void processors(struct cf *c)
{
	uint64_t want;

	if (!said(c, "cpus", &want))
		cf_skip(c, "nothing was said about platform.cpus");
	else
		cf_eq(c, guest_of(c)->ncpus, want, "the number of processors described");
}

/* Memory keeps what is written; what was there before comes back. */
static bool holds(struct cf *c, uint64_t addr)
{
	volatile uint64_t *p = (volatile uint64_t *)(uintptr_t)addr;
	uint64_t before = *p;
	bool ok;

	*p = ~before;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ok = *p == ~before;
	*p = before;
	return cf_check(
		c, ok, "memory at 0x%llx does not keep what is written", (unsigned long long)addr);
}

static void memory_works(struct cf *c)
{
	const struct cf_guest *g = guest_of(c);
	uint64_t sum = 0, want;

	for (unsigned i = 0; i < g->nram; i++) {
		const struct cf_range *r = &g->ram[i];

		sum += r->len;
		for (uint64_t at = 0; at + 8 <= r->len; at += MIB)
			if (!holds(c, (r->addr + at + 7) & ~UINT64_C(7)))
				return;
		if (r->len >= 16 && !holds(c, (r->addr + r->len - 8) & ~UINT64_C(7)))
			return;
	}
	if (said(c, "memory", &want))
		cf_check(c, sum <= want && sum + MEMORY_SLACK >= want,
			"%llu bytes of memory are usable, of %llu", (unsigned long long)sum,
			(unsigned long long)want);
	cf_note(c, "%llu MiB usable in %u ranges", (unsigned long long)(sum / MIB), g->nram);
}

static bool overlaps(const struct cf_range *r, uint64_t addr, uint64_t len)
{
	return addr < r->addr + r->len && r->addr < addr + len;
}

/* Registers of devices are not in RAM. */
static void memory_apart(struct cf *c)
{
	const struct cf_guest *g = guest_of(c);

	for (unsigned d = 0; d < g->ndevices; d++) {
		struct drv_dev *dev = g->devices[d];
		struct drv_pci_bar at[6] = { 0 };

		if (cf_text_same(dev->ops->name, "pci"))
			cf_copy(at, ((struct drv_pci *)(void *)dev)->bars, sizeof(at));
		else
			at[0] = (struct drv_pci_bar){ ((struct drv_mmio *)(void *)dev)->regs.base,
				DRV_MMIO_CONFIG };
		for (unsigned i = 0; i < 6 * g->nram; i++)
			cf_check(c, !overlaps(&g->ram[i / 6], at[i % 6].addr, at[i % 6].len),
				"registers of device %u at 0x%llx are in RAM", d,
				(unsigned long long)at[i % 6].addr);
	}
}

static void clock_forward(struct cf *c)
{
	uint64_t first = drv_now(cf_dev(c)), last = first;

	for (unsigned i = 0; i < READS; i++) {
		uint64_t now = drv_now(cf_dev(c));

		if (!cf_check(c, now >= last, "the clock went back, from %llu to %llu ns",
			    (unsigned long long)last, (unsigned long long)now))
			return;
		last = now;
	}
	cf_check(c, last > first, "the clock stands still");
	cf_note(c, "%s", guest_of(c)->clock);
}

static bool is_about_a_million(uint32_t rate)
{
	return rate >= MILLION - RATE_OFF && rate <= MILLION + RATE_OFF;
}

static void clock_rate(struct cf *c)
{
	const struct cf_guest *g = guest_of(c);
	uint32_t rate = g->clock_rate ? g->clock_rate() : 0;

	/* The host may do something else in the middle of a measurement. */
	for (unsigned i = 1; i < TRIES && rate && !is_about_a_million(rate); i++)
		rate = g->clock_rate();
	if (!rate) {
		cf_skip(c, "there is no second timer to compare with");
		return;
	}
	cf_check(c, is_about_a_million(rate),
		"the clock (%s) runs at %u millionths of what it says", g->clock, rate);
	cf_note(c, "%s: %u millionths of another timer's rate", g->clock, rate);
}

/* A sleep ends by the timer's interrupt, not much later than it should. */
static void timer_wakes(struct cf *c)
{
	const struct drv_platform *pf = cf_target(c)->platform;
	uint64_t start = drv_now(cf_dev(c)), now = start;

	if (!pf->wait) {
		cf_skip(c, "this guest does not sleep");
		return;
	}
	while (now < start + NAP_NS) {
		pf->wait(pf->ctx, cf_dev(c), start + NAP_NS);
		now = drv_now(cf_dev(c));
	}
	cf_check(c, now < start + 20 * NAP_NS, "50 ms of sleep took %llu ms",
		(unsigned long long)((now - start) / MILLION));
}

/* Two draws differ, and are not all one value. */
static void check_random(struct cf *c, const uint8_t *a, const uint8_t *b, uint32_t len)
{
	cf_check(c, !cf_filled(a, a[0], len), "%u random bytes are all 0x%02x", len, a[0]);
	cf_check(c, !cf_same(a, b, len), "two draws of %u random bytes are the same", len);
}

static int draw(struct drv_queue *q, uint8_t *buf, uint64_t until)
{
	struct drv_sg sg = drv_sg(q->dev, buf, RANDOM_LEN);
	int r = drv_ring_add(&q->ring, &sg, 0, 1, buf);

	if (!r)
		r = drv_queue_publish(q);
	return r ? r : drv_queue_wait(q, NULL, NULL, until);
}

static void device_entropy(struct cf *c, struct drv_dev *dev)
{
	uint8_t *a = cf_buf(c, RANDOM_LEN), *b = cf_buf(c, RANDOM_LEN);
	struct drv_queue q;
	int r;

	if (!a || !b || !cf_up_other(c, dev, 0, &q, 1))
		return;
	r = draw(&q, a, cf_limit(c));
	if (!r)
		r = draw(&q, b, cf_limit(c));
	drv_reset(dev);
	if (!cf_check(c, !r, "the entropy device gives nothing (%d)", r))
		return;
	check_random(c, a, b, RANDOM_LEN);
	cf_note(c, "an entropy device");
}

static void entropy(struct cf *c)
{
	const struct cf_guest *g = guest_of(c);
	uint64_t a, b;

	for (unsigned i = 0; i < g->ndevices; i++)
		if (g->devices[i]->id == RNG) {
			device_entropy(c, g->devices[i]);
			return;
		}
	if (!cf_check(c, g->random && g->random(&a) && g->random(&b),
		    "there is neither an entropy device nor an instruction for random numbers"))
		return;
	check_random(c, (uint8_t *)&a, (uint8_t *)&b, sizeof(a));
	cf_note(c, "an instruction of the processor");
}

static void power_described(struct cf *c)
{
	const struct cf_guest *g = guest_of(c);

	if (cf_check(c, g->off, "nothing says how the machine is switched off"))
		cf_note(c, "%s", g->off);
}

static void nothing_there(struct cf *c)
{
	volatile uint32_t *p = guest_of(c)->nothing;

	if (!p) {
		cf_skip(c, "on this architecture that is an exception");
		return;
	}
	cf_eq(c, *p, UINT32_MAX, "an address where nothing is");
	*p = 0x12345678;
	cf_eq(c, *p, UINT32_MAX, "an address where nothing is, after a write,");
	cf_eq(c, *(volatile uint8_t *)p, UINT8_MAX, "a byte where nothing is");
}

const struct cf_case cf_cases_platform[] = {
	{ "platform.description.present", "PLAT-1", described, .flags = CF_GUEST },
	{ "platform.description.processors", "PLAT-13", processors, .flags = CF_GUEST },
	{ "platform.memory.works", "PLAT-2", memory_works, .flags = CF_GUEST },
	{ "platform.memory.apart", "PLAT-2", memory_apart, .flags = CF_GUEST },
	{ "platform.memory.nothing", "PLAT-11", nothing_there, .flags = CF_GUEST | CF_HOSTILE },
	{ "platform.clock.forward", "PLAT-3", clock_forward, .flags = CF_GUEST },
	{ "platform.clock.rate", "PLAT-3", clock_rate, .flags = CF_GUEST },
	{ "platform.clock.timer", "PLAT-3", timer_wakes, .flags = CF_GUEST },
	{ "platform.entropy.source", "PLAT-4", entropy, .flags = CF_GUEST },
	{ "platform.power.described", "PLAT-5", power_described, .flags = CF_GUEST },
	{ 0 },
};
