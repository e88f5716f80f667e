/* SPDX-License-Identifier: BSD-3-Clause */
/* Ends of streams of bytes. See ends.h. */
#include "ends.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "devices/vsock.h"
#include "drivers/ring.h"
#include "vhud.h"

#define SENDS	  4u	  /* messages on their way into the device */
#define PAGE	  4096u	  /* a console's receive buffer, as Linux has it */
#define PAGES	  64u	  /* of them */
#define BUF_ALLOC 262144u /* a socket's receive buffer, as Linux has it */
#define FEATURES  (FEATURE(VIRTIO_F_EVENT_IDX) | FEATURE(VIRTIO_F_INDIRECT_DESC))

void die(const char *what, int ret)
{
	fprintf(stderr, "streamload: %s%s%s\n", what, ret ? ": " : "", ret ? strerror(-ret) : "");
	_exit(1);
}

static void *zeroed(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		die("out of memory", 0);
	return p;
}

/* A descriptor. */

struct fd_end {
	struct end end;
	int fd;
	uint8_t out[END_MESSAGE], in[END_MESSAGE];
};

static uint8_t *fd_room(struct end *e)
{
	return container_of(e, struct fd_end, end)->out;
}

static void fd_put(struct end *e, size_t len)
{
	struct fd_end *f = container_of(e, struct fd_end, end);

	for (size_t at = 0; at < len;) {
		ssize_t n = write(f->fd, f->out + at, len - at);

		if (n < 0)
			die("writing", -errno);
		at += (size_t)n;
	}
}

static size_t fd_get(struct end *e, uint8_t **data)
{
	struct fd_end *f = container_of(e, struct fd_end, end);
	ssize_t n = read(f->fd, f->in, sizeof(f->in));

	if (n <= 0)
		die("reading", n < 0 ? -errno : -EPIPE);
	*data = f->in;
	return (size_t)n;
}

struct end *end_fd(int fd)
{
	struct fd_end *f = zeroed(sizeof(*f));

	f->end = (struct end){ fd_room, fd_put, fd_get };
	f->fd = fd;
	return &f->end;
}

/* What both devices share: buffers on their way out, and one that came. */

struct queues {
	struct vhud *d;
	unsigned rxq, txq;
	int rx_used, tx_used; /* epoll: the device used buffers */
	uint8_t *out[SENDS];
	unsigned sent; /* messages handed to the device */
	unsigned done; /* and those it is done with */
	uint8_t *held; /* what get() returned last */
	uint32_t room; /* bytes of a receive buffer */
};

/* An interrupt is an edge, as a real one: nothing has to be read for the next one to come. */
static int used_watch(const struct queues *q, unsigned vq)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, vhud_call_fd(q->d, vq), &ev))
		die("watching for interrupts", -errno);
	return fd;
}

static void queues_open(
	struct queues *q, const char *path, unsigned rxq, unsigned nqueues, uint16_t size)
{
	const struct vhud_opts opts = {
		.features = FEATURES | 7u, .nqueues = (uint16_t)nqueues, .queue_size = size
	};

	q->d = vhud_open(path);
	q->rxq = rxq;
	q->txq = rxq + 1;
	if (!q->d || vhud_start(q->d, &opts))
		die("starting the device", 0);
	q->rx_used = used_watch(q, q->rxq);
	q->tx_used = used_watch(q, q->txq);
}

static void *queues_alloc(struct queues *q, size_t len)
{
	void *p = vhud_alloc(q->d, len);

	if (!p)
		die("guest memory is used up", 0);
	return p;
}

/* As a guest does it: without a look at whether the notification can be taken. */
static void kick(struct queues *q, unsigned vq)
{
	if (drv_ring_publish(vhud_ring(q->d, vq)))
		fd_event_signal(vhud_kick_fd(q->d, vq));
}

/* Takes a buffer that the device used, and waits for one if `used` is not -1. */
static bool take(struct queues *q, unsigned vq, int used, void **buf, uint32_t *len)
{
	struct drv_ring *ring = vhud_ring(q->d, vq);
	struct epoll_event ev;
	int ret;

	for (;;) {
		ret = drv_ring_get(ring, buf, len);
		if (ret < 0)
			die("a used ring is wrong", 0);
		if (ret || used < 0)
			return ret;
		if (drv_ring_enable_interrupts(ring, 0))
			continue;
		if (epoll_wait(used, &ev, 1, -1) < 1)
			die("waiting for an interrupt", -errno);
	}
}

static void post(struct queues *q, uint8_t *buf)
{
	struct iovec iov = { buf, q->room };

	if (vhud_add(q->d, q->rxq, &iov, 0, 1, buf))
		die("posting a receive buffer", 0);
}

static void post_all(struct queues *q, unsigned n, uint32_t room)
{
	q->room = room;
	for (unsigned i = 0; i < n; i++)
		post(q, queues_alloc(q, room));
	kick(q, q->rxq);
}

/* The place of the next message, once there is one. */
static uint8_t *next_out(struct queues *q)
{
	void *buf;
	uint32_t len;

	while (take(q, q->txq, q->sent - q->done == SENDS ? q->tx_used : -1, &buf, &len))
		q->done++;
	return q->out[q->sent % SENDS];
}

static void send_out(struct queues *q, size_t len)
{
	struct iovec iov = { q->out[q->sent++ % SENDS], len };

	if (vhud_add(q->d, q->txq, &iov, 1, 0, NULL))
		die("sending", 0);
	kick(q, q->txq);
}

