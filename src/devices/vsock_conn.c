/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections of the socket device (VIRTIO 1.4, 5.10.6.3 to 5.10.6.6): credit in both directions,
 * half-close, clean disconnect. Payload goes from the guest's buffers straight into the socket and
 * back; only what the socket does not take is kept, in a backlog of the size that the guest was
 * promised.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"
#include "devices/vsock.h"

/* Buffers of one system call. */
#define IOV_MAX_CALL 64u
/* A socket that takes all is not watched for room: whatever its reader takes would wake us. */
#define EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)
/* Bytes of a stream to the guest in one call. */
#define BURST_MAX (4 * VSOCK_PACKET_MAX)
/* The top bit of an entry in `bounds`: the message ends a record. */
#define BOUND_EOR 0x80000000u

#define SECONDS(n)   ((uint64_t)(n)*UINT64_C(1000000000))
#define LINE_TIME    SECONDS(10) /* for a client to say what it wants */
#define ANSWER_TIME  SECONDS(30) /* for a guest to accept; an emulated one is slow */
#define CLOSING_TIME SECONDS(10) /* for the guest's RST (5.10.6.5) */

static unsigned bucket(const struct vsock_key *k)
{
	uint64_t h = k->guest_port * UINT64_C(0x9e3779b97f4a7c15);

	h ^= (k->peer_port + k->peer_cid * 31u + k->type) * UINT64_C(0xc2b2ae3d27d4eb4f);
	return (unsigned)(h >> 40) % VSOCK_BUCKETS;
}

static bool same_key(const struct vsock_key *a, const struct vsock_key *b)
{
	return a->peer_cid == b->peer_cid && a->peer_port == b->peer_port &&
	       a->guest_port == b->guest_port && a->type == b->type;
}

struct vsock_conn *vsock_conn_find(struct vsock *vs, const struct vsock_key *key)
{
	struct vsock_conn *c = vs->table[bucket(key)];

	while (c && !same_key(&c->key, key))
		c = c->next_hash;
	return c;
}

void vsock_conn_set_key(struct vsock_conn *c, const struct vsock_key *key)
{
	struct vsock_conn **head = &c->vs->table[bucket(key)];

	c->key = *key;
	c->keyed = true;
	c->next_hash = *head;
	*head = c;
}

static void conn_unkey(struct vsock_conn *c)
{
	struct vsock_conn **p = &c->vs->table[bucket(&c->key)];

	if (!c->keyed)
		return;
	while (*p != c)
		p = &(*p)->next_hash;
	*p = c->next_hash;
	c->keyed = false;
}

void vsock_conn_queue(struct vsock_conn *c)
{
	struct vsock *vs = c->vs;

	if (c->queued)
		return;
	c->queued = true;
	c->next_ready = NULL;
	*vs->ready_end = c;
	vs->ready_end = &c->next_ready;
}

void vsock_conn_ready(struct vsock_conn *c)
{
	vsock_conn_queue(c);
	vsock_wake(c->vs);
}

static void conn_unready(struct vsock_conn *c)
{
	struct vsock_conn **p = &c->vs->ready;

	if (!c->queued)
		return;
	while (*p != c)
		p = &(*p)->next_ready;
	*p = c->next_ready;
	if (!*p)
		c->vs->ready_end = p;
	c->queued = false;
}

static uint64_t state_time(enum vsock_state state)
{
	if (state == VSOCK_ASKED)
		return LINE_TIME;
	return state == VSOCK_CLOSING ? CLOSING_TIME : ANSWER_TIME;
}

void vsock_conn_set_state(struct vsock_conn *c, enum vsock_state state)
{
	c->state = state;
	if (state == VSOCK_OPEN)
		ev_timer_stop(&c->timer);
	else
		ev_timer_set(&c->timer, state_time(state));
}

static void conn_late(void *arg)
{
	vsock_conn_reset(arg);
}

static void conn_event(void *arg, uint32_t events);

struct vsock_conn *vsock_conn_new(struct vsock *vs, int fd, unsigned type, enum vsock_state state)
{
	struct vsock_conn *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return NULL;
	}
	c->vs = vs;
	c->fd = fd;
	/* Then what the guest has credit for fits, and nobody waits for room in between. */
	fd_raise_send_buffer(fd, (int)vs->buffer);
	c->key.type = (uint16_t)type;
	ev_timer_init(vs->dev.loop, &c->timer, conn_late, c);
	if (ev_fd_add(vs->dev.loop, &c->watch, fd, EVENTS, conn_event, c) < 0) {
		close(fd);
		free(c);
		return NULL;
	}
	vsock_conn_set_state(c, state);
	c->next = vs->conns;
	if (c->next)
		c->next->prev = c;
	vs->conns = c;
	vs->nconns++;
	return c;
}

