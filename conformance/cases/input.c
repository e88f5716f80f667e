/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The input device (VIRTIO 1.4, 5.8). Events come by themselves or not at all: cases of the eventq
 * need the fact `update`, the number of events of each update (SYN_REPORT included) that the
 * device's host side causes all the time.
 */
#include "drivers/input.h"
#include "conformance/cases/cases.h"

#define FRESH	  0xa5
#define CFG_SIZE  2u
#define CFG_DATA  8u
#define CFG_LEN	  (CFG_DATA + DRV_INPUT_DATA)
#define EVENT_LEN 8u
#define TYPES	  32u		      /* EV_CNT */
#define AXES	  64u		      /* ABS_CNT */
#define SETTLE	  1024u		      /* events of one update at most */
#define LONG	  UINT64_C(600000000) /* ns without buffers: updates get lost */
#define SHORT	  UINT64_C(20000000)

/* Of Linux's input-event-codes.h. */
enum {
	EV_SYN = 0,
	EV_ABS = 3,
	SYN_REPORT = 0,
	SYN_DROPPED = 3,
};

/* The configuration. */

/* Selects, in this order or the other, and reads all that follows. */
static bool query(struct cf *c, bool subsel_first, uint8_t select, uint8_t subsel, uint8_t *size,
	uint8_t data[DRV_INPUT_DATA])
{
	struct drv_dev *dev = cf_dev(c);
	const uint8_t value[2] = { select, subsel };

	for (unsigned i = 0; i < 2; i++) {
		uint32_t at = i ^ subsel_first;

		if (!cf_check(c, !dev->ops->config_write(dev, at, &value[at], 1),
			    "%s cannot be written", at ? "subsel" : "select"))
			return false;
	}
	return cf_check(c,
		       !drv_config(dev, CFG_SIZE, size, 1) &&
			       !drv_config(dev, CFG_DATA, data, DRV_INPUT_DATA),
		       "the configuration cannot be read") &&
	       cf_check(c, *size <= DRV_INPUT_DATA,
		       "select 0x%x, subsel 0x%x: size %u, there are %u bytes", select, subsel,
		       *size, DRV_INPUT_DATA);
}

/* The size of what is selected; 0xff: it could not be read (recorded). */
static uint8_t size_of(struct cf *c, uint8_t select, uint8_t subsel)
{
	uint8_t data[DRV_INPUT_DATA], size;

	return query(c, false, select, subsel, &size, data) ? size : 0xff;
}

static bool nothing_at(struct cf *c, uint8_t select, uint8_t subsel)
{
	uint8_t size = size_of(c, select, subsel);

	return cf_check(
		c, size == 0, "select 0x%x, subsel 0x%x: size %u, must be 0", select, subsel, size);
}

/* What no selection names has the size 0. */
static void unsupported(struct cf *c)
{
	for (unsigned select = 0; select < 256; select++) {
		bool known = (select >= VIRTIO_INPUT_CFG_ID_NAME &&
				     select <= VIRTIO_INPUT_CFG_ID_DEVIDS) ||
			     (select >= VIRTIO_INPUT_CFG_PROP_BITS &&
				     select <= VIRTIO_INPUT_CFG_ABS_INFO);

		if (!known &&
			(!nothing_at(c, (uint8_t)select, 0) || !nothing_at(c, (uint8_t)select, 1) ||
				!nothing_at(c, (uint8_t)select, 0xff)))
			return;
	}
}

/* Strings, IDs and properties have no subsel but 0. */
static void unsupported_subsel(struct cf *c)
{
	static const uint8_t whole[] = { VIRTIO_INPUT_CFG_ID_NAME, VIRTIO_INPUT_CFG_ID_SERIAL,
		VIRTIO_INPUT_CFG_ID_DEVIDS, VIRTIO_INPUT_CFG_PROP_BITS };

	for (unsigned i = 0; i < sizeof(whole); i++)
		for (unsigned subsel = 1; subsel < 256; subsel += 1 + (subsel > 3) * 14)
			if (!nothing_at(c, whole[i], (uint8_t)subsel))
				return;
}

