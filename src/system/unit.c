/* SPDX-License-Identifier: BSD-3-Clause */
/* One process of the system: start, readiness, end; for devices also what follows from it. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"
#include "system/jsonl.h"
#include "system/supervisor_priv.h"

#define MS UINT64_C(1000000)

#define READY_LIMIT  (60000 * MS) /* for a process to say something */
#define BUTTON_AGAIN (1000 * MS)  /* a guest that boots does not hear the first one */
#define FORCE_LIMIT  (3000 * MS)  /* for a monitor to end by its own hand */
#define BACKOFF_MIN  (10 * MS)
#define BACKOFF_MAX  (5000 * MS)
#define STEADY	     (5000 * MS) /* who ran that long failed for the first time */

/* Deaths in a row until a device process is given up. */
#define DEVICE_DEATHS_MAX 10u

void unit_set_state(struct unit *u, enum unit_state state)
{
	u->state = state;
	supervisor_changed(u->s, u);
}

const char *unit_describe_end(int status, char *buf, size_t len)
{
	if (status == -SIGSYS)
		snprintf(buf, len,
			"killed by its jail: a system call that its profile does not allow");
	else if (status < 0)
		snprintf(buf, len, "killed by signal %d (%s)", -status, strsignal(-status));
	else
		snprintf(buf, len, "exit status %d", status);
	return buf;
}

void unit_start_later(struct unit *u, uint64_t delay)
{
	ev_timer_set(&u->timer, delay);
	unit_set_state(u, UNIT_WAITING);
}

/* A single death is made good at once. */
static uint64_t backoff(const struct unit *u)
{
	unsigned shift = u->failures > 10 ? 10 : u->failures;

	return u->failures > 1 ? min_u64(BACKOFF_MIN << shift, BACKOFF_MAX) : 0;
}

/* A device or medium ended although nobody asked it to. */
static void device_died(struct unit *u, int status)
{
	char why[128];

	unit_describe_end(status, why, sizeof(why));
	if (!u->ready_ns) {
		log_error(&u->s->log, "%s did not start: %s", u->plan->name, why);
		if (u->s->status != MONITOR_USAGE)
			u->s->status = status == MONITOR_USAGE ? MONITOR_USAGE : 1;
		unit_set_state(u, UNIT_FAILED);
		/* One of a VM that was to start with the system: nothing starts. */
		if (u->plan->kind == PLAN_MEDIUM || u->plan->vm->policy.start == CONF_START_AUTO)
			supervisor_stop(u->s, true);
		return;
	}
	if (u->failures >= DEVICE_DEATHS_MAX) {
		log_error(&u->s->log, "%s: %s; given up after %u deaths in a row", u->plan->name,
			why, u->failures);
		u->s->status = 1;
		unit_set_state(u, UNIT_FAILED);
		return;
	}
	log_warn(&u->s->log, "%s: %s; restarted", u->plan->name, why);
	unit_start_later(u, backoff(u));
}

static void on_ended(void *arg, int status)
{
	struct unit *u = arg;

	ev_timer_stop(&u->timer);
	ev_timer_stop(&u->button);
	u->exit_status = status;
	u->has_ended = true;
	if (unit_is_vm(u)) {
		guest_ended(u, status);
		return;
	}
	if (u->ready_ns && ev_now_ns() - u->started_ns > STEADY)
		u->failures = 0;
	if (status)
		u->failures++;
	if (u->stop)
		unit_set_state(u, UNIT_OFF);
	else
		device_died(u, status);
}

static void on_ready(struct unit *u)
{
	if (u->state != UNIT_STARTING)
		return;
	ev_timer_stop(&u->timer);
	u->ready_ns = ev_now_ns();
	unit_set_state(u, UNIT_RUNNING);
}

static void on_message(void *arg, const cJSON *msg)
{
	struct unit *u = arg;
	const char *event = jsonl_str(msg, "event");

	if (!event)
		return;
	events_message(u, msg);
	if (unit_is_vm(u))
		guest_message(u, event, msg);
	else if (!strcmp(event, "ready"))
		on_ready(u);
	if (!strcmp(event, "told"))
		control_told(u->s->control, u, msg);
	if (!strcmp(event, "stats"))
		control_stats(u->s->control, u, cJSON_GetObjectItemCaseSensitive(msg, "counters"));
}

static void on_line(void *arg, const char *text)
{
	unit_log_line(arg, text);
}

void unit_force(struct unit *u)
{
	/* The second time the monitor had its chance. */
	if (u->state == UNIT_STOPPING && !u->button.armed)
		proc_signal(&u->proc, SIGKILL);
	else
		proc_send(&u->proc, "quit");
	ev_timer_stop(&u->button);
	ev_timer_set(&u->timer, FORCE_LIMIT);
	u->state = UNIT_STOPPING;
	supervisor_changed(u->s, u);
}

