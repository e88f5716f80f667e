/* SPDX-License-Identifier: BSD-3-Clause */
/* A virtqueue in any state. See model.h. */
#include "model.h"

#include <stdlib.h>

struct gm model_gm;
struct model_added model_added;

uint64_t shared_load(const void *p, size_t size)
{
	PROVE(__CPROVER_r_ok(p, size), "a read of shared memory is inside the ring or table");
	return nondet_u64();
}

void *model_copy(void *to, const void *from, size_t len)
{
	struct iovec *t = to;
	const struct iovec *f = from;

	PROVE(__CPROVER_r_ok(from, len) && __CPROVER_w_ok(to, len),
		"a copy stays inside both sides");
	if (__CPROVER_same_object(from, model_gm.r[0].hva) ||
		__CPROVER_same_object(from, model_gm.r[1].hva))
		return to;
	for (size_t i = 0; i < len / sizeof(*t); i++)
		t[i] = f[i];
	return to;
}

/* Lists of buffers only grow, and only to twice of what they were. Sizes are constants where they
 * can be, so that CBMC need not reason about arrays of any size. */
void *model_realloc(void *old, size_t len)
{
	const size_t first = 2 * CHAIN_IOV_INLINE * sizeof(struct iovec);
	void *p = len == first ? malloc(first) : len == 2 * first ? malloc(2 * first) : NULL;

	if (p && old)
		model_copy(p, old, len / 2);
	if (p)
		free(old);
	return p;
}

/* The ids in flight. */

static struct {
	bool busy;
	uint16_t id;
} ids[N];

static void check_id(const struct vq *vq, uint16_t id)
{
	PROVE(vq->packed || id < vq->size, "a head is below the queue size");
}

bool busy_test(const struct vq *vq, uint16_t id)
{
	bool busy = false;

	check_id(vq, id);
	for (unsigned i = 0; i < N; i++)
		busy |= ids[i].busy && ids[i].id == id;
	return busy;
}

void busy_clear(struct vq *vq, uint16_t id)
{
	check_id(vq, id);
	for (unsigned i = 0; i < N; i++)
		ids[i].busy &= ids[i].id != id;
}

void busy_set(struct vq *vq, uint16_t id)
{
	unsigned i = 0;

	busy_clear(vq, id);
	while (i < N && ids[i].busy)
		i++;
	PROVE(i < N, "no more ids are in flight than the ring has entries");
	ASSUME(i < N);
	ids[i].busy = true;
	ids[i].id = id;
}

/* What the proven files call. The texts of errors and the eventfd are not looked at. */

int err_set(struct err *e, int code, const char *fmt, ...)
{
	return code;
}

int err_sys(struct err *e, int code, const char *fmt, ...)
{
	return code;
}

int fd_event_signal(int fd)
{
	return nondet_bool() ? 0 : -1;
}

/* Any order: the counters that decide it are the peer's. */
void qsort_r(void *base, size_t n, size_t size, __compar_d_fn_t compare, void *arg)
{
	uint16_t *at = base;

	for (size_t i = 1; i < n; i++) {
		size_t k = nondet_u16();
		uint16_t v = at[i];

		ASSUME(k <= i);
		at[i] = at[k];
		at[k] = v;
	}
}

void model_memory(void)
{
	struct gm_region *a = &model_gm.r[0], *b = &model_gm.r[1];

	model_gm.n = 2;
	for (unsigned i = 0; i < 2; i++) {
		struct gm_region *r = &model_gm.r[i];

		r->gpa = nondet_u64();
		r->size = nondet_u64();
		ASSUME(r->size && r->size < UINT64_C(1) << 40 && r->gpa + (r->size - 1) >= r->gpa);
		r->hva = malloc(r->size);
		ASSUME(r->hva);
	}
	ASSUME(a->gpa + (a->size - 1) < b->gpa);
}

