/* SPDX-License-Identifier: BSD-3-Clause */
/* The network device (VIRTIO 1.4, 5.1): registration, configuration space, life cycle. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "base/util.h"
#include "devices/devices.h"
#include "devices/net_priv.h"

#define QUEUE_SIZE  1024u
#define DUPLEX_FULL 1u

/* struct virtio_net_config (5.1.4), up to what we offer. */
struct config {
	uint8_t mac[6];
	le16 status;
	le16 max_virtqueue_pairs;
	le16 mtu;
	le32 speed; /* Mbit/s */
	uint8_t duplex;
} __attribute__((packed));

static const struct opt opts[] = {
	{ .name = "mac",
		.type = OPT_MAC,
		.offset = offsetof(struct net, mac_key),
		.help = "the guest's address (default: made from the device's name)" },
	{ .name = "mtu",
		.type = OPT_U32,
		.offset = offsetof(struct net, mtu),
		.def = "1500",
		.min = 68,
		.max = 65535,
		.help = "longest packet, bytes" },
	{ .name = "queues",
		.type = OPT_U32,
		.offset = offsetof(struct net, pairs_max),
		.def = "1",
		.min = 1,
		.max = NET_PAIRS_MAX,
		.help = "pairs of a receive and a transmit queue" },
	{ .name = "speed",
		.type = OPT_U32,
		.offset = offsetof(struct net, speed),
		.def = "10000",
		.max = 0x7fffffff,
		.help = "link speed told to the guest, Mbit/s" },
	{ .name = "allowed-macs",
		.type = OPT_LIST,
		.offset = offsetof(struct net, allowed_macs),
		.help = "addresses the guest may take and send from besides its own (default: "
			"any)" },
	{ .name = "anti-spoof",
		.type = OPT_BOOL,
		.offset = offsetof(struct net, anti_spoof),
		.def = "false",
		.help = "only its own address and allowed-macs, even if that list is empty" },
	{ .name = "tap",
		.type = OPT_STR,
		.offset = offsetof(struct net, tap),
		.help = "tap interface of the host to connect to" },
	{ .name = "passt",
		.type = OPT_BOOL,
		.offset = offsetof(struct net, passt),
		.def = "false",
		.help = "user-mode network of the host, by a passt of its own" },
	{ .name = "passt-socket",
		.type = OPT_PATH,
		.offset = offsetof(struct net, passt_socket),
		.help = "the same by the passt that listens on this socket" },
	{ .name = "vlan",
		.type = OPT_U32,
		.offset = offsetof(struct net, port.vlan),
		.max = SWITCH_VLAN_MAX,
		.help = "switch: VLAN of untagged frames; 0: VLAN 1, or none if there is a trunk" },
	{ .name = "trunk",
		.type = OPT_LIST,
		.offset = offsetof(struct net, port.trunk),
		.help = "switch: VLANs that pass tagged, as in 10,20-29" },
	{ .name = "pcp",
		.type = OPT_U32,
		.offset = offsetof(struct net, port.pcp),
		.max = 7,
		.help = "switch: priority (802.1Q PCP) of untagged frames" },
	{ .name = "rate-in",
		.type = OPT_U64,
		.offset = offsetof(struct net, port.rate_in),
		.max = 1000000000,
		.help = "switch: most taken from the guest, kbit/s; 0: no limit" },
	{ .name = "rate-out",
		.type = OPT_U64,
		.offset = offsetof(struct net, port.rate_out),
		.max = 1000000000,
		.help = "switch: most sent to the guest, kbit/s; 0: no limit" },
	{ .name = "burst",
		.type = OPT_SIZE,
		.offset = offsetof(struct net, port.burst),
		.def = SWITCH_BURST,
		.min = 2048,
		.max = 1 << 30,
		.help = "switch: bytes above the rates in one go" },
	{ .name = "flood-rate",
		.type = OPT_U32,
		.offset = offsetof(struct net, port.flood_rate),
		.help = "switch: most frames per second to all ports; 0: no limit" },
	{ .name = "queue",
		.type = OPT_SIZE,
		.offset = offsetof(struct net, port.queue),
		.def = SWITCH_QUEUE,
		.min = 128 << 10,
		.max = 64 << 20,
		.help = "switch: bytes per priority kept while the guest has no room" },
	{ .name = "static-macs",
		.type = OPT_LIST,
		.offset = offsetof(struct net, port.static_macs),
		.help = "switch: addresses that live here and nowhere else" },
	{ .name = "deny-macs",
		.type = OPT_LIST,
		.offset = offsetof(struct net, port.deny_macs),
		.help = "switch: addresses the guest neither sends from nor to" },
	OPT_END,
};

