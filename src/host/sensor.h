/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sensors and where their values come from: a fixed value, a script, a recording, another process
 * over a Unix socket, or the host's own sensors, which a helper process reads. A set of sensors
 * lives on one event loop.
 *
 * Values are whole numbers in units of 10^exponent of the sensor's unit: 21.5 degrees at exponent
 * -1 are 215.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "host/replay.h"

#define SENSOR_AXES_MAX	    3u
#define SENSOR_NAME_MAX	    64u /* bytes of a name with its end */
#define SENSOR_EXPONENT_MIN (-16)
#define SENSOR_EXPONENT_MAX 15
#define SENSOR_UNIT_MAX	    255u

enum sensor_source {
	SENSOR_VALUE,  /* `from` */
	SENSOR_RAMP,   /* from `from` to `to` in `period_ns`, again and again */
	SENSOR_SINE,   /* between `from` and `to`, a whole wave in `period_ns` */
	SENSOR_REPLAY, /* columns of the set's recording */
	SENSOR_SOCKET, /* lines of a process that connects to the set's socket */
	SENSOR_IIO,    /* Linux's Industrial I/O: /sys/bus/iio/devices */
	SENSOR_HWMON,  /* Linux's hardware monitoring: /sys/class/hwmon */
};
extern const char *const sensor_source_words[];

/* What a sensor is. Strings are not owned and outlive the sensor. */
struct sensor_config {
	const char *name;
	uint8_t unit; /* as SCMI numbers units (DEN0056E, 4.7.2.5.1; DSP0249) */
	int exponent;
	unsigned axes;	      /* 1 or 3 */
	int64_t min, max;     /* range of values */
	uint64_t interval_ns; /* least time between two samples; not 0 */
	enum sensor_source source;
	int64_t from[SENSOR_AXES_MAX], to[SENSOR_AXES_MAX];
	uint64_t period_ns;
	const char *column[SENSOR_AXES_MAX]; /* names of columns */
	const char *device, *channel;	     /* "bmi160", "accel"; "coretemp", "temp1" */
	const char *text; /* all this as words, for the helper that reads the host's sensors */
};

/* A measurement of all axes. */
struct sensor_sample {
	int64_t value[SENSOR_AXES_MAX];
	uint64_t time_ns; /* of the set's clock */
};

struct sensors;
struct sensor;

/* A sensor. Embedded in its owner, zeroed; `config` and `changed` are the owner's to set. */
struct sensor {
	const struct sensor_config *config;
	/* [opt] There is a new sample, or the sensor is gone: only from sources that push. */
	void (*changed)(struct sensor *s);

	struct sensors *set;
	struct sensor *next;
	struct sensor_sample last;
	uint64_t samples; /* that the source pushed */
	bool valid;	  /* `last` holds */
	bool lost;	  /* the source is gone */
	bool held;	  /* the operator's word counts, not the source */
	bool gone;	  /* what readers see of these two */
	int64_t held_value[SENSOR_AXES_MAX];
	const void *feed; /* who gave the last value */
};

enum sensor_clock { SENSOR_CLOCK_MONOTONIC, SENSOR_CLOCK_REALTIME };

/* What a set of sensors has in common. */
struct sensors_config {
	struct replay_config replay;
	char *socket;	 /* path at which processes connect, or NULL */
	char *sysfs;	 /* root of sysfs; NULL is /sys */
	int time_stamps; /* enum sensor_clock */
};
extern const char *const sensor_clock_words[];

/* Rows of an option table for a struct sensors_config that is field `field` of `owner`. */
/* clang-format off */
#define SENSORS_OPTS(owner, field)                                                                 \
	REPLAY_OPTS(owner, field.replay),                                                          \
	{ "sensor-socket", OPT_PATH, offsetof(owner, field.socket),                                \
		.help = "Unix socket that takes values of sensors, a line each" },                 \
	{ "sensor-sysfs", OPT_PATH, offsetof(owner, field.sysfs), .def = "/sys",                   \
		.help = "where the host's sensors are" },                                          \
	{ "sensor-clock", OPT_ENUM, offsetof(owner, field.time_stamps), .def = "monotonic",        \
		.words = sensor_clock_words, .help = "the host's clock for time stamps" }
/* clang-format on */

/* Something for the event log: "host-gone", "host-back", "replay-end". */
typedef void (*sensors_event_fn)(void *arg, const char *event, const char *detail);

/* An empty set. `config` and `log` outlive it; events go to `event` with `arg`. */
int sensors_open(struct sensors **set, const struct sensors_config *config, struct ev_loop *loop,
	const struct log *log, sensors_event_fn event, void *arg, struct err *e);
/* Accepts NULL. The sensors are out of use before. */
void sensors_close(struct sensors *set);
/* Adds a sensor, before sensors_start(). */
void sensors_add(struct sensors *set, struct sensor *s);
/* Opens the sources of all sensors that were added: reads the recording, listens at the socket,
 * starts the reader of the host's sensors. -EINVAL and the like with a reason. */
int sensors_start(struct sensors *set, struct err *e);
/* The drivers of all guests are up: a recording that waits for that begins. Once. */
void sensors_ready(struct sensors *set);
/* The recording, or NULL. */
struct replay *sensors_replay(const struct sensors *set);
/* Nanoseconds of the clock for time stamps. */
uint64_t sensors_now_ns(const struct sensors *set);

/* The latest sample. 0; -ENODATA: there is none yet; -EIO: the source is gone. */
int sensor_read(struct sensor *s, struct sensor_sample *out);
/* True if the source has samples of its own and tells when (`changed`); false if it has a value at
 * any time, and whoever wants samples takes them. */
bool sensor_pushes(const struct sensor *s);
/* The operator's value in place of the source's; or none, as if it were gone. Until released. */
void sensor_hold(struct sensor *s, const int64_t *value);
void sensor_hold_gone(struct sensor *s);
void sensor_release(struct sensor *s);

/* For sources. */

/* A new sample from `feed`; 0 for time_ns is now. */
void sensor_push(struct sensor *s, const int64_t *value, uint64_t time_ns, const void *feed);
/* The source is gone. */
void sensor_lost(struct sensor *s, const char *why);
/* The sensor with this name and one of the sources `mask` (bits by enum sensor_source), or NULL. */
struct sensor *sensors_find(const struct sensors *set, const char *name, unsigned mask);
void sensors_event(struct sensors *set, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Values and units as text (sensor_value.c). */

/* A decimal number, "-0.25" or "1e3" is not one, to units of 10^exponent, rounded to nearest; *end
 * is what follows. -EINVAL if there is no number, -ERANGE if it does not fit. */
int sensor_parse_value(const char *text, int exponent, int64_t *v, const char **end);
/* `n` values separated by '/', all of the text. */
int sensor_parse_values(const char *text, int exponent, unsigned n, int64_t *v);
void sensor_print_value(FILE *f, int64_t v, int exponent);
/* v * 10^-exponent, rounded; -ERANGE if it does not fit or is no number. */
int sensor_scale(double v, int exponent, int64_t *out);
/* The number of a unit by name ("celsius") or number; -EINVAL. */
int sensor_parse_unit(const char *text, uint8_t *unit);
/* Its name, or NULL. */
const char *sensor_unit_name(uint8_t unit);
/* The names of all units, for messages. Row 0 is the first; NULL behind the last. */
const char *sensor_unit_word(unsigned i);
