/* SPDX-License-Identifier: BSD-3-Clause */
/* The network device's features and configuration (VIRTIO 1.4, 5.1.3 and 5.1.4). */
#include "conformance/cases/net_nic.h"

#define BIT(name) DRV_FEATURE(VIRTIO_NET_F_##name)

/* Bits that a feature requires (5.1.3.1): one of `any`. */
static const struct need {
	uint8_t bit;
	uint64_t any;
	const char *name;
} needs[] = {
	{ VIRTIO_NET_F_GUEST_TSO4, BIT(GUEST_CSUM), "GUEST_TSO4" },
	{ VIRTIO_NET_F_GUEST_TSO6, BIT(GUEST_CSUM), "GUEST_TSO6" },
	{ VIRTIO_NET_F_GUEST_ECN, BIT(GUEST_TSO4) | BIT(GUEST_TSO6), "GUEST_ECN" },
	{ VIRTIO_NET_F_GUEST_UFO, BIT(GUEST_CSUM), "GUEST_UFO" },
	{ VIRTIO_NET_F_GUEST_USO4, BIT(GUEST_CSUM), "GUEST_USO4" },
	{ VIRTIO_NET_F_GUEST_USO6, BIT(GUEST_CSUM), "GUEST_USO6" },
	{ VIRTIO_NET_F_HOST_TSO4, BIT(CSUM), "HOST_TSO4" },
	{ VIRTIO_NET_F_HOST_TSO6, BIT(CSUM), "HOST_TSO6" },
	{ VIRTIO_NET_F_HOST_ECN, BIT(HOST_TSO4) | BIT(HOST_TSO6), "HOST_ECN" },
	{ VIRTIO_NET_F_HOST_UFO, BIT(CSUM), "HOST_UFO" },
	{ VIRTIO_NET_F_HOST_USO, BIT(CSUM), "HOST_USO" },
	{ VIRTIO_NET_F_RSC_EXT, BIT(HOST_TSO4) | BIT(HOST_TSO6), "RSC_EXT" },
	{ VIRTIO_NET_F_CTRL_RX, BIT(CTRL_VQ), "CTRL_RX" },
	{ VIRTIO_NET_F_CTRL_RX_EXTRA, BIT(CTRL_VQ), "CTRL_RX_EXTRA" },
	{ VIRTIO_NET_F_CTRL_VLAN, BIT(CTRL_VQ), "CTRL_VLAN" },
	{ VIRTIO_NET_F_GUEST_ANNOUNCE, BIT(CTRL_VQ), "GUEST_ANNOUNCE" },
	{ VIRTIO_NET_F_MQ, BIT(CTRL_VQ), "MQ" },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, BIT(CTRL_VQ), "CTRL_MAC_ADDR" },
	{ VIRTIO_NET_F_NOTF_COAL, BIT(CTRL_VQ), "NOTF_COAL" },
	{ VIRTIO_NET_F_VQ_NOTF_COAL, BIT(CTRL_VQ), "VQ_NOTF_COAL" },
	{ VIRTIO_NET_F_RSS, BIT(CTRL_VQ), "RSS" },
	{ VIRTIO_NET_F_RSS_CONTEXT, BIT(RSS), "RSS_CONTEXT" },
	{ VIRTIO_NET_F_HASH_TUNNEL, BIT(RSS) | BIT(HASH_REPORT), "HASH_TUNNEL" },
	{ VIRTIO_NET_F_HASH_REPORT, BIT(CTRL_VQ), "HASH_REPORT" },
};

#define NEEDS (sizeof(needs) / sizeof(*needs))

static void offered_complete(struct cf *c)
{
	uint64_t offered;

	if (!cf_begin(c, 0))
		return;
	offered = cf_dev(c)->offered;
	for (unsigned i = 0; i < NEEDS; i++)
		cf_check(c, !(offered >> needs[i].bit & 1) || (offered & needs[i].any),
			"%s is offered without a feature that it requires", needs[i].name);
}

