/* SPDX-License-Identifier: BSD-3-Clause */
/* Split virtqueues (VIRTIO 1.4, 2.7): what a device writes, and where. */
#include "conformance/cases/cases.h"
#include "conformance/cases/vq_util.h"

#define USED_FILL 0xa5a5a5a5u

/* Initializes up to DRIVER_OK with a pattern in the used ring, whose entries nobody has written. */
static struct drv_queue *up_with_pattern(struct cf *c, uint64_t want)
{
	const struct cf_probe *p = cf_probe(c);
	struct drv_queue *q;

	if (!cf_begin(c, want))
		return NULL;
	for (uint16_t i = 0; p && i <= p->queue; i++)
		if (!cf_queue(c, i, 0))
			return NULL;
	q = p ? cf_q(c, p->queue) : NULL;
	for (unsigned i = 0; q && i < q->ring.size; i++)
		drv_raw_used(&q->ring)->ring[i] = (struct drv_used_elem){ USED_FILL, USED_FILL };
	return cf_run_device(c) ? q : NULL;
}

/* The used entry names the head, wherever in the table that is, and no other entry is written. */
static void used_entry(struct cf *c)
{
	static const uint16_t heads[] = { 5, 2, 0, 5 };
	struct drv_queue *q;
	struct vq_req r;
	struct drv_used *used;
	unsigned n = sizeof(heads) / sizeof(*heads);

	if (!vq_req_make(c, &r) || !(q = up_with_pattern(c, 0)))
		return;
	used = drv_raw_used(&q->ring);
	for (unsigned i = 0; i < n; i++) {
		uint16_t head = heads[i] % (q->ring.size - 1u);

		cf_fill(r.in, 0xa5, r.in_len);
		if (!vq_raw_do(c, q, head, &r) || !cf_eq(c, used->idx, i + 1, "the used index"))
			return;
	}
	for (unsigned i = n; i < q->ring.size; i++)
		cf_check(c, used->ring[i].id == USED_FILL && used->ring[i].len == USED_FILL,
			"entry %u of the used ring was written, after %u requests", i, n);
}

/* What the driver wrote into its part of a ring is the same when the request has been used. */
static void part_untouched(struct cf *c, bool table)
{
	struct drv_queue *q;
	struct vq_elem e[VQ_ELEMS_MAX];
	struct vq_req r;
	uint32_t id, used;

	if (!vq_req_make(c, &r) || !(q = cf_up_probe(c, 0)))
		return;
	const void *part = table ? q->ring.desc : q->ring.driver;
	uint32_t len = table ? 16u * q->ring.size : 6 + 2u * q->ring.size;
	void *before = cf_buf(c, len);

	vq_req_cut(c, &r, 3);
	for (uint16_t i = 0; before && i < 8; i++) {
		vq_raw_list(q, i, e, vq_req_elems(&r, e));
		cf_copy(before, part, len);
		if (!table)
			((struct drv_avail *)before)->idx = q->ring.next_avail;
		vq_raw_show(q);
		if (!vq_raw_used(c, q, 0, &id, &used) || !vq_len_right(c, used) ||
			!cf_check(c, cf_same(before, part, len), "the device wrote into the %s",
				table ? "descriptor table" : "available ring"))
			return;
	}
}

static void table_untouched(struct cf *c)
{
	part_untouched(c, true);
}

static void available_ring_untouched(struct cf *c)
{
	part_untouched(c, false);
}

static bool flags_right(struct cf *c, uint16_t max)
{
	for (unsigned i = 0; i <= cf_probe(c)->queue; i++) {
		struct drv_used *used = drv_raw_used(&cf_q(c, i)->ring);
		uint16_t flags = __atomic_load_n(&used->flags, __ATOMIC_ACQUIRE);

		if (!cf_check(c, flags <= max,
			    "queue %u: flags of the used ring are 0x%x, at most %u", i, flags, max))
			return false;
	}
	return true;
}

/* flags of all used rings, looked at without a rest while a request goes round. */
static void used_flags(struct cf *c, uint64_t want, uint16_t max)
{
	struct drv_queue *q;
	struct vq_req r;
	uint32_t len;
	void *cookie;

	if (!vq_req_make(c, &r) || !(q = cf_up_probe(c, want)))
		return;
	for (unsigned k = 0; k < 200; k++) {
		uint64_t limit = cf_limit(c);

		for (unsigned i = 0; i < q->index; i++)
			vq_kick(cf_q(c, i));
		if (!cf_submit(c, q, r.sg, r.n_out, r.n_in, &r))
			return;
		while (!drv_ring_used(&q->ring) && drv_now(q->dev) < limit)
			if (!flags_right(c, max))
				return;
		if (!vq_wait(c, q, &cookie, &len) || !flags_right(c, max))
			return;
	}
}

