/* SPDX-License-Identifier: BSD-3-Clause */
/* VMs: what follows the end of a guest, and stopping its processors for a while. */
#include <string.h>

#include "base/util.h"
#include "system/events.h"
#include "system/jsonl.h"
#include "system/supervisor_priv.h"

#define MS UINT64_C(1000000)

static const struct conf_policy *policy(const struct unit *u)
{
	return &u->plan->vm->policy;
}

void guest_want(struct unit *u)
{
	const struct conf_policy *p = policy(u);

	u->wanted = true;
	u->stop = u->press = false;
	u->failures = 0;
	for (unsigned i = 0; i < u->s->nunits; i++) {
		struct unit *d = &u->s->units[i];

		if (d->plan->kind == PLAN_DEVICE && d->plan->vm == u->plan->vm && unit_over(d)) {
			d->stop = false;
			d->failures = 0;
			unit_set_state(d, UNIT_IDLE);
		}
	}
	/* There are no cycles: the file was checked. */
	for (unsigned i = 0; i < p->nafter; i++) {
		struct unit *on = sequence_vm(u->s, p->after[i].peer);

		if (on->state == UNIT_IDLE && !on->wanted)
			guest_want(on);
	}
	if (unit_over(u))
		u->state = UNIT_IDLE;
	supervisor_changed(u->s, u);
}

/* Nothing starts it again, so what the file says for this case follows. */
static void give_up(struct unit *u)
{
	const struct conf_policy *p = policy(u);
	struct supervisor *s = u->s;
	struct unit *fallback = p->fallback ? supervisor_find(s, p->fallback) : NULL;

	if (s->phase != PHASE_RUN)
		return;
	if (fallback) {
		supervisor_event(
			s, u->plan->name, "fallback", event_text(NULL, "vm", fallback->plan->name));
		supervisor_say(
			s, "%s: given up; its fallback is %s", u->plan->name, fallback->plan->name);
		if (unit_over(fallback) || (fallback->state == UNIT_IDLE && !fallback->wanted))
			guest_want(fallback);
	} else if (p->on_failure == CONF_FAILURE_SYSTEM_STOP) {
		supervisor_event(s, u->plan->name, "system-stop", NULL);
		supervisor_say(s, "%s: given up; stopping the system", u->plan->name);
		supervisor_stop(s, false);
	}
}

/* What is said of an end. */
static const char *describe(const struct unit *u, int status, char *buf, size_t len)
{
	switch (status) {
	case MONITOR_POWEROFF:
		return "powered off";
	case MONITOR_CRASH:
		return "the guest crashed";
	case MONITOR_FORCED:
		if (!u->late)
			return "stopped by force";
		snprintf(buf, len, "not ready within %g s", policy(u)->ready.timeout_ms / 1e3);
		return buf;
	case MONITOR_WATCHDOG:
		return "its watchdog expired";
	case MONITOR_REFUSED:
		return "verified boot refused it";
	default:
		return unit_describe_end(status, buf, len);
	}
}

static void end_in(struct unit *u, int status, bool clean)
{
	double seconds = (double)(ev_now_ns() - u->started_ns) / 1e9;
	char buf[128];

	supervisor_say(u->s, "%s: %s after %.1f s", u->plan->name,
		describe(u, clean ? MONITOR_POWEROFF : status, buf, sizeof(buf)), seconds);
	if (!clean && u->s->status != MONITOR_USAGE)
		u->s->status = status == MONITOR_USAGE && !u->ready_ns ? MONITOR_USAGE : 1;
	unit_set_state(u, clean || u->stop ? UNIT_OFF : UNIT_FAILED);
}

static void end_and_give_up(struct unit *u, int status)
{
	end_in(u, status, false);
	give_up(u);
}

/* The first failure waits restart-delay, each further one twice as long as the one before. */
static uint64_t backoff(const struct unit *u)
{
	const struct conf_policy *p = policy(u);
	unsigned shift = u->failures > 1 ? (unsigned)min_u64(u->failures - 1, 32) : 0;

	return min_u64((uint64_t)p->restart_delay_ms << shift, p->restart_delay_max_ms) * MS;
}

