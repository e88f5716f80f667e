/* SPDX-License-Identifier: BSD-3-Clause */
/* The network device's frames: from the transmit queues to the carrier, and from the carrier
 * through the guest's filter into the receive queues (VIRTIO 1.4, 5.1.9.2 to 5.1.9.4). */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "devices/net_priv.h"
#include "host/netoffload.h"

#define HDR_LEN	   ((uint32_t)sizeof(struct net_hdr))
#define BUDGET	   256u	 /* frames of one queue before others have their turn */
#define SEGMENTS   64u	 /* pieces to be cut from a frame that count as another one */
#define TX_AHEAD   4u	 /* frames that are fetched from memory before their turn, */
#define FETCH_MAX  1536u /* and as many bytes of each */
#define RX_AHEAD   2u	 /* receive buffers that are fetched before their turn, */
#define LONG_FRAME 256u	 /* for frames of so many bytes */
#define MERGE_MAX  64u	 /* receive buffers one frame may be spread over */
#define PROTO_TCP  6u
#define PROTO_UDP  17u

/* Steering. */

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

/* A slot for the flow of a frame, the same in both directions. */
static unsigned flow_of(const struct net_frame *f)
{
	const uint8_t *p = f->head;
	struct net_layers l;
	uint64_t hash = 0;

	net_layers(&l, p, f->head_len);
	if (!l.l4)
		return 0;
	if (l.ethertype == NET_ETHERTYPE_IPV4)
		hash = (load64(p + l.l3 + 12) >> 32) ^ (load64(p + l.l3 + 12) & UINT32_MAX);
	else
		hash = load64(p + l.l3 + 8) ^ load64(p + l.l3 + 16) ^ load64(p + l.l3 + 24) ^
		       load64(p + l.l3 + 32);
	if ((l.proto == PROTO_TCP || l.proto == PROTO_UDP) && !l.fragment &&
		l.l4 + 4 <= f->head_len)
		hash ^= (uint64_t)(net_be16(p + l.l4) ^ net_be16(p + l.l4 + 2)) << 16;
	return (unsigned)((hash * UINT64_C(0x9e3779b97f4a7c15)) >> 56) % NET_FLOWS;
}

static bool usable(const struct net *n, unsigned pair)
{
	const struct vq *vq = n->dev.queues[2 * pair];

	return vq && vq_running(vq) && vq_open(vq);
}

/* Pairs in use: the driver says so, or else those that a front-end has enabled. */
static unsigned active_pairs(const struct net *n)
{
	return vdev_has(&n->dev, VIRTIO_NET_F_CTRL_VQ) ? n->pairs : n->pairs_max;
}

/* The receive queue for a frame, or -1. */
static int steer(const struct net *n, const struct net_frame *f)
{
	unsigned pairs = active_pairs(n);
	unsigned pair = pairs > 1 ? n->flows[flow_of(f)] : 0;

	if (pair < pairs && usable(n, pair))
		return (int)(2 * pair);
	for (pair = 0; pair < pairs; pair++)
		if (usable(n, pair))
			return (int)(2 * pair);
	return -1;
}

/* True if the packet is above the MTU and is not to be segmented (5.1.4.1). Tags do not count. */
static bool too_long(const struct net *n, const struct net_frame *f)
{
	struct net_layers l;

	if (f->len <= n->mtu + NET_ETH_LEN || f->hdr.gso_type)
		return false;
	net_layers(&l, f->head, f->head_len);
	return f->len > n->mtu + max_u64(l.l3, NET_ETH_LEN);
}

/* Transmission. */

bool net_may_use(const struct net *n, const uint8_t mac[6])
{
	if (!memcmp(mac, n->own_mac, 6))
		return true;
	for (unsigned i = 0; i < n->nallowed; i++)
		if (!memcmp(mac, n->allowed[i], 6))
			return true;
	return false;
}

static void log_spoofed(struct net *n, const uint8_t *src)
{
	if (log_allowed(&n->spoof_limit, 1))
		log_warn(n->dev.log,
			"dropped a frame from %02x:%02x:%02x:%02x:%02x:%02x, not an address of "
			"this guest",
			src[0], src[1], src[2], src[3], src[4], src[5]);
}

