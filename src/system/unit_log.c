/* SPDX-License-Identifier: BSD-3-Clause */
/* What processes write: a file each in the run-time folder, bounded, and standard error. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"
#include "system/supervisor_priv.h"

/* A file that has grown to this becomes the ".old" one; so at most twice as much is kept. */
#define LOG_FILE_MAX (256u << 10)

/* logs/ivi.blk0.log; NULL: no memory. */
static char *log_path(const struct unit *u, const char *suffix)
{
	char *path;

	if (asprintf(&path, "%s/logs/%s.log%s", u->s->run_dir, u->plan->name, suffix) < 0)
		return NULL;
	for (char *p = path + strlen(u->s->run_dir) + strlen("/logs/"); *p; p++)
		if (*p == '/')
			*p = '.';
	return path;
}

int unit_log_open(struct unit *u, struct err *e)
{
	autofree char *path = log_path(u, "");

	if (!path)
		return err_set(e, -ENOMEM, "out of memory");
	u->log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	u->log_bytes = 0;
	return u->log < 0 ? err_sys(e, -errno, "cannot create %s", path) : 0;
}

static void rotate(struct unit *u)
{
	autofree char *path = log_path(u, ""), *old = log_path(u, ".old");

	if (!path || !old || rename(path, old))
		return;
	close_fd(&u->log);
	unit_log_open(u, NULL);
}

void unit_log_line(struct unit *u, const char *text)
{
	size_t len = strlen(u->plan->name);
	char line[PROC_LINE_MAX + 2 * CONF_NAME_MAX + 8];
	int n;

	/* Our own processes begin their lines with their name. */
	if (!strncmp(text, u->plan->name, len) && text[len] == ':')
		n = snprintf(line, sizeof(line), "%s\n", text);
	else
		n = snprintf(line, sizeof(line), "%s: %s\n", u->plan->name, text);
	if (u->log >= 0 && !fd_write_full(u->log, line, (size_t)n))
		u->log_bytes += (uint64_t)n;
	if (u->log_bytes > LOG_FILE_MAX)
		rotate(u);
	supervisor_show(STDERR_FILENO, line, (size_t)n);
	line[n - 1] = 0;
	control_line(u->s->control, u, line);
}

/* The contents of a log file as text, or NULL. */
static char *read_file(const char *path)
{
	autoclose int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	size_t room = LOG_FILE_MAX + 2 * PROC_LINE_MAX, len = 0;
	autofree char *text = malloc(room);
	ssize_t n = 1;

	if (fd < 0 || !text)
		return NULL;
	while (n > 0 && len + 1 < room) {
		n = read(fd, text + len, room - len - 1);
		if (n > 0)
			len += (size_t)n;
	}
	text[len] = 0;
	return steal_ptr(&text);
}

static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	for (; text && (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

/* Passes the lines of `text` after the first `skip`. */
static void pass_lines(
	char *text, unsigned skip, void (*fn)(void *arg, const char *line), void *arg)
{
	char *nl;

	for (; text && (nl = strchr(text, '\n')); text = nl + 1) {
		*nl = 0;
		if (skip)
			skip--;
		else
			fn(arg, text);
	}
}

void unit_log_tail(
	const struct unit *u, unsigned max, void (*fn)(void *arg, const char *line), void *arg)
{
	autofree char *path = log_path(u, ""), *old_path = log_path(u, ".old");
	autofree char *text = read_file(path), *old = read_file(old_path);
	unsigned n = count_lines(text), n_old = count_lines(old);
	unsigned of_old = max > n ? (unsigned)min_u64(max - n, n_old) : 0;

	pass_lines(old, n_old - of_old, fn, arg);
	pass_lines(text, n > max ? n - max : 0, fn, arg);
}
