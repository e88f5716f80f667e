/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices whose answers are values: each is checked by what is known of it. Random bytes are never
 * the same twice, time never goes back, a key that is pressed was not pressed before.
 */
#include <fcntl.h>
#include <string.h>

#include "base/loop.h"
#include "base/util.h"
#include "drivers/input.h"
#include "drivers/rng.h"
#include "drivers/rtc.h"
#include "load_classes.h"

#define BYTES 64u

/* Of Linux's input-event-codes.h. */
enum { EV_SYN = 0, EV_KEY = 1, EV_LED = 0x11, KEY_A = 30 };

struct state {
	union {
		struct drv_rng rng;
		struct drv_rtc rtc;
		struct drv_input input;
	};
	uint8_t last[BYTES]; /* random bytes */
	uint64_t time;	     /* the last reading */
	bool down;	     /* the key */
	uint64_t heard;	     /* when the last event came */
};

static void *new_state(struct load *l)
{
	l->state = calloc(1, sizeof(struct state));
	return l->state;
}

static int answered(struct load *l, uint64_t begun)
{
	l->begun = begun;
	l->done++;
	return 0;
}

static int rng_step(struct load *l)
{
	struct state *st = l->state;
	uint64_t begun = ev_now_ns();
	uint8_t bytes[BYTES] = { 0 };
	static const uint8_t none[BYTES / 2];
	int r = drv_rng_read(&st->rng, bytes, BYTES, seat_until());

	if (r)
		return load_fail(l, "no random bytes: %d", r);
	if (!memcmp(bytes, none, BYTES / 2) || !memcmp(bytes + BYTES / 2, none, BYTES / 2))
		return load_fail(l, "random bytes are zeroes");
	if (!memcmp(bytes, st->last, BYTES / 2))
		return load_fail(l, "random bytes came twice");
	memcpy(st->last, bytes, BYTES);
	return answered(l, begun);
}

static int rng_open(struct load *l)
{
	struct state *st = new_state(l);
	int r = st ? drv_rng_open(&st->rng, &l->seat[0].dev) : DRV_NO_MEMORY;

	return r ? load_fail(l, "opening the entropy device: %d", r) : 0;
}

static int rtc_step(struct load *l)
{
	struct state *st = l->state;
	uint64_t begun = ev_now_ns(), time = 0;
	int r = drv_rtc_read(&st->rtc, 0, &time);

	if (r)
		return load_fail(l, "no reading: %d", r);
	if (time < st->time)
		return load_fail(
			l, "time went back by %llu ns", (unsigned long long)(st->time - time));
	st->time = time;
	return answered(l, begun);
}

static int rtc_open(struct load *l)
{
	struct state *st = new_state(l);
	int r = st ? drv_rtc_open(&st->rtc, &l->seat[0].dev) : DRV_NO_MEMORY;

	if (r)
		return load_fail(l, "opening the clock: %d", r);
	st->rtc.timeout = seat_until() - ev_now_ns();
	return 0;
}

/* The script presses and releases one key without end. */
static int input_prepare(struct load *l)
{
	static const char script[] =
		"0.000 key KEY_A down\n0.001 key KEY_A up\n0.002 key KEY_A down\n"
		"0.003 key KEY_A up\n";
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/script", l->srv.dir);
	f = fopen(path, "we");
	if (!f || fputs(script, f) < 0 || fclose(f))
		return load_fail(l, "script %s: %m", path);
	return 0;
}

static int take_event(struct load *l, const struct drv_input_event *e)
{
	struct state *st = l->state;

	if (e->type == EV_SYN)
		return 0;
	/* A new process releases all keys: it does not know which were held. */
	if (e->type == EV_KEY && !e->value) {
		st->down = st->down && e->code != KEY_A;
		return 0;
	}
	if (e->type != EV_KEY || e->code != KEY_A || e->value != 1)
		return load_fail(l, "event %u %u %d", e->type, e->code, e->value);
	if (st->down && load_calm(l, st->heard))
		return load_fail(l, "the key is pressed twice");
	st->down = true;
	st->heard = ev_now_ns();
	return 0;
}

/* An LED is switched, and what the script has pressed meanwhile is taken. */
static int input_step(struct load *l)
{
	struct state *st = l->state;
	uint64_t begun = ev_now_ns();
	struct drv_input_event e = { .type = EV_LED, .value = load_random(l) & 1 };
	int r = drv_input_send(&st->input, &e, seat_until());

	if (r)
		return load_fail(l, "switching an LED: %d", r);
	while (!r && !*l->why) {
		r = drv_input_read(&st->input, &e, 0);
		if (!r && take_event(l, &e))
			return -1;
	}
	return r == DRV_TIMEOUT ? answered(l, begun) : load_fail(l, "no event: %d", r);
}

static int input_open(struct load *l)
{
	struct state *st = new_state(l);
	int r = st ? drv_input_open(&st->input, &l->seat[0].dev) : DRV_NO_MEMORY;

	return r ? load_fail(l, "opening the input device: %d", r) : 0;
}

static const char *const rng_words[] = { "device", "rng", NULL };
static const char *const rtc_words[] = { "device", "rtc", "--clocks", "monotonic", NULL };
static const char *const input_words[] = { "device", "input", "--replay", "{dir}/script",
	"--replay-loop", "true", NULL };

const struct load_class load_rng = { .name = "rng",
	.words = rng_words,
	.nports = 1,
	.id = DRV_ID_RNG,
	.nqueues = 1,
	.open = rng_open,
	.step = rng_step };

const struct load_class load_rtc = { .name = "rtc",
	.words = rtc_words,
	.nports = 1,
	.id = DRV_ID_RTC,
	.nqueues = 2,
	.open = rtc_open,
	.step = rtc_step };

const struct load_class load_input = { .name = "input",
	.words = input_words,
	.nports = 1,
	.id = DRV_ID_INPUT,
	.nqueues = 2,
	.prepare = input_prepare,
	.open = input_open,
	.step = input_step };
