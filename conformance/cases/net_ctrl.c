/* SPDX-License-Identifier: BSD-3-Clause */
/* The network device's control queue: which commands are taken, which refused, and how they are
 * answered (VIRTIO 1.4, 5.1.9.5). What the filters then do is in net_filter.c. */
#include "conformance/cases/net_nic.h"

#define BIT(name) DRV_FEATURE(VIRTIO_NET_F_##name)

/* All that has commands. */
#define CTRL_ALL                                                                                   \
	(BIT(CTRL_VQ) | BIT(CTRL_RX) | BIT(CTRL_RX_EXTRA) | BIT(CTRL_VLAN) | BIT(CTRL_MAC_ADDR) |  \
		BIT(GUEST_ANNOUNCE) | BIT(CTRL_GUEST_OFFLOADS) | BIT(GUEST_CSUM) | BIT(MQ))

/* The device under test alone: commands need no peer. */
static bool up(struct cf *c, struct nic *n, uint64_t want)
{
	uint16_t pairs = 1;

	*n = (struct nic){ .c = c, .dev = cf_dev(c), .name = "the device" };
	if (!cf_begin(c, want | BIT(MAC) | BIT(STATUS)))
		return false;
	if (drv_has(n->dev, VIRTIO_NET_F_MQ))
		pairs = (uint16_t)cf_config(c, NET_CONFIG_MAX_PAIRS, 2);
	n->rx = cf_queue(c, 0, 0);
	n->tx = cf_queue(c, 1, 0);
	n->ctrl = cf_queue(c, (uint16_t)(2 * pairs), 0);
	if (cf_failed(c) || !cf_run_device(c))
		return false;
	return cf_check(c, !drv_config(n->dev, NET_CONFIG_MAC, n->mac, 6), "mac cannot be read");
}

static void unknown_class(struct cf *c)
{
	static const uint8_t classes[] = { 12, 64, 127, 128, 255 };
	struct nic n;

	if (!up(c, &n, CTRL_ALL))
		return;
	for (unsigned i = 0; i < sizeof(classes); i++)
		if (!nic_ctrl_byte(&n, classes[i], 0, 0, VIRTIO_NET_ERR))
			return;
}

static void unknown_command(struct cf *c)
{
	static const uint8_t data[8];
	struct nic n;

	if (!up(c, &n, CTRL_ALL))
		return;
	for (uint8_t class = 0; class <= VIRTIO_NET_CTRL_GUEST_OFFLOADS; class ++)
		for (unsigned len = 0; len <= 8; len++)
			if (!nic_ctrl(&n, class, 77, data, len, VIRTIO_NET_ERR) ||
				!nic_ctrl(&n, class, 255, data, len, VIRTIO_NET_ERR))
				return;
}

/* Commands whose feature the driver did not accept. */
static void not_negotiated(struct cf *c)
{
	static const uint8_t table[8];
	const uint64_t offloads = 0;
	const uint16_t pairs = 1, vlan = 5;
	struct nic n;

	if (!up(c, &n, BIT(CTRL_VQ)))
		return;
	if (nic_ctrl_byte(&n, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1, VIRTIO_NET_ERR) &&
		nic_ctrl_byte(
			&n, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, 1, VIRTIO_NET_ERR) &&
		nic_ctrl(&n, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, 8,
			VIRTIO_NET_ERR) &&
		nic_ctrl(&n, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, n.mac, 6,
			VIRTIO_NET_ERR) &&
		nic_ctrl(&n, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vlan, 2,
			VIRTIO_NET_ERR) &&
		nic_ctrl(&n, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0,
			VIRTIO_NET_ERR) &&
		nic_ctrl(&n, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &pairs, 2,
			VIRTIO_NET_ERR))
		nic_ctrl(&n, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_OFFLOADS_SET,
			&offloads, 8, VIRTIO_NET_ERR);
}

/* Only one of RX and RX_EXTRA. */
static void rx_without_extra(struct cf *c)
{
	struct nic n;

	if (!up(c, &n, BIT(CTRL_VQ) | BIT(CTRL_RX)))
		return;
	if (nic_ctrl_byte(&n, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, 1, VIRTIO_NET_OK))
		for (uint8_t k = VIRTIO_NET_CTRL_RX_ALLUNI; k <= VIRTIO_NET_CTRL_RX_NOBCAST; k++)
			if (!nic_ctrl_byte(&n, VIRTIO_NET_CTRL_RX, k, 1, VIRTIO_NET_ERR))
				return;
}

