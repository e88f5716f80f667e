/* SPDX-License-Identifier: BSD-3-Clause */
/* Two CAN controllers on one bus: what one sends the other gets, and nothing else (5.20.5.2,
 * 5.20.5.3). */
#include "conformance/cases/can.h"

#define OK	 VIRTIO_CAN_RESULT_OK
#define NOT_OK	 VIRTIO_CAN_RESULT_NOT_OK
#define RTR	 VIRTIO_CAN_FLAGS_RTR
#define FD	 VIRTIO_CAN_FLAGS_FD
#define EXTENDED VIRTIO_CAN_FLAGS_EXTENDED
#define ALL	 (CAN_BIT(CAN_FD) | CAN_BIT(RTR_FRAMES) | CAN_BIT(LATE_TX_ACK))

struct pair {
	struct can_node dut, peer;
	struct drv_queue queues[3];
};

/* Both started. */
static bool pair_up(struct cf *c, struct pair *p, uint64_t want, uint64_t peer_want)
{
	return can_up_peer(c, &p->peer, p->queues, peer_want) && can_up(c, &p->dut, want) &&
	       can_start(c, &p->dut);
}

static bool passes(struct cf *c, const struct can_node *from, const struct can_node *to,
	uint32_t flags, uint32_t id, uint16_t len)
{
	const struct can_msg m = can_frame(flags, id, len);

	return can_offer(c, to, CAN_HEADER + 64) &&
	       cf_eq(c, can_send(c, from, &m), OK, "the result of a frame") && can_got(c, to, &m);
}

static void frames(struct cf *c, const struct can_node *from, const struct can_node *to)
{
	static const uint16_t fd_lens[] = { 0, 1, 8, 12, 16, 20, 24, 32, 48, 64 };

	for (uint16_t len = 0; len <= 8; len++)
		if (!passes(c, from, to, 0, 0x100u + len, len) ||
			!passes(c, from, to, EXTENDED, 0x1ffffff0u + len, len))
			return;
	if (!passes(c, from, to, 0, 0, 8) || !passes(c, from, to, 0, 0x7ff, 8) ||
		!passes(c, from, to, EXTENDED, 0, 8))
		return;
	for (unsigned i = 0; cf_offered(c, VIRTIO_CAN_F_CAN_FD) && i < 10; i++)
		if (!passes(c, from, to, FD, 0x200, fd_lens[i]) ||
			!passes(c, from, to, FD | EXTENDED, 0x200, fd_lens[i]))
			return;
	for (uint16_t len = 0; cf_offered(c, VIRTIO_CAN_F_RTR_FRAMES) && len <= 8; len += 4)
		if (!passes(c, from, to, RTR, 0x300, len) ||
			!passes(c, from, to, RTR | EXTENDED, 0x300, len))
			return;
}

static void to_the_peer(struct cf *c)
{
	struct pair p;

	if (pair_up(c, &p, ALL, ALL))
		frames(c, &p.dut, &p.peer);
}

static void from_the_peer(struct cf *c)
{
	struct pair p;

	if (pair_up(c, &p, ALL, ALL))
		frames(c, &p.peer, &p.dut);
}

/* None of the frames that are refused reaches the bus: what comes next at the peer is the marker.
 */
static void refused_is_not_sent(struct cf *c)
{
	const struct can_msg wrong[] = { can_frame(FD, 0x123, 8), can_frame(RTR, 0x123, 0),
		can_frame(1, 0x123, 8), can_frame(0, 0x800, 8), can_frame(0, 0x123, 9),
		can_frame(EXTENDED, 0x20000000, 8) };
	const struct can_msg any = can_frame(0, 0x123, 8);
	struct pair p;

	if (!pair_up(c, &p, 0, ALL) || !can_offer(c, &p.peer, CAN_HEADER + 64))
		return;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (!cf_eq(c, can_send(c, &p.dut, &wrong[i]), NOT_OK, "the result"))
			return;
	if (!can_control(c, &p.dut, VIRTIO_CAN_SET_CTRL_MODE_STOP, OK) ||
		!cf_eq(c, can_send(c, &p.dut, &any), NOT_OK, "the result when stopped") ||
		!can_start(c, &p.dut))
		return;
	passes(c, &p.dut, &p.peer, 0, 0x7ff, 4);
}