/* Axes have a range where the bitmap has them, and size 0 elsewhere; there are TYPES types. */
static void axes(struct cf *c)
{
	uint8_t map[DRV_INPUT_DATA], data[DRV_INPUT_DATA], have, size;
	struct drv_input_abs abs;

	if (!query(c, false, VIRTIO_INPUT_CFG_EV_BITS, EV_ABS, &have, map))
		return;
	for (unsigned i = 0; i < 256; i++) {
		bool there = i / 8 < have && (map[i / 8] >> (i % 8) & 1);

		if (!query(c, false, VIRTIO_INPUT_CFG_ABS_INFO, (uint8_t)i, &size, data) ||
			!cf_check(c, size == (there ? sizeof(abs) : 0),
				"axis 0x%x, which the device %s, has size %u", i,
				there ? "has" : "has not", size))
			return;
		cf_copy(&abs, data, sizeof(abs));
		if (there && !cf_check(c, abs.min <= abs.max, "axis 0x%x: from %d to %d", i,
				     abs.min, abs.max))
			return;
	}
	for (unsigned type = TYPES; type < 256; type++)
		if (!nothing_at(c, VIRTIO_INPUT_CFG_EV_BITS, (uint8_t)type))
			return;
}

static void fact_is(struct cf *c, const char *key, uint8_t select)
{
	const char *fact = cf_fact(c, key);
	uint8_t data[DRV_INPUT_DATA + 1] = { 0 }, size;

	if (!query(c, false, select, 0, &size, data))
		return;
	for (unsigned i = 0; i < size; i++)
		if (!cf_check(c, data[i], "%s: a NUL byte at %u of %u", key, i, size))
			return;
	data[size] = 0;
	if (fact)
		cf_check(c, cf_text_same((char *)data, fact), "%s is '%s', must be '%s'", key, data,
			fact);
}

static void identity(struct cf *c)
{
	uint8_t size;

	fact_is(c, "name", VIRTIO_INPUT_CFG_ID_NAME);
	fact_is(c, "serial", VIRTIO_INPUT_CFG_ID_SERIAL);
	size = size_of(c, VIRTIO_INPUT_CFG_ID_DEVIDS, 0);
	cf_check(c, size == 0 || size == 8, "the IDs have %u bytes, must be 8", size);
}

/* It does not matter which of the two is written first, nor what was selected before. */
static void any_order(struct cf *c)
{
	uint8_t first[DRV_INPUT_DATA], again[DRV_INPUT_DATA], n, m;

	for (unsigned subsel = 0; subsel < TYPES; subsel++) {
		const uint8_t select = VIRTIO_INPUT_CFG_EV_BITS;

		if (!query(c, false, select, (uint8_t)subsel, &n, first) ||
			!query(c, false, 0xff, 0xff, &m, again) ||
			!query(c, true, select, (uint8_t)subsel, &m, again))
			return;
		if (!cf_check(c, n == m && cf_same(first, again, n),
			    "type 0x%x: subsel before select gives something else", subsel))
			return;
	}
}

/* Ones into size, reserved and data of a live selection. */
static void read_only(struct cf *c)
{
	uint8_t before[DRV_INPUT_DATA], after[DRV_INPUT_DATA], n, m;
	struct drv_queue *q = cf_up(c, 0, 2);

	if (!q || !query(c, false, VIRTIO_INPUT_CFG_ID_NAME, 0, &n, before))
		return;
	for (uint32_t at = CFG_SIZE; at < CFG_LEN; at++) {
		const uint8_t ones = 0xff;

		cf_dev(c)->ops->config_write(cf_dev(c), at, &ones, 1);
		if (cf_hung_up(c) && !cf_up(c, 0, 2))
			return;
	}
	if (!query(c, false, VIRTIO_INPUT_CFG_ID_NAME, 0, &m, after))
		return;
	cf_check(c, n == m && cf_same(before, after, n), "a read-only field took a write");
}

/* Events. */

struct event {
	uint16_t type, code;
	int32_t value;
};

/* A driver that takes events, and what the device said that it has. */
struct taker {
	struct cf *c;
	struct drv_queue *q;
	uint8_t *buf;
	uint8_t map[TYPES][DRV_INPUT_DATA];
	uint64_t update; /* events of an update */
};

