/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a monitor's transport (pci.c, mmio.c) needs from the other side, wherever that lives: a
 * device on a thread of this process (local.c) or a vhost-user process
 * (transport/vhost_user_frontend.c).
 *
 * Calls come from any thread, one at a time per backend (the transport holds its lock); they may
 * block until the device's thread or process has answered, and fail rather than wait for ever.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

struct vbackend;

/* A queue as the driver set it up; addresses are guest-physical. */
struct vb_queue {
	uint16_t size;
	uint64_t desc, driver, device;
	int kick_fd; /* eventfd: driver to device; not owned, open until queue_stop */
	int call_fd; /* eventfd: device to driver; likewise */
};

/* Called from any thread, even while another one is inside an operation of the backend: they must
 * not wait for a lock that is held around operations. */
struct vb_events {
	void (*config_changed)(void *arg);
	void (*needs_reset)(void *arg);
	void *arg;
};

struct vbackend_ops {
	/* The bits offered. */
	int (*features)(struct vbackend *b, uint64_t *features);
	/* 0, or -EINVAL: the transport does not set FEATURES_OK. */
	int (*set_features)(struct vbackend *b, uint64_t features);
	/* Status after FEATURES_OK, i.e. DRIVER_OK; 0 resets everything and stops all queues.
	 * -EINVAL if the device does not take DRIVER_OK. */
	int (*set_status)(struct vbackend *b, uint8_t status);
	int (*queue_start)(struct vbackend *b, unsigned q, const struct vb_queue *setup);
	int (*queue_stop)(struct vbackend *b, unsigned q);
	int (*config_read)(struct vbackend *b, uint32_t offset, void *buf, uint32_t len);
	int (*config_write)(struct vbackend *b, uint32_t offset, const void *buf, uint32_t len);
	void (*destroy)(struct vbackend *b);
};

struct vbackend {
	const struct vbackend_ops *ops;
	uint16_t device_id; /* VIRTIO 1.4, 5 */
	uint16_t nqueues;
	uint16_t queue_size_max;
	uint32_t config_len;	 /* bytes */
	const struct gm *gm;	 /* guest memory, fixed while the guest runs */
	struct vb_events events; /* set by the transport before the guest runs */
	const struct log *log;
};

struct vdev;

/* A backend for a device of this process: starts a thread with the device's loop. Takes over `dev`,
 * which was initialised on `loop`; destroys both at the end, but leaves them alone on failure. */
struct ev_loop;
int vb_local_create(struct vbackend **b, struct vdev *dev, struct ev_loop *loop,
	const struct gm *gm, const struct log *log, struct err *e);
