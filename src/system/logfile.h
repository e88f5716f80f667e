/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file of lines that does not grow for ever: when it is full it becomes the ".old" one, in place
 * of the one before. So at most twice its limit is kept, and at least its limit once it was full.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A line that is read back is at most this long; longer ones are cut into several. */
#define LOGFILE_LINE_MAX 4096u

/* Zero-initialise, or logfile_close() first. Private fields, but that anybody may read
 * `path`. One thread. */
struct logfile {
	char *path;
	int fd;
	uint64_t bytes; /* in the file now */
	uint64_t max;
};

/* Opens the file (mode 0600) to append lines; `keep`: to what is there, else it begins empty.
 * `max` is the limit in bytes. */
int logfile_open(struct logfile *l, const char *path, uint64_t max, bool keep, struct err *e);
/* Idempotent. */
void logfile_close(struct logfile *l);
/* Appends a line, which includes its newline. 0 or -errno. */
int logfile_write(struct logfile *l, const char *line, size_t len);
/* Passes each line that is kept under this path to fn, oldest first, without its newline. */
void logfile_read(const char *path, void (*fn)(void *arg, const char *line), void *arg);

/* Writes a line to a descriptor, unless its reader has stopped reading: nobody's terminal may stop
 * the system. */
void logfile_show(int fd, const char *line, size_t len);
