/* SPDX-License-Identifier: BSD-3-Clause */
/* Alarms of the clock device (VIRTIO 1.4, 5.23.6.6). */
#include "conformance/cases/rtc.h"
#include "conformance/cases/vq_util.h"

#define MS	UINT64_C(1000000)
#define FOREVER (UINT64_MAX - 1)
#define ENABLED 1u
#define BUFFERS 4u

/* A device with alarms, and a clock that has one. */
struct alarm {
	struct rtc r;
	unsigned id;
	uint8_t *bufs; /* BUFFERS of RTC_NOTIF_LEN bytes */
	unsigned given;
};

static bool alarm_up(struct alarm *a, struct cf *c)
{
	a->given = 0;
	if (!rtc_up(&a->r, c, RTC_ALARM) || !rtc_alarm_clock(&a->r, &a->id))
		return false;
	a->bufs = cf_buf(c, BUFFERS * RTC_NOTIF_LEN);
	/* None may be left of before, in a device that keeps them. */
	return a->bufs && rtc_must(&a->r, RTC_SET_ALARM, a->id, 0, 0, RTC_S_OK);
}

static bool set(struct alarm *a, uint64_t time, uint8_t flags)
{
	return rtc_must(&a->r, RTC_SET_ALARM, a->id, flags, time, RTC_S_OK);
}

static bool enable(struct alarm *a, uint8_t flags)
{
	return rtc_must(&a->r, RTC_SET_ALARM_ENABLED, a->id, flags, 0, RTC_S_OK);
}

static bool alarm_is(struct alarm *a, uint64_t time, uint8_t flags)
{
	return rtc_must(&a->r, RTC_READ_ALARM, a->id, 0, 0, RTC_S_OK) &&
	       cf_eq(a->r.c, rtc_word(&a->r, 8), time, "the alarm time") &&
	       cf_eq(a->r.c, a->r.resp[16], flags, "the alarm's flags");
}

/* Gives the device one buffer for a notification. */
static bool give(struct alarm *a)
{
	uint8_t *buf = a->bufs + (size_t)(a->given++ % BUFFERS) * RTC_NOTIF_LEN;
	struct drv_sg sg = cf_sg(a->r.c, buf, RTC_NOTIF_LEN);

	cf_fill(buf, 0xa5, RTC_NOTIF_LEN);
	return cf_submit(a->r.c, a->r.alarmq, &sg, 0, 1, buf);
}

/* A notification of this clock comes, exactly as it must be. */
static bool notified(struct alarm *a)
{
	struct cf *c = a->r.c;
	uint32_t used;
	void *cookie;
	uint8_t *n;

	if (!cf_used(c, a->r.alarmq, &cookie, &used) ||
		!cf_eq(c, used, RTC_NOTIF_LEN, "the used length of a notification"))
		return false;
	n = cookie;
	return cf_eq(c, n[0] | (unsigned)n[1] << 8, RTC_NOTIF_ALARM, "msg_type") &&
	       cf_eq(c, n[8] | (unsigned)n[9] << 8, a->id, "clock_id") &&
	       cf_check(c, cf_filled(n + 2, 0, 6) && cf_filled(n + 10, 0, 6),
		       "reserved fields of a notification are not zero");
}

static bool quiet(struct alarm *a)
{
	return vq_quiet(a->r.c, a->r.alarmq);
}

/* The clock has passed `time`, as it must have after a notification. */
static bool passed(struct alarm *a, uint64_t time)
{
	uint64_t now;

	return rtc_read(&a->r, a->id, &now) &&
	       cf_check(a->r.c, now >= time, "the alarm was for %llu, but it is only %llu",
		       (unsigned long long)time, (unsigned long long)now);
}

/* Requests. */

