/* SPDX-License-Identifier: BSD-3-Clause */
/* Packed virtqueues (VIRTIO 1.4, 2.8): what a device writes, and where. */
#include "conformance/cases/cases.h"
#include "conformance/cases/vq_util.h"

#define BOTH (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

/* The class's probe with a queue of `size`. */
static struct drv_queue *up(struct cf *c, struct vq_req *r, uint64_t want, uint16_t size)
{
	const struct cf_probe *p = cf_probe(c);

	if (!vq_req_make(c, r) || !cf_begin(c, want))
		return NULL;
	for (uint16_t i = 0; i <= p->queue; i++)
		if (!cf_queue(c, i, size))
			return NULL;
	return cf_run_device(c) ? cf_q(c, p->queue) : NULL;
}

/* Shows a list in the ring as it is there, and returns the used descriptor that came for it. */
static bool show_and_see(struct cf *c, struct drv_queue *q, uint16_t id, const struct vq_req *r,
	struct drv_packed_desc *used)
{
	struct vq_elem e[VQ_ELEMS_MAX];
	unsigned n = vq_req_elems(r, e);
	uint16_t at = q->ring.next_used;
	uint32_t got, len;

	vq_raw_list(q, id, e, n);
	vq_raw_show(q);
	if (!vq_raw_used(c, q, n, &got, &len))
		return false;
	*used = *drv_raw_packed(&q->ring, at);
	return vq_req_answered(c, r, len);
}

/* AVAIL and USED as the wrap counter, the id, the length. */
static void used_descriptor(struct cf *c)
{
	struct drv_packed_desc used;
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 4);

	for (unsigned i = 0; q && i < 12; i++) {
		uint16_t wrap = q->ring.used_wrap ? BOTH : 0;

		cf_fill(r.in, 0xa5, r.in_len);
		if (!show_and_see(c, q, (uint16_t)(i % 4), &r, &used) ||
			!cf_eq(c, used.id, i % 4, "the id of the used descriptor") ||
			!cf_eq(c, used.flags & BOTH, wrap, "AVAIL and USED in its flags"))
			return;
	}
}

/* WRITE says whether something was written. */
static void write_flag(struct cf *c)
{
	struct drv_packed_desc used;
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 4);

	if (q && show_and_see(c, q, 0, &r, &used))
		cf_eq(c, !!(used.flags & VIRTQ_DESC_F_WRITE), r.in != NULL,
			"WRITE in the flags of the used descriptor");
}

/* A list gets one used descriptor, in the place of its first one; the others stay. */
static void one_used_descriptor_per_list(struct cf *c)
{
	struct drv_packed_desc before[VQ_ELEMS_MAX];
	struct vq_elem e[VQ_ELEMS_MAX];
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);
	uint32_t id, len;
	unsigned n;

	if (!q)
		return;
	vq_req_cut(c, &r, 3);
	n = vq_req_elems(&r, e);
	if (n < 2) {
		cf_skip(c, "the probe of this class cannot be cut");
		return;
	}
	vq_raw_list(q, 9, e, n);
	for (unsigned i = 0; i < q->ring.size; i++)
		before[i] = *drv_raw_packed(&q->ring, i);
	vq_raw_show(q);
	if (!vq_raw_used(c, q, n, &id, &len) || !cf_eq(c, id, 9, "the id") ||
		!vq_req_answered(c, &r, len))
		return;
	for (unsigned i = 1; i < q->ring.size; i++)
		cf_check(c, cf_same(&before[i], drv_raw_packed(&q->ring, i), sizeof(*before)),
			"descriptor %u was written; the list began at 0", i);
}

/* The id is the driver's, any 16 bits, and comes from the last descriptor of a list. */
static void id_of_any_value(struct cf *c)
{
	static const uint16_t ids[] = { 0xffff, 0x8000, 64, 1000 };
	struct drv_packed_desc used;
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);

	for (unsigned i = 0; q && i < sizeof(ids) / sizeof(*ids); i++) {
		cf_fill(r.in, 0xa5, r.in_len);
		if (!show_and_see(c, q, ids[i], &r, &used) ||
			!cf_eq(c, used.id, ids[i], "the id of the used descriptor"))
			return;
	}
}

static void id_of_the_last_counts(struct cf *c)
{
	struct vq_elem e[VQ_ELEMS_MAX];
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);
	struct vq_list l;
	uint32_t id, len;
	unsigned n;

	if (!q)
		return;
	vq_req_cut(c, &r, 3);
	n = vq_req_elems(&r, e);
	l = vq_raw_list(q, 21, e, n);
	for (unsigned i = 0; i + 1 < n; i++)
		*vq_raw_at(&l, i).id_next = (uint16_t)(40 + i);
	vq_raw_show(q);
	if (vq_raw_used(c, q, n, &id, &len) && cf_eq(c, id, 21, "the id of the used descriptor"))
		vq_req_answered(c, &r, len);
}

/* Sizes need not be powers of two; lists go on over the end of the ring. */
static void size_three(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 3);

	if (q && cf_eq(c, q->ring.size, 3, "the queue size"))
		vq_req_repeat(c, q, &r, 20);
}

static void list_over_the_end(struct cf *c)
{
	struct drv_packed_desc used;
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 7);
	unsigned n;

	if (!q)
		return;
	vq_req_cut(c, &r, 2);
	n = r.n_out + r.n_in;
	/* Lists of n in a ring of 7: they begin at every position once. */
	for (unsigned i = 0; i < 14; i++) {
		cf_fill(r.in, 0xa5, r.in_len);
		if (!cf_check(c, n <= 7, "a list of %u is too long", n) ||
			!show_and_see(c, q, (uint16_t)i, &r, &used) ||
			!cf_eq(c, used.id, i, "the id of the used descriptor"))
			return;
	}
}

