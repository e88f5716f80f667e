/* SPDX-License-Identifier: BSD-3-Clause */
/* Sensors of an SCMI platform: configuration, and their description in words (docs/sensors.md). */
#pragma once

#include <stddef.h>

#include "base/opt.h"
#include "devices/scmi_words.h"
#include "host/sensor.h"

#define SCMI_TRIPS_MAX 8u

struct scmi_sensor_config {
	struct opt_list sensors; /* a name and words each */
	struct sensors_config set;
};

/* Rows of an option table for a struct scmi_sensor_config that is `member` of `owner`. */
/* clang-format off */
#define SCMI_SENSOR_OPTS(owner, member)                                                            \
	{ "sensors", OPT_LIST, offsetof(owner, member.sensors),                                    \
		.help = "sensors, as \"cabin unit=celsius exponent=-1 value=21.5\"" },             \
	SENSORS_OPTS(owner, member.set)
/* clang-format on */

/* A sensor as described. */
struct scmi_sensor_desc {
	struct sensor_config config; /* its strings are in `strings` */
	int64_t resolution;	     /* in units of 10^exponent */
	uint32_t trips, async_us;    /* async_us 0: no asynchronous readings */
	char strings[512];
	size_t used;
};

/* Reads the words of a description into a zeroed `d`. -EINVAL with a reason. */
int scmi_sensor_describe(struct scmi_sensor_desc *d, struct scmi_words *w, struct err *e);
/* The same for a whole description, with nothing left over. */
int scmi_sensor_parse(struct scmi_sensor_desc *d, const char *text, struct err *e);
