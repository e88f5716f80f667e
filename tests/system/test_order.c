/* SPDX-License-Identifier: BSD-3-Clause */
/* The graph of who comes after whom. */
#include "base/util.h"
#include "system/order.h"
#include "tap.h"

static void test_no_cycle(struct tap *t)
{
	struct order o = { .n = 0 };
	unsigned path[ORDER_MAX];

	CHECK_EQ(t, order_cycle(&o, path), 0);
	o.n = 4;
	CHECK_EQ(t, order_cycle(&o, path), 0);
	order_add(&o, 3, 1);
	order_add(&o, 3, 2);
	order_add(&o, 2, 1);
	order_add(&o, 1, 0);
	CHECK_EQ(t, order_cycle(&o, path), 0);
	CHECK_EQ(t, order_followers(&o, 0), 0xe);
	CHECK_EQ(t, order_followers(&o, 1), 0xc);
	CHECK_EQ(t, order_followers(&o, 2), 0x8);
	CHECK_EQ(t, order_followers(&o, 3), 0);
}

/* The path is a cycle: each comes after the next. */
static bool goes_round(const struct order *o, const unsigned *path, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!(o->after[path[i]] & UINT64_C(1) << path[(i + 1) % n]))
			return false;
	return true;
}

static void test_cycles(struct tap *t)
{
	struct order self = { .n = 3 }, far = { .n = 6 };
	unsigned path[ORDER_MAX], n;

	order_add(&self, 1, 1);
	n = order_cycle(&self, path);
	CHECK_EQ(t, n, 1);
	CHECK_EQ(t, path[0], 1);
	/* 0 waits for a cycle without being part of it; 2, 4 and 5 are it; 3 has nothing to do. */
	order_add(&far, 0, 2);
	order_add(&far, 2, 1);
	order_add(&far, 2, 4);
	order_add(&far, 4, 5);
	order_add(&far, 5, 2);
	order_add(&far, 3, 1);
	n = order_cycle(&far, path);
	CHECK_EQ(t, n, 3);
	CHECK(t, goes_round(&far, path, n));
	for (unsigned i = 0; i < n; i++)
		CHECK(t, path[i] == 2 || path[i] == 4 || path[i] == 5);
}

/* All 64, in a line and as a ring. */
static void test_full(struct tap *t)
{
	struct order o = { .n = ORDER_MAX };
	unsigned path[ORDER_MAX], n;

	for (unsigned i = 1; i < ORDER_MAX; i++)
		order_add(&o, i, i - 1);
	CHECK_EQ(t, order_cycle(&o, path), 0);
	CHECK_EQ(t, order_followers(&o, 0), UINT64_MAX - 1);
	CHECK_EQ(t, order_followers(&o, 62), UINT64_C(1) << 63);
	order_add(&o, 0, 63);
	n = order_cycle(&o, path);
	CHECK_EQ(t, n, ORDER_MAX);
	CHECK(t, goes_round(&o, path, n));
	CHECK_EQ(t, order_followers(&o, 7), UINT64_MAX);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, test_no_cycle);
	TAP_RUN(&t, test_cycles);
	TAP_RUN(&t, test_full);
	return tap_done(&t);
}
