/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Buffers and tables that break rules in the same way in split and packed rings. A list that cannot
 * be followed ends with DEVICE_NEEDS_RESET, and none of its buffers is used or written (ROB-2).
 */
#include "conformance/cases/cases.h"
#include "conformance/cases/vq_util.h"

#define INDIRECT DRV_FEATURE(VIRTIO_F_INDIRECT_DESC)
#define WRITE	 VIRTQ_DESC_F_WRITE
#define NEXT	 VIRTQ_DESC_F_NEXT

/* What a case begins with: a device that has answered before, a request, and its elements. */
struct start {
	struct drv_queue *q;
	struct vq_req r;
	struct vq_elem e[VQ_ELEMS_MAX];
	unsigned n;
};

static bool start(struct cf *c, struct start *s, uint64_t want)
{
	if (!vq_req_make(c, &s->r))
		return false;
	s->q = cf_up_probe(c, want);
	if (!s->q || !cf_probe_works(c, s->q))
		return false;
	vq_req_cut(c, &s->r, 2);
	s->n = vq_req_elems(&s->r, s->e);
	return true;
}

/* The elements as they are now must break the device. */
static void must_break(struct cf *c, struct start *s)
{
	vq_raw_list(s->q, 4, s->e, s->n);
	vq_raw_show(s->q);
	cf_must_break(c, s->q);
	vq_req_untouched(c, &s->r);
}

/* The same from within an indirect table. */
static void must_break_in_table(struct cf *c, struct start *s)
{
	struct vq_elem ref;
	void *table;

	if (!vq_table(c, s->q, s->e, s->n, &ref, &table))
		return;
	s->e[0] = ref;
	s->n = 1;
	must_break(c, s);
}

/* Adds an element behind the readable part and moves the rest. */
static void insert(struct start *s, unsigned at, uint64_t addr, uint32_t len, uint16_t flags)
{
	for (unsigned i = s->n; i > at; i--)
		s->e[i] = s->e[i - 1];
	s->e[at] = (struct vq_elem){ addr, len, flags };
	s->n++;
}

/* Addresses. One element of the wrong kind at the right place. */

static void readable_at(struct cf *c, uint64_t addr, uint32_t len, bool table)
{
	struct start s;

	if (!start(c, &s, table ? INDIRECT : 0))
		return;
	insert(&s, s.r.n_out, addr, len, 0);
	if (table)
		must_break_in_table(c, &s);
	else
		must_break(c, &s);
}

static void writable_at(struct cf *c, uint64_t addr, uint32_t len, bool table)
{
	struct start s;

	if (!start(c, &s, table ? INDIRECT : 0))
		return;
	insert(&s, s.n, addr, len, WRITE);
	if (table)
		must_break_in_table(c, &s);
	else
		must_break(c, &s);
}

static void readable_in_hole(struct cf *c)
{
	readable_at(c, cf_target(c)->hole, 16, false);
}

static void writable_in_hole(struct cf *c)
{
	writable_at(c, cf_target(c)->hole + 4096, 16, false);
}

static void readable_in_hole_by_table(struct cf *c)
{
	readable_at(c, cf_target(c)->hole, 16, true);
}

static void writable_in_hole_by_table(struct cf *c)
{
	writable_at(c, cf_target(c)->hole + 4096, 16, true);
}

static void readable_into_hole(struct cf *c)
{
	readable_at(c, cf_target(c)->hole - 8, 16, false);
}

static void writable_into_hole(struct cf *c)
{
	writable_at(c, cf_target(c)->hole - 8, 16, false);
}

static void readable_at_the_top(struct cf *c)
{
	readable_at(c, UINT64_MAX - 15, 16, false);
}

static void writable_over_the_top(struct cf *c)
{
	writable_at(c, UINT64_MAX - 7, 16, false);
}

static void readable_over_the_top(struct cf *c)
{
	readable_at(c, UINT64_MAX, 0xffffffff, false);
}

/* From memory that is there to beyond its end. */
static void writable_of_4gib(struct cf *c)
{
	writable_at(c, cf_sg(c, cf_target(c)->mem, 1).addr, 0xffffffff, false);
}

static void readable_of_4gib(struct cf *c)
{
	readable_at(c, cf_sg(c, cf_target(c)->mem, 1).addr, 0xffffffff, false);
}

