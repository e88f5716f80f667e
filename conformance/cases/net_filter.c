/* SPDX-License-Identifier: BSD-3-Clause */
/* What the network device's receive filters let pass, and the choice of receive queues (VIRTIO 1.4,
 * 5.1.9.5.1 to 5.1.9.5.3, 5.1.9.5.6). */
#include "conformance/cases/net_nic.h"

#define BIT(name) DRV_FEATURE(VIRTIO_NET_F_##name)

#define RX     (BIT(CTRL_VQ) | BIT(CTRL_RX))
#define EXTRA  (RX | BIT(CTRL_RX_EXTRA))
#define FRAME  64u
#define TAG    4u
#define VLAN_A 0 /* index of the VLANs that the wire carries */
#define VLAN_B 1

static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t multi_a[6] = { 0x33, 0x33, 0, 0, 0xa5, 1 };
static const uint8_t multi_b[6] = { 0x01, 0, 0x5e, 0, 0xa5, 2 };
static const uint8_t uni_a[6] = { 0x02, 0xa5, 0xa5, 0, 0, 0x0a };
static const uint8_t uni_b[6] = { 0x02, 0xa5, 0xa5, 0, 0, 0x0b };

/* A frame of the peer to `dst`, then one that comes in any case, to `marker`. */
static bool check(struct nic_link *l, const uint8_t *dst, const uint8_t *marker, bool passes,
	const char *what)
{
	uint8_t *p = nic_plain(l->c, dst, l->peer.mac, FRAME, l->seed++);
	uint8_t *m = nic_plain(l->c, marker, l->peer.mac, FRAME, l->seed++);
	bool came;

	if (!p || !m || !nic_send(&l->peer, p, FRAME) || !nic_send(&l->peer, m, FRAME) ||
		!nic_take(&l->dut))
		return false;
	came = l->dut.len == FRAME && cf_same(l->dut.frame, p + NET_HDR_LEN, FRAME);
	if (!cf_check(l->c, came == passes, "a frame to %s %s", what,
		    came ? "came, must be filtered" : "was filtered, must come"))
		return false;
	return came ? nic_expect(&l->dut, m + NET_HDR_LEN, FRAME)
		    : cf_check(l->c, cf_same(l->dut.frame, m + NET_HDR_LEN, FRAME),
			      "something else than the two frames sent came");
}

/* The marker goes to the device's own address. */
static bool passes(struct nic_link *l, const uint8_t *dst, const char *what)
{
	return check(l, dst, l->dut.mac, true, what);
}

static bool filtered(struct nic_link *l, const uint8_t *dst, const char *what)
{
	return check(l, dst, l->dut.mac, false, what);
}

static bool mode(struct nic_link *l, uint8_t command, uint8_t on)
{
	return nic_ctrl_byte(&l->dut, VIRTIO_NET_CTRL_RX, command, on, VIRTIO_NET_OK);
}

/* Sets both tables, of at most two addresses each. */
static bool tables(struct nic_link *l, const uint8_t *const uni[2], const uint8_t *const multi[2])
{
	uint8_t data[8 + 24] = { 0 };
	uint32_t at = 0;

	for (unsigned t = 0; t < 2; t++) {
		const uint8_t *const *table = t ? multi : uni;
		uint32_t count = !!table[0] + !!table[1];

		cf_copy(data + at, &count, 4);
		at += 4;
		for (uint32_t i = 0; i < count; i++, at += 6)
			cf_copy(data + at, table[i], 6);
	}
	return nic_ctrl(&l->dut, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data, at,
		VIRTIO_NET_OK);
}

static bool up(struct cf *c, struct nic_link *l, uint64_t want)
{
	return nic_up_ready(c, l, want, 0, 8);
}

/* Promiscuous mode is off, so that the others count. */
static bool up_filtering(struct cf *c, struct nic_link *l, uint64_t want)
{
	return up(c, l, want) && mode(l, VIRTIO_NET_CTRL_RX_PROMISC, 0);
}

/* After a reset only the own address and broadcast pass: the table is empty. */
static void initial(struct cf *c)
{
	struct nic_link l;

	if (up(c, &l, RX) && passes(&l, l.dut.mac, "the own address") &&
		passes(&l, broadcast, "broadcast") && filtered(&l, uni_a, "another address"))
		filtered(&l, multi_a, "a group not in the table");
}

