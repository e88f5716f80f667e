/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The socket device (VIRTIO 1.4, 5.10): virtqueues and packets. The tx queue is always served,
 * since its answers never need an rx buffer at once: what a connection has for the guest stays in
 * its socket, and the few RST packets without connection wait in a ring (5.10.6.1.2).
 */
#include "devices/vsock.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "devices/devices.h"

#define VIRTIO_ID_VSOCK 19

#define VIRTIO_VSOCK_F_STREAM		 0
#define VIRTIO_VSOCK_F_SEQPACKET	 1
#define VIRTIO_VSOCK_F_NO_IMPLIED_STREAM 2

#define VIRTIO_VSOCK_EVENT_TRANSPORT_RESET 0u

/* What QEMU 10 asks for: vhost-user has no way to tell a front-end that a ring is too large. */
#define QUEUE_SIZE 1024u
#define HDR_LEN	   sizeof(struct vsock_hdr)
/* Packets of one queue before other work of the loop gets a turn. */
#define TURN_MAX 256
/* Buffers of the guest that one call fills, and their pieces. */
#define RX_BATCH 64u
#define RX_IOV	 64u
/* RST packets beyond those of existing connections. */
#define RST_SPARE 64

static struct vsock *to_vsock(struct vdev *dev)
{
	return container_of(dev, struct vsock, dev);
}

static bool type_allowed(const struct vdev *dev, uint16_t type)
{
	bool seqpacket = vdev_has(dev, VIRTIO_VSOCK_F_SEQPACKET);

	if (type == VIRTIO_VSOCK_TYPE_SEQPACKET)
		return seqpacket;
	/* VIRTIO 1.4, 5.10.3.2 */
	return type == VIRTIO_VSOCK_TYPE_STREAM &&
	       (vdev_has(dev, VIRTIO_VSOCK_F_STREAM) ||
		       !vdev_has(dev, VIRTIO_VSOCK_F_NO_IMPLIED_STREAM));
}

/* RST packets. */

bool vsock_room(const struct vsock *vs)
{
	return vs->rst_used + vs->nconns < vs->rst_size;
}

static void rst_put(struct vsock *vs, const struct vsock_pkt *pkt)
{
	vs->rst[(vs->rst_head + vs->rst_used++) % vs->rst_size] = *pkt;
	vsock_wake(vs);
}

void vsock_send_rst(struct vsock *vs, const struct vsock_key *key)
{
	const struct vsock_pkt pkt = {
		.src_cid = key->peer_cid,
		.src_port = key->peer_port,
		.dst_cid = vs->cid,
		.dst_port = key->guest_port,
		.type = key->type,
		.op = VSOCK_OP_RST,
	};

	rst_put(vs, &pkt);
}

/* Answers a packet that belongs to nothing, with its own addresses. */
static void rst_answer(struct vsock *vs, const struct vsock_pkt *to)
{
	const struct vsock_pkt pkt = {
		.src_cid = to->dst_cid,
		.src_port = to->dst_port,
		.dst_cid = to->src_cid,
		.dst_port = to->src_port,
		.type = to->type,
		.op = VSOCK_OP_RST,
	};

	if (to->op != VSOCK_OP_RST)
		rst_put(vs, &pkt);
}

/* Packets from the guest. */

static void pkt_decode(struct vsock_pkt *pkt, const struct vsock_hdr *h)
{
	*pkt = (struct vsock_pkt){
		.src_cid = le64toh(h->src_cid),
		.dst_cid = le64toh(h->dst_cid),
		.src_port = le32toh(h->src_port),
		.dst_port = le32toh(h->dst_port),
		.len = le32toh(h->len),
		.type = le16toh(h->type),
		.op = le16toh(h->op),
		.flags = le32toh(h->flags),
		.buf_alloc = le32toh(h->buf_alloc),
		.fwd_cnt = le32toh(h->fwd_cnt),
	};
}