/* Leaves of the header what the driver may say; false if it says what it did not negotiate. */
static bool accept_header(const struct net *n, struct net_hdr *h)
{
	uint8_t flags = h->flags & NET_HDR_F_NEEDS_CSUM; /* DATA_VALID is not the driver's to say */
	bool ecn = h->gso_type & NET_GSO_ECN;

	if (!flags && !h->gso_type) {
		memset(h, 0, sizeof(*h));
		return true;
	}
	if (flags && !vdev_has(&n->dev, VIRTIO_NET_F_CSUM))
		return false;
	h->flags = flags;
	if (ecn && !vdev_has(&n->dev, VIRTIO_NET_F_HOST_ECN))
		return false;
	h->hdr_len = le16toh(h->hdr_len);
	h->gso_size = le16toh(h->gso_size);
	h->csum_start = le16toh(h->csum_start);
	h->csum_offset = le16toh(h->csum_offset);
	switch (h->gso_type & ~NET_GSO_ECN) {
	case NET_GSO_NONE:
		return !ecn;
	case NET_GSO_TCPV4:
		return vdev_has(&n->dev, VIRTIO_NET_F_HOST_TSO4);
	case NET_GSO_TCPV6:
		return vdev_has(&n->dev, VIRTIO_NET_F_HOST_TSO6);
	default:
		return false;
	}
}

/*
 * A frame with no work left to be done, in one piece, as most of them are: net_frame_init() for
 * those. False, and nothing is done, if it is another. The two fields of the header are read once,
 * and so is the head.
 */
static inline bool read_plain(const struct vq_chain *c, struct net_frame *f)
{
	const uint8_t *p = c->iov->iov_base;
	uint16_t flags_and_gso;

	if (c->n_out != 1 || c->n_in || c->out_len < HDR_LEN + NET_HEAD ||
		c->out_len > NET_FRAME_MAX + HDR_LEN)
		return false;
	memcpy(&flags_and_gso, p, 2);
	if (flags_and_gso)
		return false;
	f->len = (uint32_t)c->out_len - HDR_LEN;
	f->head_len = NET_HEAD;
	f->head = f->head_buf + NET_HEAD_ROOM;
	memcpy(f->head, p + HDR_LEN, NET_HEAD);
	f->tail.iov = c->iov;
	f->tail.n = 1;
	f->tail.offset = HDR_LEN + NET_HEAD;
	memset(&f->hdr, 0, sizeof(f->hdr));
	return true;
}

/* The frame of a chain: 0; -EBADMSG: dropped and counted; -EPROTO: the queue is broken. */
static int read_frame(struct net *n, unsigned q, struct vq_chain *c, struct net_frame *f)
{
	struct net_hdr hdr;
	struct iov_iter at;

	if (c->out_len < HDR_LEN) {
		vq_set_broken(n->dev.queues[q], "transmit buffer shorter than its header (5.1.9)");
		return -EPROTO;
	}
	if (c->n_in) {
		vq_set_broken(
			n->dev.queues[q], "transmit buffer that the device may write (5.1.9)");
		return -EPROTO;
	}
	iov_iter_init(&at, c->iov, c->n_out);
	if (c->iov->iov_len >= HDR_LEN) {
		memcpy(&hdr, c->iov->iov_base, HDR_LEN);
		at.offset = HDR_LEN;
	} else {
		iov_read(&at, &hdr, HDR_LEN);
	}
	if (c->out_len > NET_FRAME_MAX + HDR_LEN || !accept_header(n, &hdr) ||
		net_frame_init(f, &at, (uint32_t)c->out_len - HDR_LEN, &hdr)) {
		n->tx_malformed++;
		return -EBADMSG;
	}
	return 0;
}

/* What the guest may not send is dropped and counted: -EBADMSG. */
static inline int check_frame(struct net *n, const struct net_frame *f)
{
	if (too_long(n, f)) {
		n->tx_too_long++;
		return -EBADMSG;
	}
	if (n->check_source && !net_may_use(n, f->head + 6)) {
		n->tx_spoofed++;
		log_spoofed(n, f->head + 6);
		return -EBADMSG;
	}
	return 0;
}