static void *area(size_t len)
{
	void *p = malloc(len);

	ASSUME(p);
	return p;
}

void model_setup(struct model *m, bool packed, bool inflight)
{
	uint32_t desc, driver, device;
	uint64_t features = nondet_u64();

	vq_ring_sizes(N, packed, &desc, &driver, &device);
	features &= ~FEATURE(VIRTIO_F_RING_PACKED);
	m->setup = (struct vq_setup){
		.size = N,
		.desc = area(desc),
		.driver = area(driver),
		.device = area(device),
		.features = features | (packed ? FEATURE(VIRTIO_F_RING_PACKED) : 0),
		.gm = &model_gm,
		.call_fd = nondet_bool() ? 3 : -1,
		.avail_base = nondet_u16(),
		.used_base = nondet_u16(),
		.inflight = inflight ? m->record : NULL,
		.inflight_len = sizeof(m->record),
	};
}

/* Out of any used before: its room is what it had, or larger, then memory of its own. */
static void any_chain(struct vq *vq, uint16_t slot, bool packed)
{
	struct vq_chain *c = &vq->chains[slot];

	c->vq = vq;
	c->slot = slot;
	c->iov = vq->iov + (size_t)slot * CHAIN_IOV_INLINE;
	c->iov_cap = CHAIN_IOV_INLINE;
	if (OWN_LIST) {
		c->iov_cap = 2 * CHAIN_IOV_INLINE;
		c->iov = area(c->iov_cap * sizeof(*c->iov));
	}
	c->id = nondet_u16();
	c->ndesc = packed ? nondet_u16() : 1;
	c->written = nondet_u32();
	c->done = nondet_bool();
	c->resubmitted = nondet_bool();
	c->record = nondet_u16();
}

static void any_split(struct split_ring *r)
{
	r->last_avail = nondet_u16();
	r->shadow_avail = nondet_u16();
	r->used_next = nondet_u16();
	r->used_shown = nondet_u16();
	r->used_told = nondet_u16();
	/* vq_flush() follows vq_show() before the index has gone half way round. */
	ASSUME((uint16_t)(r->used_shown - r->used_told) < 0x8000);
}

static void any_packed(struct packed_ring *r)
{
	r->avail_pos = nondet_u16();
	r->used_pos = nondet_u16();
	r->avail_wrap = nondet_bool();
	r->used_wrap = nondet_bool();
	r->end_pos = nondet_u16();
	r->end_wrap = nondet_bool();
	r->pending = nondet_bool();
	r->first_wrap = nondet_bool();
	r->first_pos = nondet_u16();
	r->first_flags = nondet_u16();
	r->in_use = nondet_u16();
	r->untold = nondet_bool();
	r->told_wrap = nondet_bool();
	r->told_pos = nondet_u16();
	r->ntold = nondet_u16();
}

static void any_hot(struct vq *vq)
{
	unsigned i = nondet_bool();

	if (nondet_bool())
		return;
	vq->hot.gpa = model_gm.r[i].gpa;
	vq->hot.size = model_gm.r[i].size;
	vq->hot.hva = model_gm.r[i].hva;
}

static void any_shared(struct model *m)
{
	struct vq *vq = m->vq;

	for (uint16_t i = 0; i < N; i++) {
		m->out[i] = i >= N - OUT;
		if (m->out[i] || nondet_bool())
			any_chain(vq, i, vq->packed);
		vq->free_slots[i] = m->out[i] ? nondet_u16() : i;
		if (vq->in_order)
			vq->order[i & vq->order_mask] = nondet_u16();
	}
	vq->nfree = N - OUT;
	vq->order_in = nondet_u32();
	vq->order_out = nondet_u32();
	vq->broken = nondet_bool() ? "a rule" : NULL;
	any_hot(vq);
}

/* Busy are the ids of the chains that are out. */
static void mark_busy(struct model *m)
{
	for (uint16_t i = 0; i < N; i++)
		if (m->out[i])
			busy_set(m->vq, m->vq->chains[i].id);
}

