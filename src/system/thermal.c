/* SPDX-License-Identifier: BSD-3-Clause */
/* The thermal policy: reads the source, slows guests down, stops them, lets them go on. */
#include "system/thermal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/util.h"
#include "system/supervisor_priv.h"
#include "system/thermal_law.h"

#define MS UINT64_C(1000000)

struct thermal {
	struct supervisor *s;
	struct thermal_law law;
	struct ev_timer timer;
	int32_t reading;		/* the last good one, millidegrees */
	unsigned cpu[CONF_VMS_MAX];	/* percent that each VM was left, 100 at the beginning */
	uint64_t told_ns[CONF_VMS_MAX]; /* when the monitor was started that was told so */
	bool stopped[CONF_VMS_MAX];	/* by us, to be started again */
};

static const struct conf_thermal *policy(const struct thermal *t)
{
	return &t->s->conf->thermal;
}

static int read_source(const char *path, int32_t *reading)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char text[32];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = 0;
	return thermal_parse(text, reading);
}

/* By its control group; where there are none, the monitor holds its processors for a part of the
 * time. Returns by what. */
static const char *throttle(struct unit *u, unsigned cpu)
{
	struct isolation *iso = u->s->isolation;
	bool by_group = iso && !isolation_throttle(iso, u->plan->vm, cpu, NULL);
	char word[32];

	if (by_group && cpu < 100)
		return "cgroup";
	snprintf(word, sizeof(word), "throttle %u", cpu);
	proc_send(&u->proc, word);
	return by_group ? "cgroup" : "monitor";
}

static void throttle_changed(struct thermal *t, unsigned vm)
{
	struct unit *u = sequence_vm(t->s, vm);
	unsigned cpu = thermal_law_cpu(&t->law, vm);
	const char *by;

	if (cpu == t->cpu[vm])
		return;
	t->cpu[vm] = cpu;
	by = throttle(u, cpu);
	supervisor_event(t->s, u->plan->name, "throttle",
		event_text(event_number(NULL, "cpu", cpu), "by", by));
	if (cpu == 100)
		supervisor_say(t->s, "%s: cool again, no longer throttled", u->plan->name);
	else
		supervisor_say(t->s, "%s: too hot, throttled to %u %% of its processor time",
			u->plan->name, cpu);
}

static void stop(struct thermal *t, const struct conf_threshold *threshold, unsigned vm)
{
	struct unit *u = sequence_vm(t->s, vm);

	if (unit_over(u) || u->stop || (u->state == UNIT_IDLE && !u->wanted))
		return;
	supervisor_say(t->s, "%s: too hot, powered off", u->plan->name);
	t->stopped[vm] = threshold->start_again;
	unit_stop(u, false);
}

static void start_again(struct thermal *t, unsigned vm)
{
	struct unit *u = sequence_vm(t->s, vm);

	if (!t->stopped[vm] || t->s->phase != PHASE_RUN)
		return;
	t->stopped[vm] = false;
	supervisor_say(t->s, "%s: cool again, started again", u->plan->name);
	guest_restart(u);
}

static void tell(struct thermal *t, const struct thermal_change *c)
{
	cJSON *fields = event_text(NULL, "state", c->exceeded ? "exceeded" : "over");

	event_number(fields, "at", c->threshold->at);
	if (!t->law.lost)
		event_number(fields, "temperature", t->reading / 1e3);
	event_text(
		fields, "action", c->threshold->action == CONF_THERMAL_STOP ? "stop" : "throttle");
	supervisor_event(t->s, c->threshold->vm, "thermal", fields);
}

static void act(struct thermal *t, const struct thermal_change *c)
{
	tell(t, c);
	for (unsigned vm = 0; vm < t->s->conf->nvms; vm++) {
		if (!conf_threshold_is_for(c->threshold, vm))
			continue;
		if (c->threshold->action == CONF_THERMAL_THROTTLE)
			throttle_changed(t, vm);
		else if (c->exceeded)
			stop(t, c->threshold, vm);
		else
			start_again(t, vm);
	}
}

static void tell_lost(struct thermal *t, int error)
{
	const char *source = policy(t)->source;
	const char *why = error == -EINVAL ? "no number of millidegrees" : strerror(-error);
	cJSON *fields = event_text(NULL, "source", source);

	if (t->law.lost) {
		log_error(&t->s->log, "thermal: %s cannot be read: %s", source, why);
		event_text(fields, "reason", why);
	} else {
		log_warn(&t->s->log, "thermal: %s can be read again", source);
	}
	supervisor_event(t->s, NULL, t->law.lost ? "thermal-lost" : "thermal-found", fields);
}

static void on_timer(void *arg)
{
	struct thermal_change changes[CONF_THRESHOLDS_MAX];
	struct thermal *t = arg;
	bool was_lost = t->law.lost;
	int32_t reading;
	int r = read_source(policy(t)->source, &reading);
	unsigned n;

	if (!r)
		t->reading = reading;
	n = thermal_law_take(&t->law, r ? NULL : &reading, changes);
	if (t->law.lost != was_lost)
		tell_lost(t, r);
	for (unsigned i = 0; i < n; i++)
		act(t, &changes[i]);
	ev_timer_set(&t->timer, policy(t)->poll_ms * MS);
}

void thermal_unit(struct thermal *t, struct unit *u)
{
	if (!t || !unit_is_vm(u) || u->state != UNIT_RUNNING)
		return;
	for (unsigned vm = 0; vm < t->s->conf->nvms; vm++) {
		if (u->plan->vm != &t->s->conf->vms[vm] || t->told_ns[vm] == u->started_ns)
			continue;
		t->told_ns[vm] = u->started_ns;
		if (t->cpu[vm] < 100)
			throttle(u, t->cpu[vm]);
	}
}

int thermal_start(struct thermal **out, struct supervisor *s, struct err *e)
{
	struct thermal *t;

	if (!s->conf->thermal.source)
		return 0;
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(e, -ENOMEM, "out of memory");
	t->s = s;
	t->law.conf = &s->conf->thermal;
	for (unsigned vm = 0; vm < CONF_VMS_MAX; vm++)
		t->cpu[vm] = 100;
	ev_timer_init(s->loop, &t->timer, on_timer, t);
	ev_timer_set(&t->timer, 0);
	*out = t;
	return 0;
}

void thermal_stop(struct thermal *t)
{
	if (!t)
		return;
	ev_timer_stop(&t->timer);
	free(t);
}
