/* SPDX-License-Identifier: BSD-3-Clause */
/* Split rings that break rules (VIRTIO 1.4, 2.7): the device asks for a reset (ROB-2). */
#include "conformance/cases/cases.h"
#include "conformance/cases/vq_util.h"

#define INDIRECT DRV_FEATURE(VIRTIO_F_INDIRECT_DESC)
#define NEXT	 VIRTQ_DESC_F_NEXT
#define HEAD	 4

/* A device that has answered before, and a request in the descriptors from HEAD on, which nobody
 * has seen yet. */
static struct drv_queue *start(struct cf *c, struct vq_req *r, uint64_t want, unsigned *n)
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
	vq_raw_list(q, HEAD, e, *n);
	return q;
}

static void must_break(struct cf *c, struct drv_queue *q, const struct vq_req *r)
{
	vq_raw_show(q);
	cf_must_break(c, q);
	vq_req_untouched(c, r);
}

/* A buffer that no request has, of the kind that may follow it. */
static struct drv_split_desc spare(struct cf *c, const struct vq_req *r)
{
	void *p = cf_buf(c, 16);

	return (struct drv_split_desc){
		.addr = p ? cf_sg(c, p, 16).addr : 0,
		.len = 16,
		.flags = r->in ? VIRTQ_DESC_F_WRITE : 0,
	};
}

/* The last descriptor goes on to `next`. Who takes that modulo the size finds a sound end. */
static void goes_on(struct cf *c, uint16_t next)
{
	struct drv_split_desc *d;
	struct drv_queue *q;
	struct vq_req r;
	unsigned n;

	q = start(c, &r, 0, &n);
	if (!q)
		return;
	if (next >= q->ring.size)
		*drv_raw_split(&q->ring, next) = spare(c, &r);
	d = drv_raw_split(&q->ring, HEAD + n - 1);
	d->flags |= NEXT;
	d->next = next;
	must_break(c, q, &r);
}

static void next_size(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (q)
		goes_on(c, q->ring.size);
}

static void next_largest(struct cf *c)
{
	goes_on(c, 0xffff);
}

static void loop_to_head(struct cf *c)
{
	goes_on(c, HEAD);
}

/* A loop of one: the last descriptor is its own next. */
static void loop_of_one(struct cf *c)
{
	struct drv_queue *q;
	struct vq_req r;
	unsigned n;

	q = start(c, &r, 0, &n);
	if (!q)
		return;
	drv_raw_split(&q->ring, HEAD + n - 1)->flags |= NEXT;
	drv_raw_split(&q->ring, HEAD + n - 1)->next = (uint16_t)(HEAD + n - 1);
	must_break(c, q, &r);
}

/* All descriptors of the queue in one circle. */
static void loop_of_all(struct cf *c)
{
	struct drv_queue *q;
	struct vq_req r;
	unsigned n;

	q = start(c, &r, 0, &n);
	if (!q)
		return;
	for (unsigned i = 0; i < q->ring.size; i++) {
		struct drv_split_desc *d = drv_raw_split(&q->ring, i);

		*d = *drv_raw_split(&q->ring, HEAD);
		d->len = 1;
		d->flags |= NEXT;
		d->next = (uint16_t)((i + 1) % q->ring.size);
	}
	must_break(c, q, &r);
}

/* Offers `head` in place of the request. */
static void head_is(struct cf *c, uint16_t head)
{
	struct drv_queue *q;
	struct vq_req r;
	unsigned n;

	q = start(c, &r, 0, &n);
	if (!q)
		return;
	drv_raw_avail(&q->ring)->ring[(q->ring.next_avail - 1) % q->ring.size] = head;
	must_break(c, q, &r);
}

/* Who takes that modulo the size finds the request. */
static void head_size(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (q)
		head_is(c, (uint16_t)(q->ring.size + HEAD));
}

static void head_far(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (q)
		head_is(c, (uint16_t)(HEAD - q->ring.size));
}

