/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The clocks of this computer as sources for others: UTC, TAI, time since power-on, smeared UTC;
 * shifted as an operator wants, and together with the processor's counter.
 *
 * All readings are nanoseconds. Whoever reads them on one computer reads the same clocks: there is
 * no state in between. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "host/leap.h"

enum hostclock_scale {
	HOSTCLOCK_UTC,	     /* since 1970, POSIX */
	HOSTCLOCK_TAI,	     /* since 1970 TAI */
	HOSTCLOCK_MONOTONIC, /* since the host's start, sleep included */
	HOSTCLOCK_SMEAR_NOON,
	HOSTCLOCK_SMEAR_SLS,
};

/* Private, except what says otherwise. */
struct hostclock {
	struct leap_table leaps; /* n == 0: none */
	bool kernel_tai;	 /* the kernel knows TAI - UTC */
	/* Nanoseconds added to all scales but MONOTONIC. The owner's to change. */
	int64_t shift;
	uint64_t last_counter;

	int set_fd; /* a timer that tells of clocks that were set */
	struct ev_fd watch;
	void (*was_set)(void *arg);
	void *arg;
};

/* `leaps` is a leap seconds file (leap.h), or NULL. `was_set(arg)` is called on the loop's thread
 * after somebody set the host's clock, and after the host has slept. Opens all that is needed
 * later. */
int hostclock_open(struct hostclock *hc, struct ev_loop *loop, const char *leaps,
	void (*was_set)(void *arg), void *arg, struct err *e);
/* Once, after hostclock_open() succeeded. */
void hostclock_close(struct hostclock *hc);
/* False: this host does not know this scale; *why says what it lacks. */
bool hostclock_has(const struct hostclock *hc, enum hostclock_scale scale, const char **why);
/* Only for scales that are there. 0 for what would be before the epoch. */
uint64_t hostclock_read(const struct hostclock *hc, enum hostclock_scale scale);

/* The counter that guests of this architecture read without an exit: x86's time-stamp counter,
 * Arm's virtual counter. */
uint64_t hostclock_counter(void);
/* A reading, and the counter at that moment: the middle of the narrowest of a few tries. Counters
 * never go back from one call to the next. */
uint64_t hostclock_cross(struct hostclock *hc, enum hostclock_scale scale, uint64_t *counter);
