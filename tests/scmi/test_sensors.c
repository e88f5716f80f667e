/* SPDX-License-Identifier: BSD-3-Clause */
/* The sensor protocol: descriptions, readings, configuration, notifications, bad messages. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/util.h"
#include "scmi/rig.h"

#define SENSOR	       SCMI_PROTOCOL_SENSOR
#define DESCRIPTION    0x3
#define TRIP_NOTIFY    0x4
#define TRIP_CONFIG    0x5
#define READING	       0x6
#define AXES	       0x7
#define INTERVALS      0x8
#define CONFIG_GET     0x9
#define CONFIG_SET     0xa
#define UPDATE_NOTIFY  0xb
#define NAME_GET       0xc
#define EVENT_TRIP     SCMI_HDR(0, SCMI_TYPE_NOTIFICATION, SENSOR)
#define EVENT_UPDATE   SCMI_HDR(1, SCMI_TYPE_NOTIFICATION, SENSOR)
#define EVENT_COMPLETE SCMI_HDR(READING, SCMI_TYPE_DELAYED, SENSOR)
/* A word of configuration: seconds, exponent, rounding, time stamps, enabled. */
#define CONFIG(s, x, round, stamps, on)                                                            \
	((uint32_t)(s) << 16 | ((uint32_t)(x)&31) << 11 | (round) << 9 | (stamps) << 1 | (on))
#define LONG_MS	 5000
#define SHORT_MS 60

static const char *const keys[] = { "sensors",
	"cabin unit=celsius exponent=-1 min=-40 max=85 resolution=0.5 value=21.5 interval=10ms",
	"sensors",
	"accel unit=meter-per-second-squared exponent=-2 axes=3 value=0.1/-0.2/9.81 min=-20 max=20",
	"sensors", "a-sensor-with-a-long-name unit=volt value=-1 async=5ms trips=3 interval=10ms",
	NULL };

enum { CABIN, ACCEL, LONG, COUNT };

static int64_t value64(const uint32_t *w)
{
	return (int64_t)((uint64_t)w[1] << 32 | w[0]);
}

static void protocol(struct tap *t)
{
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	CHECK_EQ(t, CMD0(&r, SENSOR, SCMI_VERSION), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 0x30001);
	CHECK_EQ(t, CMD0(&r, SENSOR, SCMI_ATTRIBUTES), SCMI_SUCCESS);
	CHECK_EQ(t, r.n, 4);
	CHECK_EQ(t, r.ret[0], COUNT | SCMI_DELAYED_MAX << 16);
	CHECK(t, !r.ret[1] && !r.ret[2] && !r.ret[3]);
	for (uint32_t id = DESCRIPTION; id <= NAME_GET; id++) {
		CHECK_EQ(t, CMD(&r, SENSOR, SCMI_MSG_ATTRIBUTES, id), SCMI_SUCCESS);
		CHECK_EQ(t, r.ret[0], 0);
	}
	CHECK_EQ(t, CMD(&r, SENSOR, SCMI_MSG_ATTRIBUTES, NAME_GET + 1), SCMI_NOT_FOUND);
	rig_close(&r);
}

static void check_cabin(struct tap *t, const uint32_t *d)
{
	CHECK_EQ(t, d[0], CABIN);
	/* Updates, nanoseconds, time stamps, extended attributes, two trip points. */
	CHECK_EQ(t, d[1], 1u << 30 | 0x17 << 10 | 1 << 9 | 1 << 8 | 2);
	CHECK_EQ(t, d[2], 0x1f << 11 | 2);
	CHECK(t, rig_text_is(d + 3, "cabin"));
	CHECK_EQ(t, d[7], 0);
	CHECK_EQ(t, d[8], 0x1fu << 27 | 5);
	CHECK_EQ(t, value64(d + 9), -400);
	CHECK_EQ(t, value64(d + 11), 850);
}

static void check_accel(struct tap *t, const uint32_t *d)
{
	CHECK_EQ(t, d[0], ACCEL);
	CHECK_EQ(t, d[1], 1u << 30 | 0x17 << 10 | 1 << 9);
	CHECK_EQ(t, d[2], 3 << 16 | 0x1e << 11 | 1 << 8 | 89);
	CHECK(t, rig_text_is(d + 3, "accel"));
}

