/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event log of a running system (docs/events.md): one JSON object per line, with two time
 * stamps, for everything of note: changes of state, watchdogs, refusals, thermal actions. In the
 * run-time folder, or in a file that stays. The thread of the supervisor's loop.
 */
#pragma once

#include <cJSON.h>
#include <stdbool.h>

#include "base/err.h"

#define EVENTS_FILE "events.jsonl"

struct events;
struct supervisor;
struct unit;

/*
 * Records that `event` happened to `name`: a process as in `avp ps`, or NULL for the whole system.
 * `fields` says more about it, a JSON object that is taken; NULL: nothing more. Members `time`,
 * `mono_ns`, `name` and `event` are set here. It never fails: what cannot be written is logged.
 */
void supervisor_event(struct supervisor *s, const char *name, const char *event, cJSON *fields);

/* For `fields`: add a member and return the object; with NULL they begin a new one. */
cJSON *event_text(cJSON *fields, const char *key, const char *value);
cJSON *event_number(cJSON *fields, const char *key, double value);

/* The state of `u` may have changed. */
void events_unit(struct unit *u);
/* A process said something (docs/control-socket.md). All but answers and what is a change of state
 * is recorded as it came, up to a limit. */
void events_message(struct unit *u, const cJSON *msg);

/* What of the log is wanted. */
struct events_filter {
	const char *name;  /* this process, and those of this VM; NULL: all */
	const char *since; /* a time stamp, or the beginning of one; NULL: all that is kept */
	unsigned max;	   /* the last ones */
};

/* True if an event is of the process or VM `name`; NULL: of any. */
bool events_is_of(const cJSON *event, const char *name);
/* An array of events, oldest first: of the log, as many as fit an answer of the control socket, or
 * of a file. NULL: no memory. */
cJSON *events_read(const struct events *ev, const struct events_filter *f);
cJSON *events_read_file(const char *path, const struct events_filter *f);

int events_open(struct events **ev, struct supervisor *s, struct err *e);
/* Accepts NULL. */
void events_close(struct events *ev);
