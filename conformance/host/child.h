/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes that the runner starts: back-ends, and what is at the other end of a console. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* A program with its arguments. It has a process group of its own and dies with the runner. */
struct child {
	char **argv;	 /* not owned; ends with NULL */
	const char *log; /* file that gets its errors and, without `out`, its output; NULL: ours */
	const char *out; /* file that gets its output, or NULL */
	pid_t pid;	 /* 0: not running */
	int status;	 /* as of waitpid(), once it has ended */
};

/* A signalfd that is readable when this process is to stop (SIGHUP, SIGINT, SIGTERM), which then
 * does not end it: what was started and what lies around has to be cleaned up. -1 on failure. */
int child_signals(void);

/* A new folder for sockets and other things that do not last: in $TMPDIR if that is set and short
 * enough for the path of a socket, else in `otherwise`. */
int child_folder(char path[64], const char *otherwise, struct err *e);

int child_start(struct child *c, struct err *e);
/* True if it has ended by itself or was killed by somebody else. */
bool child_ended(struct child *c);
/* How it ended, as "was killed by signal 11". */
void child_fate(const struct child *c, char *text, size_t size);
/* SIGKILL, and waits. Nothing if it does not run. */
void child_kill(struct child *c);
/* SIGTERM; SIGKILL after two seconds. */
void child_stop(struct child *c);

/* Starts a process that connects to the Unix socket `path` and sends back what it gets. It is
 * connected when this returns, and connects again when the other side is replaced. Waits up to
 * `timeout_ms` for somebody to listen. */
int child_echo(pid_t *pid, const char *path, int timeout_ms, struct err *e);
/* Connects to a Unix socket on which somebody listens soon: a descriptor or -errno. Gives up when
 * `c` (may be NULL), who is to listen, has ended. */
int child_connect(struct child *c, const char *path, int timeout_ms, struct err *e);
