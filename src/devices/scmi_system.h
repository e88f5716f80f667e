/* SPDX-License-Identifier: BSD-3-Clause */
/* System power: the operator's requests to agents. */
#pragma once

#include "devices/scmi_priv.h"

/* True for shutdown, reboot and suspend. */
bool scmi_system_is_command(const char *word);
/* "shutdown|reboot|suspend [graceful] [TIMEOUT]": notifies `only`, or with NULL all agents that
 * asked for it. `res` is the platform's system resource, NULL if it has none. */
int scmi_system_command(struct scmi_res *res, struct scmi_agent *only, unsigned argc, char **argv,
	FILE *answer, struct err *e);