/* The next buffer that came; the one before goes back to the device. */
static uint8_t *next_in(struct queues *q, uint32_t *len)
{
	void *buf;

	if (q->held)
		post(q, q->held);
	kick(q, q->rxq);
	take(q, q->rxq, q->rx_used, &buf, len);
	return q->held = buf;
}

/* The console device. */

struct console_end {
	struct end end;
	struct queues q;
};

static uint8_t *console_room(struct end *e)
{
	return next_out(&container_of(e, struct console_end, end)->q);
}

static void console_put(struct end *e, size_t len)
{
	send_out(&container_of(e, struct console_end, end)->q, len);
}

static size_t console_get(struct end *e, uint8_t **data)
{
	struct queues *q = &container_of(e, struct console_end, end)->q;
	uint32_t len;

	*data = next_in(q, &len);
	return len;
}

struct end *end_console(const char *path)
{
	struct console_end *c = zeroed(sizeof(*c));

	c->end = (struct end){ console_room, console_put, console_get };
	queues_open(&c->q, path, 0, 2, PAGES);
	for (unsigned i = 0; i < SENDS; i++)
		c->q.out[i] = queues_alloc(&c->q, END_MESSAGE);
	post_all(&c->q, PAGES, PAGE);
	return &c->end;
}

/* The socket device. */

#define HDR sizeof(struct vsock_hdr)

struct vsock_end {
	struct end end;
	struct queues q;
	uint64_t cid;
	uint32_t port;
	uint32_t received, told;	      /* bytes; told: what the device knows of them */
	uint32_t bytes, peer_alloc, peer_fwd; /* sent, and the credit for it */
};

static void vsock_send(struct vsock_end *v, uint8_t *buf, uint16_t op, uint32_t len)
{
	const struct vsock_hdr h = { .src_cid = v->cid,
		.dst_cid = VSOCK_HOST_CID,
		.src_port = 1,
		.dst_port = v->port,
		.len = len,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = BUF_ALLOC,
		.fwd_cnt = v->received };

	memcpy(buf, &h, HDR);
	v->told = v->received;
	send_out(&v->q, HDR + len);
}

/* The next packet but questions about credit, which are answered; its operation. */
static unsigned vsock_packet(struct vsock_end *v, uint8_t **data, uint32_t *len)
{
	struct vsock_hdr h;

	for (;;) {
		uint32_t used;
		uint8_t *packet = next_in(&v->q, &used);

		memcpy(&h, packet, HDR);
		*data = packet + HDR;
		if (used != HDR + h.len || h.dst_port != 1 || h.src_port != v->port)
			die("a packet is damaged", 0);
		v->peer_alloc = h.buf_alloc;
		v->peer_fwd = h.fwd_cnt;
		*len = h.len;
		if (h.op != VSOCK_OP_CREDIT_REQUEST)
			return h.op;
		vsock_send(v, next_out(&v->q), VSOCK_OP_CREDIT_UPDATE, 0);
	}
}

static void vsock_expect(struct vsock_end *v, unsigned op)
{
	uint8_t *data;
	uint32_t len;

	if (vsock_packet(v, &data, &len) != op)
		die("a packet of another kind is here", 0);
}

static uint8_t *vsock_next(struct end *e)
{
	return next_out(&container_of(e, struct vsock_end, end)->q) + HDR;
}

static void vsock_put(struct end *e, size_t len)
{
	struct vsock_end *v = container_of(e, struct vsock_end, end);

	/* What comes while there is no credit is news of credit: nobody sends both ways. */
	while (v->peer_alloc - (v->bytes - v->peer_fwd) < len)
		vsock_expect(v, VSOCK_OP_CREDIT_UPDATE);
	v->bytes += (uint32_t)len;
	vsock_send(v, v->q.out[v->q.sent % SENDS], VSOCK_OP_RW, (uint32_t)len);
}

static size_t vsock_get(struct end *e, uint8_t **data)
{
	struct vsock_end *v = container_of(e, struct vsock_end, end);
	uint32_t len = 0;
	unsigned op;

	/* Linux tells the credit when less than a largest packet is left of it. */
	if (BUF_ALLOC - (v->received - v->told) < END_MESSAGE)
		vsock_send(v, next_out(&v->q), VSOCK_OP_CREDIT_UPDATE, 0);
	while ((op = vsock_packet(v, data, &len)) != VSOCK_OP_RW)
		if (op != VSOCK_OP_CREDIT_UPDATE)
			die("a packet of another kind is here", 0);
	v->received += len;
	return len;
}

struct end *end_vsock(const char *path, uint32_t port, uint32_t rx_len)
{
	struct vsock_end *v = zeroed(sizeof(*v));
	unsigned n = BUF_ALLOC / rx_len;

	v->end = (struct end){ vsock_next, vsock_put, vsock_get };
	v->port = port;
	queues_open(&v->q, path, 0, 3, 128);
	if (vhud_config_read(v->q.d, 0, &v->cid, sizeof(v->cid)))
		die("reading the CID", 0);
	for (unsigned i = 0; i < SENDS; i++)
		v->q.out[i] = queues_alloc(&v->q, HDR + END_MESSAGE);
	post_all(&v->q, n, (uint32_t)HDR + rx_len);
	vsock_send(v, next_out(&v->q), VSOCK_OP_REQUEST, 0);
	vsock_expect(v, VSOCK_OP_RESPONSE);
	return &v->end;
}