/* Each RX command from `first` to `last` with each of `n` values. */
static void rx_commands(
	struct cf *c, uint8_t first, uint8_t last, const uint8_t *values, unsigned n, uint8_t ack)
{
	struct nic nic;

	if (!up(c, &nic, CTRL_ALL))
		return;
	for (uint8_t command = first; command <= last; command++)
		for (unsigned i = 0; i < n; i++)
			if (!nic_ctrl_byte(&nic, VIRTIO_NET_CTRL_RX, command, values[i], ack))
				return;
}

static void rx_modes(struct cf *c)
{
	static const uint8_t on_on_off[] = { 1, 1, 0 };

	rx_commands(c, VIRTIO_NET_CTRL_RX_PROMISC, VIRTIO_NET_CTRL_RX_ALLMULTI, on_on_off, 3,
		VIRTIO_NET_OK);
}

static void rx_modes_extra(struct cf *c)
{
	static const uint8_t on_off[] = { 1, 0 };

	rx_commands(
		c, VIRTIO_NET_CTRL_RX_ALLUNI, VIRTIO_NET_CTRL_RX_NOBCAST, on_off, 2, VIRTIO_NET_OK);
}

/* Only 0 and 1 mean something. */
static void rx_bad_value(struct cf *c)
{
	static const uint8_t bad[] = { 2, 0xff };

	rx_commands(
		c, VIRTIO_NET_CTRL_RX_PROMISC, VIRTIO_NET_CTRL_RX_NOBCAST, bad, 2, VIRTIO_NET_ERR);
}

/* Each command with each length but its own. */
static void wrong_lengths(struct cf *c)
{
	static const struct {
		uint8_t class, command, len;
	} known[] = {
		{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1 },
		{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, 1 },
		{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 6 },
		{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, 8 },
		{ VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, 2 },
		{ VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, 2 },
		{ VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, 0 },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2 },
		{ VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_OFFLOADS_SET, 8 },
	};
	static const uint8_t data[12];
	struct nic n;

	if (!up(c, &n, CTRL_ALL))
		return;
	for (unsigned i = 0; i < sizeof(known) / sizeof(*known); i++)
		for (uint8_t len = 0; len <= 12; len += len > 6 ? 2 : 1)
			if (len != known[i].len && !nic_ctrl(&n, known[i].class, known[i].command,
							   data, len, VIRTIO_NET_ERR))
				return;
}

/* Not even class and command are there. */
static void no_command(struct cf *c)
{
	uint8_t *out, *ack;
	struct nic n;

	if (!up(c, &n, CTRL_ALL))
		return;
	out = cf_buf(c, 1);
	ack = cf_buf(c, 1);
	if (!out || !ack)
		return;
	out[0] = VIRTIO_NET_CTRL_RX;
	if (cf_do(c, n.ctrl, out, 1, ack, 1, 1))
		cf_eq(c, *ack, VIRTIO_NET_ERR, "ack of one byte");
	*ack = 0xa5;
	if (cf_do(c, n.ctrl, NULL, 0, ack, 1, 1))
		cf_eq(c, *ack, VIRTIO_NET_ERR, "ack of nothing");
}

static void no_ack(struct cf *c)
{
	uint8_t *out = cf_buf(c, 3);
	struct drv_sg sg;
	struct nic n;

	if (!out || !up(c, &n, CTRL_ALL))
		return;
	cf_fill(out, 0, 3);
	sg = cf_sg(c, out, 3);
	if (cf_submit(c, n.ctrl, &sg, 1, 0, out))
		cf_must_break(c, n.ctrl);
}

/* The ack is the first byte, whatever room there is. */
static void ack_only(struct cf *c)
{
	uint8_t *out, *in;
	struct nic n;

	if (!up(c, &n, CTRL_ALL))
		return;
	out = cf_buf(c, 3);
	in = cf_buf(c, 64);
	if (!out || !in)
		return;
	out[0] = VIRTIO_NET_CTRL_RX;
	out[1] = VIRTIO_NET_CTRL_RX_PROMISC;
	out[2] = 1;
	if (cf_do(c, n.ctrl, out, 3, in, 64, 1) && cf_eq(c, in[0], VIRTIO_NET_OK, "ack"))
		cf_check(c, cf_filled(in + 1, 0xa5, 63), "more than the ack was written");
}

