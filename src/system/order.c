/* SPDX-License-Identifier: BSD-3-Clause */
/* Order of VMs. */
#include "system/order.h"

void order_add(struct order *o, unsigned i, unsigned k)
{
	o->after[i] |= UINT64_C(1) << k;
}

/* What is left when everything that comes after nothing of the rest has been taken away, again and
 * again: the things of all cycles, and those after them. */
static uint64_t without_order(const struct order *o)
{
	uint64_t left = o->n == ORDER_MAX ? UINT64_MAX : (UINT64_C(1) << o->n) - 1, before;

	do {
		before = left;
		for (unsigned i = 0; i < o->n; i++)
			if (!(o->after[i] & left))
				left &= ~(UINT64_C(1) << i);
	} while (left != before);
	return left;
}

unsigned order_cycle(const struct order *o, unsigned *path)
{
	uint64_t left = without_order(o), seen = 0;
	unsigned at, first, n = 0;

	if (!left)
		return 0;
	/* Each of them comes after another one of them, so whoever walks on comes round. */
	for (at = (unsigned)__builtin_ctzll(left); !(seen & UINT64_C(1) << at);
		at = (unsigned)__builtin_ctzll(o->after[at] & left))
		seen |= UINT64_C(1) << at;
	first = at;
	do {
		path[n++] = at;
		at = (unsigned)__builtin_ctzll(o->after[at] & left);
	} while (at != first);
	return n;
}

uint64_t order_followers(const struct order *o, unsigned i)
{
	uint64_t found = 0, before;

	do {
		before = found;
		for (unsigned k = 0; k < o->n; k++)
			if (o->after[k] & (found | UINT64_C(1) << i))
				found |= UINT64_C(1) << k;
	} while (found != before);
	return found;
}
