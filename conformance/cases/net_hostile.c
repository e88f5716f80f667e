/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver of the network device that breaks rules: wrong headers, wrong buffers, wrong times. What
 * cannot be forwarded is dropped, alone, as the marker behind it shows. */
#include "conformance/cases/net_nic.h"

#define BIT(name) DRV_FEATURE(VIRTIO_NET_F_##name)

#define HOST_ALL (BIT(CSUM) | BIT(HOST_TSO4) | BIT(HOST_TSO6) | BIT(HOST_ECN))

#define NEEDS_CSUM VIRTIO_NET_HDR_F_NEEDS_CSUM
#define TCPV4	   VIRTIO_NET_HDR_GSO_TCPV4
#define TCPV6	   VIRTIO_NET_HDR_GSO_TCPV6

/* No whole header: nothing can be made of such a buffer. */
static void short_header(struct cf *c)
{
	uint8_t *p = cf_buf(c, NET_HDR_LEN);

	if (!p)
		return;
	for (uint32_t len = 1; len < NET_HDR_LEN && !cf_failed(c); len++) {
		struct drv_queue *q = cf_up(c, 0, 2);
		struct drv_sg sg = cf_sg(c, p, len);

		cf_fill(p, 0, NET_HDR_LEN);
		if (q && cf_submit(c, cf_q(c, 1), &sg, 1, 0, p))
			cf_must_break(c, cf_q(c, 1));
	}
}

/* A header, and less than an Ethernet header behind it. */
static void runt(struct cf *c)
{
	struct nic_link l;

	if (!nic_up_ready(c, &l, 0, 0, 4))
		return;
	for (uint32_t len = 0; len < ETH_LEN; len++) {
		uint8_t *p = nic_packet(c, ETH_LEN);

		if (!p)
			return;
		nic_fill(p + NET_HDR_LEN, l.peer.mac, l.dut.mac, ETH_LEN, len);
		if (!nic_dropped(&l, &l.dut, &l.peer, p, len))
			return;
	}
}

/* The same memory again and again, for a packet longer than any. */
static void giant(struct cf *c)
{
	static const uint8_t repeat[] = { 2, 17, 40 };
	const uint32_t part = 65550;
	struct drv_sg sg[40];
	struct nic_link l;
	uint8_t *p;
	void *cookie;
	uint32_t used;

	if (!nic_up_ready(c, &l, 0, 0, 4))
		return;
	p = nic_plain(c, l.peer.mac, l.dut.mac, part - NET_HDR_LEN, 1);
	for (unsigned i = 0; p && i < 3; i++) {
		for (unsigned k = 0; k < repeat[i]; k++)
			sg[k] = cf_sg(c, p, part);
		if (!cf_submit(c, l.dut.tx, sg, repeat[i], 0, p) ||
			!cf_used(c, l.dut.tx, &cookie, &used) ||
			!cf_eq(c, used, 0, "the used length") || !nic_marker(&l, &l.dut, &l.peer))
			return;
	}
}

/* A transmit buffer with room to write. */
static void tx_writable(struct cf *c)
{
	struct drv_sg sg[2];
	struct nic_link l;
	uint8_t *p, *in = cf_buf(c, 64);

	if (!in || !nic_up_ready(c, &l, 0, 0, 4))
		return;
	p = nic_plain(c, l.peer.mac, l.dut.mac, 64, 1);
	if (!p)
		return;
	sg[0] = cf_sg(c, p, NET_HDR_LEN + 64);
	sg[1] = cf_sg(c, in, 64);
	if (!cf_submit(c, l.dut.tx, sg, 1, 1, p))
		return;
	cf_must_break(c, l.dut.tx);
	cf_check(c, cf_filled(in, 0xa5, 64), "a transmit buffer was written to");
}

/* Headers that do not fit their packets. */

static bool header_dropped(struct nic_link *l, const struct net_ip *ip, const struct net_hdr *h)
{
	uint8_t *p = ip_packet(l->c, ip, 0);

	if (!p)
		return false;
	cf_copy(p, h, NET_HDR_LEN);
	return nic_dropped(l, &l->dut, &l->peer, p, ip_headers(ip) + ip->len);
}