/* Each byte in a descriptor of its own. */
static void pieces(struct cf *c)
{
	struct drv_sg sg[9];
	uint8_t *out, *ack;
	void *cookie;
	uint32_t used;
	struct nic n;

	if (!up(c, &n, CTRL_ALL))
		return;
	out = cf_buf(c, 8);
	ack = cf_buf(c, 1);
	if (!out || !ack)
		return;
	out[0] = VIRTIO_NET_CTRL_MAC;
	out[1] = VIRTIO_NET_CTRL_MAC_ADDR_SET;
	cf_copy(out + 2, n.mac, 6);
	for (unsigned i = 0; i < 8; i++)
		sg[i] = cf_sg(c, out + i, 1);
	sg[8] = cf_sg(c, ack, 1);
	if (cf_submit(c, n.ctrl, sg, 8, 1, out) && cf_used(c, n.ctrl, &cookie, &used) &&
		cf_eq(c, used, 1, "the used length"))
		cf_eq(c, *ack, VIRTIO_NET_OK, "ack");
}

/* Address. */

static bool mac_is(struct cf *c, const uint8_t *want, const char *when)
{
	uint8_t mac[6];

	return cf_check(c, !drv_config(cf_dev(c), NET_CONFIG_MAC, mac, 6), "mac cannot be read") &&
	       cf_check(c, cf_same(mac, want, 6),
		       "mac is %02x:%02x:%02x:%02x:%02x:%02x %s, must be "
		       "%02x:%02x:%02x:%02x:%02x:%02x",
		       mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], when, want[0], want[1],
		       want[2], want[3], want[4], want[5]);
}

static void mac_set(struct cf *c)
{
	uint8_t mac[6];
	struct nic n;

	if (!up(c, &n, BIT(CTRL_VQ) | BIT(CTRL_MAC_ADDR)))
		return;
	cf_copy(mac, n.mac, 6);
	mac[5] ^= 0x40;
	if (nic_ctrl(
		    &n, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 6, VIRTIO_NET_OK) &&
		mac_is(c, mac, "after the command") &&
		nic_ctrl(&n, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, n.mac, 6,
			VIRTIO_NET_OK))
		mac_is(c, n.mac, "after another command");
}

static void mac_set_reset(struct cf *c)
{
	uint8_t mac[6];
	struct nic n;

	if (!up(c, &n, BIT(CTRL_VQ) | BIT(CTRL_MAC_ADDR)))
		return;
	cf_copy(mac, n.mac, 6);
	mac[5] ^= 0x40;
	if (nic_ctrl(
		    &n, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 6, VIRTIO_NET_OK) &&
		cf_begin(c, BIT(MAC)))
		mac_is(c, n.mac, "after a reset");
}

/* A driver that read half of the old address and half of the new one can tell. */
static void mac_generation(struct cf *c)
{
	struct drv_dev *dev = cf_dev(c);
	uint32_t before, after;
	uint8_t mac[6];
	struct nic n;

	if (!up(c, &n, BIT(CTRL_VQ) | BIT(CTRL_MAC_ADDR)))
		return;
	cf_copy(mac, n.mac, 6);
	mac[0] ^= 0x40;
	mac[5] ^= 0x40;
	if (cf_check(c, !dev->ops->generation(dev, &before), "no generation can be read") &&
		nic_ctrl(&n, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 6,
			VIRTIO_NET_OK) &&
		mac_is(c, mac, "after the command") &&
		cf_check(c, !dev->ops->generation(dev, &after), "no generation can be read"))
		cf_check(c, after != before,
			"mac has changed, and the configuration generation is still %u", after);
}

static void mac_set_group(struct cf *c)
{
	static const uint8_t group[6] = { 0x01, 0, 0x5e, 0, 0, 1 };
	struct nic n;

	if (up(c, &n, BIT(CTRL_VQ) | BIT(CTRL_MAC_ADDR)) &&
		nic_ctrl(&n, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, group, 6,
			VIRTIO_NET_ERR))
		mac_is(c, n.mac, "after a refused command");
}