/* Takes a frame's share of a queue's turn. */
static void spend(unsigned *budget, const struct net_frame *f)
{
	unsigned segments = f->hdr.gso_type ? f->len / f->hdr.gso_size : 0;

	*budget -= (unsigned)min_u64(*budget, segments / SEGMENTS);
}

/* One chain. 0: done with it, -EAGAIN: the carrier has no room, -EPROTO. */
static int tx_chain(struct net *n, unsigned q, struct vq_chain *c, unsigned *budget)
{
	struct net_frame f;
	int ret = 0;

	if (!read_plain(c, &f))
		ret = read_frame(n, q, c, &f);
	if (!ret)
		ret = check_frame(n, &f);
	--*budget;
	if (ret)
		return ret == -EPROTO ? ret : 0;
	spend(budget, &f);
	ret = netport_send(&n->end, &f);
	if (ret == -EAGAIN)
		return ret;
	if (ret) {
		n->tx_no_carrier++;
		return 0;
	}
	if (n->pairs_max > 1)
		n->flows[flow_of(&f)] = (uint8_t)(q / 2);
	n->tx_frames++;
	n->tx_bytes += f.len;
	return 0;
}

/* A frame was written by another CPU: it comes while those before it are dealt with. */
static inline void fetch_frame(const struct vq_chain *c)
{
	if (c->n_out)
		fetch_to_read(c->iov->iov_base, min_u64(c->iov->iov_len, FETCH_MAX));
}

/* Takes up to a batch of chains, as far as the budget goes. 0: there are none, > 0: there were,
 * -EAGAIN if the carrier is full, or -EPROTO. */
static int tx_batch(struct net *n, unsigned q, unsigned *budget)
{
	struct vq *vq = n->dev.queues[q];
	struct vq_chain *chains[NET_BATCH];
	int got = vq_pop_batch(vq, chains, NET_BATCH);
	int done, ret = 0;

	if (got <= 0)
		return got;
	for (int i = 0; i < got && i < (int)TX_AHEAD; i++)
		fetch_frame(chains[i]);
	for (done = 0; done < got && *budget; done++) {
		if (done + (int)TX_AHEAD < got)
			fetch_frame(chains[done + (int)TX_AHEAD]);
		ret = tx_chain(n, q, chains[done], budget);
		if (ret)
			break;
	}
	for (int i = got; i > done; i--)
		vq_rewind(vq, chains[i - 1]);
	vq_push_all(vq, chains, (unsigned)done);
	vq_flush(vq);
	return ret ? ret : got;
}

void net_continue(struct net *n, unsigned q)
{
	n->more |= FEATURE(q);
	ev_task_post(&n->more_task);
}

void net_tx(struct net *n, unsigned q)
{
	struct vq *vq = n->dev.queues[q];
	unsigned budget = BUDGET;

	if (n->tx_stuck & FEATURE(q))
		return;
	vq_disable_kick(vq);
	while (budget) {
		int ret = tx_batch(n, q, &budget);

		if (ret == -EAGAIN)
			n->tx_stuck |= FEATURE(q);
		if (ret < 0 || (!ret && !vq_enable_kick(vq)))
			return;
	}
	net_continue(n, q);
}

/* Reception. */

static bool in_table(const uint8_t (*table)[6], unsigned n, const uint8_t *mac)
{
	for (unsigned i = 0; i < n; i++)
		if (!memcmp(table[i], mac, 6))
			return true;
	return false;
}

static bool wanted_address(const struct net *n, const uint8_t *dst)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	const struct net_filter *r = &n->filter;

	if (r->lost_addresses)
		return true;
	if (!memcmp(dst, broadcast, 6))
		return !r->nobcast;
	if (dst[0] & 1) {
		if (r->nomulti)
			return false;
		return r->allmulti || r->multi_overflow || in_table(r->multi, r->nmulti, dst);
	}
	if (r->nouni)
		return false;
	return r->alluni || r->uni_overflow || !memcmp(dst, n->mac, 6) ||
	       in_table(r->uni, r->nuni, dst);
}

