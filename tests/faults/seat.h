/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver's place in front of a device process: guest memory, the monitor's vhost-user front-end,
 * and on it a struct drv_dev for the classes of drivers/. The front-end reconnects when the process
 * is replaced, so the driver notices nothing of its death but the time it takes.
 */
#pragma once

#include <stdatomic.h>

#include "base/log.h"
#include "drivers/drv.h"
#include "virtio/backend.h"

#define SEAT_QUEUES 8u
#define SEAT_RINGS  (2u << 20) /* bytes of memory for the driver */
#define SEAT_BUFFER (2u << 20) /* bytes of memory for its user */

struct seat {
	struct drv_dev dev;
	struct drv_platform platform;
	struct vbackend *be;
	struct gm gm;
	struct log log;
	int memfd;
	uint8_t *buffer; /* SEAT_BUFFER bytes that the device reaches */
	int kick[SEAT_QUEUES], call[SEAT_QUEUES];
	uint64_t hidden; /* features that the driver shall not see */
	uint8_t status;
	bool refused;
	atomic_bool needs_reset; /* set by the front-end's thread */
};

/* Connects to the device of that VIRTIO id, which has `nqueues` queues, and hides some of its
 * features from the driver. Returns 0 or -errno after saying why on standard output. */
int seat_open(struct seat *s, const char *path, uint16_t id, uint16_t nqueues, uint64_t hidden);
/* Accepts one that is all zeroes. */
void seat_close(struct seat *s);
/* When to stop waiting for anything: far beyond what the busiest machine takes. */
uint64_t seat_until(void);
