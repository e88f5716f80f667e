/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the supervisor: supervisor.c (start, signals, end), sequence.c (who waits for whom),
 * unit.c (one process), guest.c (what follows the end of a guest, pause and suspend), ready.c
 * (when a guest is ready), unit_log.c (what processes write), control.c and control_cmd.c (the
 * control socket).
 */
#pragma once

#include "base/log.h"
#include "system/config.h"
#include "system/events.h"
#include "system/isolation.h"
#include "system/logfile.h"
#include "system/notify.h"
#include "system/order.h"
#include "system/plan.h"
#include "system/proc.h"
#include "system/thermal.h"

/* Exit statuses of a monitor (docs/architecture.md). */
#define MONITOR_POWEROFF 0
#define MONITOR_USAGE	 2
#define MONITOR_RESET	 10
#define MONITOR_CRASH	 11
#define MONITOR_FORCED	 12
#define MONITOR_WATCHDOG 13
#define MONITOR_REFUSED	 14

enum unit_state {
	UNIT_IDLE,	/* not started yet: others come first, or nobody wants it */
	UNIT_STARTING,	/* the process runs; no word from it yet */
	UNIT_RUNNING,	/* a device serves, a guest executes */
	UNIT_PAUSED,	/* a VM: its processors were stopped */
	UNIT_SUSPENDED, /* a VM: suspended itself to RAM */
	UNIT_STOPPING,	/* a VM: the power button is pressed */
	UNIT_WAITING,	/* ended; to be started again in a moment */
	UNIT_OFF,	/* ended, as it should */
	UNIT_FAILED,	/* ended, and will not be started again */
};

struct supervisor;
struct control;
struct ready;

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
	bool wanted;		/* a VM: it and its devices are to be started */
	bool is_ready;		/* a VM: as its `ready` says, since its last start */
	bool late;		/* a VM: it was ended because it did not become ready */
	bool press;		/* a VM: to be stopped when those that come after it have ended */
	struct ready *ready;	/* NULL: ready as soon as it runs */
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
	struct order order; /* of the VMs, by their number in conf */
	struct log log;
	struct ev_loop *loop;
	struct unit *units; /* one for each of plan->procs */
	unsigned nunits;
	struct control *control;
	struct events *events;
	struct isolation *isolation;
	struct thermal *thermal;
	struct notify *notify;
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

/* All that the system is, with its sockets and logs, but no process; `conf`, `run_dir`, `log` and
 * `loop` are set. */
int supervisor_open(struct supervisor *s, struct err *e);
/* The system starts from the loop, which stops when all has ended. */
void supervisor_begin(struct supervisor *s);
/* Also after a failure to open. Does not wait for processes. */
void supervisor_close(struct supervisor *s);
/* A line to the user. */
void supervisor_say(struct supervisor *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Something of `u` changed: starts who waited for it, answers clients, notices the end. */
void supervisor_changed(struct supervisor *s, struct unit *u);
/* Ends all guests: by the power button, those that come after others first, or all at once. */
void supervisor_stop(struct supervisor *s, bool force);
struct unit *supervisor_find(struct supervisor *s, const char *name);

/* sequence.c */

/* Notes which VM comes after which, and wants those that start with the system. */
void sequence_init(struct supervisor *s);
/* The VM with that number in conf. */
struct unit *sequence_vm(struct supervisor *s, unsigned number);
/* True if somebody wants it: the unit of a VM, or a process that such a one uses. */
bool sequence_wanted(const struct unit *u);
/* Starts what may be started, and presses the power buttons whose turn it is. */
void sequence_advance(struct supervisor *s);
/* True if no guest runs, nor will by itself. */
bool sequence_guests_over(const struct supervisor *s);
/* What the VM waits for before it can start, as texts in an array; NULL: nothing. */
cJSON *sequence_waits_for(const struct unit *vm);

/* unit.c */

int unit_init(struct unit *u, struct supervisor *s, const struct plan_proc *plan, struct err *e);
void unit_finish(struct unit *u);
/* A failure to start is reported and treated as the process's end. */
void unit_start(struct unit *u);
/* The same after `delay` nanoseconds. */
void unit_start_later(struct unit *u, uint64_t delay);
/* A VM: power button, and after the grace period force. A device: SIGTERM. Not started again. */
void unit_stop(struct unit *u, bool force);
/* A VM: asks the monitor to end it; the second time the monitor is killed. */
void unit_force(struct unit *u);
void unit_set_state(struct unit *u, enum unit_state state);
/* "exit status 1", "killed by signal 9 (Killed)". */
const char *unit_describe_end(int status, char *buf, size_t len);
static inline bool unit_is_vm(const struct unit *u)
{
	return u->plan->kind == PLAN_MONITOR;
}
/* True once it ended for good. */
static inline bool unit_over(const struct unit *u)
{
	return u->state == UNIT_OFF || u->state == UNIT_FAILED;
}
/* True while there is a guest that has executed, whether or not it does now. */
static inline bool unit_runs(const struct unit *u)
{
	return u->state == UNIT_RUNNING || u->state == UNIT_PAUSED || u->state == UNIT_SUSPENDED;
}
/* The word for `avp ps`. */
const char *unit_state_name(const struct unit *u);

/* guest.c: of VMs only */

/* Its monitor has ended. */
void guest_ended(struct unit *u, int status);
/* A message of its monitor. */
void guest_message(struct unit *u, const char *event, const cJSON *msg);
/* Wants it, and those it comes after that were not started yet: they start in their order. */
void guest_want(struct unit *u);
/* It will not be started: something that it needs has ended. */
void guest_give_up_waiting(struct unit *u, const char *why);
/* As unit_stop(), then it is started again. */
void guest_restart(struct unit *u);
/* Stop the processors where they are / let them go on. False: not in this state. */
bool guest_pause(struct unit *u);
bool guest_resume(struct unit *u);
/* Asks the guest to suspend itself to RAM / wakes it. False: not in this state. */
bool guest_suspend(struct unit *u);
bool guest_wakeup(struct unit *u);
/* Presses the power button, of a guest that is awake. */
void guest_power_button(struct unit *u);
/* ready.c found it ready / did not within the time. */
void guest_is_ready(struct unit *u);
void guest_is_late(struct unit *u);

/* ready.c */

/* Opens what a VM's `ready` needs; *ready stays NULL without one. */
int ready_open(struct ready **ready, struct unit *u, struct err *e);
/* Accept NULL: the guest is about to start: what was before does not count; it executes: the time
 * begins; the time stands still. */
void ready_boot(struct ready *r);
void ready_run(struct ready *r);
void ready_hold(struct ready *r);
void ready_close(struct ready *r);

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
/* A process has answered a command of the operator. */
void control_told(struct control *c, struct unit *u, const cJSON *msg);
