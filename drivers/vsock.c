/* SPDX-License-Identifier: BSD-3-Clause */
/* Socket device. See vsock.h. */
#include "vsock.h"

#define TIMEOUT_NS UINT64_C(1000000000)
#define BUFFERS	   8u
#define EVENTS	   2u
#define POLL_MAX   64u
#define PORT_FIRST 49152u
#define EOM	   1u

enum {
	OP_REQUEST = 1,
	OP_RESPONSE = 2,
	OP_RST = 3,
	OP_SHUTDOWN = 4,
	OP_RW = 5,
	OP_CREDIT_UPDATE = 6,
	OP_CREDIT_REQUEST = 7,
};

struct hdr {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port, len;
	uint16_t type, op;
	uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

/* Sending packets. */

static int transmit(struct drv_vsock *v, const struct hdr *h, const void *data)
{
	uint8_t *buf;
	int r = drv_pool_get(&v->tx, &buf, drv_now(v->dev) + v->timeout);

	if (r)
		return r;
	__builtin_memcpy(buf, h, sizeof(*h));
	if (h->len)
		__builtin_memcpy(buf + sizeof(*h), data, h->len);
	return drv_pool_offer(&v->tx, buf, (uint32_t)sizeof(*h) + h->len, 0);
}

/* A packet of a connection, which always tells the credit (5.10.6.3). */
static int say(
	struct drv_vsock_conn *c, uint16_t op, uint32_t flags, const void *data, uint32_t len)
{
	struct hdr h = {
		.src_cid = c->v->cid,
		.dst_cid = c->peer_cid,
		.src_port = c->port,
		.dst_port = c->peer_port,
		.len = len,
		.type = c->type,
		.op = op,
		.flags = flags,
		.buf_alloc = c->size,
		.fwd_cnt = c->read,
	};

	c->told = c->read;
	return transmit(c->v, &h, data);
}

/* The answer to a packet that belongs to no connection. */
static int refuse(struct drv_vsock *v, const struct hdr *to)
{
	struct drv_vsock_conn none = {
		.v = v,
		.peer_cid = to->src_cid,
		.peer_port = to->src_port,
		.port = to->dst_port,
		.type = to->type,
	};

	return to->op == OP_RST ? 0 : say(&none, OP_RST, 0, NULL, 0);
}

/* Connections. */

static void unlink_conn(struct drv_vsock_conn *c, int error)
{
	struct drv_vsock_conn **p = &c->v->conns;

	while (*p && *p != c)
		p = &(*p)->next;
	if (*p)
		*p = c->next;
	c->state = DRV_VSOCK_CLOSED;
	c->error = error;
}

static void link_conn(struct drv_vsock *v, struct drv_vsock_conn *c, enum drv_vsock_state state,
	uint32_t port, uint16_t type)
{
	*c = (struct drv_vsock_conn){ .buf = c->buf,
		.size = c->size,
		.state = state,
		.port = port,
		.type = type,
		.v = v,
		.next = v->conns };
	v->conns = c;
}

static struct drv_vsock_conn *find(const struct drv_vsock *v, const struct hdr *h, bool listening)
{
	struct drv_vsock_conn *c = v->conns;

