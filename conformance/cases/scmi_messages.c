/* SPDX-License-Identifier: BSD-3-Clause */
/* The SCMI device: messages of the protocols (SCMI 4.1 to 4.10). */
#include "conformance/cases/scmi.h"

#define NAME_WORDS 4u /* of a short name */

/* PROTOCOL_ATTRIBUTES, and what describes one resource; `name` is the word of its name. */
static const struct {
	uint8_t protocol, attributes, name;
} described[] = {
	{ DRV_SCMI_POWER, 0x3, 1 },
	{ DRV_SCMI_PERF, 0x3, 4 },
	{ DRV_SCMI_CLOCK, 0x3, 1 },
	{ DRV_SCMI_RESET, 0x3, 2 },
	{ DRV_SCMI_VOLTAGE, 0x3, 1 },
	{ DRV_SCMI_POWERCAP, 0x3, 1 },
};

#define DESCRIBED (sizeof(described) / sizeof(*described))

/* Each protocol that is listed has a version; each that is not is not supported. */
static void discovery(struct cf *c)
{
	uint8_t list[SCMI_WORDS];
	struct scmi s;
	unsigned n;

	if (!scmi_up(&s, c, SCMI_P2A, 0))
		return;
	n = scmi_list(&s, list);
	if (cf_failed(c) || !scmi_must(&s, DRV_SCMI_BASE, SCMI_ATTRIBUTES, NULL, 0, SCMI_SUCCESS) ||
		!cf_eq(c, s.n, 1, "words of the base protocol's attributes") ||
		!cf_eq(c, s.ret[0] & 0xff, n, "the number of protocols"))
		return;
	for (unsigned p = DRV_SCMI_BASE; p <= 0xff && !cf_failed(c); p++) {
		bool listed = p == DRV_SCMI_BASE;

		for (unsigned i = 0; i < n; i++)
			listed |= list[i] == p;
		if (!scmi_must(&s, (uint8_t)p, SCMI_VERSION, NULL, 0,
			    listed ? SCMI_SUCCESS : SCMI_NOT_SUPPORTED))
			return;
		if (listed)
			cf_check(c, s.n == 1 && s.ret[0] >> 16, "protocol 0x%x has no version", p);
	}
}

/* MESSAGE_ATTRIBUTES knows exactly the messages that are answered. */
static void message_attributes(struct cf *c)
{
	const uint32_t many[20] = { 0 };
	uint8_t list[SCMI_WORDS];
	struct scmi s;
	unsigned n;

	if (!scmi_up(&s, c, SCMI_P2A, 0))
		return;
	n = scmi_list(&s, list);
	list[n] = DRV_SCMI_BASE;
	for (unsigned i = 0; i <= n && !cf_failed(c); i++) {
		for (unsigned m = 0; m < 0x40; m++) {
			uint32_t id = m;
			int32_t known;

			if (!scmi_do(&s, list[i], SCMI_MESSAGE_ATTRIBUTES, &id, 1))
				return;
			known = s.status;
			/* So many parameters has none: it is refused, in one way or the other. */
			if (!scmi_do(&s, list[i], (uint8_t)m, many, 20))
				return;
			cf_check(c,
				(known == SCMI_SUCCESS && s.status == SCMI_PROTOCOL_ERROR) ||
					(known == SCMI_NOT_FOUND && s.status == SCMI_NOT_SUPPORTED),
				"message 0x%x of protocol 0x%x: its attributes say %d, it says %d",
				m, list[i], known, s.status);
		}
	}
}

static void agents(struct cf *c)
{
	uint32_t id = UINT32_MAX, count, own;
	struct scmi s;

	if (!scmi_up(&s, c, SCMI_P2A, 0) ||
		!scmi_must(&s, DRV_SCMI_BASE, SCMI_ATTRIBUTES, NULL, 0, SCMI_SUCCESS))
		return;
	count = s.ret[0] >> 8 & 0xff;
	if (!scmi_must(&s, DRV_SCMI_BASE, SCMI_BASE_AGENT, &id, 1, SCMI_SUCCESS) ||
		!cf_eq(c, s.n, 1 + NAME_WORDS, "words of an agent's description"))
		return;
	own = s.ret[0];
	cf_check(c, own && (!count || own < count), "the agent's own id is %u of %u", own, count);
	if (!scmi_must(&s, DRV_SCMI_BASE, SCMI_BASE_AGENT, &own, 1, SCMI_SUCCESS))
		return;
	cf_eq(c, s.ret[0], own, "the agent's id");
	id = count;
	if (count)
		scmi_must(&s, DRV_SCMI_BASE, SCMI_BASE_AGENT, &id, 1, SCMI_NOT_FOUND);
}

