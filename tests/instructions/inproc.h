/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device and a driver of drivers/ on one thread: accesses to registers are calls of
 * src/virtio/device.h, and a notification is one turn of the device's loop. What the device
 * executes in its turns is what callgrind counts, and nothing else.
 */
#pragma once

#include <stdbool.h>

#include "base/mem.h"
#include "drivers/drv.h"
#include "virtio/device.h"

#define INPROC_QUEUES 4u

struct inproc {
	struct vdev *dev;
	struct drv_dev drv;
	/* Private. */
	struct drv_platform platform;
	struct vdev_host host;
	struct ev_loop *loop;
	struct gm gm;
	uint8_t *ram;
	uint64_t hide;
	int call[INPROC_QUEUES];
	void *inflight[INPROC_QUEUES];
};

/* A device whose keys are set ("image", path, ..., NULL), so that it can be connected to a medium.
 * All functions end the process after saying why if something goes wrong. */
void inproc_new(struct inproc *p, struct ev_loop *loop, const struct vdev_class *cls, ...)
	__attribute__((sentinel));
/* Opens it for a driver that is not offered the features in `hide`. */
void inproc_start(struct inproc *p, uint64_t hide);
void inproc_close(struct inproc *p);
/* Memory for buffers, which the device reaches. */
uint8_t *inproc_buf(struct inproc *p);
/* Words of the operator, counted as a turn. */
void inproc_tell(struct inproc *p, unsigned argc, char **argv);

/* Ends the process if `ret` is not 0. */
void must(int ret, const char *what);
/* Runs it some times, then as often with counting, and has callgrind write the count for `name`. */
void inproc_count(const char *name, void (*once)(void *arg), void *arg);
