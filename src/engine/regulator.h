/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The regulator of last-level-cache misses of one VM: a thread of the monitor that reads a
 * performance counter, and holds the virtual processors when the budget of a period is spent
 * (miss_budget.h has the law). It never waits for a virtual processor or for the loop.
 *
 * The counter is one that the monitor's later threads inherit (perf_event_open(2), `inherit`), so
 * it can be opened before the jail closes and counts all virtual processors, host side included.
 * While it counts it tells the regulator by SIGIO after each small part of the budget.
 */
#pragma once

#include "base/log.h"
#include "engine/vm_conf.h"

struct regulator;

/* What it tells and gets told. */
struct regulator_ops {
	/* Keeps the virtual processors out of the guest / lets them in again. From its thread. */
	void (*hold)(void *arg, bool hold);
	void *arg;
};

/* Totals since the start. */
struct regulator_totals {
	uint64_t periods, held_periods, misses;
};

/*
 * Opens the counter that `conf` asks for and closes it again: 0, or -errno with the reason why this
 * host or this user cannot have it.
 */
int regulator_probe(const struct vm_conf *conf, struct err *e);

/*
 * Opens counter and timers. Before the jail and before any other thread; blocks SIGIO in this
 * thread, and thereby in those it starts. `log` outlives it.
 */
int regulator_open(
	struct regulator **r, const struct vm_conf *conf, const struct log *log, struct err *e);
/* Starts the thread, which inherits the caller's scheduling; it must be able to get the processor
 * from those whom it is to stop. */
int regulator_start(struct regulator *r, const struct regulator_ops *ops, struct err *e);
/* Once: the first period begins, when all that `hold` needs exists. */
void regulator_go(struct regulator *r);
/* Ends the thread. Idempotent; `hold` is not called afterwards. */
void regulator_stop(struct regulator *r);
/* After regulator_stop(). */
struct regulator_totals regulator_totals(const struct regulator *r);
/* Accepts NULL. */
void regulator_close(struct regulator *r);
