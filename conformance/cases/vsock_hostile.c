/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver of the socket device that breaks rules: framing, addresses, order, and floods. */
#include "conformance/cases/vq_util.h"
#include "conformance/cases/vsock_end.h"

#define STREAM VIRTIO_VSOCK_TYPE_STREAM

/* Framing: virtqueue buffers that hold no packet (5.10.6.4). */

static void tx_short_header(struct cf *c)
{
	uint8_t *p = cf_buf(c, VSOCK_HDR_LEN);

	if (!p)
		return;
	cf_fill(p, 0, VSOCK_HDR_LEN);
	for (uint32_t len = 1; len < VSOCK_HDR_LEN && !cf_failed(c); len += 6) {
		struct drv_queue *q = cf_up(c, VS_ALL, 3);
		struct drv_sg sg = cf_sg(c, p, len);

		if (q && cf_submit(c, cf_q(c, 1), &sg, 1, 0, p))
			cf_must_break(c, cf_q(c, 1));
	}
}

static void tx_writable(struct cf *c)
{
	struct vsock_hdr h;
	struct drv_sg sg[2];
	struct vs_link l;
	uint8_t *in = cf_buf(c, 64);

	if (!in || !vs_up_alone(c, &l, VS_ALL, 4, 256))
		return;
	h = vs_hdr(&l, VSOCK_CID_HOST, VIRTIO_VSOCK_OP_REQUEST);
	vs_put(&l.dut, &h, NULL, 0);
	sg[0] = cf_sg(c, l.dut.out, VSOCK_HDR_LEN);
	sg[1] = cf_sg(c, in, 64);
	if (!cf_submit(c, l.dut.tx, sg, 1, 1, in))
		return;
	cf_must_break(c, l.dut.tx);
	cf_check(c, cf_filled(in, 0xa5, 64), "a transmit buffer was written to");
}

/* Has the device answer, with an RST. */
static bool provoke(struct vs_link *l)
{
	struct vsock_hdr h = vs_hdr(l, VSOCK_CID_HOST, VIRTIO_VSOCK_OP_RW);

	return vs_send(&l->dut, h, NULL, 0);
}

static void rx_short(struct cf *c)
{
	static const uint8_t lengths[] = { 1, 20, 43 };

	for (unsigned i = 0; i < sizeof(lengths) && !cf_failed(c); i++) {
		struct vs_link l;

		if (!vs_up_alone(c, &l, VS_ALL, 1, lengths[i]) || !provoke(&l))
			return;
		cf_must_break(c, l.dut.rx);
		cf_check(c, cf_filled(l.dut.bufs[0].p, 0xa5, lengths[i]),
			"a part of a packet was put into a buffer of %u bytes", lengths[i]);
	}
}

/* Room for a header, and then for data, of which there is some. */
static void rx_no_data(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;
	uint8_t b = 1;

	if (!vs_up(c, &l, VS_ALL, 4, VSOCK_HDR_LEN) || !vs_connect(&l, STREAM, &dut, &peer) ||
		!vs_rw(&peer, 0, &b, 1))
		return;
	cf_must_break(c, l.dut.rx);
}

static void rx_readable(struct cf *c)
{
	struct drv_sg sg[2];
	struct vs_link l;
	uint8_t *b = cf_buf(c, 512);

	if (!b || !vs_up_alone(c, &l, VS_ALL, 0, 0))
		return;
	sg[0] = cf_sg(c, b, 256);
	sg[1] = cf_sg(c, b + 256, 256);
	if (!cf_submit(c, l.dut.rx, sg, 1, 1, b) || !provoke(&l))
		return;
	cf_must_break(c, l.dut.rx);
	cf_check(c, cf_filled(b, 0xa5, 256), "a device-readable buffer was written to");
}

/* Lengths that the buffers do not have. */

static bool send_raw(struct vs_end *e, const struct vsock_hdr *h, uint32_t len)
{
	vs_put(e, h, NULL, 0);
	return cf_do(e->c, e->tx, e->out, VSOCK_HDR_LEN + len, NULL, 0, 0);
}

