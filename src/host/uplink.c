/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/uplink.h"

#include <errno.h>
#include <string.h>

#include "host/passt.h"
#include "host/tap.h"

int uplink_open(struct uplink *u, const char *spec, struct ev_loop *loop, const struct log *log,
	struct err *e)
{
	if (!strcmp(spec, "none"))
		return 0;
	if (!strncmp(spec, "tap:", 4))
		return tap_create(&u->tap, spec + 4, loop, log, e);
	if (!strcmp(spec, "passt"))
		return passt_create(&u->passt, NULL, loop, log, e);
	if (!strncmp(spec, "passt:", 6) && spec[6] != '/')
		return err_set(e, -EINVAL,
			"passt socket '%.64s': its path must begin with /, to be found again from "
			"the jail",
			spec + 6);
	if (!strncmp(spec, "passt:", 6))
		return passt_create(&u->passt, spec + 6, loop, log, e);
	return err_set(e, -EINVAL,
		"'%.64s' is no uplink: it is none, tap:NAME, passt or passt:SOCKET", spec);
}

void uplink_close(struct uplink *u)
{
	tap_destroy(u->tap);
	passt_destroy(u->passt);
	*u = (struct uplink){ 0 };
}

struct netport *uplink_end(const struct uplink *u)
{
	if (u->tap)
		return tap_end(u->tap);
	return u->passt ? passt_end(u->passt) : NULL;
}
