/* SPDX-License-Identifier: BSD-3-Clause */
/* A budget per period: so many units may be taken in each period, what is left over is lost. */
#pragma once

#include <stdint.h>

/* Fields are private. One thread. */
struct rate {
	uint64_t budget; /* units per period; 0: no limit */
	uint64_t period_ns;
	uint64_t start_ns; /* of the current period */
	uint64_t left;	   /* units left in it */
};

/* A full budget, with the first period beginning at `now_ns` (any clock that only goes forward). */
void rate_init(struct rate *r, uint64_t budget, uint64_t period_ns, uint64_t now_ns);
/* Takes up to `want` units; returns how many, 0 if the period's budget is used up. */
uint64_t rate_take(struct rate *r, uint64_t now_ns, uint64_t want);
/* Gives back units of the last rate_take() that were not used. */
void rate_return(struct rate *r, uint64_t units);
/* Nanoseconds until the next period begins, at least 1. */
uint64_t rate_wait_ns(const struct rate *r, uint64_t now_ns);
