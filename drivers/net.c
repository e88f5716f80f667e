/* SPDX-License-Identifier: BSD-3-Clause */
/* Network device. See net.h. */
#include "net.h"

#define TIMEOUT_NS   UINT64_C(1000000000)
#define BUFFERS	     16u
#define MTU_DEFAULT  1500u
#define HEADER	     14u /* of Ethernet */
#define TAG	     4u	 /* of a VLAN */
#define MRG_LEN	     2048u
#define HDR_GSO	     1u
#define HDR_NBUFFERS 10u

/* Offsets in the configuration (5.1.4). */
enum {
	MAC = 0,
	STATUS = 6,
	MAX_PAIRS = 8,
	MTU = 10,
};

static int read_config(struct drv_net *n, uint16_t pairs, uint16_t *max_pairs)
{
	int r = 0;

	n->mtu = MTU_DEFAULT;
	*max_pairs = 1;
	if (drv_has(n->dev, VIRTIO_NET_F_MAC))
		r = drv_config(n->dev, MAC, n->mac, 6);
	if (!r && drv_has(n->dev, VIRTIO_NET_F_MTU))
		r = drv_config(n->dev, MTU, &n->mtu, 2);
	if (!r && drv_has(n->dev, VIRTIO_NET_F_MQ))
		r = drv_config(n->dev, MAX_PAIRS, max_pairs, 2);
	/* 5.1.4.1; with 0x8000 pairs the control queue would have no index. */
	if (!r && (n->mtu < 68 || !*max_pairs || *max_pairs > 0x7fff))
		r = DRV_BROKEN;
	n->pairs = pairs < *max_pairs ? pairs : *max_pairs;
	return r;
}

/* Receive buffers take a whole frame, or with MRG_RXBUF all of them together do. */
static int open_queues(struct drv_net *n, uint16_t max_pairs, uint16_t buffers)
{
	uint32_t frame = (DRV_NET_HDR_LEN + n->mtu + HEADER + TAG + 15u) & ~15u, rx_len = frame;
	uint32_t part = (frame / buffers + 16u) & ~15u;
	int r = 0;

	if (drv_has(n->dev, VIRTIO_NET_F_MRG_RXBUF) && frame > MRG_LEN)
		rx_len = part > MRG_LEN ? part : MRG_LEN;
	for (uint16_t i = 0; !r && i < n->pairs; i++) {
		r = drv_pool_open(&n->rx[i], n->dev, 2 * i, buffers, 1, rx_len);
		if (!r)
			r = drv_pool_open(&n->tx[i], n->dev, 2 * i + 1, buffers, 1, frame);
	}
	if (!r && drv_has(n->dev, VIRTIO_NET_F_CTRL_VQ))
		r = drv_req_queue(&n->ctrl, n->dev, 2 * max_pairs, DRV_NET_CTRL_MAX + 3);
	return r;
}

int drv_net_open(struct drv_net *n, struct drv_dev *dev, uint16_t pairs, uint16_t buffers)
{
	uint64_t want = DRV_COMMON_FEATURES | DRV_FEATURE(VIRTIO_NET_F_MTU) |
			DRV_FEATURE(VIRTIO_NET_F_MAC) | DRV_FEATURE(VIRTIO_NET_F_MRG_RXBUF) |
			DRV_FEATURE(VIRTIO_NET_F_STATUS) | DRV_FEATURE(VIRTIO_NET_F_CTRL_VQ) |
			DRV_FEATURE(VIRTIO_NET_F_CTRL_RX) | DRV_FEATURE(VIRTIO_NET_F_CTRL_VLAN) |
			DRV_FEATURE(VIRTIO_NET_F_CTRL_RX_EXTRA) |
			DRV_FEATURE(VIRTIO_NET_F_GUEST_ANNOUNCE) |
			DRV_FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR);
	uint16_t max_pairs;
	int r;

	if (dev->id != DRV_ID_NET || !pairs || pairs > DRV_NET_PAIRS_MAX || buffers > DRV_POOL_MAX)
		return DRV_INVALID;
	*n = (struct drv_net){ .dev = dev, .timeout = TIMEOUT_NS };
	r = drv_begin(dev, want | (pairs > 1 ? DRV_FEATURE(VIRTIO_NET_F_MQ) : 0), 0);
	if (!r)
		r = read_config(n, pairs, &max_pairs);
	if (!r)
		r = open_queues(n, max_pairs, buffers ? buffers : BUFFERS);
	if (!r)
		r = drv_run(dev);
	for (unsigned i = 0; !r && i < n->pairs; i++)
		r = drv_pool_fill(&n->rx[i]);
	if (!r && n->pairs > 1)
		r = drv_net_ctrl(
			n, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &n->pairs, 2);
	return r;
}

