/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests and rings for the cases on virtqueues. See vq_util.h. */
#include "conformance/cases/vq_util.h"

#define FRESH	  0xa5
#define POLL_NS	  UINT64_C(100000)
#define LINGER_NS UINT64_C(5000000)

/* The probe. */

static void one_element_each(struct cf *c, struct vq_req *r)
{
	r->n_out = r->out ? 1 : 0;
	r->n_in = r->in ? 1 : 0;
	if (r->out)
		r->sg[0] = cf_sg(c, r->out, r->out_len);
	if (r->in)
		r->sg[r->n_out] = cf_sg(c, r->in, r->in_len);
}

bool vq_req_make(struct cf *c, struct vq_req *r)
{
	const struct cf_probe *p = cf_probe(c);

	if (!p) {
		cf_skip(c, "no probe for device ID %u", cf_dev(c)->id);
		return false;
	}
	r->out = NULL;
	r->in = NULL;
	r->out_len = p->out_len;
	r->in_len = p->in_len;
	if (p->out_len && !(r->out = cf_buf(c, p->out_len)))
		return false;
	if (p->in_len && !(r->in = cf_buf(c, p->in_len)))
		return false;
	if (r->out)
		cf_copy(r->out, p->out, p->out_len);
	one_element_each(c, r);
	return true;
}

/* Pieces of 1, 2, 3, 1, 2, 3, ... bytes, the last one takes the rest. Returns how many. */
static unsigned cut(struct cf *c, struct drv_sg *sg, uint8_t *p, uint32_t len, unsigned n)
{
	uint32_t at = 0;
	unsigned i;

	for (i = 0; i + 1 < n && at + 1 + i % 3 < len; i++) {
		sg[i] = cf_sg(c, p + at, 1 + i % 3);
		at += 1 + i % 3;
	}
	sg[i] = cf_sg(c, p + at, len - at);
	return i + 1;
}

void vq_req_cut(struct cf *c, struct vq_req *r, unsigned n)
{
	if (n > VQ_ELEMS_MAX / 2)
		n = VQ_ELEMS_MAX / 2;
	r->n_out = r->out ? cut(c, r->sg, r->out, r->out_len, n) : 0;
	r->n_in = r->in ? cut(c, r->sg + r->n_out, r->in, r->in_len, n) : 0;
}

bool vq_len_right(struct cf *c, uint32_t len)
{
	const struct cf_probe *p = cf_probe(c);

	return cf_check(c, len >= p->used_min && len <= p->used,
		"the used length is %u, must be %u to %u", len, p->used_min, p->used);
}

bool vq_req_answered(struct cf *c, const struct vq_req *r, uint32_t len)
{
	const struct cf_probe *p = cf_probe(c);

	return vq_len_right(c, len) &&
	       cf_check(c, !r->in || cf_filled(r->in + len, FRESH, r->in_len - len),
		       "bytes behind the used length of %u were written", len) &&
	       cf_check(c, !r->out || cf_same(r->out, p->out, r->out_len),
		       "a device-readable buffer was written");
}

bool vq_req_untouched(struct cf *c, const struct vq_req *r)
{
	return cf_check(c, !r->in || cf_filled(r->in, FRESH, r->in_len),
		       "a buffer was written that must not be") &&
	       cf_check(c, !r->out || cf_same(r->out, cf_probe(c)->out, r->out_len),
		       "a device-readable buffer was written");
}

unsigned vq_req_elems(const struct vq_req *r, struct vq_elem *e)
{
	for (unsigned i = 0; i < r->n_out + r->n_in; i++)
		e[i] = (struct vq_elem){
			.addr = r->sg[i].addr,
			.len = r->sg[i].len,
			.flags = i < r->n_out ? 0 : VIRTQ_DESC_F_WRITE,
		};
	return r->n_out + r->n_in;
}

/* Waiting. */

static void rest(struct drv_dev *dev, uint64_t until)
{
	const struct drv_platform *pf = dev->platform;

	if (pf->wait)
		pf->wait(pf->ctx, dev, until);
	pf->barrier(pf->ctx);
}

