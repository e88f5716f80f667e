/* SPDX-License-Identifier: BSD-3-Clause */
/* Discard, write zeroes and secure erase (VIRTIO 1.4, 5.2.6). */
#include "conformance/cases/blk.h"

#define SEED	   7000u
#define AREA	   32u /* sectors that cases use, around the middle of the disk */
#define MANY_LIMIT 64u

/* What differs between the three. */
struct range_op {
	uint8_t type, feature, cfg_sectors, cfg_segs;
	const char *name;
};

static const struct range_op ops[] = {
	{ VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_F_DISCARD, BLK_CFG_MAX_DISCARD_SECTORS,
		BLK_CFG_MAX_DISCARD_SEG, "discard" },
	{ VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_F_WRITE_ZEROES, BLK_CFG_MAX_WRITE_ZEROES_SECTORS,
		BLK_CFG_MAX_WRITE_ZEROES_SEG, "write zeroes" },
	{ VIRTIO_BLK_T_SECURE_ERASE, VIRTIO_BLK_F_SECURE_ERASE, BLK_CFG_MAX_SECURE_ERASE_SECTORS,
		BLK_CFG_MAX_SECURE_ERASE_SEG, "secure erase" },
};

enum { OPS = sizeof(ops) / sizeof(*ops) };

#define ALL_OPS                                                                                    \
	(DRV_FEATURE(VIRTIO_BLK_F_DISCARD) | DRV_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES) |              \
		DRV_FEATURE(VIRTIO_BLK_F_SECURE_ERASE))

/* The disk with the operation under test, and a place of AREA sectors that holds SEED. */
struct range {
	struct blk b;
	const struct range_op *op;
	struct blk_segment *segs; /* room for MANY_LIMIT + 1 */
	uint8_t *buf;
	uint64_t at;
	uint64_t max_sectors;
	uint32_t max_segs;
};

/* Room for `n` segments. */
static bool segments(struct range *r, uint32_t n)
{
	r->segs = cf_buf(r->b.c, n * (uint32_t)sizeof(*r->segs));
	return r->segs;
}

static bool fresh_area(struct range *r)
{
	return blk_put(&r->b, r->buf, r->at, SEED, AREA);
}

static bool area_is_untouched(struct range *r)
{
	return blk_holds(&r->b, r->buf, r->at, SEED, AREA);
}

static void set(struct range *r, unsigned i, uint64_t sector, uint32_t n, uint32_t flags)
{
	cf_copy(&r->segs[i], &(struct blk_segment){ sector, n, flags }, sizeof(*r->segs));
}

static bool send(struct range *r, uint32_t bytes, uint8_t want)
{
	return blk_do(&r->b, r->op->type, 0, r->segs, bytes, want);
}

static bool send_one(struct range *r, uint64_t sector, uint32_t n, uint32_t flags, uint8_t want)
{
	set(r, 0, sector, n, flags);
	return send(r, sizeof(*r->segs), want);
}

/* Sectors [first, first + n) of the area are gone, as the operation says, and no others. */
static bool only_gone(struct range *r, uint32_t first, uint32_t n)
{
	uint64_t at = r->at;

	if (r->op->type == VIRTIO_BLK_T_WRITE_ZEROES && !blk_is_zero(&r->b, r->buf, at + first, n))
		return false;
	return blk_holds(&r->b, r->buf, at, SEED, first) &&
	       blk_holds(&r->b, r->buf, at + first + n, SEED + first + n, AREA - first - n);
}

/* Runs `test` for the operations in `mask` that are offered; skipped if there is none. */
static void for_ops(struct cf *c, unsigned mask, uint32_t room, void (*test)(struct range *r))
{
	struct range r;
	bool any = false;

	if (!blk_up_writable(&r.b, c, ALL_OPS))
		return;
	r.at = r.b.capacity / 2;
	r.buf = cf_buf(c, AREA * DRV_BLK_SECTOR);
	if (!r.buf || !segments(&r, room))
		return;
	for (unsigned i = 0; i < OPS && !cf_failed(c); i++) {
		if (!(mask >> i & 1) || !cf_offered(c, ops[i].feature))
			continue;
		any = true;
		r.op = &ops[i];
		r.max_sectors = cf_config(c, r.op->cfg_sectors, 4);
		r.max_segs = (uint32_t)cf_config(c, r.op->cfg_segs, 4);
		if (fresh_area(&r))
			test(&r);
	}
	if (!any)
		cf_skip(c, "neither discard, nor write zeroes, nor secure erase is offered");
}