/* A packet that no conforming driver sends. */
static void pkt_bad(struct vsock *vs, const struct vsock_pkt *pkt, const char *why)
{
	vs->bad_packets++;
	if (log_allowed(&vs->complaints, 5))
		log_warn(vs->dev.log,
			"bad packet from the guest: %s (op %u, type %u, %" PRIu64 ":%u to %" PRIu64
			":%u)",
			why, pkt->op, pkt->type, pkt->src_cid, pkt->src_port, pkt->dst_cid,
			pkt->dst_port);
}

static void tx_dispatch(struct vsock *vs, const struct vsock_pkt *pkt, struct iov_iter *data)
{
	const struct vsock_key key = {
		.peer_cid = pkt->dst_cid,
		.peer_port = pkt->dst_port,
		.guest_port = pkt->src_port,
		.type = pkt->type,
	};
	struct vsock_conn *c;

	if (pkt->src_cid != vs->cid) {
		pkt_bad(vs, pkt, "the source is not guest_cid");
		rst_answer(vs, pkt);
		return;
	}
	c = vsock_conn_find(vs, &key);
	if (iov_iter_left(data) < pkt->len) {
		pkt_bad(vs, pkt, "its length is more than its buffers");
		if (c)
			vsock_conn_reset(c);
		else
			rst_answer(vs, pkt);
	} else if (c) {
		vsock_conn_packet(c, pkt, data);
	} else if (pkt->op == VSOCK_OP_REQUEST && type_allowed(&vs->dev, pkt->type)) {
		vsock_host_dial(vs, &key, pkt);
	} else {
		rst_answer(vs, pkt);
	}
}

/* False: the framing broke a rule, and the device needs a reset. */
static bool tx_packet(struct vsock *vs, const struct vq_chain *chain)
{
	struct vsock_pkt pkt;
	struct vsock_hdr hdr;
	struct iov_iter it;

	iov_iter_init(&it, chain->iov, chain->n_out);
	if (chain->n_in || iov_read(&it, &hdr, HDR_LEN) != HDR_LEN) {
		vdev_broken(&vs->dev, VSOCK_TXQ,
			"a packet has device-writable buffers or no whole header (5.10.6.4)");
		return false;
	}
	pkt_decode(&pkt, &hdr);
	vs->tx_packets++;
	vs->served = true;
	tx_dispatch(vs, &pkt, &it);
	return true;
}

static void serve_tx(struct vsock *vs)
{
	struct vq *vq = vs->dev.queues[VSOCK_TXQ];
	struct vq_chain *chain;
	unsigned n = 0;

	vs->tx_waits = false;
	if (!vq || !vq_running(vq))
		return;
	vq_disable_kick(vq);
	for (; n < TURN_MAX && vsock_room(vs); n++) {
		if (vq_pop_or_kick(vq, &chain) != 1)
			break;
		if (!tx_packet(vs, chain))
			return;
		vq_push(vq, chain, 0);
	}
	vq_flush(vq);
	if (n == TURN_MAX)
		vsock_wake(vs);
	vs->tx_waits = n == TURN_MAX || !vsock_room(vs);
}

/* Packets to the guest. */

static void pkt_encode(struct vsock_hdr *h, const struct vsock_pkt *pkt)
{
	*h = (struct vsock_hdr){
		.src_cid = htole64(pkt->src_cid),
		.dst_cid = htole64(pkt->dst_cid),
		.src_port = htole32(pkt->src_port),
		.dst_port = htole32(pkt->dst_port),
		.len = htole32(pkt->len),
		.type = htole16(pkt->type),
		.op = htole16(pkt->op),
		.flags = htole32(pkt->flags),
		.buf_alloc = htole32(pkt->buf_alloc),
		.fwd_cnt = htole32(pkt->fwd_cnt),
	};
}

static bool rx_due(const struct vsock *vs)
{
	return vs->rst_used || vs->ready;
}

static void rst_take(struct vsock *vs, struct vsock_pkt *pkt)
{
	*pkt = vs->rst[vs->rst_head];
	vs->rst_head = (vs->rst_head + 1) % vs->rst_size;
	vs->rst_used--;
}

static struct vsock_conn *ready_take(struct vsock *vs)
{
	struct vsock_conn *c = vs->ready;

