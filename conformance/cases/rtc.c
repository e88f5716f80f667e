/* SPDX-License-Identifier: BSD-3-Clause */
/* The clock device (VIRTIO 1.4, 5.23): what cases share; framing, status values, capabilities. */
#include "conformance/cases/rtc.h"

#define FRESH 0xa5

static const struct {
	uint16_t type;
	uint8_t req, resp;
	bool alarm;
} messages[] = {
	{ RTC_READ, 16, 16, false },
	{ RTC_READ_CROSS, 16, 24, false },
	{ RTC_CFG, 8, 16, false },
	{ RTC_CLOCK_CAP, 16, 16, false },
	{ RTC_CROSS_CAP, 16, 16, false },
	{ RTC_READ_ALARM, 16, 24, true },
	{ RTC_SET_ALARM, 24, 8, true },
	{ RTC_SET_ALARM_ENABLED, 16, 8, true },
};

#define MESSAGES (sizeof(messages) / sizeof(*messages))

uint32_t rtc_req_len(uint16_t type)
{
	for (unsigned i = 0; i < MESSAGES; i++)
		if (messages[i].type == type)
			return messages[i].req;
	return 0;
}

uint32_t rtc_resp_len(uint16_t type)
{
	for (unsigned i = 0; i < MESSAGES; i++)
		if (messages[i].type == type)
			return messages[i].resp;
	return 0;
}

void rtc_make(struct rtc *r, uint16_t type, unsigned id, uint8_t sub, uint64_t time)
{
	uint8_t *p = r->req + 8;

	cf_fill(r->req, 0, RTC_REQ_MAX);
	cf_copy(r->req, &type, sizeof(type));
	if (type == RTC_SET_ALARM) {
		cf_copy(p, &time, sizeof(time));
		p += sizeof(time);
	}
	p[0] = (uint8_t)id;
	p[1] = (uint8_t)(id >> 8);
	p[2] = sub;
}

bool rtc_send(struct rtc *r, uint32_t len, uint32_t room, uint8_t *status, uint32_t *used)
{
	cf_fill(r->resp, FRESH, RTC_RESP_MAX);
	if (!cf_do_len(r->c, r->q, len ? r->req : NULL, len, r->resp, room, used) ||
		!cf_check(r->c, *used >= 1 && *used <= room,
			"the used length is %u, must be 1 to %u", *used, room) ||
		!cf_check(r->c, cf_filled(r->resp + *used, FRESH, room - *used),
			"the device wrote behind the %u bytes that it reports", *used))
		return false;
	*status = r->resp[0];
	return true;
}

bool rtc_must(struct rtc *r, uint16_t type, unsigned id, uint8_t sub, uint64_t time, uint8_t want)
{
	uint8_t status;
	uint32_t used;

	rtc_make(r, type, id, sub, time);
	if (!rtc_send(r, rtc_req_len(type), rtc_resp_len(type), &status, &used) ||
		!cf_check(r->c, status == want,
			"request 0x%x of clock %u is answered with status %u, must be %u", type, id,
			status, want))
		return false;
	return want != RTC_S_OK || cf_eq(r->c, used, rtc_resp_len(type), "the used length");
}

uint64_t rtc_word(const struct rtc *r, uint32_t offset)
{
	uint64_t v;

	cf_copy(&v, r->resp + offset, sizeof(v));
	return v;
}

bool rtc_use(struct rtc *r, struct cf *c)
{
	r->c = c;
	r->q = cf_q(c, 0);
	r->alarmq = drv_has(cf_dev(c), VIRTIO_RTC_F_ALARM) ? cf_q(c, 1) : NULL;
	r->req = cf_buf(c, RTC_REQ_MAX);
	r->resp = cf_buf(c, RTC_RESP_MAX);
	if (!r->q || !r->req || !r->resp || !rtc_must(r, RTC_CFG, 0, 0, 0, RTC_S_OK))
		return false;
	r->nclocks = r->resp[8] | (unsigned)r->resp[9] << 8;
	return true;
}

bool rtc_up(struct rtc *r, struct cf *c, uint64_t want)
{
	unsigned n = want & cf_features(c, want) & RTC_ALARM ? 2 : 1;

	if (!cf_up(c, want, n) || !rtc_use(r, c))
		return false;
	if (!r->nclocks)
		cf_skip(c, "the device has no clock");
	return r->nclocks;
}

