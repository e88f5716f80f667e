/* SPDX-License-Identifier: BSD-3-Clause */
/* The sensor protocol of the SCMI device (SCMI 4.7): what a platform says of its sensors, and that
 * they keep it. */
#include "conformance/cases/scmi.h"

#define SENSOR DRV_SCMI_SENSOR

enum {
	DESCRIPTION = 0x3,
	TRIP_NOTIFY = 0x4,
	TRIP_CONFIG = 0x5,
	READING = 0x6,
	AXES = 0x7,
	INTERVALS = 0x8,
	CONFIG_GET = 0x9,
	CONFIG_SET = 0xa,
	UPDATE_NOTIFY = 0xb,
};

#define SENSOR_UPDATE	0x1
#define SENSORS_MAX	32u
#define ASYNC		(1u << 31)
#define UPDATES		(1u << 30)
#define LOW_RESERVED	0x1fff8000u
#define EXTENDED	(1u << 8)
#define AXES_SUPPORTED	(1u << 8)
#define HIGH_RESERVED	0xffc00600u
#define CONFIG_ON	1u
#define CONFIG_STAMPS	2u
#define CONFIG_RESERVED 0x1fcu

/* A sensor as described. */
struct sensor {
	uint32_t low, high;
	uint32_t axes;	/* 1 for a scalar one */
	bool has_range; /* only of scalar ones */
	int64_t min, max;
};

struct sensors {
	struct scmi s;
	struct sensor v[SENSORS_MAX];
	uint32_t n; /* those looked at */
};

static int64_t value64(const uint32_t *w)
{
	return (int64_t)((uint64_t)w[1] << 32 | w[0]);
}

static bool name_ends(const uint32_t *w)
{
	const uint8_t *p = (const uint8_t *)w;

	for (unsigned i = 0; i < 16; i++)
		if (!p[i])
			return i;
	return false;
}

/* Looks at one descriptor; returns its words, or 0 if it is wrong. */
static uint32_t read_descriptor(struct sensors *x, uint32_t id, const uint32_t *w, uint32_t left)
{
	struct cf *c = x->s.c;
	struct sensor *s = &x->v[id];
	uint32_t words = 7;

	if (!cf_check(c, left >= 7, "a sensor's description ends early") ||
		!cf_check(c, w[0] == id, "sensor %u is described with id %u", id, w[0]))
		return 0;
	s->low = w[1];
	s->high = w[2];
	s->axes = s->high & AXES_SUPPORTED ? s->high >> 16 & 0x3f : 1;
	if (s->low & EXTENDED)
		words = s->high & AXES_SUPPORTED ? 8 : 13;
	if (!cf_check(c, left >= words, "a sensor's description ends early") ||
		!cf_check(c, !(s->low & LOW_RESERVED) && !(s->high & HIGH_RESERVED) && s->axes,
			"sensor %u has attributes 0x%x and 0x%x", id, s->low, s->high) ||
		!cf_check(c, name_ends(w + 3), "the name of sensor %u is empty or has no end", id))
		return 0;
	s->has_range = words == 13;
	s->min = s->has_range ? value64(w + 9) : 0;
	s->max = s->has_range ? value64(w + 11) : 0;
	if (!cf_check(c, s->min <= s->max, "the range of sensor %u ends before it begins", id))
		return 0;
	return words;
}

/* The sensors from `first` on that one answer describes; returns how many, 0 if it is wrong. */
static uint32_t read_descriptors(struct sensors *x, uint32_t first, uint32_t total)
{
	struct scmi *s = &x->s;
	uint32_t returned, remaining, at = 1;

	if (!scmi_must(s, SENSOR, DESCRIPTION, &first, 1, SCMI_SUCCESS) ||
		!cf_check(s->c, s->n > 0, "a list of sensors is empty"))
		return 0;
	returned = s->ret[0] & 0xfff;
	remaining = s->ret[0] >> 16;
	if (!cf_check(s->c, returned && first + returned + remaining == total,
		    "sensors from %u of %u on: %u here, %u remain", first, total, returned,
		    remaining))
		return 0;
	for (uint32_t i = first; i < first + returned; i++) {
		uint32_t words =
			i < SENSORS_MAX ? read_descriptor(x, i, s->ret + at, s->n - at) : 0;

		if (!words)
			return i < SENSORS_MAX ? 0 : returned;
		at += words;
	}
	cf_check(s->c, at == s->n, "%u words follow the sensors", s->n - at);
	return returned;
}

