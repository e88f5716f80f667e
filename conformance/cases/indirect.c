/* SPDX-License-Identifier: BSD-3-Clause */
/* Indirect descriptors (VIRTIO 1.4, 2.7.5.3 and 2.8.7). */
#include "conformance/cases/cases.h"
#include "conformance/cases/vq_util.h"

#define INDIRECT DRV_FEATURE(VIRTIO_F_INDIRECT_DESC)

static struct drv_queue *up(struct cf *c, struct vq_req *r)
{
	return vq_req_make(c, r) ? cf_up_probe(c, INDIRECT) : NULL;
}

/* Shows a list of n elements under `id` and checks its answer. */
static bool answered(struct cf *c, struct drv_queue *q, uint16_t id, const struct vq_elem *e,
	unsigned n, const struct vq_req *r)
{
	uint32_t got, len;

	cf_fill(r->in, 0xa5, r->in_len);
	vq_raw_list(q, id, e, n);
	vq_raw_show(q);
	return vq_raw_used(c, q, n, &got, &len) && cf_eq(c, got, id, "the id in the used entry") &&
	       vq_req_answered(c, r, len);
}

/* The probe, cut into `pieces` for each part, through a table. */
static void through_table(struct cf *c, unsigned pieces)
{
	struct vq_elem e[VQ_ELEMS_MAX], ref;
	struct vq_req r;
	struct drv_queue *q = up(c, &r);
	void *table;
	unsigned n;

	if (!q)
		return;
	vq_req_cut(c, &r, pieces);
	n = vq_req_elems(&r, e);
	if (!vq_table(c, q, e, n, &ref, &table))
		return;
	for (uint16_t i = 0; i < 3; i++)
		if (!answered(c, q, i, &ref, 1, &r))
			return;
	cf_note(c, "a table of %u", n);
}

static void short_table(struct cf *c)
{
	through_table(c, 1);
}

static void long_table(struct cf *c)
{
	through_table(c, 24);
}

/* A table is read and nothing else. */
static void table_untouched(struct cf *c)
{
	struct vq_elem e[VQ_ELEMS_MAX], ref;
	struct vq_req r;
	struct drv_queue *q = up(c, &r);
	void *table, *copy;
	unsigned n;

	if (!q)
		return;
	vq_req_cut(c, &r, 4);
	n = vq_req_elems(&r, e);
	copy = cf_buf(c, 16 * n);
	if (!copy || !vq_table(c, q, e, n, &ref, &table))
		return;
	cf_copy(copy, table, 16 * n);
	if (answered(c, q, 0, &ref, 1, &r))
		cf_check(c, cf_same(copy, table, 16 * n), "the device wrote into the table");
}

/* The request through a table at `at`. */
static bool by_table_at(struct cf *c, struct drv_queue *q, uint16_t id, uint8_t *at,
	const struct vq_elem *e, unsigned n, const struct vq_req *r)
{
	struct vq_elem ref = { cf_sg(c, at, 16 * n).addr, 16 * n, VIRTQ_DESC_F_INDIRECT };

	vq_table_fill(q, at, e, n);
	return answered(c, q, id, &ref, 1, r);
}

/* A table can be anywhere in memory: no alignment is asked for. */
static void table_anywhere(struct cf *c)
{
	struct vq_elem e[VQ_ELEMS_MAX];
	struct vq_req r;
	struct drv_queue *q = up(c, &r);
	uint8_t *room;
	unsigned n;

	if (!q)
		return;
	vq_req_cut(c, &r, 2);
	n = vq_req_elems(&r, e);
	room = cf_buf(c, 16 * n + 16);
	for (uint16_t shift = 0; room && shift < 16; shift++)
		if (!by_table_at(c, q, shift, room + shift, e, n, &r))
			return;
}

/* The same where two ranges of memory meet. */
static void table_across_ranges(struct cf *c)
{
	uint8_t *seam = cf_target(c)->seam;
	struct vq_elem e[VQ_ELEMS_MAX];
	struct vq_req r;
	struct drv_queue *q = up(c, &r);
	unsigned n;

	if (!seam)
		cf_skip(c, "the runner knows of no such place");
	if (!seam || !q)
		return;
	vq_req_cut(c, &r, 2);
	n = vq_req_elems(&r, e);
	for (uint16_t back = 1; back < 16 * n; back += 5)
		if (!by_table_at(c, q, back % 8, seam - back, e, n, &r))
			return;
}

/* WRITE in the descriptor that refers to a table means nothing. */
static void write_flag_ignored(struct cf *c)
{
	struct vq_elem e[VQ_ELEMS_MAX], ref;
	struct vq_req r;
	struct drv_queue *q = up(c, &r);
	void *table;

	if (!q || !vq_table(c, q, e, vq_req_elems(&r, e), &ref, &table))
		return;
	ref.flags |= VIRTQ_DESC_F_WRITE;
	if (answered(c, q, 0, &ref, 1, &r)) {
		ref.flags &= (uint16_t)~VIRTQ_DESC_F_WRITE;
		answered(c, q, 1, &ref, 1, &r);
	}
}

