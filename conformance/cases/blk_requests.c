/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to a disk other than reads, writes and ranges: flush, identity, wear, unknown ones. */
#include "conformance/cases/blk.h"

#define ZONE_APPEND 15u
#define ZONE_REPORT 16u

static void flush_status(struct cf *c)
{
	struct blk b;
	uint8_t *buf = cf_buf(c, 8 * DRV_BLK_SECTOR);

	if (!buf || !blk_up(&b, c, DRV_FEATURE(VIRTIO_BLK_F_FLUSH), 1) ||
		!blk_do(&b, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, VIRTIO_BLK_S_OK) ||
		cf_offered(c, VIRTIO_BLK_F_RO))
		return;
	if (blk_put(&b, buf, 16, 1, 8) &&
		blk_do(&b, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, VIRTIO_BLK_S_OK) &&
		blk_do(&b, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, VIRTIO_BLK_S_OK))
		blk_holds(&b, buf, 16, 1, 8);
}

/* A driver should not send data with a flush (5.2.6.1): if it does, nothing comes of it. */
static void flush_with_data(struct cf *c)
{
	struct blk b;
	uint8_t *buf = cf_buf(c, DRV_BLK_SECTOR), *data = cf_buf(c, DRV_BLK_SECTOR);

	if (!buf || !data || !blk_up_writable(&b, c, DRV_FEATURE(VIRTIO_BLK_F_FLUSH)))
		return;
	if (blk_put(&b, buf, 0, 1, 1) &&
		blk_do(&b, VIRTIO_BLK_T_FLUSH, 0, data, DRV_BLK_SECTOR, VIRTIO_BLK_S_OK))
		blk_holds(&b, buf, 0, 1, 1);
}

/* The status is the last byte of the writable part, and what is before it counts as written. */
static void flush_long_status(struct cf *c)
{
	struct blk b;
	uint8_t *in = cf_buf(c, 8);
	struct drv_sg sg[2];
	uint32_t used;

	if (!in || !blk_up(&b, c, DRV_FEATURE(VIRTIO_BLK_F_FLUSH), 1))
		return;
	cf_fill(b.header, 0, sizeof(*b.header));
	b.header->type = VIRTIO_BLK_T_FLUSH;
	sg[0] = cf_sg(c, b.header, sizeof(*b.header));
	sg[1] = cf_sg(c, in, 8);
	if (!blk_send(&b, sg, 1, 1, &used))
		return;
	cf_eq(c, in[7], VIRTIO_BLK_S_OK, "the last byte, the status");
	blk_used_written(&b, in, 7, used);
}

/* Who did not negotiate it has no use for it, but loses nothing by asking. */
static void flush_not_negotiated(struct cf *c)
{
	struct blk b;
	uint8_t *buf = cf_buf(c, DRV_BLK_SECTOR);

	if (!buf || !blk_up_writable(&b, c, 0))
		return;
	if (blk_put(&b, buf, 5, 77, 1) &&
		blk_do(&b, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, VIRTIO_BLK_S_OK))
		blk_holds(&b, buf, 5, 77, 1);
}

/* Device ID string: NUL-padded ASCII. */

static bool id_is_text(struct cf *c, const uint8_t *id)
{
	bool ended = false;

	for (unsigned i = 0; i < VIRTIO_BLK_ID_BYTES; i++) {
		if (!cf_check(c, !ended || !id[i], "the ID goes on after a NUL: byte %u is 0x%x", i,
			    id[i]))
			return false;
		ended = ended || !id[i];
		if (!cf_check(c, id[i] < 0x80, "byte %u of the ID is 0x%x, no ASCII", i, id[i]))
			return false;
	}
	return true;
}

static void get_id(struct cf *c)
{
	const char *serial = cf_fact(c, "serial");
	uint8_t *id = cf_buf(c, VIRTIO_BLK_ID_BYTES);
	char text[VIRTIO_BLK_ID_BYTES + 1] = { 0 };
	struct blk b;

	if (!id || !blk_up(&b, c, 0, 1) ||
		!blk_do(&b, VIRTIO_BLK_T_GET_ID, 0, id, VIRTIO_BLK_ID_BYTES, VIRTIO_BLK_S_OK) ||
		!id_is_text(c, id))
		return;
	cf_copy(text, id, VIRTIO_BLK_ID_BYTES);
	if (serial)
		cf_check(c, cf_text_same(text, serial), "the ID is '%s', must be '%s'", text,
			serial);
	cf_note(c, "'%s'", text);
}

