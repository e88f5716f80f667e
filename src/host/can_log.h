/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A log of CAN frames in the format of candump -l, which canplayer and others read. It is bounded:
 * a full file becomes FILE.1, that FILE.2, and so on; the oldest goes.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "host/can_frame.h"

struct can_log;

struct can_log_opts {
	const char *path;
	const char *name; /* of the interface, in each line */
	uint64_t size;	  /* bytes of a file */
	uint32_t files;	  /* kept, the current one included */
};

/* Opens the file, mode 0600, to go on behind what it has. All file names are relative to a
 * descriptor of the folder, so that a jail that leaves the folder reachable may close. */
int can_log_open(struct can_log **l, const struct can_log_opts *opts, struct ev_loop *loop,
	const struct log *log, struct err *e);
/* Writes out what is buffered and closes; accepts NULL. */
void can_log_close(struct can_log *l);
/* Adds a line; it is written at the end of the loop's round. `ns` is the time since 1970. */
void can_log_frame(struct can_log *l, uint64_t ns, const struct canfd_frame *f);
/* Frames that could not be written. */
uint64_t can_log_missed(const struct can_log *l);
