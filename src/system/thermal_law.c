/* SPDX-License-Identifier: BSD-3-Clause */
/* Thresholds with hysteresis. */
#include "system/thermal_law.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#define ABSOLUTE_ZERO (-273150) /* millidegrees Celsius */
#define HOTTEST	      1000000

int thermal_parse(const char *text, int32_t *millidegrees)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || n < ABSOLUTE_ZERO || n > HOTTEST)
		return -EINVAL;
	while (isspace((unsigned char)*end))
		end++;
	if (*end)
		return -EINVAL;
	*millidegrees = (int32_t)n;
	return 0;
}

/* What a threshold is when nobody knows the temperature. */
static bool when_lost(const struct thermal_law *law, unsigned i)
{
	switch (law->conf->lost) {
	case CONF_LOST_THROTTLE:
		return law->exceeded[i] || law->conf->thresholds[i].action == CONF_THERMAL_THROTTLE;
	case CONF_LOST_STOP:
		return true;
	case CONF_LOST_HOLD:
	default:
		return law->exceeded[i];
	}
}

static bool judge(const struct thermal_law *law, unsigned i, const int32_t *reading)
{
	int32_t at = (int32_t)law->conf->thresholds[i].at * 1000;

	if (!reading)
		return law->lost ? when_lost(law, i) : law->exceeded[i];
	if (law->exceeded[i])
		at -= (int32_t)law->conf->hysteresis * 1000;
	return *reading >= at;
}

unsigned thermal_law_take(struct thermal_law *law, const int32_t *reading,
	struct thermal_change changes[static CONF_THRESHOLDS_MAX])
{
	const struct conf_thermal *conf = law->conf;
	bool now[CONF_THRESHOLDS_MAX];
	unsigned n = 0;

	law->misses = reading ? 0 : law->misses + (law->misses < THERMAL_MISSES_MAX);
	law->lost = law->misses == THERMAL_MISSES_MAX;
	for (unsigned i = 0; i < conf->n; i++)
		now[i] = judge(law, i, reading);
	for (unsigned i = 0; i < conf->n; i++)
		if (now[i] && !law->exceeded[i])
			changes[n++] = (struct thermal_change){ &conf->thresholds[i], true };
	for (unsigned i = conf->n; i--;)
		if (!now[i] && law->exceeded[i])
			changes[n++] = (struct thermal_change){ &conf->thresholds[i], false };
	for (unsigned i = 0; i < conf->n; i++)
		law->exceeded[i] = now[i];
	return n;
}

unsigned thermal_law_cpu(const struct thermal_law *law, unsigned vm)
{
	unsigned cpu = 100;

	for (unsigned i = 0; i < law->conf->n; i++) {
		const struct conf_threshold *t = &law->conf->thresholds[i];

		if (law->exceeded[i] && t->action == CONF_THERMAL_THROTTLE &&
			conf_threshold_is_for(t, vm) && t->cpu < cpu)
			cpu = t->cpu;
	}
	return cpu;
}
