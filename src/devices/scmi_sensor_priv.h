/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the sensor protocol: a sensor, and what each agent has configured for itself. */
#pragma once

#include "devices/scmi_agent.h"
#include "devices/scmi_sensor.h"

/* Bits of grant->subscribed. */
#define WANTS_TRIPS   1u
#define WANTS_UPDATES 2u

/* Notifications (SCMI 4.7.3). */
#define SENSOR_TRIP_POINT_EVENT 0x0
#define SENSOR_UPDATE		0x1

/* What can be chosen: multiples of the sensor's shortest interval. */
#define SENSOR_INTERVALS 7u

#define TRIP_OFF      0u
#define TRIP_POSITIVE 1u
#define TRIP_NEGATIVE 2u

struct sensor_trip {
	uint32_t mode; /* TRIP_ bits */
	int64_t value;
};

/* A sensor as one agent has configured it: no agent disturbs another one. */
struct sensor_view {
	struct scmi_grant *grant;
	struct scmi_sensor *sensor;
	bool disabled, no_stamps;
	unsigned interval; /* which of the possible ones */
	struct sensor_trip trips[SCMI_TRIPS_MAX];
	bool have_last; /* value that the trip points are compared with */
	int64_t last;
	struct ev_timer timer;
	uint64_t next_ns; /* CLOCK_MONOTONIC: the next update may be sent */
	bool fresh;	  /* there is a sample that was not sent yet */
};

struct scmi_sensor {
	struct scmi_res res;
	struct scmi_sensor_desc desc;
	struct sensor sensor;
	struct sensor_view *views[SCMI_AGENTS_MAX + 1]; /* by agent; NULL: nothing configured */
};

static inline struct scmi_sensor *to_sensor(const struct scmi_res *res)
{
	return container_of(res, struct scmi_sensor, res);
}

/* The view of this grant, made if there is none; NULL: no memory. */
struct sensor_view *sensor_view_get(struct scmi_grant *g);
/* The same, or NULL if nothing was configured. */
struct sensor_view *sensor_view_find(const struct scmi_grant *g);
void sensor_view_drop(struct scmi_grant *g);
void sensor_views_free(struct scmi_sensor *s);
/* Configuration or subscriptions have changed: notifications go on accordingly. */
void sensor_view_update(struct sensor_view *v);
/* `changed` of the sensor's struct sensor. */
void sensor_views_changed(struct sensor *s);

/* Nanoseconds of one of the possible intervals, and as SCMI writes it: bits 4..0 are an exponent of
 * ten, 20..5 so many seconds. */
uint64_t sensor_interval_ns(const struct scmi_sensor *s, unsigned interval);
uint32_t sensor_interval_code(const struct scmi_sensor *s, unsigned interval);

/* Words of the operator about the recording: replay [start|stop]. */
int scmi_sensor_replay_command(
	struct sensors *set, unsigned argc, char **argv, FILE *answer, struct err *e);

/* Writes a sample as SCMI's readings, two words of value and two of time for each axis; returns the
 * number of words. */
unsigned sensor_readings(const struct scmi_sensor *s, const struct sensor_sample *sample,
	bool stamps, uint32_t words[4 * SENSOR_AXES_MAX]);