static void all_dropped(struct cf *c, const struct net_hdr *h, unsigned n, struct net_ip ip)
{
	struct nic_link l;

	if (!nic_up_ready(c, &l, HOST_ALL, 0, 4))
		return;
	ip.dst = l.peer.mac;
	ip.src = l.dut.mac;
	ip.partial = true;
	for (unsigned i = 0; i < n; i++)
		if (!header_dropped(&l, &ip, &h[i]))
			return;
}

static void csum_outside(struct cf *c)
{
	static const struct net_hdr wrong[] = {
		{ .flags = NEEDS_CSUM, .csum_start = 34, .csum_offset = 0xffff },
		{ .flags = NEEDS_CSUM, .csum_start = 0xffff, .csum_offset = 16 },
		{ .flags = NEEDS_CSUM, .csum_start = 0xffff, .csum_offset = 0xffff },
		{ .flags = NEEDS_CSUM, .csum_start = 0xfff0, .csum_offset = 0x0020 },
		{ .flags = NEEDS_CSUM, .csum_start = 154, .csum_offset = 0 },
		{ .flags = NEEDS_CSUM, .csum_start = 153, .csum_offset = 0 },
		{ .flags = NEEDS_CSUM, .csum_start = 34, .csum_offset = 119 },
	};

	all_dropped(c, wrong, sizeof(wrong) / sizeof(*wrong),
		(struct net_ip){ .flags = TCP_ACK, .len = 100 });
}

/* Segmentation into nothing, of nothing, or by no known rule. */
static void gso_wrong(struct cf *c)
{
#define GSO(type, size)                                                                            \
	{                                                                                          \
		.flags = NEEDS_CSUM, .gso_type = (type), .gso_size = (size), .hdr_len = 54,        \
		.csum_start = 34, .csum_offset = 16                                                \
	}
	static const struct net_hdr wrong[] = {
		GSO(TCPV4, 0),
		GSO(TCPV6, 1400), /* the packet is IPv4 */
		GSO(2, 1400),
		GSO(3, 1400),
		GSO(6, 1400),
		GSO(7, 1400),
		GSO(0x7f, 1400),
		GSO(VIRTIO_NET_HDR_GSO_ECN, 1400),
		GSO(0xff, 1400),
		{ .gso_type = TCPV4, .gso_size = 1400 }, /* no NEEDS_CSUM */
		{ .flags = NEEDS_CSUM,
			.gso_type = TCPV4,
			.gso_size = 1400,
			.csum_start = 20,
			.csum_offset = 16 },
		{ .flags = NEEDS_CSUM,
			.gso_type = TCPV4,
			.gso_size = 1400,
			.csum_start = 34,
			.csum_offset = 4 },
	};
#undef GSO

	all_dropped(c, wrong, sizeof(wrong) / sizeof(*wrong),
		(struct net_ip){ .flags = TCP_ACK, .len = 1000 });
}

/* Tunnel bits that contradict each other or the rest (5.1.9.2.2). */
static void tunnel_bits(struct cf *c)
{
	static const struct net_hdr wrong[] = {
		{ .flags = NEEDS_CSUM,
			.gso_type = TCPV4 | 0x60,
			.gso_size = 1400,
			.csum_start = 34,
			.csum_offset = 16 },
		{ .gso_type = TCPV4 | 0x20, .gso_size = 1400 },
		{ .flags = NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID,
			.gso_type = TCPV4 | 0x20,
			.gso_size = 1400,
			.csum_start = 34,
			.csum_offset = 16 },
		{ .flags = NEEDS_CSUM, .gso_type = 0x40, .csum_start = 34, .csum_offset = 16 },
	};

	all_dropped(c, wrong, sizeof(wrong) / sizeof(*wrong),
		(struct net_ip){ .flags = TCP_ACK, .len = 1000 });
}

