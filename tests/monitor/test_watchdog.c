/* SPDX-License-Identifier: BSD-3-Clause */
/* The watchdogs without KVM, driven as Linux's i6300esb and sbsa_gwdt drive them. */
#include <errno.h>
#include <unistd.h>

#include "fake.h"
#include "machine/arm64/sbsa_wdt.h"
#include "machine/i6300esb.h"

#define BAR	0xc0000000u
#define REFRESH 0x0b000000u
#define CONTROL 0x0b001000u
#define IRQ	12u
#define HZ	62500000u
#define MS	(HZ / 1000)

struct rig {
	struct fake_vmm f;
	struct i6300esb esb;
	struct pci_slot slot;
	struct sbsa_wdt sbsa;
	unsigned warned, expired;
};

static void on_event(void *arg, enum machine_event what)
{
	struct rig *r = arg;

	r->warned += what == MACHINE_WATCHDOG_PRETIMEOUT;
	r->expired += what == MACHINE_WATCHDOG_EXPIRED;
}

static uint64_t counter(void *arg)
{
	uint64_t ns = ev_now_ns();

	return ns / 1000000000 * HZ + ns % 1000000000 * HZ / 1000000000;
}

static uint32_t get(struct rig *r, uint64_t at)
{
	uint32_t v = 0xdeadbeef;

	bus_read(&r->f.vmm.mmio, at, &v, 4);
	return v;
}

static uint64_t get64(struct rig *r, uint64_t at)
{
	uint64_t v = 0;

	bus_read(&r->f.vmm.mmio, at, &v, 8);
	return v;
}

static void set(struct rig *r, uint64_t at, unsigned len, uint64_t v)
{
	bus_write(&r->f.vmm.mmio, at, &v, len);
}

/* The loop, until `what` counts `n` or a generous limit is over. */
static bool wait_for(struct rig *r, const unsigned *what, unsigned n)
{
	uint64_t limit = ev_now_ns() + UINT64_C(30000000000);

	while (*what < n && ev_now_ns() < limit)
		ev_run_once(r->f.vmm.loop, 1000);
	return *what >= n;
}

/* The loop, for some time. */
static void run_for(struct rig *r, uint64_t ms)
{
	uint64_t end = ev_now_ns() + ms * 1000000;

	while (ev_now_ns() < end)
		ev_run_once(r->f.vmm.loop, 1);
}

static void config(struct rig *r, unsigned reg, unsigned len, uint32_t v)
{
	r->slot.config_write(r->slot.arg, reg, &v, len);
}

static uint32_t config_get(struct rig *r, unsigned reg, unsigned len)
{
	uint32_t v = 0;

	r->slot.config_read(r->slot.arg, reg, &v, len);
	return v;
}

static void esb_unlock(struct rig *r)
{
	set(r, BAR + 0x0c, 2, 0x80);
	set(r, BAR + 0x0c, 2, 0x86);
}

static void esb_reload(struct rig *r)
{
	esb_unlock(r);
	set(r, BAR + 0x0c, 2, 0x100);
}

/* Stages of `ticks`, then on. */
static void esb_start(struct rig *r, uint32_t ticks)
{
	esb_unlock(r);
	set(r, BAR + 0x00, 4, ticks);
	esb_unlock(r);
	set(r, BAR + 0x04, 4, ticks);
	esb_reload(r);
	config(r, 0x68, 1, 2);
}

