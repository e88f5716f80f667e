/* SPDX-License-Identifier: BSD-3-Clause */
/* COM1: a 16550A with its FIFOs, transmitting at once, receiving from a descriptor of the host. */
#pragma once

#include <pthread.h>

#include "machine/hostline.h"
#include "transport/vmm.h"

#define SERIAL_FIFO 16u

/* Private fields. `lock` guards all below it. */
struct serial {
	struct vmm *vmm;
	struct bus_range range;
	uint32_t irq;

	pthread_mutex_t lock;
	struct hostline host;
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	bool thr_pending; /* the "transmitter empty" interrupt has not been read yet */
	bool line;
	uint8_t rx[SERIAL_FIFO];
	unsigned rx_head, rx_n;
};

/*
 * Puts the port on vmm->pio at `port`. Descriptors stay the caller's, -1 is none; a transmitted
 * byte that out_fd does not take is lost, as on a line without flow control. On
 * vmm->loop's thread or before it runs.
 */
int serial_init(struct serial *s, struct vmm *vmm, uint16_t port, uint32_t irq, int in_fd,
	int out_fd, struct err *e);
void serial_finish(struct serial *s);