/* Promiscuous mode is about addresses; the VLAN table holds in any case. */
static bool wanted(const struct net *n, const struct net_frame *f)
{
	unsigned vid;

	if (!n->filter.promisc && !wanted_address(n, f->head))
		return false;
	if (!vdev_has(&n->dev, VIRTIO_NET_F_CTRL_VLAN) || n->filter.promisc ||
		n->filter.lost_vlans || net_be16(f->head + 12) != NET_ETHERTYPE_VLAN ||
		f->head_len < NET_ETH_LEN + 2)
		return true;
	vid = net_be16(f->head + NET_ETH_LEN) & 0xfffu;
	return n->filter.vlans[vid / 64] >> (vid % 64) & 1;
}

static void make_header(
	const struct net *n, const struct net_frame *f, unsigned buffers, struct net_hdr *h)
{
	*h = (struct net_hdr){ .num_buffers = htole16((uint16_t)buffers) };
	if (!f->hdr.flags || !(n->offloads & FEATURE(VIRTIO_NET_F_GUEST_CSUM)))
		return;
	h->flags = f->hdr.flags;
	h->gso_type = f->hdr.gso_type;
	h->hdr_len = htole16(f->hdr.hdr_len);
	h->gso_size = htole16(f->hdr.gso_size);
	h->csum_start = htole16(f->hdr.csum_start);
	h->csum_offset = htole16(f->hdr.csum_offset);
}

static void mark_dirty(struct net *n, unsigned q)
{
	if (!n->rx_dirty)
		ev_task_post(&n->rx_task);
	n->rx_dirty |= FEATURE(q);
}

/* Takes buffers for `need` bytes: their number, 0: not enough now, -EMSGSIZE: they never will
 * be, -EPROTO. Without MRG_RXBUF it is one buffer. */
static int take_buffers(struct net *n, struct vq *vq, uint32_t need, struct vq_chain **chains)
{
	unsigned max = n->mrg ? MERGE_MAX : 1, taken = 0, entries = 0;
	uint64_t room = 0;
	int ret = 1;

	while (room < need && taken < max) {
		ret = vq_pop(vq, &chains[taken]);
		if (ret <= 0)
			break;
		if (chains[taken]->n_out) {
			vq_set_broken(vq, "receive buffer that the device may only read (5.1.9)");
			ret = -EPROTO;
			break;
		}
		entries += chains[taken]->n_in;
		room += chains[taken++]->in_len;
	}
	if (room >= need && chains[0]->in_len >= HDR_LEN)
		return (int)taken;
	if (ret > 0 || (!ret && entries >= vq_size(vq)))
		ret = -EMSGSIZE; /* the ring cannot hold more than this */
	while (taken)
		vq_rewind(vq, chains[--taken]);
	return ret;
}

/* As take_buffers(); asks for a kick before it says that there are not enough. */
static int take_or_wait(struct net *n, unsigned q, uint32_t need, struct vq_chain **chains)
{
	struct vq *vq = n->dev.queues[q];
	unsigned tries = vq_size(vq); /* more can arrive that often before there are too many */
	int ret;

	do
		ret = take_buffers(n, vq, need, chains);
	while (!ret && tries-- && vq_enable_kick_beyond(vq));
	if (!ret) {
		n->rx_no_buffer++;
		n->rx_empty |= FEATURE(q);
	}
	return ret;
}

/* Spreads the frame over the buffers, all but the last one full (5.1.9.4.1). */
static void fill_buffers(struct net *n, struct vq *vq, const struct net_frame *f,
	struct vq_chain **chains, int nchains)
{
	struct iovec head[2];
	struct iov_iter first, tail = f->tail;
	uint32_t left = f->len + HDR_LEN;
	struct net_hdr hdr;

	make_header(n, f, (unsigned)nchains, &hdr);
	head[0] = (struct iovec){ &hdr, HDR_LEN };
	head[1] = (struct iovec){ f->head, f->head_len };
	iov_iter_init(&first, head, 2);
	for (int i = 0; i < nchains; i++) {
		uint32_t part = (uint32_t)min_u64(chains[i]->in_len, left);
		struct iov_iter to;
		size_t done;

		iov_iter_init(&to, vq_in(chains[i]), chains[i]->n_in);
		done = iov_copy(&to, &first, part);
		if (done < part)
			iov_copy(&to, &tail, part - done);
		left -= part;
		vq_push(vq, chains[i], part);
	}
}

