/* SPDX-License-Identifier: BSD-3-Clause */
/* What processes write: a file each in the run-time folder, bounded, and standard error. */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "system/supervisor_priv.h"

#define LOG_FILE_MAX (256u << 10)

/* logs/ivi.blk0.log; NULL: no memory. */
static char *log_path(const struct unit *u)
{
	char *path;

	if (asprintf(&path, "%s/logs/%s.log", u->s->run_dir, u->plan->name) < 0)
		return NULL;
	for (char *p = path + strlen(u->s->run_dir) + strlen("/logs/"); *p; p++)
		if (*p == '/')
			*p = '.';
	return path;
}

int unit_log_open(struct unit *u, struct err *e)
{
	autofree char *path = log_path(u);

	if (!path)
		return err_set(e, -ENOMEM, "out of memory");
	return logfile_open(&u->log, path, LOG_FILE_MAX, false, e);
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
	logfile_write(&u->log, line, (size_t)n);
	logfile_show(STDERR_FILENO, line, (size_t)n);
	line[n - 1] = 0;
	control_line(u->s->control, u, line);
}

/* The last lines of a log. */
struct tail {
	unsigned skip; /* lines to leave out at the beginning */
	void (*fn)(void *arg, const char *line);
	void *arg;
};

static void count_line(void *arg, const char *line)
{
	unsigned *n = arg;

	++*n;
}

static void pass_line(void *arg, const char *line)
{
	struct tail *t = arg;

	if (t->skip)
		t->skip--;
	else
		t->fn(t->arg, line);
}

void unit_log_tail(
	const struct unit *u, unsigned max, void (*fn)(void *arg, const char *line), void *arg)
{
	struct tail t = { .fn = fn, .arg = arg };
	unsigned n = 0;

	logfile_read(u->log.path, count_line, &n);
	t.skip = n > max ? n - max : 0;
	logfile_read(u->log.path, pass_line, &t);
}