/* Those that need CTRL_VQ are left out: a front-end may keep the control queue to itself, so a
 * back-end cannot tell. */
static void incomplete_refused(struct cf *c)
{
	uint64_t all;
	unsigned tried = 0;
	int r;

	if (!cf_begin(c, 0))
		return;
	all = cf_features(c, (UINT64_C(1) << 24) - 1);
	for (unsigned i = 0; i < NEEDS; i++) {
		if (!cf_offered(c, needs[i].bit) || needs[i].any == BIT(CTRL_VQ))
			continue;
		r = drv_begin(cf_dev(c), (all & ~needs[i].any) | DRV_FEATURE(needs[i].bit), 0);
		tried++;
		cf_check(c, r == DRV_REFUSED, "FEATURES_OK with %s, but not what it requires",
			needs[i].name);
	}
	if (!tried)
		cf_skip(c, "no feature that requires another one is offered");
}

/* The features that offloads depend on, in every combination that is complete. */
static void subsets_accepted(struct cf *c)
{
	static const uint64_t sets[] = {
		0,
		BIT(CSUM),
		BIT(GUEST_CSUM),
		BIT(CSUM) | BIT(HOST_TSO4),
		BIT(CSUM) | BIT(HOST_TSO6),
		BIT(CSUM) | BIT(HOST_TSO4) | BIT(HOST_ECN),
		BIT(GUEST_CSUM) | BIT(GUEST_TSO4),
		BIT(GUEST_CSUM) | BIT(GUEST_TSO6),
		BIT(GUEST_CSUM) | BIT(GUEST_TSO6) | BIT(GUEST_ECN),
		BIT(MRG_RXBUF),
		BIT(MTU),
		BIT(CTRL_VQ),
		BIT(CTRL_VQ) | BIT(CTRL_RX),
		BIT(CTRL_VQ) | BIT(CTRL_VLAN),
		BIT(CTRL_VQ) | BIT(CTRL_MAC_ADDR),
		BIT(CTRL_VQ) | BIT(CTRL_GUEST_OFFLOADS) | BIT(GUEST_CSUM),
		BIT(STATUS),
	};

	for (unsigned i = 0; i < sizeof(sets) / sizeof(*sets); i++)
		cf_begin(c, sets[i]);
}

/* Configuration. */

static bool hex_byte(const char *s, uint8_t *v)
{
	const char text[] = { '0', 'x', s[0], s[0] ? s[1] : 0, 0 };
	uint64_t n;

	if (!s[0] || !s[1] || !cf_number(text, &n))
		return false;
	*v = (uint8_t)n;
	return true;
}

static void check_mac_fact(struct cf *c, const uint8_t *mac)
{
	const char *fact = cf_fact(c, "mac");
	uint8_t want = 0;

	for (unsigned i = 0; fact && i < 6; i++, fact += 3) {
		if (!cf_check(c, hex_byte(fact, &want), "the fact mac is no address"))
			return;
		cf_check(
			c, mac[i] == want, "byte %u of mac is 0x%x, must be 0x%x", i, mac[i], want);
	}
}