static struct vsock_hdr rw_of(const struct vs_conn *k, uint32_t len)
{
	return (struct vsock_hdr){
		.src_cid = k->e->cid,
		.dst_cid = k->peer_cid,
		.src_port = k->port,
		.dst_port = k->peer_port,
		.len = len,
		.type = k->type,
		.op = VIRTIO_VSOCK_OP_RW,
		.buf_alloc = k->buf_alloc,
		.fwd_cnt = k->fwd_cnt,
	};
}

static const uint32_t lengths[] = { 101, 1000, 65537, 0x7fffffff, 0x80000000, 0xffffffff };

#define LENGTHS (sizeof(lengths) / sizeof(*lengths))

static void len_stray(struct cf *c)
{
	struct vs_link l;

	if (!vs_up_alone(c, &l, VS_ALL, 4, 256))
		return;
	for (unsigned i = 0; i < LENGTHS; i++) {
		struct vsock_hdr h = vs_hdr(&l, VSOCK_CID_HOST, VIRTIO_VSOCK_OP_RW);

		h.len = lengths[i];
		if (!send_raw(&l.dut, &h, 100) || !vs_expect_rst(&l.dut, &h))
			return;
	}
}

/* The connection is lost, and nothing of the packet reaches the other end. */
static void len_open(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up_ready(c, &l))
		return;
	for (unsigned i = 0; i < LENGTHS; i++) {
		struct vsock_hdr h;

		if (!vs_connect(&l, STREAM, &dut, &peer))
			return;
		h = rw_of(&dut, lengths[i]);
		if (!send_raw(&l.dut, &h, 100) || !vs_expect(&dut, VIRTIO_VSOCK_OP_RST) ||
			!vs_expect_closed(&peer))
			return;
	}
}

/* Packets at the wrong time, or that mean nothing: the connection is reset, others go on. */
static void wrong_op(struct cf *c)
{
	static const uint16_t ops[] = { VIRTIO_VSOCK_OP_INVALID, VIRTIO_VSOCK_OP_REQUEST,
		VIRTIO_VSOCK_OP_RESPONSE, 8, 0xff, 0xffff };
	struct vs_conn dut, peer, other, other_peer;
	struct vs_link l;

	if (!vs_up_ready(c, &l) || !vs_connect(&l, STREAM, &other, &other_peer))
		return;
	for (unsigned i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		if (!vs_connect(&l, STREAM, &dut, &peer) || !vs_op(&dut, ops[i], 0) ||
			!vs_expect(&dut, VIRTIO_VSOCK_OP_RST) || !vs_expect_closed(&peer) ||
			!vs_transfer(&other, &other_peer, i, 100, 100))
			return;
	}
}

static void wrong_op_stray(struct cf *c)
{
	static const uint16_t ops[] = { VIRTIO_VSOCK_OP_INVALID, 8, 0xff, 0xffff };
	struct vs_link l;

	if (!vs_up_alone(c, &l, VS_ALL, 4, 256))
		return;
	for (unsigned i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		struct vsock_hdr h = vs_hdr(&l, VSOCK_CID_HOST, ops[i]);

		if (!vs_send(&l.dut, h, NULL, 0) || !vs_expect_rst(&l.dut, &h))
			return;
	}
}

/* Data before the other end has answered. */
static void early_data(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up_ready(c, &l))
		return;
	vs_pair(&l, STREAM, &dut, &peer);
	if (vs_op(&dut, VIRTIO_VSOCK_OP_REQUEST, 0) && vs_expect(&peer, VIRTIO_VSOCK_OP_REQUEST) &&
		vs_rw(&dut, 0, "x", 1) && vs_expect(&dut, VIRTIO_VSOCK_OP_RST))
		vs_expect_closed(&peer);
}

static void data_after_shutdown(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (vs_up_ready(c, &l) && vs_connect(&l, STREAM, &dut, &peer) &&
		vs_op(&dut, VIRTIO_VSOCK_OP_SHUTDOWN, DRV_VSOCK_SHUT_SEND) &&
		vs_expect(&peer, VIRTIO_VSOCK_OP_SHUTDOWN) &&
		vs_op(&dut, VIRTIO_VSOCK_OP_SHUTDOWN, 0) && vs_rw(&dut, 0, "x", 1))
		vs_expect(&dut, VIRTIO_VSOCK_OP_RST);
}

/* Addresses. */

