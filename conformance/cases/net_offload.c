/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums and segmentation of the network device, both ways (VIRTIO 1.4, 5.1.9.2 and 5.1.9.4). */
#include "conformance/cases/net_nic.h"

#define BIT(name) DRV_FEATURE(VIRTIO_NET_F_##name)

#define GUEST_ALL (BIT(GUEST_CSUM) | BIT(GUEST_TSO4) | BIT(GUEST_TSO6) | BIT(GUEST_ECN))
#define HOST_ALL  (BIT(CSUM) | BIT(HOST_TSO4) | BIT(HOST_TSO6) | BIT(HOST_ECN))

#define MSS	1400u
#define SEGMENT 1600u /* a receive buffer for one */

/* Checksums. */

/* The four kinds of packet, with lengths odd and even. */
static bool checksum_kinds(struct nic *from, struct nic *to)
{
	static const uint16_t lengths[] = { 0, 1, 2, 17, 255, 1000, 1439 };

	for (unsigned i = 0; i < 4 * sizeof(lengths) / sizeof(*lengths); i++) {
		struct net_ip ip = { .dst = to->mac,
			.src = from->mac,
			.v6 = i & 1,
			.udp = i & 2,
			.flags = TCP_ACK,
			.id = 0,
			.seq = i,
			.at = i,
			.len = lengths[i / 4],
			.partial = true };
		uint8_t *p = ip_packet(from->c, &ip, 0);
		uint32_t len = ip_headers(&ip) + ip.len;

		if (!p || !nic_send(from, p, len))
			return false;
		ip.partial = false;
		ip_make(p + NET_HDR_LEN, &ip);
		if (!nic_expect(to, p + NET_HDR_LEN, len))
			return false;
	}
	return true;
}

static void csum_tx(struct cf *c)
{
	struct nic_link l;

	if (nic_up_ready(c, &l, BIT(CSUM), 0, 4))
		checksum_kinds(&l.dut, &l.peer);
}

static void csum_rx_plain(struct cf *c)
{
	struct nic_link l;

	if (nic_up_ready(c, &l, 0, BIT(CSUM), 4))
		checksum_kinds(&l.peer, &l.dut);
}

static void csum_rx_partial(struct cf *c)
{
	struct nic_link l;

	if (nic_up_ready(c, &l, BIT(GUEST_CSUM), BIT(CSUM), 4))
		checksum_kinds(&l.peer, &l.dut);
}