/* Memory that devices may not write. */
static void writable_in_read_only(struct cf *c)
{
	if (cf_target(c)->readonly)
		writable_at(c, cf_target(c)->readonly, 16, false);
	else
		cf_skip(c, "the runner knows no memory that devices may not write");
}

/* More than 4 GiB in all, each element in memory that is there. */
static void more_than_4gib(struct cf *c)
{
	const struct cf_target *t = cf_target(c);
	struct start s;
	struct vq_elem ref, *e;
	uint32_t piece = t->mem_len > 0x40000000 ? 0x40000000 : (uint32_t)t->mem_len;
	unsigned n = (unsigned)((UINT64_C(1) << 32) / piece) + 2;
	void *table;

	if (n > 1024) {
		cf_skip(c, "the runner's memory of %u bytes is too small", piece);
		return;
	}
	if (!start(c, &s, INDIRECT))
		return;
	e = cf_buf(c, n * (uint32_t)sizeof(*e));
	for (unsigned i = 0; e && i < n; i++)
		e[i] = (struct vq_elem){ cf_sg(c, t->mem, piece).addr, piece, s.r.in ? WRITE : 0 };
	if (!e || !vq_table(c, s.q, e, n, &ref, &table))
		return;
	s.e[0] = ref;
	s.n = 1;
	must_break(c, &s);
}

/* Order. */

static void order(struct cf *c, uint64_t want)
{
	uint8_t *in = NULL, *out = NULL;
	struct start s;

	if (!start(c, &s, want) || !(in = cf_buf(c, 64)) || !(out = cf_buf(c, 64)))
		return;
	/* A writable element before everything, and a readable one behind everything. */
	insert(&s, 0, cf_sg(c, in, 64).addr, 64, WRITE);
	insert(&s, s.n, cf_sg(c, out, 64).addr, 64, 0);
	if (want)
		must_break_in_table(c, &s);
	else
		must_break(c, &s);
	cf_check(c, cf_filled(in, 0xa5, 64), "the writable buffer of a bad list was written");
}

static void writable_first(struct cf *c)
{
	order(c, 0);
}

static void writable_first_in_table(struct cf *c)
{
	order(c, INDIRECT);
}

/* Tables. */

/* Puts the request into a table, and lets the case change the element that refers to it. */
static bool table_start(struct cf *c, struct start *s, uint64_t want, void **table)
{
	struct vq_elem ref;

	if (!start(c, s, want) || !vq_table(c, s->q, s->e, s->n, &ref, table))
		return false;
	s->e[0] = ref;
	s->n = 1;
	return true;
}

static void table_not_negotiated(struct cf *c)
{
	struct start s;
	void *table;

	if (table_start(c, &s, 0, &table))
		must_break(c, &s);
}

/* Who takes `whole` tables and ignores the rest of the length finds the request. */
static void table_of_length(struct cf *c, bool whole, uint32_t more)
{
	struct start s;
	void *table;

	if (!table_start(c, &s, INDIRECT, &table))
		return;
	s.e[0].len = (whole ? s.e[0].len : 0) + more;
	must_break(c, &s);
}

static void table_empty(struct cf *c)
{
	table_of_length(c, false, 0);
}

static void table_of_15(struct cf *c)
{
	table_of_length(c, false, 15);
}

static void table_and_1(struct cf *c)
{
	table_of_length(c, true, 1);
}

static void table_and_15(struct cf *c)
{
	table_of_length(c, true, 15);
}

static void table_of_4gib(struct cf *c)
{
	table_of_length(c, false, 0xfffffff0);
}

static void table_at(struct cf *c, uint64_t addr)
{
	struct start s;
	void *table;

	if (!table_start(c, &s, INDIRECT, &table))
		return;
	s.e[0].addr = addr;
	must_break(c, &s);
}

static void table_in_hole(struct cf *c)
{
	table_at(c, cf_target(c)->hole);
}

static void table_into_hole(struct cf *c)
{
	table_at(c, cf_target(c)->hole - 8);
}

static void table_over_the_top(struct cf *c)
{
	table_at(c, UINT64_MAX - 15);
}

/* A table and something behind it. */
static void table_with_next(struct cf *c)
{
	struct start s;
	void *table;

	if (!table_start(c, &s, INDIRECT, &table))
		return;
	s.e[1] = (struct vq_elem){ s.r.sg[0].addr, s.r.sg[0].len, s.r.n_out ? 0 : WRITE };
	s.n = 2;
	must_break(c, &s);
}

