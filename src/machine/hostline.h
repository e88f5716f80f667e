/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host side of a serial port: two descriptors. Bytes go out at once; bytes come in when the
 * port's FIFO has room, and wait outside until then. The port's lock guards it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

/* Private fields. */
struct hostline {
	struct ev_loop *loop;
	int in_fd, out_fd; /* not owned, -1: none */
	struct ev_fd watch;
	ev_fd_fn on_input;
	void *arg;
	bool stuck;  /* nobody reads out_fd */
	bool paused; /* not listening, because the FIFO is full */
};

/* `on_input` comes on the loop's thread when there may be bytes to take. `name` is for messages. On
 * the loop's thread or before it runs. */
int hostline_init(struct hostline *l, struct ev_loop *loop, int in_fd, int out_fd,
	ev_fd_fn on_input, void *arg, const char *name, struct err *e);
/* On the loop's thread. */
void hostline_finish(struct hostline *l);

/* Sends a byte; one that out_fd does not take is lost, as on a line without flow control. A reader
 * who is slow gets time, one who has stopped reading gets it once: the guest must not hang because
 * nobody looks at its console. Any thread, with the port's lock. */
void hostline_put(struct hostline *l, uint8_t byte);
/* In on_input, with the port's lock: takes at most `room` bytes, which is all the space that
 * the FIFO has, and listens no longer if that fills it. Returns their number. */
unsigned hostline_get(struct hostline *l, uint8_t *buf, unsigned room);
/* With the port's lock, when the FIFO has room: true if the caller has to call hostline_listen()
 * after it has let the lock go. */
bool hostline_resumes(struct hostline *l);
/* Any thread, without the port's lock, since it waits for the loop. */
void hostline_listen(struct hostline *l);