static void config_mac(struct cf *c)
{
	uint8_t mac[6];

	if (!cf_begin(c, BIT(MAC)) ||
		!cf_check(c, !drv_config(cf_dev(c), NET_CONFIG_MAC, mac, 6), "mac cannot be read"))
		return;
	cf_check(c, !(mac[0] & 1), "mac begins with 0x%x, which is a group address", mac[0]);
	cf_check(c, !cf_filled(mac, 0, 6), "mac is 00:00:00:00:00:00");
	check_mac_fact(c, mac);
	cf_note(c, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void config_mtu(struct cf *c)
{
	const char *fact = cf_fact(c, "mtu");
	uint64_t mtu, want = 0;

	if (!cf_begin(c, BIT(MTU)))
		return;
	mtu = cf_config(c, NET_CONFIG_MTU, 2);
	cf_check(c, mtu >= 68, "mtu is %u, must be at least 68", (unsigned)mtu);
	if (fact && cf_check(c, cf_number(fact, &want), "the fact mtu is no number"))
		cf_eq(c, mtu, want, "mtu");
	cf_note(c, "mtu %u", (unsigned)mtu);
}

static void config_mtu_ipv6(struct cf *c)
{
	uint64_t mtu;

	if (!cf_begin(c, BIT(MTU)))
		return;
	mtu = cf_config(c, NET_CONFIG_MTU, 2);
	cf_check(c, mtu >= 1280, "mtu is %u, should be at least 1280", (unsigned)mtu);
}

static void config_mtu_constant(struct cf *c)
{
	struct nic_link l;
	uint64_t mtu;

	if (!nic_up_ready(c, &l, BIT(MTU), 0, 4))
		return;
	mtu = cf_config(c, NET_CONFIG_MTU, 2);
	if (!nic_pass(&l.dut, &l.peer, 60, 1) || !nic_pass(&l.peer, &l.dut, 60, 2))
		return;
	cf_eq(c, cf_config(c, NET_CONFIG_MTU, 2), mtu, "mtu after traffic");
	if (cf_begin(c, 0))
		cf_eq(c, cf_config(c, NET_CONFIG_MTU, 2), mtu, "mtu after a reset");
}

static void config_max_pairs(struct cf *c)
{
	uint64_t pairs;
	uint16_t max;

	if (!cf_begin(c, BIT(MQ) | BIT(CTRL_VQ)))
		return;
	pairs = cf_config(c, NET_CONFIG_MAX_PAIRS, 2);
	if (!cf_check(c, pairs >= 1 && pairs <= 0x8000,
		    "max_virtqueue_pairs is %u, must be 1 to 32768", (unsigned)pairs))
		return;
	for (unsigned q = 0; q <= 2 * pairs; q++) {
		int r = cf_dev(c)->ops->queue_max(cf_dev(c), (uint16_t)q, &max);

		cf_check(c, !r && max, "there is no queue %u, but %u pairs and a control queue", q,
			(unsigned)pairs);
	}
}

static void config_status(struct cf *c)
{
	struct nic_link l;
	uint64_t status;

	if (!nic_up_ready(c, &l, BIT(STATUS), 0, 4) || !nic_pass(&l.dut, &l.peer, 60, 1))
		return;
	status = cf_config(c, NET_CONFIG_STATUS, 2);
	cf_check(c, status & VIRTIO_NET_S_LINK_UP, "status is 0x%x while frames pass",
		(unsigned)status);
	cf_check(c, !(status & ~3u), "status is 0x%x, with unknown bits", (unsigned)status);
}

static void config_speed(struct cf *c)
{
	uint32_t speed;
	uint8_t duplex;

	if (!cf_begin(c, BIT(SPEED_DUPLEX)))
		return;
	speed = (uint32_t)cf_config(c, NET_CONFIG_SPEED, 4);
	duplex = (uint8_t)cf_config(c, NET_CONFIG_DUPLEX, 1);
	cf_check(c, speed <= 0x7fffffff || speed == UINT32_MAX, "speed is 0x%x", speed);
	cf_check(c, duplex <= 1 || duplex == 0xff, "duplex is 0x%x", duplex);
}

static void config_speed_constant(struct cf *c)
{
	struct nic_link l;
	uint64_t speed, duplex;

	if (!nic_up_ready(c, &l, BIT(SPEED_DUPLEX) | BIT(STATUS), 0, 4))
		return;
	speed = cf_config(c, NET_CONFIG_SPEED, 4);
	duplex = cf_config(c, NET_CONFIG_DUPLEX, 1);
	for (uint32_t i = 0; i < 8; i++)
		if (!nic_pass(&l.dut, &l.peer, 1000, i) || !nic_pass(&l.peer, &l.dut, 1000, i))
			return;
	cf_eq(c, cf_config(c, NET_CONFIG_SPEED, 4), speed, "speed after traffic");
	cf_eq(c, cf_config(c, NET_CONFIG_DUPLEX, 1), duplex, "duplex after traffic");
}

/* All fields are read-only (5.1.4); the address changes by a command only. */
static void config_write_ignored(struct cf *c)
{
	struct drv_dev *dev = cf_dev(c);
	uint8_t before[12], after[12], junk[12];
	struct drv_queue *q = cf_up(c, BIT(MAC) | BIT(STATUS) | BIT(MTU), 2);
	int r;

	if (!q || !cf_check(c, !drv_config(dev, 0, before, 12), "configuration cannot be read"))
		return;
	for (unsigned i = 0; i < 12; i++)
		junk[i] = (uint8_t)(before[i] ^ 0xff);
	r = dev->ops->config_write(dev, 0, junk, 12);
	if (r == DRV_UNSUPPORTED) {
		cf_skip(c, "the transport writes no configuration");
		return;
	}
	if (!cf_check(c, !drv_config(dev, 0, after, 12), "configuration cannot be read again"))
		return;
	for (unsigned i = 0; i < 12; i++)
		cf_check(c, before[i] == after[i],
			"configuration byte %u was 0x%x, is 0x%x after a write", i, before[i],
			after[i]);
	cf_must_go_on(c, cf_q(c, 1));
}

#define NET DRV_ID_NET

static void config_rss_key(struct cf *c)
{
	uint64_t size;

	if (!cf_offered(c, VIRTIO_NET_F_RSS) && !cf_offered(c, VIRTIO_NET_F_HASH_REPORT)) {
		cf_skip(c, "neither RSS nor HASH_REPORT is offered");
		return;
	}
	size = cf_config(c, NET_CONFIG_RSS_KEY, 1);
	cf_check(c, size >= 40, "rss_max_key_size is %llu, must be at least 40",
		(unsigned long long)size);
}

static void config_rss_table(struct cf *c)
{
	uint64_t length = cf_config(c, NET_CONFIG_RSS_TABLE, 2);

	cf_check(c, length >= 128, "rss_max_indirection_table_length is %llu, must be at least 128",
		(unsigned long long)length);
}

const struct cf_case cf_cases_net_config[] = {
	{ "net.features.offered_complete", "V2.2.2-1 V5.1.4.1-13 V5.1.4.1-14", offered_complete,
		NET },
	{ "net.features.incomplete_refused", "V2.2.2-3", incomplete_refused, NET,
		CF_STATUS | CF_HOSTILE },
	{ "net.features.subsets", "V2.2.2-2 V2.2.2-5", subsets_accepted, NET },
	{ "net.config.mac", "NET-1 NET-6", config_mac, NET, 0, BIT(MAC) },
	{ "net.config.mtu", "NET-5 V5.1.4.1-2", config_mtu, NET, 0, BIT(MTU) },
	{ "net.config.mtu_ipv6", "V5.1.4.1-3", config_mtu_ipv6, NET, 0, BIT(MTU) },
	{ "net.config.mtu_constant", "V5.1.4.1-4", config_mtu_constant, NET, CF_PEER, BIT(MTU) },
	{ "net.config.max_pairs", "V5.1.4.1-1", config_max_pairs, NET, 0, BIT(MQ) },
	{ "net.config.link_up", "NET-1", config_status, NET, CF_PEER, BIT(STATUS) },
	{ "net.config.speed", "V5.1.4.1-10 V5.1.4.1-11", config_speed, NET, 0, BIT(SPEED_DUPLEX) },
	{ "net.config.speed_constant", "V5.1.4.1-12", config_speed_constant, NET, CF_PEER,
		BIT(SPEED_DUPLEX) | BIT(STATUS) },
	{ "net.config.rss_key", "V5.1.4.1-7", config_rss_key, NET },
	{ "net.config.rss_table", "V5.1.4.1-8", config_rss_table, NET, 0, BIT(RSS) },
	{ "net.config.write_ignored", "ROB-16", config_write_ignored, NET, CF_HOSTILE, BIT(MAC) },
	{ 0 },
};