static bool used_in_time(struct cf *c, struct drv_queue *q)
{
	uint64_t limit = cf_limit(c);

	while (!drv_ring_used(&q->ring)) {
		uint64_t now = drv_now(q->dev);

		if (!cf_check(c, now < limit, "queue %u: no buffer was used in time", q->index))
			return false;
		rest(q->dev, now + POLL_NS);
	}
	return true;
}

bool vq_wait(struct cf *c, struct drv_queue *q, void **cookie, uint32_t *len)
{
	if (!used_in_time(c, q))
		return false;
	return cf_check(c, drv_ring_get(&q->ring, cookie, len) == 1,
		"queue %u: the used entry matches no buffer", q->index);
}

bool vq_req_do(struct cf *c, struct drv_queue *q, struct vq_req *r)
{
	void *cookie;
	uint32_t len;

	cf_fill(r->in, FRESH, r->in_len);
	return cf_submit(c, q, r->sg, r->n_out, r->n_in, r) && vq_wait(c, q, &cookie, &len) &&
	       cf_check(c, cookie == r, "another buffer was used than the one given") &&
	       vq_req_answered(c, r, len);
}

/* Elements of descriptors that a request takes in the ring. */
static unsigned descriptors(const struct drv_queue *q, const struct vq_req *r)
{
	unsigned n = r->n_out + r->n_in;

	return n > 1 && n <= q->ring.table_len ? 1 : n;
}

bool vq_req_repeat(struct cf *c, struct drv_queue *q, struct vq_req *r, uint32_t times)
{
	unsigned room = q->ring.size / descriptors(q, r);

	while (times) {
		unsigned n = times < room ? times : room;
		void *cookie;
		uint32_t len;

		for (unsigned i = 0; i < n; i++)
			if (!cf_check(c, !drv_ring_add(&q->ring, r->sg, r->n_out, r->n_in, r),
				    "queue %u: no room for request %u of %u", q->index, i, n))
				return false;
		if (!cf_check(c, !drv_queue_publish(q), "queue %u: notifying failed", q->index))
			return false;
		for (unsigned i = 0; i < n; i++)
			if (!vq_wait(c, q, &cookie, &len) || !vq_len_right(c, len))
				return false;
		times -= n;
	}
	return true;
}

/* What the doorbell says with NOTIFICATION_DATA (2.9). */
static uint32_t next_position(const struct drv_ring *r)
{
	uint32_t wrap = r->packed && r->avail_wrap;

	return (uint32_t)r->next_avail | wrap << 15;
}

void vq_kick(struct drv_queue *q)
{
	const struct drv_platform *pf = q->dev->platform;

	pf->barrier(pf->ctx);
	if (pf->notify)
		pf->notify(pf->ctx, q->dev, q->index);
	else
		q->dev->ops->notify(q->dev, q->index, next_position(&q->ring));
}

void vq_linger(struct cf *c)
{
	uint64_t until = drv_now(cf_dev(c)) + LINGER_NS;

	while (drv_now(cf_dev(c)) < until)
		rest(cf_dev(c), drv_now(cf_dev(c)) + POLL_NS);
}

bool vq_quiet(struct cf *c, struct drv_queue *q)
{
	vq_linger(c);
	return cf_check(c, !drv_ring_used(&q->ring), "queue %u: a buffer was used that must not be",
		q->index);
}

/* Rings by hand. They keep the positions of the ring up to date, but not its slots. */

static uint16_t split_list(struct drv_ring *r, uint16_t id, const struct vq_elem *e, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		bool last = i + 1 == n;

		*drv_raw_split(r, id + i) = (struct drv_split_desc){
			.addr = e[i].addr,
			.len = e[i].len,
			.flags = (uint16_t)(e[i].flags | (last ? 0 : VIRTQ_DESC_F_NEXT)),
			.next = last ? 0 : (uint16_t)((id + i + 1) % r->size),
		};
	}
	drv_raw_offer(r, id);
	return id;
}

static uint16_t packed_list(struct drv_ring *r, uint16_t id, const struct vq_elem *e, unsigned n)
{
	uint16_t first = r->next_avail;

	for (unsigned i = 0; i < n; i++) {
		struct drv_packed_desc *d = drv_raw_packed(r, r->next_avail);
		uint16_t flags = (uint16_t)(e[i].flags | drv_raw_avail_flags(r->avail_wrap) |
					    (i + 1 < n ? VIRTQ_DESC_F_NEXT : 0));

		d->addr = e[i].addr;
		d->len = e[i].len;
		d->id = id;
		if (r->pending) {
			d->flags = flags;
		} else {
			r->pending = true;
			r->published = r->next_avail;
			r->head_flags = flags;
		}
		if (++r->next_avail == r->size) {
			r->next_avail = 0;
			r->avail_wrap = !r->avail_wrap;
		}
	}
	return first;
}

