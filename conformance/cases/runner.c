/* SPDX-License-Identifier: BSD-3-Clause */
/* Cases whose verdict only a runner can give: `avp conform guest` on platforms that it starts. */
#include "conformance/cases/cases.h"

/* What was written and flushed is there after all processes were killed (guest/persist.c). */
static void power_cut(struct cf *c)
{
	cf_skip(c, "judged in two boots, between which avp conform guest kills everything");
}

/* The work of a second guest beside a hostile one goes on (guest/neighbour.c). */
static void neighbour(struct cf *c)
{
	cf_skip(c, "judged by avp conform guest --hostile");
}

const struct cf_case cf_cases_runner[] = {
	{ "blk.power.flushed", "BLK-2 BLK-11 BLK-13 PLAT-7 V5.2.6.2-13", power_cut, 2,
		.flags = CF_GUEST },
	{ "isolation.neighbour.unharmed", "ROB-1 ROB-5", neighbour, .flags = CF_GUEST },
	{ 0 },
};