	for (; c; c = c->next) {
		if (c->port != h->dst_port || c->type != h->type ||
			listening != (c->state == DRV_VSOCK_LISTENING))
			continue;
		if (listening || (c->peer_cid == h->src_cid && c->peer_port == h->src_port))
			break;
	}
	return c;
}

/* Receiving packets. */

/* Stores payload; false if the peer had no credit for it, or said that it would send no more. */
static bool store(struct drv_vsock_conn *c, const struct hdr *h, const uint8_t *data)
{
	uint32_t at = c->size ? c->received % c->size : 0, first = c->size - at;

	if (c->peer_shut & DRV_VSOCK_SHUT_SEND || h->len > c->size - (c->received - c->read))
		return false;
	if (first > h->len)
		first = h->len;
	if (first)
		__builtin_memcpy(c->buf + at, data, first);
	if (h->len > first)
		__builtin_memcpy(c->buf, data + first, h->len - first);
	c->received += h->len;
	if (c->type == VIRTIO_VSOCK_TYPE_SEQPACKET && h->flags & EOM)
		c->ends[c->end_in++ % DRV_VSOCK_MESSAGES] = c->received;
	return true;
}

static int abort_conn(struct drv_vsock_conn *c, int error)
{
	unlink_conn(c, error);
	return say(c, OP_RST, 0, NULL, 0);
}

/* A packet of a connection that is open or on the way to it. */
static int handle(struct drv_vsock_conn *c, const struct hdr *h, const uint8_t *data)
{
	bool connecting = c->state == DRV_VSOCK_CONNECTING;

	if (h->op == OP_RST) {
		bool done = c->shut == DRV_VSOCK_SHUT_BOTH || c->peer_shut == DRV_VSOCK_SHUT_BOTH;

		unlink_conn(c, connecting ? DRV_REFUSED : done ? 0 : DRV_GONE);
		return 0;
	}
	if (connecting && h->op == OP_RESPONSE) {
		c->state = DRV_VSOCK_OPEN;
		return 0;
	}
	if (connecting)
		return abort_conn(c, DRV_BROKEN);
	switch (h->op) {
	case OP_RW:
		return store(c, h, data) ? 0 : abort_conn(c, DRV_BROKEN);
	case OP_SHUTDOWN:
		c->peer_shut |= h->flags & DRV_VSOCK_SHUT_BOTH;
		return c->peer_shut == DRV_VSOCK_SHUT_BOTH ? abort_conn(c, 0) : 0;
	case OP_CREDIT_REQUEST:
		return say(c, OP_CREDIT_UPDATE, 0, NULL, 0);
	case OP_CREDIT_UPDATE:
		return 0;
	default:
		return abort_conn(c, DRV_BROKEN);
	}
}

static int answer_request(struct drv_vsock_conn *c, const struct hdr *h)
{
	c->peer_cid = h->src_cid;
	c->peer_port = h->src_port;
	c->state = DRV_VSOCK_OPEN;
	return say(c, OP_RESPONSE, 0, NULL, 0);
}

/* One packet as the device wrote it. DRV_FULL: not now. */
static int packet(struct drv_vsock *v, const uint8_t *buf, uint32_t len)
{
	struct drv_vsock_conn *c;
	struct hdr h;

	if (len >= sizeof(h))
		__builtin_memcpy(&h, buf, sizeof(h));
	if (len < sizeof(h) || h.len > len - sizeof(h) || h.dst_cid != v->cid) {
		v->bad_packets++;
		return 0;
	}
	c = find(v, &h, false);
	if (c && c->end_in - c->end_out == DRV_VSOCK_MESSAGES && h.op == OP_RW)
		return DRV_FULL;
	if (!c && h.op == OP_REQUEST)
		c = find(v, &h, true);
	if (!c)
		return refuse(v, &h);
	c->peer_alloc = h.buf_alloc;
	c->peer_read = h.fwd_cnt;
	return c->state == DRV_VSOCK_LISTENING ? answer_request(c, &h)
					       : handle(c, &h, buf + sizeof(h));
}

/* The other end of all connections is gone (5.10.6.7); who listens goes on. */
static int transport_reset(struct drv_vsock *v)
{
	struct drv_vsock_conn *next;

	for (struct drv_vsock_conn *c = v->conns; c; c = next) {
		next = c->next;
		if (c->state != DRV_VSOCK_LISTENING)
			unlink_conn(c, DRV_GONE);
	}
	return drv_config(v->dev, 0, &v->cid, 8);
}

static int take_event(struct drv_vsock *v)
{
	uint32_t len, id = 0;
	uint8_t *buf;
	int r = drv_pool_take(&v->events, &buf, &len, 0);

	if (r)
		return r == DRV_TIMEOUT ? 0 : r;
	__builtin_memcpy(&id, buf, 4);
	r = drv_pool_offer(&v->events, buf, 0, 4);
	if (!r && len == 4 && id == 0)
		r = transport_reset(v);
	return r;
}

/* Handles one packet, waiting for it. DRV_FULL: it has to wait for drv_vsock_recv(). */
static int input(struct drv_vsock *v, uint64_t until)
{
	int r = take_event(v), again;

	if (!r && !v->held)
		r = drv_pool_take(&v->rx, &v->held, &v->held_len, until);
	if (!r)
		r = packet(v, v->held, v->held_len);
	if (r == DRV_FULL || !v->held)
		return r;
	again = drv_pool_offer(&v->rx, v->held, 0, v->rx.len);
	v->held = NULL;
	return r ? r : again;
}

/* The same for those who wait for something: a device that never stops sending does not keep them
 * longer. */
static int wait_input(struct drv_vsock *v, uint64_t until)
{
	int r = input(v, until);

	v->late = drv_now(v->dev) > until ? v->late + 1 : 0;
	return !r && v->late > POLL_MAX ? DRV_TIMEOUT : r;
}

int drv_vsock_poll(struct drv_vsock *v)
{
	int r = 0;

	for (unsigned i = 0; !r && i < POLL_MAX; i++)
		r = input(v, 0);
	return r == DRV_TIMEOUT || r == DRV_FULL ? 0 : r;
}

/* The functions for users. */

int drv_vsock_open(struct drv_vsock *v, struct drv_dev *dev)
{
	uint64_t want = DRV_COMMON_FEATURES | DRV_FEATURE(VIRTIO_VSOCK_F_STREAM) |
			DRV_FEATURE(VIRTIO_VSOCK_F_SEQPACKET) |
			DRV_FEATURE(VIRTIO_VSOCK_F_NO_IMPLIED_STREAM);
	uint32_t len = sizeof(struct hdr) + DRV_VSOCK_PACKET;
	int r = dev->id == DRV_ID_VSOCK ? drv_begin(dev, want, 0) : DRV_INVALID;

	*v = (struct drv_vsock){ .dev = dev, .timeout = TIMEOUT_NS, .next_port = PORT_FIRST };
	if (!r)
		r = drv_config(dev, 0, &v->cid, 8);
	if (!r)
		r = drv_pool_open(&v->rx, dev, 0, BUFFERS, 1, len);
	if (!r)
		r = drv_pool_open(&v->tx, dev, 1, BUFFERS, 1, len);
	if (!r)
		r = drv_pool_open(&v->events, dev, 2, EVENTS, 1, 4);
	if (!r)
		r = drv_run(dev);
	if (!r)
		r = drv_pool_fill(&v->events);
	return r ? r : drv_pool_fill(&v->rx);
}

/* Without any bit, or with SEQPACKET but not NO_IMPLIED_STREAM, there are streams (5.10.3.1). */
static bool supported(const struct drv_vsock *v, uint16_t type)
{
	if (type == VIRTIO_VSOCK_TYPE_SEQPACKET)
		return drv_has(v->dev, VIRTIO_VSOCK_F_SEQPACKET);
	return type == VIRTIO_VSOCK_TYPE_STREAM &&
	       (drv_has(v->dev, VIRTIO_VSOCK_F_STREAM) ||
		       !drv_has(v->dev, VIRTIO_VSOCK_F_NO_IMPLIED_STREAM) ||
		       !drv_has(v->dev, VIRTIO_VSOCK_F_SEQPACKET));
}

/* A port that no connection has. */
static uint32_t free_port(struct drv_vsock *v)
{
	const struct drv_vsock_conn *c;
	uint32_t port;

	do {
		port = v->next_port++;
		if (v->next_port < PORT_FIRST)
			v->next_port = PORT_FIRST;
		for (c = v->conns; c && c->port != port;)
			c = c->next;
	} while (c);
	return port;
}

int drv_vsock_connect(struct drv_vsock *v, struct drv_vsock_conn *c, uint64_t cid, uint32_t port,
	uint16_t type, uint64_t until)
{
	int r;

	if (!supported(v, type))
		return DRV_UNSUPPORTED;
	link_conn(v, c, DRV_VSOCK_CONNECTING, free_port(v), type);
	c->peer_cid = cid;
	c->peer_port = port;
	r = say(c, OP_REQUEST, 0, NULL, 0);
	while (!r && c->state == DRV_VSOCK_CONNECTING)
		r = wait_input(v, until);
	if (!r && c->state == DRV_VSOCK_CLOSED)
		return c->error;
	if (r && c->state != DRV_VSOCK_CLOSED)
		abort_conn(c, r);
	return r;
}

int drv_vsock_listen(struct drv_vsock *v, struct drv_vsock_conn *c, uint32_t port, uint16_t type)
{
	if (!supported(v, type))
		return DRV_UNSUPPORTED;
	link_conn(v, c, DRV_VSOCK_LISTENING, port, type);
	return 0;
}

int drv_vsock_accept(struct drv_vsock_conn *c, uint64_t until)
{
	int r = 0;

	while (!r && c->state == DRV_VSOCK_LISTENING)
		r = wait_input(c->v, until);
	return r;
}

/* What the peer can take now. Nonsense from it counts as nothing. */
static uint32_t credit(const struct drv_vsock_conn *c)
{
	uint32_t under_way = c->sent - c->peer_read;

	return under_way < c->peer_alloc ? c->peer_alloc - under_way : 0;
}

/* Waits for credit; asks for it, should an update have been lost on the way. */
static int wait_for_credit(struct drv_vsock_conn *c, uint64_t until)
{
	int r = credit(c) ? 0 : say(c, OP_CREDIT_REQUEST, 0, NULL, 0);

	while (!r && c->state == DRV_VSOCK_OPEN && !credit(c))
		r = wait_input(c->v, until);
	return r;
}

int drv_vsock_send(struct drv_vsock_conn *c, const void *buf, uint32_t len, uint64_t until)
{
	bool messages = c->type == VIRTIO_VSOCK_TYPE_SEQPACKET;
	const uint8_t *from = buf;
	uint32_t n;
	int r = 0;

	do {
		if (len)
			r = wait_for_credit(c, until);
		if (c->state != DRV_VSOCK_OPEN || c->shut & DRV_VSOCK_SHUT_SEND ||
			c->peer_shut & DRV_VSOCK_SHUT_RECV)
			return DRV_GONE;
		n = len < DRV_VSOCK_PACKET ? len : DRV_VSOCK_PACKET;
		n = n < credit(c) ? n : credit(c);
		if (!r && (n || messages))
			r = say(c, OP_RW, messages && n == len ? EOM : 0, from, n);
		c->sent += n;
		from += n;
		len -= n;
	} while (!r && len);
	return r;
}

/* Moves n bytes out of the buffer, of which the first `size` are wanted. */
static void fetch(struct drv_vsock_conn *c, uint8_t *to, uint32_t size, uint32_t n)
{
	uint32_t at = c->read % c->size, wanted = n < size ? n : size;
	uint32_t first = wanted < c->size - at ? wanted : c->size - at;

	__builtin_memcpy(to, c->buf + at, first);
	if (wanted > first)
		__builtin_memcpy(to + first, c->buf, wanted - first);
	c->read += n;
}

int drv_vsock_recv(
	struct drv_vsock_conn *c, void *buf, uint32_t size, uint32_t *len, uint64_t until)
{
	bool messages = c->type == VIRTIO_VSOCK_TYPE_SEQPACKET;
	uint32_t n;
	int r = 0;

