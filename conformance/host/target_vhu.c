/* SPDX-License-Identifier: BSD-3-Clause */
#include "conformance/host/target_vhu.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "conformance/host/child.h"
#include "conformance/host/report.h"
#include "conformance/host/vhu_dev.h"

#define MEM_GPA	     UINT64_C(0x40000000)
#define DEV_MEM	     (UINT64_C(12) << 20) /* rings and tables of one device */
#define BUF_MEM	     (UINT64_C(32) << 20) /* buffers of cases; the regions meet in the middle */
#define CONNECT_MS   10000
#define QUEUE_SIZE   256 /* unless "queue-size" says otherwise */
#define ECHOES_MAX   8u
#define ARGS_MAX     64u
#define FAILURES_MAX 3u	   /* attempts to bring a back-end back */
#define MESSAGES_MIN 1000u /* milliseconds that a back-end has at least for a message */

static const uint16_t type_ids[] = { 1, 2, 3, 4, 5, 8, 16, 18, 19, 20, 24, 25, 26, 32, 34, 36, 41,
	17, 45 };
static const char *const type_names[] = { "net", "blk", "console", "rng", "balloon", "scsi", "gpu",
	"input", "vsock", "crypto", "mem", "snd", "fs", "scmi", "i2c", "can", "gpio", "rtc", "spi" };

/* A back-end: where it listens, and the process if it is ours. */
struct backend {
	char path[108]; /* empty: there is none */
	struct child child;
	char *argv[ARGS_MAX + 1];
	char log[108];
	bool ours;    /* the process */
	bool made_up; /* the path */
};

struct vhu_target {
	struct cf_target cf;
	struct drv_platform platform;
	struct vhu_target_opts opts;
	struct vhu_mem mem;
	struct vhu_dev dev, peer;
	struct backend backend, peer_backend;
	char dir[64]; /* of sockets and logs; empty: none was made */
	pid_t echo[ECHOES_MAX];
	char utc[24];	   /* the fact last asked for */
	unsigned failures; /* attempts to bring it back that failed, since one succeeded */
	char why[400];
};

/* Platform hooks. */

static uint64_t platform_map(void *ctx, const void *p, size_t len)
{
	const struct vhu_mem *m = &((struct vhu_target *)ctx)->mem;
	uintptr_t at = (uintptr_t)p - (uintptr_t)m->base;

	return range_in(at, len, m->len) ? m->gpa + at : UINT64_MAX;
}

static void platform_barrier(void *ctx)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void platform_wait(void *ctx, struct drv_dev *dev, uint64_t until)
{
	vhu_dev_wait(container_of(dev, struct vhu_dev, dev), until);
}

static uint64_t platform_time(void *ctx)
{
	return ev_now_ns();
}

static const struct drv_platform platform = {
	.map = platform_map,
	.barrier = platform_barrier,
	.wait = platform_wait,
	.time = platform_time,
};

/* Facts. */

static const char *find_fact(const struct opt_list *facts, const char *key)
{
	size_t len = strlen(key);

	for (unsigned i = 0; i < facts->n; i++)
		if (!strncmp(facts->v[i], key, len) && facts->v[i][len] == '=')
			return facts->v[i] + len + 1;
	return NULL;
}

static const char *fact(struct cf_target *cf, const char *key)
{
	struct vhu_target *t = cf->ctx;
	const char *said = find_fact(&t->opts.facts, key);
	struct timespec now;

	/* The host's clock, for devices that tell the time. */
	if (said || strcmp(key, "utc") != 0)
		return said;
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(t->utc, sizeof(t->utc), "%lld%09ld", (long long)now.tv_sec, now.tv_nsec);
	return t->utc;
}

static uint16_t number_fact(const struct vhu_target *t, const char *key, uint16_t none)
{
	const char *text = find_fact(&t->opts.facts, key);
	uint64_t v;

	return text && cf_number(text, &v) && v <= UINT16_MAX ? (uint16_t)v : none;
}

/* Back-ends. */

static bool ended(struct backend *b, const char *who, char *why, size_t size)
{
	char fate[80];

	if (!b->ours || !child_ended(&b->child))
		return false;
	child_fate(&b->child, fate, sizeof(fate));
	snprintf(why, size, "%s %s", who, fate);
	return true;
}

