/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files of the vhost-user front-end only. */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "transport/vhost_user_frontend.h"
#include "transport/vhost_user_link.h"
#include "virtio/device.h"

/* A queue as the driver wants it. */
struct fe_queue {
	bool running;
	struct vb_queue setup;
};

/* The in-flight record, which outlives back-ends. */
struct fe_inflight {
	int fd; /* -1: none */
	struct vhost_user_inflight desc;
	uint8_t *map;
	uint64_t stride; /* bytes per queue */
};

/* A configuration field that the driver writes and that holds state: a new back-end is told. */
struct fe_config_state {
	uint16_t offset, len;
	bool written;
};

struct frontend {
	struct vbackend base;
	struct vhu_frontend_opts opts;
	char *path;

	pthread_mutex_t lock; /* what follows, up to the watcher's part */
	struct vhu_link link;
	uint64_t offered; /* by the back-end */
	bool mem_shared;  /* with this back-end */
	bool inflight_shared;
	bool watched; /* fe_watch_go() was called */
	bool has_features;
	uint64_t features; /* accepted by the driver */
	uint8_t status;
	bool told_reset; /* needs_reset was raised and the driver has not reset the device since */
	struct fe_queue q[VDEV_QUEUES_MAX];
	struct fe_inflight inflight;
	struct fe_config_state config_state;
	uint8_t config[VHOST_USER_CONFIG_MAX]; /* as last seen */

	/* The watcher's own, once it runs. */
	pthread_t thread;
	sem_t go; /* the transport has set base.events, since the driver is there */
	atomic_bool stopping;
	int wake_fd;
	int err_fd;  /* SET_VRING_ERR of all queues */
	int channel; /* our end of the back-end channel, or -1 */
	struct vhu_rx channel_rx;
	struct log_limit complaints;
};

/* vhost_user_frontend_session.c: the conversation. Callers hold the lock, or own the link. */

/* Features and protocol features, the channel (its end in *channel). */
int fe_handshake(
	struct frontend *f, struct vhu_link *l, uint64_t *offered, int *channel, struct err *e);
/* Tells the back-end all that the driver has set up, for the case that it is a new one. */
int fe_replay(struct frontend *f, struct err *e);
int fe_send_features(struct frontend *f);
/* What precedes the first queue: in-flight record and guest memory. Does nothing the second time.
 */
int fe_prepare_queues(struct frontend *f);
/* Starts a queue. `fresh`: for the first time since it was reset; else it goes on. */
int fe_start_queue(struct frontend *f, unsigned q, bool fresh);
int fe_fetch_config(struct frontend *f);
int fe_send_config(struct frontend *f, uint32_t offset, const void *buf, uint32_t len);
void fe_inflight_drop(struct frontend *f);
/* The queue starts a new life: nothing is in flight. */
void fe_inflight_clear(struct frontend *f, unsigned q);

/* vhost_user_frontend_watch.c: the thread that listens to the back-end and replaces it. */

/* Makes the thread, which rests until fe_watch_go(). */
int fe_watch_start(struct frontend *f);
void fe_watch_go(struct frontend *f);
void fe_watch_stop(struct frontend *f);
