/* SPDX-License-Identifier: BSD-3-Clause */
/* A pseudo terminal whose other end programs open by a name of ours. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Fields are for reading. */
struct pty {
	int master; /* non-blocking */
	int watch;  /* inotify: readable when the other end was opened or closed */
	char *link;
	bool closed; /* the last event was a close */
};

/* Opens a pair in raw mode and puts a symbolic link to the other end at `link`, replacing an old
 * link but no other file. Returns 0 or -errno. */
int pty_open(struct pty *pty, const char *link, struct err *e);
/* Closes and removes the link. */
void pty_close(struct pty *pty);
/* True if a program has the other end open. Takes pending events from `watch`; `*anew`: it is
 * another one than at the last call, as far as can be seen. */
bool pty_attached(struct pty *pty, bool *anew);
/* The window size that program set; false if it set none. */
bool pty_size(const struct pty *pty, uint16_t *cols, uint16_t *rows);
