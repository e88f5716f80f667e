/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of a running case. For cf*.c only. */
#pragma once

#include "conformance/cf.h"

#define CF_BUFS_MAX   256
#define CF_QUEUES_MAX 16
#define CF_GUARD      64u /* bytes before and after each buffer */

struct cf_guarded {
	uint8_t *p; /* the buffer; guards before and after it */
	uint32_t len;
};

struct cf {
	const struct cf_run *run;
	struct cf_target *target;
	const struct cf_case *c;
	uint64_t offered;
	bool packed;

	enum cf_verdict verdict;
	char evidence[CF_EVIDENCE_MAX];

	size_t mem_used;
	unsigned nbufs;
	struct cf_guarded bufs[CF_BUFS_MAX];
	struct drv_queue queues[CF_QUEUES_MAX];
	bool open[CF_QUEUES_MAX];
};

/* Fails the case if a guard has changed. */
void cf_check_guards(struct cf *c);
