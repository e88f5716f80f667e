/* SPDX-License-Identifier: BSD-3-Clause */
/* A terminal attached to the console socket of a guest (chardev.h). */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define CONSOLE_ESCAPE 0x1d /* Ctrl-] */

/* How the attachment ended. */
enum console_end {
	CONSOLE_DETACHED, /* the escape key */
	CONSOLE_CLOSED,	  /* the other end closed: the device is gone */
};

/* An attachment. Descriptors are the caller's. */
struct console_client {
	int sock;      /* connected to the console */
	int in, out;   /* the user's side */
	bool terminal; /* treat `in` as a terminal if it is one */
	/* [opt] The terminal's size, at first and when it changes. */
	void (*resized)(void *arg, unsigned cols, unsigned rows);
	void *arg;
};

/*
 * Carries bytes both ways; a console sends first what the guest printed lately. A terminal is in
 * raw mode meanwhile, and Ctrl-] detaches; otherwise bytes go as they are, and the end of input
 * only ends that direction. Blocks; handles SIGWINCH by itself, and SIGINT and SIGTERM so that the
 * terminal is restored. Returns an enum console_end or -errno.
 */
int console_client_run(const struct console_client *config, struct err *e);