void vsock_conn_free(struct vsock_conn *c)
{
	conn_unkey(c);
	conn_unready(c);
	if (c->prev)
		c->prev->next = c->next;
	else
		c->vs->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->vs->nconns--;
	ev_timer_stop(&c->timer);
	ev_fd_del(&c->watch);
	close(c->fd);
	fifo_finish(&c->backlog);
	fifo_finish(&c->bounds);
	free(c->msg);
	free(c);
}

void vsock_conn_reset(struct vsock_conn *c)
{
	struct vsock *vs = c->vs;

	if (c->keyed && !(c->due & VSOCK_DUE_REQUEST)) {
		vs->resets++;
		vsock_send_rst(vs, &c->key);
	}
	vsock_conn_free(c);
}

/* Guest to host. */

static uint32_t backlog_used(const struct vsock_conn *c)
{
	return c->rx_cnt - c->fwd_cnt;
}

/* The host's end will not do `flags` any more. */
static void conn_host_shut(struct vsock_conn *c, unsigned flags)
{
	if (!(flags & ~c->host_shut))
		return;
	c->host_shut |= flags;
	c->due |= VSOCK_DUE_SHUTDOWN;
	if (c->host_shut & VSOCK_SHUT_RECEIVE) {
		c->fwd_cnt = c->rx_cnt;
		c->partial = 0;
		fifo_reset(&c->backlog);
		fifo_reset(&c->bounds);
	}
	if (c->host_shut == VSOCK_SHUT_BOTH && c->state == VSOCK_OPEN)
		vsock_conn_set_state(c, VSOCK_CLOSING);
}

/* Sends to the socket. Bytes taken, 0 if it takes nothing now, -errno if the connection is lost. */
static ssize_t conn_send(struct vsock_conn *c, struct iovec *iov, unsigned n)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t sent = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent >= 0)
		return sent;
	if (errno == EAGAIN || errno == EINTR) {
		c->writable = false;
		return ev_fd_mod(&c->watch, EVENTS | EPOLLOUT);
	}
	return -errno;
}

/* What became of a failed send: 0 if the connection goes on one way, or -errno. */
static int conn_send_failed(struct vsock_conn *c, int error)
{
	if (error == -EMSGSIZE && log_allowed(&c->vs->complaints, 5))
		log_warn(c->vs->dev.log,
			"connection of guest port %u reset: a message is larger than the host "
			"socket's "
			"send buffer (net.core.wmem_max)",
			c->key.guest_port);
	if (error != -EPIPE && error != -ECONNRESET)
		return error;
	conn_host_shut(c, VSOCK_SHUT_RECEIVE);
	return 0;
}

/* Sends one message of SEQPACKET; a peer gets a byte of flags before it. 1: sent; 0: not now; or
 * -errno. iov[0] is free for the flags. */
static int conn_send_message(struct vsock_conn *c, struct iovec *iov, unsigned n, bool eor)
{
	uint8_t flags = eor ? VSOCK_SEQ_EOR : 0;
	ssize_t r;

	iov[0] = (struct iovec){ &flags, 1 };
	r = c->peer ? conn_send(c, iov, n) : conn_send(c, iov + 1, n - 1);
	if (r < 0)
		return (int)r;
	return c->writable;
}

/* The first `len` bytes of the backlog. */
static unsigned backlog_iov(const struct vsock_conn *c, struct iovec iov[2], size_t len)
{
	unsigned n = fifo_used(&c->backlog) ? fifo_readable(&c->backlog, iov) : 0;

	if (n && iov[0].iov_len >= len) {
		iov[0].iov_len = len;
		return 1;
	}
	if (n == 2)
		iov[1].iov_len = min_u64(iov[1].iov_len, len - iov[0].iov_len);
	return n;
}

/* The bounds are written and read whole, so a get never finds half of one. */
static bool bounds_peek(const struct vsock_conn *c, uint32_t *bound)
{
	struct iovec iov[2];
	struct iov_iter it;

	if (!fifo_used(&c->bounds))
		return false;
	iov_iter_init(&it, iov, fifo_readable(&c->bounds, iov));
	return iov_read(&it, bound, sizeof(*bound)) == sizeof(*bound);
}

