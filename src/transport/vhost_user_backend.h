/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The back-end side of vhost-user: serves one device to one front-end at a time. Any number of
 * back-ends may live on one loop. Nothing that a peer sends blocks the loop: messages are received
 * piece by piece, and a peer that breaks the protocol is disconnected with a logged reason. The
 * process has to ignore SIGPIPE, since a peer may pass the end of a pipe to be signalled.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "virtio/device.h"

struct vhu_backend;

struct vhu_backend_opts {
	/* Refuse guest memory and in-flight records that their owner could shrink, which would kill
	 * this process with SIGBUS. For processes that serve several guests. Needs front-ends with
	 * sealed memory (F_SEAL_SHRINK), as avp's and QEMU's memory-backend-memfd. */
	bool require_sealed;
	/* [opt] A front-end connected / it is gone and the device was reset. In the second case the
	 * callback may destroy the back-end, but not the device. */
	void (*connected)(void *arg);
	void (*disconnected)(void *arg);
	void *arg;
};

/*
 * Serves `dev`, which was initialised on the loop that this is called on and outlives the back-end.
 * `sock` is a Unix stream socket, taken over on success: a listening one, on which front-ends are
 * accepted one after the other; or a connected one, which is served until its peer closes it. A
 * listening socket is not removed from the file system in the end. `opts` may be NULL.
 */
int vhu_backend_create(struct vhu_backend **b, struct vdev *dev, int sock,
	const struct vhu_backend_opts *opts, struct err *e);
/* Disconnects, resets the device and frees; accepts NULL. */
void vhu_backend_destroy(struct vhu_backend *b);
