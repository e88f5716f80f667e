/* SPDX-License-Identifier: BSD-3-Clause */
/* Packed rings that break rules (VIRTIO 1.4, 2.8): the device asks for a reset (ROB-2). */
#include "conformance/cases/cases.h"
#include "conformance/cases/vq_util.h"

#define INDIRECT DRV_FEATURE(VIRTIO_F_INDIRECT_DESC)
#define NEXT	 VIRTQ_DESC_F_NEXT
#define BOTH	 (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

/* A device that has answered before, and a request of two or more elements that nobody has seen
 * yet. */
static struct drv_queue *start(
	struct cf *c, struct vq_req *r, uint64_t want, struct vq_list *l, unsigned *n)
{
	struct vq_elem e[VQ_ELEMS_MAX];
	struct drv_queue *q;

	if (!vq_req_make(c, r))
		return NULL;
	q = cf_up_probe(c, want);
	if (!q || !cf_probe_works(c, q))
		return NULL;
	vq_req_cut(c, r, 2);
	*n = vq_req_elems(r, e);
	if (*n == 1) {
		e[1] = e[0];
		*n = 2;
	}
	*l = vq_raw_list(q, 7, e, *n);
	return q;
}

static void must_break(struct cf *c, struct drv_queue *q, const struct vq_req *r)
{
	vq_raw_show(q);
	cf_must_break(c, q);
	vq_req_untouched(c, r);
}

/* AVAIL and USED of the second element are not those of a list. */
static void second_element(struct cf *c, uint16_t flip)
{
	struct drv_queue *q;
	struct vq_list l;
	struct vq_req r;
	unsigned n;

	q = start(c, &r, 0, &l, &n);
	if (!q)
		return;
	*vq_raw_at(&l, 1).flags ^= flip;
	must_break(c, q, &r);
}

static void second_other_wrap(struct cf *c)
{
	second_element(c, BOTH);
}

static void second_not_available(struct cf *c)
{
	second_element(c, VIRTQ_DESC_F_AVAIL);
}

static void second_used(struct cf *c)
{
	second_element(c, VIRTQ_DESC_F_USED);
}

/* The list goes on behind its end, where the ring has never been written. */
static void no_end(struct cf *c)
{
	struct drv_queue *q;
	struct vq_list l;
	struct vq_req r;
	unsigned n;

	q = start(c, &r, 0, &l, &n);
	if (!q)
		return;
	*vq_raw_at(&l, n - 1).flags |= NEXT;
	must_break(c, q, &r);
}

/* NEXT in every descriptor of the ring: longer than the ring. */
static void no_end_at_all(struct cf *c)
{
	const struct cf_probe *p = cf_probe(c);
	struct vq_elem e[VQ_ELEMS_MAX];
	struct drv_queue *q;
	struct vq_list l;
	struct vq_req r;

	if (!vq_req_make(c, &r) || !cf_begin(c, 0))
		return;
	for (uint16_t i = 0; i <= p->queue; i++)
		if (!cf_queue(c, i, 16))
			return;
	q = cf_q(c, p->queue);
	if (!cf_run_device(c))
		return;
	vq_req_elems(&r, e);
	for (unsigned i = 0; i < q->ring.size; i++)
		e[i] = (struct vq_elem){ e[0].addr, 1, e[0].flags };
	l = vq_raw_list(q, 7, e, q->ring.size);
	*vq_raw_at(&l, q->ring.size - 1u).flags |= NEXT;
	must_break(c, q, &r);
}

/* A table inside a list, with more behind it. */
static void table_first(struct cf *c)
{
	struct vq_elem e[VQ_ELEMS_MAX], ref;
	struct drv_queue *q;
	struct vq_list l;
	struct vq_req r;
	void *table;
	unsigned n;

	q = start(c, &r, INDIRECT, &l, &n);
	if (!q || !vq_table(c, q, e, vq_req_elems(&r, e), &ref, &table))
		return;
	*vq_raw_at(&l, 0).addr = ref.addr;
	*vq_raw_at(&l, 0).len = ref.len;
	*vq_raw_at(&l, 0).flags |= VIRTQ_DESC_F_INDIRECT;
	must_break(c, q, &r);
}

/* The last of a list: who follows it finds the rest of the request. */
static void table_second(struct cf *c)
{
	struct vq_elem e[VQ_ELEMS_MAX], list[2];
	struct drv_queue *q;
	struct vq_req r;
	void *table;
	unsigned n;

	if (!vq_req_make(c, &r))
		return;
	q = cf_up_probe(c, INDIRECT);
	if (!q || !cf_probe_works(c, q))
		return;
	vq_req_cut(c, &r, 2);
	n = vq_req_elems(&r, e);
	list[0] = e[0];
	/* A request of one element gets that twice. */
	if (!vq_table(c, q, n > 1 ? e + 1 : e, n > 1 ? n - 1 : 1, &list[1], &table))
		return;
	vq_raw_list(q, 7, list, 2);
	must_break(c, q, &r);
}

#define HOSTILE .flags = CF_PACKED | CF_HOSTILE

const struct cf_case cf_cases_hostile_packed[] = {
	{ "hostile_packed.list.other_wrap", "ROB-2", second_other_wrap, HOSTILE },
	{ "hostile_packed.list.not_available", "ROB-2", second_not_available, HOSTILE },
	{ "hostile_packed.list.used", "ROB-2", second_used, HOSTILE },
	{ "hostile_packed.list.no_end", "ROB-2", no_end, HOSTILE },
	{ "hostile_packed.list.no_end_at_all", "ROB-2 ROB-1", no_end_at_all, HOSTILE },
	{ "hostile_packed.table.first_in_list", "ROB-2", table_first, HOSTILE, .needs = INDIRECT },
	{ "hostile_packed.table.second_in_list", "ROB-2", table_second, HOSTILE,
		.needs = INDIRECT },
	{ 0 },
};
