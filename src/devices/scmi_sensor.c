/* SPDX-License-Identifier: BSD-3-Clause */
/* The sensor protocol (SCMI 4.7). */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "devices/scmi_sensor_priv.h"

#define VERSION 0x30001u

#define SENSOR_DESCRIPTION_GET		0x3
#define SENSOR_TRIP_POINT_NOTIFY	0x4
#define SENSOR_TRIP_POINT_CONFIG	0x5
#define SENSOR_READING_GET		0x6
#define SENSOR_AXIS_DESCRIPTION_GET	0x7
#define SENSOR_LIST_UPDATE_INTERVALS	0x8
#define SENSOR_CONFIG_GET		0x9
#define SENSOR_CONFIG_SET		0xa
#define SENSOR_CONTINUOUS_UPDATE_NOTIFY 0xb
#define SENSOR_NAME_GET			0xc

/* Descriptors (4.7.2.5, 4.7.2.9). */
#define ATTR_ASYNC	       (1u << 31)
#define ATTR_UPDATES	       (1u << 30)
#define ATTR_NAME	       (1u << 29)
#define ATTR_STAMP_SHIFT       10
#define ATTR_STAMPS	       (1u << 9)
#define ATTR_EXTENDED	       (1u << 8)
#define ATTR_AXES_SHIFT	       16
#define ATTR_SCALE_SHIFT       11
#define ATTR_AXES	       (1u << 8)
#define RESOLUTION_SHIFT       27
#define EXPONENT_MASK	       0x1fu
#define STAMP_EXPONENT	       (-9) /* nanoseconds */
#define DESC_SIZE	       28u
#define EXTENDED_SIZE	       20u				/* resolution and range */
#define SCALAR_SIZE	       (DESC_SIZE + 4u + EXTENDED_SIZE) /* power as well */
#define REMAIN_SHIFT	       16
#define AXES_REMAIN_SHIFT      26
#define INTERVALS_REMAIN_SHIFT 16

/* Parameters. */
#define TRIP_MODE	   3u
#define TRIP_ID_SHIFT	   4
#define TRIP_RESERVED	   0xfffff00cu
#define READ_ASYNC	   1u
#define CONFIG_ENABLED	   1u
#define CONFIG_STAMPS	   2u
#define CONFIG_RESERVED	   0x1fcu
#define CONFIG_ROUND(c)	   ((c) >> 9 & 3)
#define CONFIG_EXPONENT(c) ((c) >> 11 & EXPONENT_MASK)
#define CONFIG_SECONDS(c)  ((c) >> 16)
#define ROUND_DOWN	   0u
#define ROUND_UP	   1u
#define ROUND_AUTO	   2u

static uint32_t exponent_bits(int exponent)
{
	return (uint32_t)exponent & EXPONENT_MASK;
}

/* Descriptions. */

static uint32_t descriptor_size(const struct scmi_sensor *s)
{
	return s->desc.config.axes > 1 ? DESC_SIZE : SCALAR_SIZE;
}

static void put_extended(struct scmi_msg *m, const struct scmi_sensor *s)
{
	const struct sensor_config *c = &s->desc.config;

	scmi_put(m, exponent_bits(c->exponent) << RESOLUTION_SHIFT | (uint32_t)s->desc.resolution);
	scmi_put64(m, (uint64_t)c->min);
	scmi_put64(m, (uint64_t)c->max);
}

static uint32_t attributes_low(const struct scmi_msg *m, const struct scmi_sensor *s)
{
	uint32_t v = exponent_bits(STAMP_EXPONENT) << ATTR_STAMP_SHIFT | ATTR_STAMPS;

	if (scmi_has_p2a(m))
		v |= ATTR_UPDATES | s->desc.trips | (s->desc.async_us ? ATTR_ASYNC : 0);
	if (scmi_name_is_long(&s->res))
		v |= ATTR_NAME;
	return s->desc.config.axes > 1 ? v : v | ATTR_EXTENDED;
}

