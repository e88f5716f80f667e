/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/can_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"

#define BUFFER (64u << 10)

struct can_log {
	const struct log *log;
	int fd;
	char *path; /* absolute: a jail keeps its folder, and an open folder would be a way out of
		       it */
	char name[CAN_LOG_NAME_MAX + 1];
	uint64_t size, written; /* of the current file */
	uint32_t files;
	uint64_t missed;
	unsigned buffered_frames;
	struct ev_task flush;
	struct log_limit complaints;
	size_t used;
	char buf[BUFFER];
};

/* The file's name; that of an older one for n > 0. */
static void name_of(const struct can_log *l, uint32_t n, char name[PATH_MAX])
{
	snprintf(name, PATH_MAX, n ? "%s.%u" : "%s", l->path, n);
}

static int open_file(struct can_log *l, int flags)
{
	struct stat st;

	l->fd = openat(AT_FDCWD, l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0600);
	if (l->fd < 0)
		return -errno;
	if (fstat(l->fd, &st))
		return -errno;
	l->written = (uint64_t)st.st_size;
	return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

/* The files move up by one; the last one is overwritten. */
static int rotate(struct can_log *l)
{
	char from[PATH_MAX], to[PATH_MAX];

	close_fd(&l->fd);
	for (uint32_t n = l->files - 1; n > 0; n--) {
		name_of(l, n - 1, from);
		name_of(l, n, to);
		if (renameat(AT_FDCWD, from, AT_FDCWD, to) && errno != ENOENT)
			return -errno;
	}
	return open_file(l, O_TRUNC);
}

static int write_all(struct can_log *l)
{
	int ret = l->fd < 0 ? open_file(l, 0) : 0;

	if (!ret && l->written && l->written + l->used > l->size)
		ret = rotate(l);
	for (size_t at = 0; !ret && at < l->used;) {
		ssize_t n = write(l->fd, l->buf + at, l->used - at);

		if (n < 0 && errno != EINTR)
			ret = -errno;
		at += n > 0 ? (size_t)n : 0;
		l->written += n > 0 ? (uint64_t)n : 0;
	}
	return ret;
}

static void flush(void *arg)
{
	struct can_log *l = arg;
	int ret;

	ev_task_cancel(&l->flush);
	if (!l->used)
		return;
	ret = write_all(l);
	if (ret) {
		l->missed += l->buffered_frames;
		if (log_allowed(&l->complaints, 1))
			log_error(l->log, "writing the CAN log %s failed: %s", l->path,
				strerror(-ret));
	}
	l->used = 0;
	l->buffered_frames = 0;
}

void can_log_frame(struct can_log *l, uint64_t ns, const struct canfd_frame *f)
{
	char line[CAN_LOG_LINE_MAX];
	size_t len = can_log_line(line, ns, l->name, f);

	if (l->used + len > BUFFER)
		flush(l);
	memcpy(l->buf + l->used, line, len);
	l->used += len;
	l->buffered_frames++;
	ev_task_post(&l->flush);
}

uint64_t can_log_missed(const struct can_log *l)
{
	return l->missed;
}

/* The absolute path of a file that need not be there yet. */
static int find_path(struct can_log *l, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	const char *file = slash ? slash + 1 : path;
	autofree char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	autofree char *real = folder ? realpath(folder, NULL) : NULL;

	if (!*file || strlen(file) > NAME_MAX - 12)
		return err_set(e, -EINVAL, "the CAN log '%s' has no name of a file", path);
	if (!real)
		return err_sys(e, -errno, "the folder of the CAN log '%s'", path);
	if (asprintf(&l->path, "%s/%s", real, file) < 0) {
		l->path = NULL;
		return err_set(e, -ENOMEM, "no memory");
	}
	if (strlen(l->path) > PATH_MAX - 12)
		return err_set(e, -ENAMETOOLONG, "the path of the CAN log '%s' is too long", path);
	return 0;
}

int can_log_open(struct can_log **out, const struct can_log_opts *opts, struct ev_loop *loop,
	const struct log *log, struct err *e)
{
	struct can_log *l = calloc(1, sizeof(*l));
	int ret;

	if (!l)
		return err_set(e, -ENOMEM, "no memory for the CAN log");
	l->log = log;
	l->fd = -1;
	l->size = opts->size;
	l->files = opts->files;
	snprintf(l->name, sizeof(l->name), "%s", opts->name);
	ev_task_init(loop, &l->flush, flush, l);
	ret = find_path(l, opts->path, e);
	if (!ret) {
		ret = open_file(l, 0);
		if (ret)
			err_sys(e, ret, "the CAN log '%s'", opts->path);
	}
	if (ret) {
		can_log_close(l);
		return ret;
	}
	*out = l;
	return 0;
}

void can_log_close(struct can_log *l)
{
	if (!l)
		return;
	flush(l);
	close_fd(&l->fd);
	free(l->path);
	free(l);
}
