/* SPDX-License-Identifier: BSD-3-Clause */
/* The clock of an Arm board: a PL031 (Arm DDI 0224C), which shows the host's time of day until the
 * guest sets another, and has an alarm. */
#pragma once

#include <pthread.h>

#include "transport/vmm.h"

/* Private fields. `lock` guards all below it. */
struct pl031 {
	struct vmm *vmm;
	struct bus_range range;
	uint32_t irq;
	int timer_fd; /* of the alarm, in the host's time of day */
	struct ev_fd timer;

	pthread_mutex_t lock;
	uint32_t offset; /* seconds that the guest is ahead of the host, modulo 2^32 */
	uint32_t match, load;
	bool enabled, pending, line;
};

/* Puts the clock on vmm->mmio at `addr`, 4 KiB. On vmm->loop's thread or before it runs. */
int pl031_init(struct pl031 *r, struct vmm *vmm, uint64_t addr, uint32_t irq, struct err *e);
/* Accepts a zeroed structure. */
void pl031_finish(struct pl031 *r);
