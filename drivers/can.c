/* SPDX-License-Identifier: BSD-3-Clause */
/* CAN controller. See can.h. */
#include "can.h"

#define TIMEOUT_NS UINT64_C(1000000000)
#define TXQ	   0
#define RXQ	   1
#define CONTROLQ   2
#define ID_BITS(n) ((UINT32_C(1) << (n)) - 1)

#define KNOWN_FLAGS (VIRTIO_CAN_FLAGS_RTR | VIRTIO_CAN_FLAGS_FD | VIRTIO_CAN_FLAGS_EXTENDED)

/* struct virtio_can_tx_out and virtio_can_rx (5.20.5.2, 5.20.5.3). */
struct message {
	uint16_t msg_type, length;
	uint8_t reserved_classic_dlc, padding;
	uint16_t reserved_xl_priority;
	uint32_t flags, can_id;
	uint8_t sdu[DRV_CAN_DATA_MAX];
};
#define HEADER (sizeof(struct message) - DRV_CAN_DATA_MAX)

/* A buffer for transmission. */
struct slot {
	struct message msg;
	uint8_t result;
};

int drv_can_open(struct drv_can *c, struct drv_dev *dev)
{
	uint64_t want = DRV_COMMON_FEATURES | DRV_FEATURE(VIRTIO_CAN_F_CAN_CLASSIC) |
			DRV_FEATURE(VIRTIO_CAN_F_CAN_FD) | DRV_FEATURE(VIRTIO_CAN_F_RTR_FRAMES) |
			DRV_FEATURE(VIRTIO_CAN_F_LATE_TX_ACK);
	int r = dev->id == DRV_ID_CAN ? drv_begin(dev, want, 0) : DRV_INVALID;

	*c = (struct drv_can){ .dev = dev, .timeout = TIMEOUT_NS };
	if (!r)
		r = drv_pool_open(&c->tx, dev, TXQ, DRV_CAN_DEPTH, 2, sizeof(struct slot));
	if (!r)
		r = drv_pool_open(&c->rx, dev, RXQ, DRV_CAN_DEPTH, 1, sizeof(struct message));
	if (!r)
		r = drv_req_queue(&c->control, dev, CONTROLQ, 4);
	if (!r)
		r = drv_run(dev);
	return r ? r : drv_pool_fill(&c->rx);
}

static int control(struct drv_can *c, uint16_t type)
{
	uint8_t result = VIRTIO_CAN_RESULT_NOT_OK;
	uint32_t used = 0;
	int r = drv_req_do(&c->control, &type, sizeof(type), &result, sizeof(result), &used,
		drv_now(c->dev) + c->timeout);

	if (r)
		return r;
	return used != sizeof(result) ? DRV_BROKEN : result != VIRTIO_CAN_RESULT_OK ? DRV_ERROR : 0;
}

int drv_can_start(struct drv_can *c)
{
	return control(c, VIRTIO_CAN_SET_CTRL_MODE_START);
}

int drv_can_stop(struct drv_can *c)
{
	return control(c, VIRTIO_CAN_SET_CTRL_MODE_STOP);
}

/* Transmission. */

/* One answer: 0, DRV_ERROR, or why there is none. */
static int reap(struct drv_can *c, uint64_t until)
{
	const volatile struct slot *s;
	uint32_t used;
	uint8_t *buf;
	bool ok;
	int r = drv_pool_take(&c->tx, &buf, &used, until);

	if (r)
		return r;
	s = (const volatile struct slot *)(const volatile void *)buf;
	ok = used == 1 && s->result == VIRTIO_CAN_RESULT_OK;
	drv_pool_free(&c->tx, buf);
	c->sent += ok;
	c->failed += !ok;
	return ok ? 0 : DRV_ERROR;
}

