/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket device: data of streams, and credit (VIRTIO 1.4, 5.10.6.1 to 5.10.6.5). */
#include "conformance/cases/vsock_end.h"

#define STREAM VIRTIO_VSOCK_TYPE_STREAM

/* Streams. */

static const uint16_t lengths[] = { 1, 2, 43, 44, 45, 511, 4052, 4053, 8192 };

#define LENGTHS (sizeof(lengths) / sizeof(*lengths))

static void lengths_pass(struct cf *c, bool to_driver)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up_connected(c, &l, STREAM, &dut, &peer))
		return;
	for (unsigned i = 0; i < LENGTHS; i++)
		if (!vs_transfer(to_driver ? &peer : &dut, to_driver ? &dut : &peer, i, lengths[i],
			    lengths[i]))
			return;
}

static void tx_lengths(struct cf *c)
{
	lengths_pass(c, false);
}

static void rx_lengths(struct cf *c)
{
	lengths_pass(c, true);
}

/* Several times what the drivers have room for: credit is given back on the way. */
static void large(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up_ready(c, &l))
		return;
	vs_pair(&l, STREAM, &dut, &peer);
	dut.buf_alloc = peer.buf_alloc = 8192;
	if (vs_open(&dut, &peer) && vs_transfer(&dut, &peer, 1, 40000, 5000))
		vs_transfer(&peer, &dut, 2, 40000, 5000);
}

/* Sends the packet in e->out in pieces. */
static bool send_cut(struct vs_end *e, uint32_t len, const uint32_t *cuts, unsigned count)
{
	struct drv_sg sg[50];
	uint32_t at = 0, used;
	void *cookie;

	for (unsigned i = 0; i <= count; i++) {
		uint32_t end = i < count ? cuts[i] : len;

		sg[i] = drv_sg(e->dev, e->out + at, end - at);
		at = end;
	}
	return cf_submit(e->c, e->tx, sg, count + 1, 0, e) &&
	       cf_used(e->c, e->tx, &cookie, &used) && cf_eq(e->c, used, 0, "the used length");
}

static struct vsock_hdr rw_header(const struct vs_conn *k, uint32_t len)
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

/* A RW packet with `len` bytes, in e->out, behind those sent before. */
static void put_rw(struct vs_conn *k, uint32_t len, uint32_t room)
{
	const struct vsock_hdr h = rw_header(k, len);

	vs_put(k->e, &h, NULL, 0);
	cf_fill(k->e->out + VSOCK_HDR_LEN, 0xee, room);
	vs_pattern(k->e->out + VSOCK_HDR_LEN, 1, k->tx_cnt, len);
	k->tx_cnt += len;
}

static void tx_header_cut(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up_connected(c, &l, STREAM, &dut, &peer))
		return;
	for (uint32_t cut = 1; cut <= VSOCK_HDR_LEN + 4; cut++) {
		uint32_t at = dut.tx_cnt;

		put_rw(&dut, 10, 10);
		if (!send_cut(&l.dut, VSOCK_HDR_LEN + 10, &cut, 1) || !vs_receive(&peer, 1, at, 10))
			return;
	}
}

static void tx_pieces(struct cf *c)
{
	struct vs_conn dut, peer;
	uint32_t cuts[49];
	struct vs_link l;

	for (uint32_t i = 0; i < 49; i++)
		cuts[i] = 1 + i * 2;
	if (!vs_up_connected(c, &l, STREAM, &dut, &peer))
		return;
	put_rw(&dut, 300, 300);
	if (send_cut(&l.dut, VSOCK_HDR_LEN + 300, cuts, 49))
		vs_receive(&peer, 1, 0, 300);
}

/* Buffers may be longer than the data (5.10.6). */
static void tx_longer_buffer(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up_connected(c, &l, STREAM, &dut, &peer))
		return;
	for (uint32_t i = 0; i < 3; i++) {
		put_rw(&dut, 100, 1000);
		if (!send_cut(&l.dut, VSOCK_HDR_LEN + 1000, NULL, 0) ||
			!vs_receive(&peer, 1, i * 100, 100))
			return;
	}
}

