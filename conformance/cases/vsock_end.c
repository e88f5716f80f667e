/* SPDX-License-Identifier: BSD-3-Clause */
/* The ends of socket connections: bringing up, packets, credit. */
#include "conformance/cases/vsock_end.h"

#define FRESH_BYTE 0xa5 /* as cf_buf() */
#define USUAL_BUFS 16
#define USUAL_LEN  4096u
#define PORT_FIRST 50000u
#define PORT_PEER  1000u

/* Bringing up. */

static bool start(struct vs_end *e, uint64_t features)
{
	struct cf *c = e->c;

	e->nbufs = 0;
	if (e->dev == cf_dev(c)) {
		e->rx = cf_up(c, features, 3);
		e->tx = cf_q(c, 1);
		e->event = cf_q(c, 2);
		if (!e->rx)
			return false;
	} else {
		if (!cf_up_other(c, e->dev, features, e->own, 3))
			return false;
		e->rx = &e->own[0];
		e->tx = &e->own[1];
		e->event = &e->own[2];
	}
	if (!e->out)
		e->out = cf_buf(c, VSOCK_HDR_LEN + VS_DATA_MAX);
	if (!e->data)
		e->data = cf_buf(c, VS_DATA_MAX);
	return e->out && e->data &&
	       cf_check(c, !drv_config(e->dev, 0, &e->cid, 8), "guest_cid cannot be read");
}

bool vs_up_alone(struct cf *c, struct vs_link *l, uint64_t features, unsigned count, uint32_t len)
{
	*l = (struct vs_link){ .c = c, .port = PORT_FIRST };
	l->dut = (struct vs_end){ .c = c, .dev = cf_dev(c), .name = "the driver" };
	return start(&l->dut, features) && vs_post(&l->dut, count, len, len);
}

bool vs_up(struct cf *c, struct vs_link *l, uint64_t features, unsigned count, uint32_t len)
{
	if (!vs_up_alone(c, l, features, count, len))
		return false;
	l->peer = (struct vs_end){ .c = c, .dev = cf_target(c)->peer, .name = "the peer" };
	return start(&l->peer, VS_ALL) && vs_post(&l->peer, USUAL_BUFS, USUAL_LEN, USUAL_LEN);
}

bool vs_up_ready(struct cf *c, struct vs_link *l)
{
	return vs_up(c, l, VS_ALL, USUAL_BUFS, USUAL_LEN);
}

bool vs_up_again(struct vs_link *l, uint64_t features, unsigned count, uint32_t len)
{
	return start(&l->dut, features) && vs_post(&l->dut, count, len, len);
}

/* Packets. */

static bool submit(struct vs_end *e, struct vs_buf *b)
{
	struct drv_sg sg[64];
	unsigned count = 0;

	for (uint32_t at = 0; at < b->len && count < 64; at += b->piece) {
		uint32_t part = b->len - at < b->piece ? b->len - at : b->piece;

		sg[count++] = drv_sg(e->dev, b->p + at, part);
	}
	cf_fill(b->p, FRESH_BYTE, b->len);
	return cf_submit(e->c, e->rx, sg, 0, count, b);
}

bool vs_post(struct vs_end *e, unsigned count, uint32_t len, uint32_t piece)
{
	for (; count; count--) {
		struct vs_buf *b = &e->bufs[e->nbufs];

		if (!cf_check(e->c, e->nbufs < VS_BUFS, "the suite has no room for a buffer"))
			return false;
		*b = (struct vs_buf){ .p = cf_buf(e->c, len), .len = len, .piece = piece };
		e->nbufs++;
		if (!b->p || !submit(e, b))
			return false;
	}
	return true;
}

void vs_put(struct vs_end *e, const struct vsock_hdr *h, const void *data, uint32_t len)
{
	cf_copy(e->out, h, VSOCK_HDR_LEN);
	cf_copy(e->out + VSOCK_HDR_LEN, data, len);
}

bool vs_send(struct vs_end *e, struct vsock_hdr h, const void *data, uint32_t len)
{
	h.len = len;
	vs_put(e, &h, data, len);
	return cf_do(e->c, e->tx, e->out, VSOCK_HDR_LEN + len, NULL, 0, 0);
}