/* Brings the device up and reads the descriptions; false: failed, or skipped without sensors. */
static bool sensors_up(struct sensors *x, struct cf *c, uint64_t want, unsigned events)
{
	uint32_t total, step;

	x->n = 0;
	if (!scmi_up(&x->s, c, want, events))
		return false;
	if (!scmi_has(&x->s, SENSOR)) {
		if (!cf_failed(c))
			cf_skip(c, "the platform has no sensors");
		return false;
	}
	total = scmi_resources(&x->s, SENSOR);
	for (uint32_t i = 0; i < total && i < SENSORS_MAX; i += step) {
		step = read_descriptors(x, i, total);
		if (!step || cf_failed(c))
			return false;
	}
	x->n = total < SENSORS_MAX ? total : SENSORS_MAX;
	return x->n;
}

static void described(struct cf *c)
{
	struct sensors x;
	uint32_t id;

	if (!sensors_up(&x, c, SCMI_P2A, 2))
		return;
	id = scmi_resources(&x.s, SENSOR);
	scmi_must(&x.s, SENSOR, DESCRIPTION, &id, 1, SCMI_OUT_OF_RANGE);
}

static bool check_axis(struct sensors *x, uint32_t id, uint32_t axis, const uint32_t *w)
{
	struct cf *c = x->s.c;

	return cf_check(c, w[0] == axis, "axis %u of sensor %u has id %u", axis, id, w[0]) &&
	       cf_check(c, name_ends(w + 3), "the name of axis %u is empty or has no end", axis) &&
	       (!(w[1] & EXTENDED) || cf_check(c, value64(w + 8) <= value64(w + 10),
					      "the range of axis %u ends before it begins", axis));
}

/* Axes `first` and following of a sensor; returns how many. */
static uint32_t read_axes(struct sensors *x, uint32_t id, uint32_t first)
{
	const uint32_t words[] = { id, first };
	struct scmi *s = &x->s;
	uint32_t n, at = 1;

	if (!scmi_must(s, SENSOR, AXES, words, 2, SCMI_SUCCESS) ||
		!cf_check(s->c, s->n > 0, "a list of axes is empty"))
		return 0;
	n = s->ret[0] & 0x3f;
	if (!cf_check(s->c, n && first + n + (s->ret[0] >> 26) == x->v[id].axes,
		    "axes from %u on: %u here, %u remain, but there are %u", first, n,
		    s->ret[0] >> 26, x->v[id].axes))
		return 0;
	for (uint32_t i = first; i < first + n; i++) {
		uint32_t size = at + 2 <= s->n && (s->ret[at + 1] & EXTENDED) ? 12 : 7;

		if (!cf_check(s->c, at + size <= s->n, "an axis' description ends early") ||
			!check_axis(x, id, i, s->ret + at))
			return 0;
		at += size;
	}
	return n;
}

static void axes(struct cf *c)
{
	struct sensors x;
	uint32_t step;

	if (!sensors_up(&x, c, 0, 0))
		return;
	for (uint32_t id = 0; id < x.n; id++) {
		uint32_t words[] = { id, x.v[id].axes };

		if (!(x.v[id].high & AXES_SUPPORTED)) {
			scmi_must(&x.s, SENSOR, AXES, words, 2, SCMI_NOT_SUPPORTED);
			continue;
		}
		for (uint32_t i = 0; i < x.v[id].axes; i += step) {
			step = read_axes(&x, id, i);
			if (!step)
				return;
		}
		scmi_must(&x.s, SENSOR, AXES, words, 2, SCMI_OUT_OF_RANGE);
	}
}

