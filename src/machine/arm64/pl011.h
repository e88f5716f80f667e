/* SPDX-License-Identifier: BSD-3-Clause */
/* The console of an Arm board: a PL011 UART (Arm DDI 0183G), transmitting at once, receiving from a
 * descriptor of the host. */
#pragma once

#include <pthread.h>

#include "machine/hostline.h"
#include "transport/vmm.h"

#define PL011_FIFO 16u

/* Private fields. `lock` guards all below it. */
struct pl011 {
	struct vmm *vmm;
	struct bus_range range;
	uint32_t irq;

	pthread_mutex_t lock;
	struct hostline host;
	uint32_t lcr, cr, ifls, imsc, ris, ibrd, fbrd, ilpr, dmacr;
	bool line;
	uint8_t rx[PL011_FIFO];
	unsigned rx_head, rx_n;
};

/*
 * Puts the port on vmm->mmio at `addr`, 4 KiB. Descriptors stay the caller's, -1 is none; see
 * hostline.h. It works before the guest enables it, as if a firmware had. On vmm->loop's thread or
 * before it runs.
 */
int pl011_init(struct pl011 *u, struct vmm *vmm, uint64_t addr, uint32_t irq, int in_fd, int out_fd,
	struct err *e);
/* Accepts a zeroed structure. */
void pl011_finish(struct pl011 *u);