static void put_descriptor(struct scmi_msg *m, uint32_t id, const struct scmi_sensor *s)
{
	const struct sensor_config *c = &s->desc.config;
	uint32_t high = exponent_bits(c->exponent) << ATTR_SCALE_SHIFT | c->unit;

	if (c->axes > 1)
		high |= ATTR_AXES | c->axes << ATTR_AXES_SHIFT;
	scmi_put(m, id);
	scmi_put(m, attributes_low(m, s));
	scmi_put(m, high);
	scmi_put_name(m, s->res.name, SCMI_SHORT_NAME);
	if (c->axes > 1)
		return;
	scmi_put(m, 0); /* power: not known */
	put_extended(m, s);
}

static const struct scmi_sensor *sensor_at(const struct scmi_msg *m, uint32_t id)
{
	return to_sensor(scmi_agent_grant(m->agent, m->protocol, id)->res);
}

static int32_t describe(struct scmi_msg *m)
{
	uint32_t index = scmi_param(m, 0), count = scmi_count(m), n = 0, size = 4;

	if (index >= count)
		return SCMI_OUT_OF_RANGE;
	while (index + n < count) {
		size += descriptor_size(sensor_at(m, index + n));
		if (size > m->room)
			break;
		n++;
	}
	if (!n)
		return SCMI_COMMS_ERROR;
	scmi_put(m, n | (count - index - n) << REMAIN_SHIFT);
	for (uint32_t i = index; i < index + n; i++)
		put_descriptor(m, i, sensor_at(m, i));
	return SCMI_SUCCESS;
}

/* "accel_X": Linux takes the axis from the last letter. */
static void put_axis_name(struct scmi_msg *m, const struct scmi_sensor *s, unsigned axis)
{
	char name[SCMI_SHORT_NAME];

	snprintf(name, sizeof(name), "%.*s_%c", (int)sizeof(name) - 3, s->res.name, "XYZ"[axis]);
	scmi_put_name(m, name, SCMI_SHORT_NAME);
}

static int32_t describe_axes(struct scmi_msg *m)
{
	const struct scmi_sensor *s = to_sensor(m->res);
	const struct sensor_config *c = &s->desc.config;
	uint32_t index = scmi_param(m, 1), n;

	if (c->axes == 1)
		return SCMI_NOT_SUPPORTED;
	if (index >= c->axes)
		return SCMI_OUT_OF_RANGE;
	n = (uint32_t)min_u64(c->axes - index, scmi_room_for(m, 4, DESC_SIZE + EXTENDED_SIZE));
	if (!n)
		return SCMI_COMMS_ERROR;
	scmi_put(m, n | (c->axes - index - n) << AXES_REMAIN_SHIFT);
	for (uint32_t i = index; i < index + n; i++) {
		scmi_put(m, i);
		scmi_put(m, ATTR_EXTENDED);
		scmi_put(m, exponent_bits(c->exponent) << ATTR_SCALE_SHIFT | c->unit);
		put_axis_name(m, s, i);
		put_extended(m, s);
	}
	return SCMI_SUCCESS;
}

static int32_t list_intervals(struct scmi_msg *m)
{
	const struct scmi_sensor *s = to_sensor(m->res);
	uint32_t index = scmi_param(m, 1), n;

	if (index >= SENSOR_INTERVALS)
		return SCMI_OUT_OF_RANGE;
	n = (uint32_t)min_u64(SENSOR_INTERVALS - index, scmi_room_for(m, 4, 4));
	if (!n)
		return SCMI_COMMS_ERROR;
	scmi_put(m, n | (SENSOR_INTERVALS - index - n) << INTERVALS_REMAIN_SHIFT);
	for (uint32_t i = index; i < index + n; i++)
		scmi_put(m, sensor_interval_code(s, i));
	return SCMI_SUCCESS;
}

