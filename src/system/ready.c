/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When a guest is ready: it prints a text on a console, connects to a vsock port of the host and
 * says READY=1 (as sd_notify(3) does), or has a program listening on a vsock port of its own.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "host/vsock_uds.h"
#include "system/supervisor_priv.h"

#define MS UINT64_C(1000000)

#define TRY_AGAIN   (100 * MS)	/* a console or guest port that is not there yet */
#define TRY_LIMIT   (2000 * MS) /* for the guest to accept */
#define DRAIN_MAX   64u		/* reads of what an earlier guest said */
#define CALLERS_MAX 4u
#define SAID_MAX    1024u /* bytes of one caller */
#define CHUNK	    4096u

static const char ready_line[] = "READY=1";

/* A connection that the guest made. */
struct caller {
	struct ready *r;
	int fd;
	struct ev_fd watch;
	char said[SAID_MAX + 1];
	unsigned len;
};

struct ready {
	struct unit *u;
	const struct conf_ready *conf;
	char *path; /* the console's socket, the port's, or the vsock device's */
	int fd;	    /* listening on the port, or connected to console or device; -1: not now */
	struct ev_fd watch;
	struct ev_timer again; /* to connect, or to give a connection up */
	struct ev_timer limit;
	bool found; /* since ready_boot() */
	char *tail; /* console: what was read last, less than the text is long */
	size_t tail_len, line_len;
	struct vsock_line answer;
	struct caller callers[CALLERS_MAX];
};

static void close_watch(int *fd, struct ev_fd *watch)
{
	if (*fd < 0)
		return;
	ev_fd_del(watch);
	close_fd(fd);
}

/* The guest is what was waited for; the supervisor hears of it once it is known to run. */
static void found(struct ready *r)
{
	r->found = true;
	ev_timer_stop(&r->again);
	guest_is_ready(r->u);
}

/* Console. */

/* Appends to the tail, looks, and keeps as much as a text that is cut in two needs. */
static bool match(struct ready *r, const char *data, size_t len)
{
	char *text = r->tail;
	bool hit;

	memcpy(text + r->tail_len, data, len);
	len += r->tail_len;
	hit = memmem(text, len, r->conf->line, r->line_len);
	r->tail_len = (size_t)min_u64(len, r->line_len - 1);
	memmove(text, text + len - r->tail_len, r->tail_len);
	return hit;
}

static void on_console(void *arg, uint32_t events)
{
	struct ready *r = arg;
	char data[CHUNK];
	ssize_t n = read(r->fd, data, sizeof(data));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_watch(&r->fd, &r->watch);
		ev_timer_set(&r->again, TRY_AGAIN);
		return;
	}
	if (!r->found && match(r, data, (size_t)n))
		found(r);
}

static void connect_console(struct ready *r)
{
	r->fd = fd_unix_connect(r->path, SOCK_STREAM | SOCK_NONBLOCK, NULL);
	if (r->fd >= 0 && ev_fd_add(r->u->s->loop, &r->watch, r->fd, EPOLLIN, on_console, r))
		close_fd(&r->fd);
	if (r->fd < 0)
		ev_timer_set(&r->again, TRY_AGAIN);
}

/* What the guest of before has printed is no sign of the next one. */
static void forget_console(struct ready *r)
{
	char data[CHUNK];

	for (unsigned i = 0; r->fd >= 0 && i < DRAIN_MAX; i++)
		if (read(r->fd, data, sizeof(data)) <= 0)
			break;
	r->tail_len = 0;
}

/* A port of the host. */

static void drop_caller(struct caller *c)
{
	close_watch(&c->fd, &c->watch);
	c->len = 0;
}

/* True if one of the lines is the word; the last one may lack its newline at the end. */
static bool says_ready(const char *text, bool ended)
{
	size_t len = strlen(ready_line);

	for (; text; text = strchr(text, '\n'), text = text ? text + 1 : NULL)
		if (!strncmp(text, ready_line, len) &&
			(text[len] == '\n' || text[len] == '\r' || (!text[len] && ended)))
			return true;
	return false;
}