/* Receive buffers of any size and form. */
static void rx_buffers(struct cf *c, uint32_t len, uint32_t piece, uint32_t data)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up(c, &l, VS_ALL, 0, 0) || !vs_post(&l.dut, 8, len, piece) ||
		!vs_connect(&l, STREAM, &dut, &peer))
		return;
	vs_transfer(&peer, &dut, 3, data, data);
}

static void rx_one_byte(struct cf *c)
{
	rx_buffers(c, VSOCK_HDR_LEN + 1, VSOCK_HDR_LEN + 1, 30);
}

static void rx_small(struct cf *c)
{
	rx_buffers(c, VSOCK_HDR_LEN + 100, VSOCK_HDR_LEN + 100, 2000);
}

static void rx_header_apart(struct cf *c)
{
	rx_buffers(c, 2 * VSOCK_HDR_LEN, VSOCK_HDR_LEN, 500);
}

static void rx_pieces(struct cf *c)
{
	rx_buffers(c, 200, 31, 2000);
}

/* Packets of the driver are taken while it has no receive buffers; the answers come later. */
static void tx_while_rx_full(struct cf *c)
{
	struct vsock_hdr h[32];
	struct vs_link l;

	if (!vs_up_alone(c, &l, VS_ALL, 0, 0))
		return;
	for (unsigned i = 0; i < 32; i++) {
		h[i] = vs_hdr(&l, VSOCK_CID_HOST, VIRTIO_VSOCK_OP_RW);
		if (!vs_send(&l.dut, h[i], NULL, 0))
			return;
	}
	if (!vs_post(&l.dut, 32, 256, 256))
		return;
	for (unsigned i = 0; i < 32; i++)
		if (!vs_expect_rst(&l.dut, &h[i]))
			return;
}

/* Credit (5.10.6.3). */

static void credit_request(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up_connected(c, &l, STREAM, &dut, &peer) ||
		!vs_op(&dut, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 0) || !vs_take(&l.dut))
		return;
	cf_eq(c, l.dut.hdr.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE, "op");
	cf_check(c, l.dut.hdr.buf_alloc, "buf_alloc is 0");
	cf_eq(c, l.dut.hdr.fwd_cnt, 0, "fwd_cnt");
	cf_eq(c, l.dut.hdr.src_port, dut.peer_port, "src_port");
	cf_eq(c, l.dut.hdr.dst_port, dut.port, "dst_port");
}

/* What has arrived counts, to the byte. */
static void credit_fwd_cnt(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (vs_up_connected(c, &l, STREAM, &dut, &peer) &&
		vs_transfer(&dut, &peer, 1, 5001, 1000) && vs_await_fwd(&dut) &&
		vs_transfer(&dut, &peer, 2, 1, 1))
		vs_await_fwd(&dut);
}

/* Two connections: the first with a buffer of `buf_alloc` bytes, the other for markers. */
struct two {
	struct vs_link l;
	struct vs_conn dut, peer, other, other_peer;
};

static bool up_two(struct cf *c, struct two *t, uint32_t buf_alloc, uint32_t fwd_cnt)
{
	if (!vs_up_ready(c, &t->l) || !vs_connect(&t->l, STREAM, &t->other, &t->other_peer))
		return false;
	vs_pair(&t->l, STREAM, &t->dut, &t->peer);
	t->dut.buf_alloc = buf_alloc;
	t->dut.fwd_cnt = fwd_cnt;
	return vs_open(&t->dut, &t->peer);
}

static bool no_data(struct two *t)
{
	return vs_no_data(&t->dut, &t->other, &t->other_peer);
}