bool rtc_read(struct rtc *r, unsigned id, uint64_t *time)
{
	if (!rtc_must(r, RTC_READ, id, 0, 0, RTC_S_OK))
		return false;
	*time = rtc_word(r, 8);
	return true;
}

bool rtc_type(struct rtc *r, unsigned id, uint8_t *type)
{
	if (!rtc_must(r, RTC_CLOCK_CAP, id, 0, 0, RTC_S_OK))
		return false;
	*type = r->resp[8];
	return true;
}

uint64_t rtc_counter(void)
{
#if defined(__x86_64__)
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
#else
	uint64_t v;

	__asm__ volatile("isb; mrs %0, cntvct_el0; isb" : "=r"(v) : : "memory");
	return v;
#endif
}

uint8_t rtc_counter_id(void)
{
#if defined(__x86_64__)
	return VIRTIO_RTC_COUNTER_X86_TSC;
#else
	return VIRTIO_RTC_COUNTER_ARM_VCT;
#endif
}

bool rtc_alarm_clock(struct rtc *r, unsigned *id)
{
	for (*id = 0; *id < r->nclocks; (*id)++) {
		if (!rtc_must(r, RTC_CLOCK_CAP, *id, 0, 0, RTC_S_OK))
			return false;
		if (r->resp[10] & 1)
			return true;
	}
	return cf_check(r->c, false, "F_ALARM was negotiated, but no clock has an alarm");
}

/* Cases. */

/* How many are looked at. */
static unsigned clocks(const struct rtc *r)
{
	return r->nclocks < RTC_CLOCKS_MAX ? r->nclocks : RTC_CLOCKS_MAX;
}

static void features(struct cf *c)
{
	struct rtc r;
	unsigned id;

	for (unsigned bit = 1; bit < 24; bit++)
		cf_check(c, !cf_offered(c, bit), "feature bit %u is offered, it is not defined",
			bit);
	if (rtc_up(&r, c, RTC_ALARM) && r.alarmq)
		rtc_alarm_clock(&r, &id);
}

/* Identifiers are dense: each below the number is a clock, others are not. */
static void clock_ids(struct cf *c)
{
	struct rtc r;

	if (!rtc_up(&r, c, RTC_ALARM))
		return;
	for (unsigned id = 0; id < r.nclocks; id++)
		if (!rtc_must(&r, RTC_CLOCK_CAP, id, 0, 0, RTC_S_OK))
			return;
	for (unsigned i = 0; i < MESSAGES; i++) {
		uint16_t type = messages[i].type;
		uint8_t sub =
			type == RTC_READ_CROSS || type == RTC_CROSS_CAP ? rtc_counter_id() : 0;

		if (type == RTC_CFG || (messages[i].alarm && !r.alarmq))
			continue;
		if (!rtc_must(&r, type, r.nclocks, sub, 0, RTC_S_ENODEV) ||
			!rtc_must(&r, type, 0x8000, sub, 0, RTC_S_ENODEV) ||
			!rtc_must(&r, type, 0xffff, sub, 0, RTC_S_ENODEV))
			return;
	}
}

static void unknown_types(struct cf *c)
{
	static const uint16_t types[] = { 0, 3, 0xff, 0x0fff, 0x1006, 0x10ff, 0x1100, 0x2001,
		0x7fff, 0x8000, 0xffff };
	uint8_t status;
	uint32_t used;
	struct rtc r;

	if (!rtc_up(&r, c, RTC_ALARM))
		return;
	for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++) {
		rtc_make(&r, types[i], 0, 0, 0);
		if (!rtc_send(&r, RTC_REQ_MAX, RTC_RESP_MAX, &status, &used) ||
			!cf_check(c, status == RTC_S_EOPNOTSUPP,
				"message type 0x%x is answered with status %u, must be 2", types[i],
				status))
			return;
	}
}

static void unknown_counters(struct cf *c)
{
	static const uint8_t counters[] = { 2, 3, 0x7f, 0x80, 0xef };
	struct rtc r;

	if (!rtc_up(&r, c, 0))
		return;
	for (unsigned i = 0; i < sizeof(counters); i++)
		if (!rtc_must(&r, RTC_CROSS_CAP, 0, counters[i], 0, RTC_S_EOPNOTSUPP) ||
			!rtc_must(&r, RTC_READ_CROSS, 0, counters[i], 0, RTC_S_EOPNOTSUPP))
			return;
}