/* Direct descriptors first, the rest in a table (split rings only). */
static void after_direct(struct cf *c)
{
	struct vq_elem e[VQ_ELEMS_MAX], list[VQ_ELEMS_MAX];
	struct vq_req r;
	struct drv_queue *q = up(c, &r);
	unsigned n;

	if (!q)
		return;
	vq_req_cut(c, &r, 3);
	n = vq_req_elems(&r, e);
	for (unsigned direct = 1; direct < n; direct++) {
		void *table;

		for (unsigned i = 0; i < direct; i++)
			list[i] = e[i];
		if (!vq_table(c, q, e + direct, n - direct, &list[direct], &table) ||
			!answered(c, q, (uint16_t)(direct % 2), list, direct + 1, &r))
			return;
	}
}

/* Both kinds take turns in one ring. */
static void taking_turns(struct cf *c)
{
	struct vq_elem e[VQ_ELEMS_MAX], ref;
	struct vq_req r;
	struct drv_queue *q = up(c, &r);
	void *table;
	unsigned n;

	if (!q)
		return;
	n = vq_req_elems(&r, e);
	if (!vq_table(c, q, e, n, &ref, &table))
		return;
	for (uint16_t i = 0; i < 100; i++)
		if (!(i % 3 ? answered(c, q, i % 8, &ref, 1, &r) : answered(c, q, i % 8, e, n, &r)))
			return;
}

/* Flags but WRITE, and ids, mean nothing in tables of packed rings. */
static void packed_other_flags(struct cf *c)
{
	static const uint16_t flags[] = { VIRTQ_DESC_F_NEXT, VIRTQ_DESC_F_INDIRECT,
		VIRTQ_DESC_F_AVAIL, VIRTQ_DESC_F_USED, 0xfffd };
	struct vq_elem e[VQ_ELEMS_MAX], ref;
	struct vq_req r;
	struct drv_queue *q = up(c, &r);
	void *table;
	unsigned n;

	if (!q)
		return;
	vq_req_cut(c, &r, 2);
	n = vq_req_elems(&r, e);
	if (!vq_table(c, q, e, n, &ref, &table))
		return;
	for (uint16_t k = 0; k < sizeof(flags) / sizeof(*flags); k++) {
		struct drv_packed_desc *d = table;

		for (unsigned i = 0; i < n; i++) {
			d[i].flags = (uint16_t)(e[i].flags | flags[k]);
			d[i].id = (uint16_t)(0x7777 + i);
		}
		if (!answered(c, q, k, &ref, 1, &r))
			return;
	}
}

/* Entries of tables of split rings are linked, in any order. */
static void split_any_order(struct cf *c)
{
	struct vq_elem e[VQ_ELEMS_MAX], ref;
	struct drv_split_desc *d;
	struct vq_req r;
	struct drv_queue *q = up(c, &r);
	void *table;
	unsigned n;

	if (!q)
		return;
	vq_req_cut(c, &r, 3);
	n = vq_req_elems(&r, e);
	/* One entry more than the chain has, and the first one stays the first. */
	e[n] = e[0];
	if (!vq_table(c, q, e, n + 1, &ref, &table))
		return;
	d = table;
	for (unsigned i = 1; i < n; i++)
		d[n + 1 - i] = (struct drv_split_desc){
			.addr = e[i].addr,
			.len = e[i].len,
			.flags = (uint16_t)(e[i].flags | (i + 1 < n ? VIRTQ_DESC_F_NEXT : 0)),
			.next = (uint16_t)(n - i),
		};
	d[0].flags = (uint16_t)(e[0].flags | (n > 1 ? VIRTQ_DESC_F_NEXT : 0));
	d[0].next = (uint16_t)n;
	answered(c, q, 0, &ref, 1, &r);
}

/* What a driver does by itself: as many tables as the ring has entries. */
static void whole_queue(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r);

	if (!q)
		return;
	vq_req_cut(c, &r, 6);
	vq_req_repeat(c, q, &r, 3u * q->ring.size);
}

#define NEEDS .needs = INDIRECT

const struct cf_case cf_cases_indirect[] = {
	{ "indirect.table.short", "V2.7.4.1-1", short_table, .flags = CF_RINGS, NEEDS },
	{ "indirect.table.long", "V2.7.4.1-1", long_table, .flags = CF_RINGS, NEEDS },
	{ "indirect.table.untouched", "V2.7.5.1-4 ROB-4", table_untouched, .flags = CF_RINGS,
		NEEDS },
	{ "indirect.table.anywhere", "V2.7.4.1-1", table_anywhere, .flags = CF_RINGS, NEEDS },
	{ "indirect.table.across_ranges", "V2.7.4.1-1", table_across_ranges, .flags = CF_RINGS,
		NEEDS },
	{ "indirect.table.whole_queue", "V2.7.4.1-1 ROB-7", whole_queue, .flags = CF_RINGS, NEEDS },
	{ "indirect.table.any_order", "V2.7.4.1-1", split_any_order, NEEDS },
	{ "indirect.table.after_direct", "V2.7.5.3.2-2", after_direct, NEEDS },
	{ "indirect.ring.taking_turns", "V2.7.4.1-1", taking_turns, .flags = CF_RINGS, NEEDS },
	{ "indirect.flags.write_ignored", "V2.7.5.3.2-1", write_flag_ignored, .flags = CF_RINGS,
		NEEDS },
	{ "indirect.flags.packed_others_ignored", "ROB-1", packed_other_flags,
		.flags = CF_PACKED | CF_HOSTILE, NEEDS },
	{ 0 },
};