static void descriptions(struct tap *t)
{
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	/* All at once, and as many as fit. */
	CHECK_EQ(t, rig_do_room(&r, SENSOR, DESCRIPTION, &(uint32_t){ 0 }, 1, 200), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 3);
	CHECK_EQ(t, r.n, 1 + 13 + 7 + 13);
	check_cabin(t, r.ret + 1);
	check_accel(t, r.ret + 14);
	CHECK_EQ(t, r.ret[22], 1u << 31 | 1u << 30 | 1u << 29 | 0x17 << 10 | 1 << 9 | 1 << 8 | 3);
	CHECK(t, rig_text_is(r.ret + 24, "a-sensor-with-a"));
	CHECK_EQ(t, rig_do_room(&r, SENSOR, DESCRIPTION, &(uint32_t){ 0 }, 1, 83), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 1 | 2 << 16);
	CHECK_EQ(t, rig_do_room(&r, SENSOR, DESCRIPTION, &(uint32_t){ 1 }, 1, 32), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 1 | 1 << 16);
	check_accel(t, r.ret + 1);
	CHECK_EQ(
		t, rig_do_room(&r, SENSOR, DESCRIPTION, &(uint32_t){ 0 }, 1, 55), SCMI_COMMS_ERROR);
	CHECK_EQ(t, CMD(&r, SENSOR, DESCRIPTION, COUNT), SCMI_OUT_OF_RANGE);
	CHECK_EQ(t, CMD(&r, SENSOR, DESCRIPTION, UINT32_MAX), SCMI_OUT_OF_RANGE);
	CHECK_EQ(t, CMD(&r, SENSOR, NAME_GET, LONG), SCMI_SUCCESS);
	CHECK(t, rig_text_is(r.ret + 1, "a-sensor-with-a-long-name"));
	rig_close(&r);
}

static void axes(struct tap *t)
{
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	/* Two fit into Linux's buffers, then there is one more. */
	CHECK_EQ(t, CMD(&r, SENSOR, AXES, ACCEL, 0), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 2 | 1u << 26);
	CHECK_EQ(t, r.n, 1 + 2 * 12);
	CHECK_EQ(t, r.ret[1], 0);
	CHECK_EQ(t, r.ret[2], 1 << 8);
	CHECK_EQ(t, r.ret[3], 0x1e << 11 | 89);
	CHECK(t, rig_text_is(r.ret + 4, "accel_X"));
	CHECK_EQ(t, r.ret[8], 0x1eu << 27 | 1);
	CHECK_EQ(t, value64(r.ret + 9), -2000);
	CHECK(t, rig_text_is(r.ret + 16, "accel_Y"));
	CHECK_EQ(t, CMD(&r, SENSOR, AXES, ACCEL, 2), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 1);
	CHECK(t, rig_text_is(r.ret + 4, "accel_Z"));
	CHECK_EQ(t, CMD(&r, SENSOR, AXES, ACCEL, 3), SCMI_OUT_OF_RANGE);
	CHECK_EQ(t, CMD(&r, SENSOR, AXES, CABIN, 0), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, rig_do_room(&r, SENSOR, AXES, (uint32_t[]){ ACCEL, 0 }, 2, 51),
		SCMI_COMMS_ERROR);
	rig_close(&r);
}

static void intervals(struct tap *t)
{
	/* 10ms and its multiples: seconds << 5 | exponent. */
	static const uint32_t expected[] = { 1 << 5 | 30, 2 << 5 | 30, 5 << 5 | 30, 1 << 5 | 31,
		2 << 5 | 31, 5 << 5 | 31, 1 << 5 };
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	CHECK_EQ(t, CMD(&r, SENSOR, INTERVALS, CABIN, 0), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 7);
	for (unsigned i = 0; i < ARRAY_LEN(expected); i++)
		CHECK_EQ(t, r.ret[1 + i], expected[i]);
	CHECK_EQ(t, rig_do_room(&r, SENSOR, INTERVALS, (uint32_t[]){ CABIN, 4 }, 2, 12),
		SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], 2 | 1 << 16);
	CHECK_EQ(t, r.ret[1], expected[4]);
	CHECK_EQ(t, CMD(&r, SENSOR, INTERVALS, CABIN, 7), SCMI_OUT_OF_RANGE);
	rig_close(&r);
}

static void readings(struct tap *t)
{
	struct scmi_rig r;
	int64_t first;

	rig_open(t, &r, P2A, 4, keys);
	CHECK_EQ(t, CMD(&r, SENSOR, READING, CABIN, 0), SCMI_SUCCESS);
	CHECK_EQ(t, r.n, 4);
	CHECK_EQ(t, value64(r.ret), 215);
	first = value64(r.ret + 2);
	CHECK(t, first > 0 && (uint64_t)first <= ev_now_ns());
	CHECK_EQ(t, CMD(&r, SENSOR, READING, CABIN, 0), SCMI_SUCCESS);
	CHECK(t, value64(r.ret + 2) > first);
	CHECK_EQ(t, CMD(&r, SENSOR, READING, ACCEL, 0), SCMI_SUCCESS);
	CHECK_EQ(t, r.n, 12);
	CHECK(t, value64(r.ret) == 10 && value64(r.ret + 4) == -20 && value64(r.ret + 8) == 981);
	CHECK_EQ(t, CMD(&r, SENSOR, READING, CABIN, 2), SCMI_INVALID_PARAMETERS);
	CHECK_EQ(t, CMD(&r, SENSOR, READING, CABIN, 1), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, rig_do_room(&r, SENSOR, READING, (uint32_t[]){ ACCEL, 0 }, 2, 47),
		SCMI_COMMS_ERROR);
	CHECK_EQ(t, r.n, 0);
	rig_close(&r);
}