/* With LATE_TX_ACK a request is used when the frame was on the bus, so that the peer has it. */
static void late_ack(struct cf *c)
{
	struct pair p;

	if (!pair_up(c, &p, ALL, ALL))
		return;
	for (unsigned i = 0; i < 20; i++) {
		const struct can_msg m = can_frame(0, 0x100 + i, 8);
		void *cookie;
		uint32_t used;

		if (!can_offer(c, &p.peer, CAN_HEADER + 8) ||
			!cf_eq(c, can_send(c, &p.dut, &m), OK, "the result"))
			return;
		/* Another device may take a moment to show what it has. */
		if (!cf_used(c, p.peer.rx, &cookie, &used) ||
			!cf_eq(c, used, CAN_HEADER + 8, "the used length"))
			return;
	}
}

/* No frame comes to a controller that is stopped, and none of a type that was not negotiated. */
static void only_what_was_negotiated(struct cf *c)
{
	const struct can_msg fd = can_frame(FD, 0x10, 8), rtr = can_frame(RTR, 0x11, 0);
	const struct can_msg any = can_frame(0, 0x12, 8);
	struct pair p;

	if (!pair_up(c, &p, 0, ALL) || !can_offer(c, &p.dut, CAN_HEADER + 64))
		return;
	if (cf_offered(c, VIRTIO_CAN_F_CAN_FD) &&
		!cf_eq(c, can_send(c, &p.peer, &fd), OK, "the result"))
		return;
	if (cf_offered(c, VIRTIO_CAN_F_RTR_FRAMES) &&
		!cf_eq(c, can_send(c, &p.peer, &rtr), OK, "the result"))
		return;
	if (!can_control(c, &p.dut, VIRTIO_CAN_SET_CTRL_MODE_STOP, OK) ||
		!cf_eq(c, can_send(c, &p.peer, &any), OK, "the result") || !can_start(c, &p.dut))
		return;
	passes(c, &p.peer, &p.dut, 0, 0x7ff, 8);
}

/* A controller does not receive what it sends. */
static void not_to_itself(struct cf *c)
{
	const struct can_msg m = can_frame(0, 0x123, 8);
	struct pair p;

	if (!pair_up(c, &p, ALL, ALL) || !can_offer(c, &p.dut, CAN_HEADER + 64) ||
		!cf_eq(c, can_send(c, &p.dut, &m), OK, "the result"))
		return;
	passes(c, &p.peer, &p.dut, 0, 0x7ff, 8);
}

/* In pieces, and more often than the ring has entries. */
static void pieces(struct cf *c)
{
	uint8_t *buf, *out, *in;
	struct drv_sg sg[4];
	struct pair p;

	if (!pair_up(c, &p, ALL, ALL) || !(buf = cf_buf(c, CAN_HEADER + 8)) ||
		!(out = cf_buf(c, CAN_HEADER + 8)) || !(in = cf_buf(c, 1)))
		return;
	for (unsigned i = 0; i < 100; i++) {
		const struct can_msg m = can_frame(0, i, 8);
		void *cookie;
		uint32_t used;

		cf_copy(out, &m, CAN_HEADER + 8);
		sg[0] = drv_sg(p.peer.rx->dev, buf, 5);
		sg[1] = drv_sg(p.peer.rx->dev, buf + 5, CAN_HEADER + 3);
		if (!cf_submit(c, p.peer.rx, sg, 0, 2, buf))
			return;
		sg[0] = cf_sg(c, out, 1);
		sg[1] = cf_sg(c, out + 1, CAN_HEADER);
		sg[2] = cf_sg(c, out + 1 + CAN_HEADER, 7);
		sg[3] = cf_sg(c, in, 1);
		*in = 0xff;
		if (!cf_submit(c, p.dut.tx, sg, 3, 1, in) ||
			!cf_used(c, p.dut.tx, &cookie, &used) || !cf_eq(c, *in, OK, "the result") ||
			!can_got(c, &p.peer, &m))
			return;
	}
}