/* Tables whose counts do not fit their bytes. */
static void mac_table_wrong(struct cf *c)
{
	static const struct {
		uint32_t uni, multi, len;
	} wrong[] = {
		{ 1, 0, 8 }, /* an address missing */
		{ 0, 1, 8 },
		{ 0, 0, 14 }, /* one too many */
		{ 0xffffffff, 0, 8 },
		{ 0, 0xffffffff, 8 },
		{ 0x2aaaaaab, 0, 14 }, /* times six: 2, in 32 bits */
		{ 0, 0, 4 },	       /* one table only */
		{ 0, 0, 7 },
	};
	uint8_t data[16] = { 0 };
	struct nic n;

	if (!up(c, &n, CTRL_ALL))
		return;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		cf_copy(data, &wrong[i].uni, 4);
		cf_copy(data + 4, &wrong[i].multi, 4);
		if (!nic_ctrl(&n, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data,
			    wrong[i].len, VIRTIO_NET_ERR))
			return;
	}
}

/* VLANs. */

static void vlan_range(struct cf *c)
{
	static const uint16_t good[] = { 0, 1, 100, 4094, 4095 };
	static const uint16_t bad[] = { 4096, 0x8001, 0xffff };
	struct nic n;

	if (!up(c, &n, BIT(CTRL_VQ) | BIT(CTRL_VLAN)))
		return;
	for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (!nic_ctrl(&n, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &good[i], 2,
			    VIRTIO_NET_OK) ||
			!nic_ctrl(&n, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, &good[i], 2,
				VIRTIO_NET_OK))
			return;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (!nic_ctrl(&n, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &bad[i], 2,
			    VIRTIO_NET_ERR) ||
			!nic_ctrl(&n, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, &bad[i], 2,
				VIRTIO_NET_ERR))
			return;
}

/* Announcement. */

static void announce_ack(struct cf *c)
{
	struct nic n;

	if (!up(c, &n, BIT(CTRL_VQ) | BIT(GUEST_ANNOUNCE) | BIT(STATUS)))
		return;
	if (!(cf_config(c, NET_CONFIG_STATUS, 2) & VIRTIO_NET_S_ANNOUNCE)) {
		cf_skip(c, "the device asks for no announcement");
		return;
	}
	if (nic_ctrl(&n, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0,
		    VIRTIO_NET_OK))
		cf_check(c, !(cf_config(c, NET_CONFIG_STATUS, 2) & VIRTIO_NET_S_ANNOUNCE),
			"ANNOUNCE is set after it was acknowledged");
}

/* Pairs. */

static bool pairs_set(struct nic *n, uint16_t pairs, uint8_t ack)
{
	return nic_ctrl(n, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &pairs, 2, ack);
}

static void mq_range(struct cf *c)
{
	uint16_t max;
	struct nic n;

	if (!up(c, &n, BIT(CTRL_VQ) | BIT(MQ)))
		return;
	max = (uint16_t)cf_config(c, NET_CONFIG_MAX_PAIRS, 2);
	for (uint16_t i = 1; i <= max && i <= 64; i++)
		if (!pairs_set(&n, i, VIRTIO_NET_OK))
			return;
	pairs_set(&n, 1, VIRTIO_NET_OK);
}

static void mq_refused(struct cf *c)
{
	uint16_t max;
	struct nic n;

	if (!up(c, &n, BIT(CTRL_VQ) | BIT(MQ)))
		return;
	max = (uint16_t)cf_config(c, NET_CONFIG_MAX_PAIRS, 2);
	if (pairs_set(&n, 0, VIRTIO_NET_ERR) &&
		pairs_set(&n, (uint16_t)(max + 1), VIRTIO_NET_ERR) &&
		pairs_set(&n, 0x8001, VIRTIO_NET_ERR))
		pairs_set(&n, 0xffff, VIRTIO_NET_ERR);
}

