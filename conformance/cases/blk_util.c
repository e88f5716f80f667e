/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to a disk, and what must come back from each. See blk.h. */
#include "conformance/cases/blk.h"

#define FRESH 0xa5
#define SECTORS_MIN                                                                                \
	512u /* of a disk to test on: cases write within both ends and in the middle               \
	      */

bool blk_up(struct blk *b, struct cf *c, uint64_t want, unsigned n)
{
	b->c = c;
	b->q = cf_up(c, want, n);
	if (!b->q)
		return false;
	b->capacity = cf_config(c, BLK_CFG_CAPACITY, 8);
	b->header = cf_buf(c, sizeof(*b->header));
	b->status = cf_buf(c, 1);
	if (b->capacity < SECTORS_MIN)
		cf_skip(c, "the disk has %u sectors, tests want at least %u", (unsigned)b->capacity,
			SECTORS_MIN);
	return b->header && b->status && b->capacity >= SECTORS_MIN;
}

bool blk_up_writable(struct blk *b, struct cf *c, uint64_t want)
{
	if (cf_offered(c, VIRTIO_BLK_F_RO)) {
		cf_skip(c, "the disk is read-only");
		return false;
	}
	return blk_up(b, c, want, 1);
}

bool blk_up_readonly(struct blk *b, struct cf *c, uint64_t want)
{
	return blk_up(b, c, want | DRV_FEATURE(VIRTIO_BLK_F_RO), 1);
}

bool blk_type_is_in(uint32_t type)
{
	return type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID ||
	       type == VIRTIO_BLK_T_GET_LIFETIME;
}

bool blk_send(struct blk *b, const struct drv_sg *sg, unsigned n_out, unsigned n_in, uint32_t *used)
{
	uint32_t room = 0;
	void *cookie;

	for (unsigned i = n_out; i < n_out + n_in; i++)
		room += sg[i].len;
	if (!cf_submit(b->c, b->q, sg, n_out, n_in, b) || !cf_used(b->c, b->q, &cookie, used))
		return false;
	return cf_check(b->c, *used <= room,
		"the used length is %u, but the device may write %u bytes", *used, room);
}

bool blk_used_written(struct blk *b, const uint8_t *p, uint32_t len, uint32_t used)
{
	if (used < len)
		len = used;
	return cf_check(b->c, !len || !cf_filled(p, FRESH, len),
		"the used length is %u, but the first %u bytes were not written (2.7.8.2)", used,
		len);
}

bool blk_do(struct blk *b, uint32_t type, uint64_t sector, void *data, uint32_t len, uint8_t want)
{
	struct blk_header h = { type, 0, sector };
	bool in = blk_type_is_in(type);
	struct drv_sg sg[3] = { cf_sg(b->c, b->header, sizeof(h)) };
	unsigned n = 1;
	uint32_t used;

	cf_copy(b->header, &h, sizeof(h));
	*b->status = FRESH;
	if (len)
		sg[n++] = cf_sg(b->c, data, len);
	if (len && in)
		cf_fill(data, FRESH, len);
	sg[n++] = cf_sg(b->c, b->status, 1);
	if (!blk_send(b, sg, in ? 1 : n - 1, in ? n - 1 : 1, &used))
		return false;
	if (!cf_check(b->c, *b->status == want,
		    "type %u, sector %llu, %u bytes: status is %u, must be %u", type,
		    (unsigned long long)sector, len, *b->status, want))
		return false;
	if (!cf_check(b->c, cf_same(b->header, &h, sizeof(h)), "the device wrote to the header"))
		return false;
	return (want != VIRTIO_BLK_S_OK && in) ||
	       cf_eq(b->c, used, in ? len + 1 : 1, "the used length");
}

void blk_fill(uint8_t *p, uint32_t seed, uint32_t sectors)
{
	for (uint32_t i = 0; i < sectors; i++)
		cf_pattern(p + i * DRV_BLK_SECTOR, seed + i, DRV_BLK_SECTOR);
}

bool blk_filled(const uint8_t *p, uint32_t seed, uint32_t sectors)
{
	for (uint32_t i = 0; i < sectors; i++)
		if (!cf_is_pattern(p + i * DRV_BLK_SECTOR, seed + i, DRV_BLK_SECTOR))
			return false;
	return true;
}

bool blk_put(struct blk *b, uint8_t *buf, uint64_t sector, uint32_t seed, uint32_t sectors)
{
	blk_fill(buf, seed, sectors);
	return blk_do(b, VIRTIO_BLK_T_OUT, sector, buf, sectors * DRV_BLK_SECTOR,
		       VIRTIO_BLK_S_OK) &&
	       cf_check(b->c, blk_filled(buf, seed, sectors),
		       "the device changed the data of a write");
}

bool blk_holds(struct blk *b, uint8_t *buf, uint64_t sector, uint32_t seed, uint32_t sectors)
{
	return blk_do(b, VIRTIO_BLK_T_IN, sector, buf, sectors * DRV_BLK_SECTOR, VIRTIO_BLK_S_OK) &&
	       cf_check(b->c, blk_filled(buf, seed, sectors),
		       "%u sectors from %llu do not hold what was written there", sectors,
		       (unsigned long long)sector);
}

bool blk_is_zero(struct blk *b, uint8_t *buf, uint64_t sector, uint32_t sectors)
{
	return blk_do(b, VIRTIO_BLK_T_IN, sector, buf, sectors * DRV_BLK_SECTOR, VIRTIO_BLK_S_OK) &&
	       cf_check(b->c, cf_filled(buf, 0, sectors * DRV_BLK_SECTOR),
		       "%u sectors from %llu are not zero", sectors, (unsigned long long)sector);
}

unsigned blk_cut(struct cf *c, struct drv_sg *sg, unsigned max, const uint8_t *p, uint32_t len,
	const struct blk_cut *cut)
{
	unsigned n = 0;

	while (len) {
		uint32_t piece = n < cut->n ? cut->small : cut->step;

		if (piece > len || n + 1 == max)
			piece = len;
		sg[n++] = cf_sg(c, p, piece);
		p += piece;
		len -= piece;
	}
	return n;
}
