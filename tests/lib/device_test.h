/* SPDX-License-Identifier: BSD-3-Clause */
/* What tests of several devices do alike: refused keys, and what is reported to the operator. */
#pragma once

#include "lib/vhud_server.h"
#include "tap.h"

/* A device with this key does not come up, and says why. `base`: a key and its value that it needs
 * besides, or NULL. */
void device_refused(struct tap *t, const struct vdev_class *cls, const char *const base[2],
	const char *key, const char *value, const char *reason);

/* What a device has reported: lines "EVENT DETAIL". Read `text` only when the device is idle. */
struct device_events {
	struct vdev_watcher watcher;
	char text[512];
};

/* Begins anew, with no lines. */
void device_watch(struct vhud_server *srv, struct device_events *ev);
/* Waits until the lines have `text`; false if they do not within 20 s. */
bool device_reports(struct vhud_server *srv, struct device_events *ev, const char *text);

/* An empty file, in place of a device node of the host. */
void device_node(const char *path);