static bool below_limit(const struct unit *u)
{
	const struct conf_policy *p = policy(u);

	return !p->restart_limit || u->failures <= p->restart_limit;
}

/* After a failure, unless there were too many. */
static void start_again(struct unit *u, int status, uint64_t delay)
{
	const struct conf_policy *p = policy(u);
	char buf[128], limit[32] = "";

	if (!below_limit(u)) {
		end_and_give_up(u, status);
		return;
	}
	if (p->restart_limit)
		snprintf(limit, sizeof(limit), " of at most %u", p->restart_limit);
	supervisor_say(u->s, "%s: %s; restarted in %g s (failure %u%s)", u->plan->name,
		describe(u, status, buf, sizeof(buf)), (double)delay / 1e9, u->failures, limit);
	unit_start_later(u, delay);
}

/* The action that the file gives; those that do not end the guest do not come here. */
static void watchdog_ended(struct unit *u)
{
	switch (u->plan->vm->machine.watchdog_action) {
	case VM_WATCHDOG_RESET:
		start_again(u, MONITOR_WATCHDOG, 0);
		return;
	case VM_WATCHDOG_STOP:
		end_in(u, MONITOR_WATCHDOG, false);
		return;
	case VM_WATCHDOG_FALLBACK:
		end_and_give_up(u, MONITOR_WATCHDOG);
		return;
	case VM_WATCHDOG_RESTART:
	default:
		start_again(u, MONITOR_WATCHDOG, backoff(u));
		return;
	}
}

static void failed(struct unit *u, int status)
{
	if (policy(u)->restart == CONF_RESTART_NO)
		end_and_give_up(u, status);
	else
		start_again(u, status, backoff(u));
}

static void powered_off(struct unit *u)
{
	const struct conf_policy *p = policy(u);

	if (p->restart != CONF_RESTART_ALWAYS) {
		end_in(u, MONITOR_POWEROFF, true);
		return;
	}
	supervisor_say(u->s, "%s: powered off; restarted", u->plan->name);
	unit_start_later(u, p->restart_delay_ms * MS);
}

/* Counts failures in a row. A reset and a power-off are none. */
static void count(struct unit *u, int status)
{
	uint64_t ran = u->ready_ns ? ev_now_ns() - u->started_ns : 0;

	if (u->ready_ns && ran >= policy(u)->restart_window_ms * MS)
		u->failures = 0;
	if (status != MONITOR_POWEROFF && status != MONITOR_RESET)
		u->failures++;
}

void guest_ended(struct unit *u, int status)
{
	ready_hold(u->ready);
	u->is_ready = false;
	count(u, status);
	if (u->again) {
		u->again = false;
		unit_start_later(u, 0);
	} else if (u->stop) {
		/* A reset is an answer to the power button, too. */
		end_in(u, status, status == MONITOR_POWEROFF || status == MONITOR_RESET);
	} else if (status == MONITOR_RESET) {
		supervisor_say(u->s, "%s: reset by the guest", u->plan->name);
		unit_start_later(u, 0);
	} else if (status == MONITOR_WATCHDOG) {
		watchdog_ended(u);
	} else if (status == MONITOR_REFUSED) {
		end_and_give_up(u, status);
	} else if (status == MONITOR_POWEROFF) {
		powered_off(u);
	} else {
		failed(u, status);
	}
}

void guest_give_up_waiting(struct unit *u, const char *why)
{
	supervisor_say(u->s, "%s: not started: %s, which it needs", u->plan->name, why);
	if (!u->s->status)
		u->s->status = 1;
	unit_set_state(u, UNIT_FAILED);
	give_up(u);
}

void guest_restart(struct unit *u)
{
	if (unit_over(u) || u->state == UNIT_IDLE) {
		guest_want(u);
	} else if (u->proc.pid) {
		unit_stop(u, false);
		u->stop = false;
		u->again = true;
		u->failures = 0;
	}
}