static __attribute__((noinline)) void write_work_left(
	const struct net *n, const struct net_frame *f, uint8_t *to)
{
	struct net_hdr hdr;

	make_header(n, f, 1, &hdr);
	memcpy(to, &hdr, HDR_LEN);
}

/* The header of a frame in one buffer. One without work left is written as two words, since to put
 * it together from fields and to copy it makes the processor wait for its own stores. */
static inline void write_header(const struct net *n, const struct net_frame *f, uint8_t *to)
{
	const uint64_t none = 0;
	const le32 one_buffer = htole32(1u << 16);

	if (f->hdr.flags) {
		write_work_left(n, f, to);
		return;
	}
	memcpy(to, &none, 8);
	memcpy(to + 8, &one_buffer, 4);
}

/* The same for the usual case, one buffer in one piece. */
static inline void fill_buffer(const struct net *n, const struct net_frame *f, struct vq_chain *c)
{
	uint8_t *to = vq_in(c)->iov_base;

	write_header(n, f, to);
	if (f->head_len == NET_HEAD)
		memcpy(to + HDR_LEN, f->head, NET_HEAD);
	else
		memcpy(to + HDR_LEN, f->head, f->head_len);
	if (f->len > f->head_len) {
		struct iov_iter tail = f->tail;

		iov_read_piece(&tail, to + HDR_LEN + f->head_len, f->len - f->head_len);
	}
	c->written = HDR_LEN + f->len;
}

static inline void received(struct net *n, unsigned q, const struct net_frame *f)
{
	mark_dirty(n, q);
	n->rx_frames++;
	n->rx_bytes += f->len;
}

/* Completes the buffers that were taken and filled, and puts back the others. */
static void settle(struct net *n)
{
	struct vq *vq = n->dev.queues[0];

	while (n->rx_taken > n->rx_filled)
		vq_rewind(vq, n->rx[--n->rx_taken]);
	if (!n->rx_filled)
		return;
	vq_push_all(vq, n->rx, n->rx_filled);
	n->rx_filled = n->rx_taken = 0;
}

/* The buffer for a long frame comes into this CPU's cache before it is written. For a short one
 * this costs more than it brings. */
static inline void fetch_buffer(struct vq_chain *c, size_t len)
{
	if (len >= LONG_FRAME && !c->n_out && c->n_in)
		fetch_to_write(vq_in(c)->iov_base, min_u64(vq_in(c)->iov_len, len));
}

/* Takes the next buffers from the only receive queue; false if there are none. A driver that looks
 * sees those before them; who sleeps is told at the end of the round. */
static __attribute__((noinline)) bool take_some(struct net *n, size_t len)
{
	int got;

	if (n->rx_filled) {
		settle(n);
		vq_show(n->dev.queues[0]);
	}
	got = vq_pop_batch(n->dev.queues[0], n->rx, n->rx_expected ? n->rx_expected : 1);
	if (got <= 0)
		return false;
	n->rx_taken = (unsigned)got;
	/* The first one is written at once. */
	for (unsigned i = 1; i < RX_AHEAD && i < n->rx_taken; i++)
		fetch_buffer(n->rx[i], len);
	return true;
}

/* The usual case: one queue, and its next buffer takes the frame. False, and nothing is done, if it
 * is another. */
static inline bool receive_usual(struct net *n, const struct net_frame *f)
{
	size_t len = min_u64(HDR_LEN + f->len, FETCH_MAX);
	struct vq_chain *c;

	if (n->pairs_max > 1 || (n->rx_filled == n->rx_taken && !take_some(n, len)))
		return false;
	c = n->rx[n->rx_filled];
	if (c->n_out || !c->n_in || vq_in(c)->iov_len < HDR_LEN + f->len)
		return false;
	if (n->rx_filled + RX_AHEAD < n->rx_taken)
		fetch_buffer(n->rx[n->rx_filled + RX_AHEAD], len);
	fill_buffer(n, f, c);
	n->rx_filled++;
	received(n, 0, f);
	return true;
}

