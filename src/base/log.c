/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

#define LINE_MAX_BYTES 1024

static const char *const level_names[] = { "error", "warn", "info", "debug" };

static enum log_level level_from_env(void)
{
	const char *s = getenv("AVP_LOG");

	for (unsigned i = 0; s && i < ARRAY_LEN(level_names); i++)
		if (!strcmp(s, level_names[i]))
			return (enum log_level)i;
	return LOG_LEVEL_INFO;
}

void log_init(struct log *log, int fd, const char *name)
{
	log->fd = fd;
	log->level = level_from_env();
	snprintf(log->name, sizeof(log->name), "%s", name);
}

static void mask_control_bytes(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

void log_at(const struct log *log, enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	size_t n;
	va_list ap;

	if (!log || level > log->level)
		return;
	snprintf(line, sizeof(line), "%s: %s%s", log->name,
		level == LOG_LEVEL_INFO ? "" : level_names[level],
		level == LOG_LEVEL_INFO ? "" : ": ");
	n = strlen(line);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	mask_control_bytes(line);
	n = strlen(line);
	line[n] = '\n';
	/* A log that cannot be written has nobody to tell. */
	if (write(log->fd, line, n + 1) < 0)
		return;
}

int log_allowed(struct log_limit *limit, unsigned burst)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (limit->window_s != (unsigned long)now.tv_sec) {
		limit->window_s = (unsigned long)now.tv_sec;
		limit->passed = 0;
	}
	if (limit->passed >= burst) {
		limit->dropped++;
		return 0;
	}
	limit->passed++;
	return 1;
}