static void for_each_op(struct cf *c, uint32_t room, void (*test)(struct range *r))
{
	for_ops(c, ~0u, room, test);
}

static void test_one(struct range *r)
{
	if (send_one(r, r->at + 8, 16, 0, VIRTIO_BLK_S_OK))
		only_gone(r, 8, 16);
}

static void one(struct cf *c)
{
	for_each_op(c, 1, test_one);
}

/* Ranges that no alignment fits: one sector, an odd start, an odd length. */
static void test_unaligned(struct range *r)
{
	if (send_one(r, r->at + 3, 1, 0, VIRTIO_BLK_S_OK) && only_gone(r, 3, 1) && fresh_area(r) &&
		send_one(r, r->at + 5, 23, 0, VIRTIO_BLK_S_OK))
		only_gone(r, 5, 23);
}

static void unaligned(struct cf *c)
{
	for_each_op(c, 1, test_unaligned);
}

/* Every second sector, one segment each. */
static void test_many(struct range *r)
{
	uint32_t n = r->max_segs < AREA / 2 ? r->max_segs : AREA / 2;

	for (uint32_t i = 0; i < n; i++)
		set(r, i, r->at + 2 * i, 1, 0);
	if (!send(r, n * (uint32_t)sizeof(*r->segs), VIRTIO_BLK_S_OK))
		return;
	for (uint32_t i = 0; i < n; i++) {
		if (r->op->type == VIRTIO_BLK_T_WRITE_ZEROES &&
			!blk_is_zero(&r->b, r->buf, r->at + 2 * i, 1))
			return;
		if (!blk_holds(&r->b, r->buf, r->at + 2 * i + 1, SEED + 2 * i + 1, 1))
			return;
	}
}

static void many(struct cf *c)
{
	for_each_op(c, AREA / 2, test_many);
}

/* As many segments as the device says, and one more. */
static void test_most(struct range *r)
{
	uint32_t n = r->max_segs;

	if (n > MANY_LIMIT)
		return;
	for (uint32_t i = 0; i <= n; i++)
		set(r, i, r->at + 8 + i % 4, 1, 0);
	if (send(r, n * (uint32_t)sizeof(*r->segs), VIRTIO_BLK_S_OK) && only_gone(r, 8, 4))
		send(r, (n + 1) * (uint32_t)sizeof(*r->segs), VIRTIO_BLK_S_IOERR);
}

static void most(struct cf *c)
{
	for_each_op(c, MANY_LIMIT + 1, test_most);
}

/* Segments that descriptors cut anywhere (2.7.4). */
static void test_pieces(struct range *r)
{
	const struct blk_cut cut = { 5, 3, 7 };
	struct drv_sg sg[9];
	struct cf *c = r->b.c;
	uint32_t used;
	unsigned n;

	set(r, 0, r->at + 8, 16, 0);
	sg[0] = cf_sg(c, r->b.header, sizeof(*r->b.header));
	cf_copy(r->b.header, &(struct blk_header){ r->op->type, 0, 0 }, sizeof(*r->b.header));
	n = 1 + blk_cut(c, sg + 1, 7, (uint8_t *)r->segs, sizeof(*r->segs), &cut);
	*r->b.status = 0xa5;
	sg[n] = cf_sg(c, r->b.status, 1);
	if (blk_send(&r->b, sg, n, 1, &used) &&
		cf_eq(c, *r->b.status, VIRTIO_BLK_S_OK, "the status"))
		only_gone(r, 8, 16);
}

static void pieces(struct cf *c)
{
	for_each_op(c, 1, test_pieces);
}

static void test_last(struct range *r)
{
	r->at = r->b.capacity - AREA;
	if (fresh_area(r) && send_one(r, r->at + 8, AREA - 8, 0, VIRTIO_BLK_S_OK))
		blk_holds(&r->b, r->buf, r->at, SEED, 8);
}

static void last(struct cf *c)
{
	for_each_op(c, 1, test_last);
}

static void test_write_after(struct range *r)
{
	if (send_one(r, r->at, AREA, 0, VIRTIO_BLK_S_OK) &&
		blk_put(&r->b, r->buf, r->at + 4, SEED + 900, 8))
		blk_holds(&r->b, r->buf, r->at + 4, SEED + 900, 8);
}