/* What stands in the field of a frame whose checksum is left to the driver. */
static void csum_rx_pseudo(struct cf *c)
{
	struct net_ip ip = { .flags = TCP_ACK, .len = 500, .partial = true };
	struct nic_link l;
	uint8_t *p;
	uint32_t len;

	if (!nic_up_ready(c, &l, BIT(GUEST_CSUM), BIT(CSUM), 4))
		return;
	ip.dst = l.dut.mac;
	ip.src = l.peer.mac;
	p = ip_packet(c, &ip, 0);
	len = ip_headers(&ip) + ip.len;
	if (!p || !nic_send(&l.peer, p, len) || !nic_take(&l.dut))
		return;
	if (!(l.dut.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		cf_skip(c, "the device completes all checksums");
		return;
	}
	cf_eq(c, l.dut.hdr.csum_start, ip_csum_start(&ip), "csum_start");
	cf_eq(c, l.dut.hdr.csum_offset, ip_csum_offset(&ip), "csum_offset");
	cf_check(c, l.dut.len == len && cf_same(l.dut.frame, p + NET_HDR_LEN, len),
		"the frame differs from that sent, with the sum of the pseudo header in it");
}

/* UDP whose checksum comes out as zero, which on the wire would mean that there is none. */
static void csum_udp_zero(struct cf *c)
{
	struct net_ip ip = { .udp = true, .len = 100, .partial = true };
	struct nic_link l;
	uint8_t *p, *f;
	uint16_t sum;

	if (!nic_up_ready(c, &l, BIT(CSUM), 0, 4))
		return;
	ip.dst = l.peer.mac;
	ip.src = l.dut.mac;
	p = ip_packet(c, &ip, 0);
	if (!p)
		return;
	f = p + NET_HDR_LEN;
	f[42] = f[43] = 0;
	sum = (uint16_t)~ip_sum(0, f + 34, 108);
	f[42] = (uint8_t)(sum >> 8);
	f[43] = (uint8_t)sum;
	if (!nic_send(&l.dut, p, 142))
		return;
	f[40] = f[41] = 0xff;
	nic_expect(&l.peer, f, 142);
}

/* A checksum that is wrong passes, but nobody may call it right. */
static bool wrong_passes(struct nic *from, struct nic *to)
{
	struct net_ip ip = { .dst = to->mac, .src = from->mac, .len = 100 };
	uint8_t *p = ip_packet(from->c, &ip, 0);
	uint32_t len = ip_headers(&ip) + ip.len;

	if (!p)
		return false;
	p[NET_HDR_LEN + len - 1] ^= 0x55;
	return nic_send(from, p, len) && nic_expect(to, p + NET_HDR_LEN, len) &&
	       cf_check(from->c, !(to->hdr.flags & VIRTIO_NET_HDR_F_DATA_VALID),
		       "a frame with a wrong checksum came with DATA_VALID");
}

static void csum_wrong_rx(struct cf *c)
{
	struct nic_link l;

	if (nic_up_ready(c, &l, BIT(GUEST_CSUM), BIT(CSUM), 4))
		wrong_passes(&l.peer, &l.dut);
}

/* Nothing says that the sum is right, so the peer is not told that it was. */
static void csum_wrong_tx(struct cf *c)
{
	struct nic_link l;

	if (nic_up_ready(c, &l, BIT(CSUM), BIT(GUEST_CSUM), 4))
		wrong_passes(&l.dut, &l.peer);
}

/* DATA_VALID is a statement of devices; what a driver says with it proves nothing. */
static void csum_claimed(struct cf *c)
{
	struct net_ip ip = { .len = 100 };
	struct nic_link l;
	uint8_t *p;
	uint32_t len;

	if (!nic_up_ready(c, &l, BIT(CSUM), BIT(GUEST_CSUM), 4))
		return;
	ip.dst = l.peer.mac;
	ip.src = l.dut.mac;
	p = ip_packet(c, &ip, 0);
	len = ip_headers(&ip) + ip.len;
	if (!p)
		return;
	p[0] = VIRTIO_NET_HDR_F_DATA_VALID;
	p[NET_HDR_LEN + len - 1] ^= 0x55;
	if (nic_send(&l.dut, p, len) && nic_expect(&l.peer, p + NET_HDR_LEN, len))
		cf_check(c, !(l.peer.hdr.flags & VIRTIO_NET_HDR_F_DATA_VALID),
			"the driver's DATA_VALID on a wrong checksum reached the peer");
}

/* Segmentation. */

/* Sends `len` bytes of TCP payload in one packet; `to` has got room. */
static bool send_tcp(struct nic *from, struct nic *to, struct net_ip ip, uint16_t mss)
{
	struct net_ip sent = ip;
	uint8_t *p;

	sent.dst = ip.dst = to->mac;
	sent.src = ip.src = from->mac;
	sent.partial = true;
	p = ip_packet(from->c, &sent, mss);
	if (!p)
		return false;
	if (ip.flags & TCP_CWR)
		p[1] |= VIRTIO_NET_HDR_GSO_ECN;
	return nic_send(from, p, ip_headers(&sent) + sent.len) && nic_expect_tcp(to, &ip, mss);
}

/* Receivers without MRG_RXBUF need buffers for the longest packet, if they take segmentation. */
static bool up_tcp(struct cf *c, struct nic_link *l, uint64_t dut, uint64_t peer)
{
	const uint64_t large = BIT(GUEST_TSO4) | BIT(GUEST_TSO6);
	bool dut_large = dut & large, peer_large = peer & large;

	return nic_up(c, l, dut, peer) && nic_room(&l->dut, 65600) && nic_room(&l->peer, 65600) &&
	       nic_post(&l->dut, dut_large ? 2 : 50, dut_large ? 65601 : SEGMENT) &&
	       nic_post(&l->peer, peer_large ? 2 : 50, peer_large ? 65601 : SEGMENT);
}

/* Payloads around the boundaries of segments. */
static bool tcp_lengths(struct nic *from, struct nic *to, bool v6)
{
	static const uint32_t lengths[] = { 1, MSS - 1, MSS, MSS + 1, 2 * MSS, 4 * MSS + 7 };

	for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		const struct net_ip ip = { .v6 = v6,
			.flags = TCP_ACK | TCP_PSH,
			.seq = 0xfffff000u,
			.id = 0xfffd,
			.at = i,
			.len = lengths[i] };

		if (!send_tcp(from, to, ip, MSS))
			return false;
	}
	return true;
}

