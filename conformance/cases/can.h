/* SPDX-License-Identifier: BSD-3-Clause */
/* What the cases of the CAN device share: messages, and a controller with its three queues. */
#pragma once

#include "conformance/cases/cases.h"
#include "drivers/can.h"

#define CAN_BIT(name) DRV_FEATURE(VIRTIO_CAN_F_##name)
/* Of the queues. */
#define CAN_TXQ	     0
#define CAN_RXQ	     1
#define CAN_CONTROLQ 2

/* struct virtio_can_tx_out and virtio_can_rx (5.20.5.2, 5.20.5.3). */
struct can_msg {
	uint16_t msg_type, length;
	uint8_t reserved_classic_dlc, padding;
	uint16_t reserved_xl_priority;
	uint32_t flags, can_id;
	uint8_t sdu[64];
};
#define CAN_HEADER 16u

/* A controller: the device, or its peer on the same bus. */
struct can_node {
	struct drv_queue *tx, *rx, *control;
};

/* A frame of the type, with a pattern as its data. */
struct can_msg can_frame(uint32_t flags, uint32_t id, uint16_t length);
/* Brings the device up, stopped; `want` with CAN_CLASSIC where that is offered. */
bool can_up(struct cf *c, struct can_node *n, uint64_t want);
/* The same for the peer, started. `queues` has room for three. */
bool can_up_peer(struct cf *c, struct can_node *n, struct drv_queue *queues, uint64_t want);
/* A control message; recorded unless `result` comes back. */
bool can_control(struct cf *c, const struct can_node *n, uint16_t type, uint8_t result);
bool can_start(struct cf *c, const struct can_node *n);
/* Sends `len` bytes of the message, and returns the result: 0xff (recorded) if there is none. */
uint8_t can_send_len(struct cf *c, const struct can_node *n, const struct can_msg *m, uint32_t len);
uint8_t can_send(struct cf *c, const struct can_node *n, const struct can_msg *m);
/* Gives the node a receive buffer of this size, which is the cookie. NULL: recorded. */
uint8_t *can_offer(struct cf *c, const struct can_node *n, uint32_t size);
/* Takes a frame; recorded unless it is `want`, in every field. */
bool can_got(struct cf *c, const struct can_node *n, const struct can_msg *want);
