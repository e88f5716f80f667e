/* SPDX-License-Identifier: BSD-3-Clause */
/* `avp run`: the start and the end of a system. */
#include "system/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/util.h"
#include "system/supervisor_priv.h"

#define MS UINT64_C(1000000)

/* How long devices may take to end after the last guest. */
#define END_LIMIT (3000 * MS)

void supervisor_say(struct supervisor *s, const char *fmt, ...)
{
	char line[PROC_LINE_MAX];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	n = strlen(line);
	line[n] = '\n';
	logfile_show(STDOUT_FILENO, line, n + 1);
}

struct unit *supervisor_find(struct supervisor *s, const char *name)
{
	for (unsigned i = 0; i < s->nunits; i++)
		if (!strcmp(s->units[i].plan->name, name))
			return &s->units[i];
	return NULL;
}

static bool all_over(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->nunits; i++)
		if (!unit_over(&s->units[i]))
			return false;
	return true;
}

static void stop_devices(struct supervisor *s, bool force)
{
	for (unsigned i = 0; i < s->nunits; i++)
		if (!unit_is_vm(&s->units[i]))
			unit_stop(&s->units[i], force);
}

static void on_end_timer(void *arg)
{
	stop_devices(arg, true);
}

/* Work that a change of state may have made possible; done from the loop, not in the change. */
static void on_look(void *arg)
{
	struct supervisor *s = arg;

	sequence_advance(s);
	notify_look(s->notify);
	if (s->phase != PHASE_END && sequence_guests_over(s)) {
		s->phase = PHASE_END;
		ev_timer_set(&s->end_timer, END_LIMIT);
		for (unsigned i = 0; i < s->nunits; i++)
			unit_stop(&s->units[i], false);
	}
	if (s->phase == PHASE_END && all_over(s))
		ev_stop(s->loop);
}

void supervisor_changed(struct supervisor *s, struct unit *u)
{
	events_unit(u);
	thermal_unit(s->thermal, u);
	control_changed(s->control, u);
	ev_task_post(&s->look);
}

void supervisor_stop(struct supervisor *s, bool force)
{
	if (s->phase == PHASE_RUN)
		s->phase = PHASE_STOP;
	for (unsigned i = 0; i < s->nunits; i++) {
		struct unit *u = &s->units[i];

		if (!unit_is_vm(u) || unit_over(u))
			continue;
		if (force || u->state == UNIT_IDLE || u->state == UNIT_WAITING) {
			unit_stop(u, force);
		} else {
			u->press = u->stop = true;
			u->again = false;
		}
	}
	ev_task_post(&s->look);
}

static void on_signal(void *arg, uint32_t events)
{
	struct supervisor *s = arg;
	struct signalfd_siginfo info;

	if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (s->signals_seen++ == 0) {
		supervisor_say(s, "%s: stopping all guests (%.1f s of grace; again to force)",
			s->conf->name, s->conf->grace_ms / 1e3);
		supervisor_stop(s, false);
		return;
	}
	supervisor_say(s, "%s: stopping by force", s->conf->name);
	supervisor_stop(s, true);
}

static int watch_signals(struct supervisor *s, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return err_sys(e, -errno, "cannot watch signals");
	return ev_fd_add(s->loop, &s->signals, s->signal_fd, EPOLLIN, on_signal, s);
}

static int make_folders(const struct plan *plan, struct err *e)
{
	for (unsigned i = 0; i < plan->nfolders; i++)
		if (mkdir(plan->folders[i], 0700) && errno != EEXIST)
			return err_sys(e, -errno, "cannot create %s", plan->folders[i]);
	return 0;
}

int supervisor_open(struct supervisor *s, struct err *e)
{
	int r = plan_make(&s->plan, s->conf, s->run_dir, e);

	ev_timer_init(s->loop, &s->end_timer, on_end_timer, s);
	ev_task_init(s->loop, &s->look, on_look, s);
	if (!r)
		r = make_folders(s->plan, e);
	if (!r)
		r = events_open(&s->events, s, e);
	if (r)
		return r;
	s->units = calloc(s->plan->n, sizeof(*s->units));
	if (!s->units)
		return err_set(e, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < s->plan->n && !r; i++) {
		r = unit_init(&s->units[i], s, &s->plan->procs[i], e);
		s->nunits++;
	}
	if (!r)
		r = control_open(&s->control, s, e);
	if (!r)
		r = thermal_start(&s->thermal, s, e);
	return r ? r : notify_open(&s->notify, s, e);
}