/* What vq_start() allocates; its contents follow. */
static void any_arrays(struct vq *vq)
{
	static struct vq_chain chains[N];
	static struct iovec iov[N * CHAIN_IOV_INLINE];
	static uint16_t free_slots[N], order[2 * N], resubmit[N], lists[N], batch[N];

	vq->chains = chains;
	vq->iov = iov;
	vq->free_slots = free_slots;
	vq->order = order;
	vq->order_mask = N > 2 ? 3 : N - 1;
	vq->resubmit = resubmit;
	vq->lists = lists;
	vq->batch = batch;
}

/* A started queue; what can vary is still as at the start. */
static struct vq *started(struct model *m, bool packed, bool inflight)
{
	static struct vq vq;

	model_memory();
	model_setup(m, packed, inflight);
	vq = (struct vq){
		.running = true,
		.packed = packed,
		.indirect = nondet_bool(),
		.size = N,
		.gm = &model_gm,
		.call_fd = m->setup.call_fd,
		.inflight = m->setup.inflight,
	};
	m->vq = &vq;
	any_arrays(&vq);
	if (packed) {
		vq.pack.desc = m->setup.desc;
		vq.pack.driver = m->setup.driver;
		vq.pack.device = m->setup.device;
		vq.pack.avail_wrap = vq.pack.used_wrap = true;
	} else {
		vq.split.desc = m->setup.desc;
		vq.split.avail = m->setup.driver;
		vq.split.used = m->setup.device;
		vq.split.mask = N - 1;
	}
	return &vq;
}

struct vq_chain *model_chain(struct model *m, bool packed)
{
	struct vq *vq = started(m, packed, false);
	struct vq_chain *c = &vq->chains[0];

	any_hot(vq);
	any_chain(vq, 0, packed);
	c->n_out = nondet_u32();
	c->n_in = nondet_u32();
	ASSUME(c->n_out <= c->iov_cap && c->n_in <= c->iov_cap - c->n_out);
	c->out_len = nondet_u64();
	c->in_len = nondet_u64();
	return c;
}

struct desc model_desc(void)
{
	return (struct desc){ nondet_u64(), nondet_u32(), nondet_u16(), nondet_u16() };
}

void model_queue(struct model *m, bool packed, bool inflight)
{
	struct vq *vq = started(m, packed, inflight);

	vq->open = nondet_bool();
	vq->polled = nondet_bool();
	vq->armed = nondet_bool();
	vq->wish = nondet_u16() % 3;
	vq->event_idx = nondet_bool();
	vq->in_order = nondet_bool();
	if (packed)
		any_packed(&vq->pack);
	else
		any_split(&vq->split);
	any_shared(m);
	for (uint16_t i = 0; i < N; i++)
		ASSUME(!m->out[i] || packed || vq->chains[i].id < N);
	mark_busy(m);
	ASSUME(model_holds(m));
}

static unsigned count_out(const struct model *m)
{
	unsigned n = 0;

	for (uint16_t i = 0; i < N; i++)
		n += m->out[i];
	return n;
}

/* No two chains that are out have the same id, and each of these is busy. */
static bool ids_hold(const struct model *m)
{
	const struct vq_chain *c = m->vq->chains;

	for (uint16_t i = 0; i < N; i++) {
		if (!m->out[i])
			continue;
		if ((!m->vq->packed && c[i].id >= N) || !busy_test(m->vq, c[i].id))
			return false;
		for (uint16_t k = 0; k < i; k++)
			if (m->out[k] && c[k].id == c[i].id)
				return false;
	}
	return true;
}