static void offload_not_negotiated(struct cf *c)
{
	static const struct net_hdr h[] = {
		{ .flags = NEEDS_CSUM, .csum_start = 34, .csum_offset = 16 },
		{ .flags = NEEDS_CSUM,
			.gso_type = TCPV4,
			.gso_size = 1400,
			.hdr_len = 54,
			.csum_start = 34,
			.csum_offset = 16 },
	};
	struct net_ip ip = { .flags = TCP_ACK, .len = 1000, .partial = true };
	struct nic_link l;

	if (!nic_up_ready(c, &l, 0, 0, 4))
		return;
	ip.dst = l.peer.mac;
	ip.src = l.dut.mac;
	for (unsigned i = 0; i < 2; i++)
		if (!header_dropped(&l, &ip, &h[i]))
			return;
}

/* Packets that are not what their header says, in one byte of the IP or TCP header. */
static void gso_headers(struct cf *c)
{
	static const struct {
		uint8_t at, value;
	} wrong[] = {
		{ 12, 0x86 },		  /* no IPv4 */
		{ 14, 0x65 },		  /* version 6 */
		{ 14, 0x44 },		  /* IP header of 16 bytes */
		{ 14, 0x4f },		  /* of 60 bytes: TCP begins elsewhere */
		{ 20, 0x20 },		  /* a fragment */
		{ 21, 0x01 }, { 23, 17 }, /* UDP */
		{ 23, 0 }, { 46, 0x00 },  /* TCP header of 0 bytes */
		{ 46, 0x40 },		  /* of 16 bytes */
	};
	struct net_ip ip = { .flags = TCP_ACK, .len = 3000, .partial = true };
	struct nic_link l;

	if (!nic_up_ready(c, &l, HOST_ALL, 0, 4))
		return;
	ip.dst = l.peer.mac;
	ip.src = l.dut.mac;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		uint8_t *p = ip_packet(c, &ip, 1400);

		if (!p)
			return;
		p[NET_HDR_LEN + wrong[i].at] = wrong[i].value;
		if (!nic_dropped(&l, &l.dut, &l.peer, p, 54 + 3000))
			return;
	}
}

/* A packet that ends in the middle of its headers. */
static void gso_cut(struct cf *c)
{
	struct net_ip ip = { .flags = TCP_ACK, .len = 100, .partial = true };
	struct nic_link l;

	if (!nic_up_ready(c, &l, HOST_ALL, 0, 4))
		return;
	ip.dst = l.peer.mac;
	ip.src = l.dut.mac;
	for (uint32_t len = ETH_LEN; len < 54; len += 3) {
		uint8_t *p = ip_packet(c, &ip, 50);

		if (!p || !nic_dropped(&l, &l.dut, &l.peer, p, len))
			return;
	}
}

/* IPv6 with extension headers that point to each other without end. */
static void gso_extensions(struct cf *c)
{
	static const uint8_t kinds[] = { 0, 43, 44, 60 };
	struct net_ip ip = { .v6 = true, .flags = TCP_ACK, .len = 3000, .partial = true };
	struct nic_link l;

	if (!nic_up_ready(c, &l, HOST_ALL, 0, 4))
		return;
	ip.dst = l.peer.mac;
	ip.src = l.dut.mac;
	for (unsigned i = 0; i < sizeof(kinds); i++) {
		uint8_t *p = ip_packet(c, &ip, 1400);

		if (!p)
			return;
		p[NET_HDR_LEN + 20] = kinds[i];
		for (unsigned k = 0; k < 3000; k += 8) {
			p[NET_HDR_LEN + 54 + k] = kinds[i];
			p[NET_HDR_LEN + 55 + k] = 0;
		}
		if (!nic_dropped(&l, &l.dut, &l.peer, p, 74 + 3000))
			return;
	}
}

/* Segments of one byte: as many as the packet has bytes, or none. The wire stays usable. */
static void gso_tiny(struct cf *c)
{
	struct net_ip ip = { .flags = TCP_ACK, .len = 65000, .partial = true };
	struct nic_link l;

	if (!nic_up_ready(c, &l, HOST_ALL, 0, 4))
		return;
	ip.dst = l.dut.other->mac;
	ip.src = l.dut.mac;
	for (uint16_t mss = 1; mss <= 8; mss *= 2) {
		uint8_t *p = ip_packet(c, &ip, mss);

		if (!p || !nic_dropped(&l, &l.dut, &l.peer, p, 54 + ip.len))
			return;
	}
}

