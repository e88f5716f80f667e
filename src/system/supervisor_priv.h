/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the supervisor: supervisor.c (start, signals, end), unit.c (one process and its policy),
 * unit_log.c (what processes write), control.c and control_cmd.c (the control socket).
 */
#pragma once

#include "base/log.h"
#include "system/config.h"
#include "system/events.h"
#include "system/logfile.h"
#include "system/plan.h"
#include "system/proc.h"

/* Exit statuses of a monitor (docs/architecture.md). */
#define MONITOR_POWEROFF 0
#define MONITOR_USAGE	 2
#define MONITOR_RESET	 10
#define MONITOR_CRASH	 11
#define MONITOR_FORCED	 12

enum unit_state {
	UNIT_IDLE,     /* not started yet: others come first */
	UNIT_STARTING, /* the process runs; no word from it yet */
	UNIT_RUNNING,  /* a device serves, a guest executes */
	UNIT_STOPPING, /* a VM: the power button is pressed */
	UNIT_WAITING,  /* ended; to be started again in a moment */
	UNIT_OFF,      /* ended, as it should */
	UNIT_FAILED,   /* ended, and will not be started again */
};

struct supervisor;
struct control;

/* A process with what is to happen when it ends. */
struct unit {
	struct supervisor *s;
	const struct plan_proc *plan;
	struct proc proc;
	struct proc_events events;
	enum unit_state state;
	int *sockets;	     /* its listening sockets, open as long as the supervisor lives */
	uint64_t started_ns; /* of the current process */
	uint64_t ready_ns;
	uint64_t boot_us; /* a VM: to its first instruction */
	unsigned starts;
	unsigned failures; /* in a row */
	int exit_status;   /* of the last process, or -signal; if starts > 0 and it ended */
	bool has_ended;
	bool stop;		/* not to be started again */
	bool again;		/* to be started again, whatever its policy */
	struct ev_timer timer;	/* limit of starting; back-off; grace */
	struct ev_timer button; /* pressing it again */
	struct logfile log;	/* what it writes */
	const char *told_state; /* what the event log was told last */
	struct log_limit event_limit;
};

enum phase { PHASE_RUN, PHASE_STOP, PHASE_END };

struct supervisor {
	const struct conf *conf;
	const char *run_dir;
	struct plan *plan;
	struct log log;
	struct ev_loop *loop;
	struct unit *units; /* one for each of plan->procs */
	unsigned nunits;
	struct control *control;
	struct events *events;
	int signal_fd;
	struct ev_fd signals;
	unsigned signals_seen;
	struct ev_timer end_timer;
	struct ev_task look; /* at what a change of state means for the others */
	enum phase phase;
	uint64_t start_ns;
	int status; /* so far */
};

/* supervisor.c */

/* Writes a line unless its reader has stopped reading: nobody's terminal may stop the system. */
void supervisor_show(int fd, const char *line, size_t len);
/* A line to the user. */
void supervisor_say(struct supervisor *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Something of `u` changed: starts who waited for it, answers clients, notices the end. */
void supervisor_changed(struct supervisor *s, struct unit *u);
/* Ends all guests: by the power button, or at once. */
void supervisor_stop(struct supervisor *s, bool force);
struct unit *supervisor_find(struct supervisor *s, const char *name);

/* unit.c */

int unit_init(struct unit *u, struct supervisor *s, const struct plan_proc *plan, struct err *e);
void unit_finish(struct unit *u);
/* A failure to start is reported and treated as the process's end. */
void unit_start(struct unit *u);
/* A VM: power button, and after the grace period force. A device: SIGTERM. Not started again. */
void unit_stop(struct unit *u, bool force);
/* A VM: as unit_stop(), then it is started again. */
void unit_restart(struct unit *u);
static inline bool unit_is_vm(const struct unit *u)
{
	return u->plan->kind == PLAN_MONITOR;
}
/* True once it ended for good. */
static inline bool unit_over(const struct unit *u)
{
	return u->state == UNIT_OFF || u->state == UNIT_FAILED;
}
/* The word for `avp ps`. */
const char *unit_state_name(const struct unit *u);

/* unit_log.c */

int unit_log_open(struct unit *u, struct err *e);
/* Appends a line, shows it, and passes it to clients that follow. */
void unit_log_line(struct unit *u, const char *text);
/* The last `max` lines, oldest first, each passed to fn. */
void unit_log_tail(
	const struct unit *u, unsigned max, void (*fn)(void *arg, const char *line), void *arg);

/* control.c */

int control_open(struct control **c, struct supervisor *s, struct err *e);
/* Accepts NULL. */
void control_close(struct control *c);
/* `u` changed its state / wrote a line / answered with its counters. */
void control_changed(struct control *c, struct unit *u);
void control_line(struct control *c, struct unit *u, const char *line);
/* Something happened that the event log records. */
void control_event(struct control *c, const cJSON *event);
void control_stats(struct control *c, struct unit *u, const cJSON *counters);