/* The ID into descriptors of 3 bytes, the status behind it. */
static void get_id_in_pieces(struct cf *c)
{
	const struct blk_cut cut = { 0, 0, 3 };
	uint8_t *id = cf_buf(c, VIRTIO_BLK_ID_BYTES), *in = cf_buf(c, VIRTIO_BLK_ID_BYTES + 1);
	struct drv_sg sg[9];
	struct blk b;
	uint32_t used;
	unsigned n;

	if (!id || !in || !blk_up(&b, c, 0, 1) ||
		!blk_do(&b, VIRTIO_BLK_T_GET_ID, 0, id, VIRTIO_BLK_ID_BYTES, VIRTIO_BLK_S_OK))
		return;
	sg[0] = cf_sg(c, b.header, sizeof(*b.header));
	n = blk_cut(c, sg + 1, 8, in, VIRTIO_BLK_ID_BYTES + 1, &cut);
	if (!blk_send(&b, sg, 1, n, &used))
		return;
	cf_eq(c, used, VIRTIO_BLK_ID_BYTES + 1, "the used length");
	cf_eq(c, in[VIRTIO_BLK_ID_BYTES], VIRTIO_BLK_S_OK, "the status");
	cf_check(c, cf_same(id, in, VIRTIO_BLK_ID_BYTES), "another ID than in one piece");
}

static void get_id_short(struct cf *c)
{
	uint8_t *id = cf_buf(c, VIRTIO_BLK_ID_BYTES);
	struct blk b;

	if (!id || !blk_up(&b, c, 0, 1))
		return;
	for (uint32_t len = 0; len < VIRTIO_BLK_ID_BYTES; len++)
		if (!blk_do(&b, VIRTIO_BLK_T_GET_ID, 0, id, len, VIRTIO_BLK_S_IOERR))
			return;
	blk_do(&b, VIRTIO_BLK_T_GET_ID, 0, id, VIRTIO_BLK_ID_BYTES, VIRTIO_BLK_S_OK);
}

/* What a longer buffer gets behind the ID counts as written, so it has to be. */
static void get_id_long(struct cf *c)
{
	uint8_t *id = cf_buf(c, 64);
	struct drv_sg sg[2];
	struct blk b;
	uint32_t used;

	if (!id || !blk_up(&b, c, 0, 1))
		return;
	cf_fill(b.header, 0, sizeof(*b.header));
	b.header->type = VIRTIO_BLK_T_GET_ID;
	sg[0] = cf_sg(c, b.header, sizeof(*b.header));
	sg[1] = cf_sg(c, id, 64);
	if (!blk_send(&b, sg, 1, 1, &used))
		return;
	cf_eq(c, id[63], VIRTIO_BLK_S_OK, "the last byte, the status");
	if (id_is_text(c, id) && used > VIRTIO_BLK_ID_BYTES)
		blk_used_written(&b, id + VIRTIO_BLK_ID_BYTES, 63 - VIRTIO_BLK_ID_BYTES,
			used - VIRTIO_BLK_ID_BYTES);
}

/* Wear. */

static void lifetime(struct cf *c)
{
	uint16_t *v = cf_buf(c, 6);
	struct blk b;

	if (!v || !blk_up(&b, c, DRV_FEATURE(VIRTIO_BLK_F_LIFETIME), 1) ||
		!blk_do(&b, VIRTIO_BLK_T_GET_LIFETIME, 0, v, 6, VIRTIO_BLK_S_OK))
		return;
	cf_check(c, v[0] <= 3, "pre_eol_info is %u, a reserved value", v[0]);
	cf_check(c, v[1] <= 11, "device_lifetime_est_typ_a is %u, a reserved value", v[1]);
	cf_check(c, v[2] <= 11, "device_lifetime_est_typ_b is %u, a reserved value", v[2]);
	cf_note(c, "%u %u %u", v[0], v[1], v[2]);
}

