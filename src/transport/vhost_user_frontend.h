/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front-end side of vhost-user: a device of any type whose back-end is another process, ours or
 * somebody else's. It keeps everything that the driver set up, and the in-flight record; when the
 * back-end dies it connects to the next one and tells it all, so that the driver notices nothing.
 */
#pragma once

#include "virtio/backend.h"

struct vhu_frontend_opts {
	const char *path;	 /* the back-end's socket; copied */
	uint16_t device_id;	 /* VIRTIO 1.4, 5 */
	uint16_t nqueues;	 /* 0: as many as the back-end says (needs its MQ) */
	uint16_t queue_size_max; /* a power of two; 0: 256 */
	uint32_t config_len;	 /* bytes, at most 256; 0: what VIRTIO 1.4 has for the device id */
	unsigned connect_ms;	 /* how long creation waits for the back-end; 0: 10000 */
	unsigned request_ms;	 /* time limit of one request; 0: 5000 */
	unsigned give_up_s;	 /* gone for so long, the device needs a reset; 0: 30 */
};

/*
 * Connects and negotiates. `gm` is read when the driver starts the first queue, and has to stay as
 * it is from then on; of its regions those with a descriptor are shared. Fails with a reason if the
 * back-end cannot be reached, does not answer or lacks VERSION_1.
 *
 * While there is no back-end, operations of the driver succeed and take effect when it is back;
 * configuration reads give the last known values. Destroy it without holding a lock that the event
 * functions take.
 */
int vhu_frontend_create(struct vbackend **b, const struct vhu_frontend_opts *opts,
	const struct gm *gm, const struct log *log, struct err *e);
