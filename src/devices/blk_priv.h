/* SPDX-License-Identifier: BSD-3-Clause */
/* What blk.c (registration, configuration space, life cycle) and blk_request.c (requests) share. */
#pragma once

#include "base/le.h"
#include "devices/devices.h"
#include "host/disk.h"

enum {
	BLK_F_SEG_MAX = 2,
	BLK_F_RO = 5,
	BLK_F_BLK_SIZE = 6,
	BLK_F_FLUSH = 9,
	BLK_F_TOPOLOGY = 10,
	BLK_F_CONFIG_WCE = 11,
	BLK_F_MQ = 12,
	BLK_F_DISCARD = 13,
	BLK_F_WRITE_ZEROES = 14,
	BLK_F_LIFETIME = 15,
	BLK_F_SECURE_ERASE = 16,
};

#define BLK_ID_LEN	20u
#define BLK_SEGS_MAX	16u
#define BLK_SEG_SECTORS (1u << 22) /* 2 GiB: most of one discard or zeroing */

/* A range to discard, zero or erase (VIRTIO 1.4, 5.2.6). */
struct blk_segment {
	le64 sector;
	le32 num_sectors, flags;
};

/* A request on its way; one for each ring entry. */
struct blk_req {
	struct disk_io io;
	struct vq_chain *chain; /* NULL: given up by a reset while storage did not answer */
	uint8_t *status;	/* in guest memory */
	uint32_t type;
	uint16_t q;
	bool busy;
	uint16_t nsegs, seg; /* of discards and the like: how many, which one is at work */
	struct blk_req *next_free;
	struct blk_segment segs[BLK_SEGS_MAX];
};

struct blk_queue {
	struct blk *blk;
	unsigned index;
	struct ev_task again; /* more to serve after other work of the loop */
};

enum blk_cache { CACHE_WRITEBACK, CACHE_WRITETHROUGH, CACHE_NONE, CACHE_DIRECTSYNC };

struct blk {
	struct vdev vdev;
	/* Configuration keys. */
	char *image, *serial, *lifetime;
	bool readonly, discard;
	uint32_t block_size, queue_count, queue_size;
	int cache, erase;

	struct disk *disk;
	struct blk_req *reqs, *free;
	unsigned nreqs;
	struct blk_queue queue[VDEV_QUEUES_MAX];
	uint64_t pushed;     /* queues with completions to publish, a bit each */
	bool writeback;	     /* the configuration field */
	bool stable;	     /* what it means together with the features: writes are synchronous */
	struct disk_io sync; /* after a switch to writethrough */
	bool syncing;

	struct disk_stats stats;
	uint64_t reads, writes, flushes, discards, zeroings, erases;
	uint64_t read_bytes, written_bytes, errors, unsupported;
};

/* Serves what is available on queue q. */
void blk_serve(struct blk *b, unsigned q);
/* The task of a queue: continues to serve it; `arg` is the struct blk_queue. */
void blk_serve_again(void *arg);
/* The disk's events; `arg` is the struct blk. */
void blk_io_done(void *arg, struct disk_io *io);
void blk_io_batch_done(void *arg);
