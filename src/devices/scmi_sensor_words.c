/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptions of sensors: "speed unit=meter-per-second exponent=-2 source=replay column=v". */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "devices/scmi_sensor.h"
#include "host/sensor_sysfs.h"

#define NS_PER_US	    UINT64_C(1000)
#define INTERVAL_DEFAULT_US 100000u
#define INTERVAL_MIN_US	    1000u
#define TIME_MAX_US	    3600000000u
#define EXPONENT_DEFAULT    (-3)
#define TRIPS_DEFAULT	    2u
#define UNIT_UNSPECIFIED    1u
#define RESOLUTION_MAX	    ((INT64_C(1) << 27) - 1) /* 27 bits in SCMI's descriptors */

/* Keeps a string in d->strings; NULL, with an error, if it does not fit. */
static const char *keep(struct scmi_sensor_desc *d, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static const char *keep(struct scmi_sensor_desc *d, struct err *e, const char *fmt, ...)
{
	char *at = d->strings + d->used;
	size_t room = sizeof(d->strings) - d->used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(at, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room) {
		err_set(e, -EINVAL, "the description of a sensor is too long");
		return NULL;
	}
	d->used += (size_t)n + 1;
	return at;
}

static int bad(const struct scmi_words *w, const char *key, const char *value, const char *right,
	struct err *e)
{
	return err_set(e, -EINVAL, "'%.40s': %s=%.40s: %s", w->name, key, value, right);
}

/* `n` values separated by '/', in range; v is left alone if the key is absent. */
static int read_values(const struct scmi_sensor_desc *d, struct scmi_words *w, const char *key,
	unsigned n, int64_t *v, struct err *e)
{
	const struct sensor_config *c = &d->config;
	const char *text = scmi_word(w, key);

	if (!text)
		return 0;
	if (sensor_parse_values(text, c->exponent, n, v))
		return bad(w, key, text,
			n > 1 ? "not a value for each axis, as 0/0/9.81"
			      : "not a number that fits the exponent, as 21.5",
			e);
	for (unsigned i = 0; i < n; i++)
		if (v[i] < c->min || v[i] > c->max)
			return bad(w, key, text, "outside the range from min to max", e);
	return 0;
}

static int needed(const struct scmi_words *w, const char *key, const char *source, struct err *e)
{
	return err_set(e, -EINVAL, "'%.40s': source=%s needs %s=", w->name, source, key);
}

/* What it is. */

static int read_unit(struct scmi_sensor_desc *d, struct scmi_words *w, struct err *e)
{
	const char *text = scmi_word(w, "unit"), *words[96], *near;
	unsigned n = 0;

	d->config.unit = UNIT_UNSPECIFIED;
	if (!text || !sensor_parse_unit(text, &d->config.unit))
		return 0;
	while (n < 96 && (words[n] = sensor_unit_word(n)))
		n++;
	near = opt_nearest(text, words, n);
	return err_set(e, -EINVAL,
		"'%.40s': unit=%.40s is not known; try %s, or a number of DSP0249", w->name, text,
		near ? near : "celsius");
}

static int read_range(struct scmi_sensor_desc *d, struct scmi_words *w, struct err *e)
{
	struct sensor_config *c = &d->config;
	int64_t min = -INT64_MAX, max = INT64_MAX;
	int ret;

	c->min = -INT64_MAX;
	c->max = INT64_MAX;
	d->resolution = 1;
	ret = read_values(d, w, "min", 1, &min, e);
	if (!ret)
		ret = read_values(d, w, "max", 1, &max, e);
	if (!ret)
		ret = read_values(d, w, "resolution", 1, &d->resolution, e);
	if (ret)
		return ret;
	if (min > max)
		return err_set(e, -EINVAL, "'%.40s': min is above max", w->name);
	if (d->resolution < 1 || d->resolution > RESOLUTION_MAX)
		return err_set(e, -EINVAL,
			"'%.40s': resolution is not a step that fits the exponent", w->name);
	c->min = min;
	c->max = max;
	return 0;
}

static int read_kind(struct scmi_sensor_desc *d, struct scmi_words *w, struct err *e)
{
	static const char *const axes[] = { "1", "3", NULL };
	struct sensor_config *c = &d->config;
	uint32_t interval_us = INTERVAL_DEFAULT_US;
	int32_t exponent = EXPONENT_DEFAULT;
	unsigned three = 0;
	int ret = scmi_word_enum(w, "axes", axes, &three, e);

	c->axes = three ? SENSOR_AXES_MAX : 1;
	d->trips = three ? 0 : TRIPS_DEFAULT;
	if (!ret)
		ret = scmi_word_s32(
			w, "exponent", SENSOR_EXPONENT_MIN, SENSOR_EXPONENT_MAX, &exponent, e);
	c->exponent = exponent;
	if (!ret)
		ret = read_unit(d, w, e);
	if (!ret)
		ret = read_range(d, w, e);
	if (!ret)
		ret = scmi_word_us(w, "interval", TIME_MAX_US, &interval_us, e);
	if (!ret && interval_us < INTERVAL_MIN_US)
		ret = err_set(e, -EINVAL, "'%.40s': interval is less than 1ms", w->name);
	c->interval_ns = interval_us * NS_PER_US;
	if (!ret)
		ret = scmi_word_u32(w, "trips", 0, three ? 0 : SCMI_TRIPS_MAX, &d->trips, e);
	return ret ? ret : scmi_word_us(w, "async", TIME_MAX_US, &d->async_us, e);
}

/* Where its values come from. */

static int read_script(
	struct scmi_sensor_desc *d, struct scmi_words *w, const char *source, struct err *e)
{
	struct sensor_config *c = &d->config;
	uint32_t period_us = 0;
	int ret = read_values(d, w, "from", c->axes, c->from, e);

	if (!ret)
		ret = read_values(d, w, "to", c->axes, c->to, e);
	if (!ret)
		ret = scmi_word_us(w, "period", TIME_MAX_US, &period_us, e);
	if (!ret && !period_us)
		ret = needed(w, "from=, to= and period", source, e);
	c->period_ns = period_us * NS_PER_US;
	return ret;
}

static int read_value(struct scmi_sensor_desc *d, struct scmi_words *w, struct err *e)
{
	d->config.from[0] = INT64_MIN;
	if (read_values(d, w, "value", d->config.axes, d->config.from, e))
		return -EINVAL;
	if (d->config.from[0] != INT64_MIN)
		return 0;
	return err_set(e, -EINVAL,
		"'%.40s': value=, or source= with one of ramp, sine, replay, socket, iio, hwmon is "
		"needed",
		w->name);
}

/* "ax/ay/az" */
static int read_columns(struct scmi_sensor_desc *d, struct scmi_words *w, struct err *e)
{
	struct sensor_config *c = &d->config;
	const char *text = scmi_word(w, "column");
	char *rest;

	if (!text)
		return needed(w, "column", "replay", e);
	rest = (char *)keep(d, e, "%s", text);
	if (!rest)
		return -EINVAL;
	for (unsigned i = 0; i < c->axes; i++) {
		c->column[i] = strsep(&rest, "/");
		if (!c->column[i] || !*c->column[i])
			return bad(w, "column", text, "not a column for each axis, as ax/ay/az", e);
	}
	return rest ? bad(w, "column", text, "more columns than axes", e) : 0;
}

static int read_channel(
	struct scmi_sensor_desc *d, struct scmi_words *w, const char *source, struct err *e)
{
	struct sensor_config *c = &d->config;
	const char *device = scmi_word(w, "device"), *channel = scmi_word(w, "channel");
	uint8_t unit;

	if (!device || !channel)
		return needed(w, device ? "channel" : "device", source, e);
	if (c->source == SENSOR_HWMON && c->axes > 1)
		return err_set(e, -EINVAL, "'%.40s': hwmon has no sensors of three axes", w->name);
	if (sysfs_channel_unit(c->source, channel, &unit))
		return bad(
			w, "channel", channel, "not a kind of channel that is known, as temp", e);
	if (c->unit != UNIT_UNSPECIFIED && c->unit != unit)
		return err_set(e, -EINVAL, "'%.40s': channel %.40s measures in unit=%s", w->name,
			channel, sensor_unit_name(unit));
	c->unit = unit;
	c->device = keep(d, e, "%s", device);
	c->channel = keep(d, e, "%s", channel);
	c->text =
		keep(d, e, "%s source=%s device=%s channel=%s axes=%u exponent=%d interval=%lluus",
			w->name, source, device, channel, c->axes, c->exponent,
			(unsigned long long)(c->interval_ns / NS_PER_US));
	return c->device && c->channel && c->text ? 0 : -EINVAL;
}

static int read_source(struct scmi_sensor_desc *d, struct scmi_words *w, struct err *e)
{
	struct sensor_config *c = &d->config;
	unsigned source = SENSOR_VALUE;
	int ret = scmi_word_enum(w, "source", sensor_source_words, &source, e);

	if (ret)
		return ret;
	c->source = (enum sensor_source)source;
	switch (c->source) {
	case SENSOR_VALUE:
		return read_value(d, w, e);
	case SENSOR_RAMP:
	case SENSOR_SINE:
		return read_script(d, w, sensor_source_words[source], e);
	case SENSOR_REPLAY:
		return read_columns(d, w, e);
	case SENSOR_IIO:
	case SENSOR_HWMON:
		return read_channel(d, w, sensor_source_words[source], e);
	case SENSOR_SOCKET:
	default:
		return 0;
	}
}

int scmi_sensor_describe(struct scmi_sensor_desc *d, struct scmi_words *w, struct err *e)
{
	int ret;

	if (strlen(w->name) >= SENSOR_NAME_MAX)
		return err_set(e, -EINVAL, "the name '%.80s' is longer than %u bytes", w->name,
			SENSOR_NAME_MAX - 1);
	d->config.name = keep(d, e, "%s", w->name);
	ret = d->config.name ? read_kind(d, w, e) : -EINVAL;
	return ret ? ret : read_source(d, w, e);
}

int scmi_sensor_parse(struct scmi_sensor_desc *d, const char *text, struct err *e)
{
	struct scmi_words w;
	int ret = scmi_words_parse(&w, text, e);

	if (!ret)
		ret = scmi_sensor_describe(d, &w, e);
	if (!ret)
		ret = scmi_words_end(&w, e);
	scmi_words_free(&w);
	return ret;
}
