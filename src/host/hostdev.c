/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/hostdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/util.h"

#define LOOK_MS 500

/* From the process: which file, and what about it. To the process: the number of a lost one. */
struct note {
	uint8_t file;
	uint8_t back; /* 1: a descriptor comes with it; 0: the file is gone */
};

/* What makes a file the one that was opened. */
struct identity {
	bool open;
	dev_t dev, rdev;
	ino_t ino;
};

static struct identity identity(const struct stat *st)
{
	return (struct identity){ true, st->st_dev, st->st_rdev, st->st_ino };
}

static bool same(const struct identity *a, const struct stat *st)
{
	return a->dev == st->st_dev && a->rdev == st->st_rdev && a->ino == st->st_ino;
}

/* The process outside the jail. It may be forked off a process with threads: only system calls. */

static void try_open(int sock, uint8_t file, const char *path, struct identity *id)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct note note = { file, 1 };
	struct stat st;

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && fd_send(sock, &note, sizeof(note), &fd, 1) == sizeof(note))
		*id = identity(&st);
	close(fd);
}

static void look(int sock, uint8_t file, const char *path, struct identity *id)
{
	struct note note = { file, 0 };
	struct stat st;

	if (!id->open) {
		try_open(sock, file, path, id);
		return;
	}
	if (!stat(path, &st) && same(id, &st))
		return;
	if (fd_send(sock, &note, sizeof(note), NULL, 0) == sizeof(note))
		id->open = false;
}

/* Until the owner has closed its end. */
static void keep_watch(int sock, const char *const *paths, struct identity *id, unsigned n)
{
	for (;;) {
		struct pollfd p = { .fd = sock, .events = POLLIN };
		uint8_t lost;

		if (poll(&p, 1, LOOK_MS) > 0) {
			if (recv(sock, &lost, 1, MSG_DONTWAIT) <= 0)
				return;
			if (lost < n)
				id[lost].open = false;
			continue;
		}
		for (unsigned i = 0; i < n; i++)
			look(sock, (uint8_t)i, paths[i], &id[i]);
	}
}

static void watcher(int sock, const char *const *paths, struct identity *id, unsigned n)
{
	prctl(PR_SET_NAME, "avp-hostdev");
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (dup2(sock, STDIN_FILENO) == STDIN_FILENO && !close_range(1, ~0u, 0))
		keep_watch(STDIN_FILENO, paths, id, n);
	_exit(0);
}

/* Twice, so that it is nobody's child who would have to wait for it: a jail forbids that. */
static int start_watcher(
	int sock, const char *const *paths, struct identity *id, unsigned n, struct err *e)
{
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(e, -errno, "cannot start the process that watches device files");
	if (!pid) {
		pid = fork();
		if (!pid)
			watcher(sock, paths, id, n);
		_exit(pid < 0);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

static int open_one(const char *path, int *fd, struct identity *id, struct err *e)
{
	struct stat st;

	*fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0 || fstat(*fd, &st))
		return err_sys(e, -errno, "cannot open %s", path);
	*id = identity(&st);
	return 0;
}

static int open_all(struct hostdev *h, const char *const *paths, unsigned n, int *fds,
	struct identity *id, struct err *e)
{
	int pair[2], r = 0;

	for (unsigned i = 0; i < n && !r; i++)
		r = open_one(paths[i], &fds[i], &id[i], e);
	if (!r && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		r = err_sys(e, -errno, "cannot create a socket pair");
	if (r)
		return r;
	r = start_watcher(pair[1], paths, id, n, e);
	close(pair[1]);
	h->sock = pair[0];
	h->running = true;
	h->n = n;
	if (r)
		hostdev_close(h);
	return r;
}

int hostdev_open(struct hostdev *h, const char *const *paths, unsigned n, int *fds, struct err *e)
{
	struct identity id[HOSTDEV_MAX] = { 0 };
	int r;

	for (unsigned i = 0; i < n; i++)
		fds[i] = -1;
	r = n > HOSTDEV_MAX ? err_set(e, -E2BIG, "more than %u device files", HOSTDEV_MAX)
			    : open_all(h, paths, n, fds, id, e);
	for (unsigned i = 0; i < n && r; i++)
		close_fd(&fds[i]);
	return r;
}

static void on_note(void *arg, uint32_t events)
{
	struct hostdev *h = arg;
	struct note note;
	unsigned nfds = 1;
	int fd = -1;
	ssize_t n = fd_recv(h->sock, &note, sizeof(note), &fd, &nfds);

	if (n == -EAGAIN)
		return;
	if (n <= 0) { /* it was killed: what goes now does not come back */
		ev_fd_del(&h->watch);
		return;
	}
	if (n == sizeof(note) && note.file < h->n) {
		if (note.back && nfds)
			h->events->back(h->arg, note.file, steal_fd(&fd));
		else if (!note.back)
			h->events->gone(h->arg, note.file);
	}
	close_fd(&fd);
}

int hostdev_watch(struct hostdev *h, struct ev_loop *loop, const struct hostdev_events *events,
	void *arg, struct err *e)
{
	int r;

	h->events = events;
	h->arg = arg;
	r = ev_fd_add(loop, &h->watch, h->sock, EPOLLIN, on_note, h);
	return r ? err_sys(e, r, "cannot watch for device files") : 0;
}

void hostdev_lost(struct hostdev *h, unsigned i)
{
	uint8_t file = (uint8_t)i;

	fd_send(h->sock, &file, 1, NULL, 0);
}

void hostdev_close(struct hostdev *h)
{
	if (!h->running)
		return;
	ev_fd_del(&h->watch);
	close_fd(&h->sock);
	h->running = false;
}