static void write_after(struct cf *c)
{
	for_each_op(c, 1, test_write_after);
}

/* Nothing to do is done. */
static void test_empty_range(struct range *r)
{
	if (send_one(r, r->at + 8, 0, 0, VIRTIO_BLK_S_OK))
		area_is_untouched(r);
}

static void empty_range(struct cf *c)
{
	for_each_op(c, 1, test_empty_range);
}

/* Flags. */

static void test_reserved(struct range *r)
{
	for (unsigned bit = 1; bit < 32; bit++)
		if (!send_one(r, r->at + 8, 8, 1u << bit, VIRTIO_BLK_S_UNSUPP))
			return;
	area_is_untouched(r);
}

static void reserved_flags(struct cf *c)
{
	for_each_op(c, 1, test_reserved);
}

/* Also in a later segment. */
static void test_reserved_later(struct range *r)
{
	if (r->max_segs < 2)
		return;
	set(r, 0, r->at + 8, 8, 0);
	set(r, 1, r->at + 24, 1, 0x40000000);
	if (send(r, 2 * sizeof(*r->segs), VIRTIO_BLK_S_UNSUPP))
		area_is_untouched(r);
}

static void reserved_flags_later(struct cf *c)
{
	for_each_op(c, 2, test_reserved_later);
}

static void test_discard_unmap(struct range *r)
{
	if (send_one(r, r->at + 8, 8, BLK_UNMAP, VIRTIO_BLK_S_UNSUPP))
		area_is_untouched(r);
}

static void discard_unmap(struct cf *c)
{
	for_ops(c, 1u << 0, 1, test_discard_unmap);
}

static void test_zeroes_unmap(struct range *r)
{
	if (send_one(r, r->at + 8, 16, BLK_UNMAP, VIRTIO_BLK_S_OK) && only_gone(r, 8, 16) &&
		send_one(r, r->at + 8, 16, 0, VIRTIO_BLK_S_OK))
		only_gone(r, 8, 16);
}

static void zeroes_unmap(struct cf *c)
{
	for_ops(c, 1u << 1, 1, test_zeroes_unmap);
}

/* What is wrong with a request is told, and nothing is done. */

static void test_beyond(struct range *r)
{
	uint64_t cap = r->b.capacity;

	r->at = cap - AREA;
	if (!fresh_area(r))
		return;
	if (send_one(r, cap, 1, 0, VIRTIO_BLK_S_IOERR) &&
		send_one(r, cap - 1, 2, 0, VIRTIO_BLK_S_IOERR) &&
		send_one(r, cap - 8, 9, 0, VIRTIO_BLK_S_IOERR) &&
		send_one(r, UINT64_MAX, 1, 0, VIRTIO_BLK_S_IOERR) &&
		send_one(r, UINT64_MAX - 7, 16, 0, VIRTIO_BLK_S_IOERR) &&
		send_one(r, UINT64_C(1) << 55, 1, 0, VIRTIO_BLK_S_IOERR) &&
		send_one(r, cap - 1, UINT32_MAX, 0, VIRTIO_BLK_S_IOERR))
		area_is_untouched(r);
}

static void beyond(struct cf *c)
{
	for_each_op(c, 1, test_beyond);
}

/* One good segment does not make a bad one good; what is outside both stays. */
static void test_beyond_later(struct range *r)
{
	if (r->max_segs < 2)
		return;
	set(r, 0, r->at + 8, 8, 0);
	set(r, 1, r->b.capacity, 8, 0);
	if (send(r, 2 * sizeof(*r->segs), VIRTIO_BLK_S_IOERR) &&
		blk_holds(&r->b, r->buf, r->at, SEED, 8))
		blk_holds(&r->b, r->buf, r->at + 16, SEED + 16, AREA - 16);
}

static void beyond_later(struct cf *c)
{
	for_each_op(c, 2, test_beyond_later);
}

static void test_too_many_sectors(struct range *r)
{
	if (r->max_sectors >= r->b.capacity) {
		cf_skip(r->b.c, "one %s may cover the whole disk", r->op->name);
		return;
	}
	if (send_one(r, 0, (uint32_t)r->max_sectors + 1, 0, VIRTIO_BLK_S_IOERR))
		area_is_untouched(r);
}

static void too_many_sectors(struct cf *c)
{
	for_each_op(c, 1, test_too_many_sectors);
}