/* Resources are numbered from 0, have a name that ends, and there is none behind the last. */
static void resources(struct cf *c)
{
	struct scmi s;

	if (!scmi_up(&s, c, SCMI_P2A, 0))
		return;
	for (unsigned k = 0; k < DESCRIBED && !cf_failed(c); k++) {
		uint32_t n, id = 0;

		if (!scmi_has(&s, described[k].protocol))
			continue;
		n = scmi_resources(&s, described[k].protocol);
		for (; id < n && id < 64; id++) {
			uint8_t name[NAME_WORDS * 4];

			if (!scmi_must(&s, described[k].protocol, described[k].attributes, &id, 1,
				    SCMI_SUCCESS) ||
				!cf_check(c, s.n >= described[k].name + NAME_WORDS,
					"the attributes of resource %u of protocol 0x%x have %u "
					"words",
					id, described[k].protocol, s.n))
				return;
			cf_copy(name, s.ret + described[k].name, sizeof(name));
			cf_check(c, name[0] && !name[sizeof(name) - 1],
				"resource %u of protocol 0x%x has no name, or one without end", id,
				described[k].protocol);
		}
		if (!scmi_must(&s, described[k].protocol, described[k].attributes, &n, 1,
			    SCMI_NOT_FOUND))
			return;
		id = UINT32_MAX;
		if (!scmi_must(&s, described[k].protocol, described[k].attributes, &id, 1,
			    SCMI_NOT_FOUND))
			return;
	}
}

/* Clocks. */

/* The rates of a clock. */
struct rates {
	uint32_t count;
	uint64_t first, sum; /* of all, each times its place */
};

/* Takes the rates of one answer; `left` is how many are to come. */
static bool take_rates(struct scmi *s, struct rates *r, uint32_t *left)
{
	uint32_t n = s->ret[0] & 0xfff;

	*left = s->ret[0] >> 16;
	if (!cf_check(s->c, n && s->n == 1 + 2 * n, "%u rates take %u words", n, s->n))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t rate = s->ret[1 + 2 * i] | (uint64_t)s->ret[2 + 2 * i] << 32;

		r->first = r->count ? r->first : rate;
		r->sum += rate * ++r->count;
	}
	return true;
}

/* Asks for all rates, in parts as large as `room` allows. */
static bool read_rates(struct scmi *s, uint32_t id, uint32_t room, struct rates *r)
{
	uint32_t left = 1;

	*r = (struct rates){ 0 };
	while (left && r->count < 1000) {
		uint32_t words[2] = { id, r->count };

		cf_copy(s->out + 4, words, 8);
		if (!scmi_send(s, DRV_SCMI_CLOCK, 0x4, 12, room) ||
			!cf_check(s->c, !s->status && s->n >= 1,
				"CLOCK_DESCRIBE_RATES is answered with status %d", s->status) ||
			!take_rates(s, r, &left))
			return false;
	}
	return true;
}

static bool has_clock(struct scmi *s)
{
	if (!scmi_has(s, DRV_SCMI_CLOCK) || !scmi_resources(s, DRV_SCMI_CLOCK))
		cf_skip(s->c, "the platform has no clock");
	else
		return !cf_failed(s->c);
	return false;
}

/* However the answer is cut, the rates are the same. */
static void clock_rates(struct cf *c)
{
	uint32_t n, clocks;
	struct scmi s;

	if (!scmi_up(&s, c, SCMI_P2A, 0) || !has_clock(&s))
		return;
	clocks = scmi_resources(&s, DRV_SCMI_CLOCK);
	for (uint32_t id = 0; id < clocks && id < 16; id++) {
		struct rates whole, parts;

		if (!read_rates(&s, id, SCMI_ROOM, &whole) ||
			!read_rates(&s, id, 4 + 3 * 8, &parts))
			return;
		cf_eq(c, parts.count, whole.count, "the number of rates, read in parts");
		cf_check(c, parts.sum == whole.sum, "the rates are others when read in parts");
	}
	n = clocks;
	scmi_must(&s, DRV_SCMI_CLOCK, 0x4, (uint32_t[]){ n, 0 }, 2, SCMI_NOT_FOUND);
}