static const struct vdev_metric metrics[] = {
	{ "rx_frames", offsetof(struct net, rx_frames), "frames given to the guest" },
	{ "rx_bytes", offsetof(struct net, rx_bytes), "bytes of them" },
	{ "rx_filtered", offsetof(struct net, rx_filtered), "frames the guest did not want" },
	{ "rx_too_long", offsetof(struct net, rx_too_long), "frames above the MTU or the buffers" },
	{ "rx_no_buffer", offsetof(struct net, rx_no_buffer), "times the guest had no buffer" },
	{ "tx_frames", offsetof(struct net, tx_frames), "frames taken from the guest" },
	{ "tx_bytes", offsetof(struct net, tx_bytes), "bytes of them" },
	{ "tx_malformed", offsetof(struct net, tx_malformed), "frames with a wrong header" },
	{ "tx_spoofed", offsetof(struct net, tx_spoofed), "frames from an address not allowed" },
	{ "tx_too_long", offsetof(struct net, tx_too_long), "frames above the MTU" },
	{ "tx_no_carrier", offsetof(struct net, tx_no_carrier), "frames with nobody to take them" },
	{ "ctrl_commands", offsetof(struct net, ctrl_commands), "control commands" },
	{ "ctrl_refused", offsetof(struct net, ctrl_refused), "control commands refused" },
	{ NULL, 0, NULL },
};

/* A passt that was away is connected to again. */
static const struct vdev_sandbox sandbox = {
	.syscalls = (const char *const[]){ "socket", "connect", NULL },
	.paths = (const char *const[]){ "passt-socket", NULL },
};

void net_attach(struct vdev *dev, struct netport *end)
{
	net_of(dev)->carrier = end;
}

const struct switch_port_config *net_port_config(const struct vdev *dev)
{
	return &container_of(dev, const struct net, dev)->port;
}

/* A locally administered address that stays the same as long as the name does (FNV-1a). */
static void derive_mac(uint8_t mac[6], const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	mac[0] = 0x02;
	for (unsigned i = 1; i < 6; i++)
		mac[i] = (uint8_t)(hash >> (8 * i));
}

static int set_addresses(struct net *n, struct err *e)
{
	if (n->mac_key.set)
		memcpy(n->own_mac, n->mac_key.addr, 6);
	else
		derive_mac(n->own_mac, n->dev.log ? n->dev.log->name : "");
	if (n->own_mac[0] & 1)
		return err_set(e, -EINVAL,
			"mac is a group address: the first byte of a guest's address is even");
	n->check_source = n->anti_spoof || n->allowed_macs.n;
	if (n->allowed_macs.n > NET_ALLOWED_MAX)
		return err_set(e, -EINVAL, "allowed-macs has %u addresses, at most %u work",
			n->allowed_macs.n, NET_ALLOWED_MAX);
	n->allowed = calloc(n->allowed_macs.n + 1, sizeof(*n->allowed));
	if (!n->allowed)
		return err_set(e, -ENOMEM, "out of memory");
	for (; n->nallowed < n->allowed_macs.n; n->nallowed++)
		if (opt_parse_mac(n->allowed_macs.v[n->nallowed], n->allowed[n->nallowed]))
			return err_set(e, -EINVAL,
				"'%.32s' in allowed-macs is no address: six hexadecimal bytes, as "
				"in "
				"52:54:00:12:34:56",
				n->allowed_macs.v[n->nallowed]);
	return 0;
}

/* True if a key was set that only a switch port can honour. */
static bool wants_switch(const struct net *n)
{
	const struct switch_port_config *p = &n->port;

	return p->vlan || p->trunk.n || p->pcp || p->rate_in || p->rate_out || p->flood_rate ||
	       p->static_macs.n || p->deny_macs.n;
}

