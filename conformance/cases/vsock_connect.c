/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket device: configuration, features, making and ending connections (VIRTIO 1.4, 5.10). */
#include "conformance/cases/vsock_end.h"

#define STREAM	   VIRTIO_VSOCK_TYPE_STREAM
#define SEQPACKET  VIRTIO_VSOCK_TYPE_SEQPACKET
#define NO_IMPLIED DRV_FEATURE(VIRTIO_VSOCK_F_NO_IMPLIED_STREAM)

/* Configuration and features. */

static void config_cid(struct cf *c)
{
	const char *fact = cf_fact(c, "cid");
	uint64_t cid, want = 0;

	if (!cf_begin(c, VS_ALL))
		return;
	cid = cf_config(c, 0, 8);
	cf_check(c, cid > VSOCK_CID_HOST && cid < UINT32_MAX,
		"guest_cid is 0x%llx, which is reserved", (unsigned long long)cid);
	if (fact && cf_check(c, cf_number(fact, &want), "the fact cid is no number"))
		cf_eq(c, cid, want, "guest_cid");
	cf_note(c, "CID %u", (unsigned)cid);
}

static void config_write_ignored(struct cf *c)
{
	const uint64_t other = 99;
	uint64_t before;
	int r;

	if (!cf_up(c, VS_ALL, 3))
		return;
	before = cf_config(c, 0, 8);
	r = cf_dev(c)->ops->config_write(cf_dev(c), 0, &other, 8);
	if (r == DRV_UNSUPPORTED)
		cf_skip(c, "the transport writes no configuration");
	else
		cf_eq(c, cf_config(c, 0, 8), before, "guest_cid after a write");
}

static void offers_no_implied(struct cf *c)
{
	cf_check(c, cf_offered(c, VIRTIO_VSOCK_F_NO_IMPLIED_STREAM),
		"NO_IMPLIED_STREAM is not offered");
}

static void stream_with(struct cf *c, uint64_t features)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (vs_up(c, &l, features, 8, 4096) && vs_connect(&l, STREAM, &dut, &peer))
		vs_transfer(&dut, &peer, 1, 100, 100);
}

static void no_features(struct cf *c)
{
	stream_with(c, 0);
}

static void stream_feature(struct cf *c)
{
	stream_with(c, VS_STREAM | NO_IMPLIED);
}

/* A type that was not negotiated is not known to this driver. */
static void refused_type(struct cf *c, uint64_t features, uint16_t type)
{
	struct vsock_hdr h;
	struct vs_link l;

	if (!vs_up(c, &l, features, 4, 256))
		return;
	h = vs_hdr(&l, l.peer.cid, VIRTIO_VSOCK_OP_REQUEST);
	h.type = type;
	if (vs_send(&l.dut, h, NULL, 0))
		vs_expect_rst(&l.dut, &h);
}

static void stream_not_negotiated(struct cf *c)
{
	refused_type(c, VS_SEQ | NO_IMPLIED, STREAM);
}

static void seqpacket_not_negotiated(struct cf *c)
{
	refused_type(c, VS_STREAM, SEQPACKET);
}

/* Each of them, as REQUEST and as data, to a CID that can be reached. */
static void unknown_type(struct cf *c)
{
	static const uint16_t types[] = { 0, 3, 0x100, 0xffff };
	struct vs_link l;

	if (!vs_up(c, &l, VS_ALL, 4, 256))
		return;
	for (unsigned i = 0; i < 2 * sizeof(types) / sizeof(*types); i++) {
		struct vsock_hdr h = vs_hdr(
			&l, l.peer.cid, i & 1 ? VIRTIO_VSOCK_OP_RW : VIRTIO_VSOCK_OP_REQUEST);

		h.type = types[i / 2];
		if (!vs_send(&l.dut, h, "x", i & 1) || !vs_expect_rst(&l.dut, &h))
			return;
	}
}

/* A packet of an unknown type with the addresses of a connection does not reach it. */
static void unknown_type_open(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;
	struct vsock_hdr h;

	if (!vs_up_connected(c, &l, STREAM, &dut, &peer))
		return;
	h = (struct vsock_hdr){ .src_cid = l.dut.cid,
		.dst_cid = l.peer.cid,
		.src_port = dut.port,
		.dst_port = dut.peer_port,
		.type = 77,
		.op = VIRTIO_VSOCK_OP_RW,
		.buf_alloc = VS_CREDIT };
	if (vs_send(&l.dut, h, "x", 1) && vs_expect_rst(&l.dut, &h))
		vs_transfer(&dut, &peer, 1, 100, 100);
}