/* What does not change AVAIL is not available, however often the driver notifies. */
static void not_available(struct cf *c, uint16_t flags)
{
	struct vq_elem e[VQ_ELEMS_MAX];
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);
	struct vq_list l;
	uint32_t id, len;
	uint16_t *head;
	unsigned n;

	if (!q)
		return;
	n = vq_req_elems(&r, e);
	l = vq_raw_list(q, 3, e, n);
	head = vq_raw_at(&l, 0).flags;
	const uint16_t right = *head;
	*head = (uint16_t)((right & ~BOTH) | flags);
	vq_raw_show(q);
	vq_kick(q);
	vq_linger(c);
	if (!cf_check(c, drv_raw_packed(&q->ring, l.first)->flags == *head,
		    "a descriptor that is not available was used") ||
		!vq_req_untouched(c, &r))
		return;
	q->ring.pending = true;
	*head = right;
	vq_raw_show(q);
	if (vq_raw_used(c, q, n, &id, &len) && cf_eq(c, id, 3, "the id"))
		vq_req_answered(c, &r, len);
}

static void neither_flag(struct cf *c)
{
	not_available(c, 0);
}

static void only_used(struct cf *c)
{
	not_available(c, VIRTQ_DESC_F_USED);
}

/* Looks like a used one. */
static void both_flags(struct cf *c)
{
	struct vq_elem e[VQ_ELEMS_MAX];
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);
	struct vq_list l;

	if (!q)
		return;
	l = vq_raw_list(q, 3, e, vq_req_elems(&r, e));
	*vq_raw_at(&l, 0).flags |= BOTH;
	vq_raw_show(q);
	vq_linger(c);
	cf_eq(c, drv_raw_packed(&q->ring, 0)->len, e[0].len, "the length in the descriptor");
	vq_req_untouched(c, &r);
}

/* Descriptors are taken in ring order: three that are shown backwards are used forwards. */
static void ring_order(struct cf *c)
{
	struct vq_elem e[VQ_ELEMS_MAX];
	struct vq_req r[3];
	struct drv_queue *q = up(c, &r[0], 0, 64);
	unsigned seen = 0;
	uint32_t id, len;

	if (!q)
		return;
	for (unsigned i = 0; i < 3; i++) {
		if (i && !vq_req_make(c, &r[i]))
			return;
		vq_raw_list(q, (uint16_t)(10 + i), e, vq_req_elems(&r[i], e));
	}
	vq_linger(c);
	if (!cf_check(c, !drv_ring_used(&q->ring), "used before the first one was available"))
		return;
	vq_raw_show(q);
	for (unsigned i = 0; i < 3; i++) {
		if (!vq_raw_used(c, q, r[i].n_out + r[i].n_in, &id, &len) ||
			!vq_len_right(c, len) ||
			!cf_check(c, id >= 10 && id < 13 && !(seen & 1u << id),
				"id %u was used; 10 to 12 are available, each once", id))
			return;
		seen |= 1u << id;
	}
}

/* Once used, a descriptor stays as it is. */
static void used_stays(struct cf *c)
{
	struct drv_packed_desc seen[8], used;
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);

	for (unsigned i = 0; q && i < 8; i++) {
		cf_fill(r.in, 0xa5, r.in_len);
		if (!show_and_see(c, q, (uint16_t)i, &r, &used))
			return;
		seen[i] = used;
	}
	for (unsigned i = 0, at = 0; q && i < 8; i++, at += r.n_out + r.n_in)
		cf_check(c, cf_same(&seen[i], drv_raw_packed(&q->ring, at), sizeof(used)),
			"used descriptor %u changed after its use", at);
}

/* More than 65536 descriptors: positions and wrap counters stay right. */
static void many_turns(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, DRV_FEATURE(VIRTIO_F_EVENT_IDX), 61);

	if (q)
		vq_req_repeat(c, q, &r, 65536 + 100);
}

const struct cf_case cf_cases_packed[] = {
	{ "packed.used.descriptor", "V2.8.12-2 ROB-8", used_descriptor, .flags = CF_PACKED },
	{ "packed.used.write_flag", "ROB-27", write_flag, .flags = CF_PACKED },
	{ "packed.used.one_per_list", "V2.8.15-4 V2.8.18-1 ROB-4", one_used_descriptor_per_list,
		.flags = CF_PACKED },
	{ "packed.used.stays", "V2.8.15-4", used_stays, .flags = CF_PACKED },
	{ "packed.id.any_value", "V2.8.12-2", id_of_any_value, .flags = CF_PACKED },
	{ "packed.id.of_the_last", "V2.8.18-1", id_of_the_last_counts, .flags = CF_PACKED },
	{ "packed.size.three", "V2.8.12-1", size_three, .flags = CF_PACKED },
	{ "packed.list.over_the_end", "V2.8.12-1 V2.8.18-1", list_over_the_end,
		.flags = CF_PACKED },
	{ "packed.available.neither_flag", "V2.8.15-3", neither_flag, .flags = CF_PACKED },
	{ "packed.available.only_used", "V2.8.15-3", only_used, .flags = CF_PACKED },
	{ "packed.available.both_flags", "V2.8.15-3", both_flags, .flags = CF_PACKED | CF_HOSTILE },
	{ "packed.available.ring_order", "V2.8.12-1", ring_order, .flags = CF_PACKED },
	{ "packed.used.many_turns", "V2.8.12-1 ROB-7", many_turns, .flags = CF_PACKED | CF_LONG },
	{ 0 },
};