static void asynchronous(struct tap *t)
{
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	CHECK_EQ(t, CMD(&r, SENSOR, READING, LONG, 1), SCMI_SUCCESS);
	CHECK_EQ(t, r.n, 0);
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK_EQ(t, r.event_hdr, EVENT_COMPLETE | r.token << 18);
	CHECK_EQ(t, r.event_n, 6);
	CHECK_EQ(t, r.event[0], SCMI_SUCCESS);
	CHECK_EQ(t, r.event[1], LONG);
	CHECK_EQ(t, value64(r.event + 2), -1000);
	CHECK(t, value64(r.event + 4) > 0);
	CHECK(t, !rig_tell(&r, "sensor a-sensor-with-a-long-name gone", NULL, 0));
	CHECK_EQ(t, CMD(&r, SENSOR, READING, LONG, 1), SCMI_SUCCESS);
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK_EQ(t, r.event_n, 1);
	CHECK_EQ(t, (int32_t)r.event[0], SCMI_HARDWARE_ERROR);
	rig_close(&r);
}

static void configuration(struct tap *t)
{
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	CHECK_EQ(t, CMD(&r, SENSOR, CONFIG_GET, CABIN), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], CONFIG(1, -2, 0, 1, 1));
	/* Enabled without time stamps; the interval stays. */
	CHECK_EQ(t, CMD(&r, SENSOR, CONFIG_SET, CABIN, 1), SCMI_SUCCESS);
	CHECK_EQ(t, CMD(&r, SENSOR, CONFIG_GET, CABIN), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], CONFIG(1, -2, 0, 0, 1));
	CHECK_EQ(t, CMD(&r, SENSOR, READING, CABIN, 0), SCMI_SUCCESS);
	CHECK(t, r.n == 4 && !r.ret[2] && !r.ret[3]);
	CHECK_EQ(t, CMD(&r, SENSOR, CONFIG_SET, CABIN, 0), SCMI_SUCCESS);
	CHECK_EQ(t, CMD(&r, SENSOR, READING, CABIN, 0), SCMI_GENERIC_ERROR);
	CHECK_EQ(t, CMD(&r, SENSOR, READING, ACCEL, 0), SCMI_SUCCESS);
	/* A reset brings the beginning back. */
	vhud_close(r.d);
	r.d = vhud_open(r.srv.path);
	rig_start(t, &r, P2A, 4);
	CHECK_EQ(t, CMD(&r, SENSOR, CONFIG_GET, CABIN), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], CONFIG(1, -2, 0, 1, 1));
	rig_close(&r);
}

struct rounding {
	uint32_t config;
	int32_t status;
	uint32_t is;
};

static void rounding(struct tap *t)
{
	static const struct rounding cases[] = {
		{ CONFIG(2, -2, 0, 1, 1), SCMI_SUCCESS, CONFIG(2, -2, 0, 1, 1) },
		{ CONFIG(10000, -5, 2, 1, 1), SCMI_SUCCESS, CONFIG(1, -1, 0, 1, 1) },
		{ CONFIG(3, -2, 0, 1, 1), SCMI_SUCCESS, CONFIG(2, -2, 0, 1, 1) },
		{ CONFIG(3, -2, 1, 1, 1), SCMI_SUCCESS, CONFIG(5, -2, 0, 1, 1) },
		{ CONFIG(4, -2, 2, 1, 1), SCMI_SUCCESS, CONFIG(5, -2, 0, 1, 1) },
		{ CONFIG(1, -3, 0, 1, 1), SCMI_INVALID_PARAMETERS, CONFIG(5, -2, 0, 1, 1) },
		{ CONFIG(1, -3, 1, 1, 1), SCMI_SUCCESS, CONFIG(1, -2, 0, 1, 1) },
		{ CONFIG(9, 15, 1, 1, 1), SCMI_INVALID_PARAMETERS, CONFIG(1, -2, 0, 1, 1) },
		{ CONFIG(65535, 15, 2, 1, 1), SCMI_SUCCESS, CONFIG(1, 0, 0, 1, 1) },
		{ CONFIG(1, 0, 3, 1, 1), SCMI_INVALID_PARAMETERS, CONFIG(1, 0, 0, 1, 1) },
		{ CONFIG(2, -2, 0, 1, 1) | 4, SCMI_INVALID_PARAMETERS, CONFIG(1, 0, 0, 1, 1) },
		{ CONFIG(2, -2, 0, 1, 1) | 1 << 8, SCMI_INVALID_PARAMETERS, CONFIG(1, 0, 0, 1, 1) },
	};
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_EQ(t, CMD(&r, SENSOR, CONFIG_SET, CABIN, cases[i].config), cases[i].status);
		CHECK_EQ(t, CMD(&r, SENSOR, CONFIG_GET, CABIN), SCMI_SUCCESS);
		CHECK_EQ(t, r.ret[0], cases[i].is);
	}
	rig_close(&r);
}