static int set_up(struct supervisor *s, struct err *e)
{
	int r = ev_loop_create(&s->loop);

	if (r)
		return err_sys(e, r, "cannot create an event loop");
	r = watch_signals(s, e);
	return r ? r : supervisor_open(s, e);
}

/* What the host cannot give, each in a line and an event. Where the monitor says it in its log,
 * too, only what keeps the system from starting. */
static void report(struct supervisor *s, const struct shortfalls *list)
{
	for (unsigned i = 0; i < list->n; i++) {
		const struct shortfall *f = &list->v[i];
		bool fatal = conf_isolation(s->conf, f->vm) == VM_ISOLATION_REQUIRED;

		if (fatal)
			log_error(&s->log, "%s: %s: %s", f->vm->name, f->key, f->text);
		else if (!f->monitors)
			log_warn(&s->log, "%s: %s: %s; going on without it", f->vm->name, f->key,
				f->text);
		supervisor_event(s, f->vm->name, "shortfall",
			event_text(event_text(NULL, "key", f->key), "reason", f->text));
	}
}

/* Groups for the VMs. If the host lacks what one must have, nothing is to be started. */
static int isolate(struct supervisor *s, struct err *e)
{
	struct shortfalls list = { 0 };
	int r = isolation_open(
		&s->isolation, s->conf, conf_thermal_throttles(&s->conf->thermal), &list, e);

	report(s, &list);
	if (!r && list.fatal) {
		log_error(&s->log, "'isolation: required' cannot be met here; nothing was started");
		s->status = MONITOR_USAGE;
	}
	shortfalls_free(&list);
	return r;
}

void supervisor_close(struct supervisor *s)
{
	control_close(s->control);
	s->control = NULL;
	notify_close(s->notify);
	thermal_stop(s->thermal);
	events_close(s->events);
	for (unsigned i = 0; i < s->nunits; i++)
		unit_finish(&s->units[i]);
	free(s->units);
	plan_free(s->plan);
	isolation_close(s->isolation);
	if (s->look.loop) {
		ev_timer_stop(&s->end_timer);
		ev_task_cancel(&s->look);
	}
}

static void tear_down(struct supervisor *s)
{
	supervisor_close(s);
	ev_fd_del(&s->signals);
	close_fd(&s->signal_fd);
	ev_loop_destroy(s->loop);
}

static void say_what(struct supervisor *s)
{
	unsigned vms = s->conf->nvms, devices = 0;

	for (unsigned i = 0; i < vms; i++)
		devices += s->conf->vms[i].ndevices;
	supervisor_say(s, "%s: starting %u VM%s, %u device%s, %u medi%s; run-time files in %s",
		s->conf->name, vms, vms == 1 ? "" : "s", devices, devices == 1 ? "" : "s",
		s->conf->nmedia, s->conf->nmedia == 1 ? "um" : "a", s->run_dir);
}

void supervisor_begin(struct supervisor *s)
{
	sequence_init(s);
	ev_task_post(&s->look);
}

static int run(struct supervisor *s, struct err *e)
{
	int r;

	say_what(s);
	supervisor_event(s, NULL, "start",
		event_text(event_text(NULL, "system", s->conf->name), "version", AVP_VERSION));
	supervisor_begin(s);
	r = ev_run(s->loop);
	if (r)
		err_sys(e, r, "the event loop failed");
	supervisor_event(s, NULL, "end", event_number(NULL, "status", r ? 1 : s->status));
	return r;
}

int supervisor_run(const struct conf *conf, const char *run_dir, struct err *e)
{
	struct supervisor s = { .conf = conf, .run_dir = run_dir, .signal_fd = -1 };
	int r;

	fd_raise_limit();
	log_init(&s.log, STDERR_FILENO, conf->name);
	s.start_ns = ev_now_ns();
	r = set_up(&s, e);
	if (!r)
		r = isolate(&s, e);
	if (!r && !s.status)
		r = run(&s, e);
	tear_down(&s);
	return r ? r : s.status;
}
