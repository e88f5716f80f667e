/* SPDX-License-Identifier: BSD-3-Clause */
/* The network device's control queue (VIRTIO 1.4, 5.1.9.5). */
#include <errno.h>
#include <string.h>

#include "base/le.h"
#include "base/util.h"
#include "devices/net_priv.h"

#define ACK_OK	0u
#define ACK_ERR 1u

#define CLASS_RX       0u
#define CLASS_MAC      1u
#define CLASS_VLAN     2u
#define CLASS_ANNOUNCE 3u
#define CLASS_MQ       4u
#define CLASS_OFFLOADS 5u

#define RX_PROMISC  0u
#define RX_ALLMULTI 1u
#define RX_ALLUNI   2u
#define RX_NOMULTI  3u
#define RX_NOUNI    4u
#define RX_NOBCAST  5u

#define MAC_TABLE_SET 0u
#define MAC_ADDR_SET  1u
#define VLAN_ADD      0u
#define VLAN_DEL      1u

#define BUDGET 64u /* commands before others have their turn */

/* One command: what follows class and command is in `data`, `len` bytes that were not read yet. */
struct command {
	uint8_t class, command;
	uint64_t len;
	struct iov_iter data;
};

/* Reads data of exactly this length. */
static bool read_exactly(struct command *c, void *to, size_t len)
{
	return c->len == len && iov_read(&c->data, to, len) == len;
}

/* A handler returns true for VIRTIO_NET_OK. */

static bool rx_command(struct net *n, struct command *c)
{
	struct net_filter *r = &n->filter;
	uint8_t on;

	if (!vdev_has(&n->dev, VIRTIO_NET_F_CTRL_RX) || !read_exactly(c, &on, 1) || on > 1)
		return false;
	if (c->command >= RX_ALLUNI && !vdev_has(&n->dev, VIRTIO_NET_F_CTRL_RX_EXTRA))
		return false;
	switch (c->command) {
	case RX_PROMISC:
		r->promisc = on;
		return true;
	case RX_ALLMULTI:
		r->allmulti = on;
		return true;
	case RX_ALLUNI:
		r->alluni = on;
		return true;
	case RX_NOMULTI:
		r->nomulti = on;
		return true;
	case RX_NOUNI:
		r->nouni = on;
		return true;
	case RX_NOBCAST:
		r->nobcast = on;
		return true;
	default:
		return false;
	}
}

/* One of the two tables: false if it is not all there. A table too long for us means that
 * everything of its kind passes (5.1.9.5.2, footnote). */
static bool read_table(struct command *c, uint8_t (*table)[6], unsigned *count, bool *overflow)
{
	le32 entries;
	uint64_t bytes;

	if (c->len < sizeof(entries) || iov_read(&c->data, &entries, 4) != 4)
		return false;
	c->len -= 4;
	bytes = (uint64_t)le32toh(entries) * 6;
	if (bytes > c->len)
		return false;
	c->len -= bytes;
	*overflow = bytes > NET_FILTER_MAX * 6;
	*count = *overflow ? 0 : le32toh(entries);
	if (*overflow)
		return iov_skip(&c->data, bytes) == bytes;
	return iov_read(&c->data, table, bytes) == bytes;
}

static bool set_tables(struct net *n, struct command *c)
{
	struct net_filter r = n->filter;

	if (!vdev_has(&n->dev, VIRTIO_NET_F_CTRL_RX))
		return false;
	if (!read_table(c, r.uni, &r.nuni, &r.uni_overflow) ||
		!read_table(c, r.multi, &r.nmulti, &r.multi_overflow) || c->len)
		return false;
	r.lost_addresses = false;
	n->filter = r;
	return true;
}

