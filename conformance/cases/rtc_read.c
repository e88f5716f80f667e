/* SPDX-License-Identifier: BSD-3-Clause */
/* Readings of the clock device (VIRTIO 1.4, 5.23.6.4 and 5.23.6.5): scales, order, counters. */
#include "conformance/cases/rtc.h"

#define MS     INT64_C(1000000)
#define SECOND (1000 * MS)
/* Any day on which this runs: 2020 to 2200, in ns since 1970. */
#define EARLIEST (UINT64_C(1577836800) * SECOND)
#define LATEST	 (UINT64_C(7258118400) * SECOND)
#define FLIGHT	 16u

static unsigned clocks(const struct rtc *r)
{
	return r->nclocks < RTC_CLOCKS_MAX ? r->nclocks : RTC_CLOCKS_MAX;
}

static uint64_t now(struct cf *c)
{
	return drv_now(cf_dev(c));
}

static void spend(struct cf *c, int64_t ns)
{
	uint64_t until = now(c) + (uint64_t)ns;

	while (now(c) < until)
		;
}

static bool is_utc(uint8_t type)
{
	return type == VIRTIO_RTC_CLOCK_UTC || type == VIRTIO_RTC_CLOCK_UTC_SMEARED ||
	       type == VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED;
}

static void read_all(struct cf *c)
{
	uint64_t time;
	struct rtc r;

	if (!rtc_up(&r, c, 0))
		return;
	for (unsigned round = 0; round < 3; round++)
		for (unsigned id = 0; id < r.nclocks; id++)
			if (!rtc_read(&r, id, &time))
				return;
}

/* What the runner knows of UTC, if it does: "utc" in ns. */
static bool known_utc(struct cf *c, uint64_t *utc)
{
	const char *fact = cf_fact(c, "utc");

	return fact && cf_number(fact, utc);
}

/* UTC as POSIX counts it, within a second of what is known. */
static void utc(struct cf *c)
{
	unsigned found = 0;
	struct rtc r;

	if (!rtc_up(&r, c, 0))
		return;
	for (unsigned id = 0; id < clocks(&r); id++) {
		uint64_t time, before, after;
		uint8_t type;
		bool known;

		if (!rtc_type(&r, id, &type))
			return;
		if (!is_utc(type))
			continue;
		found++;
		known = known_utc(c, &before);
		if (!rtc_read(&r, id, &time) ||
			!cf_check(c, time > EARLIEST && time < LATEST,
				"clock %u of type %u reads %llu, which is no day this could run",
				id, type, (unsigned long long)time))
			return;
		if (known && known_utc(c, &after))
			cf_check(c, time + SECOND >= before && time <= after + SECOND,
				"clock %u reads %llu, UTC is %llu", id, (unsigned long long)time,
				(unsigned long long)after);
	}
	if (!found)
		cf_skip(c, "the device has no UTC clock");
}

/* TAI is ahead of UTC by whole seconds, 37 since 2017. */
static void tai(struct cf *c)
{
	unsigned utc_id = RTC_CLOCKS_MAX, tai_id = RTC_CLOCKS_MAX;
	uint64_t u1, t, u2;
	struct rtc r;

	if (!rtc_up(&r, c, 0))
		return;
	for (unsigned id = 0; id < clocks(&r); id++) {
		uint8_t type;

		if (!rtc_type(&r, id, &type))
			return;
		utc_id = type == VIRTIO_RTC_CLOCK_UTC ? id : utc_id;
		tai_id = type == VIRTIO_RTC_CLOCK_TAI ? id : tai_id;
	}
	if (tai_id == RTC_CLOCKS_MAX) {
		cf_skip(c, "the device has no TAI clock");
		return;
	}
	if (!rtc_read(&r, tai_id, &t) ||
		!cf_check(c, t > EARLIEST && t < LATEST,
			"TAI reads %llu, which is no day this could run", (unsigned long long)t))
		return;
	if (utc_id == RTC_CLOCKS_MAX)
		return;
	if (rtc_read(&r, utc_id, &u1) && rtc_read(&r, tai_id, &t) && rtc_read(&r, utc_id, &u2)) {
		int64_t least = (int64_t)(t - u2), most = (int64_t)(t - u1);

		cf_check(c, most >= 20 * SECOND && least <= 60 * SECOND,
			"TAI is %lld to %lld ns ahead of UTC", (long long)least, (long long)most);
		/* A whole number of seconds is among what it may be. */
		cf_check(c, most / SECOND * SECOND >= least,
			"TAI - UTC is between %lld and %lld ns, which is no whole second",
			(long long)least, (long long)most);
	}
}

/* Every clock runs in nanoseconds: as many pass as on the platform's clock. A smearing clock is
 * off by a thousandth at most, and one that is steered by a two-thousandth. */