/* Each reading has an axis' value, inside its range, and a time that does not go back. */
static void readings(struct cf *c)
{
	struct sensors x;

	if (!sensors_up(&x, c, 0, 0))
		return;
	for (uint32_t id = 0; id < x.n; id++) {
		const uint32_t words[] = { id, 0 };
		int64_t before = 0;

		for (unsigned round = 0; round < 3; round++) {
			if (!scmi_do(&x.s, SENSOR, READING, words, 2))
				return;
			/* Its source may be gone. */
			if (x.s.status)
				break;
			if (!cf_eq(c, x.s.n, 4 * x.v[id].axes, "the number of words") ||
				!cf_check(c, value64(x.s.ret + 2) >= before,
					"the time of sensor %u goes back", id))
				return;
			before = value64(x.s.ret + 2);
			if (x.v[id].has_range)
				cf_check(c,
					value64(x.s.ret) >= x.v[id].min &&
						value64(x.s.ret) <= x.v[id].max,
					"the value of sensor %u is outside its range", id);
		}
	}
}

/* Each interval of the list can be set, and is what the configuration says then. */
static void configured(struct cf *c)
{
	struct sensors x;

	if (!sensors_up(&x, c, 0, 0))
		return;
	for (uint32_t id = 0; id < x.n; id++) {
		uint32_t list[SCMI_WORDS], n, words[] = { id, 0 };

		if (!scmi_must(&x.s, SENSOR, INTERVALS, words, 2, SCMI_SUCCESS) ||
			!cf_check(c, x.s.n > 0, "a list of intervals is empty"))
			return;
		n = x.s.ret[0] & 0xfff;
		if (x.s.ret[0] & 1u << 12)
			n = 1;
		if (!cf_check(c, n < x.s.n, "%u intervals take %u words", n, x.s.n))
			return;
		cf_copy(list, x.s.ret + 1, n * 4);
		for (uint32_t i = 0; i < n; i++) {
			words[1] = list[i] << 11 | CONFIG_STAMPS | CONFIG_ON;
			if (!scmi_must(&x.s, SENSOR, CONFIG_SET, words, 2, SCMI_SUCCESS) ||
				!scmi_must(&x.s, SENSOR, CONFIG_GET, words, 1, SCMI_SUCCESS) ||
				!cf_eq(c, x.s.ret[0] & ~UINT32_C(0x600), words[1],
					"the configuration"))
				return;
		}
	}
}

/* An update, and nothing else, of sensor `id`. */
static bool take_update(struct sensors *x, uint32_t id)
{
	struct scmi *s = &x->s;
	uint32_t want = DRV_SCMI_HDR(SENSOR_UPDATE, DRV_SCMI_NOTIFICATION, SENSOR, 0);

	return scmi_take(s) && cf_eq(s->c, s->event_hdr & 0x3ffff, want, "the header") &&
	       cf_eq(s->c, s->event_n, 2 + 4 * x->v[id].axes, "the number of words") &&
	       cf_eq(s->c, s->event[1], id, "the sensor");
}

/* A sensor that has updates sends them once it was asked for, again and again. */
static void updates(struct cf *c)
{
	struct sensors x;
	uint32_t id = 0;

	if (!sensors_up(&x, c, SCMI_P2A, 2))
		return;
	for (; id < x.n; id++) {
		const uint32_t words[] = { id, 0 };

		if ((x.v[id].low & UPDATES) && scmi_do(&x.s, SENSOR, READING, words, 2) &&
			!x.s.status)
			break;
	}
	if (id == x.n) {
		cf_skip(c, "no sensor has updates and a value");
		return;
	}
	if (!scmi_must(&x.s, SENSOR, UPDATE_NOTIFY, (const uint32_t[]){ id, 1 }, 2, SCMI_SUCCESS) ||
		!take_update(&x, id))
		return;
	scmi_must(&x.s, SENSOR, UPDATE_NOTIFY, (const uint32_t[]){ id, 0 }, 2, SCMI_SUCCESS);
}

static void trip_points(struct cf *c)
{
	struct sensors x;

	if (!sensors_up(&x, c, SCMI_P2A, 2))
		return;
	for (uint32_t id = 0; id < x.n; id++) {
		uint32_t trips = x.v[id].low & 0xff;
		const uint32_t last[] = { id, (trips - 1) << 4 | 3, 0x7fffffff, 0x7fffffff };
		const uint32_t none[] = { id, trips << 4 | 3, 0, 0 };

		if (trips && !scmi_must(&x.s, SENSOR, TRIP_CONFIG, last, 4, SCMI_SUCCESS))
			return;
		if (trips < 0xff)
			scmi_must(&x.s, SENSOR, TRIP_CONFIG, none, 4, SCMI_INVALID_PARAMETERS);
	}
}

