/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An input device of the host: /dev/input/eventN of Linux's evdev, by libevdev. When it vanishes it
 * comes back as hostdev.h says. Everything on one loop.
 */
#pragma once

#include <linux/input.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"

/* The type byte of all requests that it makes of the kernel (linux/input.h). */
#define EVDEV_IOCTLS 'E'

struct evdev;

/* Called on the loop's thread, never from inside an evdev_*() call but evdev_start(). */
struct evdev_events {
	/* An event, including SYN_REPORT. After events were lost in the kernel those come that lead
	 * to the state as it is. */
	void (*event)(void *arg, uint16_t type, uint16_t code, int32_t value);
	/* The device is gone, or there again (`why`: the reason, or its name). */
	void (*present)(void *arg, bool present, const char *why);
	void *arg;
};

/* Opens it for reading and writing; with `grab` nobody else gets its events. -errno with a reason:
 * not there, not an evdev device, grabbed by somebody else. `path` is copied. */
int evdev_open(struct evdev **dev, const char *path, bool grab, struct ev_loop *loop,
	const struct evdev_events *events, const struct log *log, struct err *e);
/* Begins to report events, first those that lead from nothing to the state as it is. */
void evdev_start(struct evdev *dev);
/* Accepts NULL. */
void evdev_close(struct evdev *dev);

/* What it is; also while it is gone. */
const char *evdev_name(const struct evdev *dev);
/* "" if it has none. */
const char *evdev_serial(const struct evdev *dev);
struct input_id evdev_ids(const struct evdev *dev);
bool evdev_has(const struct evdev *dev, unsigned type, unsigned code);
bool evdev_has_property(const struct evdev *dev, unsigned prop);
/* Range of an absolute axis that it has; value is not the current one. */
struct input_absinfo evdev_abs(const struct evdev *dev, unsigned code);

/* Sends an event to it, as of an LED. Lost while it is gone. */
void evdev_send(struct evdev *dev, uint16_t type, uint16_t code, int32_t value);