static int32_t attributes(struct scmi_msg *m)
{
	scmi_put(m, scmi_count(m) | (scmi_has_p2a(m) ? SCMI_DELAYED_MAX << 16 : 0));
	/* No shared memory with readings. */
	for (unsigned i = 0; i < 3; i++)
		scmi_put(m, 0);
	return SCMI_SUCCESS;
}

/* Readings. */

static int32_t put_readings(struct scmi_msg *m)
{
	const struct sensor_view *v = sensor_view_find(m->grant);
	struct scmi_sensor *s = to_sensor(m->res);
	uint32_t words[4 * SENSOR_AXES_MAX];
	struct sensor_sample sample;
	unsigned n;

	if (v && v->disabled)
		return SCMI_GENERIC_ERROR;
	if (sensor_read(&s->sensor, &sample))
		return SCMI_HARDWARE_ERROR;
	n = sensor_readings(s, &sample, !v || !v->no_stamps, words);
	for (unsigned i = 0; i < n; i++)
		scmi_put(m, words[i]);
	return SCMI_SUCCESS;
}

/* SENSOR_READING_COMPLETE */
static int32_t complete_reading(struct scmi_msg *m)
{
	scmi_put(m, m->id);
	return put_readings(m);
}

static int32_t get_reading(struct scmi_msg *m)
{
	const struct scmi_sensor *s = to_sensor(m->res);
	uint32_t flags = scmi_param(m, 1);

	if (flags & ~READ_ASYNC)
		return SCMI_INVALID_PARAMETERS;
	if (!(flags & READ_ASYNC))
		return put_readings(m);
	if (!s->desc.async_us)
		return SCMI_NOT_SUPPORTED;
	return scmi_later(m, s->desc.async_us * UINT64_C(1000), complete_reading, true);
}

/* Configuration. */

/* Of the possible intervals that which fits, rounded as asked; SENSOR_INTERVALS: none. */
static unsigned find_interval(const struct scmi_sensor *s, double ns, uint32_t rounding)
{
	unsigned below = SENSOR_INTERVALS, above = SENSOR_INTERVALS;

	for (unsigned i = 0; i < SENSOR_INTERVALS; i++) {
		double is = (double)sensor_interval_ns(s, i);

		if (is <= ns)
			below = i;
		if (is >= ns && above == SENSOR_INTERVALS)
			above = i;
	}
	if (rounding == ROUND_DOWN)
		return below;
	if (rounding == ROUND_UP || below == SENSOR_INTERVALS)
		return above;
	if (above == SENSOR_INTERVALS)
		return below;
	return ns - (double)sensor_interval_ns(s, below) <=
			       (double)sensor_interval_ns(s, above) - ns
		       ? below
		       : above;
}

static double asked_interval_ns(uint32_t config)
{
	int exponent = (int)CONFIG_EXPONENT(config);
	double ns = CONFIG_SECONDS(config) * 1e9;

	if (exponent > 15)
		exponent -= 32;
	for (; exponent > 0; exponent--)
		ns *= 10;
	for (; exponent < 0; exponent++)
		ns /= 10;
	return ns;
}

static int32_t set_config(struct scmi_msg *m)
{
	uint32_t config = scmi_param(m, 1);
	struct sensor_view *v;
	unsigned interval;

	if ((config & CONFIG_RESERVED) || CONFIG_ROUND(config) > ROUND_AUTO)
		return SCMI_INVALID_PARAMETERS;
	v = sensor_view_get(m->grant);
	if (!v)
		return SCMI_GENERIC_ERROR;
	interval = v->interval;
	/* Without a number of seconds the interval stays as it is. */
	if (CONFIG_SECONDS(config))
		interval =
			find_interval(v->sensor, asked_interval_ns(config), CONFIG_ROUND(config));
	if (interval == SENSOR_INTERVALS)
		return SCMI_INVALID_PARAMETERS;
	v->interval = interval;
	v->disabled = !(config & CONFIG_ENABLED);
	v->no_stamps = !(config & CONFIG_STAMPS);
	sensor_view_update(v);
	return SCMI_SUCCESS;
}