static void used_flags_without_event_idx(struct cf *c)
{
	used_flags(c, 0, VIRTQ_USED_F_NO_NOTIFY);
}

static void used_flags_with_event_idx(struct cf *c)
{
	used_flags(c, DRV_FEATURE(VIRTIO_F_EVENT_IDX), 0);
}

/* The used index counts through 65535 to 0, and nothing is lost on the way. */
static void index_wraps(struct cf *c)
{
	const uint32_t n = 65536 + 100;
	struct drv_queue *q;
	struct vq_req r;

	if (!vq_req_make(c, &r) || !(q = cf_up_probe(c, DRV_FEATURE(VIRTIO_F_EVENT_IDX))))
		return;
	if (vq_req_repeat(c, q, &r, n))
		cf_eq(c, drv_raw_used(&q->ring)->idx, n % 65536, "the used index");
}

/* Links may go through the table in any order. */
static void any_order_of_descriptors(struct cf *c)
{
	struct drv_queue *q;
	struct vq_elem e[VQ_ELEMS_MAX];
	struct vq_req r;
	uint32_t id, len;
	unsigned n;

	if (!vq_req_make(c, &r) || !(q = cf_up_probe(c, 0)))
		return;
	vq_req_cut(c, &r, 4);
	n = vq_req_elems(&r, e);
	vq_raw_list(q, (uint16_t)(n - 1), e, 1);
	/* Descriptors n-1, n-2, ... 0. */
	for (unsigned i = 0; i < n; i++)
		*drv_raw_split(&q->ring, n - 1 - i) = (struct drv_split_desc){
			.addr = e[i].addr,
			.len = e[i].len,
			.flags = (uint16_t)(e[i].flags | (i + 1 < n ? VIRTQ_DESC_F_NEXT : 0)),
			.next = (uint16_t)(i + 1 < n ? n - 2 - i : 0xffff),
		};
	vq_raw_show(q);
	if (vq_raw_used(c, q, 0, &id, &len) && cf_eq(c, id, n - 1, "the id in the used entry"))
		vq_req_answered(c, &r, len);
}

/* What a driver writes into the device's part is not believed: the device knows its own index. */
static void used_ring_scribbled(struct cf *c)
{
	struct vq_elem e[VQ_ELEMS_MAX];
	struct drv_queue *q;
	struct drv_used *used;
	struct vq_req r;
	uint32_t id, len;

	if (!vq_req_make(c, &r) || !(q = cf_up_probe(c, 0)))
		return;
	used = drv_raw_used(&q->ring);
	if (!vq_raw_do(c, q, 0, &r) || !vq_raw_do(c, q, 0, &r))
		return;
	used->idx = 0x1234;
	used->ring[0] = used->ring[1] = (struct drv_used_elem){ USED_FILL, USED_FILL };
	q->ring.next_used = 0x1234;
	cf_fill(r.in, 0xa5, r.in_len);
	vq_raw_list(q, 7, e, vq_req_elems(&r, e));
	vq_raw_show(q);
	if (!vq_raw_used(c, q, 0, &id, &len))
		return;
	cf_eq(c, used->idx, 3, "the used index");
	cf_eq(c, used->ring[2].id, 7, "the id in the used entry");
	vq_req_answered(c, &r, used->ring[2].len);
}

const struct cf_case cf_cases_split[] = {
	{ "split.used.entry", "V2.7.8.2-1 ROB-4", used_entry },
	{ "split.table.untouched", "V2.7.5.1-4", table_untouched },
	{ "split.available.untouched", "ROB-4", available_ring_untouched },
	{ "split.used.flags", "V2.7.10.2-1", used_flags_without_event_idx },
	{ "split.used.flags_event_idx", "V2.7.10.2-3", used_flags_with_event_idx,
		.needs = DRV_FEATURE(VIRTIO_F_EVENT_IDX) },
	{ "split.used.index_wraps", "V2.7.8.2-1 ROB-7", index_wraps, .flags = CF_LONG },
	{ "split.table.any_order", "V2.7.4.1-1", any_order_of_descriptors },
	{ "split.used.scribbled", "ROB-1 ROB-17", used_ring_scribbled, .flags = CF_HOSTILE },
	{ 0 },
};
