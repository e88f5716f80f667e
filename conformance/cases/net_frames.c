/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of the network device, both ways, and the buffers they go to (VIRTIO 1.4, 5.1.9.2 to
 * 5.1.9.4). */
#include "conformance/cases/net_nic.h"

#define BIT(name) DRV_FEATURE(VIRTIO_NET_F_##name)

static const uint16_t lengths[] = { 14, 15, 60, 61, 64, 127, 512, 1023, 1499, 1500, 1513, 1514 };

#define LENGTHS (sizeof(lengths) / sizeof(*lengths))

static void lengths_pass(struct cf *c, bool to_device)
{
	struct nic_link l;

	if (!nic_up_ready(c, &l, 0, 0, 4))
		return;
	for (unsigned i = 0; i < LENGTHS; i++)
		if (!nic_pass(to_device ? &l.peer : &l.dut, to_device ? &l.dut : &l.peer,
			    lengths[i], i))
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

static uint64_t mtu_of(struct drv_dev *dev)
{
	uint16_t mtu = 0;

	drv_config(dev, NET_CONFIG_MTU, &mtu, sizeof(mtu));
	return mtu;
}

/* Brings up both with MTU negotiated, and room for frames above it. 0: recorded. */
static uint32_t up_mtu(struct cf *c, struct nic_link *l)
{
	uint32_t mtu, peer;

	if (!nic_up(c, l, BIT(MTU), BIT(MTU)))
		return 0;
	mtu = (uint32_t)mtu_of(l->dut.dev);
	peer = (uint32_t)mtu_of(l->peer.dev);
	if (peer != mtu) {
		cf_skip(c, "mtu is %u, that of the peer %u", mtu, peer);
		return 0;
	}
	if (!nic_room(&l->dut, mtu + 64) || !nic_room(&l->peer, mtu + 64) ||
		!nic_post(&l->dut, 4, mtu + 128) || !nic_post(&l->peer, 4, mtu + 128))
		return 0;
	return mtu;
}

static void tx_mtu(struct cf *c)
{
	struct nic_link l;
	uint32_t mtu = up_mtu(c, &l);

	if (mtu)
		nic_pass(&l.dut, &l.peer, mtu + ETH_LEN, 7);
}

static void rx_mtu(struct cf *c)
{
	struct nic_link l;
	uint32_t mtu = up_mtu(c, &l);

	if (mtu)
		nic_pass(&l.peer, &l.dut, mtu + ETH_LEN, 7);
}

static void above_mtu(struct cf *c, bool to_device)
{
	static const uint16_t more[] = { 1, 4, 50 };
	struct nic_link l;
	uint32_t mtu = up_mtu(c, &l);
	struct nic *from = to_device ? &l.peer : &l.dut, *to = to_device ? &l.dut : &l.peer;

	for (unsigned i = 0; mtu && i < 3; i++) {
		uint32_t len = mtu + ETH_LEN + more[i];
		uint8_t *p = nic_plain(c, to->mac, from->mac, len, i);

		if (!p || !nic_dropped(&l, from, to, p, len))
			return;
	}
}

static void tx_above_mtu(struct cf *c)
{
	above_mtu(c, false);
}

static void rx_above_mtu(struct cf *c)
{
	above_mtu(c, true);
}

/* A packet in pieces: all of it arrives, however it is cut. */

static bool send_cut(
	struct nic *n, const uint8_t *packet, uint32_t len, const uint32_t *cuts, unsigned count)
{
	struct drv_sg sg[34];
	uint32_t at = 0, used;
	void *cookie;

	for (unsigned i = 0; i <= count; i++) {
		uint32_t end = i < count ? cuts[i] : len;

		sg[i] = drv_sg(n->dev, packet + at, end - at);
		at = end;
	}
	return cf_submit(n->c, n->tx, sg, count + 1, 0, n) &&
	       cf_used(n->c, n->tx, &cookie, &used) && cf_eq(n->c, used, 0, "the used length");
}

static bool passes_cut(
	struct cf *c, struct nic_link *l, uint32_t len, const uint32_t *cuts, unsigned count)
{
	uint8_t *p = nic_plain(c, l->peer.mac, l->dut.mac, len, l->seed++);

	return p && send_cut(&l->dut, p, NET_HDR_LEN + len, cuts, count) &&
	       nic_expect(&l->peer, p + NET_HDR_LEN, len);
}

static void tx_header_cut(struct cf *c)
{
	struct nic_link l;

	if (!nic_up_ready(c, &l, 0, 0, 4))
		return;
	for (uint32_t cut = 1; cut <= NET_HDR_LEN + ETH_LEN; cut++)
		if (!passes_cut(c, &l, 200, &cut, 1))
			return;
}

static void tx_header_bytes(struct cf *c)
{
	uint32_t cuts[26];
	struct nic_link l;

	for (uint32_t i = 0; i < 26; i++)
		cuts[i] = i + 1;
	if (nic_up_ready(c, &l, 0, 0, 4))
		passes_cut(c, &l, 300, cuts, 26);
}

static void tx_data_pieces(struct cf *c)
{
	uint32_t cuts[33];
	struct nic_link l;

	for (uint32_t i = 0; i < 33; i++)
		cuts[i] = NET_HDR_LEN + i * 45 + i % 3;
	if (nic_up_ready(c, &l, 0, 0, 4))
		passes_cut(c, &l, 1514, cuts, 33);
}

static void in_order(struct cf *c, bool to_device)
{
	struct nic_link l;
	struct nic *from = to_device ? &l.peer : &l.dut, *to = to_device ? &l.dut : &l.peer;
	uint8_t *p[32];

	if (!nic_up_ready(c, &l, 0, 0, 40))
		return;
	for (uint32_t i = 0; i < 32; i++) {
		struct drv_sg sg;

		p[i] = nic_plain(c, to->mac, from->mac, 64 + i, i);
		if (!p[i])
			return;
		sg = drv_sg(from->dev, p[i], NET_HDR_LEN + 64 + i);
		if (!cf_submit(c, from->tx, &sg, 1, 0, p[i]))
			return;
	}
	for (uint32_t i = 0; i < 32; i++)
		if (!nic_expect(to, p[i] + NET_HDR_LEN, 64 + i))
			return;
}

static void tx_order(struct cf *c)
{
	in_order(c, false);
}

static void rx_order(struct cf *c)
{
	in_order(c, true);
}

/* The rings, of 64 entries at most, wrap. */
static void tx_many(struct cf *c)
{
	struct nic_link l;

	if (!nic_up(c, &l, 0, 0) || !nic_post(&l.dut, 8, 128) || !nic_post(&l.peer, 8, 128))
		return;
	for (uint32_t i = 0; i < 80; i++)
		if (!nic_marker(&l, &l.dut, &l.peer) || !nic_marker(&l, &l.peer, &l.dut))
			return;
}

/* Receive buffers. */

static void rx_pieces(struct cf *c)
{
	static const uint32_t pieces[] = { 1526, 600, 100, 61, 25 };
	struct nic_link l;

	if (!nic_up(c, &l, 0, 0))
		return;
	for (unsigned i = 0; i < 5; i++) {
		if (!nic_post_pieces(&l.dut, 1526, pieces[i]))
			return;
		l.dut.keep_order = true;
		if (!nic_pass(&l.peer, &l.dut, 1514, i))
			return;
	}
}

/* The header in one descriptor of its own, as many drivers do. */
static void rx_header_apart(struct cf *c)
{
	struct nic_link l;

	if (!nic_up(c, &l, 0, 0) || !nic_post_pieces(&l.dut, 132, NET_HDR_LEN))
		return;
	nic_pass(&l.peer, &l.dut, 100, 3);
}

static void rx_exact_buffer(struct cf *c)
{
	struct nic_link l;

	if (!nic_up(c, &l, 0, 0) || !nic_post(&l.dut, 1, NET_HDR_LEN + 333))
		return;
	nic_pass(&l.peer, &l.dut, 333, 4);
}

/* Without MRG_RXBUF a frame that does not fit into its buffer is lost, and no part of it is seen.
 */
static void rx_too_small(struct cf *c)
{
	struct nic_link l;
	uint8_t *p;

	if (!nic_up(c, &l, 0, 0) || !nic_post(&l.dut, 2, NET_HDR_LEN + 64))
		return;
	p = nic_plain(c, l.dut.mac, l.peer.mac, 65, 1);
	if (p && nic_dropped(&l, &l.peer, &l.dut, p, 65)) {
		p = nic_plain(c, l.dut.mac, l.peer.mac, 1514, 2);
		if (p)
			nic_dropped(&l, &l.peer, &l.dut, p, 1514);
	}
}

/* MRG_RXBUF: num_buffers, and all but the last full, are checked with every frame. */

static bool merged(struct nic_link *l, uint32_t len, unsigned buffers)
{
	return nic_pass(&l->peer, &l->dut, len, len) &&
	       cf_eq(l->c, l->dut.hdr.num_buffers, buffers, "num_buffers");
}

static void num_buffers_is_one(struct cf *c)
{
	struct nic_link l;

	if (nic_up(c, &l, 0, 0) && nic_post(&l.dut, 2, 2048))
		merged(&l, 60, 1);
}

static void mrg_spread(struct cf *c)
{
	struct nic_link l;

	if (nic_up(c, &l, BIT(MRG_RXBUF), 0) && nic_post(&l.dut, 16, 300) && merged(&l, 1514, 6) &&
		merged(&l, 60, 1) && merged(&l, 301 - NET_HDR_LEN, 2))
		merged(&l, 1514, 6);
}

static void mrg_exact(struct cf *c)
{
	struct nic_link l;

	if (nic_up(c, &l, BIT(MRG_RXBUF), 0) && nic_post(&l.dut, 8, 256) &&
		merged(&l, 256 - NET_HDR_LEN, 1) && merged(&l, 512 - NET_HDR_LEN, 2))
		merged(&l, 1024 - NET_HDR_LEN, 4);
}

/* The smallest buffers that a driver may give: a header's size. */
static void mrg_header_only(struct cf *c)
{
	struct nic_link l;

	if (nic_up(c, &l, BIT(MRG_RXBUF), 0) && nic_post(&l.dut, 10, NET_HDR_LEN) &&
		merged(&l, 60, 6))
		merged(&l, 14, 3);
}

static void mrg_uneven(struct cf *c)
{
	static const uint32_t sizes[] = { 12, 700, 13, 100, 1000, 50 };
	struct nic_link l;

	if (!nic_up(c, &l, BIT(MRG_RXBUF), 0))
		return;
	for (unsigned i = 0; i < 6; i++)
		if (!nic_post_pieces(&l.dut, sizes[i], 33))
			return;
	merged(&l, 1514, 5);
}

static void mrg_large_buffer(struct cf *c)
{
	struct nic_link l;

	if (nic_up(c, &l, BIT(MRG_RXBUF), 0) && nic_post(&l.dut, 4, 4096))
		merged(&l, 1514, 1);
}

/* MRG_RXBUF changes nothing about transmission. */
static void mrg_tx(struct cf *c)
{
	struct nic_link l;

	if (nic_up_ready(c, &l, BIT(MRG_RXBUF), 0, 4) && nic_pass(&l.dut, &l.peer, 1514, 1))
		nic_pass(&l.dut, &l.peer, 14, 2);
}

/* The header of a packet without offloads. */

static bool pass_with(struct nic_link *l, struct net_hdr h)
{
	uint8_t *p = nic_plain(l->c, l->peer.mac, l->dut.mac, 100, l->seed++);

	if (!p)
		return false;
	cf_copy(p, &h, NET_HDR_LEN);
	return nic_send(&l->dut, p, 100) && nic_expect(&l->peer, p + NET_HDR_LEN, 100);
}

static void tx_fields_unused(struct cf *c)
{
	struct nic_link l;

	if (nic_up_ready(c, &l, BIT(CSUM), BIT(GUEST_CSUM), 4) &&
		pass_with(&l, (struct net_hdr){ .csum_start = 0xffff, .csum_offset = 0xffff }) &&
		pass_with(&l, (struct net_hdr){ .csum_start = 20, .csum_offset = 4 }))
		pass_with(&l, (struct net_hdr){ .hdr_len = 0xffff, .gso_size = 0xffff });
}

/* 8 and above are of features that this driver did not negotiate, or of nothing. */
static void tx_unknown_flags(struct cf *c)
{
	struct nic_link l;

	if (!nic_up_ready(c, &l, 0, 0, 4))
		return;
	for (unsigned bit = 3; bit < 8; bit++)
		if (!pass_with(&l, (struct net_hdr){ .flags = (uint8_t)(1u << bit) }))
			return;
}

/* Whatever num_buffers says, a driver has to set it to 0 and devices have no use for it. */
static void tx_num_buffers(struct cf *c)
{
	struct nic_link l;

	if (nic_up_ready(c, &l, BIT(MRG_RXBUF), 0, 4))
		pass_with(&l, (struct net_hdr){ .num_buffers = 0xffff });
}

#define NET DRV_ID_NET

const struct cf_case cf_cases_net_frames[] = {
	{ "net.tx.lengths", "NET-1", tx_lengths, NET, CF_PEER | CF_RINGS },
	{ "net.rx.lengths", "NET-1 V5.1.9.4.1-5 V5.1.9.4.1-24 V5.1.9.4.1-27", rx_lengths, NET,
		CF_PEER | CF_RINGS },
	{ "net.tx.mtu", "V5.1.4.1-6 PLAT-9", tx_mtu, NET, CF_PEER, BIT(MTU) },
	{ "net.rx.mtu", "PLAT-9", rx_mtu, NET, CF_PEER, BIT(MTU) },
	{ "net.tx.above_mtu", "PLAT-9", tx_above_mtu, NET, CF_PEER | CF_HOSTILE, BIT(MTU) },
	{ "net.rx.above_mtu", "V5.1.4.1-5", rx_above_mtu, NET, CF_PEER, BIT(MTU) },
	{ "net.tx.header_cut", "V2.7.4.1-1", tx_header_cut, NET, CF_PEER | CF_RINGS },
	{ "net.tx.header_bytes", "V2.7.4.1-1", tx_header_bytes, NET, CF_PEER | CF_RINGS },
	{ "net.tx.data_pieces", "V2.7.4.1-1", tx_data_pieces, NET, CF_PEER | CF_RINGS },
	{ "net.tx.order", "NET-1", tx_order, NET, CF_PEER | CF_RINGS },
	{ "net.rx.order", "NET-1", rx_order, NET, CF_PEER | CF_RINGS },
	{ "net.tx.many", "NET-1", tx_many, NET, CF_PEER | CF_RINGS },
	{ "net.tx.fields_unused", "V5.1.9.2.2-2", tx_fields_unused, NET, CF_PEER },
	{ "net.tx.unknown_flags", "V5.1.9.2.2-1", tx_unknown_flags, NET, CF_PEER },
	{ "net.tx.num_buffers", "ROB-10", tx_num_buffers, NET, CF_PEER | CF_HOSTILE },
	{ "net.rx.pieces", "V2.7.4.1-1", rx_pieces, NET, CF_PEER | CF_RINGS },
	{ "net.rx.header_apart", "V2.7.4.1-1", rx_header_apart, NET, CF_PEER },
	{ "net.rx.exact_buffer", "V5.1.9.3.2-2", rx_exact_buffer, NET, CF_PEER },
	{ "net.rx.too_small", "V5.1.9.3.2-2 ROB-4", rx_too_small, NET, CF_PEER | CF_HOSTILE },
	{ "net.rx.num_buffers", "V5.1.9.4.1-1", num_buffers_is_one, NET, CF_PEER },
	{ "net.mrg.spread", "V5.1.9.3.2-1 V5.1.9.4.1-2 V5.1.9.4.1-3 V5.1.9.4.1-4", mrg_spread, NET,
		CF_PEER | CF_RINGS, BIT(MRG_RXBUF) },
	{ "net.mrg.exact", "V5.1.9.4.1-2 V5.1.9.4.1-3", mrg_exact, NET, CF_PEER, BIT(MRG_RXBUF) },
	{ "net.mrg.header_only", "V5.1.9.4.1-2 V5.1.9.4.1-3", mrg_header_only, NET, CF_PEER,
		BIT(MRG_RXBUF) },
	{ "net.mrg.uneven", "V5.1.9.4.1-3 V2.7.4.1-1", mrg_uneven, NET, CF_PEER, BIT(MRG_RXBUF) },
	{ "net.mrg.large_buffer", "V5.1.9.4.1-2", mrg_large_buffer, NET, CF_PEER, BIT(MRG_RXBUF) },
	{ "net.mrg.tx", "V5.1.9.2.2-7", mrg_tx, NET, CF_PEER, BIT(MRG_RXBUF) },
	{ 0 },
};