static void rate(struct cf *c)
{
	struct rtc r;

	if (!rtc_up(&r, c, 0))
		return;
	for (unsigned id = 0; id < clocks(&r); id++) {
		uint64_t a, b, p1 = now(c), p2, p3, p4;
		int64_t took;

		if (!rtc_read(&r, id, &a))
			return;
		p2 = now(c);
		spend(c, 50 * MS);
		p3 = now(c);
		if (!rtc_read(&r, id, &b))
			return;
		p4 = now(c);
		took = (int64_t)(b - a);
		cf_check(c,
			took >= (int64_t)(p3 - p2) * 98 / 100 &&
				took <= (int64_t)(p4 - p1) * 102 / 100,
			"clock %u made %lld ns while between %llu and %llu passed", id,
			(long long)took, (unsigned long long)(p3 - p2),
			(unsigned long long)(p4 - p1));
	}
}

/* The first clock of type MONOTONIC; false (skipped) if there is none. */
static bool find_monotonic(struct rtc *r, unsigned *id)
{
	uint8_t type;

	for (*id = 0; *id < clocks(r); (*id)++) {
		if (!rtc_type(r, *id, &type))
			return false;
		if (type == VIRTIO_RTC_CLOCK_MONOTONIC)
			return true;
	}
	cf_skip(r->c, "the device has no monotonic clock");
	return false;
}

static void monotonic(struct cf *c)
{
	uint64_t last = 0, time;
	struct rtc r;
	unsigned id;

	if (!rtc_up(&r, c, 0) || !find_monotonic(&r, &id))
		return;
	for (unsigned i = 0; i < 200; i++, last = time)
		if (!rtc_read(&r, id, &time) ||
			!cf_check(c, time >= last, "reading %u is %llu, the one before was %llu", i,
				(unsigned long long)time, (unsigned long long)last))
			return;
}