static bool peer_sends(struct two *t, uint32_t seed, uint32_t len)
{
	uint8_t data[5000];

	vs_pattern(data, seed, 0, len);
	return vs_rw(&t->peer, 0, data, len);
}

/* The driver has room for 1000 bytes: it gets them, and not one more until it says so. */
static void credit_kept(struct cf *c)
{
	struct two t;

	if (!up_two(c, &t, 1000, 0) || !peer_sends(&t, 7, 5000) ||
		!vs_receive(&t.dut, 7, 0, 1000) || !no_data(&t))
		return;
	t.dut.fwd_cnt = 500;
	if (!vs_op(&t.dut, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0) || !vs_receive(&t.dut, 7, 1000, 500) ||
		!no_data(&t))
		return;
	t.dut.buf_alloc = VS_CREDIT;
	if (vs_consume(&t.dut))
		vs_receive(&t.dut, 7, 1500, 3500);
}

static void credit_none(struct cf *c)
{
	struct two t;

	if (!up_two(c, &t, 0, 0) || !peer_sends(&t, 8, 100) || !no_data(&t))
		return;
	t.dut.buf_alloc = 4096;
	if (vs_op(&t.dut, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0))
		vs_receive(&t.dut, 8, 0, 100);
}

/* The buffer becomes smaller than what is in it: the difference is negative, not huge. */
static void credit_shrinks(struct cf *c)
{
	struct two t;

	if (!up_two(c, &t, 1000, 0) || !peer_sends(&t, 9, 3000) || !vs_receive(&t.dut, 9, 0, 1000))
		return;
	t.dut.buf_alloc = 100;
	t.dut.fwd_cnt = 500;
	if (!vs_op(&t.dut, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0) || !no_data(&t))
		return;
	t.dut.buf_alloc = VS_CREDIT;
	if (vs_consume(&t.dut))
		vs_receive(&t.dut, 9, 1000, 2000);
}

/* Counters run freely, so fwd_cnt may be ahead of 0: 16 bytes of the buffer count as used. */
static void credit_modulo(struct cf *c)
{
	struct two t;

	if (!up_two(c, &t, 1000, 0xfffffff0u) || !peer_sends(&t, 10, 3000) ||
		!vs_receive(&t.dut, 10, 0, 984) || !no_data(&t))
		return;
	if (vs_consume(&t.dut))
		vs_receive(&t.dut, 10, 984, 1000);
}

#define OVERRUN_MAX (8u << 20)

/* Sends while there is credit, with a peer that reads nothing; then one byte without any. */
static void credit_exceeded(struct cf *c)
{
	uint8_t data[4096] = { 0 };
	struct vs_conn dut, peer;
	struct vs_link l;
	uint32_t now;

	if (!vs_up_ready(c, &l))
		return;
	vs_pair(&l, STREAM, &dut, &peer);
	peer.buf_alloc = 0;
	if (!vs_open(&dut, &peer))
		return;
	for (;;) {
		now = vs_room(&dut) < sizeof(data) ? vs_room(&dut) : sizeof(data);
		if (now && !vs_rw(&dut, 0, data, now))
			return;
		if (!cf_check(c, dut.tx_cnt < OVERRUN_MAX, "credit without end"))
			return;
		while (vs_waiting(&l.dut, 0))
			if (!vs_take(&l.dut) || !vs_account(&dut))
				return;
		if (vs_room(&dut))
			continue;
		/* What the device says now it says for good: nobody reads. */
		if (!vs_op(&dut, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 0))
			return;
		do
			if (!vs_take(&l.dut) || !vs_account(&dut))
				return;
		while (vs_waiting(&l.dut, 0));
		if (!vs_room(&dut))
			break;
	}
	if (vs_rw(&dut, 0, data, 1))
		vs_expect(&dut, VIRTIO_VSOCK_OP_RST);
}

