/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of up to 64 things comes after which: a directed graph as bit masks. */
#pragma once

#include <stdint.h>

#define ORDER_MAX 64u

struct order {
	uint64_t after[ORDER_MAX]; /* bit k of after[i]: i comes after k */
	unsigned n;
};

/* `i` comes after `k`; both are below `n`. */
void order_add(struct order *o, unsigned i, unsigned k);
/*
 * The number of things in a cycle, which are put into `path` (room for n): each comes after the
 * next, the last one after the first. 0: there is no cycle.
 */
unsigned order_cycle(const struct order *o, unsigned *path);
/* All that come after `i`, directly or not, as bits. */
uint64_t order_followers(const struct order *o, unsigned i);