static bool alive(struct cf_target *cf, const char **why)
{
	struct vhu_target *t = cf->ctx;

	*why = t->why;
	if (ended(&t->backend, "the back-end", t->why, sizeof(t->why)) ||
		ended(&t->peer_backend, "the peer's back-end", t->why, sizeof(t->why)))
		return false;
	if (vhu_dev_alive(&t->dev) && (!t->cf.peer || vhu_dev_alive(&t->peer)))
		return true;
	snprintf(t->why, sizeof(t->why), "the device is gone: %s",
		*t->dev.gone ? t->dev.gone : t->peer.gone);
	return false;
}

static int connect_backend(struct backend *own, const char *path, struct err *e)
{
	return child_connect(own->ours ? &own->child : NULL, path, CONNECT_MS, e);
}

/* The peer's socket may belong to the process of the device itself. */
static struct backend *peer_owner(struct vhu_target *t)
{
	return t->peer_backend.ours ? &t->peer_backend : &t->backend;
}

static int rejoin(struct vhu_target *t, bool resume)
{
	struct err e = { 0 };
	int ret =
		vhu_dev_rejoin(&t->dev, connect_backend(&t->backend, t->backend.path, &e), resume);

	if (!ret && t->cf.peer)
		ret = vhu_dev_rejoin(&t->peer,
			connect_backend(peer_owner(t), t->peer_backend.path, &e),
			resume && t->peer_backend.ours);
	t->failures = ret ? t->failures + 1 : 0;
	if (ret)
		fprintf(stderr, "avp conform: the back-end does not come back: %s%s%s\n",
			t->dev.gone, *t->peer.gone ? "; peer: " : "", t->peer.gone);
	return ret;
}

/* Again. Not every back-end removes the socket that the one before has left. */
static int start(struct backend *b)
{
	struct err e = { 0 };
	int ret;

	if (b->made_up)
		unlink(b->path);
	ret = b->ours ? child_start(&b->child, &e) : 0;

	if (ret)
		fprintf(stderr, "avp conform: %s\n", e.msg);
	return ret;
}

static bool reconnect(struct cf_target *cf)
{
	struct vhu_target *t = cf->ctx;

	if (ended(&t->backend, "the back-end", t->why, sizeof(t->why)) ||
		ended(&t->peer_backend, "the peer's back-end", t->why, sizeof(t->why)))
		return false;
	return !rejoin(t, false);
}

static bool revive(struct cf_target *cf)
{
	struct vhu_target *t = cf->ctx;

	child_kill(&t->backend.child);
	child_kill(&t->peer_backend.child);
	/* The peer's first: its socket may be made by the device's. */
	return !start(&t->peer_backend) && !start(&t->backend) && !rejoin(t, false);
}

/* The device's process only; the peer goes on if it has another one. */
static bool kill_backend(struct cf_target *cf)
{
	struct vhu_target *t = cf->ctx;
	struct err e = { 0 };

	child_kill(&t->backend.child);
	if (!t->peer_backend.ours && start(&t->peer_backend))
		return false;
	if (start(&t->backend))
		return false;
	if (t->cf.peer && !t->peer_backend.ours)
		return !rejoin(t, true);
	return !vhu_dev_rejoin(&t->dev, connect_backend(&t->backend, t->backend.path, &e), true);
}

/* Set-up. */

uint16_t vhu_target_id(const char *type)
{
	uint64_t v;

	for (unsigned i = 0; type && i < ARRAY_LEN(type_ids); i++)
		if (!strcmp(type, type_names[i]))
			return type_ids[i];
	return type && cf_number(type, &v) && v <= UINT16_MAX ? (uint16_t)v : 0;
}