static int32_t get_config(struct scmi_msg *m)
{
	const struct sensor_view *v = sensor_view_find(m->grant);
	uint32_t code = sensor_interval_code(to_sensor(m->res), v ? v->interval : 0);

	scmi_put(m, code << 11 | (v && v->no_stamps ? 0 : CONFIG_STAMPS) |
			    (v && v->disabled ? 0 : CONFIG_ENABLED));
	return SCMI_SUCCESS;
}

static int32_t set_trip(struct scmi_msg *m)
{
	const struct scmi_sensor *s = to_sensor(m->res);
	uint32_t control = scmi_param(m, 1), id = control >> TRIP_ID_SHIFT;
	struct sensor_view *v;

	if ((control & TRIP_RESERVED) || !scmi_has_p2a(m) || id >= s->desc.trips)
		return SCMI_INVALID_PARAMETERS;
	v = sensor_view_get(m->grant);
	if (!v)
		return SCMI_GENERIC_ERROR;
	v->trips[id] = (struct sensor_trip){ control & TRIP_MODE, (int64_t)scmi_param64(m, 2) };
	return SCMI_SUCCESS;
}

static int32_t subscribe(struct scmi_msg *m, uint8_t what)
{
	struct sensor_view *v = sensor_view_get(m->grant);
	int32_t status = v ? scmi_subscribe(m, what) : SCMI_GENERIC_ERROR;

	if (!status)
		sensor_view_update(v);
	return status;
}

static int32_t notify_trips(struct scmi_msg *m)
{
	return to_sensor(m->res)->desc.trips ? subscribe(m, WANTS_TRIPS) : SCMI_NOT_SUPPORTED;
}

static int32_t notify_updates(struct scmi_msg *m)
{
	return subscribe(m, WANTS_UPDATES);
}

/* Configuration of the platform, and its operator. */

static int open_sensor(struct scmi_res *res, struct scmi_words *w, struct err *e)
{
	struct scmi_sensor *s = to_sensor(res);
	int ret = scmi_sensor_describe(&s->desc, w, e);

	if (ret)
		return ret;
	s->sensor.config = &s->desc.config;
	s->sensor.changed = sensor_views_changed;
	sensors_add(scmi_platform_sensors(res->platform), &s->sensor);
	return 0;
}

static void close_sensor(struct scmi_res *res)
{
	sensor_views_free(to_sensor(res));
}

static void show(const struct scmi_res *res, FILE *f)
{
	struct scmi_sensor *s = to_sensor(res);
	const struct sensor_config *c = &s->desc.config;
	const char *unit = sensor_unit_name(c->unit);
	struct sensor_sample sample;
	int ret = sensor_read(&s->sensor, &sample);

	if (ret) {
		fputs(ret == -EIO ? "gone" : "no-value-yet", f);
	} else {
		for (unsigned i = 0; i < c->axes; i++) {
			fputs(i ? "/" : "value=", f);
			sensor_print_value(f, sample.value[i], c->exponent);
		}
		fprintf(f, " time=%llu.%09llu", (unsigned long long)(sample.time_ns / 1000000000),
			(unsigned long long)(sample.time_ns % 1000000000));
	}
	if (unit)
		fprintf(f, " unit=%s", unit);
	fprintf(f, " source=%s samples=%llu%s", sensor_source_words[c->source],
		(unsigned long long)s->sensor.samples, s->sensor.held ? " held" : "");
}

static int hold_value(struct scmi_sensor *s, const char *text, struct err *e)
{
	int64_t value[SENSOR_AXES_MAX];

	if (sensor_parse_values(text, s->desc.config.exponent, s->desc.config.axes, value))
		return err_set(e, -EINVAL, "'%.40s' is not %s", text,
			s->desc.config.axes > 1 ? "a value for each axis, as 0/0/9.81"
						: "a number, as 21.5");
	sensor_hold(&s->sensor, value);
	return 0;
}

