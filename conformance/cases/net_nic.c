/* SPDX-License-Identifier: BSD-3-Clause */
/* Two network cards on one wire: bringing up, sending, receiving, the control queue. */
#include "conformance/cases/net_nic.h"

#define FRESH_BYTE   0xa5 /* as cf_buf() */
#define USUAL_ROOM   2048u
#define USUAL_BUFFER 1526u
#define MARKER_LEN   64u
#define FOREIGN_MAX  256u /* frames of others before the wire counts as too busy */

/* Bringing up. */

static void read_mac(struct nic *n)
{
	static const uint8_t made[6] = { 0x02, 0xa5, 0, 0, 0, 1 };

	cf_copy(n->mac, made, 6);
	if (drv_has(n->dev, VIRTIO_NET_F_MAC))
		drv_config(n->dev, NET_CONFIG_MAC, n->mac, 6);
	else if (n->dev != cf_dev(n->c))
		n->mac[5] = 2;
}

/* Behind all pairs with MQ, else behind the first (5.1.2). */
static uint16_t ctrl_index(struct nic *n)
{
	uint16_t pairs = 1;

	if (drv_has(n->dev, VIRTIO_NET_F_MQ))
		drv_config(n->dev, NET_CONFIG_MAX_PAIRS, &pairs, sizeof(pairs));
	return (uint16_t)(2 * pairs);
}

static bool up_dut(struct nic *n, uint64_t want)
{
	if (!cf_begin(n->c, want))
		return false;
	n->rx = cf_queue(n->c, 0, 0);
	n->tx = cf_queue(n->c, 1, 0);
	if (drv_has(n->dev, VIRTIO_NET_F_CTRL_VQ))
		n->ctrl = cf_queue(n->c, ctrl_index(n), 0);
	return !cf_failed(n->c) && cf_run_device(n->c);
}

static bool up_peer(struct nic *n, uint64_t want)
{
	bool ctrl = want >> VIRTIO_NET_F_CTRL_VQ & 1;

	if (!cf_up_other(n->c, n->dev, want, n->own, ctrl ? 3 : 2))
		return false;
	n->rx = &n->own[0];
	n->tx = &n->own[1];
	n->ctrl = ctrl ? &n->own[2] : NULL;
	return true;
}

static bool one_up(struct nic *n, uint64_t want)
{
	want |= DRV_FEATURE(VIRTIO_NET_F_MAC) | DRV_FEATURE(VIRTIO_NET_F_STATUS);
	n->nbufs = 0;
	n->ctrl = NULL;
	if (!(n->dev == cf_dev(n->c) ? up_dut(n, want) : up_peer(n, want)))
		return false;
	n->guest = n->dev->features;
	read_mac(n);
	return n->frame || nic_room(n, USUAL_ROOM);
}

bool nic_up(struct cf *c, struct nic_link *l, uint64_t dut, uint64_t peer)
{
	*l = (struct nic_link){ .c = c, .seed = 1000 };
	l->dut = (struct nic){ .c = c, .dev = cf_dev(c), .other = &l->peer, .name = "the device" };
	l->peer = (struct nic){
		.c = c, .dev = cf_target(c)->peer, .other = &l->dut, .name = "the peer"
	};
	return one_up(&l->dut, dut) && one_up(&l->peer, peer);
}

bool nic_up_ready(struct cf *c, struct nic_link *l, uint64_t dut, uint64_t peer, unsigned count)
{
	return nic_up(c, l, dut, peer) && nic_post(&l->dut, count, USUAL_BUFFER) &&
	       nic_post(&l->peer, count, USUAL_BUFFER);
}

bool nic_up_again(struct nic_link *l, uint64_t dut)
{
	return one_up(&l->dut, dut);
}

/* Buffers. */

static bool submit(struct nic *n, struct nic_buf *b)
{
	struct drv_sg sg[64];
	unsigned count = 0;

	for (uint32_t at = 0; at < b->len && count < 64; at += b->piece) {
		uint32_t part = b->len - at < b->piece ? b->len - at : b->piece;

		sg[count++] = drv_sg(n->dev, b->p + at, part);
	}
	cf_fill(b->p, FRESH_BYTE, b->len);
	return cf_submit(n->c, n->rx, sg, 0, count, b);
}

bool nic_post_pieces(struct nic *n, uint32_t len, uint32_t piece)
{
	struct nic_buf *b = &n->bufs[n->nbufs];

	if (!cf_check(n->c, n->nbufs < NIC_BUFS, "the suite has no room for a receive buffer"))
		return false;
	*b = (struct nic_buf){ .p = cf_buf(n->c, len), .len = len, .piece = piece };
	n->nbufs++;
	return b->p && submit(n, b);
}

bool nic_post(struct nic *n, unsigned count, uint32_t len)
{
	while (count--)
		if (!nic_post_pieces(n, len, len))
			return false;
	return true;
}