/* Any other case, and those in which the frame cannot be taken. */
static int receive_any(struct net *n, const struct net_frame *f)
{
	struct vq_chain *chains[MERGE_MAX];
	int q = steer(n, f), got;

	settle(n);
	if (q < 0)
		return -ENETDOWN;
	got = take_or_wait(n, (unsigned)q, f->len + HDR_LEN, chains);
	if (got == 0)
		return -EAGAIN;
	if (got == -EMSGSIZE) {
		n->rx_too_long++;
		return 0;
	}
	if (got < 0) {
		vdev_check(&n->dev, (unsigned)q);
		return -ENETDOWN;
	}
	if (got == 1 && vq_in(chains[0])->iov_len >= HDR_LEN + f->len) {
		fill_buffer(n, f, chains[0]);
		vq_push_all(n->dev.queues[q], chains, 1);
	} else {
		fill_buffers(n, n->dev.queues[q], f, chains, got);
	}
	received(n, (unsigned)q, f);
	if (!(n->rx_frames % NET_BATCH))
		vq_show(n->dev.queues[q]);
	return 0;
}

/* netport_ops.receive */
static int net_receive(struct netport *end, const struct net_frame *f)
{
	struct net *n = container_of(end, struct net, end);

	if (n->dev.status & VIRTIO_S_NEEDS_RESET)
		return -ENETDOWN;
	if (!wanted(n, f)) {
		n->rx_filtered++;
		return 0;
	}
	if (too_long(n, f)) {
		n->rx_too_long++;
		return 0;
	}
	return receive_usual(n, f) ? 0 : receive_any(n, f);
}

void net_rx_retry(struct net *n)
{
	n->rx_retry = true;
	ev_task_post(&n->rx_task);
}

/* One notification for all frames of a round. */
void net_rx_task(void *arg)
{
	struct net *n = arg;
	uint64_t queues = n->rx_dirty;

	settle(n);
	n->rx_expected = (unsigned)min_u64(n->rx_frames - n->rx_before, NET_BATCH);
	n->rx_before = n->rx_frames;
	for (n->rx_dirty = 0; queues; queues &= queues - 1) {
		unsigned q = (unsigned)__builtin_ctzll(queues);

		if (vq_running(n->dev.queues[q]))
			vq_flush(n->dev.queues[q]);
	}
	if (n->rx_retry) {
		n->rx_retry = false;
		netport_room(&n->end);
	}
}

void net_rx_refilled(struct net *n, unsigned q)
{
	vq_disable_kick(n->dev.queues[q]);
	if (!(n->rx_empty & FEATURE(q)))
		return;
	n->rx_empty &= ~FEATURE(q);
	netport_room(&n->end);
}

void net_queue_quiet(struct net *n, unsigned q)
{
	if (!q)
		settle(n);
	if (n->rx_dirty & FEATURE(q))
		vq_flush(n->dev.queues[q]);
	n->rx_dirty &= ~FEATURE(q);
	if (n->rx_empty & FEATURE(q))
		net_rx_retry(n);
	n->rx_empty &= ~FEATURE(q);
	n->more &= ~FEATURE(q);
	n->tx_stuck &= ~FEATURE(q);
}

/* The carrier has room again. */
static void net_room(struct netport *end)
{
	struct net *n = container_of(end, struct net, end);

	if (!n->tx_stuck)
		return;
	n->more |= n->tx_stuck;
	n->tx_stuck = 0;
	ev_task_post(&n->more_task);
}

static void net_state(struct netport *end)
{
	struct net *n = container_of(end, struct net, end);

	net_room(end); /* whatever it waited for is gone */
	net_link_changed(n);
}

const struct netport_ops net_port_ops = {
	.receive = net_receive,
	.room = net_room,
	.state = net_state,
};

void net_update_accepts(struct net *n)
{
	static const struct {
		unsigned feature;
		uint32_t accepts;
	} map[] = {
		{ VIRTIO_NET_F_GUEST_CSUM, NET_ACCEPT_CSUM },
		{ VIRTIO_NET_F_GUEST_TSO4, NET_ACCEPT_TSO4 },
		{ VIRTIO_NET_F_GUEST_TSO6, NET_ACCEPT_TSO6 },
		{ VIRTIO_NET_F_GUEST_ECN, NET_ACCEPT_ECN },
	};

	n->end.accepts = 0;
	for (unsigned i = 0; i < ARRAY_LEN(map); i++)
		if (n->offloads & FEATURE(map[i].feature))
			n->end.accepts |= map[i].accepts;
}
