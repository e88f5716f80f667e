/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What agents want of a sensor: updates and trip points.
 *
 * A source that pushes has samples of its own: each is sent once, no sooner after the one before
 * than the agent's interval says. Of any other source, samples are taken once in an interval.
 */
#include <stdlib.h>

#include "base/util.h"
#include "devices/scmi_sensor_priv.h"

#define TRIP_EVENT_POSITIVE (1u << 16)

static const unsigned multiples[SENSOR_INTERVALS] = { 1, 2, 5, 10, 20, 50, 100 };

/* Intervals. */

/* 16 bits of seconds and 5 of an exponent; what does not fit is rounded. */
static uint32_t encode(uint64_t ns)
{
	int exponent = -9;

	while (ns > UINT16_MAX || (ns && ns % 10 == 0 && exponent < 0)) {
		ns = (ns + 5) / 10;
		exponent++;
	}
	return (uint32_t)ns << 5 | ((uint32_t)exponent & 0x1f);
}

uint64_t sensor_interval_ns(const struct scmi_sensor *s, unsigned interval)
{
	return s->desc.config.interval_ns * multiples[interval];
}

uint32_t sensor_interval_code(const struct scmi_sensor *s, unsigned interval)
{
	return encode(sensor_interval_ns(s, interval));
}

unsigned sensor_readings(const struct scmi_sensor *s, const struct sensor_sample *sample,
	bool stamps, uint32_t words[4 * SENSOR_AXES_MAX])
{
	uint64_t at = stamps ? sample->time_ns : 0;
	unsigned n = 0;

	for (unsigned i = 0; i < s->desc.config.axes; i++) {
		words[n++] = (uint32_t)sample->value[i];
		words[n++] = (uint32_t)((uint64_t)sample->value[i] >> 32);
		words[n++] = (uint32_t)at;
		words[n++] = (uint32_t)(at >> 32);
	}
	return n;
}

/* Notifications. */

static bool wants(const struct sensor_view *v, uint8_t what)
{
	return (v->grant->subscribed & what) && !v->disabled;
}

static void send_trip(const struct sensor_view *v, unsigned trip, bool positive)
{
	uint32_t desc = trip | (positive ? TRIP_EVENT_POSITIVE : 0);

	scmi_notify_one(v->grant, SENSOR_TRIP_POINT_EVENT, NULL, &desc, 1, false);
}

/* Compares with the value seen before. */
static void check_trips(struct sensor_view *v, int64_t now)
{
	for (unsigned i = 0; v->have_last && i < v->sensor->desc.trips; i++) {
		const struct sensor_trip *t = &v->trips[i];

		if ((t->mode & TRIP_POSITIVE) && v->last < t->value && now >= t->value)
			send_trip(v, i, true);
		if ((t->mode & TRIP_NEGATIVE) && v->last > t->value && now <= t->value)
			send_trip(v, i, false);
	}
	v->have_last = true;
	v->last = now;
}

static void send_update(struct sensor_view *v, const struct sensor_sample *sample)
{
	uint64_t interval = sensor_interval_ns(v->sensor, v->interval), now = ev_now_ns();
	uint32_t words[4 * SENSOR_AXES_MAX];
	unsigned n = sensor_readings(v->sensor, sample, !v->no_stamps, words);

	scmi_notify_one(v->grant, SENSOR_UPDATE, NULL, words, n, true);
	v->fresh = false;
	/* From when it was due: a late timer must not make all later ones later. */
	v->next_ns = (now - v->next_ns < interval ? v->next_ns : now) + interval;
}

/* Sets the timer for what comes next by itself. */
static void schedule(struct sensor_view *v)
{
	bool pushes = sensor_pushes(&v->sensor->sensor);
	uint64_t now = ev_now_ns();
	bool due = pushes ? v->fresh && wants(v, WANTS_UPDATES)
			  : wants(v, WANTS_UPDATES) || wants(v, WANTS_TRIPS);

	if (due)
		ev_timer_set(&v->timer, v->next_ns > now ? v->next_ns - now : 0);
	else
		ev_timer_stop(&v->timer);
}

static void on_timer(void *arg)
{
	struct sensor_view *v = arg;
	struct sensor *s = &v->sensor->sensor;
	struct sensor_sample sample;
	uint64_t interval = sensor_interval_ns(v->sensor, v->interval);

	if (sensor_read(s, &sample)) {
		v->fresh = false;
		v->next_ns = ev_now_ns() + interval;
	} else {
		if (!sensor_pushes(s) && wants(v, WANTS_TRIPS))
			check_trips(v, sample.value[0]);
		if (wants(v, WANTS_UPDATES))
			send_update(v, &sample);
		else
			v->next_ns = ev_now_ns() + interval;
	}
	schedule(v);
}

/* A sample has come, or the operator has changed something. */
static void take_change(struct sensor_view *v)
{
	struct sensor *s = &v->sensor->sensor;
	struct sensor_sample sample;

	if (!sensor_read(s, &sample)) {
		if (wants(v, WANTS_TRIPS))
			check_trips(v, sample.value[0]);
		v->fresh = true;
		if (wants(v, WANTS_UPDATES) && ev_now_ns() >= v->next_ns)
			send_update(v, &sample);
	}
	schedule(v);
}

void sensor_views_changed(struct sensor *s)
{
	struct scmi_sensor *sensor = container_of(s, struct scmi_sensor, sensor);

	for (unsigned i = 0; i <= SCMI_AGENTS_MAX; i++)
		if (sensor->views[i])
			take_change(sensor->views[i]);
}

void sensor_view_update(struct sensor_view *v)
{
	struct sensor_sample sample;

	if (wants(v, WANTS_TRIPS) && !v->have_last && !sensor_read(&v->sensor->sensor, &sample)) {
		v->have_last = true;
		v->last = sample.value[0];
	}
	if (!wants(v, WANTS_TRIPS))
		v->have_last = false;
	v->fresh = true;
	v->next_ns = ev_now_ns();
	schedule(v);
}

/* Views. */

struct sensor_view *sensor_view_find(const struct scmi_grant *g)
{
	return to_sensor(g->res)->views[g->agent->id];
}

struct sensor_view *sensor_view_get(struct scmi_grant *g)
{
	struct scmi_sensor *s = to_sensor(g->res);
	struct sensor_view *v = sensor_view_find(g);

	if (v)
		return v;
	v = calloc(1, sizeof(*v));
	if (!v)
		return NULL;
	v->grant = g;
	v->sensor = s;
	ev_timer_init(scmi_loop(s->res.platform), &v->timer, on_timer, v);
	s->views[g->agent->id] = v;
	return v;
}

static void drop(struct scmi_sensor *s, unsigned agent)
{
	if (s->views[agent])
		ev_timer_stop(&s->views[agent]->timer);
	free(s->views[agent]);
	s->views[agent] = NULL;
}

void sensor_view_drop(struct scmi_grant *g)
{
	drop(to_sensor(g->res), g->agent->id);
}

void sensor_views_free(struct scmi_sensor *s)
{
	for (unsigned i = 0; i <= SCMI_AGENTS_MAX; i++)
		drop(s, i);
}