/* Aligned as the data behind a header, so that it can be copied in words. */
bool nic_room(struct nic *n, uint32_t len)
{
	const uint32_t skip = NET_HDR_LEN % 8;
	uint8_t *p = cf_buf(n->c, skip + len);

	n->frame = p ? p + skip : NULL;
	n->room = len;
	return p;
}

/* Sending. */

uint8_t *nic_packet(struct cf *c, uint32_t len)
{
	uint8_t *p = cf_buf(c, NET_HDR_LEN + len);

	if (p)
		cf_fill(p, 0, NET_HDR_LEN);
	return p;
}

void nic_fill(uint8_t *frame, const uint8_t *dst, const uint8_t *src, uint32_t len, uint32_t seed)
{
	cf_copy(frame, dst, 6);
	cf_copy(frame + 6, src, 6);
	frame[12] = ETH_TYPE_LOCAL >> 8;
	frame[13] = ETH_TYPE_LOCAL & 0xff;
	cf_pattern(frame + ETH_LEN, seed, len - ETH_LEN);
}

uint8_t *nic_plain(
	struct cf *c, const uint8_t *dst, const uint8_t *src, uint32_t len, uint32_t seed)
{
	uint8_t *p = nic_packet(c, len);

	if (p)
		nic_fill(p + NET_HDR_LEN, dst, src, len, seed);
	return p;
}

bool nic_send(struct nic *n, const uint8_t *packet, uint32_t len)
{
	return cf_do(n->c, n->tx, packet, NET_HDR_LEN + len, NULL, 0, 0);
}

/* Receiving. */

static bool has(const struct nic *n, unsigned bit)
{
	return n->guest >> bit & 1;
}