void guest_is_ready(struct unit *u)
{
	if (u->is_ready || !unit_runs(u))
		return;
	u->is_ready = true;
	ready_hold(u->ready);
	if (u->ready) {
		double ms = (double)(ev_now_ns() - u->ready_ns) / 1e6;

		supervisor_event(u->s, u->plan->name, "ready", event_number(NULL, "ms", ms));
		supervisor_say(
			u->s, "%s: ready, %.1f ms after its first instruction", u->plan->name, ms);
	}
	supervisor_changed(u->s, u);
}

void guest_is_late(struct unit *u)
{
	const struct conf_ready *ready = &policy(u)->ready;

	supervisor_event(
		u->s, u->plan->name, "not-ready", event_number(NULL, "ms", ready->timeout_ms));
	if (ready->on_timeout == CONF_TIMEOUT_IGNORE) {
		log_warn(&u->s->log, "%s is not ready within %g s; those that wait for it go on",
			u->plan->name, ready->timeout_ms / 1e3);
		guest_is_ready(u);
		return;
	}
	u->late = true;
	unit_force(u);
}

static void on_running(struct unit *u, const cJSON *msg)
{
	if (u->state != UNIT_STARTING)
		return;
	ev_timer_stop(&u->timer);
	u->boot_us = (uint64_t)jsonl_num(msg, "us", 1e12, 0);
	u->ready_ns = ev_now_ns();
	supervisor_say(u->s, "%s: running, %.1f ms after the start of its monitor, %.2f s in all",
		u->plan->name, (double)u->boot_us / 1e3,
		(double)(ev_now_ns() - u->s->start_ns) / 1e9);
	unit_set_state(u, UNIT_RUNNING);
	if (u->ready)
		ready_run(u->ready);
	else
		guest_is_ready(u);
}

/* The processors stopped, or go on. */
static void halted(struct unit *u, enum unit_state state)
{
	if (!unit_runs(u) || u->state == state)
		return;
	if (state == UNIT_RUNNING && !u->is_ready)
		ready_run(u->ready);
	else
		ready_hold(u->ready);
	unit_set_state(u, state);
}

static void on_status(struct unit *u, const char *state)
{
	if (!state)
		return;
	if (!strcmp(state, "paused"))
		halted(u, UNIT_PAUSED);
	else if (!strcmp(state, "suspended"))
		halted(u, UNIT_SUSPENDED);
	else if (!strcmp(state, "running"))
		halted(u, UNIT_RUNNING);
}

void guest_message(struct unit *u, const char *event, const cJSON *msg)
{
	if (!strcmp(event, "running"))
		on_running(u, msg);
	else if (!strcmp(event, "status"))
		on_status(u, jsonl_str(msg, "state"));
	else if (!strcmp(event, "suspended"))
		halted(u, UNIT_SUSPENDED);
	else if (!strcmp(event, "resumed"))
		halted(u, UNIT_RUNNING);
}

static bool send_in(struct unit *u, enum unit_state state, const char *word)
{
	return u->state == state && !proc_send(&u->proc, word);
}

bool guest_pause(struct unit *u)
{
	return u->state == UNIT_PAUSED || send_in(u, UNIT_RUNNING, "pause");
}

bool guest_resume(struct unit *u)
{
	return u->state == UNIT_RUNNING || send_in(u, UNIT_PAUSED, "resume");
}

bool guest_suspend(struct unit *u)
{
	return u->state == UNIT_SUSPENDED || send_in(u, UNIT_RUNNING, "suspend");
}

bool guest_wakeup(struct unit *u)
{
	return u->state == UNIT_RUNNING || send_in(u, UNIT_SUSPENDED, "wakeup");
}

void guest_power_button(struct unit *u)
{
	if (u->state == UNIT_PAUSED)
		proc_send(&u->proc, "resume");
	if (u->state == UNIT_SUSPENDED)
		proc_send(&u->proc, "wakeup");
	proc_send(&u->proc, "powerbutton");
}
