/* SPDX-License-Identifier: BSD-3-Clause */
/* avp monitor: runs one virtual machine. Started by `avp run`, or by hand. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>

#include "base/fd.h"
#include "base/util.h"
#include "cli/cli.h"
#include "cli/monitor.h"
#include "engine/host_check.h"

/* When this process was started: what has been computed since (loading the program, mostly) took as
 * long as its processor time, for it does not wait. */
static uint64_t process_start_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return ev_now_ns() - ((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
}

/* One event as JSON to the supervisor. The texts in it are this program's own. */
static void tell(struct monitor *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct monitor *m, const char *fmt, ...)
{
	char msg[256];
	va_list ap;
	int n;

	if (m->args.control_fd < 0)
		return;
	va_start(ap, fmt);
	n = vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (n > 0 && n < (int)sizeof(msg))
		send(m->args.control_fd, msg, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void on_running(void *arg, uint64_t when_ns)
{
	struct monitor *m = arg;
	uint64_t us = (when_ns - m->start_ns) / 1000;

	log_debug(&m->log, "first guest instruction after %" PRIu64 " us", us);
	tell(m, "{\"event\":\"running\",\"us\":%" PRIu64 "}", us);
}

static void on_suspended(void *arg, bool suspended)
{
	struct monitor *m = arg;

	log_info(&m->log, suspended ? "guest suspended itself to RAM" : "guest woken");
	tell(m, "{\"event\":\"%s\"}", suspended ? "suspended" : "resumed");
}

static void on_watchdog(void *arg, const char *what)
{
	tell(arg, "{\"event\":\"watchdog\",\"action\":\"%s\"}", what);
}

static void on_ended(void *arg, enum vm_end why, const char *text)
{
	struct monitor *m = arg;

	if (why == VM_END_POWEROFF)
		log_info(&m->log, "%s", text);
	else
		log_warn(&m->log, "%s", text);
	tell(m, "{\"event\":\"exit\",\"reason\":\"%s\"}", vm_end_name(why));
	m->status = (int)why;
	ev_stop(m->loop);
}

static void press_power_button(struct monitor *m)
{
	if (vm_power_button(m->vm) || m->unheard)
		return;
	m->unheard = true;
	log_warn(&m->log, "power button pressed, but the guest does not listen to it yet");
}

/* "throttle PERCENT". */
static bool is_throttle(struct monitor *m, const char *cmd)
{
	const char word[] = "throttle ";

	return !strncmp(cmd, word, strlen(word)) &&
	       !monitor_throttle_set(&m->throttle, cmd + strlen(word));
}

static void press_sleep_button(struct monitor *m)
{
	if (!vm_sleep_button(m->vm))
		log_warn(&m->log, "sleep button pressed, but the guest does not listen to it");
}

/* Commands of the supervisor; an unknown one is answered, so that a mismatch of versions shows. */
static void on_command(struct monitor *m, const char *cmd)
{
	if (!strcmp(cmd, "powerbutton"))
		press_power_button(m);
	else if (!strcmp(cmd, "suspend"))
		press_sleep_button(m);
	else if (!strcmp(cmd, "wakeup"))
		vm_wake(m->vm);
	else if (!strcmp(cmd, "quit"))
		vm_quit(m->vm);
	else if (!strcmp(cmd, "pause"))
		vm_pause(m->vm);
	else if (!strcmp(cmd, "resume"))
		vm_resume(m->vm);
	else if (strcmp(cmd, "status") != 0 && !is_throttle(m, cmd)) {
		log_warn(&m->log, "unknown command on the control descriptor");
		tell(m, "{\"event\":\"error\",\"reason\":\"unknown command\"}");
		return;
	}
	tell(m, "{\"event\":\"status\",\"state\":\"%s\"}", vm_state(m->vm));
}

/* "tell", token, words for a device that is served here; the first word is its name. */
static void pass_on(struct monitor *m, char *request, size_t len)
{
	char *token = request + strlen(request) + 1;
	char *name = token < request + len ? token + strlen(token) + 1 : request + len;
	char *rest = name < request + len ? name + strlen(name) + 1 : request + len;

	for (unsigned i = 0; rest < request + len && i < m->args.ndevices; i++) {
		struct monitor_device *d = &m->devices[i];

		if (d->isolate || strcmp(monitor_device_name(d), name) != 0)
			continue;
		memmove(name, rest, (size_t)(request + len - rest));
		monitor_device_tell(d, request, len - (size_t)(rest - name));
		return;
	}
	log_warn(&m->log, "a command for a device that is not served here");
}

static void on_control(void *arg, uint32_t events)
{
	struct monitor *m = arg;
	char cmd[LINE_REQUEST_MAX + 1];
	ssize_t n = recv(m->args.control_fd, cmd, sizeof(cmd) - 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		/* Nobody is left to stop this guest. */
		ev_fd_del(&m->control);
		vm_quit(m->vm);
		return;
	}
	cmd[n] = '\0';
	if (!strcmp(cmd, "tell")) {
		pass_on(m, cmd, (size_t)n);
		return;
	}
	cmd[strcspn(cmd, "\n")] = '\0';
	on_command(m, cmd);
}

static void on_signal(void *arg, uint32_t events)
{
	struct monitor *m = arg;
	struct signalfd_siginfo info;

	if (read(m->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGTERM || m->interrupts++ == 0)
		press_power_button(m);
	else
		vm_quit(m->vm);
}

/* Signals arrive at a descriptor, in no thread. */
static int watch_signals(struct monitor *m, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (m->signal_fd < 0)
		return err_sys(e, -errno, "cannot watch signals");
	return ev_fd_add(m->loop, &m->signals, m->signal_fd, EPOLLIN, on_signal, m);
}

static int watch_control(struct monitor *m, struct err *e)
{
	int rc;

	if (m->args.control_fd < 0)
		return 0;
	rc = ev_fd_add(m->loop, &m->control, m->args.control_fd, EPOLLIN, on_control, m);
	return rc ? err_sys(e, rc, "--control-fd %d", m->args.control_fd) : 0;
}

/* Everything that needs files and privileges. */
static int open_all(struct monitor *m, struct err *e)
{
	bool verified = m->args.conf.verify_key;
	int rc = verified ? monitor_boot_verify(m, e) : 0;

	if (!rc)
		rc = vm_create(&m->vm, &m->args.conf, m->loop, &m->log, &m->events, e);
	if (!rc)
		monitor_throttle_init(&m->throttle, m->vm, m->loop);
	if (!rc)
		rc = monitor_serial_open(&m->serial, m->args.conf.serial, &m->log, e);
	/* Firmware wants a serial port even if nobody listens: U-Boot ends without one. */
	if (!rc && (m->args.conf.serial || m->args.conf.firmware))
		rc = vm_set_serial(m->vm, m->serial.in_fd, m->serial.out_fd, e);
	if (!rc)
		vm_set_vars(m->vm, m->vars_fd);
	if (!rc)
		rc = vm_load(m->vm, verified ? &m->boot : NULL, e);
	if (!rc)
		rc = vm_isolate(m->vm, e);
	for (unsigned i = 0; !rc && i < m->args.ndevices; i++)
		rc = monitor_device_open(&m->devices[i], &m->log, m->args.control_fd, e);
	return rc;
}

static int set_up(struct monitor *m, struct err *e)
{
	int rc = ev_loop_create(&m->loop);

	if (rc)
		return err_sys(e, rc, "cannot create an event loop");
	m->events = (struct vm_events){ .running = on_running,
		.suspended = on_suspended,
		.watchdog = on_watchdog,
		.ended = on_ended,
		.arg = m };
	rc = watch_signals(m, e);
	if (!rc)
		rc = watch_control(m, e);
	if (!rc)
		rc = open_all(m, e);
	if (!rc)
		rc = monitor_jail(m, e);
	if (!rc)
		rc = vm_start_cpus(m->vm, e);
	for (unsigned i = 0; !rc && i < m->args.ndevices; i++)
		rc = monitor_device_attach(&m->devices[i], m->vm, e);
	if (!rc)
		rc = vm_start(m->vm, e);
	boot_items_free(&m->boot);
	return rc;
}

static void tear_down(struct monitor *m)
{
	monitor_throttle_stop(&m->throttle);
	vm_destroy(m->vm);
	monitor_serial_close(&m->serial);
	ev_fd_del(&m->signals);
	close_fd(&m->signal_fd);
	ev_fd_del(&m->control);
	ev_loop_destroy(m->loop);
}

static int parse(struct monitor *m, int argc, char **argv, struct err *e)
{
	int rc = monitor_parse(&m->args, argc, argv, e);

	if (!rc && m->args.conf.firmware)
		rc = monitor_firmware_open(m, e);
	for (unsigned i = 0; !rc && i < m->args.ndevices; i++)
		rc = monitor_device_parse(&m->devices[i], m->args.devices[i], &m->args.conf, e);
	return rc;
}

static void run(struct monitor *m)
{
	struct err e = { 0 };
	int rc = set_up(m, &e);

	if (!rc)
		rc = ev_run(m->loop);
	if (rc) {
		log_error(&m->log, "%s", e.code ? e.msg : strerror(-rc));
		if (m->status != EXIT_REFUSED)
			m->status = EXIT_FAULT;
		tell(m, "{\"event\":\"exit\",\"reason\":\"%s\"}",
			m->status == EXIT_REFUSED ? "refused" : "fault");
	}
	tear_down(m);
}

struct lacks {
	const struct monitor *m;
	unsigned n;
};

static void on_lack(void *arg, const char *key, const char *why)
{
	struct lacks *l = arg;

	log_error(&l->m->log, "%s: %s", key, why);
	l->n++;
}

/* False, all reasons said, if the host cannot isolate this VM as it must. Where it only should,
 * each step says so itself. */
static bool host_will_do(const struct monitor *m)
{
	struct lacks l = { .m = m };

	if (m->args.conf.isolation == VM_ISOLATION_REQUIRED)
		host_check(&m->args.conf, on_lack, &l);
	return !l.n;
}

int cmd_monitor(int argc, char **argv)
{
	autofree struct monitor *m = calloc(1, sizeof(*m));
	struct err e = { 0 };
	int rc;

	if (!m)
		return EXIT_FAULT;
	m->start_ns = process_start_ns();
	fd_raise_limit();
	m->signal_fd = m->vars_fd = -1;
	m->serial = (struct monitor_serial){ .in_fd = -1, .out_fd = -1, .other_fd = -1 };
	rc = parse(m, argc, argv, &e);
	if (!rc) {
		log_init(&m->log, STDERR_FILENO, m->args.name);
		if (host_will_do(m))
			run(m);
		else
			m->status = EXIT_USAGE;
	} else if (rc < 0) {
		fprintf(stderr, "avp monitor: %s\n", e.msg);
		m->status = EXIT_USAGE;
	}
	for (unsigned i = 0; i < m->args.ndevices; i++)
		monitor_device_free(&m->devices[i]);
	monitor_firmware_close(m);
	monitor_args_free(&m->args);
	return m->status;
}