static void tso4_tx(struct cf *c)
{
	struct nic_link l;

	if (up_tcp(c, &l, BIT(CSUM) | BIT(HOST_TSO4), 0))
		tcp_lengths(&l.dut, &l.peer, false);
}

static void tso6_tx(struct cf *c)
{
	struct nic_link l;

	if (up_tcp(c, &l, BIT(CSUM) | BIT(HOST_TSO6), 0))
		tcp_lengths(&l.dut, &l.peer, true);
}

static void tso4_tx_whole(struct cf *c)
{
	struct nic_link l;

	if (up_tcp(c, &l, BIT(CSUM) | BIT(HOST_TSO4), GUEST_ALL))
		tcp_lengths(&l.dut, &l.peer, false);
}

static void tso6_tx_whole(struct cf *c)
{
	struct nic_link l;

	if (up_tcp(c, &l, BIT(CSUM) | BIT(HOST_TSO6), GUEST_ALL))
		tcp_lengths(&l.dut, &l.peer, true);
}

static void tso4_rx(struct cf *c)
{
	struct nic_link l;

	if (up_tcp(c, &l, BIT(GUEST_CSUM) | BIT(GUEST_TSO4), HOST_ALL))
		tcp_lengths(&l.peer, &l.dut, false);
}

static void tso6_rx(struct cf *c)
{
	struct nic_link l;

	if (up_tcp(c, &l, BIT(GUEST_CSUM) | BIT(GUEST_TSO6), HOST_ALL))
		tcp_lengths(&l.peer, &l.dut, true);
}

/* The longest packets that IP has: 65535 bytes with the IPv4 header, behind the IPv6 header. */
static void tso_largest(struct cf *c)
{
	const struct net_ip v4 = { .flags = TCP_ACK, .len = 65535 - 40 };
	const struct net_ip v6 = { .v6 = true, .flags = TCP_ACK, .len = 65535 - 20 };
	struct nic_link l;

	if (up_tcp(c, &l, HOST_ALL, 0) && send_tcp(&l.dut, &l.peer, v4, 1460))
		send_tcp(&l.dut, &l.peer, v6, 1440);
}

static void tso_largest_rx(struct cf *c)
{
	const struct net_ip v4 = { .flags = TCP_ACK, .len = 65535 - 40 };
	const struct net_ip v6 = { .v6 = true, .flags = TCP_ACK, .len = 65535 - 20 };
	struct nic_link l;

	if (up_tcp(c, &l, GUEST_ALL, HOST_ALL) && send_tcp(&l.peer, &l.dut, v4, 1460))
		send_tcp(&l.peer, &l.dut, v6, 1440);
}

/* A large frame over buffers of a page. */
static void tso_rx_merged(struct cf *c)
{
	const struct net_ip ip = { .flags = TCP_ACK, .len = 40000 };
	struct nic_link l;

	if (nic_up(c, &l, GUEST_ALL | BIT(MRG_RXBUF), HOST_ALL) && nic_room(&l.dut, 65600) &&
		nic_post(&l.dut, 32, 2048))
		send_tcp(&l.peer, &l.dut, ip, MSS);
}

/* Every subset of what a driver may take: it never gets what it did not negotiate, which
 * nic_take() checks, and always all of the data. */
static void gso_negotiated_only(struct cf *c)
{
	static const uint64_t subsets[] = {
		0,
		BIT(GUEST_CSUM),
		BIT(GUEST_CSUM) | BIT(GUEST_TSO4),
		BIT(GUEST_CSUM) | BIT(GUEST_TSO6),
		BIT(GUEST_CSUM) | BIT(GUEST_TSO4) | BIT(GUEST_TSO6),
		GUEST_ALL,
	};
	const struct net_ip v4 = { .flags = TCP_ACK | TCP_CWR, .len = 4500 };
	const struct net_ip v6 = { .v6 = true, .flags = TCP_ACK | TCP_CWR, .len = 4500 };
	struct nic_link l;

	if (!nic_up(c, &l, 0, HOST_ALL) || !nic_room(&l.dut, 10000))
		return;
	for (unsigned i = 0; i < sizeof(subsets) / sizeof(*subsets); i++)
		if (!nic_up_again(&l, subsets[i]) || !nic_post(&l.dut, 10, 10000) ||
			!send_tcp(&l.peer, &l.dut, v4, MSS) || !send_tcp(&l.peer, &l.dut, v6, MSS))
			return;
}

