/* SPDX-License-Identifier: BSD-3-Clause */
/* Token buckets: a rate with a burst. May go into debt by one item, so that large items pass. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TOKENS_NS UINT64_C(1000000000)

/* Zero-initialised: no limit. */
struct tokens {
	uint64_t rate; /* tokens per second; 0: no limit */
	int64_t burst; /* most tokens saved up */
	int64_t level;
	uint64_t at_ns; /* when level was computed */
};

static inline void tokens_init(struct tokens *t, uint64_t rate, uint64_t burst)
{
	*t = (struct tokens){ .rate = rate, .burst = (int64_t)burst, .level = (int64_t)burst };
}

/* Adds what has come in by `now_ns`; true if something may be taken. */
static inline bool tokens_ready(struct tokens *t, uint64_t now_ns)
{
	uint64_t ns, more;

	if (!t->rate)
		return true;
	ns = t->at_ns && now_ns > t->at_ns ? now_ns - t->at_ns : 0;
	if (ns > 10 * TOKENS_NS)
		ns = 10 * TOKENS_NS;
	more = (uint64_t)((unsigned __int128)ns * t->rate / TOKENS_NS);
	if (more || !t->at_ns) {
		t->level += (int64_t)more;
		t->at_ns = now_ns;
	}
	if (t->level > t->burst)
		t->level = t->burst;
	return t->level > 0;
}

static inline void tokens_take(struct tokens *t, uint64_t n)
{
	if (t->rate)
		t->level -= (int64_t)n;
}

/* Nanoseconds until something may be taken, after tokens_ready() said no. */
static inline uint64_t tokens_wait_ns(const struct tokens *t)
{
	return (uint64_t)(1 - t->level) * TOKENS_NS / t->rate + 1;
}
