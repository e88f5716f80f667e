/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device of a vhost-user back-end as a struct drv_dev: what a front-end does for a driver. One
 * thread.
 */
#pragma once

#include "drivers/drv.h"

/* Memory that is shared with back-ends: a sealed memfd in two adjacent regions, so that there is
 * an address behind which another mapping begins. */
struct vhu_mem {
	int fd;
	uint8_t *base;
	size_t len, split; /* where the second region begins */
	uint64_t gpa;	   /* device address of the first byte */
};

#define VHU_DEV_QUEUES 64u

struct vhu_ring {
	bool given;   /* the driver started it */
	bool running; /* the back-end knows it */
	struct drv_queue_addr addr;
	int kick, call;
	uint32_t interrupts;
};

struct vhu_dev {
	struct drv_dev dev;
	struct vhud *conn;
	const struct vhu_mem *mem;
	uint16_t nqueues, queue_size; /* of the back-end; the size is what the user says */
	uint8_t status;		      /* as the driver set it */
	bool refused;		      /* the back-end refused the features */
	bool shared;		      /* memory and in-flight record, since the last reset */
	uint32_t config_interrupts;
	struct vhu_ring ring[VHU_DEV_QUEUES];
	char gone[200]; /* why the connection is of no use any more, or "" */
};

/* A device of ID `id` on a connected socket, which is taken over. `queues` is the number of queues
 * where the back-end does not tell (0: what the class needs at least), `queue_size` their largest
 * size. Messages are answered within `timeout_ms`. On failure v->gone says why. */
int vhu_dev_open(struct vhu_dev *v, const struct vhu_mem *mem, int sock, uint16_t id,
	uint16_t queues, uint16_t queue_size, int timeout_ms);
void vhu_dev_close(struct vhu_dev *v);

/* Goes over to a new connection. With `resume` the rings go on where the dead back-end was,
 * otherwise the device is fresh. */
int vhu_dev_rejoin(struct vhu_dev *v, int sock, bool resume);

/* False if the back-end has closed the connection or did not answer; v->gone says it. */
bool vhu_dev_alive(struct vhu_dev *v);
/* Waits for an interrupt, until `until` at most and no longer than some 100 microseconds. */
void vhu_dev_wait(struct vhu_dev *v, uint64_t until);