/* Takes what is there until nothing more comes; false if it does not end. */
static bool becomes_silent(struct scmi_rig *r)
{
	for (unsigned i = 0; i < 50; i++)
		if (!rig_event(r, SHORT_MS))
			return true;
	return false;
}

static void updates(struct tap *t)
{
	struct scmi_rig r;
	int64_t first = 0, last = 0;

	rig_open(t, &r, P2A, EVENTS, keys);
	CHECK_EQ(t, CMD(&r, SENSOR, UPDATE_NOTIFY, CABIN, 1), SCMI_SUCCESS);
	for (unsigned i = 0; i < 10; i++) {
		REQUIRE(t, rig_event(&r, LONG_MS));
		CHECK_EQ(t, r.event_hdr, EVENT_UPDATE);
		CHECK_EQ(t, r.event_n, 6);
		CHECK(t, !r.event[0] && r.event[1] == CABIN);
		CHECK_EQ(t, value64(r.event + 2), 215);
		CHECK(t, value64(r.event + 4) > last);
		last = value64(r.event + 4);
		first = first ? first : last;
	}
	/* Ten samples as far apart as was configured, but for the first and the last one's delay.
	 */
	CHECK(t, last - first > 70000000);
	/* Now one in a second, and none of a disabled sensor. */
	CHECK_EQ(t, CMD(&r, SENSOR, CONFIG_SET, CABIN, CONFIG(1, 0, 0, 1, 1)), SCMI_SUCCESS);
	CHECK(t, becomes_silent(&r));
	CHECK_EQ(t, CMD(&r, SENSOR, CONFIG_SET, CABIN, CONFIG(1, -2, 0, 1, 1)), SCMI_SUCCESS);
	CHECK_EQ(t, CMD(&r, SENSOR, CONFIG_SET, CABIN, CONFIG(1, -2, 0, 1, 0)), SCMI_SUCCESS);
	CHECK(t, becomes_silent(&r));
	CHECK_EQ(t, CMD(&r, SENSOR, CONFIG_SET, CABIN, CONFIG(1, -2, 0, 0, 1)), SCMI_SUCCESS);
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK_EQ(t, value64(r.event + 4), 0);
	CHECK_EQ(t, CMD(&r, SENSOR, UPDATE_NOTIFY, CABIN, 0), SCMI_SUCCESS);
	CHECK(t, becomes_silent(&r));
	CHECK_EQ(t, CMD(&r, SENSOR, UPDATE_NOTIFY, ACCEL, 1), SCMI_SUCCESS);
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK_EQ(t, r.event_n, 14);
	CHECK_EQ(t, value64(r.event + 10), 981);
	CHECK_EQ(t, CMD(&r, SENSOR, UPDATE_NOTIFY, ACCEL, 2), SCMI_INVALID_PARAMETERS);
	rig_close(&r);
}

static void set_trip(struct tap *t, struct scmi_rig *r, unsigned trip, unsigned mode, int64_t v)
{
	CHECK_EQ(t,
		CMD(r, SENSOR, TRIP_CONFIG, LONG, trip << 4 | mode, (uint32_t)v,
			(uint32_t)((uint64_t)v >> 32)),
		SCMI_SUCCESS);
}

static void tell_value(struct tap *t, struct scmi_rig *r, const char *value)
{
	char words[64];

	snprintf(words, sizeof(words), "sensor a-sensor-with-a-long-name value %s", value);
	CHECK_EQ(t, rig_tell(r, words, NULL, 0), 0);
}

static void expect_trip(struct tap *t, struct scmi_rig *r, uint32_t desc)
{
	if (!CHECK(t, rig_event(r, LONG_MS)))
		return;
	CHECK_EQ(t, r->event_hdr, EVENT_TRIP);
	CHECK_EQ(t, r->event_n, 3);
	CHECK_EQ(t, r->event[0], 0);
	CHECK_EQ(t, r->event[1], LONG);
	CHECK_EQ(t, r->event[2], desc);
}