static int bad_type(const char *type, struct err *e)
{
	const char *near = opt_nearest(type, type_names, ARRAY_LEN(type_names));

	return err_set(e, -EINVAL, "no device type '%s'%s%s%s; a name or a device ID", type,
		near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

static int make_memory(struct vhu_target *t, struct err *e)
{
	struct vhu_mem *m = &t->mem;
	uint64_t devices = 2 * DEV_MEM;

	m->len = devices + BUF_MEM;
	m->split = devices + BUF_MEM / 2;
	m->gpa = MEM_GPA;
	m->fd = fd_memfd("conform", m->len, 0, e);
	if (m->fd < 0)
		return m->fd;
	m->base = mmap(NULL, m->len, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	if (m->base == MAP_FAILED) {
		m->base = NULL;
		return err_sys(e, -errno, "mapping %zu bytes of shared memory", m->len);
	}
	return 0;
}

/* Replaces {socket} and {peer} in one argument; NULL without memory. */
static char *expand(const struct vhu_target *t, const char *arg)
{
	size_t room = strlen(arg) * sizeof(t->backend.path) + 1;
	char *out = calloc(1, room), *p = out;

	while (out && *arg) {
		const char *path = !strncmp(arg, "{socket}", 8) ? t->backend.path
				   : !strncmp(arg, "{peer}", 6) ? t->peer_backend.path
								: NULL;

		if (path) {
			p += snprintf(p, room - (size_t)(p - out), "%s", path);
			arg += arg[1] == 's' ? 8 : 6;
		} else {
			*p++ = *arg++;
		}
	}
	return out;
}

static int prepare(struct vhu_target *t, struct backend *b, char *const *command, const char *name,
	struct err *e)
{
	unsigned n = 0;

	if (!command)
		return 0;
	b->ours = true;
	while (command[n] && n < ARGS_MAX) {
		b->argv[n] = expand(t, command[n]);
		if (!b->argv[n])
			return err_set(e, -ENOMEM, "no memory for a command");
		n++;
	}
	if (!n || command[n])
		return err_set(e, -E2BIG, "a command has 1 to %u words", ARGS_MAX);
	snprintf(b->log, sizeof(b->log), "%s/%s.log", t->dir, name);
	b->child.argv = b->argv;
	b->child.log = t->opts.verbose ? NULL : b->log;
	return child_start(&b->child, e);
}

static void name_socket(
	struct vhu_target *t, struct backend *b, const char *given, const char *name)
{
	if (given)
		snprintf(b->path, sizeof(b->path), "%s", given);
	else
		snprintf(b->path, sizeof(b->path), "%s/%s.sock", t->dir, name);
	b->made_up = !given;
}

static bool mentions(char *const *command, const char *word)
{
	for (unsigned i = 0; command && command[i]; i++)
		if (strstr(command[i], word))
			return true;
	return false;
}

static int start_backends(struct vhu_target *t, struct err *e)
{
	const struct vhu_target_opts *o = &t->opts;
	int ret;

	ret = o->command ? child_folder(t->dir, "/tmp", e) : 0;
	if (ret) {
		t->dir[0] = 0;
		return ret;
	}
	name_socket(t, &t->backend, o->socket, "device");
	if (o->peer || o->peer_command || mentions(o->command, "{peer}"))
		name_socket(t, &t->peer_backend, o->peer, "peer");
	ret = prepare(t, &t->backend, o->command, "device", e);
	return ret ? ret : prepare(t, &t->peer_backend, o->peer_command, "peer", e);
}

/* What the back-end wrote, when it does not even start; the first line becomes part of the error.
 */
static void show_log(const struct backend *b, struct err *e)
{
	autofclose FILE *f = *b->log ? fopen(b->log, "re") : NULL;
	char line[400], first[120] = "";

	for (unsigned i = 0; f && i < 20 && fgets(line, sizeof(line), f); i++) {
		line[strcspn(line, "\n")] = 0;
		report_clean(line);
		fprintf(stderr, "  | %s\n", line);
		if (!*first)
			snprintf(first, sizeof(first), "%.119s", line);
	}
	if (e && *first) {
		char said[sizeof(e->msg)];

		snprintf(said, sizeof(said), "%s", e->msg);
		err_set(e, e->code, "%s; it said: %s", said, first);
	}
}

static int open_device(struct vhu_target *t, struct vhu_dev *v, struct backend *owner,
	const char *path, uint16_t id, struct err *e)
{
	int timeout_ms = (int)max_u64(t->opts.limit_ms, MESSAGES_MIN);
	int sock = connect_backend(owner, path, e);

	if (sock < 0) {
		show_log(owner, e);
		return sock;
	}
	if (!vhu_dev_open(v, &t->mem, sock, id, number_fact(t, "virtqueues", 0),
		    number_fact(t, "queue-size", QUEUE_SIZE), timeout_ms))
		return 0;
	return err_set(e, -EIO, "'%s' is no vhost-user back-end for us: %s", path, v->gone);
}

static int open_devices(struct vhu_target *t, uint16_t id, struct err *e)
{
	int ret = open_device(t, &t->dev, &t->backend, t->backend.path, id, e);

	t->dev.dev.platform = t->cf.platform;
	t->dev.dev.mem = t->mem.base;
	t->dev.dev.mem_len = DEV_MEM;
	t->cf.dev = &t->dev.dev;
	if (ret || !*t->peer_backend.path)
		return ret;
	ret = open_device(t, &t->peer, peer_owner(t), t->peer_backend.path, id, e);
	t->peer.dev.platform = t->cf.platform;
	t->peer.dev.mem = t->mem.base + DEV_MEM;
	t->peer.dev.mem_len = DEV_MEM;
	t->cf.peer = &t->peer.dev;
	return ret;
}

static int start_echoes(struct vhu_target *t, struct err *e)
{
	const struct opt_list *l = &t->opts.echo;
	int ret = 0;

	if (l->n > ECHOES_MAX)
		return err_set(e, -E2BIG, "%u sockets to echo on; at most %u", l->n, ECHOES_MAX);
	for (unsigned i = 0; !ret && i < l->n; i++)
		ret = child_echo(&t->echo[i], l->v[i], CONNECT_MS, e);
	t->cf.echo = !ret && l->n;
	return ret;
}

static void fill_in(struct vhu_target *t)
{
	t->platform = platform;
	t->platform.ctx = t;
	t->cf.platform = &t->platform;
	t->cf.mem = t->mem.base + 2 * DEV_MEM;
	t->cf.mem_len = BUF_MEM;
	t->cf.seam = t->mem.base + t->mem.split;
	t->cf.hole = t->mem.gpa + t->mem.len;
	t->cf.limit = t->opts.limit_ms * UINT64_C(1000000);
	t->cf.fact = fact;
	t->cf.alive = alive;
	t->cf.reconnect = reconnect;
	t->cf.revive = revive;
	t->cf.kill = t->backend.ours ? kill_backend : NULL;
	t->cf.ctx = t;
}

static int check_path(const char *path, struct err *e)
{
	size_t room = sizeof(((struct backend *)NULL)->path);

	if (!path || strlen(path) < room)
		return 0;
	return err_set(e, -EINVAL, "socket '%s': the path of a socket has at most %zu bytes", path,
		room - 1);
}

int vhu_target_check(const struct vhu_target_opts *opts, struct err *e)
{
	int ret = vhu_target_id(opts->type) ? 0 : bad_type(opts->type, e);

	if (!ret)
		ret = check_path(opts->socket, e);
	return ret ? ret : check_path(opts->peer, e);
}

bool vhu_target_lost(const struct vhu_target *t)
{
	return t->failures >= FAILURES_MAX;
}

int vhu_target_open(struct vhu_target **out, const struct vhu_target_opts *opts, struct err *e)
{
	struct vhu_target *t;
	uint16_t id = vhu_target_id(opts->type);
	int ret = vhu_target_check(opts, e);

	if (ret)
		return ret;
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(e, -ENOMEM, "no memory for a target");
	t->opts = *opts;
	t->mem.fd = -1;
	signal(SIGPIPE, SIG_IGN);
	ret = make_memory(t, e);
	if (!ret)
		ret = start_backends(t, e);
	fill_in(t);
	if (!ret)
		ret = open_devices(t, id, e);
	if (!ret)
		ret = start_echoes(t, e);
	if (ret)
		vhu_target_close(t);
	else
		*out = t;
	return ret;
}

struct cf_target *vhu_target_cf(struct vhu_target *t)
{
	return &t->cf;
}

static void stop(struct vhu_target *t, struct backend *b, const char *given)
{
	child_stop(&b->child);
	for (unsigned i = 0; i < ARGS_MAX; i++)
		free(b->argv[i]);
	if (!given && *t->dir && *b->path)
		unlink(b->path);
	if (*b->log)
		unlink(b->log);
}

void vhu_target_close(struct vhu_target *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < ECHOES_MAX; i++) {
		if (t->echo[i] <= 0)
			continue;
		kill(t->echo[i], SIGKILL);
		waitpid(t->echo[i], NULL, 0);
	}
	vhu_dev_close(&t->dev);
	vhu_dev_close(&t->peer);
	stop(t, &t->backend, t->opts.socket);
	stop(t, &t->peer_backend, t->opts.peer);
	if (*t->dir)
		rmdir(t->dir);
	if (t->mem.base)
		munmap(t->mem.base, t->mem.len);
	close_fd(&t->mem.fd);
	free(t);
}
