/* SPDX-License-Identifier: BSD-3-Clause */
/* The thermal policy of a running system (docs/thermal.md). The thread of the supervisor's loop. */
#pragma once

#include "base/err.h"

struct supervisor;
struct thermal;
struct unit;

/* Begins to read the source, at once; *out stays NULL if the file has no policy. */
int thermal_start(struct thermal **out, struct supervisor *s, struct err *e);
/* Accepts NULL. */
void thermal_stop(struct thermal *t);
/* The state of `u` may have changed: a guest that starts is to be as slow as it should be. Accepts
 * a NULL `t`. */
void thermal_unit(struct thermal *t, struct unit *u);
