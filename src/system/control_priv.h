/* SPDX-License-Identifier: BSD-3-Clause */
/* Between control.c (clients, answers) and control_cmd.c (what the commands do). */
#pragma once

#include "system/jsonl.h"
#include "system/relay.h"
#include "system/supervisor_priv.h"

struct client {
	struct control *c;
	struct jsonl *j;
	struct client *next;	   /* links control->clients */
	const struct unit *follow; /* lines of it are passed on; NULL: of all */
	bool follows;
	bool follows_events;
	char *events_of; /* only those of this process or VM; NULL: all */
};

enum pending_kind {
	PENDING_STOP,
	PENDING_RESTART,
	PENDING_REACH, /* a VM's state */
	PENDING_STATS,
	PENDING_TELL,
	PENDING_CONSOLE,
};

/* A request that is answered when something has happened. */
struct pending {
	struct client *client;
	enum pending_kind kind;
	cJSON *id;
	struct unit *unit;     /* NULL: all VMs */
	unsigned starts;       /* RESTART: how often it had been started */
	enum unit_state reach; /* REACH */
	cJSON *stats;	       /* STATS: what has come */
	char *path;	       /* CONSOLE: its socket, once the unit runs */
	uint64_t token;	       /* TELL: what its answer carries */
	struct ev_timer limit;
	struct pending *next; /* links control->pending */
};

struct dial;

struct control {
	struct supervisor *s;
	int listener;
	struct ev_fd watch;
	struct client *clients;
	unsigned nclients;
	struct pending *pending;
	uint64_t tokens; /* given out so far */
	struct dial *dials;
	struct relays relays;
};

/* control.c */

/* Answers a request; `result` is taken, NULL is {}. `id` may be NULL. */
void control_answer(struct client *cl, const cJSON *id, cJSON *result);
void control_refuse(struct client *cl, const cJSON *id, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Answers with {} and turns the client's connection into a relay to `fd`, which it takes. */
void control_splice(struct client *cl, const cJSON *id, int fd);
/* A request to be answered later; NULL: refused already. */
struct pending *control_defer(
	struct client *cl, const cJSON *id, enum pending_kind kind, struct unit *unit);
/* Frees it without an answer. */
void pending_drop(struct control *c, struct pending *p);

/* control_cmd.c */

void control_command(struct client *cl, const cJSON *msg);
/* Turns the client's connection into the console whose socket is at `path`, or refuses. */
void control_console(struct client *cl, const cJSON *id, const char *path);
/* Gives up the connections being made for a client, or with NULL for all. */
void control_dials_drop(struct control *c, const struct client *cl);
