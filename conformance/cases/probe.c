/* SPDX-License-Identifier: BSD-3-Clause */
/* The simplest request of a class: whatever fails here makes the rest pointless. */
#include "conformance/cases/cases.h"

static void answers(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (q)
		cf_probe_works(c, q);
}

/* Every feature offered, negotiated together. */
static void answers_with_everything(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, UINT64_MAX);

	if (q)
		cf_probe_works(c, q);
}

const struct cf_case cf_cases_probe[] = {
	{ "device.probe.answers", "V2.2.2-1", answers, .flags = CF_RINGS },
	{ "device.probe.all_features", "V2.2.2-1", answers_with_everything, .flags = CF_RINGS },
	{ 0 },
};