/* What holds for every packet of a device (5.10.6). */
static bool check_packet(struct vs_end *e, const struct vs_buf *b, uint32_t used)
{
	const struct vsock_hdr *h = &e->hdr;

	return cf_check(e->c, used == VSOCK_HDR_LEN + h->len,
		       "%s: used length %u of a packet with len %u", e->name, used, h->len) &&
	       cf_check(e->c, cf_filled(b->p + used, FRESH_BYTE, b->len - used),
		       "%s: the device wrote more than the used length, %u", e->name, used) &&
	       cf_check(e->c, h->dst_cid == e->cid, "%s got a packet for CID %llu, is %llu",
		       e->name, (unsigned long long)h->dst_cid, (unsigned long long)e->cid) &&
	       cf_check(e->c,
		       h->op >= VIRTIO_VSOCK_OP_REQUEST && h->op <= VIRTIO_VSOCK_OP_CREDIT_REQUEST,
		       "%s got a packet with op %u", e->name, h->op) &&
	       cf_check(e->c, !h->len || h->op == VIRTIO_VSOCK_OP_RW,
		       "%s got %u bytes of data with op %u", e->name, h->len, h->op);
}

bool vs_take(struct vs_end *e)
{
	struct vs_buf *b;
	void *cookie;
	uint32_t used;

	if (!cf_used(e->c, e->rx, &cookie, &used))
		return false;
	b = cookie;
	if (!cf_check(e->c, used >= VSOCK_HDR_LEN && used <= b->len,
		    "%s: used length %u of a buffer of %u bytes", e->name, used, b->len))
		return false;
	cf_copy(&e->hdr, b->p, VSOCK_HDR_LEN);
	if (!check_packet(e, b, used))
		return false;
	cf_copy(e->data, b->p + VSOCK_HDR_LEN, e->hdr.len);
	return submit(e, b);
}

bool vs_waiting(struct vs_end *e, uint64_t until)
{
	const struct drv_platform *pf = e->dev->platform;

	while (!drv_ring_used(&e->rx->ring)) {
		if (drv_now(e->dev) >= until)
			return false;
		if (pf->wait)
			pf->wait(pf->ctx, e->dev, until);
		pf->barrier(pf->ctx);
	}
	return true;
}

bool vs_expect_rst(struct vs_end *e, const struct vsock_hdr *to)
{
	return vs_take(e) && cf_eq(e->c, e->hdr.op, VIRTIO_VSOCK_OP_RST, "op") &&
	       cf_eq(e->c, e->hdr.type, to->type, "type of the RST") &&
	       cf_eq(e->c, e->hdr.src_cid, to->dst_cid, "src_cid of the RST") &&
	       cf_eq(e->c, e->hdr.src_port, to->dst_port, "src_port of the RST") &&
	       cf_eq(e->c, e->hdr.dst_cid, to->src_cid, "dst_cid of the RST") &&
	       cf_eq(e->c, e->hdr.dst_port, to->src_port, "dst_port of the RST");
}

struct vsock_hdr vs_hdr(struct vs_link *l, uint64_t dst, uint16_t op)
{
	return (struct vsock_hdr){
		.src_cid = l->dut.cid,
		.dst_cid = dst,
		.src_port = ++l->port,
		.dst_port = 1,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = VS_CREDIT,
	};
}

/* Connections. */

void vs_pair(struct vs_link *l, uint16_t type, struct vs_conn *dut, struct vs_conn *peer)
{
	uint32_t port = ++l->port;

	*dut = (struct vs_conn){
		.e = &l->dut,
		.peer_cid = l->peer.cid,
		.port = port,
		.peer_port = PORT_PEER + port,
		.type = type,
		.buf_alloc = VS_CREDIT,
	};
	*peer = (struct vs_conn){
		.e = &l->peer,
		.peer_cid = l->dut.cid,
		.port = PORT_PEER + port,
		.peer_port = port,
		.type = type,
		.buf_alloc = VS_CREDIT,
	};
}

static bool send_conn(
	struct vs_conn *k, uint16_t op, uint32_t flags, const void *data, uint32_t len)
{
	const struct vsock_hdr h = {
		.src_cid = k->e->cid,
		.dst_cid = k->peer_cid,
		.src_port = k->port,
		.dst_port = k->peer_port,
		.type = k->type,
		.op = op,
		.flags = flags,
		.buf_alloc = k->buf_alloc,
		.fwd_cnt = k->fwd_cnt,
	};

	return vs_send(k->e, h, data, len);
}

bool vs_op(struct vs_conn *k, uint16_t op, uint32_t flags)
{
	return send_conn(k, op, flags, NULL, 0);
}

bool vs_rw(struct vs_conn *k, uint32_t flags, const void *data, uint32_t len)
{
	k->tx_cnt += len;
	return send_conn(k, VIRTIO_VSOCK_OP_RW, flags, data, len);
}