static void promisc(struct cf *c)
{
	struct nic_link l;

	if (up_filtering(c, &l, RX) && filtered(&l, uni_a, "another address") &&
		mode(&l, VIRTIO_NET_CTRL_RX_PROMISC, 1) && passes(&l, uni_a, "another address") &&
		passes(&l, multi_a, "a group") && passes(&l, broadcast, "broadcast") &&
		mode(&l, VIRTIO_NET_CTRL_RX_PROMISC, 0))
		filtered(&l, uni_a, "another address, after promiscuous mode");
}

static void promisc_first(struct cf *c)
{
	struct nic_link l;

	if (up(c, &l, EXTRA) && mode(&l, VIRTIO_NET_CTRL_RX_NOUNI, 1) &&
		mode(&l, VIRTIO_NET_CTRL_RX_NOMULTI, 1) &&
		mode(&l, VIRTIO_NET_CTRL_RX_NOBCAST, 1) &&
		mode(&l, VIRTIO_NET_CTRL_RX_PROMISC, 1) &&
		passes(&l, uni_a, "another address, with NOUNI") &&
		passes(&l, multi_a, "a group, with NOMULTI"))
		passes(&l, broadcast, "broadcast, with NOBCAST");
}

static void allmulti(struct cf *c)
{
	struct nic_link l;

	if (up_filtering(c, &l, RX) && mode(&l, VIRTIO_NET_CTRL_RX_ALLMULTI, 1) &&
		passes(&l, multi_a, "a group") && passes(&l, multi_b, "a group") &&
		filtered(&l, uni_a, "another address") && mode(&l, VIRTIO_NET_CTRL_RX_ALLMULTI, 0))
		filtered(&l, multi_a, "a group, after ALLMULTI");
}

static void alluni(struct cf *c)
{
	struct nic_link l;

	if (up_filtering(c, &l, EXTRA) && mode(&l, VIRTIO_NET_CTRL_RX_ALLUNI, 1) &&
		passes(&l, uni_a, "another address") && filtered(&l, multi_a, "a group") &&
		mode(&l, VIRTIO_NET_CTRL_RX_ALLUNI, 0))
		filtered(&l, uni_a, "another address, after ALLUNI");
}

static void nomulti(struct cf *c)
{
	static const uint8_t *const none[2] = { NULL, NULL };
	static const uint8_t *const groups[2] = { multi_a, NULL };
	struct nic_link l;

	if (up_filtering(c, &l, EXTRA) && tables(&l, none, groups) &&
		passes(&l, multi_a, "a group of the table") &&
		mode(&l, VIRTIO_NET_CTRL_RX_NOMULTI, 1) &&
		filtered(&l, multi_a, "a group of the table, with NOMULTI") &&
		passes(&l, broadcast, "broadcast, with NOMULTI") &&
		mode(&l, VIRTIO_NET_CTRL_RX_ALLMULTI, 1) &&
		filtered(&l, multi_b, "a group, with NOMULTI and ALLMULTI") &&
		mode(&l, VIRTIO_NET_CTRL_RX_NOMULTI, 0))
		passes(&l, multi_b, "a group, with ALLMULTI after NOMULTI");
}

/* The markers are broadcast, since not even the own address passes. */
static void nouni(struct cf *c)
{
	struct nic_link l;

	if (up_filtering(c, &l, EXTRA) && mode(&l, VIRTIO_NET_CTRL_RX_NOUNI, 1) &&
		check(&l, l.dut.mac, broadcast, false, "the own address, with NOUNI") &&
		mode(&l, VIRTIO_NET_CTRL_RX_ALLUNI, 1) &&
		check(&l, l.dut.mac, broadcast, false, "the own address, NOUNI and ALLUNI") &&
		check(&l, uni_a, broadcast, false, "another address, NOUNI and ALLUNI") &&
		mode(&l, VIRTIO_NET_CTRL_RX_NOUNI, 0))
		passes(&l, uni_a, "another address, with ALLUNI after NOUNI");
}

