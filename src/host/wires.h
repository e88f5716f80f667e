/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wires: nets that connect lines of GPIO devices, of one guest or of several. Each net has ends;
 * each end drives it high, low or not at all, and is told when the level changes. The operator is
 * one more end of every net, and a script another hand of his. All on one loop's thread.
 *
 * What a net reads as:
 *
 *	stuck (fault injection)		that level, whoever drives
 *	driven high and low at once	a conflict: low, and an event says who drives what
 *	driven one way			that
 *	driven by nobody		its pull: high, low, or the level that it had last (float)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/opt.h"
#include "host/replay.h"

#define WIRES_MAX      4096u /* nets of one set */
#define WIRES_NAME_MAX 63u   /* bytes of a net's name */

enum wire_drive { WIRE_Z, WIRE_LOW, WIRE_HIGH };
enum wire_pull { WIRE_PULL_DOWN, WIRE_PULL_UP, WIRE_FLOAT };

struct wires;
struct wire;

/* One end of a net. Embedded in its owner, zeroed; the owner sets `name` and `changed` and reads
 * the rest. */
struct wire_end {
	const char *name; /* for events: "ivi/gpio0 lamp" */
	/* [opt] The net's level is another one now. It must not attach, detach or drive. */
	void (*changed)(struct wire_end *end, bool level);
	struct wire *wire;
	enum wire_drive drive;
	struct wire_end *next;
};

/* A guest whose driver a script with `replay-start: ready` waits for. Embedded, zeroed, private. */
struct wires_guest {
	struct wires *wires;
	bool up;
};

/* The keys of a set of wires; WIRES_OPTS() are their rows in a table for an owner that has it as
 * member `m`, with `at` as "m.". */
struct wires_config {
	struct opt_list nets; /* "door", "reset pull=up" */
	char *trace;	      /* VCD file, or NULL */
	uint64_t trace_size;  /* bytes */
	struct replay_config replay;
};

/* clang-format off */
#define WIRES_OPTS(owner, at)                                                                      \
	{ "nets", OPT_LIST, offsetof(owner, at nets),                                              \
		.help = "nets: NAME [pull=up|pull=down|float] [=0|=1]" },                          \
	{ "trace", OPT_PATH, offsetof(owner, at trace),                                            \
		.help = "VCD file that gets every change of a net" },                              \
	{ "trace-size", OPT_SIZE, offsetof(owner, at trace_size), .def = "64M", .min = 4096,       \
		.help = "bytes after which the trace ends" },                                      \
	REPLAY_OPTS(owner, at replay)
/* clang-format on */

/* The rows alone, for a struct wires_config. */
extern const struct opt wires_opts[];

/* What a set of wires tells its process. */
struct wires_host {
	void *arg;
	/* [opt] Something for the event log (docs/events.md). At most a few per second. */
	void (*event)(void *arg, const char *event, const char *detail);
};

/*
 * A set with the nets that `config` names. `name` is for traces and messages. Opens the trace and
 * is able to read the script later: both before a jail closes. `config` and `host` outlive it.
 * -EINVAL with a reason.
 */
int wires_create(struct wires **w, const char *name, const struct wires_config *config,
	const struct wires_host *host, struct ev_loop *loop, const struct log *log, struct err *e);
/* Accepts NULL. All ends were detached and all guests removed. */
void wires_destroy(struct wires *w);
/* All nets are there: reads the script, which knows them by name, and begins the trace. */
int wires_start(struct wires *w, struct err *e);

/* One net as a text of the key `nets`. -EINVAL with a reason, also for a name that is there. */
int wires_add(struct wires *w, const char *text, struct wire **wire, struct err *e);
/* Reads such a text without adding anything; `name` gets the net's. -EINVAL with a reason. */
int wires_check_net(const char *text, char name[WIRES_NAME_MAX + 1], struct err *e);
/* Adds a net by name and properties, before wires_start(). `start` is how the operator drives it
 * at first. */
int wires_add_net(struct wires *w, const char *name, enum wire_pull pull, enum wire_drive start,
	struct wire **wire, struct err *e);
/* A net by its name; -EINVAL with a reason that says what is like it. */
int wires_find(struct wires *w, const char *name, struct wire **wire, struct err *e);

void wires_add_guest(struct wires *w, struct wires_guest *g);
void wires_remove_guest(struct wires_guest *g);
/* Its driver is ready to work, or is not any more. */
void wires_guest_up(struct wires_guest *g, bool up);

/* Makes `end` one of the net's, driving nothing. */
void wire_attach(struct wire *wire, struct wire_end *end);
/* Idempotent; stops driving. */
void wire_detach(struct wire_end *end);
/* Drives. The other ends are told before it returns. */
void wire_drive(struct wire_end *end, enum wire_drive drive);
bool wire_level(const struct wire *wire);
const char *wire_name(const struct wire *wire);

/* What the operator does (docs/wires.md). */
void wire_set(struct wire *wire, enum wire_drive drive);
/* Stuck at a level; WIRE_Z: no more. */
void wire_stick(struct wire *wire, enum wire_drive level);
/* "0", "1" or "z" to a drive: 0, or -EINVAL with a reason. */
int wire_parse_drive(const char *text, enum wire_drive *drive, struct err *e);
/* A line about the net: its level, who drives it. */
void wire_describe(const struct wire *wire, FILE *f);
/* A command of `avp tell`: set, get, stuck, replay. -EINVAL with a reason. */
int wires_command(struct wires *w, unsigned argc, char **argv, FILE *answer, struct err *e);
/* replay start|stop: what is left of wires_command() for owners that know nets by other names. */
int wires_replay_command(struct wires *w, unsigned argc, char **argv, FILE *answer, struct err *e);

/* Counters since the start. */
struct wires_counters {
	uint64_t changes;   /* of levels */
	uint64_t conflicts; /* times that a net became driven both ways */
};
const struct wires_counters *wires_counters(const struct wires *w);
