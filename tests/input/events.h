/* SPDX-License-Identifier: BSD-3-Clause */
/* Events of an input device (VIRTIO 1.4, 5.8.6), for its tests. */
#pragma once

#include <linux/input.h>
#include <stdint.h>

#include "tap.h"
#include "vhud.h"

#define EVENTQ	0
#define STATUSQ 1

struct event {
	uint16_t type, code;
	int32_t value;
};

#define SYN                                                                                        \
	{                                                                                          \
		EV_SYN, SYN_REPORT, 0                                                              \
	}

/* Buffers for n events. */
void event_offer(struct vhud *d, unsigned n);
/* False if none comes in time. */
bool event_next(struct vhud *d, struct event *ev, int timeout_ms);
/* The next events are these. */
void event_expect(struct tap *t, struct vhud *d, const struct event *want, unsigned n);

#define EXPECT(t, rig, ...)                                                                        \
	event_expect((t), (rig)->d, (const struct event[]){ __VA_ARGS__ },                         \
		sizeof((const struct event[]){ __VA_ARGS__ }) / sizeof(struct event))
