/* SPDX-License-Identifier: BSD-3-Clause */
/* The world around a jail, made for a test: everything in it is open to everybody. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "jails/inside.h"

struct place {
	char top[32], folder[64], file[64], program[64], socket[64], abstract[32];
	int listeners[3];
	struct outside world;
};

/* Below /tmp. False: something failed; place_finish() is needed all the same. */
bool place_init(struct place *p);
void place_finish(struct place *p);
/* Fills the folder that a process works in anew, for `owner` if the caller is root, and goes there.
 * `guest`: a program for the monitor, or NULL. */
bool place_fill(const struct place *p, const char *guest, uid_t owner);
/* A listening Unix socket, or -1. */
int listen_unix(const char *path, bool abstract);
