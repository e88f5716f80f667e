/* SPDX-License-Identifier: BSD-3-Clause */
/* Roles of the test guest. See role.h. */
#include "conformance/guest/role.h"

#include <stdarg.h>

void role_say(const char *fmt, ...)
{
	char line[256];
	va_list args;

	va_start(args, fmt);
	cf_vformat(line, sizeof(line), fmt, args);
	va_end(args);
	bare_put("AVPC ");
	bare_put(line);
	bare_put("\n");
}

int role_run(struct bare_info *info, struct bare_virtio_list *devices, const char *role)
{
	if (cf_text_same(role, "neighbour"))
		return role_neighbour(devices);
	if (cf_text_same(role, "persist-write"))
		return role_persist(devices, false);
	if (cf_text_same(role, "persist-check"))
		return role_persist(devices, true);
	role_say("error: no role '%s'", role);
	return DRV_INVALID;
}