static bool set_address(struct net *n, struct command *c)
{
	uint8_t mac[6];

	if (!vdev_has(&n->dev, VIRTIO_NET_F_CTRL_MAC_ADDR) || !read_exactly(c, mac, 6) ||
		(mac[0] & 1))
		return false;
	if (n->check_source && !net_may_use(n, mac)) {
		if (log_allowed(&n->ctrl_limit, 1))
			log_warn(n->dev.log,
				"refused the guest address %02x:%02x:%02x:%02x:%02x:%02x: not in "
				"allowed-macs",
				mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
		return false;
	}
	memcpy(n->mac, mac, 6);
	n->dev.generation++; /* the driver knows; only a half-read old address must show */
	return true;
}

static bool mac_command(struct net *n, struct command *c)
{
	switch (c->command) {
	case MAC_TABLE_SET:
		return set_tables(n, c);
	case MAC_ADDR_SET:
		return set_address(n, c);
	default:
		return false;
	}
}

static bool vlan_command(struct net *n, struct command *c)
{
	uint64_t bit;
	le16 wire;
	uint16_t vid;

	if (!vdev_has(&n->dev, VIRTIO_NET_F_CTRL_VLAN) || !read_exactly(c, &wire, 2))
		return false;
	vid = le16toh(wire);
	if (vid >= 4096 || c->command > VLAN_DEL)
		return false;
	bit = UINT64_C(1) << (vid % 64);
	if (c->command == VLAN_ADD)
		n->filter.vlans[vid / 64] |= bit;
	else
		n->filter.vlans[vid / 64] &= ~bit;
	return true;
}

static bool announce_command(struct net *n, struct command *c)
{
	if (!vdev_has(&n->dev, VIRTIO_NET_F_GUEST_ANNOUNCE) || c->command || c->len)
		return false;
	n->announce = false;
	return true;
}

static bool mq_command(struct net *n, struct command *c)
{
	le16 wire;
	uint16_t pairs;

	if (!vdev_has(&n->dev, VIRTIO_NET_F_MQ) || c->command || !read_exactly(c, &wire, 2))
		return false;
	pairs = le16toh(wire);
	if (!pairs || pairs > n->pairs_max)
		return false;
	n->pairs = pairs;
	net_rx_retry(n);
	return true;
}

static bool offloads_command(struct net *n, struct command *c)
{
	const uint64_t known = FEATURE(VIRTIO_NET_F_GUEST_CSUM) | FEATURE(VIRTIO_NET_F_GUEST_TSO4) |
			       FEATURE(VIRTIO_NET_F_GUEST_TSO6) | FEATURE(VIRTIO_NET_F_GUEST_ECN);
	le64 wire;
	uint64_t on;

	if (!vdev_has(&n->dev, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) || c->command ||
		!read_exactly(c, &wire, 8))
		return false;
	on = le64toh(wire);
	if (on & ~(n->dev.negotiated & known))
		return false;
	n->offloads = on;
	net_update_accepts(n);
	return true;
}

static bool run(struct net *n, struct command *c)
{
	switch (c->class) {
	case CLASS_RX:
		return rx_command(n, c);
	case CLASS_MAC:
		return mac_command(n, c);
	case CLASS_VLAN:
		return vlan_command(n, c);
	case CLASS_ANNOUNCE:
		return announce_command(n, c);
	case CLASS_MQ:
		return mq_command(n, c);
	case CLASS_OFFLOADS:
		return offloads_command(n, c);
	default:
		return false;
	}
}

static void serve(struct net *n, struct vq *vq, struct vq_chain *chain)
{
	struct command c = { .len = chain->out_len };
	uint8_t what[2], ack;
	struct iov_iter to;

	if (!chain->in_len) {
		vq_set_broken(vq, "control command without room for its ack (5.1.9.5)");
		return;
	}
	n->ctrl_commands++;
	iov_iter_init(&c.data, chain->iov, chain->n_out);
	ack = ACK_ERR;
	if (c.len >= 2 && iov_read(&c.data, what, 2) == 2) {
		c.class = what[0];
		c.command = what[1];
		c.len -= 2;
		ack = run(n, &c) ? ACK_OK : ACK_ERR;
	}
	n->ctrl_refused += ack == ACK_ERR;
	iov_iter_init(&to, vq_in(chain), chain->n_in);
	iov_write(&to, &ack, 1);
	vq_push(vq, chain, 1);
}

void net_ctrl(struct net *n, unsigned q)
{
	struct vq *vq = n->dev.queues[q];
	struct vq_chain *chain;
	unsigned served = 0;

	vq_disable_kick(vq);
	do {
		while (served < BUDGET && !vq_broken(vq) && vq_pop(vq, &chain) > 0) {
			serve(n, vq, chain);
			served++;
		}
		vq_flush(vq);
		if (served == BUDGET) {
			net_continue(n, q);
			return;
		}
	} while (!vq_broken(vq) && vq_enable_kick(vq));
}