/* The epoch is no later than the reset: the reading is at least as old as the reset is. */
static void monotonic_epoch(struct cf *c)
{
	uint64_t reset, time, age;
	struct rtc r;
	unsigned id;

	for (unsigned round = 0; round < 2; round++) {
		if (!cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset"))
			return;
		reset = now(c);
		if (!rtc_up(&r, c, 0) || !find_monotonic(&r, &id))
			return;
		spend(c, 5 * MS);
		age = now(c) - reset;
		if (!rtc_read(&r, id, &time))
			return;
		cf_check(c, time >= age / 100 * 98, "it reads %llu, but the reset was %llu ns ago",
			(unsigned long long)time, (unsigned long long)age);
	}
}

/* Several at once: used in their order, and read in it. */
static void in_order(struct cf *c)
{
	uint64_t last = 0, time;
	struct rtc r;
	unsigned id, n;
	uint8_t *out, *in;

	if (!rtc_up(&r, c, 0) || !find_monotonic(&r, &id))
		return;
	n = r.q->ring.size / 2 < FLIGHT ? r.q->ring.size / 2 : FLIGHT;
	out = cf_buf(c, 16);
	in = cf_buf(c, FLIGHT * 16);
	if (!out || !in)
		return;
	rtc_make(&r, RTC_READ, id, 0, 0);
	cf_copy(out, r.req, 16);
	for (unsigned i = 0; i < n; i++) {
		struct drv_sg sg[2] = { cf_sg(c, out, 16), cf_sg(c, in + i * 16, 16) };

		if (!cf_submit(c, r.q, sg, 1, 1, in + i * 16))
			return;
	}
	for (unsigned i = 0; i < n; i++, last = time) {
		void *cookie;
		uint32_t used;

		if (!cf_used(c, r.q, &cookie, &used) ||
			!cf_check(c, cookie == in + i * 16, "read %u is not used in its turn", i) ||
			!cf_eq(c, used, 16, "the used length"))
			return;
		cf_copy(&time, in + i * 16 + 8, sizeof(time));
		if (!cf_eq(c, in[i * 16], RTC_S_OK, "status") ||
			!cf_check(c, time >= last, "read %u got %llu, the one before it %llu", i,
				(unsigned long long)time, (unsigned long long)last))
			return;
	}
}

/* No reading is older than its request: after a pause it has moved by at least the pause. */
static void after_request(struct cf *c)
{
	struct rtc r;

	if (!rtc_up(&r, c, 0))
		return;
	for (unsigned id = 0; id < clocks(&r); id++) {
		uint64_t a, b, from, paused;

		if (!rtc_read(&r, id, &a))
			return;
		from = now(c);
		spend(c, 10 * MS);
		paused = now(c) - from;
		if (!rtc_read(&r, id, &b) ||
			!cf_check(c, b - a >= paused / 100 * 98,
				"clock %u moved %lld ns in a pause of %llu", id, (long long)(b - a),
				(unsigned long long)paused))
			return;
	}
}

/* Cross-timestamps. */

/* False (skipped) if this clock cannot be read with the driver's counter. */
static bool crosses(struct rtc *r, unsigned id)
{
	return rtc_must(r, RTC_CROSS_CAP, id, rtc_counter_id(), 0, RTC_S_OK) && (r->resp[8] & 1);
}

static bool read_cross(struct rtc *r, unsigned id, uint64_t *time, uint64_t *cycles)
{
	if (!rtc_must(r, RTC_READ_CROSS, id, rtc_counter_id(), 0, RTC_S_OK))
		return false;
	*time = rtc_word(r, 8);
	*cycles = rtc_word(r, 16);
	return true;
}

/* The counter is the driver's, at the time of the reading: it is between what the driver reads
 * before and after the request, and later from request to request. */
static void cross(struct cf *c)
{
	unsigned found = 0;
	struct rtc r;

	if (!rtc_up(&r, c, 0))
		return;
	for (unsigned id = 0; id < clocks(&r); id++) {
		uint64_t last = 0;

		if (!crosses(&r, id))
			continue;
		found++;
		for (unsigned i = 0; i < 20; i++) {
			uint64_t before = rtc_counter(), after, time, cycles;

			if (!read_cross(&r, id, &time, &cycles))
				return;
			after = rtc_counter();
			if (!cf_check(c, cycles >= before && cycles <= after,
				    "clock %u: the counter is %llu, the driver read %llu before "
				    "and %llu after",
				    id, (unsigned long long)cycles, (unsigned long long)before,
				    (unsigned long long)after) ||
				!cf_check(c, cycles >= last, "the counter went back"))
				return;
			last = cycles;
		}
	}
	if (!found && !cf_failed(c))
		cf_skip(c, "the device offers no cross-timestamps with this processor's counter");
}

/* Readings of READ and READ_CROSS are on one scale, in ns. */
static void cross_reading(struct cf *c)
{
	unsigned found = 0;
	struct rtc r;

	if (!rtc_up(&r, c, 0))
		return;
	for (unsigned id = 0; id < clocks(&r); id++) {
		uint64_t before, time, after, cycles;

		if (!crosses(&r, id))
			continue;
		found++;
		if (!rtc_read(&r, id, &before) || !read_cross(&r, id, &time, &cycles) ||
			!rtc_read(&r, id, &after))
			return;
		cf_check(c, before <= time && time <= after,
			"clock %u: %llu with the counter, between readings of %llu and %llu", id,
			(unsigned long long)time, (unsigned long long)before,
			(unsigned long long)after);
	}
	if (!found && !cf_failed(c))
		cf_skip(c, "the device offers no cross-timestamps with this processor's counter");
}

/* The same device behind two requests in flight, killed in between. */
static void killed(struct cf *c)
{
	struct cf_target *t = cf_target(c);
	uint64_t before, after;
	struct rtc r;
	unsigned id;

	if (!t->kill) {
		cf_skip(c, "the back-end cannot be killed here");
		return;
	}
	if (!rtc_up(&r, c, 0) || !find_monotonic(&r, &id) || !rtc_read(&r, id, &before) ||
		!cf_check(c, t->kill(t), "the back-end cannot be replaced") ||
		!rtc_read(&r, id, &after))
		return;
	cf_check(c, after >= before, "the clock read %llu, and %llu by the next process",
		(unsigned long long)before, (unsigned long long)after);
}

const struct cf_case cf_cases_rtc_read[] = {
	{ "rtc.read.all", "V5.23.6.5.2-1 V5.23.6.5.2-5", read_all, DRV_ID_RTC, .flags = CF_RINGS },
	{ "rtc.read.utc", "V5.23.6.4.2-1 V5.23.6.4.2-2 V5.23.6.4.2-3 V5.23.6.4.2-4", utc,
		DRV_ID_RTC },
	{ "rtc.read.tai", "V5.23.6.4.2-17 V5.23.6.4.2-18", tai, DRV_ID_RTC },
	{ "rtc.read.rate", "V5.23.6.4.2-19 V5.23.6.5.2-6", rate, DRV_ID_RTC },
	{ "rtc.read.monotonic", "V5.23.6.5.2-4", monotonic, DRV_ID_RTC },
	{ "rtc.read.epoch", "V5.23.6.4.2-20", monotonic_epoch, DRV_ID_RTC },
	{ "rtc.read.order", "V5.23.6.5.2-2 V5.23.6.5.2-3", in_order, DRV_ID_RTC,
		.flags = CF_RINGS },
	{ "rtc.read.fresh", "V5.23.6.5.2-7", after_request, DRV_ID_RTC },
	{ "rtc.cross.counter", "V5.23.6.5.2-8 V5.23.6.5.2-11", cross, DRV_ID_RTC },
	{ "rtc.cross.reading", "V5.23.6.5.2-12", cross_reading, DRV_ID_RTC },
	{ "rtc.kill.read", "ROB-7", killed, DRV_ID_RTC },
	{ 0 },
};