static void trip_points(struct tap *t)
{
	struct scmi_rig r;

	rig_open(t, &r, P2A, EVENTS, keys);
	set_trip(t, &r, 0, 1, 5000);
	set_trip(t, &r, 1, 2, -2000);
	set_trip(t, &r, 2, 3, 8000);
	tell_value(t, &r, "6");
	CHECK(t, !rig_event(&r, SHORT_MS));
	CHECK_EQ(t, CMD(&r, SENSOR, TRIP_NOTIFY, LONG, 1), SCMI_SUCCESS);
	tell_value(t, &r, "4");
	CHECK(t, !rig_event(&r, SHORT_MS));
	tell_value(t, &r, "5");
	expect_trip(t, &r, 1 << 16 | 0);
	tell_value(t, &r, "5.5");
	tell_value(t, &r, "8.001");
	expect_trip(t, &r, 1 << 16 | 2);
	tell_value(t, &r, "-2");
	expect_trip(t, &r, 1);
	expect_trip(t, &r, 2);
	/* Off again, one and all. */
	set_trip(t, &r, 0, 0, 0);
	tell_value(t, &r, "6");
	CHECK(t, !rig_event(&r, SHORT_MS));
	CHECK_EQ(t, CMD(&r, SENSOR, TRIP_NOTIFY, LONG, 0), SCMI_SUCCESS);
	tell_value(t, &r, "9");
	CHECK(t, !rig_event(&r, SHORT_MS));
	rig_close(&r);
}

/* A script crosses its trip points by itself. */
static void trip_points_of_a_script(struct tap *t)
{
	static const char *const script[] = { "sensors",
		"wave exponent=-6 source=sine from=0 to=100 period=200ms interval=2ms", NULL };
	struct scmi_rig r;

	rig_open(t, &r, P2A, EVENTS, script);
	CHECK_EQ(t, CMD(&r, SENSOR, TRIP_CONFIG, 0, 3, 50000001, 0), SCMI_SUCCESS);
	CHECK_EQ(t, CMD(&r, SENSOR, TRIP_NOTIFY, 0, 1), SCMI_SUCCESS);
	for (unsigned i = 0; i < 4; i++) {
		uint32_t before = r.event[2];

		REQUIRE(t, rig_event(&r, LONG_MS));
		CHECK_EQ(t, r.event_hdr, EVENT_TRIP);
		CHECK(t, !i || r.event[2] == (before ^ 1 << 16));
	}
	rig_close(&r);
}

/* What is wrong with a message, and the status that says so. */
static void bad_messages(struct tap *t)
{
	static const struct {
		uint8_t message, n;
		uint32_t words[5];
		int32_t status;
	} bad[] = {
		{ DESCRIPTION, 0, { 0 }, SCMI_PROTOCOL_ERROR },
		{ DESCRIPTION, 2, { 0 }, SCMI_PROTOCOL_ERROR },
		{ READING, 1, { CABIN }, SCMI_PROTOCOL_ERROR },
		{ READING, 3, { CABIN }, SCMI_PROTOCOL_ERROR },
		{ READING, 2, { COUNT }, SCMI_NOT_FOUND },
		{ READING, 2, { UINT32_MAX }, SCMI_NOT_FOUND },
		{ READING, 2, { CABIN, UINT32_MAX }, SCMI_INVALID_PARAMETERS },
		{ AXES, 2, { COUNT, 0 }, SCMI_NOT_FOUND },
		{ AXES, 2, { ACCEL, UINT32_MAX }, SCMI_OUT_OF_RANGE },
		{ INTERVALS, 2, { COUNT, 0 }, SCMI_NOT_FOUND },
		{ INTERVALS, 2, { CABIN, UINT32_MAX }, SCMI_OUT_OF_RANGE },
		{ CONFIG_GET, 1, { COUNT }, SCMI_NOT_FOUND },
		{ CONFIG_SET, 2, { COUNT, 1 }, SCMI_NOT_FOUND },
		{ CONFIG_SET, 2, { CABIN, UINT32_MAX }, SCMI_INVALID_PARAMETERS },
		{ UPDATE_NOTIFY, 2, { COUNT, 1 }, SCMI_NOT_FOUND },
		{ UPDATE_NOTIFY, 2, { CABIN, UINT32_MAX }, SCMI_INVALID_PARAMETERS },
		{ TRIP_NOTIFY, 2, { COUNT, 1 }, SCMI_NOT_FOUND },
		{ TRIP_NOTIFY, 2, { CABIN, 2 }, SCMI_INVALID_PARAMETERS },
		{ TRIP_NOTIFY, 2, { ACCEL, 1 }, SCMI_NOT_SUPPORTED },
		{ TRIP_CONFIG, 4, { COUNT, 1, 0, 0 }, SCMI_NOT_FOUND },
		{ TRIP_CONFIG, 4, { CABIN, 2 << 4 | 1, 0, 0 }, SCMI_INVALID_PARAMETERS },
		{ TRIP_CONFIG, 4, { CABIN, 0xff << 4 | 1, 0, 0 }, SCMI_INVALID_PARAMETERS },
		{ TRIP_CONFIG, 4, { CABIN, 1 << 2 | 1, 0, 0 }, SCMI_INVALID_PARAMETERS },
		{ TRIP_CONFIG, 4, { CABIN, 1 << 12 | 1, 0, 0 }, SCMI_INVALID_PARAMETERS },
		{ TRIP_CONFIG, 4, { ACCEL, 1, 0, 0 }, SCMI_INVALID_PARAMETERS },
		{ TRIP_CONFIG, 3, { CABIN, 1, 0 }, SCMI_PROTOCOL_ERROR },
		{ NAME_GET, 1, { COUNT }, SCMI_NOT_FOUND },
		{ 0xd, 2, { ACCEL, 0 }, SCMI_NOT_SUPPORTED },
		{ 0xff, 0, { 0 }, SCMI_NOT_SUPPORTED },
	};
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, keys);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		if (!CHECK_EQ(t, rig_do(&r, SENSOR, bad[i].message, bad[i].words, bad[i].n),
			    bad[i].status))
			printf("# row %u\n", i);
		CHECK_EQ(t, r.n, 0);
	}
	CHECK(t, !rig_event(&r, 1));
	rig_close(&r);
}

