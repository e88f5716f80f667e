/* SPDX-License-Identifier: BSD-3-Clause */
/* What the cases of the block device (VIRTIO 1.4, 5.2) share. */
#pragma once

#include "conformance/cases/cases.h"
#include "drivers/blk.h"

/* Features that the driver has no use for. */
#define VIRTIO_BLK_F_SEG_MAX  2
#define VIRTIO_BLK_F_TOPOLOGY 10
#define VIRTIO_BLK_F_MQ	      12
#define VIRTIO_BLK_F_ZONED    17

/* Offsets in the configuration space (5.2.4). */
enum {
	BLK_CFG_CAPACITY = 0,
	BLK_CFG_SIZE_MAX = 8,
	BLK_CFG_SEG_MAX = 12,
	BLK_CFG_BLK_SIZE = 20,
	BLK_CFG_PHYSICAL_BLOCK_EXP = 24,
	BLK_CFG_ALIGNMENT_OFFSET = 25,
	BLK_CFG_WRITEBACK = 32,
	BLK_CFG_UNUSED0 = 33,
	BLK_CFG_NUM_QUEUES = 34,
	BLK_CFG_MAX_DISCARD_SECTORS = 36,
	BLK_CFG_MAX_DISCARD_SEG = 40,
	BLK_CFG_DISCARD_SECTOR_ALIGNMENT = 44,
	BLK_CFG_MAX_WRITE_ZEROES_SECTORS = 48,
	BLK_CFG_MAX_WRITE_ZEROES_SEG = 52,
	BLK_CFG_WRITE_ZEROES_MAY_UNMAP = 56,
	BLK_CFG_UNUSED1 = 57,
	BLK_CFG_MAX_SECURE_ERASE_SECTORS = 60,
	BLK_CFG_MAX_SECURE_ERASE_SEG = 64,
	BLK_CFG_ZONED = 72,
	BLK_CFG_ZONED_MODEL = 92,
	BLK_CFG_UNUSED2 = 93,
	BLK_CFG_END = 96,
};

#define VIRTIO_BLK_ID_BYTES 20u
#define BLK_UNMAP	    1u /* flag of a write zeroes segment */

struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};

/* A segment of discard, write zeroes and secure erase. */
struct blk_segment {
	uint64_t sector;
	uint32_t num_sectors, flags;
};

/* The disk under test, and the buffers that all its requests share. */
struct blk {
	struct cf *c;
	struct drv_queue *q; /* where requests go; queue 0 at first */
	struct blk_header *header;
	uint8_t *status;
	uint64_t capacity; /* sectors */
};

/* Brings the disk up with `n` queues. False: recorded, or skipped as too small to test on. */
bool blk_up(struct blk *b, struct cf *c, uint64_t want, unsigned n);
/* The same with one queue; skipped if the disk is read-only. */
bool blk_up_writable(struct blk *b, struct cf *c, uint64_t want);
/* The same for a disk that must be read-only. */
bool blk_up_readonly(struct blk *b, struct cf *c, uint64_t want);

/* True if `type` lets the device write its data. */
bool blk_type_is_in(uint32_t type);
/*
 * One request in the usual form: header, data, status. Checks the status, that the header has not
 * been changed, and the used length: that is all of the device-writable part, except that a request
 * that fails to read may report less. Before a read the data is filled with 0xa5.
 */
bool blk_do(struct blk *b, uint32_t type, uint64_t sector, void *data, uint32_t len, uint8_t want);
/* A request in any form. Checks only that it is used, with a used length that has room. */
bool blk_send(
	struct blk *b, const struct drv_sg *sg, unsigned n_out, unsigned n_in, uint32_t *used);
/* Checks that the first `used` of the `len` bytes at `p`, 0xa5 before, were written (2.7.8.2). */
bool blk_used_written(struct blk *b, const uint8_t *p, uint32_t len, uint32_t used);

/* Sectors with contents that depend on `seed` and differ from each other. */
void blk_fill(uint8_t *p, uint32_t seed, uint32_t sectors);
bool blk_filled(const uint8_t *p, uint32_t seed, uint32_t sectors);
/* Writes such sectors to the disk, or checks that they are there; `buf` has room for them. */
bool blk_put(struct blk *b, uint8_t *buf, uint64_t sector, uint32_t seed, uint32_t sectors);
bool blk_holds(struct blk *b, uint8_t *buf, uint64_t sector, uint32_t seed, uint32_t sectors);
/* Reads them and checks that all is zero. */
bool blk_is_zero(struct blk *b, uint8_t *buf, uint64_t sector, uint32_t sectors);

/*
 * Cuts [p, p + len) into elements: `n` of `small` bytes, then as many as it takes of `step`.
 * Returns how many; never more than `max`, the last one takes what is left.
 */
struct blk_cut {
	uint16_t n, small, step;
};
unsigned blk_cut(struct cf *c, struct drv_sg *sg, unsigned max, const uint8_t *p, uint32_t len,
	const struct blk_cut *cut);