/* READ_CROSS works exactly where CROSS_CAP says so. */
static void cross_caps(struct cf *c)
{
	struct rtc r;

	if (!rtc_up(&r, c, 0))
		return;
	for (unsigned id = 0; id < clocks(&r); id++)
		for (uint8_t counter = 0; counter < 2; counter++) {
			bool can;

			if (!rtc_must(&r, RTC_CROSS_CAP, id, counter, 0, RTC_S_OK) ||
				!cf_eq(c, rtc_word(&r, 8) & ~UINT64_C(1), 0,
					"flags and reserved fields of CROSS_CAP"))
				return;
			can = r.resp[8] & 1;
			if (!rtc_must(&r, RTC_READ_CROSS, id, counter, 0,
				    can ? RTC_S_OK : RTC_S_EOPNOTSUPP))
				return;
		}
}

/* Request values that contradict the standard. */
static void bad_values(struct cf *c)
{
	uint8_t status;
	uint32_t used;
	struct rtc r;
	unsigned id;

	if (!rtc_up(&r, c, RTC_ALARM))
		return;
	rtc_make(&r, RTC_CROSS_CAP, 0, RTC_COUNTER_BAD, 0);
	if (!rtc_send(&r, 16, 16, &status, &used) ||
		!cf_check(c, status == RTC_S_EINVAL || status == RTC_S_EOPNOTSUPP,
			"the invalid counter is answered with status %u", status))
		return;
	if (!r.alarmq || !rtc_alarm_clock(&r, &id))
		return;
	for (uint8_t bit = 2; bit; bit <<= 1)
		if (!rtc_must(&r, RTC_SET_ALARM, id, bit, 0, RTC_S_EINVAL) ||
			!rtc_must(&r, RTC_SET_ALARM_ENABLED, id, bit, 0, RTC_S_EINVAL))
			return;
}

/* A driver has to clear reserved fields; a request in which one is set contradicts the standard. */
static void reserved_set(struct cf *c)
{
	uint8_t status;
	uint32_t used;
	struct rtc r;

	if (!rtc_up(&r, c, RTC_ALARM))
		return;
	for (unsigned i = 0; i < MESSAGES; i++) {
		if (messages[i].alarm && !r.alarmq)
			continue;
		for (unsigned at = 2; at < messages[i].req; at += 5) {
			unsigned field = messages[i].type == RTC_SET_ALARM ? 16 : 8;

			if (at >= 8 && at < field + 3)
				continue;
			rtc_make(&r, messages[i].type, 0, rtc_counter_id(), 0);
			r.req[at] = 0x40;
			if (!rtc_send(&r, messages[i].req, messages[i].resp, &status, &used) ||
				!cf_check(c, status == RTC_S_EINVAL,
					"request 0x%x with reserved byte %u set is answered with "
					"status %u, must be 4",
					messages[i].type, at, status))
				return;
		}
	}
}

static void short_requests(struct cf *c)
{
	uint8_t status;
	uint32_t used;
	struct rtc r;

	if (!rtc_up(&r, c, RTC_ALARM))
		return;
	for (unsigned i = 0; i < MESSAGES; i++)
		for (uint32_t len = 0; len < messages[i].req; len++) {
			if (messages[i].alarm && !r.alarmq)
				continue;
			rtc_make(&r, messages[i].type, 0, 0, 0);
			if (!rtc_send(&r, len, RTC_RESP_MAX, &status, &used) ||
				!cf_check(c, status == RTC_S_EINVAL,
					"%u bytes of request 0x%x are answered with status %u, "
					"must "
					"be 4",
					len, messages[i].type, status))
				return;
		}
}

static void short_responses(struct cf *c)
{
	uint8_t status;
	uint32_t used;
	struct rtc r;

	if (!rtc_up(&r, c, RTC_ALARM))
		return;
	for (unsigned i = 0; i < MESSAGES; i++)
		for (uint32_t room = 1; room < messages[i].resp; room++) {
			if (messages[i].alarm && !r.alarmq)
				continue;
			rtc_make(&r, messages[i].type, 0, 0, 0);
			if (!rtc_send(&r, messages[i].req, room, &status, &used) ||
				!cf_check(c, status == RTC_S_EINVAL,
					"request 0x%x with room for %u bytes is answered with "
					"status %u, must be 4",
					messages[i].type, room, status))
				return;
		}
}

