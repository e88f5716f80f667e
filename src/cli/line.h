/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The supervisor's line to a process that serves devices: requests in, answers and events out, one
 * message each (docs/control-socket.md, "Inside a system").
 */
#pragma once

#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "virtio/device.h"

#define LINE_WORDS_MAX	 32u   /* of an operator's command */
#define LINE_REQUEST_MAX 4096u /* bytes */

struct line_ops {
	/* Writes counters: the members of a JSON object, without its braces. NULL: no counters. */
	void (*stats)(void *arg, FILE *f);
	/* As `command` of struct vdev_class. NULL: no commands. */
	int (*command)(void *arg, unsigned argc, char **argv, FILE *answer, struct err *e);
	/* Whoever was at the other end is gone. */
	void (*closed)(void *arg);
};

/* Zero-initialise with `out` -1. One thread: the loop's. */
struct line {
	int in, out; /* SOCK_SEQPACKET; not taken over */
	const struct line_ops *ops;
	void *arg;
	const struct log *log;
	struct ev_fd watch;
	struct vdev_watcher watcher; /* for devices: their events go out here */
	const char *(*name_of)(void *arg, const struct vdev *dev); /* in events, or NULL */
	struct vdev *dev; /* of a line to one device; its owner's */
};

/* Requests come from `in`, the rest goes to `out`; they may be one. `log` and `ops` outlive it. */
int line_open(struct line *l, struct ev_loop *loop, int in, int out, const struct line_ops *ops,
	void *arg, const struct log *log, struct err *e);
/* Accepts a line that was never opened. */
void line_close(struct line *l);
/* Sends one message. Nothing happens if the line is not open. */
void line_say(const struct line *l, const char *msg);
/* {"event":EVENT,"device":NAME,"detail":DETAIL}; `name` may be NULL. */
void line_event(const struct line *l, const char *name, const char *event, const char *detail);

/* The counters of a device as members of a JSON object. */
void line_device_stats(const struct vdev *dev, FILE *f);
/* The command of a device, or -EOPNOTSUPP with a reason. */
int line_device_command(struct vdev *dev, unsigned argc, char **argv, FILE *answer, struct err *e);
