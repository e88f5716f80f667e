/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CAN controller (VIRTIO 1.4, 5.20). Frames are copied. After drv_can_open() it is stopped:
 *
 *     struct drv_can_frame f = { .id = 0x123, .len = 2, .data = { 1, 2 } };
 *
 *     if (!drv_can_open(&can, dev) && !drv_can_start(&can))
 *             drv_can_send(&can, &f, until);
 */
#pragma once

#include "req.h"

#define DRV_ID_CAN	 36
#define DRV_CAN_DATA_MAX 64u
#define DRV_CAN_DEPTH	 16u /* frames under way at most; and received ones that are kept */

#define VIRTIO_CAN_F_CAN_CLASSIC 0
#define VIRTIO_CAN_F_CAN_FD	 1
#define VIRTIO_CAN_F_RTR_FRAMES	 2
#define VIRTIO_CAN_F_LATE_TX_ACK 3

#define VIRTIO_CAN_TX		       0x0001u
#define VIRTIO_CAN_RX		       0x0101u
#define VIRTIO_CAN_SET_CTRL_MODE_START 0x0201u
#define VIRTIO_CAN_SET_CTRL_MODE_STOP  0x0202u

#define VIRTIO_CAN_FLAGS_RTR	  0x2000u
#define VIRTIO_CAN_FLAGS_FD	  0x4000u
#define VIRTIO_CAN_FLAGS_EXTENDED 0x8000u

#define VIRTIO_CAN_RESULT_OK	 0
#define VIRTIO_CAN_RESULT_NOT_OK 1

#define VIRTIO_CAN_S_CTRL_BUSOFF 1u

struct drv_can_frame {
	uint32_t id;	/* 11 bits, with EXTENDED 29 */
	uint32_t flags; /* VIRTIO_CAN_FLAGS_* */
	uint8_t len;	/* bytes; of a remote frame the length that it asks for */
	uint8_t data[DRV_CAN_DATA_MAX];
};

struct drv_can {
	struct drv_dev *dev;
	struct drv_pool tx, rx;
	struct drv_req control;
	uint32_t sent, failed; /* frames that the device answered with OK, and with anything else */
	uint64_t timeout;      /* of start and stop, ns; 1 s unless changed */
};

/* Negotiates all that the device has; with LATE_TX_ACK `sent` counts frames that were on the bus.
 */
int drv_can_open(struct drv_can *c, struct drv_dev *dev);
/* Joins the bus, or leaves it. A start after bus-off takes as long as the bus needs. DRV_ERROR: the
 * device says no. */
int drv_can_start(struct drv_can *c);
int drv_can_stop(struct drv_can *c);
/* Hands over a frame; waits, until `until`, for a place among those under way. DRV_INVALID: the
 * device has no such frames, or the length is too large. */
int drv_can_send(struct drv_can *c, const struct drv_can_frame *f, uint64_t until);
/* Waits until all frames handed over were answered. DRV_ERROR: one that was answered in this call
 * failed. */
int drv_can_sync(struct drv_can *c, uint64_t until);
/* Takes the next received frame. */
int drv_can_recv(struct drv_can *c, struct drv_can_frame *f, uint64_t until);
/* True if an error on the bus has stopped the controller: start it again. */
int drv_can_bus_off(struct drv_can *c, bool *off);
