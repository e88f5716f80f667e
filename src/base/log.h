/* SPDX-License-Identifier: BSD-3-Clause */
/* The log: one line a message, written with a single write(2), so lines of processes do not mix. */
#pragma once

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * Where messages go and from whom. Immutable after log_init(), so it may be shared by threads.
 * `name` is the prefix, e.g. "ivi/blk0".
 */
struct log {
	int fd;
	enum log_level level;
	char name[48];
};

/* Initialises a log on `fd` (not owned). The level comes from the environment variable AVP_LOG
 * (error, warn, info, debug); info without it. */
void log_init(struct log *log, int fd, const char *name);

/* Writes one line if `level` is enabled. A NULL log drops it. Control bytes are replaced by '?',
 * because text that comes from a guest must not reach a terminal as an escape sequence. */
void log_at(const struct log *log, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(log, ...) log_at((log), LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(log, ...)  log_at((log), LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(log, ...)  log_at((log), LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_at((log), LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * Limits messages that a guest can cause at will: `burst` messages per second pass, the rest is
 * counted. Zero-initialise; one per message site and device.
 */
struct log_limit {
	unsigned long window_s;
	unsigned passed;
	unsigned dropped;
};

/* True if a message may be written now. Not thread-safe. */
int log_allowed(struct log_limit *limit, unsigned burst);