/* Without room for a status none is written. */
static void no_room(struct cf *c)
{
	struct rtc r;

	if (!rtc_up(&r, c, 0))
		return;
	rtc_make(&r, RTC_CFG, 0, 0, 0);
	if (cf_do(c, r.q, r.req, 8, NULL, 0, 0))
		rtc_must(&r, RTC_CFG, 0, 0, 0, RTC_S_OK);
}

/* What is longer than the request or the response is ignored. */
static void more_room(struct cf *c)
{
	uint8_t status;
	uint32_t used;
	struct rtc r;

	if (!rtc_up(&r, c, RTC_ALARM))
		return;
	for (unsigned i = 0; i < MESSAGES; i++) {
		uint8_t sub = messages[i].type == RTC_CROSS_CAP ? rtc_counter_id() : 0;
		uint8_t *req = cf_buf(c, 300), *resp = cf_buf(c, 300);
		struct rtc big = r;

		if (!req || !resp)
			return;
		if (messages[i].type == RTC_READ_CROSS || (messages[i].alarm && !r.alarmq))
			continue;
		cf_fill(req, 0xff, 300);
		cf_fill(resp, FRESH, 300);
		rtc_make(&r, messages[i].type, 0, sub, 0);
		cf_copy(req, r.req, messages[i].req);
		big.req = req;
		big.resp = resp;
		if (!rtc_send(&big, 300, 300, &status, &used) ||
			!cf_check(c, status == RTC_S_OK,
				"request 0x%x in a longer buffer is answered with status %u",
				messages[i].type, status) ||
			!cf_eq(c, used, messages[i].resp, "the used length") ||
			!cf_check(c, cf_filled(resp + used, FRESH, 300 - used),
				"the device wrote behind its response"))
			return;
	}
}

/* Offsets behind the named fields of each response. */
static void reserved_clear(struct cf *c)
{
	static const struct {
		uint16_t type;
		uint8_t from, to;
	} reserved[] = {
		{ RTC_READ, 1, 8 },
		{ RTC_CFG, 1, 8 },
		{ RTC_CFG, 10, 16 },
		{ RTC_CLOCK_CAP, 1, 8 },
		{ RTC_CLOCK_CAP, 11, 16 },
		{ RTC_CROSS_CAP, 1, 8 },
		{ RTC_CROSS_CAP, 9, 16 },
		{ RTC_READ_ALARM, 1, 8 },
		{ RTC_READ_ALARM, 17, 24 },
		{ RTC_SET_ALARM, 1, 8 },
		{ RTC_SET_ALARM_ENABLED, 1, 8 },
	};
	struct rtc r;

	if (!rtc_up(&r, c, RTC_ALARM))
		return;
	for (unsigned i = 0; i < sizeof(reserved) / sizeof(*reserved); i++) {
		uint16_t type = reserved[i].type;

		if (type >= RTC_READ_ALARM && !r.alarmq)
			continue;
		if (!rtc_must(&r, type, 0, 0, 0, RTC_S_OK) ||
			!cf_check(c,
				cf_filled(r.resp + reserved[i].from, 0,
					reserved[i].to - reserved[i].from),
				"bytes %u to %u of the response to 0x%x are reserved and not zero",
				reserved[i].from, reserved[i].to, type))
			return;
	}
}

/* ALARM_CAP only after F_ALARM was negotiated, no other flag ever; smearing as the type says. */
static void clock_caps(struct cf *c)
{
	for (unsigned round = 0; round < 2; round++) {
		uint64_t want = round ? RTC_ALARM : 0;
		struct rtc r;

		if (!rtc_up(&r, c, want))
			return;
		for (unsigned id = 0; id < clocks(&r); id++) {
			uint8_t type, smear, flags;

			if (!rtc_must(&r, RTC_CLOCK_CAP, id, 0, 0, RTC_S_OK))
				return;
			type = r.resp[8];
			smear = r.resp[9];
			flags = r.resp[10];
			cf_check(c, !(flags & (r.alarmq ? 0xfe : 0xff)),
				"clock %u has flags 0x%x with features 0x%llx", id, flags,
				(unsigned long long)want);
			cf_check(c, type <= VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED || type >= 0xf0,
				"clock %u has type %u, which does not exist", id, type);
			cf_check(c,
				type == VIRTIO_RTC_CLOCK_UTC_SMEARED
					? smear <= VIRTIO_RTC_SMEAR_UTC_SLS || smear >= 0xf0
					: smear == VIRTIO_RTC_SMEAR_UNSPECIFIED,
				"clock %u of type %u has smearing variant %u", id, type, smear);
		}
	}
}