/* A rate that is set is the rate that is read, if the agent may set one. */
static void clock_set(struct cf *c)
{
	uint32_t id = 0, clocks;
	struct rates r;
	struct scmi s;

	if (!scmi_up(&s, c, SCMI_P2A, 0) || !has_clock(&s))
		return;
	clocks = scmi_resources(&s, DRV_SCMI_CLOCK);
	for (; id < clocks && id < 16; id++) {
		uint32_t words[4] = { 0, id };

		if (!read_rates(&s, id, SCMI_ROOM, &r))
			return;
		words[2] = (uint32_t)r.first;
		words[3] = (uint32_t)(r.first >> 32);
		if (!scmi_do(&s, DRV_SCMI_CLOCK, 0x5, words, 4))
			return;
		if (s.status)
			continue;
		if (!scmi_must(&s, DRV_SCMI_CLOCK, 0x6, &id, 1, SCMI_SUCCESS) ||
			!cf_check(c, s.n == 2, "a rate of %u words", s.n))
			return;
		cf_eq(c, s.ret[0] | (uint64_t)s.ret[1] << 32, r.first, "the rate after it was set");
		words[0] = 0x10;
		scmi_must(&s, DRV_SCMI_CLOCK, 0x5, words, 4, SCMI_INVALID_PARAMETERS);
	}
}

/* Who asked for it hears of a change, by the ids that he uses. */
static void clock_notify(struct cf *c)
{
	uint32_t words[4] = { 0 };
	struct rates r;
	struct scmi s;

	if (!scmi_up(&s, c, SCMI_P2A, 4) || !has_clock(&s))
		return;
	if (!scmi_do(&s, DRV_SCMI_CLOCK, 0x9, (uint32_t[]){ 0, 1 }, 2) ||
		!read_rates(&s, 0, SCMI_ROOM, &r))
		return;
	if (s.status || r.count < 2) {
		cf_skip(c, "the first clock has one rate, or no notifications");
		return;
	}
	/* The lowest rate, and then the one above it: one of them is a change. */
	words[2] = (uint32_t)r.first;
	words[3] = (uint32_t)(r.first >> 32);
	if (!scmi_must(&s, DRV_SCMI_CLOCK, 0x5, words, 4, SCMI_SUCCESS))
		return;
	words[0] = 1u << 2; /* rounded up */
	words[2]++;
	if (!scmi_must(&s, DRV_SCMI_CLOCK, 0x5, words, 4, SCMI_SUCCESS) || !scmi_take(&s))
		return;
	cf_eq(c, s.event_hdr, DRV_SCMI_HDR(0, DRV_SCMI_NOTIFICATION, DRV_SCMI_CLOCK, 0),
		"the header of CLOCK_RATE_CHANGED");
	cf_eq(c, s.event_n, 4, "words of CLOCK_RATE_CHANGED");
	cf_eq(c, s.event[1], 0, "the clock");
}

/* Power domains, performance. */

static void power_set(struct cf *c)
{
	const uint32_t off = 1u << 30;
	uint32_t id = 0;
	struct scmi s;

	if (!scmi_up(&s, c, SCMI_P2A, 0))
		return;
	if (!scmi_has(&s, DRV_SCMI_POWER)) {
		cf_skip(c, "the platform has no power domain");
		return;
	}
	if (!scmi_do(&s, DRV_SCMI_POWER, 0x4, (uint32_t[]){ 0, id, off }, 3))
		return;
	if (s.status) {
		cf_skip(c, "the domain cannot be switched: status %d", s.status);
		return;
	}
	if (!scmi_must(&s, DRV_SCMI_POWER, 0x4, (uint32_t[]){ 0, id, 0 }, 3, SCMI_SUCCESS) ||
		!scmi_must(&s, DRV_SCMI_POWER, 0x5, &id, 1, SCMI_SUCCESS))
		return;
	cf_check(c, s.n == 1 && s.ret[0] == 0, "a domain that was switched on is not");
	scmi_must(&s, DRV_SCMI_POWER, 0x4, (uint32_t[]){ 2, id, 0 }, 3, SCMI_INVALID_PARAMETERS);
	scmi_must(&s, DRV_SCMI_POWER, 0x4, (uint32_t[]){ 0, id, 0x12345 }, 3,
		SCMI_INVALID_PARAMETERS);
}