static int open_carrier(struct net *n, struct err *e)
{
	char spec[160] = "none";
	int ret;

	if (n->carrier) {
		netport_connect(&n->end, n->carrier);
		return 0;
	}
	if (wants_switch(n))
		return err_set(e, -EINVAL,
			"vlan, trunk and the other keys of a switch port need a switch");
	if (!!n->tap + n->passt + !!n->passt_socket > 1)
		return err_set(e, -EINVAL, "a device has one carrier: tap, passt or passt-socket");
	if (n->tap)
		snprintf(spec, sizeof(spec), "tap:%s", n->tap);
	else if (n->passt_socket)
		snprintf(spec, sizeof(spec), "passt:%s", n->passt_socket);
	else if (n->passt)
		snprintf(spec, sizeof(spec), "passt");
	ret = uplink_open(&n->uplink, spec, n->dev.loop, n->dev.log, e);
	if (!ret && uplink_end(&n->uplink))
		netport_connect(&n->end, uplink_end(&n->uplink));
	return ret;
}

static void net_defaults(struct net *n)
{
	memcpy(n->mac, n->own_mac, 6);
	n->announce = false;
	n->mrg = false;
	n->served = false;
	n->ctrl_queue = 2;
	n->pairs = 1;
	n->offloads = 0;
	n->filter = (struct net_filter){ .promisc = true };
	memset(n->flows, 0, sizeof(n->flows));
	net_update_accepts(n);
}

static void net_finish(struct vdev *dev)
{
	struct net *n = net_of(dev);

	netport_disconnect(&n->end);
	uplink_close(&n->uplink);
	ev_task_cancel(&n->more_task);
	ev_task_cancel(&n->rx_task);
	free(n->allowed);
	n->allowed = NULL;
}

/* Queues whose share of the last round was used up. */
static void more_task(void *arg)
{
	struct net *n = arg;
	uint64_t queues = n->more;

	for (n->more = 0; queues; queues &= queues - 1) {
		unsigned q = (unsigned)__builtin_ctzll(queues);

		vdev_kick(&n->dev, q);
	}
}

static int net_init(struct vdev *dev, struct err *e)
{
	struct net *n = net_of(dev);
	int ret;

	ev_task_init(dev->loop, &n->more_task, more_task, n);
	ev_task_init(dev->loop, &n->rx_task, net_rx_task, n);
	n->end.ops = &net_port_ops;
	ret = set_addresses(n, e);
	if (!ret)
		ret = open_carrier(n, e);
	if (ret) {
		net_finish(dev);
		return ret;
	}
	net_defaults(n);
	dev->features = FEATURE(VIRTIO_NET_F_CSUM) | FEATURE(VIRTIO_NET_F_GUEST_CSUM) |
			FEATURE(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | FEATURE(VIRTIO_NET_F_MTU) |
			FEATURE(VIRTIO_NET_F_MAC) | FEATURE(VIRTIO_NET_F_GUEST_TSO4) |
			FEATURE(VIRTIO_NET_F_GUEST_TSO6) | FEATURE(VIRTIO_NET_F_GUEST_ECN) |
			FEATURE(VIRTIO_NET_F_HOST_TSO4) | FEATURE(VIRTIO_NET_F_HOST_TSO6) |
			FEATURE(VIRTIO_NET_F_HOST_ECN) | FEATURE(VIRTIO_NET_F_MRG_RXBUF) |
			FEATURE(VIRTIO_NET_F_STATUS) | FEATURE(VIRTIO_NET_F_CTRL_VQ) |
			FEATURE(VIRTIO_NET_F_CTRL_RX) | FEATURE(VIRTIO_NET_F_CTRL_VLAN) |
			FEATURE(VIRTIO_NET_F_CTRL_RX_EXTRA) | FEATURE(VIRTIO_NET_F_GUEST_ANNOUNCE) |
			FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR) | FEATURE(VIRTIO_NET_F_SPEED_DUPLEX);
	if (n->pairs_max > 1)
		dev->features |= FEATURE(VIRTIO_NET_F_MQ);
	dev->nqueues = (uint16_t)(2 * n->pairs_max + 1);
	dev->queue_size_max = QUEUE_SIZE;
	dev->config_len = sizeof(struct config);
	return 0;
}

/* Features that need others (5.1.3.1). Those that need CTRL_VQ are not checked: a vhost-user
 * front-end may keep the control queue to itself. */
