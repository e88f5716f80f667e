/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The watchdog's frames. The guest sees a compare value of its system counter (WCV); behind it is a
 * countdown, so that the guest's standing still is not held against it.
 */
#include "machine/arm64/sbsa_wdt.h"

#include "base/util.h"
#include "machine/reg32.h"

#define WRR    0x000u /* refresh frame */
#define WCS    0x000u /* control frame */
#define WOR    0x008u
#define WOR_H  0x00cu
#define WCV    0x010u
#define WCV_H  0x014u
#define W_IIDR 0xfccu /* both */

#define WCS_EN	0x1u
#define WCS_WS0 0x2u
#define WCS_WS1 0x4u

#define IIDR	 0x0001043bu /* version 1: offsets of 48 bits; Arm */
#define WOR_MASK ((UINT64_C(1) << 48) - 1)

#define NS_PER_S UINT64_C(1000000000)
#define MAX_S	 UINT64_C(1000000000) /* longer ones are all the same */

static uint64_t to_ns(const struct sbsa_wdt *w, uint64_t ticks)
{
	uint64_t f = w->conf.frequency;

	return min_u64(ticks / f, MAX_S) * NS_PER_S + ticks % f * NS_PER_S / f;
}

static uint64_t to_ticks(const struct sbsa_wdt *w, uint64_t ns)
{
	uint64_t f = w->conf.frequency;

	return ns / NS_PER_S * f + ns % NS_PER_S * f / NS_PER_S;
}

static uint64_t now(const struct sbsa_wdt *w)
{
	return w->conf.counter(w->conf.counter_arg);
}

static void update_line(struct sbsa_wdt *w)
{
	if (w->ws0 == w->line)
		return;
	w->line = w->ws0;
	w->vmm->ops->irq_line(w->vmm, w->conf.irq, w->line);
}

static uint64_t compare_value(const struct sbsa_wdt *w)
{
	return w->countdown.running ? now(w) + to_ticks(w, countdown_left(&w->countdown))
				    : w->compare;
}

static void count(struct sbsa_wdt *w, uint64_t ticks)
{
	countdown_start(&w->countdown, max_u64(to_ns(w, ticks), 1));
}

static void refresh(struct sbsa_wdt *w)
{
	w->ws0 = w->ws1 = false;
	if (w->enabled)
		count(w, w->offset);
}

static void set_enabled(struct sbsa_wdt *w, bool on)
{
	w->compare = compare_value(w);
	w->enabled = on;
	if (!on)
		countdown_stop(&w->countdown);
	refresh(w);
}

/* A guest may move the moment itself. */
static void set_compare(struct sbsa_wdt *w, uint64_t v)
{
	uint64_t at = now(w);

	w->compare = v;
	if (w->enabled && !w->ws1)
		count(w, v > at ? v - at : 0);
}

/* Half of a 64-bit register replaced. */
static uint64_t with_half(uint64_t old, bool high, uint32_t v)
{
	return high ? (old & UINT32_MAX) | (uint64_t)v << 32 : (old & ~(uint64_t)UINT32_MAX) | v;
}

static uint32_t read_control(void *arg, uint32_t reg)
{
	const struct sbsa_wdt *w = arg;

	switch (reg) {
	case WCS:
		return (w->enabled ? WCS_EN : 0) | (w->ws0 ? WCS_WS0 : 0) | (w->ws1 ? WCS_WS1 : 0);
	case WOR:
		return (uint32_t)w->offset;
	case WOR_H:
		return (uint32_t)(w->offset >> 32);
	case WCV:
		return (uint32_t)compare_value(w);
	case WCV_H:
		return (uint32_t)(compare_value(w) >> 32);
	case W_IIDR:
		return IIDR;
	default:
		return 0;
	}
}

static void write_control(void *arg, uint32_t reg, uint32_t v)
{
	struct sbsa_wdt *w = arg;

	switch (reg) {
	case WCS:
		set_enabled(w, v & WCS_EN);
		break;
	case WOR:
	case WOR_H:
		w->offset = with_half(w->offset, reg == WOR_H, v) & WOR_MASK;
		refresh(w);
		break;
	case WCV:
	case WCV_H:
		set_compare(w, with_half(compare_value(w), reg == WCV_H, v));
		break;
	default:
		break;
	}
}

static uint32_t read_refresh(void *arg, uint32_t reg)
{
	return reg == W_IIDR ? IIDR : 0;
}

static void write_refresh(void *arg, uint32_t reg, uint32_t v)
{
	if (reg == WRR)
		refresh(arg);
}

static void access_read(
	struct sbsa_wdt *w, reg32_read_fn fn, uint64_t offset, void *data, unsigned len)
{
	pthread_mutex_lock(&w->lock);
	reg32_read(fn, w, offset, data, len);
	pthread_mutex_unlock(&w->lock);
}

static void access_write(
	struct sbsa_wdt *w, reg32_write_fn fn, uint64_t offset, const void *data, unsigned len)
{
	pthread_mutex_lock(&w->lock);
	reg32_write(fn, w, offset, data, len);
	update_line(w);
	pthread_mutex_unlock(&w->lock);
}

static void control_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	access_read(arg, read_control, offset, data, len);
}

static void control_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	access_write(arg, write_control, offset, data, len);
}

static void refresh_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	access_read(arg, read_refresh, offset, data, len);
}

static void refresh_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	access_write(arg, write_refresh, offset, data, len);
}

static void on_end(void *arg, uint32_t events)
{
	struct sbsa_wdt *w = arg;
	bool ended, last;

	pthread_mutex_lock(&w->lock);
	ended = countdown_ended(&w->countdown);
	last = w->ws0;
	if (ended && last) {
		w->ws1 = true;
		w->compare = now(w);
	} else if (ended) {
		w->ws0 = true;
		count(w, w->offset);
	}
	update_line(w);
	pthread_mutex_unlock(&w->lock);
	if (ended)
		w->conf.event(
			w->conf.arg, last ? MACHINE_WATCHDOG_EXPIRED : MACHINE_WATCHDOG_PRETIMEOUT);
}

int sbsa_wdt_init(
	struct sbsa_wdt *w, struct vmm *vmm, const struct sbsa_wdt_conf *conf, struct err *e)
{
	int rc;

	*w = (struct sbsa_wdt){
		.vmm = vmm,
		.conf = *conf,
		.refresh = { .len = SBSA_WDT_FRAME,
			.name = "watchdog refresh frame",
			.read = refresh_read,
			.write = refresh_write,
			.arg = w },
		.control = { .len = SBSA_WDT_FRAME,
			.name = "watchdog control frame",
			.read = control_read,
			.write = control_write,
			.arg = w },
	};
	pthread_mutex_init(&w->lock, NULL);
	rc = countdown_init(&w->countdown, vmm->loop, on_end, w, e);
	if (!rc)
		rc = bus_add(&vmm->mmio, &w->refresh, conf->refresh, e);
	return rc ? rc : bus_add(&vmm->mmio, &w->control, conf->control, e);
}

void sbsa_wdt_finish(struct sbsa_wdt *w)
{
	if (!w->vmm)
		return;
	countdown_finish(&w->countdown);
	bus_del(&w->vmm->mmio, &w->refresh);
	bus_del(&w->vmm->mmio, &w->control);
	pthread_mutex_destroy(&w->lock);
	w->vmm = NULL;
}

void sbsa_wdt_hold(struct sbsa_wdt *w, bool hold)
{
	pthread_mutex_lock(&w->lock);
	countdown_hold(&w->countdown, hold);
	pthread_mutex_unlock(&w->lock);
}
