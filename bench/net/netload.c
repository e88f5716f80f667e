/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends numbered frames into one port of something that connects two, and takes them from the
 * other.
 *
 *     netload vhost SOCKET SOCKET SIZE SECONDS    vhost-user ports: plays both guests' drivers
 *     netload stream SOCKET SOCKET SIZE SECONDS   QEMU's stream netdevs: length, frame, length, ...
 *
 * At most WINDOW frames are on their way, so that none need be lost. Every frame is checked for its
 * number and length. Prints frames, seconds and batches: times at which frames were handed over.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "host/netport.h"
#include "vhud.h"

#define WINDOW	256u
#define BUF_LEN 2048u
#define HDR_LEN 12u
#define NUMBER	14u /* where the frame's number is */

struct load {
	size_t size;
	uint64_t deadline_ns;
	uint64_t sent, received, batches;
};

static void fail(const char *why)
{
	fprintf(stderr, "netload: %s\n", why);
	exit(1);
}

static bool may_send(const struct load *l)
{
	return l->sent - l->received < WINDOW && (l->sent % 64 || ev_now_ns() < l->deadline_ns);
}

static void write_frame(uint8_t *p, uint64_t number)
{
	memcpy(p, "\2\0\0\0\0\2\2\0\0\0\0\1\x88\xb5", NUMBER);
	memcpy(p + NUMBER, &number, sizeof(number));
}

static void check_frame(struct load *l, const uint8_t *p, size_t len)
{
	uint64_t number;

	memcpy(&number, p + NUMBER, sizeof(number));
	if (len != l->size || number != l->received)
		fail("a frame is lost, out of order or damaged");
	l->received++;
}

/* vhost-user. */

static struct vhud *open_port(const char *path)
{
	struct vhud *d = vhud_open(path);
	struct vhud_opts opts = { .features = FEATURE(VIRTIO_F_EVENT_IDX) | FEATURE(15),
		.nqueues = 2,
		.queue_size = WINDOW };

	if (!d || vhud_start(d, &opts))
		fail("cannot start a port");
	return d;
}

static void post(struct vhud *d, uint8_t *buf)
{
	struct iovec iov = { buf, BUF_LEN };

	if (vhud_add(d, 0, &iov, 0, 1, buf))
		fail("cannot post a receive buffer");
}

/* The receiver's address is to be known, so that nothing is flooded. */
static void introduce(struct vhud *from, uint8_t *buf)
{
	struct iovec iov = { buf, HDR_LEN + 60 };

	memset(buf, 0, HDR_LEN + 60);
	memcpy(buf + HDR_LEN, "\2\0\0\0\0\1\2\0\0\0\0\2\x88\xb5", NUMBER);
	vhud_add(from, 1, &iov, 1, 0, NULL);
	vhud_kick(from, 1);
	if (vhud_wait(from, 1, NULL, NULL, VHUD_TIMEOUT_MS) != 1)
		fail("the second port does not take frames");
}

static void vhost_send(struct load *l, struct vhud *d, uint8_t *bufs)
{
	bool any = false;

	while (vhud_wait(d, 1, NULL, NULL, 0) == 1)
		;
	for (; may_send(l); l->sent++, any = true) {
		uint8_t *buf = bufs + l->sent % WINDOW * BUF_LEN;
		struct iovec iov = { buf, HDR_LEN + l->size };

		write_frame(buf + HDR_LEN, l->sent);
		if (vhud_add(d, 1, &iov, 1, 0, NULL))
			break;
	}
	if (!any)
		return;
	vhud_kick(d, 1);
	l->batches++;
}

static void vhost_receive(struct load *l, struct vhud *d)
{
	int timeout = VHUD_TIMEOUT_MS; /* for the first; then what is there */
	void *token;
	uint32_t len;

	if (l->sent == l->received)
		return;
	for (; vhud_wait(d, 0, &token, &len, timeout) == 1; timeout = 0) {
		check_frame(l, (uint8_t *)token + HDR_LEN, len - HDR_LEN);
		post(d, token);
	}
	if (timeout)
		fail("frames do not arrive");
	vhud_kick(d, 0);
}