	while (!r && (messages ? c->end_in == c->end_out : c->received == c->read)) {
		if (c->state != DRV_VSOCK_OPEN && c->error)
			return c->error;
		if (c->state != DRV_VSOCK_OPEN || c->peer_shut & DRV_VSOCK_SHUT_SEND) {
			*len = 0;
			return messages ? DRV_GONE : 0;
		}
		r = wait_input(c->v, until);
	}
	if (r)
		return r;
	n = c->received - c->read;
	if (messages)
		n = c->ends[c->end_out++ % DRV_VSOCK_MESSAGES] - c->read;
	else if (n > size)
		n = size;
	if (n)
		fetch(c, buf, size, n);
	*len = n < size ? n : size;
	if (c->state == DRV_VSOCK_OPEN && c->read - c->told >= c->size / 2)
		r = say(c, OP_CREDIT_UPDATE, 0, NULL, 0);
	return r ? r : n > size ? DRV_NO_MEMORY : 0;
}

int drv_vsock_shutdown(struct drv_vsock_conn *c, unsigned how)
{
	if (c->state != DRV_VSOCK_OPEN)
		return DRV_GONE;
	c->shut |= how & DRV_VSOCK_SHUT_BOTH;
	return say(c, OP_SHUTDOWN, c->shut, NULL, 0);
}

int drv_vsock_close(struct drv_vsock_conn *c, uint64_t until)
{
	int r = 0;

	if (c->state == DRV_VSOCK_OPEN) {
		r = drv_vsock_shutdown(c, DRV_VSOCK_SHUT_BOTH);
		/* What still comes is not read any more, so it makes room. */
		while (!r && c->state == DRV_VSOCK_OPEN) {
			c->read = c->received;
			c->end_out = c->end_in;
			r = wait_input(c->v, until);
		}
		if (c->state == DRV_VSOCK_OPEN)
			say(c, OP_RST, 0, NULL, 0);
	}
	if (c->state != DRV_VSOCK_CLOSED)
		unlink_conn(c, 0);
	return r;
}
