/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A verified load for a block device: random reads, writes, zeroings and flushes over several
 * queues, against a model of what each block must contain. At most one request touches a block at a
 * time, so every read has exactly one right answer, also when requests overtake each other or are
 * executed again after a crash.
 */
#pragma once

#include "lib/blocks.h"
#include "tap.h"
#include "vhud.h"

#define LOAD_BLOCK    BLOCKS_LEN
#define LOAD_SLOTS    64u
#define LOAD_SPAN_MAX 4u /* blocks of one request */

enum { BLK_T_IN = 0, BLK_T_OUT = 1, BLK_T_FLUSH = 4, BLK_T_WRITE_ZEROES = 13 };

struct blk_hdr {
	uint32_t type, reserved;
	uint64_t sector;
};

struct blk_range {
	uint64_t sector;
	uint32_t num_sectors, flags;
};

/* One request in flight; the pointers are guest memory. */
struct load_slot {
	bool pending;
	unsigned q, block, span;
	struct blk_hdr *hdr;
	uint8_t *data, *status;
};

struct load {
	struct tap *t;
	struct vhud *d;
	unsigned nqueues, nblocks;
	uint32_t *version; /* of each block; 0: zeroes */
	bool *busy;
	struct load_slot slots[LOAD_SLOTS];
	unsigned pending;
	uint64_t random;
	uint32_t writes;    /* versions handed out, so that no contents come twice */
	unsigned long done; /* requests answered and found right */
};

/* For a started device with an image of zeroes, at least nblocks long. */
bool load_init(struct load *l, struct tap *t, struct vhud *d, unsigned nqueues, unsigned nblocks);
void load_finish(struct load *l);
/* Fills the queues; returns how many requests were added. */
unsigned load_submit(struct load *l);
/* Takes what is there within `timeout_ms` and checks it; false after a failure. */
bool load_reap(struct load *l, int timeout_ms);
/* Keeps the queues full until `n` more requests are answered. */
bool load_run(struct load *l, unsigned long n);
/* Waits for everything that is in flight. */
bool load_settle(struct load *l);
/* Compares the image file with the model; nothing may be in flight. */
bool load_verify(struct load *l, const char *path);
