/* SPDX-License-Identifier: BSD-3-Clause */
/* A console device as an end of a serial link (host/link.h). On the loop of both. */
#pragma once

#include "devices/console.h"
#include "host/link.h"

/* Private fields. */
struct console_plug {
	struct vdev *dev;
	struct link_end *end;
	struct chardev_carrier carrier;
};

/* Makes port 0 of a console an end, called `name`, of a link. Between vdev_new() and vdev_init();
 * `p` outlives the device. Returns 0 or -errno. */
int console_plug_in(struct console_plug *p, struct vdev *dev, struct link *link, const char *name,
	struct err *e);
