/* SPDX-License-Identifier: BSD-3-Clause */
/* The service manager's notifications. */
#include "system/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/util.h"
#include "system/supervisor_priv.h"

#define US UINT64_C(1000)

#define STATUS_MAX 128u

struct notify {
	struct supervisor *s;
	int fd;
	struct sockaddr_un to;
	socklen_t to_len;
	uint64_t keepalive_ns; /* how often the watchdog of the manager is fed; 0: there is none */
	struct ev_timer keepalive;
	bool ready, stopping;	 /* was told */
	char status[STATUS_MAX]; /* the last one told */
};

static void send_text(struct notify *n, const char *text)
{
	/* A manager that does not read loses messages; it must not stop the system. */
	sendto(n->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (void *)&n->to, n->to_len);
}

static void on_keepalive(void *arg)
{
	struct notify *n = arg;

	send_text(n, "WATCHDOG=1");
	ev_timer_set(&n->keepalive, n->keepalive_ns);
}

/* True if the system is up: nobody who is to run is still on the way. */
static bool is_up(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->nunits; i++) {
		const struct unit *u = &s->units[i];

		if (unit_is_vm(u) && u->wanted && !u->is_ready && !unit_over(u))
			return false;
	}
	return s->phase == PHASE_RUN;
}

static void describe(const struct supervisor *s, char status[static STATUS_MAX])
{
	unsigned running = 0, failed = 0;

	for (unsigned i = 0; i < s->nunits; i++) {
		running += unit_is_vm(&s->units[i]) && unit_runs(&s->units[i]);
		failed += unit_is_vm(&s->units[i]) && s->units[i].state == UNIT_FAILED;
	}
	snprintf(status, STATUS_MAX, "STATUS=%u of %u VMs running, %u failed", running,
		s->conf->nvms, failed);
}

void notify_look(struct notify *n)
{
	char status[STATUS_MAX];

	if (!n)
		return;
	describe(n->s, status);
	if (strcmp(status, n->status) != 0) {
		memcpy(n->status, status, sizeof(status));
		send_text(n, status);
	}
	if (!n->ready && is_up(n->s)) {
		n->ready = true;
		send_text(n, "READY=1");
	}
	if (!n->stopping && n->s->phase != PHASE_RUN) {
		n->stopping = true;
		send_text(n, "STOPPING=1");
	}
}

/* A path, or with '@' in front a name in the abstract namespace. */
static int set_address(struct notify *n, const char *name, struct err *e)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof(n->to.sun_path))
		return err_set(e, -EINVAL,
			"NOTIFY_SOCKET is '%.128s', neither an absolute path nor '@' and a name",
			name);
	n->to.sun_family = AF_UNIX;
	memcpy(n->to.sun_path, name, len);
	if (name[0] == '@')
		n->to.sun_path[0] = 0;
	n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return 0;
}

/* Half of the time that the manager allows, as sd_watchdog_enabled(3) advises. */
static uint64_t keepalive_time(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!usec || (pid && strtol(pid, NULL, 10) != getpid()))
		return 0;
	return strtoull(usec, NULL, 10) / 2 * US;
}

static void forget_environment(void)
{
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

int notify_open(struct notify **out, struct supervisor *s, struct err *e)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct notify *n;
	int r;

	if (!name || !*name)
		return 0;
	n = calloc(1, sizeof(*n));
	if (!n)
		return err_set(e, -ENOMEM, "out of memory");
	n->s = s;
	n->keepalive_ns = keepalive_time();
	ev_timer_init(s->loop, &n->keepalive, on_keepalive, n);
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r = n->fd < 0 ? err_sys(e, -errno, "cannot create a socket") : set_address(n, name, e);
	forget_environment();
	if (r) {
		notify_close(n);
		return r;
	}
	if (n->keepalive_ns)
		ev_timer_set(&n->keepalive, 0);
	*out = n;
	return 0;
}

void notify_close(struct notify *n)
{
	if (!n)
		return;
	ev_timer_stop(&n->keepalive);
	close_fd(&n->fd);
	free(n);
}