/* Without P2A channels nothing says that notifications or delayed responses exist (5.17.6.1.1). */
static void without_p2a(struct tap *t)
{
	struct scmi_rig r;

	rig_open(t, &r, 0, 0, keys);
	CHECK_EQ(t, CMD0(&r, SENSOR, SCMI_ATTRIBUTES), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0], COUNT);
	CHECK_EQ(t, CMD(&r, SENSOR, DESCRIPTION, LONG), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[2], 1u << 29 | 0x17 << 10 | 1 << 9 | 1 << 8);
	CHECK_EQ(t, CMD(&r, SENSOR, SCMI_MSG_ATTRIBUTES, UPDATE_NOTIFY), SCMI_NOT_FOUND);
	CHECK_EQ(t, CMD(&r, SENSOR, SCMI_MSG_ATTRIBUTES, TRIP_NOTIFY), SCMI_NOT_FOUND);
	CHECK_EQ(t, CMD(&r, SENSOR, UPDATE_NOTIFY, CABIN, 1), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, CMD(&r, SENSOR, TRIP_NOTIFY, CABIN, 1), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, CMD(&r, SENSOR, READING, LONG, 1), SCMI_NOT_SUPPORTED);
	CHECK_EQ(t, CMD(&r, SENSOR, READING, LONG, 0), SCMI_SUCCESS);
	rig_close(&r);
}

static void grants(struct tap *t)
{
	static const char *const some[] = { "sensors", "a value=1", "sensors", "b value=2",
		"sensors", "c value=3", "grants", "sensor:c=read,sensor:b=none", NULL };
	struct scmi_rig r;

	rig_open(t, &r, P2A, 4, some);
	CHECK_EQ(t, CMD0(&r, SENSOR, SCMI_ATTRIBUTES), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[0] & 0xffff, 2);
	CHECK_EQ(t, CMD(&r, SENSOR, READING, 0, 0), SCMI_DENIED);
	CHECK_EQ(t, CMD(&r, SENSOR, UPDATE_NOTIFY, 0, 1), SCMI_DENIED);
	CHECK_EQ(t, CMD(&r, SENSOR, READING, 1, 0), SCMI_SUCCESS);
	CHECK_EQ(t, value64(r.ret), 3000);
	/* What an agent configures is its own: reading is enough. */
	CHECK_EQ(t, CMD(&r, SENSOR, CONFIG_SET, 1, 3), SCMI_SUCCESS);
	CHECK_EQ(t, CMD(&r, SENSOR, READING, 2, 0), SCMI_NOT_FOUND);
	rig_close(&r);
}