/* Receive buffers. */

/* The driver may not give these; nothing may be written to what the device cannot use. */
static bool unwritten(struct nic *n)
{
	for (unsigned i = 0; i < n->nbufs; i++)
		if (!cf_check(n->c, cf_filled(n->bufs[i].p, 0xa5, n->bufs[i].len),
			    "a frame was put into a buffer that cannot hold it"))
			return false;
	return true;
}

/* The device cannot deliver; what it does not need for that goes on. */
static void rx_tiny_buffers(struct cf *c)
{
	static const uint8_t lengths[] = { 1, 11, 12, 13, 25 };

	for (unsigned i = 0; i < sizeof(lengths); i++) {
		struct nic_link l;
		uint8_t *p;

		if (!nic_up(c, &l, 0, 0) || !nic_post(&l.peer, 2, 256) ||
			!nic_post(&l.dut, 4, lengths[i]))
			return;
		p = nic_plain(c, l.dut.mac, l.peer.mac, 64, 1);
		if (!p || !nic_send(&l.peer, p, 64) || !nic_marker(&l, &l.dut, &l.peer) ||
			!unwritten(&l.dut))
			return;
	}
}

/* A receive buffer with a part that the device may only read. */
static void rx_readable(struct cf *c)
{
	struct nic_link l;
	struct drv_sg sg[2];
	uint8_t *p, *b = cf_buf(c, 2048);

	if (!b || !nic_up(c, &l, 0, 0))
		return;
	sg[0] = cf_sg(c, b, 1024);
	sg[1] = cf_sg(c, b + 1024, 1024);
	p = nic_plain(c, l.dut.mac, l.peer.mac, 64, 1);
	if (!p || !cf_submit(c, l.dut.rx, sg, 1, 1, b) || !nic_send(&l.peer, p, 64))
		return;
	cf_must_break(c, l.dut.rx);
	cf_check(c, cf_filled(b, 0xa5, 1024), "a device-readable buffer was written");
}

/* Reset. */

#define BURST 24u

static bool burst(struct nic_link *l, struct nic *from, struct nic *to)
{
	for (unsigned i = 0; i < BURST; i++) {
		uint8_t *p = nic_plain(l->c, to->mac, from->mac, 200, i);
		struct drv_sg sg;

		if (!p)
			return false;
		sg = drv_sg(from->dev, p, NET_HDR_LEN + 200);
		if (!cf_submit(l->c, from->tx, &sg, 1, 0, p))
			return false;
	}
	return true;
}

static bool used_all(struct nic *n)
{
	void *cookie;
	uint32_t used;

	for (unsigned i = 0; i < BURST; i++)
		if (!cf_used(n->c, n->tx, &cookie, &used))
			return false;
	return true;
}

/* Frames are on their way while the device is reset: none arrives in a buffer of before, and none
 * of before afterwards. */