static int net_features_ok(struct vdev *dev)
{
	const uint64_t tso = FEATURE(VIRTIO_NET_F_GUEST_TSO4) | FEATURE(VIRTIO_NET_F_GUEST_TSO6);
	const uint64_t host_tso = FEATURE(VIRTIO_NET_F_HOST_TSO4) | FEATURE(VIRTIO_NET_F_HOST_TSO6);
	struct net *n = net_of(dev);
	uint64_t f = dev->negotiated;

	if ((f & tso) && !vdev_has(dev, VIRTIO_NET_F_GUEST_CSUM))
		return -EINVAL;
	if (vdev_has(dev, VIRTIO_NET_F_GUEST_ECN) && !(f & tso))
		return -EINVAL;
	if ((f & host_tso) && !vdev_has(dev, VIRTIO_NET_F_CSUM))
		return -EINVAL;
	if (vdev_has(dev, VIRTIO_NET_F_HOST_ECN) && !(f & host_tso))
		return -EINVAL;
	net_defaults(n);
	n->mrg = vdev_has(dev, VIRTIO_NET_F_MRG_RXBUF);
	n->ctrl_queue = vdev_has(dev, VIRTIO_NET_F_MQ) ? 2 * n->pairs_max : 2;
	n->filter.promisc = !vdev_has(dev, VIRTIO_NET_F_CTRL_RX);
	n->offloads =
		f & (tso | FEATURE(VIRTIO_NET_F_GUEST_CSUM) | FEATURE(VIRTIO_NET_F_GUEST_ECN));
	net_update_accepts(n);
	return 0;
}

static bool is_receive(const struct net *n, unsigned q)
{
	return q < n->ctrl_queue && q % 2 == 0;
}

static bool other_receive_queue(const struct net *n, unsigned stopping)
{
	for (unsigned q = 0; q < 2 * n->pairs_max; q += 2)
		if (q != stopping && n->dev.queues[q] && vq_running(n->dev.queues[q]))
			return true;
	return false;
}

static void net_reset(struct vdev *dev)
{
	struct net *n = net_of(dev);

	netport_set_up(&n->end, false);
	n->more = n->tx_stuck = n->rx_dirty = n->rx_empty = 0;
	n->rx_retry = false;
	n->rx_filled = n->rx_taken = 0;
	net_defaults(n);
}

static void net_queue_started(struct vdev *dev, unsigned q)
{
	struct net *n = net_of(dev);

	if (!vq_resumed(dev->queues[q])) {
		n->served = true;
	} else if (!n->served) {
		n->filter.lost_addresses = true;
		n->filter.lost_vlans = true;
	}
	if (is_receive(n, q))
		netport_set_up(&n->end, true);
}

static void net_queue_stop(struct vdev *dev, unsigned q)
{
	struct net *n = net_of(dev);

	net_queue_quiet(n, q);
	if (is_receive(n, q) && !other_receive_queue(n, q))
		netport_set_up(&n->end, false);
}

static void net_kick(struct vdev *dev, unsigned q)
{
	struct net *n = net_of(dev);

	if (q == n->ctrl_queue)
		net_ctrl(n, q);
	else if (q % 2)
		net_tx(n, q);
	else
		net_rx_refilled(n, q);
}

static bool link_up(const struct net *n)
{
	return netport_peer_up(&n->end);
}

void net_link_changed(struct net *n)
{
	if (link_up(n) && (n->dev.status & VIRTIO_S_DRIVER_OK) &&
		vdev_has(&n->dev, VIRTIO_NET_F_GUEST_ANNOUNCE))
		n->announce = true;
	if (n->dev.host)
		vdev_config_changed(&n->dev);
}

static void net_config_read(struct vdev *dev, uint32_t offset, void *buf, uint32_t len)
{
	struct net *n = net_of(dev);
	struct config c = {
		.status = htole16((uint16_t)((link_up(n) ? VIRTIO_NET_S_LINK_UP : 0) |
					     (n->announce ? VIRTIO_NET_S_ANNOUNCE : 0))),
		.max_virtqueue_pairs = htole16((uint16_t)n->pairs_max),
		.mtu = htole16((uint16_t)n->mtu),
		.speed = htole32(n->speed),
		.duplex = DUPLEX_FULL,
	};

	memcpy(c.mac, n->mac, 6);
	memcpy(buf, (const uint8_t *)&c + offset, len);
}

const struct vdev_class vdev_net = {
	.name = "net",
	.id = 1,
	.pci_class = 0x020000,
	.summary = "network card: switch port, tap interface or passt",
	.size = sizeof(struct net),
	.opts = opts,
	.metrics = metrics,
	.sandbox = &sandbox,
	.init = net_init,
	.finish = net_finish,
	.features_ok = net_features_ok,
	.reset = net_reset,
	.queue_started = net_queue_started,
	.queue_stop = net_queue_stop,
	.kick = net_kick,
	.config_read = net_config_read,
};