static void nobcast(struct cf *c)
{
	struct nic_link l;

	if (up_filtering(c, &l, EXTRA) && mode(&l, VIRTIO_NET_CTRL_RX_NOBCAST, 1) &&
		filtered(&l, broadcast, "broadcast, with NOBCAST") &&
		mode(&l, VIRTIO_NET_CTRL_RX_ALLMULTI, 1) &&
		filtered(&l, broadcast, "broadcast, with NOBCAST and ALLMULTI") &&
		passes(&l, multi_a, "a group, with NOBCAST and ALLMULTI") &&
		mode(&l, VIRTIO_NET_CTRL_RX_NOBCAST, 0))
		passes(&l, broadcast, "broadcast, after NOBCAST");
}

/* Modes do not outlive a reset. */
static void modes_reset(struct cf *c)
{
	struct nic_link l;

	if (up(c, &l, RX) && mode(&l, VIRTIO_NET_CTRL_RX_PROMISC, 1) &&
		mode(&l, VIRTIO_NET_CTRL_RX_ALLMULTI, 1) && nic_up_again(&l, RX) &&
		nic_post(&l.dut, 8, 256) && filtered(&l, uni_a, "another address after a reset"))
		filtered(&l, multi_a, "a group after a reset");
}

/* Without CTRL_RX nothing can be filtered, so all passes. */
static void none_negotiated(struct cf *c)
{
	struct nic_link l;

	if (up(c, &l, 0) && passes(&l, uni_a, "another address") && passes(&l, multi_a, "a group"))
		passes(&l, broadcast, "broadcast");
}

/* Tables. */

static void table_set(struct cf *c)
{
	static const uint8_t *const unis[2] = { uni_a, uni_b };
	static const uint8_t *const groups[2] = { multi_a, multi_b };
	static const uint8_t *const none[2] = { NULL, NULL };
	static const uint8_t *const one[2] = { uni_b, NULL };
	struct nic_link l;

	if (up_filtering(c, &l, RX) && tables(&l, unis, groups) &&
		passes(&l, uni_a, "an address of the table") &&
		passes(&l, uni_b, "an address of the table") &&
		passes(&l, multi_a, "a group of the table") &&
		passes(&l, multi_b, "a group of the table") && tables(&l, one, none) &&
		filtered(&l, uni_a, "an address that is no longer in the table") &&
		passes(&l, uni_b, "an address of the table") &&
		filtered(&l, multi_a, "a group that is no longer in the table") &&
		tables(&l, none, none))
		filtered(&l, uni_b, "an address after the table was emptied");
}

static void table_reset(struct cf *c)
{
	static const uint8_t *const unis[2] = { uni_a, uni_b };
	static const uint8_t *const groups[2] = { multi_a, multi_b };
	struct nic_link l;

	if (up_filtering(c, &l, RX) && tables(&l, unis, groups) &&
		passes(&l, uni_a, "an address of the table") && nic_up_again(&l, RX) &&
		nic_post(&l.dut, 8, 256) && mode(&l, VIRTIO_NET_CTRL_RX_PROMISC, 0) &&
		filtered(&l, uni_a, "an address of the table before the reset"))
		filtered(&l, multi_a, "a group of the table before the reset");
}

#define TABLE_LARGE 300u

/* More addresses than any device keeps: those given pass in any case (5.1.9.5.2). */
static void table_large(struct cf *c)
{
	uint8_t data[8 + TABLE_LARGE * 6], *last = data + 4 + (TABLE_LARGE - 1) * 6;
	const uint32_t count = TABLE_LARGE;
	struct nic_link l;

	if (!up_filtering(c, &l, RX))
		return;
	cf_fill(data, 0, sizeof(data));
	cf_copy(data, &count, 4);
	for (uint32_t i = 0; i < count; i++) {
		cf_copy(data + 4 + i * 6, uni_a, 6);
		data[4 + i * 6 + 3] = (uint8_t)(i >> 8);
		data[4 + i * 6 + 4] = (uint8_t)i;
	}
	if (nic_ctrl(&l.dut, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data, sizeof(data),
		    VIRTIO_NET_OK) &&
		passes(&l, data + 4, "the first address of a large table"))
		passes(&l, last, "the last address of a large table");
}