	vs->ready = c->next_ready;
	if (!vs->ready)
		vs->ready_end = &vs->ready;
	c->queued = false;
	return c;
}

/* Lets the next connection make a packet; results as of vsock_conn_next(), -ECONNRESET done. */
static int rx_from_conn(struct vsock *vs, struct vsock_pkt *pkt, struct iov_iter *room)
{
	struct vsock_conn *c = ready_take(vs);
	int r = vsock_conn_next(c, pkt, room);

	if (r == -ECONNRESET) {
		vsock_conn_reset(c);
		return 0;
	}
	if (r >= 0 && vsock_conn_more(c))
		vsock_conn_queue(c);
	return r;
}

/* Buffers of the guest for one or more packets, and the room for their payload. */
struct rx {
	struct vq_chain *chains[RX_BATCH];
	uint32_t room[RX_BATCH];
	unsigned n;
	struct iovec iov[RX_IOV]; /* of all, one after the other */
	unsigned niov;
	size_t total;
};

/* Adds one buffer. False: it is none for packets. */
static bool rx_add(struct rx *rx, struct vq_chain *chain)
{
	struct iov_iter it;
	size_t taken;

	iov_iter_init(&it, vq_in(chain), chain->n_in);
	if (chain->n_out || iov_skip(&it, HDR_LEN) != HDR_LEN)
		return false;
	rx->niov += iov_take(&it, VSOCK_PACKET_MAX, rx->iov + rx->niov, RX_IOV - rx->niov, &taken);
	rx->chains[rx->n] = chain;
	rx->room[rx->n++] = (uint32_t)taken;
	rx->total += taken;
	return true;
}

/* Further buffers, until there is room for `want` bytes. */
static void rx_extend(struct rx *rx, struct vq *vq, size_t want)
{
	struct vq_chain *chain;

	while (rx->total && rx->total < want && rx->n < RX_BATCH && vq_pop(vq, &chain) == 1) {
		if (rx_add(rx, chain) && rx->room[rx->n - 1])
			continue;
		/* No buffer for packets, or too scattered: it is the first one of the next call. */
		rx->n -= rx->chains[rx->n - 1] == chain;
		vq_rewind(vq, chain);
		break;
	}
}

/* Buffers that pkt->len bytes fill, at least one, become packets; the others go back. Returns the
 * number of packets. */
static unsigned rx_push(struct vsock *vs, const struct rx *rx, struct vsock_pkt *pkt)
{
	uint32_t left = pkt->len;
	unsigned n = rx->n;
	size_t unused = rx->total;

	while (n > 1 && unused - rx->room[n - 1] >= left) {
		unused -= rx->room[--n];
		vq_rewind(rx->chains[n]->vq, rx->chains[n]);
	}
	for (unsigned i = 0; i < n; i++) {
		struct vsock_hdr hdr;
		struct iov_iter head;

		pkt->len = (uint32_t)min_u64(left, rx->room[i]);
		left -= pkt->len;
		pkt_encode(&hdr, pkt);
		iov_iter_init(&head, vq_in(rx->chains[i]), rx->chains[i]->n_in);
		iov_write(&head, &hdr, HDR_LEN);
		vq_push(rx->chains[i]->vq, rx->chains[i], (uint32_t)HDR_LEN + pkt->len);
	}
	vs->rx_packets += n;
	vs->served = true;
	return n;
}

static void rx_put_back(const struct rx *rx)
{
	for (unsigned n = rx->n; n--;)
		vq_rewind(rx->chains[n]->vq, rx->chains[n]);
}

/* Makes the next packets, the first of them in `chain`. Returns their number, which may be 0, or
 * -EPROTO if the framing broke a rule. */