/* More commands at once than the device looks at in one turn. */
static void many(struct cf *c)
{
	struct drv_sg sg[2];
	uint8_t *out, *ack;
	void *cookie;
	uint32_t used;
	struct nic n;

	if (!up(c, &n, CTRL_ALL))
		return;
	out = cf_buf(c, 3);
	ack = cf_buf(c, 32);
	if (!out || !ack)
		return;
	out[0] = VIRTIO_NET_CTRL_RX;
	out[1] = VIRTIO_NET_CTRL_RX_ALLMULTI;
	out[2] = 1;
	for (unsigned round = 0; round < 8; round++) {
		cf_fill(ack, 0xa5, 32);
		for (unsigned i = 0; i < 32; i++) {
			sg[0] = cf_sg(c, out, 3);
			sg[1] = cf_sg(c, ack + i, 1);
			if (!cf_submit(c, n.ctrl, sg, 1, 1, ack + i))
				return;
		}
		for (unsigned i = 0; i < 32; i++)
			if (!cf_used(c, n.ctrl, &cookie, &used) ||
				!cf_eq(c, used, 1, "the used length"))
				return;
		if (!cf_check(c, cf_filled(ack, VIRTIO_NET_OK, 32), "an ack is not VIRTIO_NET_OK"))
			return;
	}
}

#define NET  DRV_ID_NET
#define VQ   BIT(CTRL_VQ)
#define RX   (BIT(CTRL_VQ) | BIT(CTRL_RX))
#define ADDR (BIT(CTRL_VQ) | BIT(CTRL_MAC_ADDR))

const struct cf_case cf_cases_net_ctrl[] = {
	{ "net.ctrl.unknown_class", "ROB-10", unknown_class, NET, CF_RINGS | CF_HOSTILE, VQ },
	{ "net.ctrl.unknown_command", "ROB-10", unknown_command, NET, CF_HOSTILE, VQ },
	{ "net.ctrl.not_negotiated", "ROB-10", not_negotiated, NET, CF_HOSTILE, VQ },
	{ "net.ctrl.rx_without_extra", "V5.1.9.5.1.1-1 ROB-10", rx_without_extra, NET, CF_HOSTILE,
		RX },
	{ "net.ctrl.rx_modes", "V5.1.9.5.1.1-1", rx_modes, NET, CF_RINGS, RX },
	{ "net.ctrl.rx_modes_extra", "V5.1.9.5.1.1-5", rx_modes_extra, NET, 0,
		RX | BIT(CTRL_RX_EXTRA) },
	{ "net.ctrl.rx_bad_value", "ROB-10", rx_bad_value, NET, CF_HOSTILE, RX },
	{ "net.ctrl.wrong_lengths", "ROB-10", wrong_lengths, NET, CF_HOSTILE, VQ },
	{ "net.ctrl.no_command", "ROB-10", no_command, NET, CF_HOSTILE, VQ },
	{ "net.ctrl.no_ack", "ROB-11", no_ack, NET, CF_RINGS | CF_HOSTILE, VQ },
	{ "net.ctrl.ack_only", "ROB-8 ROB-4", ack_only, NET, 0, RX },
	{ "net.ctrl.pieces", "V2.7.4.1-1", pieces, NET, CF_RINGS, ADDR },
	{ "net.ctrl.many", "V5.1.9.5.1.1-1", many, NET, CF_RINGS, RX },
	{ "net.ctrl.mac_set", "NET-7 V5.1.9.5.2.1-3", mac_set, NET, 0, ADDR | BIT(MAC) },
	{ "net.ctrl.mac_set_reset", "NET-7", mac_set_reset, NET, 0, ADDR | BIT(MAC) },
	{ "net.ctrl.mac_generation_pci", "V4.1.4.3.1-6", mac_generation, NET, CF_PCI,
		ADDR | BIT(MAC) },
	{ "net.ctrl.mac_generation_mmio", "V4.2.2.1-6", mac_generation, NET, CF_MMIO,
		ADDR | BIT(MAC) },
	{ "net.ctrl.mac_set_group", "ROB-10", mac_set_group, NET, CF_HOSTILE, ADDR | BIT(MAC) },
	{ "net.ctrl.mac_table_wrong", "ROB-10", mac_table_wrong, NET, CF_HOSTILE, RX },
	{ "net.ctrl.vlan_range", "ROB-10", vlan_range, NET, CF_HOSTILE, VQ | BIT(CTRL_VLAN) },
	{ "net.ctrl.announce_ack", "V5.1.9.5.4.2-1", announce_ack, NET, 0,
		VQ | BIT(GUEST_ANNOUNCE) | BIT(STATUS) },
	{ "net.ctrl.mq_range", "NET-1", mq_range, NET, 0, VQ | BIT(MQ) },
	{ "net.ctrl.mq_refused", "ROB-10", mq_refused, NET, CF_HOSTILE, VQ | BIT(MQ) },
	{ 0 },
};