/* A refused table leaves the one before. */
static void table_refused(struct cf *c)
{
	static const uint8_t *const one[2] = { uni_a, NULL };
	static const uint8_t *const none[2] = { NULL, NULL };
	uint8_t data[14] = { 2 };
	struct nic_link l;

	cf_copy(data + 4, uni_b, 6);
	if (up_filtering(c, &l, RX) && tables(&l, one, none) &&
		nic_ctrl(&l.dut, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data, 14,
			VIRTIO_NET_ERR) &&
		passes(&l, uni_a, "an address of the table before the refused one"))
		filtered(&l, uni_b, "an address of the refused table");
}

/* The own address moves, and the filter with it. */
static void address_moves(struct cf *c)
{
	struct nic_link l;
	uint8_t old[6], new[6];

	if (!up_filtering(c, &l, RX | BIT(CTRL_MAC_ADDR)))
		return;
	cf_copy(old, l.dut.mac, 6);
	cf_copy(new, old, 6);
	new[5] ^= 0x40;
	if (!nic_ctrl(&l.dut, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, new, 6,
		    VIRTIO_NET_OK))
		return;
	if (check(&l, new, broadcast, true, "the new address"))
		check(&l, old, broadcast, false, "the old address");
}

/* VLANs. */

/* The VLANs that the wire between peer and device carries, from the fact "vlans": "10 20". */
static bool wire_vlans(struct cf *c, uint16_t vlans[2])
{
	const char *fact = cf_fact(c, "vlans");
	unsigned n = 0;

	vlans[0] = vlans[1] = 0;
	for (; fact && *fact && n < 2; fact++) {
		if (*fact >= '0' && *fact <= '9')
			vlans[n] = (uint16_t)(vlans[n] * 10 + (*fact - '0'));
		else
			n++;
	}
	if (vlans[0] && vlans[1])
		return true;
	cf_skip(c, "no VLANs are known to pass between the peer and the device");
	return false;
}

static bool tagged(struct nic_link *l, uint16_t vlan, bool wanted)
{
	uint8_t *p = nic_packet(l->c, FRAME + TAG), *f;
	bool came;

	if (!p)
		return false;
	f = p + NET_HDR_LEN;
	nic_fill(f + TAG, l->dut.mac, l->peer.mac, FRAME, l->seed++);
	cf_copy(f, l->dut.mac, 6);
	cf_copy(f + 6, l->peer.mac, 6);
	f[12] = ETH_TYPE_VLAN >> 8;
	f[13] = ETH_TYPE_VLAN & 0xff;
	f[14] = (uint8_t)(vlan >> 8);
	f[15] = (uint8_t)vlan;
	f[16] = ETH_TYPE_LOCAL >> 8;
	f[17] = ETH_TYPE_LOCAL & 0xff;
	if (!wanted)
		return nic_dropped(l, &l->peer, &l->dut, p, FRAME + TAG);
	if (!nic_send(&l->peer, p, FRAME + TAG) || !nic_take(&l->dut))
		return false;
	came = l->dut.len == FRAME + TAG && cf_same(l->dut.frame, f, FRAME + TAG);
	return cf_check(l->c, came, "a frame of VLAN %u was not received as it was sent", vlan);
}

static bool vlan(struct nic_link *l, uint8_t command, uint16_t vid)
{
	return nic_ctrl(&l->dut, VIRTIO_NET_CTRL_VLAN, command, &vid, 2, VIRTIO_NET_OK);
}

static void vlan_unfiltered(struct cf *c)
{
	uint16_t vlans[2];
	struct nic_link l;

	if (wire_vlans(c, vlans) && up(c, &l, RX) && tagged(&l, vlans[VLAN_A], true))
		tagged(&l, vlans[VLAN_B], true);
}