static int rx_packets(struct vsock *vs, struct vq_chain *chain)
{
	struct rx rx;
	struct vsock_pkt pkt;
	struct iov_iter room;
	int r = 1;

	rx.n = rx.niov = 0;
	rx.total = 0;
	if (!rx_add(&rx, chain)) {
		vdev_broken(&vs->dev, VSOCK_RXQ,
			"a buffer is device-readable or too short for a header (5.10.6.4)");
		return -EPROTO;
	}
	if (vs->rst_used) {
		rst_take(vs, &pkt);
	} else {
		rx_extend(&rx, chain->vq, vsock_conn_wants(vs->ready));
		iov_iter_init(&room, rx.iov, rx.niov);
		r = rx_from_conn(vs, &pkt, &room);
	}
	if (r < 0) {
		vdev_broken(&vs->dev, VSOCK_RXQ, "a buffer has no room for payload (5.10.6.4)");
		return -EPROTO;
	}
	if (r == 0) {
		rx_put_back(&rx);
		return 0;
	}
	return (int)rx_push(vs, &rx, &pkt);
}

static void serve_rx(struct vsock *vs)
{
	struct vq *vq = vs->dev.queues[VSOCK_RXQ];
	struct vq_chain *chain;
	int n = 0, r;

	if (!vq || !vq_running(vq))
		return;
	vq_disable_kick(vq);
	for (; n < TURN_MAX && rx_due(vs); n += r + 1) {
		if (vq_pop_or_kick(vq, &chain) != 1)
			break;
		r = rx_packets(vs, chain);
		if (r < 0)
			return;
	}
	vq_flush(vq);
	if (n >= TURN_MAX || (vs->tx_waits && vsock_room(vs)))
		vsock_wake(vs);
}

/* Events. */