/* The available index as it cannot be. */
static void index_is(struct cf *c, int by)
{
	struct drv_queue *q;
	struct vq_req r;
	unsigned n;

	q = start(c, &r, 0, &n);
	if (!q)
		return;
	/* `by` counts from the last request that was used. */
	q->ring.next_avail = (uint16_t)(q->ring.next_used + by);
	must_break(c, q, &r);
}

static void index_jumps(struct cf *c)
{
	struct drv_queue *q = cf_up_probe(c, 0);

	if (q)
		index_is(c, q->ring.size + 1);
}

static void index_jumps_far(struct cf *c)
{
	index_is(c, 0x8000);
}

static void index_goes_back(struct cf *c)
{
	index_is(c, -1);
}

/* A table with the request, and a sound end that does not belong to it. The last entry of the
 * request gets `more_flags`, and what `next` makes of the table's number of entries. */
static void entry_is(struct cf *c, uint16_t more_flags, uint16_t (*next)(unsigned count))
{
	struct vq_elem e[VQ_ELEMS_MAX], ref;
	struct drv_split_desc *d;
	struct drv_queue *q;
	struct vq_req r;
	unsigned n;
	void *table;

	q = start(c, &r, INDIRECT, &n);
	if (!q)
		return;
	vq_req_elems(&r, e);
	e[n] = e[0];
	if (!vq_table(c, q, e, n + 1, &ref, &table))
		return;
	d = table;
	d[n] = spare(c, &r);
	d[n - 1].flags = (uint16_t)(e[n - 1].flags | more_flags);
	d[n - 1].next = next(n + 1);
	*drv_raw_split(&q->ring, HEAD) = (struct drv_split_desc){ ref.addr, ref.len, ref.flags, 0 };
	must_break(c, q, &r);
}

static uint16_t to_first(unsigned count)
{
	return 0;
}

/* The two that are the end of the table modulo its length, one just behind it, one far away. */
static uint16_t to_behind(unsigned count)
{
	return (uint16_t)(2 * count - 1);
}

static uint16_t to_far(unsigned count)
{
	return (uint16_t)(0x10000 / count * count - 1);
}

static void entry_indirect(struct cf *c)
{
	entry_is(c, VIRTQ_DESC_F_INDIRECT, to_first);
}

static void entry_next_behind(struct cf *c)
{
	entry_is(c, NEXT, to_behind);
}

static void entry_next_far(struct cf *c)
{
	entry_is(c, NEXT, to_far);
}

static void entry_loop(struct cf *c)
{
	entry_is(c, NEXT, to_first);
}

#define HOSTILE .flags = CF_HOSTILE
#define TABLE	HOSTILE, .needs = INDIRECT

const struct cf_case cf_cases_hostile_split[] = {
	{ "hostile_split.next.size", "ROB-2", next_size, HOSTILE },
	{ "hostile_split.next.largest", "ROB-2", next_largest, HOSTILE },
	{ "hostile_split.loop.to_head", "ROB-2 ROB-1", loop_to_head, HOSTILE },
	{ "hostile_split.loop.of_one", "ROB-2 ROB-1", loop_of_one, HOSTILE },
	{ "hostile_split.loop.of_all", "ROB-2 ROB-1", loop_of_all, HOSTILE },
	{ "hostile_split.head.size", "ROB-2", head_size, HOSTILE },
	{ "hostile_split.head.far", "ROB-2", head_far, HOSTILE },
	{ "hostile_split.index.jumps", "ROB-2", index_jumps, HOSTILE },
	{ "hostile_split.index.jumps_far", "ROB-2", index_jumps_far, HOSTILE },
	{ "hostile_split.index.goes_back", "ROB-2", index_goes_back, HOSTILE },
	{ "hostile_split.table.indirect", "ROB-2", entry_indirect, TABLE },
	{ "hostile_split.table.next_behind", "ROB-2", entry_next_behind, TABLE },
	{ "hostile_split.table.next_far", "ROB-2", entry_next_far, TABLE },
	{ "hostile_split.table.loop", "ROB-2 ROB-1", entry_loop, TABLE },
	{ 0 },
};
