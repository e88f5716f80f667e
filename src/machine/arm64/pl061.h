/* SPDX-License-Identifier: BSD-3-Clause */
/* GPIO of an Arm board: a PL061 (Arm DDI 0190B), of whose eight inputs one is the power key. */
#pragma once

#include <pthread.h>

#include "transport/vmm.h"

/* Private fields. `lock` guards all below it. */
struct pl061 {
	struct vmm *vmm;
	struct bus_range range;
	uint32_t irq;
	struct ev_timer release; /* the loop's thread only */
	uint8_t pressed;	 /* the loop's thread only */

	pthread_mutex_t lock;
	uint8_t input, output; /* levels: from outside, and of the data register */
	uint8_t dir, is, ibe, iev, ie, ris, afsel;
	bool line;
};

/* Puts the block on vmm->mmio at `addr`, 4 KiB. On vmm->loop's thread or before it runs. */
int pl061_init(struct pl061 *g, struct vmm *vmm, uint64_t addr, uint32_t irq, struct err *e);
/* Accepts a zeroed structure. */
void pl061_finish(struct pl061 *g);
/* Presses the key at input `pin` for a tenth of a second. On vmm->loop's thread. Returns false if
 * the guest has not enabled the pin's interrupt. */
bool pl061_press(struct pl061 *g, unsigned pin);
