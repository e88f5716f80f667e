/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replay of recordings: a file of time-stamped lines (a candump log, a CSV file, a script), read
 * once and then played in real time on an event loop. The owner parses each line into a record of
 * its own; it gets the records back when they are due. The time of the first record is the time of
 * the start. All calls and callbacks happen on the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/opt.h"

#define REPLAY_FILE_MAX	   (UINT64_C(256) << 20) /* bytes of a file */
#define REPLAY_LINE_MAX	   4095u		 /* bytes of a line */
#define REPLAY_RECORDS_MAX 4000000u		 /* records of a file */
#define REPLAY_MEMORY_MAX  (UINT64_C(512) << 20) /* bytes of all records */
#define REPLAY_SPEED_ONE   1000u		 /* replay_config.speed of real time */

enum replay_when { REPLAY_READY, REPLAY_NOW };

/* The keys that every user of a replay has; REPLAY_OPTS() are their rows. */
struct replay_config {
	char *file;	/* NULL: nothing to replay */
	char *speed;	/* factor as text, see replay_parse_speed() */
	bool loop;	/* from the beginning after the end */
	int start_when; /* enum replay_when: whether replay_start() waits for the drivers */
};

extern const char *const replay_when_words[];

/* Rows of an option table for a struct replay_config that is field `field` of `owner`. */
/* clang-format off */
#define REPLAY_OPTS(owner, field)                                                                  \
	{ "replay", OPT_PATH, offsetof(owner, field.file),                                         \
		.help = "recording to be replayed" },                                              \
	{ "replay-speed", OPT_STR, offsetof(owner, field.speed), .def = "1",                       \
		.help = "how fast, as a factor from 0.001 to 1000" },                              \
	{ "replay-loop", OPT_BOOL, offsetof(owner, field.loop), .def = "false",                    \
		.help = "starts again after the end" },                                            \
	{ "replay-start", OPT_ENUM, offsetof(owner, field.start_when), .def = "ready",             \
		.words = replay_when_words,                                                        \
		.help = "ready: when the drivers of all guests are up; now: at once" }
/* clang-format on */

/* What the owner does with a recording. `arg` is that of replay_open(). */
struct replay_ops {
	size_t record_size; /* bytes of a record; records are aligned to 8 bytes */
	/* Parses one line, without its newline, which it may change in place. 1: *record (zeroed
	 * before) and *time_ns are filled in; 0: a line that says nothing, as a comment; -EINVAL
	 * with a reason, to which file and line are added. */
	int (*parse)(void *arg, char *line, unsigned number, void *record, uint64_t *time_ns,
		struct err *e);
	/* A record is due. It may call replay_start() and replay_stop(), not replay_close(). */
	void (*due)(void *arg, const void *record);
	/* [opt] The last record was played and there is no loop. It may start again. */
	void (*ended)(void *arg);
};

struct replay;

/*
 * Reads a whole recording. *r does nothing until replay_start(). `c->file` is set; `c` is only read
 * and need not outlive the call, `ops` must. -EINVAL with a reason, with file and line where it is
 * a line: not a regular file, a limit above exceeded, times that go back
 * or span more than 100 days, a line that parse()
 * refuses, no record at all, a wrong speed.
 */
int replay_open(struct replay **r, const struct replay_config *c, const struct replay_ops *ops,
	void *arg, struct ev_loop *loop, const struct log *log, struct err *e);
/* Stops and frees; accepts NULL. */
void replay_close(struct replay *r);

/* Plays from the first record, also while it plays. The first record is due in the next round of
 * the loop; the later ones at most a millisecond after their time if the loop is not busy. */
void replay_start(struct replay *r);
/* Idempotent. */
void replay_stop(struct replay *r);
bool replay_playing(const struct replay *r);
/* Number of records, and the next one to be played: for commands that show the progress. */
size_t replay_count(const struct replay *r);
size_t replay_position(const struct replay *r);
/* Nanoseconds from the first record to the last one, at speed 1. */
uint64_t replay_length_ns(const struct replay *r);

/* A factor such as "1", "0.5" or "20" in units of 1 / REPLAY_SPEED_ONE; NULL is 1. -EINVAL with a
 * reason. */
int replay_parse_speed(const char *text, uint32_t *speed, struct err *e);
/* Seconds as a decimal number, "12" or "1436509052.249713", to nanoseconds; *end is what follows.
 * Digits after the ninth of the fraction are dropped. -EINVAL if there is no such number or it does
 * not fit; a sign is refused. */
int replay_parse_seconds(const char *text, const char **end, uint64_t *ns);