/* The stack holds each slot that is not out, once. */
static bool slots_hold(const struct model *m)
{
	const struct vq *vq = m->vq;

	if (vq->nfree > N || chains_out(vq) != count_out(m))
		return false;
	for (uint16_t i = 0; i < vq->nfree; i++) {
		if (vq->free_slots[i] >= N || m->out[vq->free_slots[i]])
			return false;
		for (uint16_t k = 0; k < i; k++)
			if (vq->free_slots[k] == vq->free_slots[i])
				return false;
	}
	return true;
}

/* The chains have their room. */
static bool rooms_hold(const struct model *m)
{
	for (uint16_t i = 0; i < N; i++) {
		const struct vq_chain *c = &m->vq->chains[i];

		if (!c->iov && !m->out[i])
			continue;
		if (c->vq != m->vq || c->slot != i || c->iov_cap < CHAIN_IOV_INLINE ||
			!__CPROVER_w_ok(c->iov, c->iov_cap * sizeof(*c->iov)))
			return false;
	}
	return true;
}

/* The list holds each chain that is out, once, and the oldest is not done. */
static bool order_holds(const struct model *m)
{
	const struct vq *vq = m->vq;
	bool seen[N] = { false };

	if (!vq->in_order)
		return true;
	if (vq->order_in - vq->order_out != chains_out(vq))
		return false;
	for (uint16_t i = 0; i < chains_out(vq); i++) {
		uint16_t slot = vq->order[(vq->order_out + i) & vq->order_mask];

		if (slot >= N || !m->out[slot] || seen[slot] || (!i && vq->chains[slot].done))
			return false;
		seen[slot] = true;
	}
	return true;
}

/* used_shown, used_next, last_avail and shadow_avail come in this order within one round. */
static bool split_holds(const struct model *m)
{
	const struct split_ring *r = &m->vq->split;
	uint16_t next = r->used_next - r->used_shown, last = r->last_avail - r->used_shown,
		 shadow = r->shadow_avail - r->used_shown;

	return r->mask == N - 1 && next + chains_out(m->vq) <= last && last <= shadow &&
	       shadow <= N;
}

/* What is between used and available is in use: by chains that are out, or lost in a stop. */
static bool packed_holds(const struct model *m)
{
	const struct packed_ring *r = &m->vq->pack;
	unsigned n = 0, ahead;

	for (uint16_t i = 0; i < N; i++) {
		const struct vq_chain *c = &m->vq->chains[i];

		if (!m->out[i])
			continue;
		if (!c->ndesc || c->ndesc > N)
			return false;
		n += c->ndesc;
	}
	if (r->avail_pos >= N || r->used_pos >= N || r->end_pos >= N || r->in_use > N)
		return false;
	ahead = r->avail_pos + (r->avail_wrap != r->used_wrap ? N : 0u) - r->used_pos;
	return ahead == r->in_use && n <= r->in_use && (!r->pending || r->first_pos < N);
}

bool model_holds(const struct model *m)
{
	return slots_hold(m) && rooms_hold(m) && ids_hold(m) && order_holds(m) &&
	       (m->vq->packed ? packed_holds(m) : split_holds(m));
}

bool model_in_guest_memory(const struct iovec *v)
{
	bool same = __CPROVER_same_object(v->iov_base, model_gm.r[0].hva) ||
		    __CPROVER_same_object(v->iov_base, model_gm.r[1].hva);

	return same && __CPROVER_r_ok(v->iov_base, v->iov_len);
}

void model_check_chain(const struct model *m, const struct vq_chain *c)
{
	uint32_t n = c->n_out + c->n_in;

	PROVE(n <= c->iov_cap, "a chain's buffers fit their list");
	PROVE(c->out_len + c->in_len <= UINT64_C(1) << 32, "a chain is not too long");
	PROVE(n == model_added.n, "a chain's buffers are those that were added");
	PROVE(c->out_len + c->in_len == model_added.len,
		"a chain's length is that of what was added");
	for (uint16_t i = 0; i < N; i++)
		PROVE(!m->out[i] || m->vq->chains[i].id != c->id,
			"a chain that is out is not handed out again");
}