int drv_net_send(struct drv_net *n, unsigned pair, const void *frame, uint32_t len, uint64_t until)
{
	const uint8_t *f = frame;
	uint8_t *buf;
	int r;

	if (pair >= n->pairs || len < HEADER)
		return DRV_INVALID;
	if (len > n->mtu + HEADER + (f[12] == 0x81 && f[13] == 0 ? TAG : 0))
		return DRV_INVALID;
	r = drv_pool_get(&n->tx[pair], &buf, until);
	if (r)
		return r;
	__builtin_memset(buf, 0, DRV_NET_HDR_LEN);
	__builtin_memcpy(buf + DRV_NET_HDR_LEN, frame, len);
	return drv_pool_offer(&n->tx[pair], buf, DRV_NET_HDR_LEN + len, 0);
}

int drv_net_drain(struct drv_net *n, unsigned pair, uint64_t until)
{
	struct drv_pool *p = &n->tx[pair < n->pairs ? pair : 0];
	uint32_t ignored;
	uint8_t *buf;
	int r = pair < n->pairs ? 0 : DRV_INVALID;

	while (!r && p->nfree < p->n) {
		r = drv_pool_take(p, &buf, &ignored, until);
		if (!r)
			drv_pool_free(p, buf);
	}
	return r;
}

/* Copies what fits of a piece of a frame. */
static void append(void *frame, uint32_t size, uint32_t at, const uint8_t *p, uint32_t len)
{
	if (at < size && len)
		__builtin_memcpy((uint8_t *)frame + at, p, len < size - at ? len : size - at);
}

/* How many buffers a frame takes (5.1.9.4); 0 if the header makes no sense. No offload was agreed,
 * so there is no GSO. */
static unsigned buffers_of(const struct drv_net *n, const uint8_t *buf, uint32_t len)
{
	unsigned count = 1;

	if (len < DRV_NET_HDR_LEN || buf[HDR_GSO])
		return 0;
	if (drv_has(n->dev, VIRTIO_NET_F_MRG_RXBUF))
		count = buf[HDR_NBUFFERS] | (unsigned)buf[HDR_NBUFFERS + 1] << 8;
	return count <= n->rx[0].n ? count : 0;
}

static int give_back(struct drv_pool *p, uint8_t *buf)
{
	return drv_pool_offer(p, buf, 0, p->len);
}

/* DRV_ERROR: something came, and was dropped. */
static int recv_one(struct drv_net *n, struct drv_pool *p, void *frame, uint32_t size,
	uint32_t *len, uint64_t until)
{
	uint32_t part, at = 0;
	unsigned count;
	uint8_t *buf;
	int r = drv_pool_take(p, &buf, &part, until);

	if (r)
		return r;
	count = buffers_of(n, buf, part);
	if (count) {
		at = part - DRV_NET_HDR_LEN;
		append(frame, size, 0, buf + DRV_NET_HDR_LEN, at);
	}
	r = give_back(p, buf);
	for (unsigned i = 1; !r && i < count; i++) {
		/* The rest is used together with the first (5.1.9.3.2). */
		r = drv_pool_take(p, &buf, &part, drv_now(n->dev) + n->timeout);
		if (r)
			return r == DRV_TIMEOUT ? DRV_BROKEN : r;
		append(frame, size, at, buf, part);
		at += part;
		r = give_back(p, buf);
	}
	*len = at;
	return r ? r : !count ? DRV_ERROR : at > size ? DRV_NO_MEMORY : 0;
}

