/* SPDX-License-Identifier: BSD-3-Clause */
/* Before each source file of a proof that has adding a buffer by contract: inline functions, whose
 * callers get those in contracts.c. And a chain is only asked for when there is one. */
#pragma once

#include "virtio/queue_priv.h"

#define chain_add    vq_cut_chain_add
#define chain_single vq_cut_chain_single

bool vq_cut_chain_add(struct vq *vq, struct vq_chain *c, const struct desc *d, bool write);
bool vq_cut_chain_single(
	const struct vq *vq, struct vq_chain *c, const struct desc *d, unsigned flags);

static inline struct vq_chain *vq_cut_chain_new(struct vq *vq)
{
	__CPROVER_assert(vq->nfree, "a chain is free");
	__CPROVER_assume(vq->nfree);
	return chain_new(vq);
}

#define chain_new vq_cut_chain_new
