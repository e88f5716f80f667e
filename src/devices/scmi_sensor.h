/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration of an SCMI platform's sensors. */
#pragma once

#include <stddef.h>

#include "base/opt.h"

struct scmi_sensor_config {
	struct opt_list sensors; /* a name and words each */
};

/* Rows of an option table for a struct scmi_sensor_config that is `member` of `owner`. */
#define SCMI_SENSOR_OPTS(owner, member)                                                            \
	{                                                                                          \
		.name = "sensors", .type = OPT_LIST, .offset = offsetof(owner, member.sensors),    \
		.help = "sensors, as \"cabin-temp type=temperature value=21.5\""                   \
	}
