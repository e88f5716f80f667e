/* SPDX-License-Identifier: BSD-3-Clause */
/* The control law of the miss regulator. */
#include "engine/miss_budget.h"

#include <string.h>

#include "base/util.h"

/* This part of the budget is granted whatever is owed. */
#define GRANTED(budget) max_u64((budget) / 4, 1)

static uint64_t add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

void miss_budget_init(struct miss_budget *b, uint64_t budget, const uint64_t *counts, unsigned n)
{
	*b = (struct miss_budget){ .budget = budget, .allowance = budget };
	b->ncounters = n < MISS_COUNTERS_MAX ? n : MISS_COUNTERS_MAX;
	memcpy(b->last, counts, b->ncounters * sizeof(*counts));
}

/* Adds what the counters did since the last reading. */
static void account(struct miss_budget *b, const uint64_t *counts)
{
	for (unsigned i = 0; i < b->ncounters; i++) {
		uint64_t delta = counts[i] - b->last[i];

		b->last[i] = counts[i];
		/* No counter does 2^63 steps in a period: it went back. */
		if (delta >> 63)
			continue;
		b->used = add(b->used, delta);
		b->total = add(b->total, delta);
	}
}

bool miss_budget_count(struct miss_budget *b, const uint64_t *counts)
{
	account(b, counts);
	b->held = b->held || b->used >= b->allowance;
	return b->held;
}

void miss_budget_period(struct miss_budget *b, const uint64_t *counts)
{
	uint64_t most = b->budget > UINT64_MAX / MISS_DEBT_PERIODS ? UINT64_MAX
								   : b->budget * MISS_DEBT_PERIODS;
	uint64_t pay;

	account(b, counts);
	b->periods++;
	b->held_periods += b->held;
	if (b->used > b->allowance)
		b->debt = min_u64(add(b->debt, b->used - b->allowance), most);
	pay = min_u64(b->debt, b->budget - GRANTED(b->budget));
	b->debt -= pay;
	b->allowance = b->budget - pay;
	b->used = 0;
	b->held = false;
}