static int flush_messages(struct vsock_conn *c)
{
	struct iovec iov[3];
	uint32_t bound;

	while (c->writable && bounds_peek(c, &bound)) {
		uint32_t len = bound & ~BOUND_EOR;
		unsigned n = len ? backlog_iov(c, iov + 1, len) : 0;
		int r = conn_send_message(c, iov, n + 1, bound & BOUND_EOR);

		if (r < 0)
			return conn_send_failed(c, r);
		if (!r)
			break;
		fifo_took(&c->bounds, sizeof(bound));
		fifo_took(&c->backlog, len);
		c->fwd_cnt += len;
	}
	return 0;
}

static int flush_stream(struct vsock_conn *c)
{
	struct iovec iov[2];

	while (c->writable && fifo_used(&c->backlog)) {
		ssize_t n = conn_send(c, iov, fifo_readable(&c->backlog, iov));

		if (n < 0)
			return conn_send_failed(c, (int)n);
		fifo_took(&c->backlog, (size_t)n);
		c->fwd_cnt += (uint32_t)n;
	}
	return 0;
}

/* Hands the backlog to the socket as far as it takes it. 0 or -errno. */
static int conn_flush(struct vsock_conn *c)
{
	if (c->key.type == VIRTIO_VSOCK_TYPE_SEQPACKET)
		return flush_messages(c);
	return flush_stream(c);
}

/* Keeps the rest of a packet; its length is within the credit and so within the backlog. */
static int backlog_put(struct vsock_conn *c, struct iov_iter *data, size_t len)
{
	struct iovec room[2];
	struct iov_iter dst;

	if (!c->backlog.buf && fifo_init(&c->backlog, c->vs->buffer) < 0)
		return -ENOMEM;
	iov_iter_init(&dst, room, fifo_writable(&c->backlog, room));
	if (iov_copy(&dst, data, len) != len)
		return -EFAULT;
	fifo_filled(&c->backlog, len);
	return 0;
}

static int rw_stream(struct vsock_conn *c, struct iov_iter *data, size_t len)
{
	struct iovec iov[IOV_MAX_CALL];

	while (len && c->writable && !fifo_used(&c->backlog)) {
		struct iov_iter start = *data;
		size_t taken;
		unsigned n = iov_take(data, len, iov, IOV_MAX_CALL, &taken);
		ssize_t sent = conn_send(c, iov, n);

		if (sent < 0)
			return conn_send_failed(c, (int)sent);
		c->fwd_cnt += (uint32_t)sent;
		len -= (size_t)sent;
		if ((size_t)sent == taken)
			continue;
		*data = start;
		iov_skip(data, (size_t)sent);
	}
	return len ? backlog_put(c, data, len) : 0;
}

/* A message that came whole while nothing waits before it. 1: sent; 0: to be kept; or -errno. */
static int message_direct(struct vsock_conn *c, struct iov_iter data, size_t len, bool eor)
{
	struct iovec iov[IOV_MAX_CALL];
	size_t taken = 0;
	unsigned n = 0;

	if (c->partial || !c->writable || fifo_used(&c->bounds))
		return 0;
	if (len)
		n = iov_take(&data, len, iov + 1, IOV_MAX_CALL - 1, &taken);
	return taken == len ? conn_send_message(c, iov, n + 1, eor) : 0;
}

static int rw_message(struct vsock_conn *c, struct iov_iter *data, size_t len, uint32_t flags)
{
	bool eor = flags & VSOCK_SEQ_EOR;
	uint32_t bound;
	int r = 0;

	if (flags & VSOCK_SEQ_EOM)
		r = message_direct(c, *data, len, eor);
	if (r < 0)
		return conn_send_failed(c, r);
	if (r == 1) {
		c->fwd_cnt += (uint32_t)len;
		return 0;
	}
	if (len && backlog_put(c, data, len) < 0)
		return -ENOMEM;
	c->partial += (uint32_t)len;
	if (!(flags & VSOCK_SEQ_EOM))
		return 0;
	/* Room for the bounds of messages of four bytes and more on average. */
	if (!c->bounds.buf && fifo_init(&c->bounds, c->vs->buffer) < 0)
		return -ENOMEM;
	if (fifo_free(&c->bounds) < sizeof(bound))
		return -ENOBUFS;
	bound = c->partial | (eor ? BOUND_EOR : 0);
	fifo_put(&c->bounds, &bound, sizeof(bound));
	c->partial = 0;
	return conn_flush(c);
}

