/* SPDX-License-Identifier: BSD-3-Clause */
/* The control law of the miss regulator, against counters that are made up. */
#include "engine/miss_budget.h"

#include "base/util.h"
#include "tap.h"

/* Guests as a source of misses: each of `n` processors causes `rate` of them per step while it may
 * run; the law is asked after each of `steps` steps of a period, and it stops the guest `late`
 * steps after it said so. */
struct fake {
	struct miss_budget budget;
	uint64_t counts[MISS_COUNTERS_MAX];
	unsigned n, steps, late;
	uint64_t rate;
	uint64_t ran; /* steps in which the guest ran */
};

static void fake_init(struct fake *f, uint64_t budget)
{
	miss_budget_init(&f->budget, budget, f->counts, f->n);
}

static uint64_t run_period(struct fake *f)
{
	uint64_t before = f->budget.total;
	unsigned held_for = 0;

	for (unsigned s = 0; s < f->steps; s++) {
		if (held_for <= f->late) {
			f->ran++;
			for (unsigned i = 0; i < f->n; i++)
				f->counts[i] += f->rate;
		}
		if (miss_budget_count(&f->budget, f->counts))
			held_for++;
	}
	miss_budget_period(&f->budget, f->counts);
	return f->budget.total - before;
}

static void test_within(struct tap *t)
{
	struct fake f = { .n = 1, .steps = 100, .rate = 9 };

	fake_init(&f, 1000);
	for (unsigned i = 0; i < 50; i++)
		CHECK_EQ(t, run_period(&f), 900);
	CHECK_EQ(t, f.budget.periods, 50);
	CHECK_EQ(t, f.budget.held_periods, 0);
}

static void test_held(struct tap *t)
{
	struct fake f = { .n = 1, .steps = 100, .rate = 50 };
	uint64_t count = 0;

	fake_init(&f, 1000);
	/* Step by step: at the budget it is held, and stays so until the period ends. */
	f.counts[0] = 999;
	CHECK(t, !miss_budget_count(&f.budget, f.counts));
	f.counts[0] = 1000;
	CHECK(t, miss_budget_count(&f.budget, f.counts));
	CHECK(t, miss_budget_count(&f.budget, f.counts));
	miss_budget_period(&f.budget, f.counts);
	CHECK(t, !miss_budget_count(&f.budget, f.counts));
	for (unsigned i = 0; i < 100; i++)
		count += run_period(&f);
	CHECK_EQ(t, f.budget.held_periods, 101);
	CHECK(t, count >= 99000 && count <= 101000);
}

/* Ten quiet periods do not let the eleventh have more. */
static void test_no_saving(struct tap *t)
{
	struct fake f = { .n = 1, .steps = 100, .rate = 0 };

	fake_init(&f, 1000);
	for (unsigned i = 0; i < 10; i++)
		run_period(&f);
	f.rate = 100;
	CHECK_EQ(t, run_period(&f), 1000);
}

/* Who is stopped late pays for it: the mean is the budget. */
static void test_debt(struct tap *t)
{
	struct fake f = { .n = 1, .steps = 100, .rate = 100, .late = 4 };
	uint64_t sum = 0;

	fake_init(&f, 1000);
	CHECK_EQ(t, run_period(&f), 1400);
	CHECK_EQ(t, f.budget.allowance, 600);
	CHECK_EQ(t, run_period(&f), 1000); /* 600, and 400 late */
	for (unsigned i = 0; i < 1000; i++)
		sum += run_period(&f);
	CHECK(t, sum > 990000 && sum < 1010000);
}

/* However late and greedy, it runs in each period; and when it behaves, it is soon forgiven. */
static void test_no_starvation(struct tap *t)
{
	struct fake f = { .n = 4, .steps = 100, .rate = 5000, .late = 50 };
	uint64_t before;

	fake_init(&f, 1000);
	for (unsigned i = 0; i < 200; i++) {
		CHECK(t, f.budget.allowance >= 250);
		before = f.ran;
		run_period(&f);
		CHECK(t, f.ran > before);
	}
	f.rate = 0;
	for (unsigned i = 0; i < 2 * MISS_DEBT_PERIODS; i++)
		run_period(&f);
	CHECK_EQ(t, f.budget.allowance, 1000);
	/* The smallest budget that there is. */
	f = (struct fake){ .n = 1, .steps = 10, .rate = 7 };
	fake_init(&f, 1);
	for (unsigned i = 0; i < 100; i++) {
		before = f.ran;
		run_period(&f);
		CHECK(t, f.ran > before && f.budget.allowance == 1);
	}
}

/* One budget for all processors, however they share it. */
static void test_several(struct tap *t)
{
	struct fake f = { .n = 4, .steps = 100, .rate = 10 };
	uint64_t all;

	fake_init(&f, 2000);
	all = run_period(&f);
	CHECK(t, all >= 2000 && all <= 2040);
	/* Only one of them works. */
	fake_init(&f, 2000);
	f.counts[2] += 2000;
	CHECK(t, miss_budget_count(&f.budget, f.counts));
}

static void test_overflow(struct tap *t)
{
	uint64_t counts[2] = { UINT64_MAX - 10, 5 };
	struct miss_budget b;

	miss_budget_init(&b, 100, counts, 2);
	counts[0] = 20; /* 31 steps later */
	CHECK(t, !miss_budget_count(&b, counts));
	CHECK_EQ(t, b.used, 31);
	counts[1] = 0; /* went back: set anew */
	CHECK(t, !miss_budget_count(&b, counts));
	CHECK_EQ(t, b.used, 31);
	counts[1] = 69;
	CHECK(t, miss_budget_count(&b, counts));
	CHECK_EQ(t, b.total, 100);
	/* The largest numbers do not wrap the sums. */
	miss_budget_init(&b, UINT64_MAX, counts, 2);
	for (unsigned i = 0; i < 8; i++) {
		counts[0] += UINT64_MAX >> 1;
		counts[1] += UINT64_MAX >> 1;
		miss_budget_count(&b, counts);
	}
	CHECK_EQ(t, b.used, UINT64_MAX);
	CHECK_EQ(t, b.total, UINT64_MAX);
	miss_budget_period(&b, counts);
	CHECK_EQ(t, b.used, 0);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, test_within);
	TAP_RUN(&t, test_held);
	TAP_RUN(&t, test_no_saving);
	TAP_RUN(&t, test_debt);
	TAP_RUN(&t, test_no_starvation);
	TAP_RUN(&t, test_several);
	TAP_RUN(&t, test_overflow);
	return tap_done(&t);
}