static void not_negotiated(struct cf *c)
{
	struct rtc r;

	if (!rtc_up(&r, c, 0))
		return;
	for (unsigned id = 0; id < r.nclocks && id < RTC_CLOCKS_MAX; id++)
		if (!rtc_must(&r, RTC_READ_ALARM, id, 0, 0, RTC_S_ENODEV) ||
			!rtc_must(&r, RTC_SET_ALARM, id, 0, 0, RTC_S_ENODEV) ||
			!rtc_must(&r, RTC_SET_ALARM_ENABLED, id, 0, 0, RTC_S_ENODEV))
			return;
}

/* The flag tells which clocks have alarm messages, and which have not. */
static void alarm_caps(struct cf *c)
{
	struct rtc r;

	if (!rtc_up(&r, c, RTC_ALARM))
		return;
	for (unsigned id = 0; id < r.nclocks && id < RTC_CLOCKS_MAX; id++) {
		uint8_t want;

		if (!rtc_must(&r, RTC_CLOCK_CAP, id, 0, 0, RTC_S_OK))
			return;
		want = r.resp[10] & 1 ? RTC_S_OK : RTC_S_ENODEV;
		if (!rtc_must(&r, RTC_SET_ALARM, id, 0, 0, want) ||
			!rtc_must(&r, RTC_READ_ALARM, id, 0, 0, want) ||
			!rtc_must(&r, RTC_SET_ALARM_ENABLED, id, 0, 0, want))
			return;
	}
}

/* Any time is taken, and comes back with what enables it. */
static void set_and_read(struct cf *c)
{
	static const uint64_t times[] = { 0, 1, 1000000000, INT64_MAX, UINT64_C(1) << 63, FOREVER,
		UINT64_MAX };
	struct alarm a;

	if (!alarm_up(&a, c))
		return;
	for (unsigned i = 0; i < sizeof(times) / sizeof(*times); i++)
		for (uint8_t flags = 0; flags < 2; flags++)
			if (!set(&a, times[i], flags) || !alarm_is(&a, times[i], flags))
				return;
	if (set(&a, FOREVER, 0) && enable(&a, ENABLED) && alarm_is(&a, FOREVER, ENABLED) &&
		enable(&a, 0))
		alarm_is(&a, FOREVER, 0);
}

/* Each clock has an alarm of its own. */
static void independent(struct cf *c)
{
	struct alarm a;

	if (!alarm_up(&a, c) || !set(&a, FOREVER, ENABLED))
		return;
	for (unsigned id = a.id + 1; id < a.r.nclocks; id++) {
		struct alarm b = a;

		b.id = id;
		if (!rtc_must(&a.r, RTC_CLOCK_CAP, id, 0, 0, RTC_S_OK))
			return;
		if (!(a.r.resp[10] & 1))
			continue;
		if (!set(&b, 77, 0) || !alarm_is(&b, 77, 0) || !alarm_is(&a, FOREVER, ENABLED))
			return;
	}
	set(&a, 0, 0);
}

/* Expiration. */

static void expires(struct cf *c)
{
	uint64_t now = 0;
	struct alarm a;

	if (!alarm_up(&a, c))
		return;
	for (unsigned i = 0; i < 3; i++) {
		uint64_t start = drv_now(cf_dev(c)), took;

		if (!give(&a) || !rtc_read(&a.r, a.id, &now) || !set(&a, now + 20 * MS, ENABLED) ||
			!notified(&a) || !passed(&a, now + 20 * MS))
			return;
		took = drv_now(cf_dev(c)) - start;
		cf_note(c, "an alarm 20 ms ahead came after %llu us",
			(unsigned long long)(took / 1000));
	}
	/* What is enabled stays so; it expires once. */
	if (alarm_is(&a, now + 20 * MS, ENABLED) && give(&a))
		quiet(&a);
}

static void set_to_past(struct cf *c)
{
	static const uint64_t past[] = { 0, 1, 1000 };
	struct alarm a;
	uint64_t now;

	if (!alarm_up(&a, c))
		return;
	for (unsigned i = 0; i < sizeof(past) / sizeof(*past); i++)
		if (!give(&a) || !set(&a, past[i], ENABLED) || !notified(&a))
			return;
	if (rtc_read(&a.r, a.id, &now) && give(&a) && set(&a, now, ENABLED))
		notified(&a);
}