static void reset_receiving(struct cf *c)
{
	struct nic_buf old[32];
	struct nic_link l;

	if (!nic_up(c, &l, 0, 0) || !nic_post(&l.dut, 32, 256) || !nic_post(&l.peer, 8, 256) ||
		!burst(&l, &l.peer, &l.dut))
		return;
	if (!cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset under load"))
		return;
	for (unsigned i = 0; i < 32; i++) {
		old[i] = l.dut.bufs[i];
		cf_fill(old[i].p, 0xa5, old[i].len);
	}
	if (!used_all(&l.peer) || !nic_up_again(&l, 0) || !nic_post(&l.dut, 8, 256) ||
		!nic_marker(&l, &l.peer, &l.dut))
		return;
	for (unsigned i = 0; i < 32; i++)
		cf_check(c, cf_filled(old[i].p, 0xa5, old[i].len),
			"a buffer of before the reset was written after it");
}

static void reset_sending(struct cf *c)
{
	struct nic_link l;

	for (unsigned round = 0; round < 3; round++) {
		if (!nic_up_ready(c, &l, 0, 0, 2) || !burst(&l, &l.dut, &l.peer))
			return;
		if (!cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset under load"))
			return;
	}
	/* Whatever of it arrived is out of the way after both are new. */
	if (nic_up_ready(c, &l, 0, 0, 4) && nic_marker(&l, &l.dut, &l.peer))
		nic_marker(&l, &l.peer, &l.dut);
}

/* The neighbour goes away in the middle of it. */
static void peer_reset(struct cf *c)
{
	struct nic_link l;

	if (!nic_up_ready(c, &l, 0, 0, 4) || !burst(&l, &l.dut, &l.peer))
		return;
	if (!cf_check(c, !drv_reset(l.peer.dev), "the peer cannot be reset") || !used_all(&l.dut))
		return;
	cf_must_go_on(c, l.dut.tx);
}

/* A peer that takes nothing does not stop the device from being served, nor from receiving. */
static void peer_stuck(struct cf *c)
{
	struct nic_link l;

	if (!nic_up(c, &l, BIT(CTRL_VQ) | BIT(CTRL_RX), 0) || !nic_post(&l.dut, 8, 256))
		return;
	for (unsigned i = 0; i < 4; i++)
		if (!burst(&l, &l.dut, &l.peer) || !used_all(&l.dut))
			return;
	if (nic_marker(&l, &l.peer, &l.dut) && l.dut.ctrl)
		nic_ctrl_byte(
			&l.dut, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1, VIRTIO_NET_OK);
}

#define NET  DRV_ID_NET
#define PEER (CF_PEER | CF_HOSTILE)

const struct cf_case cf_cases_net_hostile[] = {
	{ "net.hostile.short_header", "ROB-2 ROB-6", short_header, NET, CF_RINGS | CF_HOSTILE },
	{ "net.hostile.runt", "ROB-1 ROB-10", runt, NET, PEER | CF_RINGS },
	{ "net.hostile.giant", "ROB-1 ROB-13", giant, NET, PEER | CF_RINGS },
	{ "net.hostile.tx_writable", "ROB-25 ROB-4", tx_writable, NET, PEER },
	{ "net.hostile.csum_outside", "ROB-1 ROB-4", csum_outside, NET, PEER, BIT(CSUM) },
	{ "net.hostile.gso_wrong", "ROB-1 ROB-10", gso_wrong, NET, PEER, BIT(HOST_TSO4) },
	{ "net.hostile.tunnel_bits", "V5.1.9.2.2-8 V5.1.9.2.2-10", tunnel_bits, NET, PEER,
		BIT(CSUM) },
	{ "net.hostile.offload_not_negotiated", "ROB-10", offload_not_negotiated, NET, PEER },
	{ "net.hostile.gso_headers", "ROB-1 ROB-10", gso_headers, NET, PEER, BIT(HOST_TSO4) },
	{ "net.hostile.gso_cut", "ROB-1", gso_cut, NET, PEER, BIT(HOST_TSO4) },
	{ "net.hostile.gso_extensions", "ROB-1", gso_extensions, NET, PEER, BIT(HOST_TSO6) },
	{ "net.hostile.gso_tiny", "ROB-1 ROB-5", gso_tiny, NET, PEER, BIT(HOST_TSO4) },
	{ "net.hostile.rx_tiny_buffers", "ROB-4 V5.1.9.3.2-2", rx_tiny_buffers, NET, PEER },
	{ "net.hostile.rx_readable", "ROB-25 ROB-4", rx_readable, NET, PEER },
	{ "net.hostile.reset_receiving", "ROB-18 V2.4.1-2", reset_receiving, NET, PEER | CF_RINGS },
	{ "net.hostile.reset_sending", "ROB-6 ROB-18", reset_sending, NET, PEER | CF_RINGS },
	{ "net.hostile.peer_reset", "ROB-5", peer_reset, NET, PEER },
	{ "net.hostile.peer_stuck", "ROB-5 ROB-19", peer_stuck, NET, PEER },
	{ 0 },
};