static bool taker_up(struct taker *t, struct cf *c)
{
	const char *fact = cf_fact(c, "update");
	uint8_t size;

	t->c = c;
	if (!fact) {
		cf_skip(c, "nothing causes events (fact update)");
		return false;
	}
	if (!cf_check(c, cf_number(fact, &t->update) && t->update > 1, "fact update: %s", fact))
		return false;
	t->q = cf_up(c, 0, 2);
	t->buf = cf_buf(c, EVENT_LEN);
	for (unsigned type = 0; t->q && type < TYPES; type++)
		if (!query(c, false, VIRTIO_INPUT_CFG_EV_BITS, (uint8_t)type, &size, t->map[type]))
			return false;
	return t->q && t->buf;
}

static bool has(const struct taker *t, const struct event *ev)
{
	/* That the device has EV_SYN need not be said: every device has. */
	return ev->type == EV_SYN ||
	       (ev->type < TYPES && ev->code / 8 < DRV_INPUT_DATA &&
		       (t->map[ev->type][ev->code / 8] >> (ev->code % 8) & 1));
}

/* One event, in a buffer of its own. */
static bool take(struct taker *t, struct event *ev)
{
	cf_fill(t->buf, FRESH, EVENT_LEN);
	if (!cf_do(t->c, t->q, NULL, 0, t->buf, EVENT_LEN, EVENT_LEN))
		return false;
	cf_copy(ev, t->buf, sizeof(*ev));
	return cf_check(t->c, has(t, ev), "an event that the device has not: type %u, code %u",
		ev->type, ev->code);
}

/* One update; `*dropped`: the device says that it lost some, in place of an update. */
static bool take_update(struct taker *t, unsigned *n, bool *dropped)
{
	struct event ev;

	*dropped = false;
	for (*n = 1; *n < SETTLE; ++*n) {
		if (!take(t, &ev))
			return false;
		*dropped |= ev.type == EV_SYN && ev.code == SYN_DROPPED;
		if (ev.type == EV_SYN && ev.code == SYN_REPORT)
			return true;
	}
	return cf_check(t->c, false, "%u events without SYN_REPORT", SETTLE);
}

/* Updates that must be whole, `rounds` of them. What a device says after a loss, up to the next
 * update, is its own affair. */
static bool whole_updates(struct taker *t, unsigned rounds, unsigned *losses)
{
	bool settled = false, dropped;
	unsigned n;

	for (unsigned i = 0; i < rounds; i++) {
		if (!take_update(t, &n, &dropped))
			return false;
		*losses += dropped;
		if (settled && !dropped &&
			!cf_check(t->c, n == t->update,
				"an update of %u events, must be %u: part of it was dropped", n,
				(unsigned)t->update))
			return false;
		/* The first one may lead to the state as it is. */
		settled = n == t->update && !dropped;
	}
	return true;
}

static void updates(struct cf *c)
{
	unsigned losses = 0;
	struct taker t;

	if (taker_up(&t, c))
		whole_updates(&t, 40, &losses);
}

static void pause(struct cf *c, uint64_t ns)
{
	uint64_t until = drv_now(cf_dev(c)) + ns;

	while (drv_now(cf_dev(c)) < until)
		;
}

/* Long without buffers, then one at a time: whole updates all the same. */
static void without_buffers(struct cf *c)
{
	unsigned losses = 0;
	struct taker t;

	if (!taker_up(&t, c))
		return;
	for (unsigned i = 0; i < 3; i++) {
		pause(c, LONG);
		if (!whole_updates(&t, 200, &losses))
			return;
	}
	cf_note(c, "lost updates %u times", losses);
}

/* A buffer is used for one event, whatever room it has. */
static void event_sizes(struct cf *c)
{
	static const uint32_t len[] = { 8, 9, 15, 16, 17, 64, 4096 };
	uint8_t *buf = cf_buf(c, 4096);
	struct taker t;

	if (!buf || !taker_up(&t, c))
		return;
	for (unsigned i = 0; i < 3 * sizeof(len) / sizeof(*len); i++) {
		uint32_t n = len[i % (sizeof(len) / sizeof(*len))];

		cf_fill(buf, FRESH, n);
		if (!cf_do(c, t.q, NULL, 0, buf, n, EVENT_LEN) ||
			!cf_check(c, cf_filled(buf + EVENT_LEN, FRESH, n - EVENT_LEN),
				"the device wrote behind the event"))
			return;
	}
}

