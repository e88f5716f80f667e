/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Proofs of what a pop is made of, one function each: finding guest memory, and adding a buffer to
 * a chain. Those of callers (queue.c) have contracts.c in place of what is proven here.
 */
#include <errno.h>

#include "model.h"

static struct model m;

static bool is_range(uint64_t gpa, uint64_t size, const uint8_t *hva)
{
	for (unsigned i = 0; i < model_gm.n; i++) {
		const struct gm_region *r = &model_gm.r[i];

		if (r->gpa == gpa && r->size == size && r->hva == hva)
			return true;
	}
	return false;
}

void prove_host(void)
{
	uint64_t gpa = nondet_u64(), len = nondet_u64();
	void *p;

	model_chain(&m, PACKED);
	ASSUME(len);
	p = vq_host_slow(m.vq, gpa, len);
	if (!p)
		return;
	PROVE(model_in_guest_memory(&(struct iovec){ p, len }), "an address is in guest memory");
	PROVE(is_range(m.vq->hot.gpa, m.vq->hot.size, m.vq->hot.hva), "a range is remembered");
}

void prove_iov(void)
{
	uint64_t gpa = nondet_u64(), len = nondet_u64(), sum = 0;
	unsigned max = nondet_u16();
	struct iovec v[GM_REGIONS_MAX];
	int n;

	model_memory();
	ASSUME(max <= GM_REGIONS_MAX);
	n = gm_iov(&model_gm, gpa, len, v, max);
	PROVE(n <= (int)max && (n > 0 || n == -EFAULT || n == -E2BIG), "so many pieces");
	for (int i = 0; i < n; i++) {
		PROVE(v[i].iov_len && model_in_guest_memory(&v[i]), "a piece is in guest memory");
		sum += v[i].iov_len;
	}
	PROVE(n < 0 || sum == len, "the pieces are the whole");
}

/* A chain as it was, and one of its buffers. */
struct before {
	uint32_t n, n_out, n_in, one;
	uint64_t out_len, in_len;
	struct iovec v;
};

static struct before look(const struct vq_chain *c)
{
	struct before b = {
		.n = c->n_out + c->n_in,
		.n_out = c->n_out,
		.n_in = c->n_in,
		.one = nondet_u32(),
		.out_len = c->out_len,
		.in_len = c->in_len,
	};

	ASSUME(b.one < c->iov_cap);
	b.v = c->iov[b.one];
	return b;
}

/* `d` came after what was there, which is still the same. */
static void check_added(
	const struct vq_chain *c, const struct before *b, const struct desc *d, bool write)
{
	uint32_t n = c->n_out + c->n_in;
	uint64_t len = 0;

	PROVE(n >= b->n && n <= b->n + 2 && n <= c->iov_cap, "a chain's buffers fit their list");
	PROVE(__CPROVER_w_ok(c->iov, c->iov_cap * sizeof(*c->iov)), "a list has its room");
	PROVE((write ? c->n_out : c->n_in) == (write ? b->n_out : b->n_in) &&
			(write ? c->out_len : c->in_len) == (write ? b->out_len : b->in_len),
		"only one direction grows");
	PROVE((write ? c->in_len - b->in_len : c->out_len - b->out_len) == d->len,
		"a chain is longer by the buffer");
	if (b->one < b->n)
		PROVE(c->iov[b->one].iov_base == b->v.iov_base &&
				c->iov[b->one].iov_len == b->v.iov_len,
			"the buffers before are the same");
	for (uint32_t i = b->n; i < n; i++) {
		PROVE(model_in_guest_memory(&c->iov[i]), "a buffer is inside guest memory");
		len += c->iov[i].iov_len;
	}
	PROVE(len == d->len, "the pieces are the buffer");
}

void prove_pieces(void)
{
	struct vq_chain *c = model_chain(&m, PACKED);
	struct before b = look(c);
	struct desc d = model_desc();
	bool write = nondet_bool();

	ASSUME(d.len);
	if (vq_chain_add_pieces(m.vq, c, &d, write))
		check_added(c, &b, &d, write);
	else
		PROVE(m.vq->broken, "the rule is named");
}

void prove_add(void)
{
	struct vq_chain *c = model_chain(&m, PACKED);
	struct before b = look(c);
	struct desc d = model_desc();
	bool write = nondet_bool();

	if (!chain_add(m.vq, c, &d, write)) {
		PROVE(m.vq->broken, "the rule is named");
		return;
	}
	PROVE(write || !b.n_in, "a buffer to read does not follow one to write");
	check_added(c, &b, &d, write);
}

void prove_single(void)
{
	struct vq_chain *c = model_chain(&m, PACKED);
	struct before b = look(c);
	struct desc d = model_desc();
	unsigned flags = nondet_u16();
	bool write = flags & VIRTQ_DESC_F_WRITE;

	if (!chain_single(m.vq, c, &d, flags)) {
		PROVE(c->n_out == b.n_out && c->n_in == b.n_in, "nothing is changed");
		return;
	}
	PROVE(!(flags & (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT)) && d.len,
		"it is a single buffer");
	PROVE(c->n_in == write && c->n_out == !write, "a chain has one buffer");
	PROVE(c->in_len == (write ? d.len : 0) && c->out_len == (write ? 0 : d.len),
		"a chain is as long as its buffer");
	PROVE(c->iov[0].iov_len == d.len && model_in_guest_memory(&c->iov[0]),
		"the buffer is inside guest memory");
}

void prove_table(void)
{
	const struct vring_desc *table;
	struct desc d = model_desc();
	uint32_t count;

	model_chain(&m, PACKED);
	table = vq_indirect_table(m.vq, &d, nondet_u16(), &count);
	if (!table)
		return;
	PROVE(count && __CPROVER_r_ok(table, (size_t)count * sizeof(*table)),
		"all entries of a table are there");
}
