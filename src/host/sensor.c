/* SPDX-License-Identifier: BSD-3-Clause */
/* Sensors: their state, the scripted ones, and the set that they are in. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "host/sensor_priv.h"

#define NS_PER_S   UINT64_C(1000000000)
#define DETAIL_MAX 200u
/* Events a second: a process that gives values may come and go as fast as it likes. */
#define EVENTS_BURST 16u

const char *const sensor_source_words[] = { "value", "ramp", "sine", "replay", "socket", "iio",
	"hwmon", NULL };
const char *const sensor_clock_words[] = { "monotonic", "realtime", NULL };

uint64_t sensors_now_ns(const struct sensors *set)
{
	struct timespec t;

	clock_gettime(set->config->time_stamps == SENSOR_CLOCK_REALTIME ? CLOCK_REALTIME
									: CLOCK_MONOTONIC,
		&t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void sensors_event(struct sensors *set, const char *event, const char *fmt, ...)
{
	char detail[DETAIL_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	if (!log_allowed(&set->events, EVENTS_BURST))
		return;
	set->event(set->event_arg, event, detail);
}

/* Scripts. */

/* Where in its period a script is, from 0 to 1. */
static double phase(const struct sensor *s)
{
	uint64_t at = (ev_now_ns() - s->set->start_ns) % s->config->period_ns;

	return (double)at / (double)s->config->period_ns;
}

static int64_t between(int64_t from, int64_t to, double part)
{
	return from + (int64_t)llround(((double)to - (double)from) * part);
}

static void run_script(const struct sensor *s, struct sensor_sample *out)
{
	const struct sensor_config *c = s->config;
	double part = 0;

	if (c->source == SENSOR_RAMP)
		part = phase(s);
	else if (c->source == SENSOR_SINE)
		part = (1 - cos(2 * M_PI * phase(s))) / 2;
	for (unsigned i = 0; i < c->axes; i++)
		out->value[i] = between(c->from[i], c->to[i], part);
}

/* Sensors. */

bool sensor_pushes(const struct sensor *s)
{
	return !s->held && s->config->source >= SENSOR_REPLAY;
}

int sensor_read(struct sensor *s, struct sensor_sample *out)
{
	if (s->gone)
		return -EIO;
	if (sensor_pushes(s)) {
		*out = s->last;
		return s->valid ? 0 : -ENODATA;
	}
	*out = (struct sensor_sample){ .time_ns = sensors_now_ns(s->set) };
	if (s->held)
		memcpy(out->value, s->held_value, sizeof(out->value));
	else
		run_script(s, out);
	return 0;
}

static void tell_change(struct sensor *s)
{
	if (s->changed)
		s->changed(s);
}

static void clamp(const struct sensor_config *c, int64_t *value)
{
	for (unsigned i = 0; i < c->axes; i++) {
		if (value[i] < c->min)
			value[i] = c->min;
		if (value[i] > c->max)
			value[i] = c->max;
	}
}

void sensor_push(struct sensor *s, const int64_t *value, uint64_t time_ns, const void *feed)
{
	bool was_lost = s->lost;

	memcpy(s->last.value, value, s->config->axes * sizeof(*value));
	clamp(s->config, s->last.value);
	s->last.time_ns = time_ns ? time_ns : sensors_now_ns(s->set);
	s->valid = true;
	s->lost = false;
	s->feed = feed;
	s->samples++;
	if (was_lost)
		sensors_event(s->set, "host-back", "sensor %s", s->config->name);
	if (s->held)
		return;
	s->gone = false;
	tell_change(s);
}

void sensor_lost(struct sensor *s, const char *why)
{
	if (s->lost)
		return;
	s->lost = true;
	s->valid = false;
	s->feed = NULL;
	sensors_event(s->set, "host-gone", "sensor %s: %s", s->config->name, why);
	if (s->held)
		return;
	s->gone = true;
	tell_change(s);
}

void sensor_hold(struct sensor *s, const int64_t *value)
{
	memcpy(s->held_value, value, s->config->axes * sizeof(*value));
	clamp(s->config, s->held_value);
	s->held = true;
	s->gone = false;
	tell_change(s);
}

void sensor_hold_gone(struct sensor *s)
{
	s->held = true;
	s->gone = true;
	tell_change(s);
}

void sensor_release(struct sensor *s)
{
	s->held = false;
	s->gone = s->lost;
	tell_change(s);
}

/* The set. */

int sensors_open(struct sensors **out, const struct sensors_config *config, struct ev_loop *loop,
	const struct log *log, sensors_event_fn event, void *arg, struct err *e)
{
	struct sensors *set = calloc(1, sizeof(*set));

	if (!set)
		return err_set(e, -ENOMEM, "out of memory");
	set->config = config;
	set->loop = loop;
	set->log = log;
	set->event = event;
	set->event_arg = arg;
	set->start_ns = ev_now_ns();
	set->end = &set->first;
	feeds_init(set);
	*out = set;
	return 0;
}

void sensors_close(struct sensors *set)
{
	if (!set)
		return;
	recording_close(set);
	feeds_close(set);
	free(set);
}

void sensors_add(struct sensors *set, struct sensor *s)
{
	s->set = set;
	s->next = NULL;
	*set->end = s;
	set->end = &s->next;
}

struct sensor *sensors_find(const struct sensors *set, const char *name, unsigned mask)
{
	for (struct sensor *s = set->first; s; s = s->next)
		if ((mask & 1u << s->config->source) && !strcmp(s->config->name, name))
			return s;
	return NULL;
}

int sensors_start(struct sensors *set, struct err *e)
{
	int ret = recording_open(set, e);

	return ret ? ret : feeds_open(set, e);
}

void sensors_ready(struct sensors *set)
{
	if (set->ready)
		return;
	set->ready = true;
	if (set->replay && set->config->replay.start_when == REPLAY_READY)
		replay_start(set->replay);
}

struct replay *sensors_replay(const struct sensors *set)
{
	return set->replay;
}
