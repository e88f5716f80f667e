/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that a disk must refuse: beyond its end, of wrong lengths, in forms that make no sense.
 */
#include "conformance/cases/blk.h"

#define SEED 4000u

/* Where reads and writes do not belong; `len` sectors. */
static bool is_refused(struct blk *b, uint8_t *buf, uint64_t sector, uint32_t len)
{
	if (!blk_do(b, VIRTIO_BLK_T_IN, sector, buf, len * DRV_BLK_SECTOR, VIRTIO_BLK_S_IOERR))
		return false;
	blk_fill(buf, SEED + 500, len);
	return blk_do(b, VIRTIO_BLK_T_OUT, sector, buf, len * DRV_BLK_SECTOR, VIRTIO_BLK_S_IOERR);
}

static void beyond_capacity(struct cf *c)
{
	struct blk b;
	uint8_t *buf = cf_buf(c, 16 * DRV_BLK_SECTOR), *ends = cf_buf(c, 16 * DRV_BLK_SECTOR);
	uint64_t cap;

	if (!buf || !ends || !blk_up_writable(&b, c, 0))
		return;
	cap = b.capacity;
	if (blk_put(&b, ends, 0, SEED, 16) && blk_put(&b, ends, cap - 16, SEED + 100, 16) &&
		is_refused(&b, buf, cap, 1) && is_refused(&b, buf, cap, 16) &&
		is_refused(&b, buf, cap - 1, 2) && is_refused(&b, buf, cap - 8, 16) &&
		is_refused(&b, buf, cap + 1, 1) && blk_holds(&b, ends, 0, SEED, 16))
		blk_holds(&b, ends, cap - 16, SEED + 100, 16);
}

/* Sectors that become small ones if they are multiplied by 512 or added to without care. */
static void sector_overflow(struct cf *c)
{
	struct blk b;
	uint8_t *buf = cf_buf(c, 16 * DRV_BLK_SECTOR), *ends = cf_buf(c, 32 * DRV_BLK_SECTOR);

	if (!buf || !ends || !blk_up_writable(&b, c, 0) || !blk_put(&b, ends, 0, SEED, 32))
		return;
	for (unsigned shift = 32; shift < 64; shift++)
		if (UINT64_C(1) << shift >= b.capacity &&
			!is_refused(&b, buf, UINT64_C(1) << shift, 1))
			return;
	for (uint64_t back = 0; back < 17; back += 4)
		if (!is_refused(&b, buf, UINT64_MAX - back, 16))
			return;
	if (is_refused(&b, buf, UINT64_MAX / 512, 8) &&
		is_refused(&b, buf, UINT64_MAX / 512 + 1, 8) &&
		is_refused(&b, buf, (UINT64_C(1) << 63) / 512, 8))
		blk_holds(&b, ends, 0, SEED, 32);
}

/* Data that is no multiple of 512 bytes. */
static void bad_length(struct cf *c)
{
	static const uint16_t bytes[] = { 1, 16, 511, 513, 1000, 1023, 1025 };
	struct blk b;
	uint8_t *buf = cf_buf(c, 1025), *disk = cf_buf(c, 8 * DRV_BLK_SECTOR);

	if (!buf || !disk || !blk_up_writable(&b, c, 0) || !blk_put(&b, disk, 4, SEED, 8))
		return;
	for (unsigned i = 0; i < sizeof(bytes) / sizeof(*bytes); i++)
		if (!blk_do(&b, VIRTIO_BLK_T_IN, 4, buf, bytes[i], VIRTIO_BLK_S_IOERR) ||
			!blk_do(&b, VIRTIO_BLK_T_OUT, 4, buf, bytes[i], VIRTIO_BLK_S_IOERR))
			return;
	blk_holds(&b, disk, 4, SEED, 8);
}

/* Requests with room for data that fail in different ways. */
static const struct {
	uint32_t type, len;
	bool beyond;
} failing[] = {
	{ VIRTIO_BLK_T_IN, 2 * DRV_BLK_SECTOR, true },
	{ VIRTIO_BLK_T_IN, 700, false },
	{ VIRTIO_BLK_T_GET_ID, 10, false },
	{ 0x123, 100, false },
};

enum { FAILING = sizeof(failing) / sizeof(*failing) };

