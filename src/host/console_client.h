/* SPDX-License-Identifier: BSD-3-Clause */
/* A terminal attached to the console socket of a guest (chardev.h). */
#pragma once

#include "base/err.h"

#define CONSOLE_ESCAPE 0x1d /* Ctrl-] */

/* How the attachment ended. */
enum console_end {
	CONSOLE_DETACHED, /* the escape key */
	CONSOLE_CLOSED,	  /* the other end closed: the device is gone */
};

/*
 * Attaches standard input `in` and output `out` to the console at socket `path`: first what the
 * guest printed lately, then both ways. If `in` is a terminal it is in raw mode meanwhile, its
 * window size goes to the guest, and Ctrl-] detaches; otherwise bytes go as they are, and the end
 * of input only ends that direction. Blocks; handles SIGWINCH by itself, and SIGINT and SIGTERM so
 * that the terminal is restored. Returns an enum console_end or -errno.
 */
int console_client_run(const char *path, int in, int out, struct err *e);