/* The operator's words, and what they answer. */
static void operator(struct tap *t)
{
	static const struct {
		const char *words, *says;
		int ret;
	} told[] = {
		{ "sensor cabin", "sensor cabin value=21.5 time=", 0 },
		{ "sensor cabin value 90", "sensor cabin value=85.0 time=", 0 },
		{ "sensor cabin gone",
			"sensor cabin gone unit=celsius source=value samples=0 held\n", 0 },
		{ "sensor cabin follow", "sensor cabin value=21.5 time=", 0 },
		{ "sensor accel value 1/2/3", "sensor accel value=1.00/2.00/3.00 time=", 0 },
		{ "sensor accel value 1", "'1' is not a value for each axis", -EINVAL },
		{ "sensor cabin value x", "'x' is not a number", -EINVAL },
		{ "sensor cabin warm", "a sensor takes value V", -EINVAL },
		{ "sensor nosuch gone", "'sensor:nosuch' is nothing that the platform has",
			-EINVAL },
		{ "replay", "there is no recording", -EINVAL },
	};
	struct scmi_rig r;
	char buf[300];

	rig_open(t, &r, P2A, 4, keys);
	for (unsigned i = 0; i < ARRAY_LEN(told); i++) {
		CHECK_EQ(t, rig_tell(&r, told[i].words, buf, sizeof(buf)), told[i].ret);
		if (!CHECK(t, strstr(buf, told[i].says)))
			printf("# '%s' answers '%s'\n", told[i].words, buf);
	}
	CHECK(t, !rig_tell(&r, "sensor cabin gone", NULL, 0));
	CHECK_EQ(t, CMD(&r, SENSOR, READING, CABIN, 0), SCMI_HARDWARE_ERROR);
	rig_close(&r);
}

/* A recording begins when the driver is up, and each of its samples is sent once. */
static void recording(struct tap *t)
{
	static const int64_t speed[] = { 0, 139, 278 };
	char path[64];
	const char *const replayed[] = { "replay", path, "sensors",
		"speed unit=meter-per-second exponent=-2 source=replay column=v interval=1ms",
		NULL };
	struct scmi_rig r;
	char buf[128];
	FILE *f;

	snprintf(path, sizeof(path), "/tmp/avp-scmi-%d.csv", (int)getpid());
	f = fopen(path, "w");
	REQUIRE(t, f);
	fputs("time,v\n0,0\n0.05,1.39\n0.1,2.78\n", f);
	fclose(f);
	rig_open(t, &r, P2A, EVENTS, replayed);
	/* It was started with the driver. */
	for (int i = 0; i < LONG_MS && CMD(&r, SENSOR, READING, 0, 0) != SCMI_SUCCESS; i++)
		usleep(1000);
	CHECK(t, !rig_tell(&r, "replay stop", buf, sizeof(buf)));
	CHECK_EQ(t, CMD(&r, SENSOR, UPDATE_NOTIFY, 0, 1), SCMI_SUCCESS);
	CHECK(t, becomes_silent(&r));
	CHECK(t, !rig_tell(&r, "replay start", buf, sizeof(buf)));
	CHECK(t, strstr(buf, "replay playing record 0 of 3 length=0.100s"));
	for (unsigned i = 0; i < ARRAY_LEN(speed); i++) {
		REQUIRE(t, rig_event(&r, LONG_MS));
		CHECK_EQ(t, r.event_hdr, EVENT_UPDATE);
		CHECK_EQ(t, value64(r.event + 2), speed[i]);
	}
	CHECK(t, !rig_event(&r, SHORT_MS));
	CHECK_EQ(t, CMD(&r, SENSOR, READING, 0, 0), SCMI_SUCCESS);
	CHECK_EQ(t, value64(r.ret), 278);
	CHECK(t, !rig_tell(&r, "replay", buf, sizeof(buf)) && strstr(buf, "stopped record 3 of 3"));
	CHECK_EQ(t, rig_tell(&r, "replay faster", buf, sizeof(buf)), -EINVAL);
	rig_close(&r);
	unlink(path);
}

