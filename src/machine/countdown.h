/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The timer of a watchdog: counts host time (CLOCK_MONOTONIC), and stands still while the guest
 * does. The watchdog's lock guards it; a feed is one system call on the thread that feeds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

/* Private fields. Zero-initialise. */
struct countdown {
	int fd; /* timerfd; valid while the watch is there */
	struct ev_fd watch;
	bool running, held;
	uint64_t end_ns;  /* running and not held: when it ends */
	uint64_t left_ns; /* running and held */
};

/* `on_end` comes on the loop's thread when the time may have run out; it takes the watchdog's lock
 * and asks countdown_ended(). On the loop's thread or before it runs. */
int countdown_init(
	struct countdown *c, struct ev_loop *loop, ev_fd_fn on_end, void *arg, struct err *e);
/* On the loop's thread. Accepts a zeroed structure. */
void countdown_finish(struct countdown *c);

/* The rest with the watchdog's lock, on any thread. */

/* (Re)starts it. */
void countdown_start(struct countdown *c, uint64_t ns);
void countdown_stop(struct countdown *c);
/* True once, if the time has run out; it is stopped then. */
bool countdown_ended(struct countdown *c);
/* Nanoseconds to go; 0 if it is stopped. */
uint64_t countdown_left(const struct countdown *c);
/* The guest stands still / goes on. Idempotent. */
void countdown_hold(struct countdown *c, bool hold);