int drv_net_recv(
	struct drv_net *n, unsigned pair, void *frame, uint32_t size, uint32_t *len, uint64_t until)
{
	int r;

	if (pair >= n->pairs)
		return DRV_INVALID;
	do {
		r = recv_one(n, &n->rx[pair], frame, size, len, until);
		n->dropped += r == DRV_ERROR || r == DRV_NO_MEMORY;
	} while (r == DRV_ERROR && drv_now(n->dev) <= until);
	return r == DRV_ERROR ? DRV_TIMEOUT : r;
}

int drv_net_status(struct drv_net *n, uint16_t *status)
{
	*status = VIRTIO_NET_S_LINK_UP;
	return drv_has(n->dev, VIRTIO_NET_F_STATUS) ? drv_config(n->dev, STATUS, status, 2) : 0;
}

/* Control queue. */

int drv_net_ctrl(struct drv_net *n, uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	uint8_t out[2 + DRV_NET_CTRL_MAX] = { class, cmd }, ack = 0xff;
	uint32_t used;
	int r;

	if (!drv_has(n->dev, VIRTIO_NET_F_CTRL_VQ))
		return DRV_UNSUPPORTED;
	if (len > DRV_NET_CTRL_MAX)
		return DRV_INVALID;
	if (len)
		__builtin_memcpy(out + 2, data, len);
	r = drv_req_do(&n->ctrl, out, 2 + len, &ack, 1, &used, drv_now(n->dev) + n->timeout);
	if (r)
		return r;
	return used != 1 ? DRV_BROKEN : ack ? DRV_ERROR : 0;
}

/* A command that comes with a feature of its own. */
static int ctrl(struct drv_net *n, unsigned feature, uint8_t class, uint8_t cmd, const void *data,
	uint32_t len)
{
	return drv_has(n->dev, feature) ? drv_net_ctrl(n, class, cmd, data, len) : DRV_UNSUPPORTED;
}

int drv_net_set_mac(struct drv_net *n, const uint8_t mac[6])
{
	return ctrl(n, VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_CTRL_MAC,
		VIRTIO_NET_CTRL_MAC_ADDR_SET, mac, 6);
}

int drv_net_rx_mode(struct drv_net *n, uint8_t mode, bool on)
{
	bool extra = mode > VIRTIO_NET_CTRL_RX_ALLMULTI;
	uint8_t v = on;

	return ctrl(n, extra ? VIRTIO_NET_F_CTRL_RX_EXTRA : VIRTIO_NET_F_CTRL_RX,
		VIRTIO_NET_CTRL_RX, mode, &v, 1);
}

int drv_net_vlan(struct drv_net *n, uint16_t vid, bool on)
{
	return ctrl(n, VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN,
		on ? VIRTIO_NET_CTRL_VLAN_ADD : VIRTIO_NET_CTRL_VLAN_DEL, &vid, 2);
}

int drv_net_mac_table(struct drv_net *n, const uint8_t (*macs)[6], unsigned n_uni, unsigned n_multi)
{
	uint32_t counts[2] = { n_uni, n_multi };
	uint8_t data[DRV_NET_CTRL_MAX], *p = data;

	if (n_uni > DRV_NET_CTRL_MAX || n_multi > DRV_NET_CTRL_MAX ||
		8 + 6 * (n_uni + n_multi) > DRV_NET_CTRL_MAX)
		return DRV_INVALID;
	for (unsigned i = 0; i < 2; macs += counts[i++]) {
		__builtin_memcpy(p, &counts[i], 4);
		__builtin_memcpy(p + 4, macs, 6 * counts[i]);
		p += 4 + 6 * counts[i];
	}
	return ctrl(n, VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET,
		data, (uint32_t)(p - data));
}

int drv_net_announced(struct drv_net *n)
{
	return ctrl(n, VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE,
		VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0);
}