struct vq_list vq_raw_list(struct drv_queue *q, uint16_t id, const struct vq_elem *e, unsigned n)
{
	return (struct vq_list){
		.q = q,
		.first = q->ring.packed ? packed_list(&q->ring, id, e, n)
					: split_list(&q->ring, id, e, n),
	};
}

struct vq_place vq_raw_at(const struct vq_list *l, unsigned i)
{
	struct drv_ring *r = &l->q->ring;
	struct drv_split_desc *s = drv_raw_split(r, l->first + i);
	struct drv_packed_desc *p = drv_raw_packed(r, l->first + i);
	bool head = (l->first + i) % r->size == r->published;

	if (!r->packed)
		return (struct vq_place){ &s->addr, &s->len, &s->flags, &s->next };
	return (struct vq_place){ &p->addr, &p->len, head ? &r->head_flags : &p->flags, &p->id };
}

void vq_raw_show(struct drv_queue *q)
{
	struct drv_ring *r = &q->ring;

	q->dev->platform->barrier(q->dev->platform->ctx);
	if (r->packed && r->pending) {
		__atomic_store_n(
			&drv_raw_packed(r, r->published)->flags, r->head_flags, __ATOMIC_RELEASE);
		r->pending = false;
	}
	if (!r->packed)
		drv_raw_publish(r, r->next_avail);
	vq_kick(q);
}

bool vq_raw_used(struct cf *c, struct drv_queue *q, unsigned n, uint32_t *id, uint32_t *len)
{
	struct drv_ring *r = &q->ring;

	if (!used_in_time(c, q))
		return false;
	if (!r->packed) {
		const struct drv_used_elem *e = &drv_raw_used(r)->ring[r->next_used++ % r->size];

		*id = e->id;
		*len = e->len;
		return true;
	}
	*id = drv_raw_packed(r, r->next_used)->id;
	*len = drv_raw_packed(r, r->next_used)->len;
	if (r->next_used + n >= r->size)
		r->used_wrap = !r->used_wrap;
	r->next_used = (uint16_t)((r->next_used + n) % r->size);
	return true;
}

bool vq_raw_do(struct cf *c, struct drv_queue *q, uint16_t id, const struct vq_req *r)
{
	struct vq_elem e[VQ_ELEMS_MAX];
	unsigned n = vq_req_elems(r, e);
	uint32_t got, len;

	vq_raw_list(q, id, e, n);
	vq_raw_show(q);
	return vq_raw_used(c, q, n, &got, &len) && cf_eq(c, got, id, "the id in the used entry") &&
	       vq_req_answered(c, r, len);
}

/* Indirect tables. */

void vq_table_fill(struct drv_queue *q, void *table, const struct vq_elem *e, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		bool last = i + 1 == n;
		struct drv_split_desc split = {
			.addr = e[i].addr,
			.len = e[i].len,
			.flags = (uint16_t)(e[i].flags | (last ? 0 : VIRTQ_DESC_F_NEXT)),
			.next = last ? 0 : (uint16_t)(i + 1),
		};
		struct drv_packed_desc packed = {
			.addr = e[i].addr,
			.len = e[i].len,
			.flags = e[i].flags,
		};
		const void *d = q->ring.packed ? (const void *)&packed : (const void *)&split;

		cf_copy((uint8_t *)table + 16 * (size_t)i, d, 16);
	}
}

bool vq_table(struct cf *c, struct drv_queue *q, const struct vq_elem *e, unsigned n,
	struct vq_elem *ref, void **table)
{
	*table = cf_buf(c, 16 * n);
	if (!*table)
		return false;
	vq_table_fill(q, *table, e, n);
	*ref = (struct vq_elem){
		.addr = cf_sg(c, *table, 16 * n).addr,
		.len = 16 * n,
		.flags = VIRTQ_DESC_F_INDIRECT,
	};
	return true;
}