/* 5.10.6.3 */
bool vs_account(struct vs_conn *k)
{
	const struct vsock_hdr *h = &k->e->hdr;
	struct cf *c = k->e->c;
	uint32_t done = h->fwd_cnt - k->peer_fwd_cnt, sent = k->tx_cnt - k->peer_fwd_cnt;

	if (!cf_check(c,
		    h->src_cid == k->peer_cid && h->src_port == k->peer_port &&
			    h->dst_port == k->port && h->type == k->type,
		    "%s got op %u of type %u from %llu:%u to port %u, not of the connection "
		    "%llu:%u to %u",
		    k->e->name, h->op, h->type, (unsigned long long)h->src_cid, h->src_port,
		    h->dst_port, (unsigned long long)k->peer_cid, k->peer_port, k->port))
		return false;
	if (h->op == VIRTIO_VSOCK_OP_RST)
		return true;
	if (!cf_check(c, done <= sent, "fwd_cnt went from %u to %u, %u bytes were sent",
		    k->peer_fwd_cnt, h->fwd_cnt, k->tx_cnt))
		return false;
	k->peer_fwd_cnt = h->fwd_cnt;
	k->peer_buf_alloc = h->buf_alloc;
	k->rx_cnt += h->len;
	return cf_check(c, !h->len || k->rx_cnt - k->fwd_cnt <= k->buf_alloc,
		"%u bytes of data came, %u more than the credit of %u", k->rx_cnt - k->fwd_cnt,
		k->rx_cnt - k->fwd_cnt - k->buf_alloc, k->buf_alloc);
}