/* An event in several elements of one buffer. */
static void event_pieces(struct cf *c)
{
	static const uint16_t lens[] = { 1, 2, 4, 1, 30 };
	enum { N = sizeof(lens) / sizeof(*lens) };
	struct drv_sg sg[N];
	uint8_t *buf[N];
	uint32_t used;
	struct taker t;

	if (!taker_up(&t, c))
		return;
	for (unsigned i = 0; i < N; i++) {
		if (!(buf[i] = cf_buf(c, lens[i])))
			return;
		sg[i] = cf_sg(c, buf[i], lens[i]);
	}
	if (!cf_submit(c, t.q, sg, 0, N, sg) || !cf_used(c, t.q, NULL, &used))
		return;
	cf_eq(c, used, EVENT_LEN, "the used length");
	cf_check(c, cf_filled(buf[4], FRESH, 30), "the device wrote behind the event");
}

/* Once a reset is complete, no buffer of before is written. */
static void reset_under_load(struct cf *c)
{
	enum { FLIGHT = 16 };
	uint8_t *buf = cf_buf(c, FLIGHT * EVENT_LEN);
	struct taker t;

	for (unsigned round = 0; buf && round < 8; round++) {
		if (!taker_up(&t, c))
			return;
		for (unsigned i = 0; i < FLIGHT && i < t.q->ring.size; i++) {
			struct drv_sg sg = cf_sg(c, buf + i * EVENT_LEN, EVENT_LEN);

			if (!cf_submit(c, t.q, &sg, 0, 1, buf))
				return;
		}
		if (!cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset"))
			return;
		cf_fill(buf, 0x77, FLIGHT * EVENT_LEN);
		pause(c, SHORT);
		if (!cf_check(c, cf_filled(buf, 0x77, FLIGHT * EVENT_LEN),
			    "a buffer of before the reset was written after it"))
			return;
	}
}

/* A back-end that dies and comes back goes on with whole updates, and answers what it had. */
static void killed(struct cf *c)
{
	struct cf_target *target = cf_target(c);
	unsigned losses = 0;
	struct taker t;

	if (!target->kill) {
		cf_skip(c, "the back-end cannot be killed here");
		return;
	}
	if (!taker_up(&t, c))
		return;
	for (unsigned round = 0; round < 3; round++)
		if (!cf_check(c, target->kill(target), "the back-end cannot be replaced") ||
			!whole_updates(&t, 20, &losses))
			return;
}

/* Status. */

/* LEDs that there are or are not, types that nobody knows: all are taken, nothing is written. */
static void status_events(struct cf *c)
{
	static const struct event events[] = { { 0x11, 0, 1 }, { 0x11, 0, 0 }, { 0x11, 0xf, 1 },
		{ 0x12, 1, 1000 }, { 0x14, 0, 250 }, { 0, 0, 0 }, { 1, 30, 1 }, { 3, 0, 5 },
		{ 0x1f, 0x3ff, -1 }, { 0xffff, 0xffff, INT32_MIN }, { 0x11, 0xffff, 1 } };
	uint8_t *out = cf_buf(c, EVENT_LEN);

	if (!cf_up(c, 0, 2) || !out)
		return;
	for (unsigned i = 0; i < sizeof(events) / sizeof(*events); i++) {
		cf_copy(out, &events[i], EVENT_LEN);
		if (!cf_do(c, cf_q(c, 1), out, EVENT_LEN, NULL, 0, 0))
			return;
	}
}

static void status_sizes(struct cf *c)
{
	static const uint32_t len[] = { 8, 9, 16, 64, 4096, 65536 };
	uint8_t *out = cf_buf(c, 65536);

	if (!cf_up(c, 0, 2) || !out)
		return;
	cf_fill(out, 0, 65536);
	for (unsigned i = 0; i < sizeof(len) / sizeof(*len); i++)
		if (!cf_do(c, cf_q(c, 1), out, len[i], NULL, 0, 0))
			return;
}

/* What a driver must not do. */

/* There is no status in which to say that it is too short: it is taken, and that is all. */
static void status_short(struct cf *c)
{
	uint8_t *out = cf_buf(c, EVENT_LEN);

	if (!cf_up(c, 0, 2) || !out)
		return;
	cf_fill(out, 0xff, EVENT_LEN);
	for (uint32_t len = 1; len < EVENT_LEN; len++)
		if (!cf_do(c, cf_q(c, 1), out, len, NULL, 0, 0))
			return;
	cf_must_go_on(c, cf_q(c, 1));
}

static void must_not_take(
	struct cf *c, struct drv_queue *q, const uint32_t *len, unsigned n_out, unsigned n_in)
{
	struct drv_sg sg[2] = { 0 };
	uint8_t *buf[2];

	for (unsigned i = 0; i < n_out + n_in; i++) {
		if (!(buf[i] = cf_buf(c, len[i])))
			return;
		cf_fill(buf[i], FRESH, len[i]);
		sg[i] = cf_sg(c, buf[i], len[i]);
	}
	if (!cf_submit(c, q, sg, n_out, n_in, sg))
		return;
	cf_must_break(c, q);
	for (unsigned i = 0; i < n_out + n_in; i++)
		cf_check(c, cf_filled(buf[i], FRESH, len[i]), "the device wrote to it");
}

static void status_writable(struct cf *c)
{
	if (cf_up(c, 0, 2))
		must_not_take(c, cf_q(c, 1), (const uint32_t[]){ EVENT_LEN }, 0, 1);
}

static void status_both(struct cf *c)
{
	if (cf_up(c, 0, 2))
		must_not_take(c, cf_q(c, 1), (const uint32_t[]){ EVENT_LEN, EVENT_LEN }, 1, 1);
}

static void event_readable(struct cf *c)
{
	struct taker t;

	if (taker_up(&t, c))
		must_not_take(c, t.q, (const uint32_t[]){ EVENT_LEN }, 1, 0);
}

static void event_both(struct cf *c)
{
	struct taker t;

	if (taker_up(&t, c))
		must_not_take(c, t.q, (const uint32_t[]){ EVENT_LEN, EVENT_LEN }, 1, 1);
}

static void event_short(struct cf *c)
{
	struct taker t;

	if (taker_up(&t, c))
		must_not_take(c, t.q, (const uint32_t[]){ EVENT_LEN - 1 }, 0, 1);
}

const struct cf_case cf_cases_input[] = {
	{ "input.config.unsupported", "V5.8.5.2-1", unsupported, DRV_ID_INPUT },
	{ "input.config.unsupported_subsel", "V5.8.5.2-1", unsupported_subsel, DRV_ID_INPUT },
	{ "input.config.axes", "V5.8.5.2-1", axes, DRV_ID_INPUT },
	{ "input.config.identity", "EXC-4", identity, DRV_ID_INPUT },
	{ "input.config.any_order", "V5.8.5.2-1", any_order, DRV_ID_INPUT },
	{ "input.config.read_only", "ROB-16", read_only, DRV_ID_INPUT, .flags = CF_HOSTILE },
	{ "input.events.updates", "V5.8.6.2-2 V5.8.6.2-3", updates, DRV_ID_INPUT,
		.flags = CF_RINGS },
	{ "input.events.without_buffers", "V5.8.6.2-2 V5.8.6.2-3", without_buffers, DRV_ID_INPUT,
		.flags = CF_RINGS },
	{ "input.events.sizes", "ROB-4 ROB-8", event_sizes, DRV_ID_INPUT, .flags = CF_RINGS },
	{ "input.events.pieces", "ROB-4 ROB-8 V2.7.4.1-1", event_pieces, DRV_ID_INPUT,
		.flags = CF_RINGS },
	{ "input.events.reset", "ROB-18", reset_under_load, DRV_ID_INPUT, .flags = CF_RINGS },
	{ "input.events.killed", "ROB-7 V5.8.6.2-2", killed, DRV_ID_INPUT, .flags = CF_RINGS },
	{ "input.status.events", "ROB-8", status_events, DRV_ID_INPUT, .flags = CF_RINGS },
	{ "input.status.sizes", "ROB-8", status_sizes, DRV_ID_INPUT, .flags = CF_RINGS },
	{ "input.status.short", "ROB-10", status_short, DRV_ID_INPUT,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "input.direction.status_writable", "ROB-25", status_writable, DRV_ID_INPUT,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "input.direction.status_both", "ROB-25", status_both, DRV_ID_INPUT,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "input.direction.event_readable", "ROB-25", event_readable, DRV_ID_INPUT,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "input.direction.event_both", "ROB-25", event_both, DRV_ID_INPUT,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "input.events.short", "ROB-11", event_short, DRV_ID_INPUT,
		.flags = CF_HOSTILE | CF_RINGS },
	{ 0 },
};