static void vlan_table(struct cf *c)
{
	uint16_t vlans[2];
	struct nic_link l;

	if (wire_vlans(c, vlans) && up_filtering(c, &l, RX | BIT(CTRL_VLAN)) &&
		tagged(&l, vlans[VLAN_A], false) &&
		vlan(&l, VIRTIO_NET_CTRL_VLAN_ADD, vlans[VLAN_A]) &&
		tagged(&l, vlans[VLAN_A], true) && tagged(&l, vlans[VLAN_B], false) &&
		vlan(&l, VIRTIO_NET_CTRL_VLAN_ADD, vlans[VLAN_B]) &&
		vlan(&l, VIRTIO_NET_CTRL_VLAN_DEL, vlans[VLAN_A]) &&
		tagged(&l, vlans[VLAN_A], false))
		tagged(&l, vlans[VLAN_B], true);
}

static void vlan_reset(struct cf *c)
{
	uint16_t vlans[2];
	struct nic_link l;

	if (wire_vlans(c, vlans) && up_filtering(c, &l, RX | BIT(CTRL_VLAN)) &&
		vlan(&l, VIRTIO_NET_CTRL_VLAN_ADD, vlans[VLAN_A]) &&
		tagged(&l, vlans[VLAN_A], true) && nic_up_again(&l, RX | BIT(CTRL_VLAN)) &&
		nic_post(&l.dut, 8, 256) && mode(&l, VIRTIO_NET_CTRL_RX_PROMISC, 0))
		tagged(&l, vlans[VLAN_A], false);
}

#define NET DRV_ID_NET

const struct cf_case cf_cases_net_filter[] = {
	{ "net.filter.initial", "V5.1.9.5.2.1-1 V5.1.9.5.2.1-4", initial, NET, CF_PEER, RX },
	{ "net.filter.none_negotiated", "NET-1", none_negotiated, NET, CF_PEER },
	{ "net.filter.promisc", "V5.1.9.5.1.1-1 V5.1.9.5.1.1-2 V5.1.9.5.2.1-4", promisc, NET,
		CF_PEER | CF_RINGS, RX },
	{ "net.filter.promisc_first", "V5.1.9.5.1.1-3", promisc_first, NET, CF_PEER, EXTRA },
	{ "net.filter.allmulti", "V5.1.9.5.1.1-4", allmulti, NET, CF_PEER, RX },
	{ "net.filter.alluni", "V5.1.9.5.1.1-5 V5.1.9.5.1.1-6", alluni, NET, CF_PEER, EXTRA },
	{ "net.filter.nomulti", "V5.1.9.5.1.1-7 V5.1.9.5.1.1-8 V5.1.9.5.1.1-9", nomulti, NET,
		CF_PEER, EXTRA },
	{ "net.filter.nouni", "V5.1.9.5.1.1-10 V5.1.9.5.1.1-11", nouni, NET, CF_PEER, EXTRA },
	{ "net.filter.nobcast", "V5.1.9.5.1.1-12 V5.1.9.5.1.1-13", nobcast, NET, CF_PEER, EXTRA },
	{ "net.filter.modes_reset", "V5.1.9.5.2.1-4", modes_reset, NET, CF_PEER, RX },
	{ "net.filter.table_set", "V5.1.9.5.2.1-2 V5.1.9.5.2.1-4", table_set, NET,
		CF_PEER | CF_RINGS, RX },
	{ "net.filter.table_reset", "V5.1.9.5.2.1-1", table_reset, NET, CF_PEER, RX },
	{ "net.filter.table_large", "V5.1.9.5.2.1-2", table_large, NET, CF_PEER, RX },
	{ "net.filter.table_refused", "ROB-10", table_refused, NET, CF_PEER | CF_HOSTILE, RX },
	{ "net.filter.address_moves", "NET-7 V5.1.9.5.2.1-3 V5.1.9.5.2.1-4", address_moves, NET,
		CF_PEER, RX | BIT(CTRL_MAC_ADDR) },
	{ "net.filter.vlan_unfiltered", "V5.1.9.5.3.1-1", vlan_unfiltered, NET, CF_PEER, RX },
	{ "net.filter.vlan_table", "V5.1.9.5.3.1-2 V5.1.9.5.3.1-3", vlan_table, NET, CF_PEER,
		RX | BIT(CTRL_VLAN) },
	{ "net.filter.vlan_reset", "V5.1.9.5.3.1-3", vlan_reset, NET, CF_PEER,
		RX | BIT(CTRL_VLAN) },
	{ 0 },
};