/* Connections. */

static void connects(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (vs_up_connected(c, &l, STREAM, &dut, &peer)) {
		cf_check(c, peer.peer_buf_alloc && dut.peer_buf_alloc,
			"buf_alloc is %u towards the driver, %u towards the peer",
			dut.peer_buf_alloc, peer.peer_buf_alloc);
		cf_eq(c, dut.peer_fwd_cnt, 0, "fwd_cnt of RESPONSE");
	}
}

static void accepts(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up_ready(c, &l))
		return;
	vs_pair(&l, STREAM, &dut, &peer);
	if (vs_open(&peer, &dut) && vs_transfer(&dut, &peer, 1, 100, 100))
		vs_transfer(&peer, &dut, 2, 100, 100);
}

static void refused_by_peer(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up_ready(c, &l))
		return;
	vs_pair(&l, STREAM, &dut, &peer);
	if (vs_op(&dut, VIRTIO_VSOCK_OP_REQUEST, 0) && vs_expect(&peer, VIRTIO_VSOCK_OP_REQUEST) &&
		vs_op(&peer, VIRTIO_VSOCK_OP_RST, 0))
		vs_expect(&dut, VIRTIO_VSOCK_OP_RST);
}

static void refuses_peer(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up_ready(c, &l))
		return;
	vs_pair(&l, STREAM, &dut, &peer);
	if (vs_op(&peer, VIRTIO_VSOCK_OP_REQUEST, 0) && vs_expect(&dut, VIRTIO_VSOCK_OP_REQUEST) &&
		vs_op(&dut, VIRTIO_VSOCK_OP_RST, 0))
		vs_expect(&peer, VIRTIO_VSOCK_OP_RST);
}

/* CIDs at which nobody is, or nobody who may be reached. */
static void unreachable(struct cf *c)
{
	struct vs_link l;
	uint64_t cids[] = { 0, 1, 0, 0xfffffffeu, 0xffffffffu, 0x7fffffffu };

	if (!vs_up_alone(c, &l, VS_ALL, 4, 256))
		return;
	cids[2] = l.dut.cid;
	for (unsigned i = 0; i < sizeof(cids) / sizeof(*cids); i++) {
		struct vsock_hdr h = vs_hdr(&l, cids[i], VIRTIO_VSOCK_OP_REQUEST);

		if (!vs_send(&l.dut, h, NULL, 0) || !vs_expect_rst(&l.dut, &h))
			return;
	}
}

/* Packets that belong to no connection. */
static void stray(struct cf *c)
{
	static const uint16_t ops[] = { VIRTIO_VSOCK_OP_RESPONSE, VIRTIO_VSOCK_OP_SHUTDOWN,
		VIRTIO_VSOCK_OP_RW, VIRTIO_VSOCK_OP_CREDIT_UPDATE, VIRTIO_VSOCK_OP_CREDIT_REQUEST };
	struct vs_link l;

	if (!vs_up_alone(c, &l, VS_ALL, 4, 256))
		return;
	for (unsigned i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		struct vsock_hdr h = vs_hdr(&l, VSOCK_CID_HOST, ops[i]);

		if (!vs_send(&l.dut, h, NULL, 0) || !vs_expect_rst(&l.dut, &h))
			return;
	}
}