static void enable_past(struct cf *c)
{
	struct alarm a;

	if (!alarm_up(&a, c) || !set(&a, 1, 0) || !give(&a) || !quiet(&a))
		return;
	if (!enable(&a, ENABLED) || !notified(&a))
		return;
	/* Enabling what is enabled is such an event again. */
	if (give(&a) && enable(&a, ENABLED))
		notified(&a);
}

static void disabled_stays_quiet(struct cf *c)
{
	uint64_t at, now;
	struct alarm a;

	if (!alarm_up(&a, c) || !give(&a) || !rtc_read(&a.r, a.id, &now))
		return;
	at = now + 100 * MS;
	if (!set(&a, at, ENABLED) || !set(&a, at, 0) || !rtc_read(&a.r, a.id, &now))
		return;
	if (now >= at) {
		cf_skip(c, "the alarm was due before it could be disabled");
		return;
	}
	while (now < at)
		if (!rtc_read(&a.r, a.id, &now))
			return;
	if (quiet(&a) && set(&a, FOREVER, ENABLED))
		quiet(&a);
}

/* Without a buffer the expiration waits, and then uses one. */
static void waits_for_buffer(struct cf *c)
{
	struct alarm a;

	if (alarm_up(&a, c) && set(&a, 1, ENABLED) && give(&a) && notified(&a) && give(&a))
		quiet(&a);
}

/* Disabled in time, it uses none. */
static void disable_stops(struct cf *c)
{
	for (unsigned how = 0; how < 2; how++) {
		struct alarm a;

		if (!alarm_up(&a, c) || !set(&a, 1, ENABLED) ||
			!(how ? enable(&a, 0) : set(&a, 1, 0)) || !give(&a) || !quiet(&a))
			return;
	}
}

/* An alarm is forgotten by a reset, or kept whole; a kept one that has passed expires then. */
static void over_reset(struct cf *c)
{
	struct alarm a;
	uint64_t time;
	bool kept;

	if (!alarm_up(&a, c) || !set(&a, FOREVER, ENABLED) || !rtc_up(&a.r, c, RTC_ALARM) ||
		!rtc_must(&a.r, RTC_READ_ALARM, a.id, 0, 0, RTC_S_OK))
		return;
	time = rtc_word(&a.r, 8);
	kept = time == FOREVER && a.r.resp[16] == ENABLED;
	if (!cf_check(c, kept || (!time && !a.r.resp[16]),
		    "after a reset the alarm time is %llu with flags %u", (unsigned long long)time,
		    a.r.resp[16]))
		return;
	cf_note(c, "alarms are %s over a reset", kept ? "kept" : "not kept");
	/* This one is in the past, and nobody has heard of it yet. */
	if (!set(&a, 1, ENABLED) || !rtc_up(&a.r, c, RTC_ALARM) || !give(&a))
		return;
	if (kept ? notified(&a) : quiet(&a))
		set(&a, 0, 0);
}

/* Of a driver that gives wrong buffers. */

static void readable_buffer(struct cf *c)
{
	struct drv_sg sg;
	struct alarm a;

	if (!alarm_up(&a, c))
		return;
	sg = cf_sg(c, a.bufs, RTC_NOTIF_LEN);
	if (!cf_submit(c, a.r.alarmq, &sg, 1, 0, a.bufs) || !set(&a, 1, ENABLED))
		return;
	cf_must_break(c, a.r.alarmq);
	cf_check(c, cf_filled(a.bufs, 0xa5, RTC_NOTIF_LEN), "a device-readable buffer was written");
}

