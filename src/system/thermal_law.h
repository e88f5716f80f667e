/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which thresholds of temperature are exceeded: the decisions of the thermal policy without clocks,
 * files and processes.
 */
#pragma once

#include "system/conf_thermal.h"

#define THERMAL_MISSES_MAX 3u /* readings in a row that fail until the source counts as lost */

/* Zero-initialise, but for `conf`. */
struct thermal_law {
	const struct conf_thermal *conf;
	bool exceeded[CONF_THRESHOLDS_MAX];
	bool lost;
	unsigned misses; /* failed readings in a row */
};

/* A change of one threshold. */
struct thermal_change {
	const struct conf_threshold *threshold;
	bool exceeded;
};

/*
 * Takes a reading: millidegrees Celsius, or with NULL that there is none. Returns how many changes
 * it wrote: what is newly exceeded in the order of the file, or what no longer is in the reverse
 * order.
 */
unsigned thermal_law_take(struct thermal_law *law, const int32_t *reading,
	struct thermal_change changes[static CONF_THRESHOLDS_MAX]);

/* Percent of the processor time that is left to a VM, by its number in struct conf: 100 if it is
 * not throttled. */
unsigned thermal_law_cpu(const struct thermal_law *law, unsigned vm);

/* Reads a number from the text of a source. -EINVAL: it is none that a temperature could be. */
int thermal_parse(const char *text, int32_t *millidegrees);
