/* SPDX-License-Identifier: BSD-3-Clause */
#include "conformance/cases/can.h"

struct can_msg can_frame(uint32_t flags, uint32_t id, uint16_t length)
{
	struct can_msg m = { .msg_type = VIRTIO_CAN_TX, .length = length, .flags = flags };

	m.can_id = id;
	if (!(flags & VIRTIO_CAN_FLAGS_RTR) && length <= sizeof(m.sdu))
		cf_pattern(m.sdu, id + length, length);
	return m;
}

bool can_up(struct cf *c, struct can_node *n, uint64_t want)
{
	if (!cf_up(c, want | CAN_BIT(CAN_CLASSIC), 3))
		return false;
	*n = (struct can_node){ cf_q(c, CAN_TXQ), cf_q(c, CAN_RXQ), cf_q(c, CAN_CONTROLQ) };
	return true;
}

bool can_up_peer(struct cf *c, struct can_node *n, struct drv_queue *queues, uint64_t want)
{
	want |= CAN_BIT(CAN_CLASSIC);
	if (!cf_up_other(c, cf_target(c)->peer, want, queues, 3))
		return false;
	*n = (struct can_node){ &queues[CAN_TXQ], &queues[CAN_RXQ], &queues[CAN_CONTROLQ] };
	return can_start(c, n);
}

bool can_control(struct cf *c, const struct can_node *n, uint16_t type, uint8_t result)
{
	uint16_t *out = cf_buf(c, sizeof(*out));
	uint8_t *in = cf_buf(c, 1);

	if (!out || !in)
		return false;
	*out = type;
	return cf_do(c, n->control, out, sizeof(*out), in, 1, 1) &&
	       cf_eq(c, *in, result, "the result of a control message");
}

bool can_start(struct cf *c, const struct can_node *n)
{
	return can_control(c, n, VIRTIO_CAN_SET_CTRL_MODE_START, VIRTIO_CAN_RESULT_OK);
}

uint8_t can_send_len(struct cf *c, const struct can_node *n, const struct can_msg *m, uint32_t len)
{
	uint8_t *out = cf_buf(c, len ? len : 1), *in = cf_buf(c, 1);

	if (!out || !in)
		return 0xff;
	cf_copy(out, m, len < sizeof(*m) ? len : sizeof(*m));
	*in = 0xff;
	return cf_do(c, n->tx, out, len, in, 1, 1) ? *in : 0xff;
}

uint8_t can_send(struct cf *c, const struct can_node *n, const struct can_msg *m)
{
	return can_send_len(c, n, m, CAN_HEADER + m->length);
}

uint8_t *can_offer(struct cf *c, const struct can_node *n, uint32_t size)
{
	uint8_t *p = cf_buf(c, size);
	struct drv_sg sg;

	if (!p)
		return NULL;
	sg = drv_sg(n->rx->dev, p, size);
	return cf_submit(c, n->rx, &sg, 0, 1, p) ? p : NULL;
}

bool can_got(struct cf *c, const struct can_node *n, const struct can_msg *want)
{
	struct can_msg m;
	void *cookie;
	uint32_t used;

	if (!cf_used(c, n->rx, &cookie, &used))
		return false;
	cf_copy(&m, cookie, CAN_HEADER);
	/* Of a remote frame some bytes behind the header may be there or not. */
	if (!(want->flags & VIRTIO_CAN_FLAGS_RTR) &&
		!cf_eq(c, used, CAN_HEADER + want->length, "the used length"))
		return false;
	cf_copy(m.sdu, (uint8_t *)cookie + CAN_HEADER, want->length);
	return cf_eq(c, m.msg_type, VIRTIO_CAN_RX, "msg_type") &&
	       cf_eq(c, m.can_id, want->can_id, "can_id") &&
	       cf_eq(c, m.flags, want->flags, "flags") &&
	       cf_eq(c, m.length, want->length, "length") &&
	       cf_check(c,
		       want->flags & VIRTIO_CAN_FLAGS_RTR ||
			       cf_same(m.sdu, want->sdu, want->length),
		       "the data of a frame is not what was sent");
}
