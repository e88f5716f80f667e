/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control law of the regulator of last-level-cache misses: a budget per period, as MemGuard has
 * it for memory accesses (Yun et al., RTAS 2013). Plain arithmetic on the readings of counters; no
 * clock, no threads.
 *
 * - Misses are the sum over all counters. At the budget the VM is held until the period ends.
 * - What a VM does not use is lost: a quiet time buys no burst.
 * - What it used beyond the budget, because stopping takes a moment, is owed and taken from the
 *   following periods, so the mean stays at the budget.
 * - However much is owed, a quarter of the budget is granted in every period, and what is owed is
 *   never more than MISS_DEBT_PERIODS budgets: nobody starves.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MISS_COUNTERS_MAX 64u
#define MISS_DEBT_PERIODS 8u

/* Private, but for the totals at the end. */
struct miss_budget {
	uint64_t budget;    /* per period */
	uint64_t allowance; /* in this period: the budget less what is being paid back */
	uint64_t used;	    /* in this period */
	uint64_t debt;	    /* owed, without this period's part */
	bool held;
	unsigned ncounters;
	uint64_t last[MISS_COUNTERS_MAX]; /* readings */

	uint64_t periods;      /* ended */
	uint64_t held_periods; /* of them, those in which the VM was held */
	uint64_t total;	       /* misses */
};

/* `budget` > 0. `counts` are the readings at the start of the first period, `n` of them, at most
 * MISS_COUNTERS_MAX. */
void miss_budget_init(struct miss_budget *b, uint64_t budget, const uint64_t *counts, unsigned n);
/* New readings within the period. True if the VM is to be held until the period ends. Counters may
 * wrap around at 2^64; one that goes back was set anew and adds nothing. */
bool miss_budget_count(struct miss_budget *b, const uint64_t *counts);
/* The period ends with these readings, and the next one begins: the VM may run. */
void miss_budget_period(struct miss_budget *b, const uint64_t *counts);
