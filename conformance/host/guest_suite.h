/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole runs of the suite in a guest. Each returns 0, or -errno if there was nothing to judge. */
#pragma once

#include "conformance/host/guest_judge.h"

struct guest_suite {
	struct vm_opts vm;
	const char *words; /* for the guest's command line */
	uint32_t silence_s, time_s;
	struct report *report;
};

/* All cases; after a hang the guest is started again behind the case that hung. */
int guest_suite_run(const struct guest_suite *s, struct err *e);
/* What was flushed is there after everything was killed. */
int guest_suite_power_cut(const struct guest_suite *s, struct err *e);
/* Hostile cases beside a neighbour, under avp. */
int guest_suite_hostile(const struct guest_suite *s, struct err *e);
