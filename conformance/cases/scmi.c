/* SPDX-License-Identifier: BSD-3-Clause */
/* The SCMI device (VIRTIO 1.4, 5.17): channels. Messages are in scmi_messages.c. */
#include "conformance/cases/scmi.h"

#define FRESH  0xa5
#define FLIGHT 16u
/* After this a delayed response is due, if the platform is not slow. */
#define DUE_NS 50000000

/* Features (5.17.3.1). */

/* What is not offered is not there either. */
static void p2a_offered(struct cf *c)
{
	struct scmi s;

	if (cf_offered(c, VIRTIO_SCMI_F_P2A_CHANNELS)) {
		cf_note(c, "offered");
		return;
	}
	if (!scmi_up(&s, c, 0, 0))
		return;
	for (unsigned i = 0; i < scmi_nnotifies && !cf_failed(c); i++)
		if (scmi_has(&s, scmi_notifies[i].protocol))
			cf_check(c,
				!scmi_knows(
					&s, scmi_notifies[i].protocol, scmi_notifies[i].message),
				"message 0x%x of protocol 0x%x is there, P2A_CHANNELS not offered",
				scmi_notifies[i].message, scmi_notifies[i].protocol);
}

/* Power, performance and sensor protocols say where their statistics are, and how long. */
static void shared_memory_offered(struct cf *c)
{
	static const struct {
		uint8_t protocol, len; /* word with the length */
	} regions[] = { { DRV_SCMI_POWER, 3 }, { DRV_SCMI_PERF, 3 }, { DRV_SCMI_SENSOR, 3 } };
	struct scmi s;

	if (cf_offered(c, VIRTIO_SCMI_F_SHARED_MEMORY)) {
		cf_note(c, "offered");
		return;
	}
	if (!scmi_up(&s, c, 0, 0))
		return;
	for (unsigned i = 0; i < 3; i++) {
		if (!scmi_has(&s, regions[i].protocol))
			continue;
		if (!scmi_must(&s, regions[i].protocol, SCMI_ATTRIBUTES, NULL, 0, SCMI_SUCCESS))
			return;
		cf_check(c, s.n > regions[i].len && !s.ret[regions[i].len],
			"protocol 0x%x has a statistics region, SHARED_MEMORY is not offered",
			regions[i].protocol);
	}
}

/* cmdq (5.17.6.1). */

static void many_in_flight(struct cf *c)
{
	enum { ROUNDS = 8 };
	uint8_t *out, *in;
	struct scmi s;

	if (!scmi_up(&s, c, 0, 0) || !(out = cf_buf(c, FLIGHT * 4)) ||
		!(in = cf_buf(c, FLIGHT * 12)))
		return;
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned n = s.q->ring.size / 2 < FLIGHT ? s.q->ring.size / 2 : FLIGHT;

		for (unsigned i = 0; i < n; i++) {
			uint32_t hdr = DRV_SCMI_HDR(SCMI_VERSION, 0, DRV_SCMI_BASE, round * n + i);
			struct drv_sg sg[2] = { cf_sg(c, out + i * 4, 4),
				cf_sg(c, in + i * 12, 12) };

			cf_copy(out + i * 4, &hdr, 4);
			cf_fill(in + i * 12, FRESH, 12);
			if (!cf_submit(c, s.q, sg, 1, 1, in + i * 12))
				return;
		}
		for (unsigned i = 0; i < n; i++) {
			uint8_t *got;
			void *cookie;
			uint32_t used;

			if (!cf_used(c, s.q, &cookie, &used) ||
				!cf_eq(c, used, 12, "the used length"))
				return;
			got = cookie;
			cf_check(c, cf_same(got, out + (got - in) / 12 * 4, 4),
				"a response has the header of another command");
		}
	}
}