static void short_buffer(struct cf *c)
{
	struct drv_sg sg;
	struct alarm a;

	if (!alarm_up(&a, c))
		return;
	sg = cf_sg(c, a.bufs, RTC_NOTIF_LEN - 1);
	if (!cf_submit(c, a.r.alarmq, &sg, 0, 1, a.bufs) || !set(&a, 1, ENABLED))
		return;
	cf_must_break(c, a.r.alarmq);
}

/* Many alarms that expire at once and are set again: one notification each, no more. */
static void flood(struct cf *c)
{
	struct alarm a;

	if (!alarm_up(&a, c))
		return;
	for (unsigned i = 0; i < 300; i++)
		if (!set(&a, 1, ENABLED))
			return;
	if (give(&a) && notified(&a) && give(&a))
		quiet(&a);
}

const struct cf_case cf_cases_rtc_alarm[] = {
	{ "rtc.alarm.not_negotiated", "V5.23.6.6.1-5 V5.23.6.6.2.2-1", not_negotiated, DRV_ID_RTC },
	{ "rtc.alarm.caps", "V5.23.6.6.1-6 V5.23.6.6.2.2-2 V5.23.6.6.3.2-1", alarm_caps, DRV_ID_RTC,
		.needs = RTC_ALARM },
	{ "rtc.alarm.set_and_read",
		"V5.23.6.6.1-4 V5.23.6.6.2.2-3 V5.23.6.6.2.2-4 V5.23.6.6.2.2-5 V5.23.6.6.2.2-6 "
		"V5.23.6.6.2.2-7 V5.23.6.6.2.2-8 V5.23.6.6.2.2-9 V5.23.6.6.2.2-10 "
		"V5.23.6.6.2.2-11 V5.23.6.6.2.2-12",
		set_and_read, DRV_ID_RTC, .needs = RTC_ALARM },
	{ "rtc.alarm.independent", "V5.23.6.6.2.2-7", independent, DRV_ID_RTC, .needs = RTC_ALARM },
	{ "rtc.alarm.expires", "V5.23.6.6.1-7 V5.23.6.6.1-11 V5.23.6.5.2-13", expires, DRV_ID_RTC,
		.flags = CF_RINGS, .needs = RTC_ALARM },
	{ "rtc.alarm.set_to_past", "V5.23.6.6.1-8", set_to_past, DRV_ID_RTC, .flags = CF_RINGS,
		.needs = RTC_ALARM },
	{ "rtc.alarm.enable_past", "V5.23.6.6.1-9", enable_past, DRV_ID_RTC, .needs = RTC_ALARM },
	{ "rtc.alarm.disabled", "V5.23.6.6.2.2-9 V5.23.6.6.3.2-1", disabled_stays_quiet, DRV_ID_RTC,
		.needs = RTC_ALARM },
	{ "rtc.alarm.waits_for_buffer", "V5.23.6.6.1-12", waits_for_buffer, DRV_ID_RTC,
		.flags = CF_RINGS, .needs = RTC_ALARM },
	{ "rtc.alarm.disable_stops", "V5.23.6.6.1-16", disable_stops, DRV_ID_RTC,
		.needs = RTC_ALARM },
	{ "rtc.alarm.reset", "V5.23.6.6.1-1 V5.23.6.6.1-2 V5.23.6.6.1-3 V5.23.6.6.1-10", over_reset,
		DRV_ID_RTC, .needs = RTC_ALARM },
	{ "rtc.alarm.readable_buffer", "ROB-25", readable_buffer, DRV_ID_RTC,
		.flags = CF_HOSTILE | CF_RINGS, .needs = RTC_ALARM },
	{ "rtc.alarm.short_buffer", "ROB-25", short_buffer, DRV_ID_RTC, .flags = CF_HOSTILE,
		.needs = RTC_ALARM },
	{ "rtc.alarm.flood", "V5.23.6.6.1-12 V5.23.6.6.1-18", flood, DRV_ID_RTC,
		.flags = CF_HOSTILE, .needs = RTC_ALARM },
	{ 0 },
};