static bool gso_allowed(const struct nic *n, uint8_t type)
{
	if ((type & VIRTIO_NET_HDR_GSO_ECN) && !has(n, VIRTIO_NET_F_GUEST_ECN))
		return false;
	switch (type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return !(type & VIRTIO_NET_HDR_GSO_ECN);
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return has(n, VIRTIO_NET_F_GUEST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return has(n, VIRTIO_NET_F_GUEST_TSO6);
	case VIRTIO_NET_HDR_GSO_UDP:
		return has(n, VIRTIO_NET_F_GUEST_UFO);
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return has(n, VIRTIO_NET_F_GUEST_USO4) || has(n, VIRTIO_NET_F_GUEST_USO6);
	default:
		return false;
	}
}

/* What a header may say is bounded by what was negotiated (5.1.9.4.1). */
static bool check_header(struct nic *n)
{
	const uint8_t checksums = VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID;
	uint8_t flags = has(n, VIRTIO_NET_F_GUEST_CSUM) ? checksums : 0;
	const struct net_hdr *h = &n->hdr;
	uint32_t field = (uint32_t)h->csum_start + h->csum_offset;
	bool partial = h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;

	return cf_check(n->c, !(h->flags & ~flags),
		       "%s got a frame with flags 0x%x, which was not negotiated", n->name,
		       h->flags) &&
	       cf_check(n->c, gso_allowed(n, h->gso_type),
		       "%s got a frame with gso_type 0x%x, which was not negotiated", n->name,
		       h->gso_type) &&
	       cf_check(n->c, !h->gso_type || (partial && h->gso_size),
		       "%s got a frame with gso_type 0x%x, flags 0x%x and gso_size %u", n->name,
		       h->gso_type, h->flags, h->gso_size) &&
	       cf_check(n->c, !partial || field + 2 <= n->len,
		       "%s got a frame of %u bytes with csum_start %u and csum_offset %u", n->name,
		       n->len, h->csum_start, h->csum_offset);
}

/* The next buffer of a frame. All of its buffers are used together (5.1.9.4.1), so only for the
 * first there is something to wait for. */
static bool next_buffer(struct nic *n, unsigned index, struct nic_buf **b, uint32_t *used)
{
	void *cookie;
	int r;

	if (index) {
		r = drv_queue_wait(n->rx, &cookie, used, 0);
		if (!cf_check(n->c, !r,
			    "%s: num_buffers is %u, but buffer %u of them is not used yet", n->name,
			    n->hdr.num_buffers, index))
			return false;
	} else if (!cf_used(n->c, n->rx, &cookie, used)) {
		return false;
	}
	*b = cookie;
	return cf_check(n->c, *used <= (*b)->len, "%s: used length %u of a buffer of %u bytes",
		       n->name, *used, (*b)->len) &&
	       cf_check(n->c, cf_filled((*b)->p + *used, FRESH_BYTE, (*b)->len - *used),
		       "%s: the device wrote more than the used length, %u", n->name, *used);
}

/* Appends what is in a buffer, and gives it to the device again. */
static bool collect(struct nic *n, struct nic_buf *b, uint32_t skip, uint32_t used)
{
	uint32_t part = used - skip;

	if (!cf_check(n->c, part <= n->room - n->len,
		    "%s got a frame of more than the %u bytes that anybody sent", n->name, n->room))
		return false;
	cf_copy(n->frame + n->len, b->p + skip, part);
	n->len += part;
	return n->keep_order || submit(n, b);
}

/* The buffers of a frame after the first (5.1.9.4.1). */
static bool take_rest(struct nic *n, unsigned buffers, bool first_full)
{
	bool full = first_full;
	struct nic_buf *b;
	uint32_t used;

	for (unsigned i = 1; i < buffers; i++) {
		if (!cf_check(n->c, full, "%s: buffer %u of %u is not filled up", n->name, i,
			    buffers) ||
			!next_buffer(n, i, &b, &used))
			return false;
		full = used == b->len;
		if (!collect(n, b, 0, used))
			return false;
	}
	return true;
}

static bool take_any(struct nic *n)
{
	bool merge = drv_has(n->dev, VIRTIO_NET_F_MRG_RXBUF);
	struct nic_buf *b;
	uint32_t used;
	unsigned buffers;

	n->len = 0;
	if (!next_buffer(n, 0, &b, &used))
		return false;
	if (!cf_check(n->c, used >= NET_HDR_LEN, "%s: used length %u, less than a header", n->name,
		    used))
		return false;
	cf_copy(&n->hdr, b->p, NET_HDR_LEN);
	/* Without MRG_RXBUF a case of its own looks at it. */
	buffers = merge ? n->hdr.num_buffers : 1;
	if (!cf_check(n->c, buffers > 0, "%s: num_buffers is 0", n->name))
		return false;
	return collect(n, b, NET_HDR_LEN, used) && take_rest(n, buffers, used == b->len) &&
	       check_header(n);
}

/* Neither card's: noise of the wire. The last byte may differ, for addresses that a case made up.
 */
static bool foreign(const struct nic *n)
{
	return n->len >= ETH_LEN && !cf_same(n->frame + 6, n->mac, 5) &&
	       !cf_same(n->frame + 6, n->other->mac, 5);
}

bool nic_take(struct nic *n)
{
	for (unsigned i = 0; i < FOREIGN_MAX; i++) {
		if (!take_any(n))
			return false;
		if (!foreign(n))
			return true;
	}
	return cf_check(n->c, false, "%s gets nothing but other stations' frames", n->name);
}

bool nic_take_finished(struct nic *n)
{
	uint16_t sum;

	if (!nic_take(n))
		return false;
	if (n->hdr.gso_type || !(n->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return true;
	sum = (uint16_t)~ip_sum(0, n->frame + n->hdr.csum_start, n->len - n->hdr.csum_start);
	n->frame[n->hdr.csum_start + n->hdr.csum_offset] = (uint8_t)(sum >> 8);
	n->frame[n->hdr.csum_start + n->hdr.csum_offset + 1] = (uint8_t)sum;
	return true;
}

bool nic_is(struct nic *n, const uint8_t *frame, uint32_t len)
{
	uint32_t at = 0;

	if (!cf_check(n->c, n->len == len, "%s got a frame of %u bytes, must be %u", n->name,
		    n->len, len))
		return false;
	if (cf_same(n->frame, frame, len))
		return true;
	while (n->frame[at] == frame[at])
		at++;
	return cf_check(n->c, false, "%s: byte %u of a frame of %u is 0x%x, must be 0x%x", n->name,
		at, len, n->frame[at], frame[at]);
}

bool nic_expect(struct nic *n, const uint8_t *frame, uint32_t len)
{
	return nic_take_finished(n) && nic_is(n, frame, len);
}

bool nic_pass(struct nic *from, struct nic *to, uint32_t len, uint32_t seed)
{
	uint8_t *p = nic_plain(from->c, to->mac, from->mac, len, seed);

	return p && nic_send(from, p, len) && nic_expect(to, p + NET_HDR_LEN, len);
}

bool nic_marker(struct nic_link *l, struct nic *from, struct nic *to)
{
	return nic_pass(from, to, MARKER_LEN, l->seed++);
}

bool nic_dropped(
	struct nic_link *l, struct nic *from, struct nic *to, const uint8_t *packet, uint32_t len)
{
	return nic_send(from, packet, len) && nic_marker(l, from, to);
}

/* Control queue. */

bool nic_ctrl(
	struct nic *n, uint8_t class, uint8_t command, const void *data, uint32_t len, uint8_t ack)
{
	uint8_t *out = cf_buf(n->c, 2 + len), *in = cf_buf(n->c, 1);

	if (!out || !in)
		return false;
	out[0] = class;
	out[1] = command;
	cf_copy(out + 2, data, len);
	return cf_check(n->c, n->ctrl, "no control queue") &&
	       cf_do(n->c, n->ctrl, out, 2 + len, in, 1, 1) &&
	       cf_check(n->c, *in == ack, "class %u, command %u, %u bytes: ack is %u, must be %u",
		       class, command, len, *in, ack);
}

bool nic_ctrl_byte(struct nic *n, uint8_t class, uint8_t command, uint8_t data, uint8_t ack)
{
	return nic_ctrl(n, class, command, &data, 1, ack);
}