static void perf_levels(struct cf *c)
{
	uint32_t id = 0, words[2] = { 0 }, lowest = 0, last = 0;
	struct scmi s;

	if (!scmi_up(&s, c, SCMI_P2A, 0))
		return;
	if (!scmi_has(&s, DRV_SCMI_PERF)) {
		cf_skip(c, "the platform has no performance domain");
		return;
	}
	for (uint32_t left = 1, got = 0; left && got < 256;) {
		words[1] = got;
		if (!scmi_must(&s, DRV_SCMI_PERF, 0x4, words, 2, SCMI_SUCCESS))
			return;
		left = s.ret[0] >> 16;
		if (!cf_check(c, (s.ret[0] & 0xfff) && s.n == 1 + 5 * (s.ret[0] & 0xfff),
			    "%u levels take %u words", s.ret[0] & 0xfff, s.n))
			return;
		for (uint32_t i = 0; i < (s.ret[0] & 0xfff); i++, got++) {
			uint32_t level = s.ret[1 + 5 * i];

			lowest = got ? lowest : level;
			cf_check(c, level > last || !got, "level %u comes after %u", level, last);
			last = level;
		}
	}
	words[1] = lowest;
	if (!scmi_do(&s, DRV_SCMI_PERF, 0x7, words, 2))
		return;
	if (s.status) {
		cf_note(c, "the level cannot be set: status %d", s.status);
		return;
	}
	if (scmi_must(&s, DRV_SCMI_PERF, 0x8, &id, 1, SCMI_SUCCESS))
		cf_eq(c, s.ret[0], lowest, "the level after it was set");
	words[1] = last + 1;
	scmi_must(&s, DRV_SCMI_PERF, 0x7, words, 2, SCMI_OUT_OF_RANGE);
}

/* Any parameters to any message: a status that SCMI has. scmi_do() checks the form. */
static void anything(struct cf *c)
{
	uint32_t x = 12345, words[16];
	struct scmi s;

	if (!scmi_up(&s, c, SCMI_P2A, 4))
		return;
	for (unsigned i = 0; i < 3000; i++) {
		for (unsigned k = 0; k < 16; k++) {
			x = x * 1664525 + 1013904223;
			words[k] = x >> (x >> 28) * 2;
		}
		if (!scmi_do(&s, (uint8_t)(DRV_SCMI_BASE + words[0] % 9), words[1] % 0x11,
			    words + 2, words[15] % 6))
			return;
	}
	cf_must_go_on(c, s.q);
}

const struct cf_case cf_cases_scmi_messages[] = {
	{ "scmi.base.discovery", "SCMI-2", discovery, DRV_ID_SCMI },
	{ "scmi.base.message_attributes", "SCMI-2", message_attributes, DRV_ID_SCMI },
	{ "scmi.base.agents", "SCMI-2", agents, DRV_ID_SCMI },
	{ "scmi.messages.resources", "SCMI-3", resources, DRV_ID_SCMI },
	{ "scmi.clock.rates", "SCMI-3 SCMI-4", clock_rates, DRV_ID_SCMI },
	{ "scmi.clock.set", "SCMI-1 SCMI-4", clock_set, DRV_ID_SCMI },
	{ "scmi.clock.notify", "SCMI-5", clock_notify, DRV_ID_SCMI, .needs = SCMI_P2A },
	{ "scmi.power.set", "SCMI-1 SCMI-4", power_set, DRV_ID_SCMI },
	{ "scmi.perf.levels", "SCMI-1 SCMI-4", perf_levels, DRV_ID_SCMI },
	{ "scmi.hostile.anything", "ROB-10 SCMI-1", anything, DRV_ID_SCMI,
		.flags = CF_HOSTILE | CF_LONG },
	{ 0 },
};