/* The timer means something else in each state. */
static void on_timer(void *arg)
{
	struct unit *u = arg;

	switch (u->state) {
	case UNIT_WAITING:
		unit_start(u);
		return;
	case UNIT_STARTING:
		log_error(&u->s->log, "%s has not come up within %u s", u->plan->name,
			(unsigned)(READY_LIMIT / (1000 * MS)));
		proc_signal(&u->proc, SIGKILL);
		return;
	case UNIT_STOPPING:
		/* Grace is over, or what followed it. */
		unit_force(u);
		return;
	case UNIT_IDLE:
	case UNIT_RUNNING:
	case UNIT_PAUSED:
	case UNIT_SUSPENDED:
	case UNIT_OFF:
	case UNIT_FAILED:
	default:
		return;
	}
}

static void on_button(void *arg)
{
	struct unit *u = arg;

	guest_power_button(u);
	ev_timer_set(&u->button, BUTTON_AGAIN);
}

void unit_start(struct unit *u)
{
	struct proc_spec spec = { .argv = u->plan->argv,
		.dir = u->s->conf->dir,
		.fds = u->sockets,
		.nfds = u->plan->nsockets };
	struct err e = { 0 };

	if (u->plan->vm)
		spec.place = isolation_place(u->s->isolation, u->plan->vm, !unit_is_vm(u));
	u->starts++;
	u->started_ns = ev_now_ns();
	if (unit_is_vm(u)) {
		u->ready_ns = 0;
		u->late = false;
		ready_boot(u->ready);
	}
	if (proc_start(&u->proc, u->s->loop, &spec, &u->events, &e)) {
		log_error(&u->s->log, "%s: %s", u->plan->name, e.msg);
		on_ended(u, 1);
		return;
	}
	ev_timer_set(&u->timer, READY_LIMIT);
	unit_set_state(u, UNIT_STARTING);
}

static void end_vm(struct unit *u, bool by_force)
{
	uint32_t own = u->plan->vm->policy.grace_ms;

	if (by_force) {
		unit_force(u);
		return;
	}
	if (u->state == UNIT_STOPPING)
		return;
	on_button(u);
	ev_timer_set(&u->timer, (own ? own : u->s->conf->grace_ms) * MS);
	unit_set_state(u, UNIT_STOPPING);
}

void unit_stop(struct unit *u, bool by_force)
{
	if (unit_over(u))
		return;
	u->stop = true;
	u->again = false;
	if (u->state == UNIT_IDLE || u->state == UNIT_WAITING) {
		ev_timer_stop(&u->timer);
		unit_set_state(u, UNIT_OFF);
	} else if (unit_is_vm(u)) {
		end_vm(u, by_force);
	} else {
		proc_signal(&u->proc, by_force ? SIGKILL : SIGTERM);
	}
}

const char *unit_state_name(const struct unit *u)
{
	static const char *const names[] = {
		[UNIT_IDLE] = "waiting",
		[UNIT_STARTING] = "starting",
		[UNIT_RUNNING] = "running",
		[UNIT_PAUSED] = "paused",
		[UNIT_SUSPENDED] = "suspended",
		[UNIT_STOPPING] = "stopping",
		[UNIT_WAITING] = "restarting",
		[UNIT_OFF] = "off",
		[UNIT_FAILED] = "failed",
	};

	return u->state == UNIT_IDLE && !sequence_wanted(u) ? "standby" : names[u->state];
}

static int open_sockets(struct unit *u, struct err *e)
{
	u->sockets = calloc(u->plan->nsockets + 1, sizeof(*u->sockets));
	if (!u->sockets)
		return err_set(e, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < u->plan->nsockets; i++)
		u->sockets[i] = -1;
	for (unsigned i = 0; i < u->plan->nsockets; i++) {
		u->sockets[i] = fd_unix_listen(u->plan->sockets[i], SOCK_STREAM, e);
		if (u->sockets[i] < 0)
			return u->sockets[i];
	}
	return 0;
}

int unit_init(struct unit *u, struct supervisor *s, const struct plan_proc *plan, struct err *e)
{
	int r;

	*u = (struct unit){ .s = s, .plan = plan };
	u->events = (struct proc_events){
		.message = on_message, .line = on_line, .ended = on_ended, .arg = u
	};
	ev_timer_init(s->loop, &u->timer, on_timer, u);
	ev_timer_init(s->loop, &u->button, on_button, u);
	r = unit_log_open(u, e);
	if (!r)
		r = open_sockets(u, e);
	return !r && unit_is_vm(u) ? ready_open(&u->ready, u, e) : r;
}

void unit_finish(struct unit *u)
{
	ev_timer_stop(&u->timer);
	ev_timer_stop(&u->button);
	ready_close(u->ready);
	for (unsigned i = 0; u->sockets && i < u->plan->nsockets; i++)
		close_fd(&u->sockets[i]);
	free(u->sockets);
	logfile_close(&u->log);
}