static void serve_event(struct vsock *vs)
{
	const le32 id = htole32(VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
	struct vq *vq = vs->dev.queues[VSOCK_EVENTQ];
	struct vq_chain *chain;
	struct iov_iter it;

	if (!vs->event_due || !vq || !vq_running(vq) || vq_pop_or_kick(vq, &chain) != 1)
		return;
	iov_iter_init(&it, vq_in(chain), chain->n_in);
	if (chain->n_out || iov_write(&it, &id, sizeof(id)) != sizeof(id)) {
		vdev_broken(&vs->dev, VSOCK_EVENTQ,
			"an event buffer is device-readable or too short (5.10.6.7)");
		return;
	}
	vq_push(vq, chain, sizeof(id));
	vq_flush(vq);
	vs->event_due = false;
}

/* The device. */

void vsock_wake(struct vsock *vs)
{
	ev_task_post(&vs->work);
}

static void vsock_work(void *arg)
{
	struct vsock *vs = arg;

	if (vs->dev.status & VIRTIO_S_NEEDS_RESET)
		return;
	if (vs->tx_waits)
		serve_tx(vs);
	serve_rx(vs);
	serve_event(vs);
	vdev_check(&vs->dev, VSOCK_EVENTQ);
	vdev_check(&vs->dev, VSOCK_TXQ);
	vdev_check(&vs->dev, VSOCK_RXQ);
}

static void vsock_kick(struct vdev *dev, unsigned q)
{
	struct vsock *vs = to_vsock(dev);

	if (q == VSOCK_TXQ)
		serve_tx(vs);
	else if (q == VSOCK_RXQ)
		vsock_wake(vs); /* after the other kicks of this round, which may bring credit */
	else
		serve_event(vs);
}

static void vsock_reset(struct vdev *dev)
{
	struct vsock *vs = to_vsock(dev);

	while (vs->conns)
		vsock_conn_free(vs->conns);
	vs->rst_used = 0;
	vs->tx_waits = false;
	vs->served = false;
	vs->event_due = false;
	ev_task_cancel(&vs->work);
}

/* Queues that go on where another process left them: the driver has connections that this one
 * knows nothing of, and is told (5.10.6.7). */
static void vsock_queue_started(struct vdev *dev, unsigned q)
{
	struct vsock *vs = to_vsock(dev);

	if (q != VSOCK_EVENTQ && vq_resumed(dev->queues[q]) && !vs->served) {
		vs->event_due = true;
		vsock_wake(vs);
	}
}

static void vsock_config_read(struct vdev *dev, uint32_t offset, void *buf, uint32_t len)
{
	const le64 guest_cid = htole64(to_vsock(dev)->cid);

	memcpy(buf, (const char *)&guest_cid + offset, len);
}

static int vsock_init(struct vdev *dev, struct err *e)
{
	struct vsock *vs = to_vsock(dev);
	int r;

	vs->ready_end = &vs->ready;
	vs->rst_size = 2 * vs->max_conns + RST_SPARE;
	vs->rst = calloc(vs->rst_size, sizeof(*vs->rst));
	if (!vs->rst)
		return err_set(e, -ENOMEM, "out of memory");
	ev_task_init(dev->loop, &vs->work, vsock_work, vs);
	r = vsock_host_init(vs, e);
	if (r < 0) {
		free(vs->rst);
		return r;
	}
	dev->features = FEATURE(VIRTIO_VSOCK_F_STREAM) | FEATURE(VIRTIO_VSOCK_F_SEQPACKET) |
			FEATURE(VIRTIO_VSOCK_F_NO_IMPLIED_STREAM);
	dev->nqueues = 3;
	dev->queue_size_max = QUEUE_SIZE;
	dev->config_len = sizeof(le64);
	return 0;
}

static void vsock_finish(struct vdev *dev)
{
	struct vsock *vs = to_vsock(dev);

	vsock_reset(dev);
	vsock_host_finish(vs);
	free(vs->rst);
}

static const struct opt vsock_opts[] = {
	{ "cid", OPT_U32, offsetof(struct vsock, cid), .min = 3, .max = UINT32_MAX - 1,
		.help = "the guest's context ID", .flags = OPT_REQUIRED },
	{ "uds", OPT_PATH, offsetof(struct vsock, uds),
		.help = "unix socket for programs of the host; UDS_PORT is where the guest's "
			"connections to the host go" },
	{ "peers", OPT_LIST, offsetof(struct vsock, peers),
		.help = "CIDs of guests that may connect to this one and be connected to" },
	{ "peer-uds", OPT_PATH, offsetof(struct vsock, peer_uds),
		.help = "path prefix, the same for all guests, of the sockets by which guests "
			"meet" },
	{ "connections", OPT_U32, offsetof(struct vsock, max_conns), .def = "256", .min = 1,
		.max = 3900, .help = "most connections at a time" },
	{ "buffer", OPT_SIZE, offsetof(struct vsock, buffer), .def = "256K", .min = 4096,
		.max = 16777216,
		.help = "receive buffer promised to each connection of the guest" },
	OPT_END,
};

static const struct vdev_metric vsock_metrics[] = {
	{ "opened", offsetof(struct vsock, opened), "connections established" },
	{ "refused", offsetof(struct vsock, refused), "connections refused" },
	{ "resets", offsetof(struct vsock, resets), "connections ended with an RST to the guest" },
	{ "bad_packets", offsetof(struct vsock, bad_packets), "packets that broke a rule" },
	{ "rx_packets", offsetof(struct vsock, rx_packets), "packets to the guest" },
	{ "rx_bytes", offsetof(struct vsock, rx_bytes), "payload bytes to the guest" },
	{ "tx_packets", offsetof(struct vsock, tx_packets), "packets from the guest" },
	{ "tx_bytes", offsetof(struct vsock, tx_bytes), "payload bytes from the guest" },
	{ NULL, 0, NULL },
};

static const char *const vsock_syscalls[] = { "socket", "connect", "accept4", "shutdown", "sendto",
	"recvfrom", "sendmsg", "recvmsg", "unlink", "unlinkat", NULL };
static const char *const vsock_paths[] = { "uds", "peer-uds", NULL };
static const struct vdev_sandbox vsock_sandbox = {
	.syscalls = vsock_syscalls,
	.paths = vsock_paths,
};

const struct vdev_class vdev_vsock = {
	.name = "vsock",
	.id = VIRTIO_ID_VSOCK,
	.pci_class = 0x028000, /* network controller, other */
	.summary = "socket device: stream and message sockets between guest, host and guests",
	.size = sizeof(struct vsock),
	.opts = vsock_opts,
	.metrics = vsock_metrics,
	.sandbox = &vsock_sandbox,
	.init = vsock_init,
	.finish = vsock_finish,
	.reset = vsock_reset,
	.queue_started = vsock_queue_started,
	.kick = vsock_kick,
	.config_read = vsock_config_read,
};
