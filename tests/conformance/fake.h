/* SPDX-License-Identifier: BSD-3-Clause */
/* A device in this process, with a split ring, that breaks a rule when it is told to: what the core
 * of the conformance suite must notice. */
#pragma once

#include "conformance/cf.h"

/* The rule that is broken. */
enum fake_fault {
	FAKE_GOOD,
	FAKE_WRITES_BEFORE,  /* a byte before the buffer */
	FAKE_WRITES_BEHIND,  /* a byte behind it */
	FAKE_LONG_USED,	     /* says that it wrote one byte more */
	FAKE_WRONG_ID,	     /* uses a descriptor that was not available */
	FAKE_SILENT,	     /* never answers */
	FAKE_DIES,	     /* is gone with the first request */
	FAKE_NO_RESET,	     /* its status never becomes 0 */
	FAKE_NO_FEATURES_OK, /* refuses any features */
	FAKE_NO_INTERRUPT,   /* uses buffers without an interrupt */
	FAKE_NO_NEEDS_RESET, /* bears a chain that loops without a word */
	FAKE_USES_LOOP,	     /* says DEVICE_NEEDS_RESET, but uses the buffer all the same */
	FAKE_STAYS_BROKEN,   /* does not work after a reset any more once a chain looped */
};

struct fake {
	struct cf_target target;
	struct drv_platform platform;
	struct drv_dev dev;
	enum fake_fault fault;

	uint64_t features;
	uint8_t status;
	struct drv_queue_addr queue;
	uint16_t seen, used; /* indices of the ring */
	uint32_t interrupts;
	bool gone, wrecked;
	unsigned revived;

	_Alignas(64) uint8_t dev_mem[1 << 20];
	_Alignas(64) uint8_t mem[1 << 16];
};

/* A random number generator of 16 bytes a request, device ID 4. */
void fake_init(struct fake *f, enum fake_fault fault);