static void on_caller(void *arg, uint32_t events)
{
	struct caller *c = arg;
	ssize_t n = read(c->fd, c->said + c->len, SAID_MAX - c->len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	c->len += n > 0 ? (unsigned)n : 0;
	c->said[c->len] = 0;
	if (!c->r->found && says_ready(c->said, n <= 0))
		found(c->r);
	if (n <= 0 || c->len == SAID_MAX)
		drop_caller(c);
}

static void on_port(void *arg, uint32_t events)
{
	struct ready *r = arg;
	autoclose int fd = accept4(r->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (unsigned i = 0; fd >= 0 && i < CALLERS_MAX; i++) {
		struct caller *c = &r->callers[i];

		if (c->fd >= 0)
			continue;
		if (!ev_fd_add(r->u->s->loop, &c->watch, fd, EPOLLIN, on_caller, c))
			c->fd = steal_fd(&fd);
		return;
	}
}

static int listen_port(struct ready *r, struct err *e)
{
	r->fd = fd_unix_listen(r->path, SOCK_STREAM, e);
	if (r->fd < 0)
		return r->fd;
	return ev_fd_add(r->u->s->loop, &r->watch, r->fd, EPOLLIN, on_port, r);
}

static void forget_callers(struct ready *r)
{
	for (unsigned i = 0; i < CALLERS_MAX; i++)
		drop_caller(&r->callers[i]);
}

/* A port of the guest. */

static void on_answer(void *arg, uint32_t events)
{
	struct ready *r = arg;
	int ret = vsock_line_read(&r->answer, r->fd, VIRTIO_VSOCK_TYPE_STREAM);

	if (!ret)
		return;
	close_watch(&r->fd, &r->watch);
	ev_timer_set(&r->again, TRY_AGAIN);
	if (ret > 0 && !strncmp(r->answer.text, "OK ", 3))
		found(r);
}

static void call_guest(struct ready *r)
{
	close_watch(&r->fd, &r->watch);
	r->answer.len = 0;
	r->fd = fd_unix_connect(r->path, SOCK_STREAM | SOCK_NONBLOCK, NULL);
	if (r->fd >= 0 &&
		(vsock_line_send(r->fd, "CONNECT %u", r->conf->vsock_guest) ||
			ev_fd_add(r->u->s->loop, &r->watch, r->fd, EPOLLIN, on_answer, r)))
		close_fd(&r->fd);
	ev_timer_set(&r->again, r->fd < 0 ? TRY_AGAIN : TRY_LIMIT);
}

/* All. */

static void on_again(void *arg)
{
	struct ready *r = arg;

	if (r->found || !r->u->proc.pid)
		return;
	if (r->conf->vsock_guest)
		call_guest(r);
	else if (r->fd < 0)
		connect_console(r);
}

static void on_limit(void *arg)
{
	struct ready *r = arg;

	guest_is_late(r->u);
}

void ready_boot(struct ready *r)
{
	if (!r)
		return;
	r->found = false;
	forget_callers(r);
	if (r->conf->console) {
		forget_console(r);
		if (r->fd < 0)
			connect_console(r);
	}
}

void ready_run(struct ready *r)
{
	if (!r)
		return;
	ev_timer_set(&r->limit, r->conf->timeout_ms * MS);
	if (r->found)
		found(r);
	else if (r->conf->vsock_guest)
		call_guest(r);
}

void ready_hold(struct ready *r)
{
	if (!r)
		return;
	ev_timer_stop(&r->limit);
	if (!r->conf->vsock_guest)
		return;
	ev_timer_stop(&r->again);
	close_watch(&r->fd, &r->watch);
}

static const struct conf_device *find_device(
	const struct conf_vm *vm, const char *type, const char *name)
{
	for (unsigned i = 0; i < vm->ndevices; i++) {
		const struct conf_device *d = &vm->devices[i];

		if (!strcmp(d->cls->name, type) && !d->socket && (!name || !strcmp(d->name, name)))
			return d;
	}
	return NULL;
}

/* The unix socket that stands for what is waited for; the file was checked, so it has the device.
 */
static char *make_path(const struct ready *r)
{
	const struct conf_vm *vm = r->u->plan->vm;
	const struct conf_device *d =
		find_device(vm, r->conf->console ? "console" : "vsock", r->conf->console);
	autofree char *path = NULL;
	char *port;

	if (!d)
		return NULL;
	if (r->conf->console)
		return plan_console_path(vm, d, r->u->s->run_dir);
	path = plan_vsock_path(vm, d, r->u->s->run_dir);
	if (!path || r->conf->vsock_guest)
		return steal_ptr(&path);
	return asprintf(&port, "%s_%u", path, r->conf->vsock) < 0 ? NULL : port;
}

static int set_up(struct ready *r, struct err *e)
{
	r->path = make_path(r);
	r->line_len = r->conf->line ? strlen(r->conf->line) : 0;
	r->tail = malloc(r->line_len + CHUNK);
	if (!r->path || !r->tail)
		return err_set(e, -ENOMEM, "out of memory");
	return r->conf->vsock ? listen_port(r, e) : 0;
}

int ready_open(struct ready **out, struct unit *u, struct err *e)
{
	const struct conf_ready *conf = &u->plan->vm->policy.ready;
	struct ready *r;
	int ret;

	if (!conf->console && !conf->vsock && !conf->vsock_guest)
		return 0;
	r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->u = u;
	r->conf = conf;
	r->fd = -1;
	for (unsigned i = 0; i < CALLERS_MAX; i++)
		r->callers[i] = (struct caller){ .r = r, .fd = -1 };
	ev_timer_init(u->s->loop, &r->again, on_again, r);
	ev_timer_init(u->s->loop, &r->limit, on_limit, r);
	ret = set_up(r, e);
	if (ret)
		ready_close(r);
	else
		*out = r;
	return ret;
}

void ready_close(struct ready *r)
{
	if (!r)
		return;
	ev_timer_stop(&r->again);
	ev_timer_stop(&r->limit);
	forget_callers(r);
	close_watch(&r->fd, &r->watch);
	if (r->conf->vsock && r->path)
		unlink(r->path);
	free(r->tail);
	free(r->path);
	free(r);
}