/* Sends the request `i`; `*used` is the used length. */
static bool fail(struct blk *b, unsigned i, uint8_t *in, uint32_t *used)
{
	struct cf *c = b->c;
	struct drv_sg sg[2] = { cf_sg(c, b->header, sizeof(*b->header)),
		cf_sg(c, in, failing[i].len + 1) };

	cf_copy(b->header,
		&(struct blk_header){ failing[i].type, 0, failing[i].beyond ? b->capacity : 0 },
		sizeof(*b->header));
	cf_fill(in, 0xa5, failing[i].len + 1);
	return blk_send(b, sg, 1, 1, used);
}

/* The used length counts bytes from the start that have been written. */
static void error_written(struct cf *c)
{
	struct blk b;
	uint8_t *in = cf_buf(c, 2 * DRV_BLK_SECTOR + 1);
	uint32_t used;

	if (!in || !blk_up(&b, c, 0, 1))
		return;
	for (unsigned i = 0; i < FAILING; i++)
		if (!fail(&b, i, in, &used) || !blk_used_written(&b, in, failing[i].len, used))
			return;
}

/* It reaches to the status: a driver may not look at what is behind it (2.7.8.3). */
static void error_covers_status(struct cf *c)
{
	struct blk b;
	uint8_t *in = cf_buf(c, 2 * DRV_BLK_SECTOR + 1);
	uint32_t used;

	if (!in || !blk_up(&b, c, 0, 1))
		return;
	for (unsigned i = 0; i < FAILING; i++)
		if (!fail(&b, i, in, &used) ||
			!cf_eq(c, used, failing[i].len + 1, "the used length"))
			return;
}

/* Broken forms. */

/* For a flush nothing but the header can be wrong, and for a read of nothing. */
static void short_header(struct cf *c)
{
	static const uint8_t types[] = { VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_IN };
	struct blk b;
	struct drv_sg sg[2];
	uint32_t used;

	if (!blk_up(&b, c, DRV_FEATURE(VIRTIO_BLK_F_FLUSH), 1))
		return;
	sg[1] = cf_sg(c, b.status, 1);
	for (uint32_t i = 2; i < 2 * sizeof(*b.header); i++) {
		cf_copy(b.header, &(struct blk_header){ types[i % 2], 0, 0 }, sizeof(*b.header));
		*b.status = 0xa5;
		sg[0] = cf_sg(c, b.header, i / 2);
		if (!blk_send(&b, sg, 1, 1, &used) ||
			!cf_check(c, *b.status == VIRTIO_BLK_S_IOERR,
				"a header of %u bytes, type %u: status is %u, must be 1", i / 2,
				types[i % 2], *b.status) ||
			!cf_eq(c, used, 1, "the used length"))
			return;
	}
	cf_must_go_on(c, b.q);
}

static void no_header(struct cf *c)
{
	struct blk b;
	struct drv_sg sg;
	uint32_t used;

	if (!blk_up(&b, c, 0, 1))
		return;
	sg = cf_sg(c, b.status, 1);
	if (blk_send(&b, &sg, 0, 1, &used) &&
		cf_eq(c, *b.status, VIRTIO_BLK_S_IOERR, "the status") &&
		cf_eq(c, used, 1, "the used length"))
		cf_must_go_on(c, b.q);
}

/* A request of nothing but device-readable elements: the status has nowhere to go. */
static void no_status(struct cf *c, uint32_t type, uint32_t data_len)
{
	struct blk b;
	uint8_t *disk = cf_buf(c, DRV_BLK_SECTOR), *data = cf_buf(c, DRV_BLK_SECTOR);
	struct drv_sg sg[2];

	if (!disk || !data || !blk_up_writable(&b, c, 0) || !blk_put(&b, disk, 2, SEED, 1))
		return;
	cf_copy(b.header, &(struct blk_header){ type, 0, 2 }, sizeof(*b.header));
	sg[0] = cf_sg(c, b.header, sizeof(*b.header));
	sg[1] = cf_sg(c, data, data_len);
	if (!cf_submit(c, b.q, sg, data_len ? 2 : 1, 0, &b))
		return;
	cf_must_break(c, b.q);
	cf_check(c, cf_filled(data, 0xa5, DRV_BLK_SECTOR),
		"the device wrote to what it may only read");
	if (!cf_failed(c) && blk_up_writable(&b, c, 0))
		blk_holds(&b, disk, 2, SEED, 1);
}