/* Samples of another process: each is told once, at most as often as the agent wants. */
static void fed(struct tap *t)
{
	char path[64];
	const char *const socket_keys[] = { "sensor-socket", path, "sensors",
		"speed exponent=0 source=socket interval=20ms", NULL };
	struct scmi_rig r;
	struct err e = { 0 };
	char buf[100];
	int fd;

	snprintf(path, sizeof(path), "/tmp/avp-scmi-%d.sock", (int)getpid());
	rig_open(t, &r, P2A, EVENTS, socket_keys);
	CHECK_EQ(t, CMD(&r, SENSOR, READING, 0, 0), SCMI_HARDWARE_ERROR);
	CHECK_EQ(t, CMD(&r, SENSOR, UPDATE_NOTIFY, 0, 1), SCMI_SUCCESS);
	fd = fd_unix_connect(path, SOCK_STREAM, &e);
	REQUIRE(t, fd >= 0);
	CHECK(t, !fd_write_full(fd, "speed 1\n", 8));
	REQUIRE(t, rig_event(&r, LONG_MS));
	CHECK_EQ(t, value64(r.event + 2), 1);
	/* Of three that come too soon the last one counts. */
	CHECK(t, !fd_write_full(fd, "speed 2\nspeed 3\nspeed 4 @7.5\n", 30));
	while (rig_event(&r, LONG_MS) && value64(r.event + 2) != 4)
		;
	CHECK_EQ(t, value64(r.event + 4), INT64_C(7500000000));
	CHECK(t, !rig_event(&r, SHORT_MS));
	CHECK(t, read(fd, buf, sizeof(buf)) > 0 && !strncmp(buf, "sensor speed axes=1", 19));
	close(fd);
	for (int i = 0; i < LONG_MS && CMD(&r, SENSOR, READING, 0, 0) == SCMI_SUCCESS; i++)
		usleep(1000);
	CHECK_EQ(t, r.status, SCMI_HARDWARE_ERROR);
	rig_close(&r);
	unlink(path);
}

/* avp is looked for beside the running program. */
static bool put_avp_beside(void)
{
	char path[512];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 8);

	if (n < 0 || !getenv("AVP"))
		return false;
	path[n] = 0;
	snprintf(strrchr(path, '/'), 8, "/avp");
	return !symlink(getenv("AVP"), path) || errno == EEXIST;
}

/* The host's sensors are read by another process, from a tree of our own. */
static void from_sysfs(struct tap *t)
{
	char dir[64] = "/tmp/avp-sysfs-XXXXXX", path[200], command[1000];
	const char *const sysfs[] = { "sensor-sysfs", dir, "sensors",
		"cpu source=hwmon device=coretemp channel=temp1 interval=5ms", NULL };
	struct scmi_rig r;
	FILE *f;
	int i;

	REQUIRE(t, put_avp_beside() && mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/class/hwmon/hwmon0", dir);
	snprintf(command, sizeof(command),
		"mkdir -p %s && echo coretemp >%s/name && "
		"echo 45500 >%s/temp1_input",
		path, path, path);
	REQUIRE(t, !system(command));
	rig_open(t, &r, P2A, EVENTS, sysfs);
	for (i = 0; i < LONG_MS && CMD(&r, SENSOR, READING, 0, 0) != SCMI_SUCCESS; i++)
		usleep(1000);
	CHECK_EQ(t, value64(r.ret), 45500);
	CHECK_EQ(t, CMD(&r, SENSOR, DESCRIPTION, 0), SCMI_SUCCESS);
	CHECK_EQ(t, r.ret[3] & 0xff, 2);
	/* Unplugged, and back under another number. */
	snprintf(command, sizeof(command),
		"mv %s %s/class/hwmon/gone && echo x >%s/class/hwmon/"
		"gone/temp1_input",
		path, dir, dir);
	REQUIRE(t, !system(command));
	for (i = 0; i < LONG_MS && CMD(&r, SENSOR, READING, 0, 0) == SCMI_SUCCESS; i++)
		usleep(1000);
	CHECK_EQ(t, r.status, SCMI_HARDWARE_ERROR);
	snprintf(path, sizeof(path), "%s/class/hwmon/gone/temp1_input", dir);
	f = fopen(path, "w");
	REQUIRE(t, f);
	fputs("50000\n", f);
	fclose(f);
	for (i = 0; i < LONG_MS && CMD(&r, SENSOR, READING, 0, 0) != SCMI_SUCCESS; i++)
		usleep(1000);
	CHECK_EQ(t, value64(r.ret), 50000);
	rig_close(&r);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	CHECK(t, !system(command));
}

int main(void)
{
	struct tap t = { .n = 0 };

	TAP_RUN(&t, protocol);
	TAP_RUN(&t, descriptions);
	TAP_RUN(&t, axes);
	TAP_RUN(&t, intervals);
	TAP_RUN(&t, readings);
	TAP_RUN(&t, asynchronous);
	TAP_RUN(&t, configuration);
	TAP_RUN(&t, rounding);
	TAP_RUN(&t, updates);
	TAP_RUN(&t, trip_points);
	TAP_RUN(&t, trip_points_of_a_script);
	TAP_RUN(&t, bad_messages);
	TAP_RUN(&t, without_p2a);
	TAP_RUN(&t, grants);
	TAP_RUN(&t, operator);
	TAP_RUN(&t, recording);
	TAP_RUN(&t, fed);
	TAP_RUN(&t, from_sysfs);
	return tap_done(&t);
}
