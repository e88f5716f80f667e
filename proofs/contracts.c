/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What functions promise to their callers, in place of the functions themselves: proofs of the
 * callers use these, chain.c proves that the functions keep the promise.
 */
#include <errno.h>

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

/* As many pieces at most as there are ranges. */
int gm_iov(const struct gm *gm, uint64_t gpa, uint64_t len, struct iovec *iov, unsigned max)
{
	unsigned n = 1 + nondet_bool();
	uint64_t first = n == 1 ? len : nondet_u64();

	if (!len || nondet_bool())
		return -EFAULT;
	if (n > max)
		return -E2BIG;
	ASSUME(first && first <= len);
	iov[0] = (struct iovec){ somewhere(first), first };
	if (n == 2)
		iov[1] = (struct iovec){ somewhere(len - first), len - first };
	return (int)n;
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

static uint32_t room_for(struct vq_chain *c, uint32_t n)
{
	uint32_t cap = c->iov_cap;

	if (n <= cap)
		return cap;
	c->iov = malloc(2 * cap * sizeof(*c->iov));
	ASSUME(c->iov);
	return 2 * cap;
}

/* The buffers themselves are not looked at by who calls this. */
bool vq_cut_chain_add(struct vq *vq, struct vq_chain *c, const struct desc *d, bool write)
{
	uint32_t pieces = nondet_u16() % 3;

	PROVE(c->n_out + c->n_in <= c->iov_cap, "a chain that grows is a chain");
	ASSUME(!d->len == !pieces);
	if (nondet_bool() || (!write && c->n_in))
		return vq_break(vq, "a rule");
	*(write ? &c->n_in : &c->n_out) += pieces;
	*(write ? &c->in_len : &c->out_len) += d->len;
	c->iov_cap = room_for(c, c->n_out + c->n_in);
	model_added.n += pieces;
	model_added.len += d->len;
	return true;
}

bool vq_cut_chain_single(
	const struct vq *vq, struct vq_chain *c, const struct desc *d, unsigned flags)
{
	bool write = flags & VIRTQ_DESC_F_WRITE;

	if (flags & (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT) || !d->len || nondet_bool())
		return false;
	c->n_in = write;
	c->n_out = !write;
	c->in_len = write ? d->len : 0;
	c->out_len = write ? 0 : d->len;
	model_added.n += 1;
	model_added.len += d->len;
	return true;
}

const struct vring_desc *vq_indirect_table(
	struct vq *vq, const struct desc *d, unsigned flags, uint32_t *count)
{
	struct vring_desc *table;

	*count = d->len / (uint32_t)sizeof(*table);
	if (nondet_bool() || !*count) {
		vq_break(vq, "a rule");
		return NULL;
	}
	table = malloc((size_t)*count * sizeof(*table));
	ASSUME(table);
	return table;
}