/* One packet of more than the buffer: none of it is passed on. */
static void credit_exceeded_at_once(struct cf *c)
{
	struct drv_sg sg[33];
	struct vs_conn dut, peer;
	struct vsock_hdr h;
	struct vs_link l;
	unsigned n = 1;
	uint32_t left, used;
	void *cookie;

	if (!vs_up_connected(c, &l, STREAM, &dut, &peer))
		return;
	left = dut.peer_buf_alloc + 1;
	h = rw_header(&dut, left);
	vs_put(&l.dut, &h, NULL, 0);
	sg[0] = cf_sg(c, l.dut.out, VSOCK_HDR_LEN);
	for (; left && n < 33; n++) {
		uint32_t part = left < VS_DATA_MAX ? left : VS_DATA_MAX;

		sg[n] = cf_sg(c, l.dut.out + VSOCK_HDR_LEN, part);
		left -= part;
	}
	if (left) {
		cf_skip(c, "buf_alloc is %u, more than the suite sends in one packet",
			dut.peer_buf_alloc);
		return;
	}
	if (cf_submit(c, l.dut.tx, sg, n, 0, sg) && cf_used(c, l.dut.tx, &cookie, &used) &&
		vs_expect(&dut, VIRTIO_VSOCK_OP_RST))
		vs_expect_closed(&peer);
}

#define VSOCK DRV_ID_VSOCK

const struct cf_case cf_cases_vsock_stream[] = {
	{ "vsock.stream.tx_lengths", "VSK-1", tx_lengths, VSOCK, CF_PEER | CF_RINGS },
	{ "vsock.stream.rx_lengths", "VSK-1", rx_lengths, VSOCK, CF_PEER | CF_RINGS },
	{ "vsock.stream.large", "VSK-1 V5.10.6.3.2-1", large, VSOCK, CF_PEER | CF_RINGS },
	{ "vsock.tx.header_cut", "V2.7.4.1-1", tx_header_cut, VSOCK, CF_PEER | CF_RINGS },
	{ "vsock.tx.pieces", "V2.7.4.1-1", tx_pieces, VSOCK, CF_PEER },
	{ "vsock.tx.longer_buffer", "VSK-1", tx_longer_buffer, VSOCK, CF_PEER },
	{ "vsock.tx.while_rx_full", "V5.10.6.1.2-1", tx_while_rx_full, VSOCK, CF_RINGS },
	{ "vsock.rx.one_byte", "VSK-1 ROB-4", rx_one_byte, VSOCK, CF_PEER },
	{ "vsock.rx.small", "VSK-1 ROB-4", rx_small, VSOCK, CF_PEER | CF_RINGS },
	{ "vsock.rx.header_apart", "V2.7.4.1-1", rx_header_apart, VSOCK, CF_PEER },
	{ "vsock.rx.pieces", "V2.7.4.1-1", rx_pieces, VSOCK, CF_PEER },
	{ "vsock.credit.request", "V5.10.6.3.2-2", credit_request, VSOCK, CF_PEER | CF_RINGS },
	{ "vsock.credit.fwd_cnt", "V5.10.6.3.2-2", credit_fwd_cnt, VSOCK, CF_PEER },
	{ "vsock.credit.kept", "V5.10.6.3.2-1", credit_kept, VSOCK, CF_PEER | CF_RINGS },
	{ "vsock.credit.none", "V5.10.6.3.2-1", credit_none, VSOCK, CF_PEER },
	{ "vsock.credit.shrinks", "V5.10.6.3.2-1 ROB-13", credit_shrinks, VSOCK,
		CF_PEER | CF_HOSTILE },
	{ "vsock.credit.modulo", "V5.10.6.3.2-1", credit_modulo, VSOCK, CF_PEER },
	{ "vsock.credit.exceeded", "ROB-10", credit_exceeded, VSOCK, CF_PEER | CF_HOSTILE },
	{ "vsock.credit.exceeded_at_once", "ROB-10", credit_exceeded_at_once, VSOCK,
		CF_PEER | CF_HOSTILE },
	{ 0 },
};