/* As many entries as no queue can have (2.7, 2.7.5.3.1). */
static void table_too_long(struct cf *c)
{
	const uint32_t n = 32768 + 16;
	struct vq_elem one;
	struct start s;
	uint8_t *table;

	if (cf_target(c)->mem_len < 16 * n + 65536) {
		cf_skip(c, "the runner's memory is too small for a table of %u", n);
		return;
	}
	if (!start(c, &s, INDIRECT) || !(table = cf_buf(c, 16 * n)))
		return;
	/* Single entries, all alike, linked by hand in split rings. */
	one = (struct vq_elem){ s.e[0].addr, 1, s.e[0].flags };
	vq_table_fill(s.q, table, &one, 1);
	for (uint32_t len = 16; len < 16 * n; len *= 2)
		cf_copy(table + len, table, len < 16 * n - len ? len : 16 * n - len);
	for (uint32_t i = 0; !s.q->ring.packed && i + 1 < n; i++) {
		struct drv_split_desc *d = (struct drv_split_desc *)(void *)table + i;

		d->flags |= NEXT;
		d->next = (uint16_t)(i + 1);
	}
	s.e[0] = (struct vq_elem){ cf_sg(c, table, 16 * n).addr, 16 * n, VIRTQ_DESC_F_INDIRECT };
	s.n = 1;
	must_break(c, &s);
}

#define BOTH  .flags = CF_RINGS | CF_HOSTILE
#define TABLE BOTH, .needs = INDIRECT

const struct cf_case cf_cases_hostile[] = {
	{ "hostile.address.readable_in_hole", "ROB-2 ROB-23", readable_in_hole, BOTH },
	{ "hostile.address.writable_in_hole", "ROB-2 ROB-4", writable_in_hole, BOTH },
	{ "hostile.address.readable_into_hole", "ROB-2 ROB-23", readable_into_hole, BOTH },
	{ "hostile.address.writable_into_hole", "ROB-2 ROB-4", writable_into_hole, BOTH },
	{ "hostile.address.readable_at_the_top", "ROB-13", readable_at_the_top, BOTH },
	{ "hostile.address.writable_over_the_top", "ROB-13", writable_over_the_top, BOTH },
	{ "hostile.address.readable_over_the_top", "ROB-13", readable_over_the_top, BOTH },
	{ "hostile.address.writable_read_only", "ROB-2 ROB-4", writable_in_read_only, BOTH },
	{ "hostile.length.readable_4gib", "ROB-13 ROB-2", readable_of_4gib, BOTH },
	{ "hostile.length.writable_4gib", "ROB-13 ROB-2", writable_of_4gib, BOTH },
	{ "hostile.length.more_than_4gib", "ROB-13", more_than_4gib, TABLE },
	{ "hostile.order.writable_first", "ROB-2", writable_first, BOTH },
	{ "hostile.order.writable_first_in_table", "ROB-2", writable_first_in_table, TABLE },
	{ "hostile.table.not_negotiated", "ROB-2", table_not_negotiated, BOTH },
	{ "hostile.table.empty", "ROB-2", table_empty, TABLE },
	{ "hostile.table.of_15_bytes", "ROB-2", table_of_15, TABLE },
	{ "hostile.table.and_1_byte", "ROB-2", table_and_1, TABLE },
	{ "hostile.table.and_15_bytes", "ROB-2", table_and_15, TABLE },
	{ "hostile.table.of_4gib", "ROB-2 ROB-13", table_of_4gib, TABLE },
	{ "hostile.table.in_hole", "ROB-2", table_in_hole, TABLE },
	{ "hostile.table.into_hole", "ROB-2", table_into_hole, TABLE },
	{ "hostile.table.over_the_top", "ROB-13", table_over_the_top, TABLE },
	{ "hostile.table.with_next", "ROB-2", table_with_next, TABLE },
	{ "hostile.table.too_long", "ROB-2", table_too_long, TABLE },
	{ "hostile.table.readable_in_hole", "ROB-2 ROB-23", readable_in_hole_by_table, TABLE },
	{ "hostile.table.writable_in_hole", "ROB-2 ROB-4", writable_in_hole_by_table, TABLE },
	{ 0 },
};
