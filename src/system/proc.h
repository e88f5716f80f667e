/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One process of the system: started from our own program, with exactly the descriptors it is
 * handed, its messages and its log read on the event loop, its end noticed.
 */
#pragma once

#include <cJSON.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/loop.h"

#define PROC_LINE_MAX	 1024u
#define PROC_MESSAGE_MAX 16384u

/* What its owner hears of it, on the loop's thread. */
struct proc_events {
	/* A JSON object on the control socket (docs/control-socket.md); not to be kept. */
	void (*message)(void *arg, const cJSON *msg);
	/* One line it wrote, without newline; control bytes are already masked. */
	void (*line)(void *arg, const char *text);
	/* It has ended, everything it wrote was handed over, and all is released; proc_start() is
	 * allowed again. `status` is an exit status, or -signal. */
	void (*ended)(void *arg, int status);
	void *arg;
};

/* Zero-initialise. Private fields, except that anybody may read `pid` (0: not running). */
struct proc {
	pid_t pid;
	int pidfd, control, log;
	struct ev_fd pid_watch, control_watch, log_watch;
	const struct proc_events *events;
	char line[PROC_LINE_MAX];
	unsigned line_len;
	bool line_cut; /* the rest of an overlong line is being dropped */
};

/* Where a process is put between fork and exec. */
struct proc_place {
	int join[2]; /* descriptors of files into which it writes "0" to be in a group */
	unsigned njoin;
	int policy, priority; /* sched_setscheduler(2); priority 0: as this process */
	bool required;	      /* it does not start if any of this fails */
};

struct proc_spec {
	char *const *argv; /* for /proc/self/exe */
	const char *dir;   /* working folder */
	const int *fds;	   /* it gets them as descriptors 4, 5, ...; not taken over */
	unsigned nfds;
	struct proc_place place;
};

/* `events` outlives the process. The process is killed when this one dies. */
int proc_start(struct proc *p, struct ev_loop *loop, const struct proc_spec *spec,
	const struct proc_events *events, struct err *e);
/* Does nothing if it is not running. */
void proc_signal(struct proc *p, int sig);
/* Sends one word on its control socket; 0 or -errno. */
int proc_send(struct proc *p, const char *word);
/* One message of any bytes. */
int proc_send_bytes(struct proc *p, const char *msg, size_t len);
