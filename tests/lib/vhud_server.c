/* SPDX-License-Identifier: BSD-3-Clause */
/* vhud: backends to test, on a thread or as a process. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/util.h"
#include "transport/vhost_user_backend.h"
#include "vhud_priv.h"
#include "vhud_server.h"

#define MAX_ARGS 64

struct vhud_thread {
	pthread_t thread;
	struct ev_loop *loop;
	struct vhu_backend *backend;
	struct log log;
};

/* A path for a socket that no other test has. */
static void socket_path(char path[108])
{
	static unsigned serial;
	const char *dir = getenv("TMPDIR");

	snprintf(path, 108, "%s/vhud-%d-%u.sock", dir && strlen(dir) < 60 ? dir : "/tmp",
		(int)getpid(), serial++);
}

static int make_device(
	struct vhud_server *s, const struct vdev_class *cls, va_list ap, struct err *e)
{
	const char *key;
	int ret = vdev_new(&s->dev, cls, e);

	while (!ret && (key = va_arg(ap, const char *)))
		ret = opt_set(cls->opts, s->dev, key, va_arg(ap, const char *), e);
	return ret ? ret : vdev_init(s->dev, s->thread->loop, &s->thread->log, e);
}

static int listen_on(struct vhud_server *s, struct err *e)
{
	int sock, ret;

	socket_path(s->path);
	sock = fd_unix_listen(s->path, SOCK_STREAM, e);
	if (sock < 0)
		return sock;
	ret = vhu_backend_create(&s->thread->backend, s->dev, sock, NULL, e);
	if (ret)
		close(sock);
	return ret;
}

static void *run(void *arg)
{
	ev_run(arg);
	return NULL;
}

static void is_running(void *arg)
{
	sem_post(arg);
}

int vhud_loop_start(pthread_t *thread, struct ev_loop *loop)
{
	struct ev_task task;
	sem_t running;
	int ret;

	sem_init(&running, 0, 0);
	ev_task_init(loop, &task, is_running, &running);
	ev_task_post(&task);
	ret = -pthread_create(thread, NULL, run, loop);
	if (ret)
		ev_task_cancel(&task);
	while (!ret && sem_wait(&running))
		continue;
	sem_destroy(&running);
	return ret;
}

static void teardown(struct vhud_server *s)
{
	vhu_backend_destroy(s->thread->backend);
	vdev_destroy(s->dev);
	ev_loop_destroy(s->thread->loop);
	if (*s->path)
		unlink(s->path);
	free(s->thread);
}

int vhud_serve(struct vhud_server *s, const struct vdev_class *cls, ...)
{
	struct err e = { 0 };
	va_list ap;
	int ret;

	signal(SIGPIPE, SIG_IGN);
	memset(s, 0, sizeof(*s));
	s->thread = calloc(1, sizeof(*s->thread));
	if (!s->thread)
		return -ENOMEM;
	log_init(&s->thread->log, STDERR_FILENO, cls->name);
	ret = ev_loop_create(&s->thread->loop);
	va_start(ap, cls);
	if (!ret)
		ret = make_device(s, cls, ap, &e);
	va_end(ap);
	if (!ret)
		ret = listen_on(s, &e);
	if (!ret)
		ret = vhud_loop_start(&s->thread->thread, s->thread->loop);
	if (ret) {
		teardown(s);
		return vhud_fail(NULL, ret, "serving %s: %s", cls->name, e.msg);
	}
	return 0;
}

void vhud_serve_call(struct vhud_server *s, void (*fn)(void *arg), void *arg)
{
	ev_call(s->thread->loop, fn, arg);
}

struct ask {
	const struct vdev *dev;
	const char *name;
	uint64_t value;
};

static void read_metric(void *arg)
{
	struct ask *a = arg;

	for (const struct vdev_metric *m = a->dev->cls->metrics; m->name; m++)
		if (!strcmp(m->name, a->name))
			memcpy(&a->value, (const char *)a->dev + m->offset, sizeof(a->value));
}

uint64_t vhud_serve_metric(struct vhud_server *s, const char *name)
{
	struct ask a = { s->dev, name, UINT64_MAX };

	vhud_serve_call(s, read_metric, &a);
	return a.value;
}

void vhud_serve_end(struct vhud_server *s)
{
	ev_stop(s->thread->loop);
	pthread_join(s->thread->thread, NULL);
	teardown(s);
}

static int start_process(struct vhud_proc *p)
{
	p->pid = fork();
	if (p->pid < 0)
		return vhud_fail(NULL, -errno, "fork");
	if (!p->pid) {
		execv(p->argv[0], p->argv);
		_exit(127);
	}
	return 0;
}

/* Connects once to see that it listens. The device takes that for a front-end that left. */
static int wait_listening(struct vhud_proc *p)
{
	struct vhud *d = vhud_open(p->path);

	if (!d)
		return -ETIMEDOUT;
	vhud_close(d);
	return 0;
}

int vhud_spawn(struct vhud_proc *p, const char *type, ...)
{
	const char *avp = getenv("AVP");
	unsigned n = 0;
	const char *arg;
	va_list ap;
	int ret;

	memset(p, 0, sizeof(*p));
	if (!avp)
		return vhud_fail(NULL, -EINVAL, "the environment has no AVP, the program to test");
	socket_path(p->path);
	p->argv = calloc(MAX_ARGS + 1, sizeof(*p->argv));
	if (!p->argv)
		return -ENOMEM;
	p->argv[n++] = strdup(avp);
	p->argv[n++] = strdup("device");
	p->argv[n++] = strdup(type);
	p->argv[n++] = strdup("--socket");
	p->argv[n++] = strdup(p->path);
	va_start(ap, type);
	while (n < MAX_ARGS && (arg = va_arg(ap, const char *)))
		p->argv[n++] = strdup(arg);
	va_end(ap);
	ret = start_process(p);
	return ret ? ret : wait_listening(p);
}

void vhud_kill(struct vhud_proc *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	p->pid = 0;
}

int vhud_respawn(struct vhud_proc *p)
{
	return start_process(p);
}

int vhud_spawn_end(struct vhud_proc *p)
{
	int status = 0;

	if (p->pid > 0) {
		kill(p->pid, SIGTERM);
		waitpid(p->pid, &status, 0);
	}
	for (unsigned i = 0; p->argv && p->argv[i]; i++)
		free(p->argv[i]);
	free(p->argv);
	unlink(p->path);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

unsigned vhud_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 3; /* ".", ".." and the folder itself */
}