/* FIN and PSH belong to the last segment, CWR to the first. */
static void tso_flags(struct cf *c)
{
	const struct net_ip ip = { .flags = TCP_ACK | TCP_PSH | TCP_FIN | TCP_CWR, .len = 4 * MSS };
	struct nic_link l;

	if (up_tcp(c, &l, HOST_ALL, 0))
		send_tcp(&l.dut, &l.peer, ip, MSS);
}

static void tso_ecn_whole(struct cf *c)
{
	const struct net_ip ip = { .flags = TCP_ACK | TCP_CWR, .len = 4 * MSS };
	struct nic_link l;

	if (up_tcp(c, &l, GUEST_ALL, HOST_ALL))
		send_tcp(&l.peer, &l.dut, ip, MSS);
}

/* hdr_len is a hint, whatever it says. */
static void tso_hdr_len(struct cf *c)
{
	static const uint16_t wrong[] = { 0, 1, 53, 55, 1000, 0xffff };
	struct net_ip ip = { .flags = TCP_ACK, .len = 3 * MSS };
	struct nic_link l;

	if (!up_tcp(c, &l, HOST_ALL, 0))
		return;
	ip.dst = l.peer.mac;
	ip.src = l.dut.mac;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		uint8_t *p;

		ip.partial = true;
		p = ip_packet(c, &ip, MSS);
		if (!p)
			return;
		cf_copy(p + 2, &wrong[i], 2);
		ip.partial = false;
		if (!nic_send(&l.dut, p, ip_headers(&ip) + ip.len) ||
			!nic_expect_tcp(&l.peer, &ip, MSS))
			return;
	}
}

/* Offloads that the driver turns off and on at run time (5.1.9.5.9). */

static bool offloads(struct nic *n, uint64_t on, uint8_t ack)
{
	return nic_ctrl(n, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_OFFLOADS_SET, &on,
		sizeof(on), ack);
}

static void offloads_set(struct cf *c)
{
	static const uint64_t sets[] = { 0, BIT(GUEST_CSUM), BIT(GUEST_CSUM) | BIT(GUEST_TSO4),
		BIT(GUEST_CSUM) | BIT(GUEST_TSO6), 0, GUEST_ALL };
	const struct net_ip v4 = { .flags = TCP_ACK | TCP_CWR, .len = 4500 };
	const struct net_ip v6 = { .v6 = true, .flags = TCP_ACK | TCP_CWR, .len = 4500 };
	struct nic_link l;

	if (!nic_up(c, &l, GUEST_ALL | BIT(CTRL_VQ) | BIT(CTRL_GUEST_OFFLOADS), HOST_ALL) ||
		!nic_room(&l.dut, 10000) || !nic_post(&l.dut, 20, 10000))
		return;
	for (unsigned i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		uint64_t on = sets[i] & l.dut.dev->features;

		if (!offloads(&l.dut, on, VIRTIO_NET_OK))
			return;
		l.dut.guest = (l.dut.guest & ~GUEST_ALL) | on;
		if (!send_tcp(&l.peer, &l.dut, v4, MSS) || !send_tcp(&l.peer, &l.dut, v6, MSS))
			return;
	}
}

static void offloads_refused(struct cf *c)
{
	const struct net_ip v4 = { .flags = TCP_ACK, .len = 4500 };
	struct nic_link l;

	if (!nic_up(c, &l, BIT(GUEST_CSUM) | BIT(CTRL_VQ) | BIT(CTRL_GUEST_OFFLOADS), HOST_ALL) ||
		!nic_room(&l.dut, 10000) || !nic_post(&l.dut, 10, 10000))
		return;
	if (offloads(&l.dut, BIT(GUEST_CSUM) | BIT(GUEST_TSO4), VIRTIO_NET_ERR) &&
		offloads(&l.dut, DRV_FEATURE(63), VIRTIO_NET_ERR) &&
		offloads(&l.dut, BIT(MRG_RXBUF), VIRTIO_NET_ERR))
		send_tcp(&l.peer, &l.dut, v4, MSS);
}

#define NET DRV_ID_NET

