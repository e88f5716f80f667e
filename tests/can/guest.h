/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver of a CAN device, over vhud. */
#pragma once

#include <string.h>

#include "drivers/can.h"
#include "tap.h"
#include "vhud.h"

#define TXQ	 0u
#define RXQ	 1u
#define CONTROLQ 2u
#define LONG_MS	 20000
#define CLASSIC	 FEATURE(VIRTIO_CAN_F_CAN_CLASSIC)
#define LATE	 (CLASSIC | FEATURE(VIRTIO_CAN_F_LATE_TX_ACK))

/* struct virtio_can_tx_out and virtio_can_rx. */
struct can_message {
	uint16_t msg_type, length;
	uint8_t dlc, padding;
	uint16_t priority;
	uint32_t flags, can_id;
	uint8_t sdu[64];
};

/* A request for transmission. */
struct sending {
	struct can_message msg;
	uint8_t result;
};

static inline int guest_control(struct vhud *d, uint16_t type)
{
	uint8_t result = 0xff;
	ssize_t n = vhud_do(d, CONTROLQ, &type, sizeof(type), &result, 1);

	return n == 1 ? result : -1;
}

static inline int guest_start(struct vhud *d)
{
	return guest_control(d, VIRTIO_CAN_SET_CTRL_MODE_START);
}

static inline bool guest_up(struct tap *t, struct vhud *d, uint64_t features)
{
	return CHECK(t, d) &&
	       CHECK_EQ(t, vhud_start(d, &(struct vhud_opts){ .features = features, .nqueues = 3 }),
		       0);
}

/* Hands over a frame with 8 bytes; its result is 0xff until it is answered. */
static inline struct sending *guest_send(struct vhud *d, uint32_t id)
{
	struct sending *s = vhud_alloc(d, sizeof(*s));
	struct iovec iov[2] = { { &s->msg, 24 }, { &s->result, 1 } };

	s->msg = (struct can_message){
		.msg_type = VIRTIO_CAN_TX, .length = 8, .can_id = id, .sdu = { 1, 2, 3 }
	};
	s->result = 0xff;
	if (vhud_add(d, TXQ, iov, 1, 1, s))
		return NULL;
	vhud_kick(d, TXQ);
	return s;
}

/* The result of the next frame that is answered, or -1. */
static inline int guest_result(struct vhud *d, int timeout_ms)
{
	void *token;
	uint32_t len;

	if (vhud_wait(d, TXQ, &token, &len, timeout_ms) != 1 || len != 1)
		return -1;
	return ((struct sending *)token)->result;
}

static inline void guest_offer(struct vhud *d)
{
	struct can_message *m = vhud_alloc(d, sizeof(*m));
	struct iovec iov = { m, sizeof(*m) };

	if (!vhud_add(d, RXQ, &iov, 0, 1, m))
		vhud_kick(d, RXQ);
}

/* The next frame received, or NULL. */
static inline struct can_message *guest_recv(struct vhud *d, int timeout_ms)
{
	void *token;

	return vhud_wait(d, RXQ, &token, NULL, timeout_ms) == 1 ? token : NULL;
}
