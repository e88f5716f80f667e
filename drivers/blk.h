/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Block device (VIRTIO 1.4, 5.2), one request queue. Functions that wait do so for `timeout`; after
 * DRV_TIMEOUT the buffer stays the device's until the device is opened again.
 */
#pragma once

#include "pool.h"

#define DRV_ID_BLK     2
#define DRV_BLK_SECTOR 512u
#define DRV_BLK_DEPTH  16u /* requests under way at most */

#define VIRTIO_BLK_F_SIZE_MAX	  1
#define VIRTIO_BLK_F_RO		  5
#define VIRTIO_BLK_F_BLK_SIZE	  6
#define VIRTIO_BLK_F_FLUSH	  9
#define VIRTIO_BLK_F_CONFIG_WCE	  11
#define VIRTIO_BLK_F_DISCARD	  13
#define VIRTIO_BLK_F_WRITE_ZEROES 14
#define VIRTIO_BLK_F_LIFETIME	  15
#define VIRTIO_BLK_F_SECURE_ERASE 16

#define VIRTIO_BLK_T_IN		  0u
#define VIRTIO_BLK_T_OUT	  1u
#define VIRTIO_BLK_T_FLUSH	  4u
#define VIRTIO_BLK_T_GET_ID	  8u
#define VIRTIO_BLK_T_GET_LIFETIME 10u
#define VIRTIO_BLK_T_DISCARD	  11u
#define VIRTIO_BLK_T_WRITE_ZEROES 13u
#define VIRTIO_BLK_T_SECURE_ERASE 14u

#define VIRTIO_BLK_S_OK	    0
#define VIRTIO_BLK_S_IOERR  1
#define VIRTIO_BLK_S_UNSUPP 2

/* A request, the caller's until it is finished. `buf` must be memory that devices reach for IN and
 * OUT; the others' few bytes are copied. */
struct drv_blk_op {
	uint32_t type; /* VIRTIO_BLK_T_* */
	uint32_t len;  /* bytes of buf */
	uint64_t sector;
	void *buf;
	bool finished;
	int result; /* 0, DRV_ERROR (IOERR), DRV_UNSUPPORTED, DRV_BROKEN */
	/* [opt] Called by drv_blk_poll() when it is finished. */
	void (*done)(struct drv_blk_op *op);
	void *ctx;
};

struct drv_blk_lifetime {
	uint16_t pre_eol_info, type_a, type_b;
};

struct drv_blk {
	struct drv_dev *dev;
	uint64_t capacity;   /* sectors of 512 bytes */
	uint32_t block_size; /* bytes */
	bool read_only;
	uint32_t max_discard, max_zeroes, max_erase; /* sectors in one request; 0: unsupported */
	uint64_t timeout;			     /* ns; 10 s unless changed */
	struct drv_pool pool;
	uint32_t max_bytes; /* in one request */
	struct drv_blk_op *ops[DRV_POOL_MAX];
};

int drv_blk_open(struct drv_blk *b, struct drv_dev *dev);
/* Reads the capacity again, after a configuration change. */
int drv_blk_refresh(struct drv_blk *b);

/* `len` is a multiple of 512; DRV_INVALID also beyond the end. */
int drv_blk_read(struct drv_blk *b, uint64_t sector, void *buf, uint32_t len);
int drv_blk_write(struct drv_blk *b, uint64_t sector, const void *buf, uint32_t len);
/* What was written before is on stable storage. DRV_UNSUPPORTED: the device has no such request. */
int drv_blk_flush(struct drv_blk *b);
/* DISCARD, WRITE_ZEROES or SECURE_ERASE of n sectors; `unmap` only for WRITE_ZEROES. */
int drv_blk_range(struct drv_blk *b, uint32_t type, uint64_t sector, uint64_t n, bool unmap);
/* The serial number, 20 bytes, and a 0. */
int drv_blk_id(struct drv_blk *b, char id[21]);
int drv_blk_lifetime(struct drv_blk *b, struct drv_blk_lifetime *l);
/* Write-back (true) or write-through cache, with CONFIG_WCE. */
int drv_blk_set_writeback(struct drv_blk *b, bool on);

/* Asynchronous: submit, then poll until op->finished. DRV_FULL: poll first. */
int drv_blk_submit(struct drv_blk *b, struct drv_blk_op *op);
/* Finishes one request, waiting for it until `until`: 0, DRV_TIMEOUT, DRV_BROKEN. */
int drv_blk_poll(struct drv_blk *b, uint64_t until);
