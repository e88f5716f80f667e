/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtqueue with both of its sides in one process: a driver ring of drivers/ and a device queue
 * of src/virtio on guest memory that has inaccessible pages around it, so that a byte touched
 * outside ends the test.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "conformance/raw.h"
#include "virtio/queue.h"

/* Two adjacent guest-physical ranges that are not adjacent in this process. */
#define RIG_GPA	   0x100000u
#define RIG_REGION 0x100000u
#define RIG_END	   (RIG_GPA + 2 * RIG_REGION)
/* Rings and tables are below, buffers from here on. */
#define RIG_TABLES (RIG_GPA + 0x40000u)
#define RIG_BUF	   (RIG_GPA + 0x80000u)

/* Descriptors of an indirect table. */
#define RIG_TABLE_LEN 16u

#define RIG_BIT(f) (UINT64_C(1) << (f))

struct rig {
	struct gm gm;
	uint8_t *host[2];
	struct drv_ring drv;
	void *drv_state;
	struct vq *vq;
	struct vq_setup setup;
	int call_fd;
	uint64_t rnd;
};

/* Guest memory and a fresh ring on both sides. `inflight` may be NULL. True if all went well. */
bool rig_init(struct rig *r, uint16_t size, uint64_t features, void *inflight);
void rig_finish(struct rig *r);
/* (Re)starts the device's side at the given position. */
int rig_start(struct rig *r, uint16_t avail_base, uint16_t used_base);

/* Interrupts since the last call. */
uint64_t rig_interrupts(struct rig *r);
/* The host address of a guest address, which must exist. */
uint8_t *rig_ptr(struct rig *r, uint64_t gpa);

/* A pseudo-random number below `n` (at least 1). */
uint32_t rig_rand(struct rig *r, uint32_t n);