static void lifetime_short(struct cf *c)
{
	uint8_t *v = cf_buf(c, 6);
	struct blk b;

	if (!v || !blk_up(&b, c, DRV_FEATURE(VIRTIO_BLK_F_LIFETIME), 1))
		return;
	for (uint32_t len = 0; len < 6; len++)
		if (!blk_do(&b, VIRTIO_BLK_T_GET_LIFETIME, 0, v, len, VIRTIO_BLK_S_IOERR))
			return;
}

/* Requests of features that were not negotiated, offered or not. */
static void not_negotiated(struct cf *c)
{
	static const uint8_t types[] = { VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES,
		VIRTIO_BLK_T_SECURE_ERASE };
	struct blk_segment *s = cf_buf(c, sizeof(*s));
	uint8_t *buf = cf_buf(c, 8 * DRV_BLK_SECTOR), *v = cf_buf(c, 6);
	struct blk b;

	if (!s || !buf || !v || !blk_up_writable(&b, c, 0) || !blk_put(&b, buf, 0, 9, 8))
		return;
	for (unsigned i = 0; i < sizeof(types); i++) {
		cf_copy(s, &(struct blk_segment){ 0, 8, 0 }, sizeof(*s));
		if (!blk_do(&b, types[i], 0, s, sizeof(*s), VIRTIO_BLK_S_UNSUPP) ||
			!blk_holds(&b, buf, 0, 9, 8))
			return;
	}
	blk_do(&b, VIRTIO_BLK_T_GET_LIFETIME, 0, v, 6, VIRTIO_BLK_S_UNSUPP);
}

/* Types that no version knows, with and without data either way. */

static bool type_is_known(uint32_t type)
{
	return type < 64 &&
	       (UINT64_C(1) << VIRTIO_BLK_T_IN | UINT64_C(1) << VIRTIO_BLK_T_OUT |
		       UINT64_C(1) << VIRTIO_BLK_T_FLUSH | UINT64_C(1) << VIRTIO_BLK_T_GET_ID |
		       UINT64_C(1) << VIRTIO_BLK_T_GET_LIFETIME |
		       UINT64_C(1) << VIRTIO_BLK_T_DISCARD |
		       UINT64_C(1) << VIRTIO_BLK_T_WRITE_ZEROES |
		       UINT64_C(1) << VIRTIO_BLK_T_SECURE_ERASE) >>
			       type &
		       1;
}

static bool type_is_unsupported(struct blk *b, uint32_t type, uint8_t *data)
{
	struct drv_sg sg[3];
	uint32_t used;

	if (!blk_do(b, type, 0, NULL, 0, VIRTIO_BLK_S_UNSUPP) ||
		!blk_do(b, type, 0, data, DRV_BLK_SECTOR, VIRTIO_BLK_S_UNSUPP))
		return false;
	cf_fill(data, 0xa5, DRV_BLK_SECTOR);
	*b->status = 0xa5;
	sg[0] = cf_sg(b->c, b->header, sizeof(*b->header));
	sg[1] = cf_sg(b->c, data, DRV_BLK_SECTOR);
	sg[2] = cf_sg(b->c, b->status, 1);
	return blk_send(b, sg, 1, 2, &used) &&
	       cf_check(b->c, *b->status == VIRTIO_BLK_S_UNSUPP,
		       "type %u with room for data: status is %u, must be 2", type, *b->status);
}

static void unknown_types(struct cf *c)
{
	static const uint32_t large[] = { 64, 100, 255, 256, 0x100, 0x10000, 0x01000000, 0x7fffffff,
		0x80000000, 0x80000001, 0xfffffffe, 0xffffffff };
	struct blk b;
	uint8_t *data = cf_buf(c, DRV_BLK_SECTOR), *disk = cf_buf(c, DRV_BLK_SECTOR);

	if (!data || !disk || !blk_up_writable(&b, c, 0) || !blk_put(&b, disk, 0, 4, 1))
		return;
	cf_fill(data, 0x3c, DRV_BLK_SECTOR);
	for (uint32_t type = 0; type < 64; type++)
		if (!type_is_known(type) && !type_is_unsupported(&b, type, data))
			return;
	for (unsigned i = 0; i < sizeof(large) / sizeof(*large); i++)
		if (!type_is_unsupported(&b, large[i], data))
			return;
	blk_holds(&b, disk, 0, 4, 1);
}

