/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is tried in a jail, by the process that is in it. The filter traps there instead of killing
 * (test_jails.c), so that one process can try everything: inside_trapped() says whether the last
 * call was stopped.
 */
#pragma once

#include <liburing.h>
#include <stdbool.h>
#include <sys/types.h>

/* What the world outside has to offer. Paths are of files, sockets and programs that everybody may
 * use; only the jail keeps a process from them. */
struct outside {
	pid_t parent;
	const char *file, *program;
	const char *socket;   /* a Unix stream socket that listens */
	const char *abstract; /* another, its name without the leading 0 */
	unsigned short port;  /* of TCP on 127.0.0.1, network order */
	/* In the folder that the process works in: a link to `file`, and a node of /dev/null. */
	const char *link, *node;
};

/* Catches what the filter traps. */
void inside_catch(void);
/* Whether the filter trapped since the last time. */
bool inside_trapped(void);

/* Tries everything that no process may do. Prints a line of diagnosis for each that works; returns
 * their number. `ring` is an io_uring that the process has, or NULL. */
unsigned inside_try(const char *who, const struct outside *world, struct io_uring *ring);

/* Compares what the filter does with every system call there is with what it should do: `more` are
 * names that are allowed besides those of all processes, NULL at the end. Returns the number of
 * differences, printed. */
unsigned inside_scan(const char *who, const char *const *more);