/* Without P2A channels no sensor says that it has updates, trip points or delayed readings. */
static void without_p2a(struct cf *c)
{
	struct sensors x;

	if (!sensors_up(&x, c, 0, 0))
		return;
	for (uint32_t id = 0; id < x.n; id++) {
		const uint32_t words[] = { id, 1 };

		cf_check(c, !(x.v[id].low & (ASYNC | UPDATES)), "sensor %u has attributes 0x%x", id,
			x.v[id].low);
		scmi_must(&x.s, SENSOR, UPDATE_NOTIFY, words, 2, SCMI_NOT_SUPPORTED);
		scmi_must(&x.s, SENSOR, TRIP_NOTIFY, words, 2, SCMI_NOT_SUPPORTED);
		scmi_must(&x.s, SENSOR, READING, words, 2, SCMI_NOT_SUPPORTED);
	}
}

/* What no driver would send gets the status that SCMI names, and nothing more. */
static void hostile(struct cf *c)
{
	static const struct {
		uint8_t message, n;
		uint32_t words[4];
		int32_t status;
	} bad[] = {
		{ READING, 2, { 0xffff, 0 }, SCMI_NOT_FOUND },
		{ READING, 2, { UINT32_MAX, 0 }, SCMI_NOT_FOUND },
		{ READING, 2, { 0, 0xfffffffe }, SCMI_INVALID_PARAMETERS },
		{ DESCRIPTION, 1, { UINT32_MAX }, SCMI_OUT_OF_RANGE },
		{ INTERVALS, 2, { 0, UINT32_MAX }, SCMI_OUT_OF_RANGE },
		{ AXES, 2, { UINT32_MAX, 0 }, SCMI_NOT_FOUND },
		{ CONFIG_GET, 1, { UINT32_MAX }, SCMI_NOT_FOUND },
		{ CONFIG_SET, 2, { 0, CONFIG_RESERVED }, SCMI_INVALID_PARAMETERS },
		{ CONFIG_SET, 2, { 0, 0x600 }, SCMI_INVALID_PARAMETERS },
		{ TRIP_CONFIG, 4, { 0, UINT32_MAX, 0, 0 }, SCMI_INVALID_PARAMETERS },
		{ TRIP_CONFIG, 4, { 0, 0xff0, 0, 0 }, SCMI_INVALID_PARAMETERS },
		{ UPDATE_NOTIFY, 2, { 0, UINT32_MAX }, SCMI_INVALID_PARAMETERS },
		{ READING, 1, { 0 }, SCMI_PROTOCOL_ERROR },
		{ READING, 3, { 0 }, SCMI_PROTOCOL_ERROR },
	};
	struct sensors x;

	if (!sensors_up(&x, c, SCMI_P2A, 2))
		return;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		scmi_must(&x.s, SENSOR, bad[i].message, bad[i].words, bad[i].n, bad[i].status);
	scmi_must(&x.s, SENSOR, DESCRIPTION, &(uint32_t){ 0 }, 1, SCMI_SUCCESS);
}

const struct cf_case cf_cases_scmi_sensor[] = {
	{ "scmi.sensor.described", "SEN-1 SCMI-3", described, DRV_ID_SCMI },
	{ "scmi.sensor.axes", "SEN-1", axes, DRV_ID_SCMI },
	{ "scmi.sensor.readings", "SEN-1", readings, DRV_ID_SCMI },
	{ "scmi.sensor.configured", "SEN-1 SCMI-4", configured, DRV_ID_SCMI },
	{ "scmi.sensor.updates", "SEN-1 SCMI-5", updates, DRV_ID_SCMI, .flags = CF_RINGS,
		.needs = SCMI_P2A },
	{ "scmi.sensor.trip_points", "SEN-1", trip_points, DRV_ID_SCMI, .needs = SCMI_P2A },
	{ "scmi.sensor.without_p2a", "V5.17.6.1.1-5", without_p2a, DRV_ID_SCMI },
	{ "scmi.sensor.hostile", "V5.17.6.1.1-3 SCMI-1", hostile, DRV_ID_SCMI,
		.flags = CF_HOSTILE },
	{ 0 },
};