static void esb_up(struct rig *r)
{
	struct pci_place at = { .requester = 31 << 3, .bar = BAR, .gsi = 19, .pin = 1 };

	*r = (struct rig){ .warned = 0 };
	fake_vmm_init(&r->f);
	if (i6300esb_init(&r->esb, &r->f.vmm, &at, on_event, r, NULL))
		exit(1);
	r->slot = i6300esb_slot(&r->esb);
	config(r, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
}

static void esb_down(struct rig *r)
{
	i6300esb_finish(&r->esb);
	fake_vmm_finish(&r->f);
}

static void esb_identity(struct tap *t)
{
	struct rig r;

	esb_up(&r);
	CHECK_EQ(t, config_get(&r, 0, 4), 0x25ab8086);
	CHECK_EQ(t, config_get(&r, PCI_CLASS + 1, 2), 0x0880);
	config(&r, PCI_BAR0, 4, 0xffffffff);
	CHECK_EQ(t, config_get(&r, PCI_BAR0, 4), 0xfffffff0);
	config(&r, PCI_BAR0, 4, BAR);
	/* Nothing changes without the unlock sequence, and each write needs its own. */
	set(&r, BAR, 4, 5);
	CHECK_EQ(t, get(&r, BAR), 0xfffff);
	set(&r, BAR + 0x0c, 2, 0x86);
	set(&r, BAR, 4, 5);
	CHECK_EQ(t, get(&r, BAR), 0xfffff);
	esb_unlock(&r);
	set(&r, BAR, 4, 0xfff12345);
	set(&r, BAR + 4, 4, 7);
	CHECK_EQ(t, get(&r, BAR), 0x12345);
	CHECK_EQ(t, get(&r, BAR + 4), 0xfffff);
	CHECK_EQ(t, get(&r, BAR + 0x0c), 0);
	esb_down(&r);
}

static void esb_stages(struct tap *t)
{
	struct rig r;

	esb_up(&r);
	config(&r, 0x60, 2, 0x0003); /* as Linux: no interrupt, 1 kHz, the second stage counts */
	CHECK_EQ(t, config_get(&r, 0x60, 2), 3);
	esb_start(&r, 20);
	CHECK(t, wait_for(&r, &r.warned, 1));
	CHECK_EQ(t, r.expired, 0);
	CHECK(t, !r.f.line[19]);
	CHECK(t, wait_for(&r, &r.expired, 1));
	CHECK_EQ(t, r.warned, 1);
	CHECK_EQ(t, get(&r, BAR + 0x0c), 0x200);
	/* It rests until it is fed again. */
	run_for(&r, 100);
	CHECK_EQ(t, r.expired, 1);
	esb_unlock(&r);
	set(&r, BAR + 0x0c, 2, 0x200);
	CHECK_EQ(t, get(&r, BAR + 0x0c), 0);
	esb_reload(&r);
	CHECK(t, wait_for(&r, &r.expired, 2));
	esb_down(&r);
}

static void esb_fed(struct tap *t)
{
	struct rig r;

	esb_up(&r);
	config(&r, 0x60, 2, 0x0003);
	esb_start(&r, 10000);
	for (unsigned i = 0; i < 20; i++) {
		run_for(&r, 5);
		esb_reload(&r);
	}
	/* Off: the lock register. */
	esb_start(&r, 10);
	config(&r, 0x68, 1, 0);
	run_for(&r, 200);
	CHECK_EQ(t, r.warned + r.expired, 0);
	/* Locked: it stays on. */
	esb_start(&r, 1000);
	config(&r, 0x68, 1, 3);
	config(&r, 0x68, 1, 0);
	CHECK_EQ(t, config_get(&r, 0x68, 1), 3);
	esb_unlock(&r);
	set(&r, BAR, 4, 1);
	esb_unlock(&r);
	set(&r, BAR + 4, 4, 1);
	esb_reload(&r);
	CHECK(t, wait_for(&r, &r.expired, 1));
	esb_down(&r);
}

static void esb_interrupt(struct tap *t)
{
	struct rig r;

	esb_up(&r);
	config(&r, 0x60, 2, 0x0024); /* an interrupt, 1 MHz, and no second stage */
	esb_start(&r, 20000);
	CHECK(t, wait_for(&r, &r.warned, 1));
	CHECK(t, r.f.line[19]);
	CHECK_EQ(t, get(&r, BAR + 8), 1);
	set(&r, BAR + 8, 1, 1);
	CHECK(t, !r.f.line[19]);
	for (unsigned i = 0; i < 30000 && !get(&r, BAR + 0x0c); i++)
		run_for(&r, 1);
	CHECK_EQ(t, get(&r, BAR + 0x0c), 0x200);
	CHECK_EQ(t, r.expired, 0);
	esb_down(&r);
}

/* While the guest stands still, so does its watchdog. */
static void esb_held(struct tap *t)
{
	struct rig r;

	esb_up(&r);
	config(&r, 0x60, 2, 0x0003);
	esb_start(&r, 100);
	i6300esb_hold(&r.esb, true);
	i6300esb_hold(&r.esb, true);
	run_for(&r, 300);
	CHECK_EQ(t, r.warned + r.expired, 0);
	i6300esb_hold(&r.esb, false);
	CHECK(t, wait_for(&r, &r.expired, 1));
	esb_down(&r);
}

static void esb_hostile(struct tap *t)
{
	struct rig r;
	uint64_t x = 7, v;

	esb_up(&r);
	for (unsigned i = 0; i < 100000; i++) {
		unsigned len = 1u << (x >> 60 & 3);

		x = x * 6364136223846793005u + 1442695040888963407u;
		v = x >> 30 & 1 ? (x >> 31 & 1 ? 0x80 : 0x86) : x >> 20;
		if (x >> 55 & 1)
			config(&r, 4 * (x >> 33 & 0x3f), 4, (uint32_t)v | (i % 4 ? 2 : 0));
		else
			set(&r, BAR + (x >> 33 & 0xf), len, v);
		if (!(i % 1000))
			ev_run_once(r.f.vmm.loop, 0);
	}
	CHECK_EQ(t, config_get(&r, 0, 4), 0x25ab8086);
	esb_down(&r);
}

static void sbsa_up(struct rig *r)
{
	struct sbsa_wdt_conf conf = { REFRESH, CONTROL, IRQ, HZ, counter, NULL, on_event, r };

	*r = (struct rig){ .warned = 0 };
	fake_vmm_init(&r->f);
	if (sbsa_wdt_init(&r->sbsa, &r->f.vmm, &conf, NULL))
		exit(1);
}

static void sbsa_down(struct rig *r)
{
	sbsa_wdt_finish(&r->sbsa);
	fake_vmm_finish(&r->f);
}

static void sbsa_registers(struct tap *t)
{
	struct rig r;
	uint64_t left;

	sbsa_up(&r);
	CHECK_EQ(t, get(&r, CONTROL + 0xfcc) >> 16 & 0xf, 1);
	CHECK_EQ(t, get(&r, REFRESH + 0xfcc), get(&r, CONTROL + 0xfcc));
	CHECK_EQ(t, get(&r, CONTROL), 0);
	set(&r, CONTROL + 8, 8, 0xffff123456789abc);
	CHECK_EQ(t, get64(&r, CONTROL + 8), 0x123456789abc);
	set(&r, CONTROL + 8, 4, (uint32_t)(100ull * HZ));
	set(&r, CONTROL + 12, 4, 100ull * HZ >> 32);
	set(&r, CONTROL, 4, 7);
	CHECK_EQ(t, get(&r, CONTROL), 1);
	left = get64(&r, CONTROL + 0x10) - counter(NULL);
	CHECK(t, left > 70ull * HZ && left <= 100ull * HZ);
	/* Feeding moves the moment. */
	set(&r, CONTROL + 8, 8, 50ull * HZ);
	set(&r, REFRESH, 4, 1);
	left = get64(&r, CONTROL + 0x10) - counter(NULL);
	CHECK(t, left > 20ull * HZ && left <= 50ull * HZ);
	set(&r, CONTROL, 4, 0);
	left = get64(&r, CONTROL + 0x10);
	run_for(&r, 20);
	CHECK_EQ(t, get64(&r, CONTROL + 0x10), left);
	sbsa_down(&r);
}

static void sbsa_signals(struct tap *t)
{
	struct rig r;

	sbsa_up(&r);
	set(&r, CONTROL + 8, 4, 20 * MS);
	set(&r, CONTROL, 4, 1);
	CHECK(t, wait_for(&r, &r.warned, 1));
	CHECK(t, r.f.line[IRQ]);
	CHECK_EQ(t, r.expired, 0);
	CHECK_EQ(t, get(&r, CONTROL), 3);
	/* Fed in the second stage: all is well again. */
	set(&r, REFRESH, 4, 0);
	CHECK(t, !r.f.line[IRQ]);
	CHECK_EQ(t, get(&r, CONTROL), 1);
	CHECK(t, wait_for(&r, &r.expired, 1));
	CHECK_EQ(t, r.warned, 2);
	CHECK_EQ(t, get(&r, CONTROL), 7);
	run_for(&r, 100);
	CHECK_EQ(t, r.expired, 1);
	CHECK_EQ(t, r.warned, 2);
	/* A compare value in the past ends the stage at once. */
	set(&r, CONTROL, 4, 0);
	set(&r, CONTROL + 8, 8, 100ull * HZ);
	set(&r, CONTROL, 4, 1);
	set(&r, CONTROL + 0x10, 8, counter(NULL) - 5);
	CHECK(t, wait_for(&r, &r.warned, 3));
	CHECK_EQ(t, r.expired, 1);
	sbsa_down(&r);
}

static void sbsa_held(struct tap *t)
{
	struct rig r;
	uint64_t left;

	sbsa_up(&r);
	set(&r, CONTROL + 8, 4, 100 * MS);
	set(&r, CONTROL, 4, 1);
	sbsa_wdt_hold(&r.sbsa, true);
	run_for(&r, 300);
	CHECK_EQ(t, r.warned + r.expired, 0);
	left = get64(&r, CONTROL + 0x10) - counter(NULL);
	CHECK(t, left <= 100 * MS); /* the moment moves on with the counter */
	sbsa_wdt_hold(&r.sbsa, false);
	CHECK(t, wait_for(&r, &r.expired, 1));
	CHECK_EQ(t, r.warned, 1);
	sbsa_down(&r);
}

static void sbsa_hostile(struct tap *t)
{
	struct rig r;
	uint64_t x = 7, v;

	sbsa_up(&r);
	for (unsigned i = 0; i < 100000; i++) {
		unsigned len = 1u << (x >> 60 & 3);
		uint64_t at = REFRESH + (x >> 33) % (2 * SBSA_WDT_FRAME - len);

		x = x * 6364136223846793005u + 1442695040888963407u;
		v = x >> (x >> 58);
		if (x >> 31 & 1)
			at = CONTROL + 4 * (x >> 40 & 7);
		if (x >> 57 & 1)
			set(&r, at, len, v);
		else
			bus_read(&r.f.vmm.mmio, at, &v, len);
		if (!(i % 1000))
			ev_run_once(r.f.vmm.loop, 0);
	}
	CHECK_EQ(t, get(&r, CONTROL + 0xfcc) >> 16 & 0xf, 1);
	sbsa_down(&r);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, esb_identity);
	TAP_RUN(&t, esb_stages);
	TAP_RUN(&t, esb_fed);
	TAP_RUN(&t, esb_interrupt);
	TAP_RUN(&t, esb_held);
	TAP_RUN(&t, esb_hostile);
	TAP_RUN(&t, sbsa_registers);
	TAP_RUN(&t, sbsa_signals);
	TAP_RUN(&t, sbsa_held);
	TAP_RUN(&t, sbsa_hostile);
	return tap_done(&t);
}
