/* SPDX-License-Identifier: BSD-3-Clause */
/* A budget per period. */
#include "base/rate.h"

#include "base/util.h"

void rate_init(struct rate *r, uint64_t budget, uint64_t period_ns, uint64_t now_ns)
{
	*r = (struct rate){
		.budget = budget,
		.period_ns = max_u64(period_ns, 1),
		.start_ns = now_ns,
		.left = budget,
	};
}

static void rate_advance(struct rate *r, uint64_t now_ns)
{
	uint64_t passed = now_ns - r->start_ns;

	if (now_ns < r->start_ns || passed < r->period_ns)
		return;
	r->start_ns = now_ns - passed % r->period_ns;
	r->left = r->budget;
}

uint64_t rate_take(struct rate *r, uint64_t now_ns, uint64_t want)
{
	uint64_t n;

	if (!r->budget)
		return want;
	rate_advance(r, now_ns);
	n = min_u64(want, r->left);
	r->left -= n;
	return n;
}

void rate_return(struct rate *r, uint64_t units)
{
	r->left = min_u64(r->budget, r->left + units);
}

uint64_t rate_wait_ns(const struct rate *r, uint64_t now_ns)
{
	uint64_t passed = now_ns - r->start_ns;

	if (now_ns < r->start_ns || passed >= r->period_ns)
		return 1;
	return r->period_ns - passed;
}
