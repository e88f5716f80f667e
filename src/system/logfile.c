/* SPDX-License-Identifier: BSD-3-Clause */
/* Bounded files of lines. */
#include "system/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/util.h"

static char *old_path(const char *path)
{
	char *old;

	return asprintf(&old, "%s.old", path) < 0 ? NULL : old;
}

/* The power may have failed in the middle of the last line: it must not swallow the next one. */
static int end_last_line(struct logfile *l)
{
	char last = '\n';

	if (l->bytes && fd_pread_full(l->fd, &last, 1, l->bytes - 1))
		return -EIO;
	return last == '\n' ? 0 : logfile_write(l, "\n", 1);
}

static int open_file(struct logfile *l, int flags, struct err *e)
{
	struct stat st;
	int r;

	l->fd = open(l->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | flags, 0600);
	if (l->fd < 0)
		return err_sys(e, -errno, "cannot create %s", l->path);
	if (fstat(l->fd, &st))
		return err_sys(e, -errno, "cannot look at %s", l->path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s is not a regular file", l->path);
	l->bytes = (uint64_t)st.st_size;
	r = end_last_line(l);
	return r ? err_sys(e, r, "cannot write to %s", l->path) : 0;
}

int logfile_open(struct logfile *l, const char *path, uint64_t max, bool keep, struct err *e)
{
	int r;

	*l = (struct logfile){ .path = strdup(path), .fd = -1, .max = max };
	if (!l->path)
		return err_set(e, -ENOMEM, "out of memory");
	r = open_file(l, keep ? O_NONBLOCK : O_NONBLOCK | O_TRUNC, e);
	if (r)
		logfile_close(l);
	return r;
}

void logfile_close(struct logfile *l)
{
	if (!l->path)
		return;
	close_fd(&l->fd);
	free(l->path);
	l->path = NULL;
}

static void rotate(struct logfile *l)
{
	autofree char *old = old_path(l->path);

	if (!old || rename(l->path, old))
		return;
	close_fd(&l->fd);
	open_file(l, 0, NULL);
}

int logfile_write(struct logfile *l, const char *line, size_t len)
{
	int r = l->fd < 0 ? -EBADF : fd_write_full(l->fd, line, len);

	if (r)
		return r;
	l->bytes += len;
	if (l->bytes > l->max)
		rotate(l);
	return 0;
}

static void read_file(const char *path, void (*fn)(void *arg, const char *line), void *arg)
{
	autofclose FILE *f = path ? fopen(path, "re") : NULL;
	char line[LOGFILE_LINE_MAX];

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		fn(arg, line);
	}
}

void logfile_read(const char *path, void (*fn)(void *arg, const char *line), void *arg)
{
	autofree char *old = old_path(path);

	read_file(old, fn, arg);
	read_file(path, fn, arg);
}

void logfile_show(int fd, const char *line, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	/* A pipe that is ready takes PIPE_BUF bytes at once, which no line exceeds. */
	if (poll(&p, 1, 0) == 1 && p.revents & POLLOUT)
		fd_write_full(fd, line, len);
}
