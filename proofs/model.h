/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the proofs of virtqueues start from: a queue in any state that it can be in, made from a
 * started one by giving every field any value that the invariant allows. What one call does to it
 * and to the invariant then holds after every history of calls.
 *
 *	QUEUE_SIZE	entries of the ring
 *	OUT		chains that the device holds: those in the last slots, as slots are names
 *	PACKED		0 or 1: the layout
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"
#include "virtio/device.h"
#include "virtio/queue_priv.h"

#define N QUEUE_SIZE
/* Of an in-flight record, in the layout that needs more. */
#define RECORD_WORDS ((32 + 32 * N + 63) / 64 * 8)

/* Values without constraint: CBMC gives functions without a body any result. */
bool nondet_bool(void);
uint16_t nondet_u16(void);
uint32_t nondet_u32(void);
uint64_t nondet_u64(void);

#define ASSUME(c)     __CPROVER_assume(c)
#define PROVE(c, why) __CPROVER_assert(c, why)

struct model {
	struct vq *vq;
	struct vq_setup setup;
	bool out[N]; /* by slot: the device holds this chain */
	uint64_t record[RECORD_WORDS];
};

extern struct gm model_gm;

/* What was added to chains where that is done by contract (contracts.c). */
struct model_added {
	uint32_t n;
	uint64_t len;
};

extern struct model_added model_added;

/* Guest memory: two ranges anywhere, of any size, adjacent or not. */
void model_memory(void);
/* Arguments for vq_start(): any features and positions, rings of exactly the size the standard
 * gives them. */
void model_setup(struct model *m, bool packed, bool inflight);
/* A queue in any state; `inflight`: with an in-flight record of any content. */
void model_queue(struct model *m, bool packed, bool inflight);
/* A chain that is being put together: any buffers so far, in a list of its own or not. */
struct vq_chain *model_chain(struct model *m, bool packed);
/* A descriptor of any content. */
struct desc model_desc(void);
/* True if the state is one that a queue can be in. */
bool model_holds(const struct model *m);
bool model_in_guest_memory(const struct iovec *v);
/* Proves that a chain is one that the device may have: new, and inside guest memory. */
void model_check_chain(const struct model *m, const struct vq_chain *c);
