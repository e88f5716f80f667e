/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of the host's GPIO chips, by libgpiod: input with and without edges, output, bias and
 * drive. A chip that vanishes (an adapter that is unplugged) makes every call fail with -ENODEV;
 * it is opened again when it is back, and its lines get what they were last asked for. All on one
 * loop's thread; calls wait for the chip, which takes about a millisecond for one behind I2C.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"

struct gpiochips;
struct gpiochip;
struct gpiod_line;

/* What a line does. */
enum chipline_use {
	CHIPLINE_OFF,	/* it is not ours */
	CHIPLINE_IN,	/* input */
	CHIPLINE_EDGES, /* input, and `changed` is called */
	CHIPLINE_OUT,
};

/* How a line is wired. */
struct chipline_config {
	enum { CHIPLINE_BIAS_AS_IS, CHIPLINE_BIAS_OFF, CHIPLINE_PULL_UP, CHIPLINE_PULL_DOWN } bias;
	enum { CHIPLINE_PUSH_PULL, CHIPLINE_OPEN_DRAIN, CHIPLINE_OPEN_SOURCE } drive;
	bool active_low;
};

/* A line. Embedded in its owner, zeroed; the owner sets `changed` and reads the rest. */
struct chipline {
	/* An edge: the level is `level` since then. In CHIPLINE_EDGES only, and for a chip that is
	 * back with another level than before. */
	void (*changed)(struct chipline *l, bool level);
	struct gpiochip *chip;	 /* NULL: not open */
	struct gpiod_line *line; /* NULL: its chip is gone, or has no such line any more */
	unsigned offset;
	struct chipline_config config;
	enum chipline_use use; /* what it was asked for; `value` for CHIPLINE_OUT */
	bool value;
	enum chipline_use is; /* what it is: less after an error, or without a chip */
	bool level;	      /* the last one that was seen, with CHIPLINE_EDGES */
	struct ev_fd watch;
	struct chipline *next; /* of the same chip */
};

/* What the chips tell their process. */
struct gpiochips_host {
	void *arg;
	/* [opt] "host-gone", "host-back" (docs/events.md). */
	void (*event)(void *arg, const char *event, const char *detail);
};

int gpiochips_create(struct gpiochips **chips, const struct gpiochips_host *host,
	struct ev_loop *loop, const struct log *log);
/* Accepts NULL. All lines were closed. */
void gpiochips_destroy(struct gpiochips *chips);

/* Opens a line by "CHIP/LINE": the chip's path, name, number or label, and the line's number or
 * name. It is not used yet. -EINVAL or -ENODEV with a reason. */
int chipline_open(struct chipline *l, struct gpiochips *chips, const char *where,
	const struct chipline_config *config, struct err *e);
/* Lets go of it; idempotent. */
void chipline_close(struct chipline *l);
/* Asks for a use; an output goes to `value`. 0 or -errno: -ENODEV while the chip is gone (it gets
 * its use when it is back), -EBUSY while somebody else has it. */
int chipline_use(struct chipline *l, enum chipline_use use, bool value);
/* Its level: 0, 1 or -errno. */
int chipline_get(struct chipline *l);