static void no_status_header_only(struct cf *c)
{
	no_status(c, VIRTIO_BLK_T_IN, 0);
}

static void no_status_write(struct cf *c)
{
	no_status(c, VIRTIO_BLK_T_OUT, DRV_BLK_SECTOR);
}

/* The status byte is there, but read-only. */
static void readonly_status(struct cf *c)
{
	no_status(c, VIRTIO_BLK_T_FLUSH, 1);
}

/* Data in the wrong direction: the driver would take success for data that went nowhere. */

static void in_from_readable(struct cf *c)
{
	struct blk b;
	uint8_t *data = cf_buf(c, DRV_BLK_SECTOR);
	struct drv_sg sg[3];
	uint32_t used;

	if (!data || !blk_up(&b, c, 0, 1))
		return;
	cf_fill(b.header, 0, sizeof(*b.header));
	sg[0] = cf_sg(c, b.header, sizeof(*b.header));
	sg[1] = cf_sg(c, data, DRV_BLK_SECTOR);
	sg[2] = cf_sg(c, b.status, 1);
	if (!blk_send(&b, sg, 2, 1, &used))
		return;
	cf_check(c, cf_filled(data, 0xa5, DRV_BLK_SECTOR),
		"the device wrote to what it may only read");
	cf_eq(c, *b.status, VIRTIO_BLK_S_IOERR, "the status");
	cf_eq(c, used, 1, "the used length");
	cf_must_go_on(c, b.q);
}

static void out_to_writable(struct cf *c)
{
	struct blk b;
	uint8_t *data = cf_buf(c, DRV_BLK_SECTOR), *disk = cf_buf(c, DRV_BLK_SECTOR);
	struct drv_sg sg[3];
	uint32_t used;

	if (!data || !disk || !blk_up_writable(&b, c, 0) || !blk_put(&b, disk, 3, SEED, 1))
		return;
	cf_copy(b.header, &(struct blk_header){ VIRTIO_BLK_T_OUT, 0, 3 }, sizeof(*b.header));
	*b.status = 0xa5;
	sg[0] = cf_sg(c, b.header, sizeof(*b.header));
	sg[1] = cf_sg(c, data, DRV_BLK_SECTOR);
	sg[2] = cf_sg(c, b.status, 1);
	if (!blk_send(&b, sg, 1, 2, &used))
		return;
	cf_eq(c, *b.status, VIRTIO_BLK_S_IOERR, "the status");
	blk_holds(&b, disk, 3, SEED, 1);
}

/* Data both ways. */
static void both_ways(struct cf *c)
{
	struct blk b;
	uint8_t *out = cf_buf(c, DRV_BLK_SECTOR), *in = cf_buf(c, DRV_BLK_SECTOR);
	struct drv_sg sg[4];
	uint32_t used;

	if (!out || !in || !blk_up_writable(&b, c, 0))
		return;
	sg[0] = cf_sg(c, b.header, sizeof(*b.header));
	sg[1] = cf_sg(c, out, DRV_BLK_SECTOR);
	sg[2] = cf_sg(c, in, DRV_BLK_SECTOR);
	sg[3] = cf_sg(c, b.status, 1);
	for (uint32_t type = VIRTIO_BLK_T_IN; type <= VIRTIO_BLK_T_OUT; type++) {
		cf_copy(b.header, &(struct blk_header){ type, 0, 6 }, sizeof(*b.header));
		cf_fill(in, 0xa5, DRV_BLK_SECTOR);
		*b.status = 0xa5;
		if (!blk_send(&b, sg, 2, 2, &used) ||
			!cf_check(c, *b.status == VIRTIO_BLK_S_IOERR,
				"type %u: status is %u, must be 1", type, *b.status))
			return;
	}
	cf_must_go_on(c, b.q);
}

