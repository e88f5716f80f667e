/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's end of a character stream of a guest: a PTY, a unix socket with any number of
 * attached programs, a file, this process's terminal, a terminal device of the host, a serial link
 * of this process, or nothing.
 *
 * What the guest writes for programs never waits: it goes into a ring of the last bytes (the
 * scrollback), and every attached program reads the ring at its own pace. One that attaches late
 * gets the scrollback first; one that is overtaken loses the oldest bytes, which are counted. A
 * terminal device and a link take what they can carry, and chardev_room() says how much that is.
 * What programs write waits in a bounded buffer for the guest, and when that is full, in their
 * sockets.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "host/tty.h"

enum chardev_kind {
	CHARDEV_SOCKET,
	CHARDEV_PTY,
	CHARDEV_FILE,
	CHARDEV_STDIO,
	CHARDEV_NULL,
	CHARDEV_TTY,
	CHARDEV_LINK, /* no word of configuration: a carrier is given */
};

/* The words of enum chardev_kind but the last, ends with NULL. */
extern const char *const chardev_kinds[];

/* Programs attached to one socket at a time. */
#define CHARDEV_ATTACHED_MAX 16u

struct chardev;

/* Called on the loop's thread, never from inside a chardev_*() call. Each may be NULL. */
struct chardev_events {
	/* There is input for chardev_read(), it seems. */
	void (*input)(void *arg);
	/* The first program attached (true), or the last one left. */
	void (*attached)(void *arg, bool attached);
	/* The terminal at the other end has this size now, in characters. */
	void (*resized)(void *arg, uint16_t cols, uint16_t rows);
	/* There may be more chardev_room() than before. */
	void (*room)(void *arg);
	/* A terminal device went away (false) or came back; `why` says what happened. */
	void (*host)(void *arg, bool there, const char *why);
	void *arg;
};

/* Counters, free-running. Several streams may share them. */
struct chardev_stats {
	uint64_t dropped; /* bytes that a slow program did not get */
	uint64_t lost;	  /* bytes that could not be written to a file */
};

/* What carries a stream of kind CHARDEV_LINK. Its functions are called with `arg`. */
struct chardev_carrier {
	/* Bytes that it takes now, and taking no more than that. */
	size_t (*room)(void *arg);
	void (*send)(void *arg, const struct iovec *iov, unsigned n);
	void *arg;
};

/* Strings are only used during chardev_open(). */
struct chardev_config {
	enum chardev_kind kind;
	const char
		*path;	 /* of the socket, of the symbolic link to the PTY, of the file or device */
	const char *log; /* file to append all output to, or NULL */
	size_t scrollback;    /* bytes, rounded up to a power of two; 0: nothing is shown again */
	bool in_place;	      /* input that the owner has no room for stays in a socket: of use for
				 one who reads much at a time */
	struct tty_line line; /* of kind CHARDEV_TTY */
	const struct chardev_carrier *carrier; /* of kind CHARDEV_LINK; outlives the stream */
	struct chardev_stats *stats;	       /* counted here; stays until chardev_close() */
};

/* Opens everything; later nothing needs to be opened any more (jail). Returns 0 or -errno. */
int chardev_open(struct chardev **cd, struct ev_loop *loop, const struct chardev_config *config,
	const struct chardev_events *events, const struct log *log, struct err *e);
/* Removes its socket or link; accepts NULL. */
void chardev_close(struct chardev *cd);

/* Bytes that chardev_write() can take without losing any: SIZE_MAX where it never waits. After it
 * was used up, events.room() says when there may be more. */
size_t chardev_room(const struct chardev *cd);
/* Output of the guest; never blocks. */
void chardev_write(struct chardev *cd, const struct iovec *iov, unsigned n);
/* Input for the guest: the bytes read, 0 if there are none. It comes straight from the program
 * where that is possible, so that large buffers save copies and calls. */
size_t chardev_read(struct chardev *cd, const struct iovec *iov, unsigned n);
bool chardev_has_input(const struct chardev *cd);
/* For a carrier: input for the guest. Returns the bytes for which there was room. */
size_t chardev_feed(struct chardev *cd, const void *bytes, size_t len);
/* For a carrier: it takes more now. */
void chardev_more_room(struct chardev *cd);
/* True if somebody is attached; always for a file, a link and nothing. */
bool chardev_attached(const struct chardev *cd);

/*
 * The window size travels apart from the bytes: a datagram of this form to the socket's path with
 * ".size" after it.
 */
#define CHARDEV_SIZE_FORMAT "%ux%u" /* columns, rows; 1 to 65535 */