#define ANSWERS 32u

/* All that is known of the clocks, one response after the other. Returns how many. */
static unsigned collect(struct rtc *r, uint8_t (*answers)[RTC_RESP_MAX])
{
	unsigned n = 0;

	if (!rtc_must(r, RTC_CFG, 0, 0, 0, RTC_S_OK))
		return 0;
	cf_copy(answers[n++], r->resp, RTC_RESP_MAX);
	for (unsigned id = 0; id < clocks(r) && n + 2 <= ANSWERS; id++) {
		if (!rtc_must(r, RTC_CLOCK_CAP, id, 0, 0, RTC_S_OK))
			return 0;
		cf_copy(answers[n++], r->resp, RTC_RESP_MAX);
		if (!rtc_must(r, RTC_CROSS_CAP, id, rtc_counter_id(), 0, RTC_S_OK))
			return 0;
		cf_copy(answers[n++], r->resp, RTC_RESP_MAX);
	}
	return n;
}

static void same_again(struct cf *c)
{
	uint8_t first[ANSWERS][RTC_RESP_MAX], again[ANSWERS][RTC_RESP_MAX];
	unsigned n = 0;
	struct rtc r;

	for (unsigned round = 0; round < 4; round++) {
		unsigned got;

		/* Twice in one life of the device, then after resets. */
		if (round != 1 && !rtc_up(&r, c, RTC_ALARM))
			return;
		got = collect(&r, round ? again : first);
		if (!got)
			return;
		n = round ? n : got;
		if (!cf_eq(c, got, n, "the number of capabilities") ||
			(round &&
				!cf_check(c, cf_same(first, again, n * RTC_RESP_MAX),
					"capabilities have changed %s",
					round == 1 ? "while the device was live" : "over a reset")))
			return;
	}
}

const struct cf_case cf_cases_rtc[] = {
	{ "rtc.features.defined", "V5.23.3.1-1 V5.23.6.6.1-4", features, DRV_ID_RTC },
	{ "rtc.clocks.ids", "V5.23.6.2-2 V5.23.6.2-6 V5.23.6.2-18", clock_ids, DRV_ID_RTC,
		.flags = CF_RINGS },
	{ "rtc.clocks.caps", "V5.23.6.2-1 V5.23.6.2-15 V5.23.6.4.2-21 V5.23.6.4.2-22", clock_caps,
		DRV_ID_RTC },
	{ "rtc.clocks.same_again", "V5.23.6.2-16 V5.23.6.2-17", same_again, DRV_ID_RTC },
	{ "rtc.clocks.cross_caps", "V5.23.6.2-3 V5.23.6.4.2-23 V5.23.6.5.2-10", cross_caps,
		DRV_ID_RTC },
	{ "rtc.request.unknown_type", "V5.23.6.2-4", unknown_types, DRV_ID_RTC,
		.flags = CF_HOSTILE },
	{ "rtc.request.unknown_counter", "V5.23.6.2-5", unknown_counters, DRV_ID_RTC,
		.flags = CF_HOSTILE },
	{ "rtc.request.bad_values", "V5.23.6.2-7", bad_values, DRV_ID_RTC, .flags = CF_HOSTILE },
	{ "rtc.request.reserved", "V5.23.6.2-7", reserved_set, DRV_ID_RTC, .flags = CF_HOSTILE },
	{ "rtc.request.short", "V5.23.6.2-8", short_requests, DRV_ID_RTC,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "rtc.response.short", "V5.23.6.2-9", short_responses, DRV_ID_RTC,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "rtc.response.no_room", "V5.23.6.2-10", no_room, DRV_ID_RTC, .flags = CF_HOSTILE },
	{ "rtc.response.more_room", "V5.23.6.2-12 V5.23.6.2-13", more_room, DRV_ID_RTC,
		.flags = CF_RINGS },
	{ "rtc.response.reserved", "V5.23.6.2-14", reserved_clear, DRV_ID_RTC },
	{ 0 },
};
