/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device of these tests. Each request is answered with a copy of what it says, as far as there
 * is room; `hold` answers late and out of order. It has 3 queues and 40 bytes of configuration
 * space, all writable; writing the first byte raises a configuration change.
 */
#pragma once

#include "virtio/device.h"

#define ECHO_ID	       42
#define ECHO_QUEUES    3
#define ECHO_QUEUE_MAX 256
#define ECHO_HELD_MAX  1024
#define ECHO_CONFIG    40

/* Feature bits of the device: it refuses drivers that accept the second. */
#define ECHO_F_ONE    0
#define ECHO_F_REFUSE 1

struct echo {
	struct vdev dev;
	uint32_t hold; /* answers wait until so many are there, or a millisecond has passed */
	uint8_t config[ECHO_CONFIG];
	struct vq_chain *held[ECHO_HELD_MAX];
	unsigned nheld;
	struct ev_timer late;
	uint32_t random;
	uint64_t requests, starts, resets, kicks;
};

extern const struct vdev_class echo_class;
