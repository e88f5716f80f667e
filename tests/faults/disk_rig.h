/* SPDX-License-Identifier: BSD-3-Clause */
/* A disk process on storage that fails on command, and a driver in front of it. */
#pragma once

#include "drivers/blk.h"
#include "faultfs.h"
#include "seat.h"
#include "server.h"
#include "tap.h"

#define RIG_BLOCK  4096u
#define RIG_BLOCKS (FAULTFS_SIZE / RIG_BLOCK)

struct disk_rig {
	struct faultfs fs;
	struct server srv;
	struct seat seat;
	struct drv_blk blk;
};

/* `cache` as the device's key. False: it cannot be set up, which is a failure or, where the host
 * does not let us mount, a reason to skip. */
bool rig_open(struct disk_rig *r, struct tap *t, const char *cache);
void rig_close(struct disk_rig *r, struct tap *t);
/* SIGKILL, and the next one. */
bool rig_kill(struct disk_rig *r);

/* Contents of a block in a version, of which each sector says where it belongs; 0: zeroes. */
void rig_fill(uint8_t *p, unsigned block, uint32_t version);
/* The version of a sector (0 to 7) of a block; UINT32_MAX: it has none, or is somewhere else's. */
uint32_t rig_version(const uint8_t *sector, unsigned block, unsigned number);