static void run_vhost(struct load *l, char **path)
{
	struct vhud *a = open_port(path[0]), *b = open_port(path[1]);
	uint8_t *bufs = vhud_alloc(a, WINDOW * BUF_LEN), *rx = vhud_alloc(b, WINDOW * BUF_LEN);

	for (unsigned i = 0; i < WINDOW; i++)
		post(b, rx + i * BUF_LEN);
	vhud_kick(b, 0);
	introduce(b, vhud_alloc(b, 256));
	do {
		vhost_send(l, a, bufs);
		vhost_receive(l, b);
	} while (l->sent > l->received || ev_now_ns() < l->deadline_ns);
	vhud_close(a);
	vhud_close(b);
}

/* Streams. */

struct stream {
	int fd;
	size_t used; /* bytes in buf that wait to be sent, or to be looked at */
	uint8_t buf[WINDOW * (4 + BUF_LEN)];
};

static struct stream *open_stream(const char *path)
{
	struct stream *s = calloc(1, sizeof(*s));

	s->fd = fd_unix_connect(path, SOCK_STREAM, NULL);
	if (s->fd < 0 || fd_nonblock(s->fd))
		fail("cannot connect");
	return s;
}

static void stream_send(struct load *l, struct stream *s)
{
	ssize_t n;

	while (may_send(l) && s->used + 4 + l->size <= sizeof(s->buf)) {
		net_put_be16(s->buf + s->used, 0);
		net_put_be16(s->buf + s->used + 2, (uint32_t)l->size);
		write_frame(s->buf + s->used + 4, l->sent++);
		s->used += 4 + l->size;
	}
	n = s->used ? send(s->fd, s->buf, s->used, MSG_NOSIGNAL) : 0;
	if (n < 0 && errno != EAGAIN)
		fail("cannot send");
	if (n > 0) {
		s->used -= (size_t)n;
		memmove(s->buf, s->buf + n, s->used);
	}
}

static void stream_receive(struct load *l, struct stream *s)
{
	ssize_t n = recv(s->fd, s->buf + s->used, sizeof(s->buf) - s->used, 0);
	size_t at = 0;

	if (!n || (n < 0 && errno != EAGAIN))
		fail("cannot receive");
	s->used += n > 0 ? (size_t)n : 0;
	while (s->used - at >= 4) {
		size_t len = net_be16(s->buf + at + 2);

		if (s->used - at < 4 + len)
			break;
		check_frame(l, s->buf + at + 4, len);
		at += 4 + len;
	}
	s->used -= at;
	memmove(s->buf, s->buf + at, s->used);
}

static void run_stream(struct load *l, char **path)
{
	struct stream *a = open_stream(path[0]), *b = open_stream(path[1]);

	do {
		struct pollfd fds[2] = { { .fd = b->fd, .events = POLLIN }, { .fd = a->fd } };

		stream_send(l, a);
		fds[1].events = a->used ? POLLOUT : 0;
		if (l->sent == l->received)
			continue;
		if (poll(fds, 2, VHUD_TIMEOUT_MS) <= 0)
			fail("frames do not arrive");
		if (fds[0].revents)
			stream_receive(l, b);
	} while (l->sent > l->received || ev_now_ns() < l->deadline_ns);
	close(a->fd);
	close(b->fd);
	free(a);
	free(b);
}

int main(int argc, char **argv)
{
	struct load l = { 0 };
	uint64_t start = ev_now_ns();

	if (argc != 6)
		fail("usage: netload vhost|stream SOCKET SOCKET SIZE SECONDS");
	l.size = strtoul(argv[4], NULL, 10);
	if (l.size < 60 || l.size > 1514)
		fail("SIZE is 60 to 1514");
	l.deadline_ns = start + (uint64_t)(strtod(argv[5], NULL) * 1e9);
	if (!strcmp(argv[1], "vhost"))
		run_vhost(&l, argv + 2);
	else
		run_stream(&l, argv + 2);
	printf("%llu %.6f %llu\n", (unsigned long long)l.received,
		(double)(ev_now_ns() - start) / 1e9, (unsigned long long)l.batches);
	return 0;
}