/* True if the packet was about credit only, and is dealt with. */
static bool about_credit(struct vs_conn *k)
{
	if (k->e->hdr.op == VIRTIO_VSOCK_OP_CREDIT_UPDATE)
		return true;
	if (k->e->hdr.op != VIRTIO_VSOCK_OP_CREDIT_REQUEST)
		return false;
	k->credit_requests++;
	return vs_op(k, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
}

bool vs_next(struct vs_conn *k)
{
	do {
		if (!vs_take(k->e) || !vs_account(k))
			return false;
	} while (about_credit(k));
	return !cf_failed(k->e->c);
}

bool vs_expect(struct vs_conn *k, uint16_t op)
{
	return vs_next(k) &&
	       cf_check(k->e->c, k->e->hdr.op == op, "%s got op %u with flags %u, must be op %u",
		       k->e->name, k->e->hdr.op, k->e->hdr.flags, op);
}

bool vs_open(struct vs_conn *from, struct vs_conn *to)
{
	return vs_op(from, VIRTIO_VSOCK_OP_REQUEST, 0) && vs_expect(to, VIRTIO_VSOCK_OP_REQUEST) &&
	       vs_op(to, VIRTIO_VSOCK_OP_RESPONSE, 0) && vs_expect(from, VIRTIO_VSOCK_OP_RESPONSE);
}

bool vs_connect(struct vs_link *l, uint16_t type, struct vs_conn *dut, struct vs_conn *peer)
{
	vs_pair(l, type, dut, peer);
	return vs_open(dut, peer);
}

bool vs_up_connected(
	struct cf *c, struct vs_link *l, uint16_t type, struct vs_conn *dut, struct vs_conn *peer)
{
	return vs_up_ready(c, l) && vs_connect(l, type, dut, peer);
}

bool vs_expect_closed(struct vs_conn *k)
{
	uint32_t shut = 0;

	while (shut != DRV_VSOCK_SHUT_BOTH) {
		if (!vs_next(k))
			return false;
		if (k->e->hdr.op == VIRTIO_VSOCK_OP_RST)
			return true;
		if (!cf_check(k->e->c, k->e->hdr.op == VIRTIO_VSOCK_OP_SHUTDOWN,
			    "%s got op %u at the end of a connection", k->e->name, k->e->hdr.op))
			return false;
		shut |= k->e->hdr.flags;
	}
	return vs_op(k, VIRTIO_VSOCK_OP_RST, 0);
}

/* Data and credit. */

uint8_t vs_byte(uint32_t seed, uint32_t at)
{
	return (uint8_t)(seed * 29 + at * 3 + (at >> 8) * 11);
}

void vs_pattern(uint8_t *p, uint32_t seed, uint32_t at, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		p[i] = vs_byte(seed, at + i);
}

bool vs_consume(struct vs_conn *k)
{
	k->fwd_cnt = k->rx_cnt;
	return vs_op(k, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
}

uint32_t vs_room(const struct vs_conn *k)
{
	uint32_t used = k->tx_cnt - k->peer_fwd_cnt;

	return used < k->peer_buf_alloc ? k->peer_buf_alloc - used : 0;
}

bool vs_await_fwd(struct vs_conn *k)
{
	uint64_t limit = cf_limit(k->e->c);

	while (k->peer_fwd_cnt != k->tx_cnt) {
		if (!cf_check(k->e->c, drv_now(k->e->dev) < limit,
			    "fwd_cnt is %u although all %u bytes were received", k->peer_fwd_cnt,
			    k->tx_cnt))
			return false;
		if (!vs_op(k, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 0) || !vs_take(k->e) ||
			!vs_account(k))
			return false;
	}
	return true;
}

bool vs_is(struct vs_conn *k, uint32_t seed, uint32_t at)
{
	const struct vs_end *e = k->e;
	uint32_t i = 0;

	while (i < e->hdr.len && e->data[i] == vs_byte(seed, at + i))
		i++;
	return i == e->hdr.len || cf_check(e->c, false, "byte %u of the data is 0x%x, must be 0x%x",
					  at + i, e->data[i], vs_byte(seed, at + i));
}

bool vs_receive(struct vs_conn *k, uint32_t seed, uint32_t at, uint32_t len)
{
	uint32_t end = at + len;

	while (at < end) {
		if (!vs_expect(k, VIRTIO_VSOCK_OP_RW) || !vs_is(k, seed, at))
			return false;
		at += k->e->hdr.len;
	}
	return cf_check(k->e->c, at == end, "%u bytes more came than were sent", at - end);
}

#define MARKERS 3

static bool marker(struct vs_conn *k, struct vs_conn *other, struct vs_conn *peer, uint32_t seed)
{
	uint8_t b = vs_byte(seed, 0);

	if (!vs_rw(peer, 0, &b, 1))
		return false;
	for (;;) {
		if (!vs_take(k->e))
			return false;
		if (k->e->hdr.dst_port == other->port)
			break;
		if (!vs_account(k) || !cf_check(k->e->c, about_credit(k),
					      "op %u came without credit for it", k->e->hdr.op))
			return false;
	}
	return vs_account(other) && cf_eq(k->e->c, k->e->hdr.op, VIRTIO_VSOCK_OP_RW, "op") &&
	       vs_is(other, seed, 0) && vs_consume(other);
}

bool vs_no_data(struct vs_conn *k, struct vs_conn *other, struct vs_conn *peer)
{
	for (uint32_t i = 0; i < MARKERS; i++)
		if (!marker(k, other, peer, i))
			return false;
	return true;
}

/* What there is now for one end of a transfer. */
static bool pump(struct vs_conn *k, uint32_t seed, uint32_t *received, bool *progress)
{
	if (!drv_ring_used(&k->e->rx->ring))
		return true;
	*progress = true;
	if (!vs_take(k->e) || !vs_account(k))
		return false;
	if (about_credit(k))
		return true;
	if (!cf_check(k->e->c, k->e->hdr.op == VIRTIO_VSOCK_OP_RW, "%s got op %u among the data",
		    k->e->name, k->e->hdr.op) ||
		!vs_is(k, seed, *received))
		return false;
	*received += k->e->hdr.len;
	return vs_consume(k);
}

bool vs_transfer(
	struct vs_conn *from, struct vs_conn *to, uint32_t seed, uint32_t len, uint32_t part)
{
	const struct drv_platform *pf = from->e->dev->platform;
	uint8_t *data = cf_buf(from->e->c, part);
	uint64_t limit = cf_limit(from->e->c);
	uint32_t sent = 0, received = 0, back = 0;

	while (data && received < len) {
		uint32_t now = len - sent < part ? len - sent : part;
		bool progress = false;

		if (now > vs_room(from))
			now = vs_room(from);
		if (now) {
			vs_pattern(data, seed, sent, now);
			if (!vs_rw(from, 0, data, now))
				return false;
			sent += now;
			progress = true;
		}
		if (!pump(to, seed, &received, &progress) || !pump(from, seed, &back, &progress))
			return false;
		if (progress)
			limit = cf_limit(from->e->c);
		else if (pf->wait)
			pf->wait(pf->ctx, to->e->dev, drv_now(to->e->dev) + 100000);
		if (!cf_check(from->e->c, drv_now(from->e->dev) < limit,
			    "%u of %u bytes sent, %u received, and no more credit", sent, len,
			    received))
			return false;
	}
	return data &&
	       cf_check(from->e->c, received == len && !back,
		       "%u bytes were received of %u, and %u came back", received, len, back);
}