/* The unused field of the header is not looked at. */
static void reserved_field(struct cf *c)
{
	struct blk b;
	uint8_t *in = cf_buf(c, DRV_BLK_SECTOR + 1);
	struct drv_sg sg[2];
	uint32_t used;

	if (!in || !blk_up(&b, c, 0, 1))
		return;
	cf_copy(b.header, &(struct blk_header){ VIRTIO_BLK_T_IN, 0xffffffff, 0 },
		sizeof(*b.header));
	sg[0] = cf_sg(c, b.header, sizeof(*b.header));
	sg[1] = cf_sg(c, in, DRV_BLK_SECTOR + 1);
	if (blk_send(&b, sg, 1, 1, &used)) {
		cf_eq(c, in[DRV_BLK_SECTOR], VIRTIO_BLK_S_OK, "the status");
		cf_eq(c, used, DRV_BLK_SECTOR + 1, "the used length");
	}
}

/* Data where no memory is. */
static void data_in_hole(struct cf *c)
{
	struct blk b;
	struct drv_sg sg[3];

	if (!blk_up_writable(&b, c, 0))
		return;
	cf_copy(b.header, &(struct blk_header){ VIRTIO_BLK_T_OUT, 0, 0 }, sizeof(*b.header));
	sg[0] = cf_sg(c, b.header, sizeof(*b.header));
	sg[1] = (struct drv_sg){ cf_target(c)->hole, DRV_BLK_SECTOR };
	sg[2] = cf_sg(c, b.status, 1);
	if (!cf_submit(c, b.q, sg, 2, 1, &b))
		return;
	cf_must_break(c, b.q);
	cf_check(c, *b.status == 0xa5, "a status was written to a broken request");
}

/* A flood of bad requests: each is answered, and a good one after them, too. */
static void flood(struct cf *c)
{
	struct blk b;
	uint8_t *buf = cf_buf(c, DRV_BLK_SECTOR);

	if (!buf || !blk_up(&b, c, 0, 1))
		return;
	for (unsigned i = 0; i < 500; i++)
		if (!blk_do(&b, VIRTIO_BLK_T_IN, b.capacity + i, buf, DRV_BLK_SECTOR,
			    VIRTIO_BLK_S_IOERR))
			return;
	blk_do(&b, VIRTIO_BLK_T_IN, 0, buf, DRV_BLK_SECTOR, VIRTIO_BLK_S_OK);
}

const struct cf_case cf_cases_blk_hostile[] = {
	{ "blk.beyond.capacity", "ROB-10 BLK-8", beyond_capacity, DRV_ID_BLK,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "blk.beyond.sector_overflow", "ROB-10 ROB-13 BLK-8", sector_overflow, DRV_ID_BLK,
		.flags = CF_HOSTILE },
	{ "blk.length.not_512", "ROB-10", bad_length, DRV_ID_BLK, .flags = CF_HOSTILE },
	{ "blk.error.written", "V2.7.8.2-2", error_written, DRV_ID_BLK, .flags = CF_HOSTILE },
	{ "blk.error.covers_status", "ROB-8", error_covers_status, DRV_ID_BLK,
		.flags = CF_HOSTILE },
	{ "blk.header.short", "ROB-1 ROB-10", short_header, DRV_ID_BLK,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "blk.header.none", "ROB-1 ROB-10", no_header, DRV_ID_BLK, .flags = CF_HOSTILE },
	{ "blk.header.reserved", "BLK-1", reserved_field, DRV_ID_BLK, .flags = CF_HOSTILE },
	{ "blk.status.none", "ROB-11", no_status_header_only, DRV_ID_BLK,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "blk.status.none_write", "ROB-11 V2.7.5.1-1", no_status_write, DRV_ID_BLK,
		.flags = CF_HOSTILE },
	{ "blk.status.readonly", "ROB-11 V2.7.5.1-1", readonly_status, DRV_ID_BLK,
		.flags = CF_HOSTILE },
	{ "blk.direction.in_from_readable", "ROB-10", in_from_readable, DRV_ID_BLK,
		.flags = CF_HOSTILE },
	{ "blk.direction.out_to_writable", "ROB-10", out_to_writable, DRV_ID_BLK,
		.flags = CF_HOSTILE },
	{ "blk.direction.both", "ROB-10", both_ways, DRV_ID_BLK, .flags = CF_HOSTILE },
	{ "blk.data.in_hole", "ROB-2", data_in_hole, DRV_ID_BLK, .flags = CF_HOSTILE | CF_RINGS },
	{ "blk.flood.bad_requests", "ROB-1 ROB-10", flood, DRV_ID_BLK, .flags = CF_HOSTILE },
	{ 0 },
};