/* No segments, and parts of one. */
static void test_bad_length(struct range *r)
{
	static const uint8_t bytes[] = { 0, 1, 8, 15, 17, 24, 31 };

	set(r, 0, r->at + 8, 8, 0);
	set(r, 1, r->at + 20, 8, 0);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		if (!send(r, bytes[i], VIRTIO_BLK_S_IOERR))
			return;
	area_is_untouched(r);
}

static void bad_length(struct cf *c)
{
	for_each_op(c, 2, test_bad_length);
}

/* Read-only disks. */
static void readonly(struct cf *c)
{
	struct range r;
	uint8_t *before = cf_buf(c, AREA * DRV_BLK_SECTOR);

	r.buf = cf_buf(c, AREA * DRV_BLK_SECTOR);
	if (!before || !r.buf || !blk_up_readonly(&r.b, c, ALL_OPS) || !segments(&r, 1) ||
		!blk_do(&r.b, VIRTIO_BLK_T_IN, 0, before, AREA * DRV_BLK_SECTOR, VIRTIO_BLK_S_OK))
		return;
	for (unsigned i = 0; i < OPS; i++) {
		r.op = &ops[i];
		if (!send_one(&r, 0, AREA, 0,
			    cf_offered(c, r.op->feature) ? VIRTIO_BLK_S_IOERR
							 : VIRTIO_BLK_S_UNSUPP))
			return;
	}
	if (blk_do(&r.b, VIRTIO_BLK_T_IN, 0, r.buf, AREA * DRV_BLK_SECTOR, VIRTIO_BLK_S_OK))
		cf_check(c, cf_same(before, r.buf, AREA * DRV_BLK_SECTOR),
			"a read-only disk was changed");
}

#define F(name) DRV_FEATURE(VIRTIO_BLK_F_##name)

const struct cf_case cf_cases_blk_range[] = {
	{ "blk.range.one", "BLK-4 BLK-5 V5.2.6.2-9", one, DRV_ID_BLK, .flags = CF_RINGS },
	{ "blk.range.unaligned", "BLK-4 BLK-5 BLK-8 V5.2.6.2-9", unaligned, DRV_ID_BLK },
	{ "blk.range.many", "BLK-4 BLK-5 V5.2.6.2-9", many, DRV_ID_BLK },
	{ "blk.range.last", "BLK-4 BLK-5", last, DRV_ID_BLK },
	{ "blk.range.write_after", "BLK-4 BLK-5", write_after, DRV_ID_BLK },
	{ "blk.range.empty", "BLK-4 BLK-5", empty_range, DRV_ID_BLK },
	{ "blk.range.pieces", "V2.7.4.1-1", pieces, DRV_ID_BLK, .flags = CF_RINGS },
	{ "blk.range.reserved_flags", "V5.2.6.2-5", reserved_flags, DRV_ID_BLK,
		.flags = CF_HOSTILE },
	{ "blk.range.reserved_flags_later", "V5.2.6.2-5", reserved_flags_later, DRV_ID_BLK,
		.flags = CF_HOSTILE },
	{ "blk.discard.unmap", "V5.2.6.2-6", discard_unmap, DRV_ID_BLK, .flags = CF_HOSTILE,
		.needs = F(DISCARD) },
	{ "blk.zeroes.unmap", "V5.2.6.2-9 BLK-5", zeroes_unmap, DRV_ID_BLK,
		.needs = F(WRITE_ZEROES) },
	{ "blk.range.most", "ROB-10", most, DRV_ID_BLK, .flags = CF_HOSTILE },
	{ "blk.range.beyond", "ROB-10 BLK-8", beyond, DRV_ID_BLK, .flags = CF_HOSTILE },
	{ "blk.range.beyond_later", "ROB-10 BLK-8", beyond_later, DRV_ID_BLK, .flags = CF_HOSTILE },
	{ "blk.range.too_many_sectors", "ROB-10", too_many_sectors, DRV_ID_BLK,
		.flags = CF_HOSTILE },
	{ "blk.range.bad_length", "ROB-10", bad_length, DRV_ID_BLK, .flags = CF_HOSTILE },
	{ "blk.readonly.ranges", "ROB-10 V5.2.6.2-4", readonly, DRV_ID_BLK, .flags = CF_HOSTILE,
		.needs = F(RO) },
	{ 0 },
};