/* Requests about zones in their proper form: a report has room for one, an append has data and room
 * for a sector. */
static bool zone_is_unsupported(struct blk *b, uint32_t type, uint8_t *data)
{
	struct drv_sg sg[4] = { cf_sg(b->c, b->header, sizeof(*b->header)) };
	unsigned n = 1, n_out = 1;
	uint32_t used;

	cf_copy(b->header, &(struct blk_header){ type, 0, 0 }, sizeof(*b->header));
	*b->status = 0xa5;
	if (type == ZONE_APPEND)
		sg[n_out++] = cf_sg(b->c, data, DRV_BLK_SECTOR);
	n = n_out;
	if (type == ZONE_APPEND)
		sg[n++] = cf_sg(b->c, data + DRV_BLK_SECTOR, 8);
	if (type == ZONE_REPORT)
		sg[n++] = cf_sg(b->c, data, DRV_BLK_SECTOR);
	sg[n++] = cf_sg(b->c, b->status, 1);
	return blk_send(b, sg, n_out, n - n_out, &used) &&
	       cf_check(b->c, *b->status == VIRTIO_BLK_S_UNSUPP, "type %u: status is %u, must be 2",
		       type, *b->status);
}

static void zone_types(struct cf *c)
{
	static const uint8_t types[] = { ZONE_APPEND, ZONE_REPORT, 18, 20, 22, 24, 26 };
	struct blk b;
	uint8_t *data = cf_buf(c, DRV_BLK_SECTOR + 8);

	if (!data || !blk_up(&b, c, 0, 1))
		return;
	for (unsigned i = 0; i < sizeof(types); i++)
		if (!zone_is_unsupported(&b, types[i], data))
			return;
}

#define F(name) DRV_FEATURE(VIRTIO_BLK_F_##name)

const struct cf_case cf_cases_blk_requests[] = {
	{ "blk.flush.status", "BLK-2", flush_status, DRV_ID_BLK, .flags = CF_RINGS,
		.needs = F(FLUSH) },
	{ "blk.flush.with_data", "BLK-2", flush_with_data, DRV_ID_BLK, .needs = F(FLUSH) },
	{ "blk.flush.long_status", "V2.7.8.2-2 ROB-8", flush_long_status, DRV_ID_BLK,
		.flags = CF_RINGS, .needs = F(FLUSH) },
	{ "blk.flush.not_negotiated", "BLK-9", flush_not_negotiated, DRV_ID_BLK,
		.flags = CF_HOSTILE, .needs = F(FLUSH) },
	{ "blk.id.get", "BLK-1 V2.7.8.2-2", get_id, DRV_ID_BLK, .flags = CF_RINGS },
	{ "blk.id.pieces", "V2.7.4.1-1", get_id_in_pieces, DRV_ID_BLK, .flags = CF_RINGS },
	{ "blk.id.short", "ROB-10", get_id_short, DRV_ID_BLK, .flags = CF_HOSTILE },
	{ "blk.id.long", "V2.7.8.2-2 ROB-8", get_id_long, DRV_ID_BLK, .flags = CF_HOSTILE },
	{ "blk.lifetime.values", "BLK-12 V5.2.6.2-17", lifetime, DRV_ID_BLK, .needs = F(LIFETIME) },
	{ "blk.lifetime.short", "ROB-10", lifetime_short, DRV_ID_BLK, .flags = CF_HOSTILE,
		.needs = F(LIFETIME) },
	{ "blk.type.not_negotiated", "ROB-10", not_negotiated, DRV_ID_BLK, .flags = CF_HOSTILE },
	{ "blk.type.unknown", "ROB-10", unknown_types, DRV_ID_BLK, .flags = CF_HOSTILE },
	{ "blk.type.zones", "V5.2.6.2-18", zone_types, DRV_ID_BLK, .flags = CF_HOSTILE },
	{ 0 },
};