static int conn_rw(struct vsock_conn *c, const struct vsock_pkt *pkt, struct iov_iter *data)
{
	/* The guest must not send more than the credit it was last told (5.10.6.3). */
	uint32_t used = c->rx_cnt - c->fwd_told;

	if (c->state != VSOCK_OPEN && c->state != VSOCK_CLOSING)
		return -EPROTO;
	if ((c->guest_shut & VSOCK_SHUT_SEND) || pkt->len > c->vs->buffer - used)
		return -EPROTO;
	c->rx_cnt += pkt->len;
	c->vs->tx_bytes += pkt->len;
	if (c->host_shut & VSOCK_SHUT_RECEIVE) {
		c->fwd_cnt = c->rx_cnt;
		return 0;
	}
	if (c->key.type == VIRTIO_VSOCK_TYPE_SEQPACKET)
		return rw_message(c, data, pkt->len, pkt->flags);
	return rw_stream(c, data, pkt->len);
}

/* Host to guest. */

static uint32_t guest_room(const struct vsock_conn *c)
{
	uint32_t sent = c->tx_cnt - c->peer_fwd_cnt;

	return sent < c->peer_buf_alloc ? c->peer_buf_alloc - sent : 0;
}

static bool conn_wants_read(const struct vsock_conn *c)
{
	return c->state == VSOCK_OPEN && (c->readable || c->msg_ready) &&
	       !(c->guest_shut & VSOCK_SHUT_RECEIVE) && !(c->host_shut & VSOCK_SHUT_SEND);
}

bool vsock_conn_more(const struct vsock_conn *c)
{
	return c->due || (conn_wants_read(c) && (guest_room(c) || !c->credit_asked));
}

/* The socket ended: the host sends no more, and if it closed, takes no more. */
static void conn_eof(struct vsock_conn *c)
{
	c->readable = false;
	conn_host_shut(c, VSOCK_SHUT_SEND | (c->hup ? VSOCK_SHUT_RECEIVE : 0));
}

/* After a failed read: 0 if there is just nothing, or -errno. */
static int conn_read_failed(struct vsock_conn *c)
{
	c->expected /= 2;
	if (errno == EINTR)
		return 0;
	c->readable = false;
	return errno == EAGAIN ? 0 : -ECONNRESET;
}

/* The buffer has no room: that matters only if there is data. As read_stream(). */
static int read_nothing(struct vsock_conn *c)
{
	uint8_t byte;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0)
		return conn_read_failed(c);
	if (n > 0)
		return -ENOBUFS;
	conn_eof(c);
	return 0;
}

static int read_stream(struct vsock_conn *c, struct vsock_pkt *pkt, struct iov_iter *room)
{
	size_t taken;
	struct iovec iov[IOV_MAX_CALL];
	struct msghdr m = { .msg_iov = iov };
	ssize_t n;

	m.msg_iovlen = iov_take(room, guest_room(c), iov, IOV_MAX_CALL, &taken);
	if (!taken)
		return read_nothing(c);
	n = recvmsg(c->fd, &m, MSG_DONTWAIT);
	if (n < 0)
		return conn_read_failed(c);
	if (n == 0) {
		conn_eof(c);
		return 0;
	}
	/* A short read means empty, and the edge of what comes later is still to come. */
	if ((size_t)n < taken && !c->rdhup)
		c->readable = false;
	c->expected = iov_expect(c->expected, taken, (size_t)n);
	pkt->len = (uint32_t)n;
	return 1;
}

/* Receives the next message whole, for it may take several packets. 1: c->msg has it; 0: none; or
 * -errno. */
static int load_message(struct vsock_conn *c)
{
	ssize_t n = recv(c->fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);

	if (n < 0)
		return conn_read_failed(c);
	if (n == 0 && (c->rdhup || c->peer)) {
		conn_eof(c);
		return 0;
	}
	/* The guest only delivers whole messages, so one must fit its buffer. */
	if ((size_t)n - c->peer > c->peer_buf_alloc) {
		if (log_allowed(&c->vs->complaints, 5))
			log_warn(c->vs->dev.log,
				"connection of guest port %u reset: a message of %zd bytes does "
				"not fit the "
				"guest's buffer of %u",
				c->key.guest_port, n, c->peer_buf_alloc);
		return -EMSGSIZE;
	}
	if ((size_t)n > c->msg_cap) {
		free(c->msg);
		c->msg = malloc((size_t)n);
		c->msg_cap = c->msg ? (uint32_t)n : 0;
		if (!c->msg)
			return -ENOMEM;
	}
	n = recv(c->fd, c->msg, c->msg_cap, MSG_DONTWAIT);
	if (n < 0)
		return conn_read_failed(c);
	c->msg_off = c->peer;
	c->msg_len = (uint32_t)n;
	c->msg_flags = VSOCK_SEQ_EOM | (c->peer && n ? c->msg[0] & VSOCK_SEQ_EOR : 0);
	c->msg_ready = true;
	return 1;
}