/* Errors of all kinds: the status, and nothing behind it. scmi_do() checks that. */
static void status_alone(struct cf *c)
{
	const uint32_t bad[] = { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
	unsigned errors = 0;
	struct scmi s;

	if (!scmi_up(&s, c, SCMI_P2A, 0))
		return;
	for (unsigned p = DRV_SCMI_BASE; p <= SCMI_LAST_ID + 1; p++)
		for (unsigned m = 0; m < 0x12; m++)
			for (unsigned n = 0; n < 5; n++) {
				if (!scmi_do(&s, (uint8_t)p, (uint8_t)m, bad, n))
					return;
				errors += s.status != 0;
			}
	cf_check(c, errors > 100, "only %u of the commands were refused", errors);
}

/* With all buffers of the eventq missing. */
static void notify_without_buffers(struct cf *c)
{
	unsigned asked = 0;
	struct scmi s;

	if (!scmi_up(&s, c, SCMI_P2A, 0))
		return;
	for (unsigned i = 0; i < scmi_nnotifies; i++) {
		const struct scmi_notify *n = &scmi_notifies[i];
		uint32_t words[4] = { 0 };

		words[n->on] = 1;
		/* Thresholds between which nothing lies. */
		if (n->words == 4)
			words[3] = UINT32_MAX;
		if (!scmi_has(&s, n->protocol) || !scmi_knows(&s, n->protocol, n->message))
			continue;
		if (!scmi_do(&s, n->protocol, n->message, words, n->words))
			return;
		/* A resource may be without this one: its attributes say so. */
		cf_check(c, !s.status || (n->words > 1 && s.status == SCMI_NOT_SUPPORTED),
			"message 0x%x of protocol 0x%x is answered with status %d, must be 0",
			n->message, n->protocol, s.status);
		asked += !s.status;
		words[n->on] = 0;
		if (!s.status && !scmi_must(&s, n->protocol, n->message, words, n->words, 0))
			return;
	}
	if (!asked)
		cf_skip(c, "the platform has no notifications");
}

static void without_p2a(struct cf *c)
{
	struct scmi s;

	if (!scmi_up(&s, c, 0, 0))
		return;
	for (unsigned i = 0; i < scmi_nnotifies; i++) {
		const struct scmi_notify *n = &scmi_notifies[i];
		uint32_t words[4] = { 0 }, id = n->message;

		words[n->on] = 1;
		if (!scmi_has(&s, n->protocol))
			continue;
		if (!scmi_must(&s, n->protocol, n->message, words, n->words, SCMI_NOT_SUPPORTED) ||
			!scmi_must(
				&s, n->protocol, SCMI_MESSAGE_ATTRIBUTES, &id, 1, SCMI_NOT_FOUND))
			return;
	}
	for (unsigned i = 0; i < scmi_nasyncs; i++) {
		const struct scmi_async *a = &scmi_asyncs[i];

		if (scmi_has(&s, a->protocol) && !scmi_must(&s, a->protocol, a->message, a->param,
							 a->words, SCMI_NOT_SUPPORTED))
			return;
	}
}

/* eventq (5.17.6.3). */

static bool check_delayed(struct scmi *s, const struct scmi_async *a, uint16_t token)
{
	uint32_t want = DRV_SCMI_HDR(a->message, DRV_SCMI_DELAYED, a->protocol, token);

	return scmi_take(s) &&
	       cf_check(s->c, s->event_hdr == want,
		       "the header of the delayed response is 0x%x, must be 0x%x", s->event_hdr,
		       want) &&
	       cf_check(s->c, s->event_n >= 1, "a delayed response has no status") &&
	       cf_check(s->c, !s->event[0] || s->event_n == 1,
		       "%u words follow the status of the delayed response", s->event_n - 1);
}

static void delayed(struct cf *c)
{
	const struct scmi_async *a;
	struct scmi s;

	if (scmi_up(&s, c, SCMI_P2A, 2) && scmi_send_async(&s, &a))
		check_delayed(&s, a, s.token);
}

/* The buffer comes after the event. */
static void delayed_waits(struct cf *c)
{
	const struct scmi_async *a;
	struct scmi s;
	uint64_t due;
	uint16_t token;

	if (!scmi_up(&s, c, SCMI_P2A, 0) || !scmi_send_async(&s, &a))
		return;
	token = s.token;
	/* Commands, so that a device which serves queues only when it is asked does so. */
	due = drv_now(cf_dev(c)) + DUE_NS;
	while (drv_now(cf_dev(c)) < due)
		if (!scmi_must(&s, DRV_SCMI_BASE, SCMI_VERSION, NULL, 0, SCMI_SUCCESS))
			return;
	if (scmi_feed(&s, SCMI_EVENT))
		check_delayed(&s, a, token);
}

/* A reset ends what was asked for; nothing of before comes. */
static void reset_forgets(struct cf *c)
{
	const struct scmi_async *a;
	struct scmi s;

	for (unsigned i = 0; i < 4; i++) {
		if (!scmi_up(&s, c, SCMI_P2A, 0) || !scmi_send_async(&s, &a))
			return;
		if (!cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset"))
			return;
		if (!scmi_up(&s, c, SCMI_P2A, 1))
			return;
		for (unsigned k = 0; k < 20; k++)
			if (!scmi_must(&s, DRV_SCMI_BASE, SCMI_VERSION, NULL, 0, SCMI_SUCCESS))
				return;
		cf_check(c,
			drv_queue_wait(s.eventq, NULL, NULL, drv_now(cf_dev(c)) + DUE_NS) ==
				DRV_TIMEOUT,
			"a message of before the reset arrived after it");
	}
}

/* Hostile. */

/* Messages of every length: a status of the standard's, and the queue goes on. */
static void lengths(struct cf *c)
{
	struct scmi s;

	if (!scmi_up(&s, c, SCMI_P2A, 1))
		return;
	for (uint32_t len = 4; len <= 100; len++) {
		if (!scmi_send(&s, DRV_SCMI_BASE, SCMI_VERSION, len, SCMI_ROOM))
			return;
		cf_check(c, s.status == (len == 4 ? SCMI_SUCCESS : SCMI_PROTOCOL_ERROR),
			"a message of %u bytes is answered with status %d", len, s.status);
	}
	cf_must_go_on(c, s.q);
}

static void short_header(struct cf *c)
{
	uint8_t *out, *in;
	uint32_t used;
	struct scmi s;

	if (!scmi_up(&s, c, SCMI_P2A, 0) || !(out = cf_buf(c, 4)) || !(in = cf_buf(c, 12)))
		return;
	for (uint32_t len = 1; len < 4; len++) {
		cf_fill(in, FRESH, 12);
		if (!cf_do_len(c, s.q, out, len, in, 12, &used))
			return;
		cf_eq(c, used, SCMI_ANSWER, "the used length");
		cf_check(c, (int8_t)in[4] == SCMI_PROTOCOL_ERROR,
			"half a header is answered with status %d", (int8_t)in[4]);
	}
	cf_must_go_on(c, s.q);
}

/* Header bits that are reserved, and types that only the platform sends. */
static void headers(struct cf *c)
{
	struct scmi s;

	if (!scmi_up(&s, c, SCMI_P2A, 0))
		return;
	for (unsigned bit = 8; bit < 32; bit++) {
		uint32_t hdr = DRV_SCMI_HDR(SCMI_VERSION, 0, DRV_SCMI_BASE, 0) | 1u << bit, status,
			 used;

		/* Those of protocol and token make other messages of it. */
		if (bit > 9 && bit < 28)
			continue;
		cf_copy(s.out, &hdr, 4);
		if (!cf_do_len(c, s.q, s.out, 4, s.in, 12, &used))
			return;
		cf_copy(&status, s.in + 4, 4);
		cf_check(c, used == SCMI_ANSWER && (int32_t)status < 0,
			"a header with bit %u set is accepted", bit);
	}
	cf_must_go_on(c, s.q);
}

/* No place for header and status: no answer can be given. */
static void no_room(struct cf *c)
{
	for (uint32_t room = 0; room < SCMI_ANSWER; room += 7) {
		struct drv_sg sg[2];
		struct scmi s;

		if (!scmi_up(&s, c, SCMI_P2A, 0))
			return;
		sg[0] = cf_sg(c, s.out, 4);
		sg[1] = cf_sg(c, s.in, room);
		s.hdr = DRV_SCMI_HDR(SCMI_VERSION, 0, DRV_SCMI_BASE, 0);
		cf_copy(s.out, &s.hdr, 4);
		if (!cf_submit(c, s.q, sg, 1, room != 0, s.in))
			return;
		cf_must_break(c, s.q);
		cf_check(c, cf_filled(s.in, FRESH, room), "the device wrote half an answer");
	}
}

/* What the device only reads does not belong into the eventq (5.17.6.2.1), before a writable part
 * neither. */
static void readable_event(struct cf *c)
{
	for (unsigned n_in = 0; n_in < 2; n_in++) {
		const struct scmi_async *a;
		uint8_t *out, *in;
		struct scmi s;

		if (!scmi_up(&s, c, SCMI_P2A, 0) || !(out = cf_buf(c, SCMI_EVENT)) ||
			!(in = cf_buf(c, SCMI_EVENT)))
			return;
		struct drv_sg sg[2] = { cf_sg(c, out, SCMI_EVENT), cf_sg(c, in, SCMI_EVENT) };

		if (!cf_submit(c, s.eventq, sg, 1, n_in, in))
			return;
		/* It need not look before it has something to send. */
		if (!scmi_send_async(&s, &a))
			return;
		cf_must_break(c, s.eventq);
		cf_check(c, cf_filled(out, FRESH, SCMI_EVENT) && cf_filled(in, FRESH, SCMI_EVENT),
			"the device wrote to a buffer that breaks a rule");
	}
}

static void killed(struct cf *c)
{
	struct cf_target *t = cf_target(c);
	struct scmi s;

	if (!t->kill) {
		cf_skip(c, "the back-end cannot be killed here");
		return;
	}
	if (!scmi_up(&s, c, SCMI_P2A, 2))
		return;
	for (unsigned i = 0; i < 4; i++) {
		struct drv_sg sg[2] = { cf_sg(c, s.out, 4), cf_sg(c, s.in, 12) };
		uint32_t used;

		s.hdr = DRV_SCMI_HDR(SCMI_VERSION, 0, DRV_SCMI_BASE, i);
		cf_copy(s.out, &s.hdr, 4);
		if (!cf_submit(c, s.q, sg, 1, 1, s.in) ||
			!cf_check(c, t->kill(t), "the back-end cannot be replaced") ||
			!cf_used(c, s.q, NULL, &used) || !cf_eq(c, used, 12, "the used length"))
			return;
	}
}

const struct cf_case cf_cases_scmi[] = {
	{ "scmi.features.p2a", "V5.17.3.1-1", p2a_offered, DRV_ID_SCMI },
	{ "scmi.features.shared_memory", "V5.17.3.1-2", shared_memory_offered, DRV_ID_SCMI },
	{ "scmi.cmdq.in_flight", "V5.17.6.1.1-2 ROB-8", many_in_flight, DRV_ID_SCMI,
		.flags = CF_RINGS },
	{ "scmi.cmdq.status_alone", "V5.17.6.1.1-3 SCMI-1", status_alone, DRV_ID_SCMI },
	{ "scmi.cmdq.notify_without_buffers", "V5.17.6.1.1-4", notify_without_buffers, DRV_ID_SCMI,
		.needs = SCMI_P2A },
	{ "scmi.cmdq.without_p2a", "V5.17.6.1.1-5 V5.17.6.1.1-6", without_p2a, DRV_ID_SCMI },
	{ "scmi.eventq.delayed", "V5.17.6.3.1-5 SCMI-5", delayed, DRV_ID_SCMI, .flags = CF_RINGS,
		.needs = SCMI_P2A },
	{ "scmi.eventq.delayed_waits", "V5.17.6.3.1-5", delayed_waits, DRV_ID_SCMI,
		.flags = CF_RINGS, .needs = SCMI_P2A },
	{ "scmi.eventq.reset", "ROB-18", reset_forgets, DRV_ID_SCMI, .needs = SCMI_P2A },
	{ "scmi.kill.in_flight", "ROB-7", killed, DRV_ID_SCMI, .flags = CF_RINGS },
	{ "scmi.hostile.lengths", "ROB-10 SCMI-1", lengths, DRV_ID_SCMI, .flags = CF_HOSTILE },
	{ "scmi.hostile.short_header", "ROB-10", short_header, DRV_ID_SCMI,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "scmi.hostile.headers", "ROB-10 SCMI-1", headers, DRV_ID_SCMI, .flags = CF_HOSTILE },
	{ "scmi.hostile.no_room", "ROB-11", no_room, DRV_ID_SCMI, .flags = CF_HOSTILE | CF_RINGS },
	{ "scmi.hostile.readable_event", "ROB-25", readable_event, DRV_ID_SCMI,
		.flags = CF_HOSTILE | CF_RINGS, .needs = SCMI_P2A },
	{ 0 },
};
