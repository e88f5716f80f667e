/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A serial link between ends: bytes take the time that they take at the configured speed, and are
 * heard when they are complete. All on one loop's thread.
 *
 * Two modes:
 *
 *	pair	two ends, full duplex: what one sends the other hears
 *	bus	one wire, as LIN's: all ends hear all bytes, also their own. Bytes that are sent
 *		at the same time collide: a zero bit wins, so that all hear their AND, and each
 *		sender sees by its echo that it was not alone
 *
 * An end has a transmit buffer (`fifo`) as a UART has; what does not fit waits at the sender.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/opt.h"
#include "host/tty.h"

#define LINK_ENDS_MAX 32u
#define LINK_FIFO_MAX 4096u

enum link_mode { LINK_PAIR, LINK_BUS };
enum link_host { LINK_HOST_NONE, LINK_HOST_TTY, LINK_HOST_PTY, LINK_HOST_SOCKET };

/* The keys of a link; filled by link_opts. */
struct link_config {
	int mode; /* enum link_mode */
	struct tty_line line;
	uint32_t fifo; /* bytes; 0: by the line's rate */
	int host;      /* enum link_host: an end that is on the host */
	char *path;    /* of it */
	char *log;     /* file that gets what is on the wire, or NULL */
};

extern const struct opt link_opts[];

struct link;
struct link_end;

/* What a link tells its owner. */
struct link_owner {
	void *arg;
	/* [opt] Something for the event log (docs/events.md); at most a few per second. */
	void (*event)(void *arg, const char *event, const char *detail);
};

/* What an end is told, maybe from inside link_send() of another end or its own: it takes note, and
 * sends later. */
struct link_end_ops {
	/* It hears these bytes. Returns those for which it had room; the rest is lost. */
	size_t (*heard)(void *arg, const uint8_t *bytes, size_t len);
	/* Its buffer has room again. */
	void (*room)(void *arg);
	void *arg;
};

/* `config` and `owner` outlive it. Opens the end on the host, if there is one, and the log: before
 * a jail closes. */
int link_create(struct link **link, const char *name, const struct link_config *config,
	const struct link_owner *owner, struct ev_loop *loop, const struct log *log, struct err *e);
/* Accepts NULL. Frees all ends. */
void link_destroy(struct link *link);
/* An end more; `name` and `ops` are copied, the name's text is not. -EINVAL with a reason if the
 * mode has no place for it. */
int link_add(struct link *link, const char *name, const struct link_end_ops *ops,
	struct link_end **end, struct err *e);

/* Bytes that link_send() takes now. */
size_t link_room(const struct link_end *end);
/* Puts up to link_room() bytes into the end's buffer; returns how many. */
size_t link_send(struct link_end *end, const uint8_t *bytes, size_t len);

/* Nanoseconds that a byte takes. */
uint64_t link_char_ns(const struct link *link);

struct link_counters {
	uint64_t bytes;	     /* on the wire */
	uint64_t collisions; /* of them, sent by more than one end */
	uint64_t dropped;    /* by the operator */
	uint64_t corrupted;  /* likewise */
};

struct link_end_counters {
	uint64_t sent, heard;
	uint64_t lost; /* heard, but there was no room for it */
};

const struct link_counters *link_counters(const struct link *link);
const struct link_end_counters *link_end_counters(const struct link_end *end);

/* A command of `avp tell`: show, drop, corrupt, cut, join. -EINVAL with a reason. */
int link_command(struct link *link, unsigned argc, char **argv, FILE *answer, struct err *e);