static int read_message(struct vsock_conn *c, struct vsock_pkt *pkt, struct iov_iter *room)
{
	uint32_t want;
	int r;

	if (!c->msg_ready) {
		r = load_message(c);
		if (r != 1)
			return r;
	}
	want = (uint32_t)min_u64(min_u64(guest_room(c), VSOCK_PACKET_MAX), c->msg_len - c->msg_off);
	pkt->len = want ? (uint32_t)iov_write(room, c->msg + c->msg_off, want) : 0;
	if (want && !pkt->len)
		return -ENOBUFS;
	c->msg_off += pkt->len;
	if (c->msg_off == c->msg_len) {
		pkt->flags = c->msg_flags;
		c->msg_ready = false;
	}
	return 1;
}

size_t vsock_conn_wants(const struct vsock_conn *c)
{
	/* Where others wait for their turn, one packet is one turn. */
	if (c->next_ready || c->due || c->key.type != VIRTIO_VSOCK_TYPE_STREAM ||
		!conn_wants_read(c))
		return 0;
	return min_u64(min_u64(guest_room(c), c->expected), BURST_MAX);
}

static int conn_read(struct vsock_conn *c, struct vsock_pkt *pkt, struct iov_iter *room)
{
	int r;

	if (!conn_wants_read(c))
		return 0;
	if (!guest_room(c)) {
		if (!c->credit_asked)
			c->due |= VSOCK_DUE_CREDIT_REQUEST;
		c->credit_asked = true;
		return 0;
	}
	if (c->key.type == VIRTIO_VSOCK_TYPE_SEQPACKET)
		r = read_message(c, pkt, room);
	else
		r = read_stream(c, pkt, room);
	if (r != 1)
		return r;
	c->tx_cnt += pkt->len;
	c->vs->rx_bytes += pkt->len;
	pkt->op = VSOCK_OP_RW;
	return 1;
}

/* The control packet that is due first, if any. */
static bool conn_control(struct vsock_conn *c, struct vsock_pkt *pkt)
{
	static const struct {
		unsigned due;
		uint16_t op;
	} order[] = {
		{ VSOCK_DUE_REQUEST, VSOCK_OP_REQUEST },
		{ VSOCK_DUE_RESPONSE, VSOCK_OP_RESPONSE },
		{ VSOCK_DUE_CREDIT_UPDATE, VSOCK_OP_CREDIT_UPDATE },
		{ VSOCK_DUE_CREDIT_REQUEST, VSOCK_OP_CREDIT_REQUEST },
		{ VSOCK_DUE_SHUTDOWN, VSOCK_OP_SHUTDOWN },
	};

	for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
		if (!(c->due & order[i].due))
			continue;
		c->due &= ~order[i].due;
		pkt->op = order[i].op;
		if (pkt->op == VSOCK_OP_SHUTDOWN)
			pkt->flags = c->host_shut;
		return true;
	}
	return false;
}

int vsock_conn_next(struct vsock_conn *c, struct vsock_pkt *pkt, struct iov_iter *room)
{
	*pkt = (struct vsock_pkt){
		.src_cid = c->key.peer_cid,
		.dst_cid = c->vs->cid,
		.src_port = c->key.peer_port,
		.dst_port = c->key.guest_port,
		.type = c->key.type,
		.buf_alloc = (uint32_t)c->vs->buffer,
		.fwd_cnt = c->fwd_cnt,
	};
	if (!conn_control(c, pkt)) {
		int r = conn_read(c, pkt, room);

		if (r < 0)
			return r == -ENOBUFS ? r : -ECONNRESET;
		/* Reading may have found the end, or no credit. */
		if (r == 0 && !conn_control(c, pkt))
			return 0;
	}
	c->fwd_told = c->fwd_cnt;
	return 1;
}

/* Both directions. */