/* In the name of another guest: it does not come through. What does comes after it. */
static void forged_source(struct cf *c)
{
	struct vs_conn dut, peer, real, real_peer;
	struct vs_link l;
	struct vsock_hdr h;
	uint64_t cids[4];

	if (!vs_up_ready(c, &l) || !vs_connect(&l, STREAM, &real, &real_peer))
		return;
	cids[0] = 0;
	cids[1] = VSOCK_CID_HOST;
	cids[2] = l.peer.cid;
	cids[3] = l.dut.cid | UINT64_C(1) << 32;
	for (unsigned i = 0; i < 4; i++) {
		vs_pair(&l, STREAM, &dut, &peer);
		h = rw_of(&dut, 0);
		h.op = VIRTIO_VSOCK_OP_REQUEST;
		h.src_cid = cids[i];
		if (!vs_send(&l.dut, h, NULL, 0))
			return;
		h = rw_of(&real, 0);
		h.src_cid = cids[i];
		if (!vs_send(&l.dut, h, "forged", 6) || !vs_rw(&real, 0, "\0", 1) ||
			!vs_receive(&real_peer, 0, 0, 1) || !vs_consume(&real_peer))
			return;
	}
}

/* The upper half of a CID is reserved: with it set it is nobody's. */
static void high_destination(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;
	struct vsock_hdr h;

	if (!vs_up_ready(c, &l))
		return;
	vs_pair(&l, STREAM, &dut, &peer);
	h = rw_of(&dut, 0);
	h.op = VIRTIO_VSOCK_OP_REQUEST;
	h.dst_cid |= UINT64_C(1) << 32;
	if (!vs_send(&l.dut, h, NULL, 0))
		return;
	vs_pair(&l, STREAM, &dut, &peer);
	if (vs_op(&dut, VIRTIO_VSOCK_OP_REQUEST, 0))
		vs_expect(&peer, VIRTIO_VSOCK_OP_REQUEST);
}

/* Floods. */

/* Requests for credit without receive buffers are answered when there is one, not each kept. */
static void credit_flood(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up(c, &l, VS_ALL, 2, 256) || !vs_connect(&l, STREAM, &dut, &peer))
		return;
	for (unsigned i = 0; i < 400; i++)
		if (!vs_op(&dut, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 0))
			return;
	if (vs_take(&l.dut) && vs_account(&dut) &&
		cf_eq(c, l.dut.hdr.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE, "op"))
		cf_must_go_on(c, l.dut.tx);
}

#define STRAYS 5000u

/* Packets that each need an answer, and no room for any: the device may stop taking them, and goes
 * on where it stopped. Each gets its answer, in order. */
static void stray_flood(struct cf *c)
{
	struct vsock_hdr h;
	struct vs_link l;
	uint32_t first, sent = 0;
	void *cookie;
	uint32_t used;

	if (!vs_up_alone(c, &l, VS_ALL, 0, 0))
		return;
	h = vs_hdr(&l, VSOCK_CID_HOST, VIRTIO_VSOCK_OP_RW);
	first = h.src_port;
	for (; sent < STRAYS; sent++) {
		struct drv_sg sg = cf_sg(c, l.dut.out, VSOCK_HDR_LEN);

		h.src_port = first + sent;
		vs_put(&l.dut, &h, NULL, 0);
		if (!cf_submit(c, l.dut.tx, &sg, 1, 0, l.dut.out))
			return;
		/* Not taken in a tenth of the usual time: it is full. */
		if (drv_queue_wait(l.dut.tx, &cookie, &used,
			    drv_now(l.dut.dev) + cf_target(c)->limit / 10))
			break;
	}
	cf_check(c, sent < STRAYS, "%u answers are kept without any bound", sent);
	if (!vs_post(&l.dut, 8, 256, 256))
		return;
	for (uint32_t i = 0; i <= sent && i < STRAYS; i++) {
		h.src_port = first + i;
		if (!vs_expect_rst(&l.dut, &h))
			return;
	}
}