static bool valid(const struct drv_can *c, const struct drv_can_frame *f)
{
	bool fd = f->flags & VIRTIO_CAN_FLAGS_FD, rtr = f->flags & VIRTIO_CAN_FLAGS_RTR;

	if (f->flags & ~KNOWN_FLAGS || f->len > (fd ? DRV_CAN_DATA_MAX : 8) || (fd && rtr))
		return false;
	if (f->id & ~ID_BITS(f->flags & VIRTIO_CAN_FLAGS_EXTENDED ? 29 : 11))
		return false;
	return drv_has(c->dev, fd ? VIRTIO_CAN_F_CAN_FD : VIRTIO_CAN_F_CAN_CLASSIC) &&
	       (!rtr || drv_has(c->dev, VIRTIO_CAN_F_RTR_FRAMES));
}

int drv_can_send(struct drv_can *c, const struct drv_can_frame *f, uint64_t until)
{
	struct drv_sg sg[2];
	struct slot *s;
	uint8_t *buf;
	int r;

	if (!valid(c, f))
		return DRV_INVALID;
	/* All that have come back, so that their fate is known soon. */
	while ((r = reap(c, c->tx.nfree ? 0 : until)) == 0 || r == DRV_ERROR)
		;
	if (r != DRV_TIMEOUT || !c->tx.nfree)
		return r;
	buf = c->tx.mem + (size_t)c->tx.free[--c->tx.nfree] * c->tx.len;
	s = (struct slot *)(void *)buf;
	*s = (struct slot){ .msg = { .msg_type = VIRTIO_CAN_TX,
				    .length = f->len,
				    .flags = f->flags,
				    .can_id = f->id },
		.result = 0xff };
	__builtin_memcpy(s->msg.sdu, f->data, f->len);
	sg[0] = drv_sg(c->dev, &s->msg, (uint32_t)HEADER + f->len);
	sg[1] = drv_sg(c->dev, &s->result, 1);
	return drv_pool_offer_sg(&c->tx, buf, sg, 1, 1);
}

int drv_can_sync(struct drv_can *c, uint64_t until)
{
	int worst = 0;

	while (c->tx.nfree < c->tx.n) {
		int r = reap(c, until);

		if (r && r != DRV_ERROR)
			return r;
		worst = r ? r : worst;
	}
	return worst;
}

/* Reception. */

/* What the device wrote, copied before it is looked at. */
static int decode(struct drv_can_frame *f, const uint8_t *buf, uint32_t used)
{
	struct message m;

	if (used < HEADER || used > sizeof(m))
		return DRV_BROKEN;
	__builtin_memcpy(&m, buf, sizeof(m));
	*f = (struct drv_can_frame){ .id = m.can_id, .flags = m.flags, .len = (uint8_t)m.length };
	if (m.msg_type != VIRTIO_CAN_RX || m.flags & ~KNOWN_FLAGS)
		return DRV_BROKEN;
	if (m.length > (m.flags & VIRTIO_CAN_FLAGS_FD ? DRV_CAN_DATA_MAX : 8))
		return DRV_BROKEN;
	if (m.flags & VIRTIO_CAN_FLAGS_RTR)
		return 0;
	if (used < HEADER + m.length)
		return DRV_BROKEN;
	__builtin_memcpy(f->data, m.sdu, m.length);
	return 0;
}

int drv_can_recv(struct drv_can *c, struct drv_can_frame *f, uint64_t until)
{
	uint32_t used;
	uint8_t *buf;
	int again, r = drv_pool_take(&c->rx, &buf, &used, until);

	if (r)
		return r;
	r = decode(f, buf, used);
	again = drv_pool_offer(&c->rx, buf, 0, c->rx.len);
	return r ? r : again;
}

int drv_can_bus_off(struct drv_can *c, bool *off)
{
	uint16_t status = 0;
	int r = drv_config(c->dev, 0, &status, sizeof(status));

	*off = status & VIRTIO_CAN_S_CTRL_BUSOFF;
	return r;
}
