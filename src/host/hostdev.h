/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device files of the host that may go and come back: an adapter that is unplugged. Inside its jail
 * a device cannot open a device file, so a small process outside, started before the jail closes,
 * looks twice a second whether each file is still the one that was opened, opens it again when it
 * returns, and hands the descriptor over. It knows only the paths it was started with, and ends
 * when its owner does.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"

#define HOSTDEV_MAX 32u

/* Called on the loop's thread. */
struct hostdev_events {
	/* File i is no longer what was opened; close its descriptor. */
	void (*gone)(void *arg, unsigned i);
	/* It is there again. `fd`, open for reading and writing, is the callee's. */
	void (*back)(void *arg, unsigned i, int fd);
};

/* Zero-initialise; private fields. */
struct hostdev {
	int sock;
	bool running;
	struct ev_fd watch;
	const struct hostdev_events *events;
	void *arg;
	unsigned n;
};

/*
 * Opens files paths[0..n) for reading and writing into fds[0..n), which the caller owns, and starts
 * the process that watches them; `paths` need not outlive the call. Every file must be there now,
 * so that a misspelt name is not taken for an unplugged device. On failure nothing is open.
 */
int hostdev_open(struct hostdev *h, const char *const *paths, unsigned n, int *fds, struct err *e);
/* Begins to call `events`, which outlives `h`. */
int hostdev_watch(struct hostdev *h, struct ev_loop *loop, const struct hostdev_events *events,
	void *arg, struct err *e);
/* The owner found file i dead (ENODEV) and closed it: it comes back as soon as it can be opened. */
void hostdev_lost(struct hostdev *h, unsigned i);
/* Accepts one that was not opened. */
void hostdev_close(struct hostdev *h);
