/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a transport and the board need of the machine they are in: address spaces, interrupts and
 * doorbells. The engine implements it; tests use a fake.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "transport/bus.h"

struct vmm;

/* A guest write that signals an eventfd without leaving the kernel. */
struct vmm_doorbell {
	uint64_t addr; /* guest-physical */
	unsigned len;  /* bytes of the write; 0: any */
	bool match;    /* only writes of exactly `value` */
	uint32_t value;
	int fd; /* eventfd, not owned */
};

/* A message-signalled interrupt. */
struct vmm_msi {
	uint64_t addr;
	uint32_t data;
	uint16_t requester; /* PCI requester id of the sender: an interrupt controller may look at
			       it */
};

/* All may be called from any thread and return 0 or -errno. */
struct vmm_ops {
	int (*doorbell)(struct vmm *vmm, const struct vmm_doorbell *bell, bool on);
	/* Sets the level of one source of a shared level-triggered line; to be called only when the
	 * source changes. */
	int (*irq_line)(struct vmm *vmm, uint32_t gsi, bool level);
	/* Message-signalled interrupts: a number, its message, and eventfds that send it. An
	 * eventfd already signalled when it is connected sends it at once. */
	int (*msi_alloc)(struct vmm *vmm, uint32_t *gsi);
	int (*msi_set)(struct vmm *vmm, uint32_t gsi, const struct vmm_msi *msi);
	int (*msi_connect)(struct vmm *vmm, uint32_t gsi, int fd, bool on);
	/* Lets the guest read `len` bytes at `mem` (both whole pages, the caller's) at `gpa`
	 * without leaving the kernel, until it is taken away; its writes come to the bus all the
	 * while. NULL: the machine cannot do that, reads come to the bus, too. */
	int (*rom)(struct vmm *vmm, uint64_t gpa, void *mem, uint64_t len, bool on);
};

struct vmm {
	const struct vmm_ops *ops;
	struct ev_loop *loop; /* of the monitor's main thread */
	struct bus mmio, pio;
	struct gm gm;	    /* guest RAM, fixed while the guest runs */
	unsigned addr_bits; /* of guest-physical addresses that the board may use, at most 40 */
	uint64_t counter_offset; /* arm64: the guest's virtual counter is the host's less this */
	const struct log *log;
};