/* A frame that does not fit is lost, alone; nothing is written behind the buffer. */
static void small_buffer(struct cf *c)
{
	const struct can_msg m = can_frame(0, 0x123, 8);
	const struct can_msg fits = can_frame(0, 0x124, 2);
	struct pair p;

	if (!pair_up(c, &p, 0, 0) || !can_offer(c, &p.dut, CAN_HEADER + 2) ||
		!cf_eq(c, can_send(c, &p.peer, &m), OK, "the result") ||
		!cf_eq(c, can_send(c, &p.peer, &fits), OK, "the result"))
		return;
	can_got(c, &p.dut, &fits);
}

static void wrong_rx_buffer(struct cf *c, uint32_t out_len, uint32_t in_len)
{
	const struct can_msg m = can_frame(0, 0x123, 8);
	struct drv_sg sg[2];
	unsigned n_out = 0;
	struct pair p;
	uint8_t *buf;

	if (!pair_up(c, &p, 0, 0) || !(buf = cf_buf(c, 128)))
		return;
	if (out_len)
		sg[n_out++] = cf_sg(c, buf, out_len);
	sg[n_out] = cf_sg(c, buf + 64, in_len);
	if (!cf_submit(c, p.dut.rx, sg, n_out, 1, buf) ||
		!cf_eq(c, can_send(c, &p.peer, &m), OK, "the result"))
		return;
	cf_must_break(c, p.dut.rx);
	cf_check(c, cf_filled(buf, 0xa5, 128), "the device wrote to a wrong buffer");
}

static void short_rx_buffer(struct cf *c)
{
	wrong_rx_buffer(c, 0, CAN_HEADER - 1);
}

static void readable_rx_buffer(struct cf *c)
{
	wrong_rx_buffer(c, 8, 64);
}

/* Frames without a buffer wait or are lost, and those that come later are what was sent. */
static void no_buffers(struct cf *c)
{
	struct pair p;

	if (!pair_up(c, &p, 0, 0))
		return;
	for (unsigned i = 0; i < 200; i++) {
		const struct can_msg m = can_frame(0, i, 1);

		if (!cf_eq(c, can_send(c, &p.peer, &m), OK, "the result"))
			return;
		i += 9; /* each needs memory of the case */
	}
	for (unsigned i = 0; i < 40; i++)
		if (!can_offer(c, &p.dut, CAN_HEADER + 8))
			return;
	for (unsigned i = 0; i < 20; i++) {
		void *cookie;
		uint32_t used;

		if (!cf_used(c, p.dut.rx, &cookie, &used) ||
			!cf_eq(c, ((struct can_msg *)cookie)->can_id, i * 10, "can_id"))
			return;
	}
}

const struct cf_case cf_cases_can_bus[] = {
	{ "can.bus.sends", "V5.20.5.2-6", to_the_peer, DRV_ID_CAN, .flags = CF_PEER | CF_RINGS },
	{ "can.bus.receives", "BUS-1", from_the_peer, DRV_ID_CAN, .flags = CF_PEER | CF_RINGS },
	{ "can.bus.refused", "V5.20.5.2-2 V5.20.5.2-4", refused_is_not_sent, DRV_ID_CAN,
		.flags = CF_PEER | CF_RINGS },
	{ "can.bus.late_ack", "V5.20.5.2-5", late_ack, DRV_ID_CAN, .flags = CF_PEER | CF_RINGS,
		.needs = CAN_BIT(LATE_TX_ACK) },
	{ "can.bus.negotiated", "BUS-1", only_what_was_negotiated, DRV_ID_CAN, .flags = CF_PEER },
	{ "can.bus.no_echo", "BUS-1", not_to_itself, DRV_ID_CAN, .flags = CF_PEER },
	{ "can.bus.pieces", "V2.7.4.1-1", pieces, DRV_ID_CAN, .flags = CF_PEER | CF_RINGS },
	{ "can.bus.no_buffers", "ROB-8", no_buffers, DRV_ID_CAN, .flags = CF_PEER | CF_RINGS },
	{ "can.rx.small_buffer", "ROB-8", small_buffer, DRV_ID_CAN, .flags = CF_PEER | CF_HOSTILE },
	{ "can.rx.short_buffer", "ROB-25", short_rx_buffer, DRV_ID_CAN,
		.flags = CF_PEER | CF_HOSTILE | CF_RINGS },
	{ "can.rx.readable_buffer", "ROB-25", readable_rx_buffer, DRV_ID_CAN,
		.flags = CF_PEER | CF_HOSTILE | CF_RINGS },
	{ 0 },
};
