/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What address translation promises to the rings, in place of the functions themselves: proofs of
 * the rings use these, memory.c proves that the functions keep the promise.
 */
#include "model.h"

/* An address inside guest memory with room for `len` bytes. */
static uint8_t *somewhere(uint64_t len)
{
	const struct gm_region *r = &model_gm.r[nondet_bool()];
	uint64_t off = nondet_u64();

	ASSUME(range_in(off, len, r->size));
	return r->hva + off;
}

void *vq_host_slow(struct vq *vq, uint64_t gpa, uint64_t len)
{
	const struct gm_region *r = &model_gm.r[nondet_bool()];

	if (nondet_bool())
		return NULL;
	vq->hot.gpa = r->gpa;
	vq->hot.size = r->size;
	vq->hot.hva = r->hva;
	return somewhere(len);
}

/* Two pieces at most, as there are two ranges. */
bool vq_chain_add_pieces(struct vq *vq, struct vq_chain *c, const struct desc *d, bool write)
{
	uint32_t n = c->n_out + c->n_in, pieces = 1 + nondet_bool();
	uint64_t first = pieces == 1 ? d->len : nondet_u32();

	ASSUME(first <= d->len);
	if (nondet_bool())
		return vq_break(vq, "a buffer lies outside guest memory");
	if (n + pieces > c->iov_cap && !vq_chain_grow(vq, c))
		return false;
	c->iov[n] = (struct iovec){ somewhere(first), first };
	if (pieces == 2)
		c->iov[n + 1] = (struct iovec){ somewhere(d->len - first), d->len - first };
	*(write ? &c->n_in : &c->n_out) += pieces;
	*(write ? &c->in_len : &c->out_len) += d->len;
	return true;
}