/* Passes on to the socket what the guest will no longer do; sending ends after the backlog. */
static void conn_pass_shutdown(struct vsock_conn *c, bool drained)
{
	unsigned now = c->guest_shut & ~c->fd_shut;

	if (!drained)
		now &= ~VSOCK_SHUT_SEND;
	if (now & VSOCK_SHUT_RECEIVE)
		shutdown(c->fd, SHUT_RD);
	if (now & VSOCK_SHUT_SEND)
		shutdown(c->fd, SHUT_WR);
	c->fd_shut |= now;
}

/* The guest is to be told of credit: it has got half of the buffer back, or some of it while it can
 * send little, and may wait for that with part of a message. */
static bool credit_news(const struct vsock_conn *c)
{
	uint32_t news = c->fwd_cnt - c->fwd_told, known = c->rx_cnt - c->fwd_told;

	return news >= c->vs->buffer / 2 || (news && known > c->vs->buffer - c->vs->buffer / 4);
}

/* After every event: what follows from the connection's state. May free it. */
static void conn_settle(struct vsock_conn *c)
{
	bool drained = !backlog_used(c) && !fifo_used(&c->bounds);

	/* VIRTIO 1.4, 5.10.6.5: RST completes the clean disconnect. */
	if (drained && c->guest_shut == VSOCK_SHUT_BOTH) {
		vsock_conn_reset(c);
		return;
	}
	conn_pass_shutdown(c, drained);
	/* Closed by the host's process, and nothing it sent is still to be read. */
	if (c->hup && ((c->host_shut & VSOCK_SHUT_SEND) || (c->guest_shut & VSOCK_SHUT_RECEIVE)))
		conn_host_shut(c, VSOCK_SHUT_BOTH);
	if (c->state == VSOCK_OPEN && credit_news(c))
		c->due |= VSOCK_DUE_CREDIT_UPDATE;
	if (vsock_conn_more(c))
		vsock_conn_ready(c);
}

static void conn_event(void *arg, uint32_t events)
{
	struct vsock_conn *c = arg;

	c->hup |= !!(events & (EPOLLHUP | EPOLLERR));
	c->rdhup |= !!(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
	c->readable |= !!(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR));
	if (events & EPOLLOUT) {
		c->writable = true;
		ev_fd_mod(&c->watch, EVENTS);
	}
	if (c->state == VSOCK_ASKED || c->state == VSOCK_DIALLED) {
		vsock_host_line(c);
		return;
	}
	if (c->state == VSOCK_REQUESTED) {
		if (c->hup)
			vsock_conn_reset(c);
		return;
	}
	if (conn_flush(c) < 0)
		vsock_conn_reset(c);
	else
		conn_settle(c);
}

/* The guest accepted a connection. 0 or -errno. */
static int conn_response(struct vsock_conn *c)
{
	if (c->state != VSOCK_REQUESTED || (c->due & VSOCK_DUE_REQUEST))
		return -EPROTO;
	c->vs->opened++;
	c->readable = c->writable = true;
	vsock_conn_set_state(c, VSOCK_OPEN);
	return vsock_host_accepted(c);
}

static int conn_shutdown(struct vsock_conn *c, uint32_t flags)
{
	if (c->state != VSOCK_OPEN && c->state != VSOCK_CLOSING)
		return -EPROTO;
	c->guest_shut |= flags & VSOCK_SHUT_BOTH;
	return 0;
}

void vsock_conn_packet(struct vsock_conn *c, const struct vsock_pkt *pkt, struct iov_iter *data)
{
	int r = 0;

	c->peer_buf_alloc = pkt->buf_alloc;
	c->peer_fwd_cnt = pkt->fwd_cnt;
	if (guest_room(c))
		c->credit_asked = false;
	switch (pkt->op) {
	case VSOCK_OP_RST:
		vsock_conn_free(c);
		return;
	case VSOCK_OP_RESPONSE:
		r = conn_response(c);
		break;
	case VSOCK_OP_SHUTDOWN:
		r = conn_shutdown(c, pkt->flags);
		break;
	case VSOCK_OP_RW:
		r = conn_rw(c, pkt, data);
		break;
	case VSOCK_OP_CREDIT_UPDATE:
		break;
	case VSOCK_OP_CREDIT_REQUEST:
		c->due |= VSOCK_DUE_CREDIT_UPDATE;
		break;
	default: /* REQUEST of an existing connection, or an unknown operation */
		r = -EPROTO;
		break;
	}
	if (r < 0) {
		c->vs->bad_packets += r == -EPROTO;
		vsock_conn_reset(c);
	} else {
		conn_settle(c);
	}
}