const struct cf_case cf_cases_net_offload[] = {
	{ "net.csum.tx", "V5.1.9.4.1-6", csum_tx, NET, CF_PEER | CF_RINGS, BIT(CSUM) },
	{ "net.csum.rx_plain", "V5.1.9.4.1-5 V5.1.9.4.1-6", csum_rx_plain, NET,
		CF_PEER | CF_RINGS },
	{ "net.csum.rx_partial", "V5.1.9.4.1-18 V5.1.9.4.1-20 V5.1.9.4.1-30", csum_rx_partial, NET,
		CF_PEER, BIT(GUEST_CSUM) },
	{ "net.csum.rx_pseudo", "V5.1.9.4.1-19 V5.1.9.4.1-20", csum_rx_pseudo, NET, CF_PEER,
		BIT(GUEST_CSUM) },
	{ "net.csum.udp_zero", "V5.1.9.4.1-6", csum_udp_zero, NET, CF_PEER, BIT(CSUM) },
	{ "net.csum.wrong_rx", "V5.1.9.4.1-30", csum_wrong_rx, NET, CF_PEER, BIT(GUEST_CSUM) },
	{ "net.csum.wrong_tx", "V5.1.9.2.2-11", csum_wrong_tx, NET, CF_PEER, BIT(CSUM) },
	{ "net.csum.claimed", "V5.1.9.2.2-11", csum_claimed, NET, CF_PEER | CF_HOSTILE, BIT(CSUM) },
	{ "net.tso4.tx", "NET-1", tso4_tx, NET, CF_PEER | CF_RINGS, BIT(HOST_TSO4) },
	{ "net.tso6.tx", "NET-1", tso6_tx, NET, CF_PEER | CF_RINGS, BIT(HOST_TSO6) },
	{ "net.tso4.tx_whole", "V5.1.9.4.1-25 V5.1.9.4.1-28", tso4_tx_whole, NET, CF_PEER,
		BIT(HOST_TSO4) },
	{ "net.tso6.tx_whole", "V5.1.9.4.1-25 V5.1.9.4.1-28", tso6_tx_whole, NET, CF_PEER,
		BIT(HOST_TSO6) },
	{ "net.tso4.rx", "V5.1.9.4.1-9 V5.1.9.4.1-25 V5.1.9.4.1-28", tso4_rx, NET,
		CF_PEER | CF_RINGS, BIT(GUEST_TSO4) },
	{ "net.tso6.rx", "V5.1.9.4.1-7 V5.1.9.4.1-25 V5.1.9.4.1-28", tso6_rx, NET,
		CF_PEER | CF_RINGS, BIT(GUEST_TSO6) },
	{ "net.tso.largest", "NET-1", tso_largest, NET, CF_PEER, BIT(HOST_TSO4) | BIT(HOST_TSO6) },
	{ "net.tso.largest_rx", "V5.1.9.3.2-2", tso_largest_rx, NET, CF_PEER,
		BIT(GUEST_TSO4) | BIT(GUEST_TSO6) },
	{ "net.tso.rx_merged", "V5.1.9.4.1-2 V5.1.9.4.1-3 V5.1.9.4.1-4", tso_rx_merged, NET,
		CF_PEER | CF_RINGS, BIT(GUEST_TSO4) | BIT(MRG_RXBUF) },
	{ "net.tso.negotiated_only",
		"V5.1.9.4.1-7 V5.1.9.4.1-8 V5.1.9.4.1-9 V5.1.9.4.1-10 V5.1.9.4.1-11 V5.1.9.4.1-12 "
		"V5.1.9.4.1-13 V5.1.9.4.1-21 V5.1.9.4.1-23 V5.1.9.4.1-24 V5.1.9.4.1-27 "
		"V5.1.9.4.1-31 V5.1.9.4.1-36 V5.1.9.4.1-39",
		gso_negotiated_only, NET, CF_PEER },
	{ "net.tso.flags", "NET-1", tso_flags, NET, CF_PEER, BIT(HOST_TSO4) | BIT(HOST_ECN) },
	{ "net.tso.ecn_whole", "V5.1.9.4.1-14", tso_ecn_whole, NET, CF_PEER,
		BIT(GUEST_TSO4) | BIT(GUEST_ECN) },
	{ "net.tso.hdr_len", "V5.1.9.2.2-7", tso_hdr_len, NET, CF_PEER, BIT(HOST_TSO4) },
	{ "net.offloads.set", "NET-1", offloads_set, NET, CF_PEER,
		BIT(CTRL_VQ) | BIT(CTRL_GUEST_OFFLOADS) },
	{ "net.offloads.refused", "ROB-10", offloads_refused, NET, CF_PEER | CF_HOSTILE,
		BIT(CTRL_VQ) | BIT(CTRL_GUEST_OFFLOADS) | BIT(GUEST_CSUM) },
	{ 0 },
};