static int tell(struct scmi_res *res, unsigned argc, char **argv, struct err *e)
{
	struct scmi_sensor *s = to_sensor(res);

	if (argc == 2 && !strcmp(argv[0], "value"))
		return hold_value(s, argv[1], e);
	if (argc == 1 && !strcmp(argv[0], "gone")) {
		sensor_hold_gone(&s->sensor);
		return 0;
	}
	if (argc == 1 && !strcmp(argv[0], "follow")) {
		sensor_release(&s->sensor);
		return 0;
	}
	return err_set(e, -EINVAL,
		"a sensor takes value V (V/V/V with three axes), gone, or follow (its source "
		"again)");
}

int scmi_sensor_replay_command(
	struct sensors *set, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct replay *r = sensors_replay(set);

	if (!r)
		return err_set(e, -EINVAL, "there is no recording: replay is not set");
	if (argc == 2 && !strcmp(argv[1], "start"))
		replay_start(r);
	else if (argc == 2 && !strcmp(argv[1], "stop"))
		replay_stop(r);
	else if (argc != 1)
		return err_set(
			e, -EINVAL, "replay takes start (from the beginning), stop, or nothing");
	fprintf(answer, "replay %s record %zu of %zu length=%.3fs\n",
		replay_playing(r) ? "playing" : "stopped", replay_position(r), replay_count(r),
		(double)replay_length_ns(r) / 1e9);
	return 0;
}

static const struct scmi_command commands[] = {
	{ SENSOR_DESCRIPTION_GET, .len = 4, .run = describe, .name = "SENSOR_DESCRIPTION_GET" },
	{ SENSOR_TRIP_POINT_NOTIFY, SCMI_RESOURCE | SCMI_NOTIFY, .len = 8, .run = notify_trips,
		.name = "SENSOR_TRIP_POINT_NOTIFY" },
	{ SENSOR_TRIP_POINT_CONFIG, SCMI_RESOURCE, .len = 16, .run = set_trip,
		.name = "SENSOR_TRIP_POINT_CONFIG" },
	{ SENSOR_READING_GET, SCMI_RESOURCE, .len = 8, .run = get_reading,
		.name = "SENSOR_READING_GET" },
	{ SENSOR_AXIS_DESCRIPTION_GET, SCMI_RESOURCE, .len = 8, .run = describe_axes,
		.name = "SENSOR_AXIS_DESCRIPTION_GET" },
	{ SENSOR_LIST_UPDATE_INTERVALS, SCMI_RESOURCE, .len = 8, .run = list_intervals,
		.name = "SENSOR_LIST_UPDATE_INTERVALS" },
	{ SENSOR_CONFIG_GET, SCMI_RESOURCE, .len = 4, .run = get_config,
		.name = "SENSOR_CONFIG_GET" },
	{ SENSOR_CONFIG_SET, SCMI_RESOURCE, .len = 8, .run = set_config,
		.name = "SENSOR_CONFIG_SET" },
	{ SENSOR_CONTINUOUS_UPDATE_NOTIFY, SCMI_RESOURCE | SCMI_NOTIFY, .len = 8,
		.run = notify_updates, .name = "SENSOR_CONTINUOUS_UPDATE_NOTIFY" },
	{ SENSOR_NAME_GET, SCMI_RESOURCE, .len = 4, .run = scmi_name_get,
		.name = "SENSOR_NAME_GET" },
	{ 0 },
};

const struct scmi_protocol scmi_sensor = {
	.id = SCMI_PROTOCOL_SENSOR,
	.version = VERSION,
	.name = "sensor",
	.commands = commands,
	.attributes = attributes,
	.res_size = sizeof(struct scmi_sensor),
	.open = open_sensor,
	.close = close_sensor,
	.forget = sensor_view_drop,
	.show = show,
	.tell = tell,
};