/* A connection whose end reads nothing does not stop the others. */
static void stuck_connection(struct cf *c)
{
	struct vs_conn stuck, stuck_peer, dut, peer;
	uint8_t data[1024] = { 0 };
	struct vs_link l;

	if (!vs_up_ready(c, &l))
		return;
	vs_pair(&l, STREAM, &stuck, &stuck_peer);
	stuck_peer.buf_alloc = 0;
	if (!vs_open(&stuck, &stuck_peer))
		return;
	while (vs_room(&stuck) >= sizeof(data))
		if (!vs_rw(&stuck, 0, data, sizeof(data)))
			return;
	vs_pair(&l, STREAM, &dut, &peer);
	if (!vs_op(&dut, VIRTIO_VSOCK_OP_REQUEST, 0))
		return;
	/* The peer may be asked for credit for the first connection meanwhile. */
	do
		if (!vs_take(&l.peer))
			return;
	while (l.peer.hdr.dst_port != peer.port);
	if (vs_account(&peer) && cf_eq(c, l.peer.hdr.op, VIRTIO_VSOCK_OP_REQUEST, "op"))
		vs_op(&peer, VIRTIO_VSOCK_OP_RESPONSE, 0);
}

/* Reset while data is on its way, again and again. */
static void reset_under_load(struct cf *c)
{
	struct vs_conn dut, peer;
	uint8_t data[2048];
	struct vs_link l;

	vs_pattern(data, 1, 0, sizeof(data));
	for (unsigned i = 0; i < 4; i++) {
		if (!vs_up_ready(c, &l) || !vs_connect(&l, STREAM, &dut, &peer))
			return;
		for (unsigned k = 0; k < 4; k++)
			if (!vs_rw(&peer, 0, data, sizeof(data)) ||
				!vs_rw(&dut, 0, data, sizeof(data)))
				return;
		if (!cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset under load"))
			return;
		for (unsigned b = 0; b < l.dut.nbufs; b++)
			cf_fill(l.dut.bufs[b].p, 0xa5, l.dut.bufs[b].len);
		vq_linger(c);
		for (unsigned b = 0; b < l.dut.nbufs; b++)
			cf_check(c, cf_filled(l.dut.bufs[b].p, 0xa5, l.dut.bufs[b].len),
				"a buffer was written after the reset");
	}
}

#define VSOCK DRV_ID_VSOCK
#define ALONE CF_HOSTILE
#define PEER  (CF_PEER | CF_HOSTILE)

const struct cf_case cf_cases_vsock_hostile[] = {
	{ "vsock.hostile.tx_short_header", "ROB-2 ROB-6", tx_short_header, VSOCK,
		ALONE | CF_RINGS },
	{ "vsock.hostile.tx_writable", "ROB-25 ROB-4", tx_writable, VSOCK, ALONE },
	{ "vsock.hostile.rx_short", "ROB-11 ROB-4", rx_short, VSOCK, ALONE | CF_RINGS },
	{ "vsock.hostile.rx_no_data", "ROB-11", rx_no_data, VSOCK, PEER },
	{ "vsock.hostile.rx_readable", "ROB-25 ROB-4", rx_readable, VSOCK, ALONE },
	{ "vsock.hostile.len_stray", "ROB-10 ROB-13", len_stray, VSOCK, ALONE | CF_RINGS },
	{ "vsock.hostile.len_open", "ROB-10 ROB-13", len_open, VSOCK, PEER },
	{ "vsock.hostile.wrong_op", "ROB-10 ROB-5", wrong_op, VSOCK, PEER },
	{ "vsock.hostile.wrong_op_stray", "ROB-10", wrong_op_stray, VSOCK, ALONE },
	{ "vsock.hostile.early_data", "ROB-10", early_data, VSOCK, PEER },
	{ "vsock.hostile.data_after_shutdown", "ROB-10", data_after_shutdown, VSOCK, PEER },
	{ "vsock.hostile.forged_source", "ROB-10 ROB-5", forged_source, VSOCK, PEER },
	{ "vsock.hostile.high_destination", "ROB-10", high_destination, VSOCK, PEER },
	{ "vsock.hostile.credit_flood", "ROB-1 ROB-19", credit_flood, VSOCK, PEER },
	{ "vsock.hostile.stray_flood", "ROB-1 V5.10.6.1.2-1", stray_flood, VSOCK,
		ALONE | CF_RINGS },
	{ "vsock.hostile.stuck_connection", "ROB-19", stuck_connection, VSOCK, PEER },
	{ "vsock.hostile.reset_under_load", "ROB-18 ROB-6", reset_under_load, VSOCK,
		PEER | CF_RINGS },
	{ 0 },
};
