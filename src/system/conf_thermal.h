/* SPDX-License-Identifier: BSD-3-Clause */
/* `thermal:` of the system file: what follows when the host gets hot (docs/thermal.md). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/opt.h"

#define CONF_THRESHOLDS_MAX 32u

enum conf_thermal_action { CONF_THERMAL_THROTTLE, CONF_THERMAL_STOP };
enum conf_thermal_lost { CONF_LOST_HOLD, CONF_LOST_THROTTLE, CONF_LOST_STOP };

/* An entry of `thresholds:`. */
struct conf_threshold {
	uint32_t at;	  /* degrees Celsius; from here on it is exceeded */
	int action;	  /* enum conf_thermal_action */
	char *vm;	  /* its name; NULL: every VM */
	uint32_t cpu;	  /* throttle: percent of the processor time that is left */
	bool start_again; /* stop: the VM is started again when it is cool */
	unsigned number;  /* of the VM in struct conf, once the file has been checked */
	unsigned line, column;
};

struct conf_thermal {
	char *source; /* a file with millidegrees Celsius; NULL: no thermal policy */
	uint32_t poll_ms;
	uint32_t hysteresis; /* degrees below the threshold until it is not exceeded any more */
	int lost;	     /* enum conf_thermal_lost: what a source that cannot be read means */
	struct conf_threshold *thresholds; /* in ascending order */
	unsigned n;
};

/* True if the threshold is about the VM with this number in struct conf. */
static inline bool conf_threshold_is_for(const struct conf_threshold *t, unsigned vm)
{
	return !t->vm || t->number == vm;
}
/* True if it may have a VM throttled. */
bool conf_thermal_throttles(const struct conf_thermal *thermal);

struct conf_reader;
struct yaml_node;

/* For its row in conf_system_sections. */
extern const struct opt conf_thermal_opts[];
void conf_thermal_read(struct conf_reader *r, const struct yaml_node *node, void *section);
void conf_thermal_free(void *section);
/* Finds the VMs. */
void conf_thermal_check(struct conf_reader *r);