/* RST is not answered: the next answer is to the packet after it. */
static void stray_rst(struct cf *c)
{
	struct vsock_hdr h;
	struct vs_link l;

	if (!vs_up_alone(c, &l, VS_ALL, 4, 256))
		return;
	h = vs_hdr(&l, VSOCK_CID_HOST, VIRTIO_VSOCK_OP_RST);
	if (!vs_send(&l.dut, h, NULL, 0))
		return;
	h = vs_hdr(&l, VSOCK_CID_HOST, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
	if (vs_send(&l.dut, h, NULL, 0))
		vs_expect_rst(&l.dut, &h);
}

/* The same ports again, after the connection was reset. */
static void reused(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (!vs_up_connected(c, &l, STREAM, &dut, &peer) || !vs_op(&dut, VIRTIO_VSOCK_OP_RST, 0) ||
		!vs_expect_closed(&peer))
		return;
	l.port--;
	if (vs_connect(&l, STREAM, &dut, &peer))
		vs_transfer(&dut, &peer, 3, 100, 100);
}

#define MANY 64u

/* Each with data of its own, both ways. */
static void many(struct cf *c)
{
	struct vs_conn dut[MANY], peer[MANY];
	struct vs_link l;
	uint8_t data[16];

	if (!vs_up_ready(c, &l))
		return;
	for (unsigned i = 0; i < MANY; i++)
		if (!vs_connect(&l, STREAM, &dut[i], &peer[i]))
			return;
	for (unsigned i = 0; i < MANY; i++) {
		vs_pattern(data, i, 0, sizeof(data));
		if (!vs_rw(&dut[i], 0, data, sizeof(data)) ||
			!vs_receive(&peer[i], i, 0, sizeof(data)) ||
			!vs_rw(&peer[i], 0, data, sizeof(data)) ||
			!vs_receive(&dut[i], i, 0, sizeof(data)))
			return;
	}
}

#define TOO_MANY 400u

/* More connections than a device has room for: the next one is refused, those there stay. */
static void too_many(struct cf *c)
{
	struct vs_conn first, first_peer, dut, peer;
	struct vs_link l;

	if (!vs_up_ready(c, &l) || !vs_connect(&l, STREAM, &first, &first_peer))
		return;
	for (unsigned i = 1; i < TOO_MANY; i++) {
		uint64_t limit = cf_limit(c);

		vs_pair(&l, STREAM, &dut, &peer);
		if (!vs_op(&dut, VIRTIO_VSOCK_OP_REQUEST, 0))
			return;
		while (!vs_waiting(&l.dut, drv_now(l.dut.dev) + 100000) &&
			!vs_waiting(&l.peer, drv_now(l.dut.dev) + 100000))
			if (!cf_check(
				    c, drv_now(l.dut.dev) < limit, "REQUEST %u gets no answer", i))
				return;
		if (vs_waiting(&l.dut, 0)) {
			if (vs_expect(&dut, VIRTIO_VSOCK_OP_RST) &&
				vs_transfer(&first, &first_peer, 9, 100, 100))
				cf_note(c, "connection %u was refused", i);
			return;
		}
		if (!vs_expect(&peer, VIRTIO_VSOCK_OP_REQUEST) ||
			!vs_op(&peer, VIRTIO_VSOCK_OP_RESPONSE, 0) ||
			!vs_expect(&dut, VIRTIO_VSOCK_OP_RESPONSE))
			return;
	}
	cf_note(c, "%u connections at a time", TOO_MANY);
}

/* Shutdown (5.10.6.5). */

static void shutdown_both(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (vs_up_connected(c, &l, STREAM, &dut, &peer) &&
		vs_op(&dut, VIRTIO_VSOCK_OP_SHUTDOWN, DRV_VSOCK_SHUT_BOTH) &&
		vs_expect(&dut, VIRTIO_VSOCK_OP_RST))
		vs_expect_closed(&peer);
}

/* Two packets, the second with the first one's bit clear. */
static void shutdown_adds_up(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (vs_up_connected(c, &l, STREAM, &dut, &peer) &&
		vs_op(&dut, VIRTIO_VSOCK_OP_SHUTDOWN, DRV_VSOCK_SHUT_SEND) &&
		vs_expect(&peer, VIRTIO_VSOCK_OP_SHUTDOWN) &&
		cf_eq(c, l.peer.hdr.flags, DRV_VSOCK_SHUT_SEND, "flags of SHUTDOWN") &&
		vs_op(&dut, VIRTIO_VSOCK_OP_SHUTDOWN, DRV_VSOCK_SHUT_RECV))
		vs_expect(&dut, VIRTIO_VSOCK_OP_RST);
}

/* Only one direction ends: the other works on. */
static void shutdown_send(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (vs_up_connected(c, &l, STREAM, &dut, &peer) && vs_transfer(&dut, &peer, 1, 1000, 500) &&
		vs_op(&dut, VIRTIO_VSOCK_OP_SHUTDOWN, DRV_VSOCK_SHUT_SEND) &&
		vs_expect(&peer, VIRTIO_VSOCK_OP_SHUTDOWN) &&
		cf_eq(c, l.peer.hdr.flags, DRV_VSOCK_SHUT_SEND, "flags of SHUTDOWN"))
		vs_transfer(&peer, &dut, 2, 1000, 500);
}

/* Data before the end comes before the end. */
static void shutdown_after_data(struct cf *c)
{
	struct vs_conn dut, peer;
	uint8_t data[3000];
	struct vs_link l;

	vs_pattern(data, 5, 0, sizeof(data));
	if (vs_up_connected(c, &l, STREAM, &dut, &peer) && vs_rw(&dut, 0, data, sizeof(data)) &&
		vs_op(&dut, VIRTIO_VSOCK_OP_SHUTDOWN, DRV_VSOCK_SHUT_BOTH) &&
		vs_expect(&dut, VIRTIO_VSOCK_OP_RST) && vs_receive(&peer, 5, 0, sizeof(data)))
		vs_expect_closed(&peer);
}

/* The peer's half-close is told to the driver. */
static void shutdown_by_peer(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (vs_up_connected(c, &l, STREAM, &dut, &peer) &&
		vs_op(&peer, VIRTIO_VSOCK_OP_SHUTDOWN, DRV_VSOCK_SHUT_SEND) &&
		vs_expect(&dut, VIRTIO_VSOCK_OP_SHUTDOWN) &&
		cf_eq(c, l.dut.hdr.flags, DRV_VSOCK_SHUT_SEND, "flags of SHUTDOWN"))
		vs_transfer(&dut, &peer, 1, 1000, 500);
}

/* Of a connection that is gone: the answer must be RST. */
static void expect_stray(struct vs_link *l, const struct vs_conn *gone, uint16_t op)
{
	struct vsock_hdr h = { .src_cid = l->dut.cid,
		.dst_cid = gone->peer_cid,
		.src_port = gone->port,
		.dst_port = gone->peer_port,
		.type = STREAM,
		.op = op };
	bool data = op == VIRTIO_VSOCK_OP_RW;

	if (vs_send(&l->dut, h, data ? "x" : NULL, data))
		vs_expect_rst(&l->dut, &h);
}

static void closed_by_peer(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (vs_up_connected(c, &l, STREAM, &dut, &peer) && vs_op(&peer, VIRTIO_VSOCK_OP_RST, 0) &&
		vs_expect_closed(&dut))
		expect_stray(&l, &dut, VIRTIO_VSOCK_OP_RW);
}

/* The driver's RST ends the connection; what it sends afterwards belongs to nothing. */
static void reset_by_driver(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (vs_up_connected(c, &l, STREAM, &dut, &peer) && vs_op(&dut, VIRTIO_VSOCK_OP_RST, 0) &&
		vs_expect_closed(&peer))
		expect_stray(&l, &dut, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
}

/* A reset of the device ends its connections, at both ends. */
static void device_reset(struct cf *c)
{
	struct vs_conn dut, peer;
	struct vs_link l;

	if (vs_up_connected(c, &l, STREAM, &dut, &peer) && vs_up_again(&l, VS_ALL, 4, 256) &&
		vs_expect_closed(&peer))
		expect_stray(&l, &dut, VIRTIO_VSOCK_OP_RW);
}

/* The back-end's process is replaced: the driver is told that its connections are gone. */
static void transport_reset(struct cf *c)
{
	struct cf_target *t = cf_target(c);
	uint32_t *event = cf_buf(c, 4), used;
	struct vs_conn dut, peer;
	struct drv_sg sg;
	struct vs_link l;
	void *cookie;

	if (!t->kill) {
		cf_skip(c, "the back-end's process cannot be replaced");
		return;
	}
	if (!event || !vs_up_connected(c, &l, STREAM, &dut, &peer))
		return;
	sg = cf_sg(c, event, 4);
	if (!cf_submit(c, l.dut.event, &sg, 0, 1, event) ||
		!cf_check(c, t->kill(t), "the back-end was killed and is not back") ||
		!cf_used(c, l.dut.event, &cookie, &used) ||
		!cf_eq(c, used, 4, "the used length of the event"))
		return;
	cf_eq(c, *event, VIRTIO_VSOCK_EVENT_TRANSPORT_RESET, "the event's id");
	cf_eq(c, cf_config(c, 0, 8), l.dut.cid, "guest_cid after the event");
	if (vs_expect_closed(&peer) && vs_connect(&l, STREAM, &dut, &peer))
		vs_transfer(&dut, &peer, 1, 1000, 500);
}

#define VSOCK DRV_ID_VSOCK

const struct cf_case cf_cases_vsock_connect[] = {
	{ "vsock.config.cid", "VSK-1 V5.10.6.4.2-1", config_cid, VSOCK },
	{ "vsock.config.write_ignored", "ROB-16", config_write_ignored, VSOCK, CF_HOSTILE },
	{ "vsock.features.no_implied_stream", "V5.10.3.2-1", offers_no_implied, VSOCK },
	{ "vsock.features.none", "V5.10.3.2-2", no_features, VSOCK, CF_PEER },
	{ "vsock.features.stream", "VSK-1", stream_feature, VSOCK, CF_PEER,
		VS_STREAM | NO_IMPLIED },
	{ "vsock.features.stream_not_negotiated", "V5.10.6.4.2-2", stream_not_negotiated, VSOCK,
		CF_PEER, VS_SEQ | NO_IMPLIED },
	{ "vsock.features.seqpacket_not_negotiated", "V5.10.6.4.2-2", seqpacket_not_negotiated,
		VSOCK, CF_PEER, VS_STREAM },
	{ "vsock.type.unknown", "V5.10.6.4.2-2", unknown_type, VSOCK,
		CF_PEER | CF_RINGS | CF_HOSTILE },
	{ "vsock.type.unknown_open", "V5.10.6.4.2-2", unknown_type_open, VSOCK,
		CF_PEER | CF_HOSTILE },
	{ "vsock.connect.from_driver", "VSK-1 VSK-2 V5.10.6.3.2-2", connects, VSOCK,
		CF_PEER | CF_RINGS },
	{ "vsock.connect.to_driver", "VSK-1 VSK-2 V5.10.6.3.2-2", accepts, VSOCK,
		CF_PEER | CF_RINGS },
	{ "vsock.connect.refused_by_peer", "VSK-1", refused_by_peer, VSOCK, CF_PEER },
	{ "vsock.connect.refused_by_driver", "VSK-1", refuses_peer, VSOCK, CF_PEER },
	{ "vsock.connect.unreachable", "VSK-1", unreachable, VSOCK },
	{ "vsock.connect.reused", "VSK-1", reused, VSOCK, CF_PEER },
	{ "vsock.connect.many", "VSK-1", many, VSOCK, CF_PEER | CF_RINGS },
	{ "vsock.connect.too_many", "ROB-1", too_many, VSOCK, CF_PEER | CF_HOSTILE },
	{ "vsock.stray.packets", "VSK-1", stray, VSOCK, CF_RINGS },
	{ "vsock.stray.rst", "VSK-1", stray_rst, VSOCK },
	{ "vsock.shutdown.both", "VSK-1", shutdown_both, VSOCK, CF_PEER | CF_RINGS },
	{ "vsock.shutdown.adds_up", "VSK-1", shutdown_adds_up, VSOCK, CF_PEER },
	{ "vsock.shutdown.send", "VSK-1", shutdown_send, VSOCK, CF_PEER },
	{ "vsock.shutdown.after_data", "VSK-1", shutdown_after_data, VSOCK, CF_PEER },
	{ "vsock.shutdown.by_peer", "VSK-1", shutdown_by_peer, VSOCK, CF_PEER },
	{ "vsock.reset.by_peer", "VSK-1", closed_by_peer, VSOCK, CF_PEER },
	{ "vsock.reset.by_driver", "VSK-1", reset_by_driver, VSOCK, CF_PEER },
	{ "vsock.reset.device", "ROB-6 V2.4.1-2", device_reset, VSOCK, CF_PEER | CF_RINGS },
	{ "vsock.event.transport_reset", "VSK-1", transport_reset, VSOCK, CF_PEER },
	{ 0 },
};
