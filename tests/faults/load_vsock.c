/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets: a stream between a driver and a program of the host that sends everything back. What
 * comes is always a part of what was sent, from its beginning; a crash ends the connection.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "drivers/vsock.h"
#include "load_classes.h"

#define PORT	5000u
#define MESSAGE 8192u

/* In which a connection shows that it lives, ns: doubled each time until one does, since a driver
 * cannot tell a lost answer from a slow machine. */
#define PATIENCE     UINT64_C(20000000)
#define PATIENCE_MAX UINT64_C(5000000000)

struct state {
	struct drv_vsock drv;
	struct drv_vsock_conn conn;
	int listener, host;
	uint64_t patience, connected; /* ns; when */
	uint64_t number;
	uint8_t buffer[65536], out[MESSAGE], in[MESSAGE];
};

/* Connections of processes that have died since. */
static void drop_stale(struct state *st)
{
	int fd;

	close_fd(&st->host);
	while ((fd = accept4(st->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		close(fd);
}

static int connect_host(struct load *l)
{
	struct state *st = l->state;
	uint64_t until = ev_now_ns() + st->patience;
	struct pollfd p = { .fd = st->listener, .events = POLLIN };
	int r;

	drop_stale(st);
	st->connected = ev_now_ns();
	st->conn = (struct drv_vsock_conn){ .buf = st->buffer, .size = sizeof(st->buffer) };
	r = drv_vsock_connect(&st->drv, &st->conn, 2, PORT, VIRTIO_VSOCK_TYPE_STREAM, until);
	if (r)
		return r;
	if (poll(&p, 1, (int)(st->patience / 1000000)) != 1)
		return DRV_TIMEOUT;
	st->host = accept4(st->listener, NULL, NULL, SOCK_CLOEXEC);
	return st->host < 0 ? DRV_GONE : 0;
}

/* The program: takes a message and sends it back. */
static int echo(struct state *st)
{
	struct timeval limit = { .tv_sec = (time_t)(st->patience / 1000000000),
		.tv_usec = (suseconds_t)(st->patience % 1000000000 / 1000) };
	uint8_t bytes[MESSAGE];
	ssize_t n;

	setsockopt(st->host, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	n = recv(st->host, bytes, MESSAGE, MSG_WAITALL);
	if (n != MESSAGE)
		return n > 0 || (n < 0 && errno == EAGAIN) ? DRV_TIMEOUT : DRV_GONE;
	return send(st->host, bytes, MESSAGE, MSG_NOSIGNAL) == MESSAGE ? 0 : DRV_GONE;
}

static int receive(struct load *l)
{
	struct state *st = l->state;
	uint64_t until = ev_now_ns() + st->patience;
	uint32_t got = 0, len = 0;
	int r = 0;

	while (!r && got < MESSAGE) {
		r = drv_vsock_recv(&st->conn, st->in + got, MESSAGE - got, &len, until);
		if (!r && !len)
			r = DRV_GONE;
		if (!r && memcmp(st->in + got, st->out + got, len)) {
			load_fail(l, "bytes %u to %u are not those that were sent", got, got + len);
			return 0;
		}
		got += r ? 0 : len;
	}
	return r;
}

static int message(struct load *l)
{
	struct state *st = l->state;
	uint64_t begun = ev_now_ns();
	int r = st->conn.state == DRV_VSOCK_OPEN ? 0 : connect_host(l);

	load_record(st->out, MESSAGE, ++st->number);
	if (!r)
		r = drv_vsock_send(&st->conn, st->out, MESSAGE, begun + 2 * st->patience);
	if (!r)
		r = echo(st);
	if (!r)
		r = receive(l);
	if (!r) {
		l->begun = begun;
		l->done++;
	}
	return r;
}

/* A connection that breaks must have a crash to blame; what a slow machine is late with is tried
 * again. */
static int step(struct load *l)
{
	struct state *st = l->state;
	int r = message(l);

	if (*l->why)
		return -1;
	if (!r) {
		st->patience = PATIENCE;
		return 0;
	}
	if (r != DRV_TIMEOUT && load_calm(l, st->connected))
		return load_fail(l, "the connection broke without a reason: %d", r);
	if (st->patience < PATIENCE_MAX)
		st->patience *= 2;
	drv_vsock_close(&st->conn, ev_now_ns());
	close_fd(&st->host);
	l->lost++;
	return 0;
}

static int finish(struct load *l)
{
	unsigned long end = l->done + 10;
	uint64_t until = seat_until();

	while (l->done < end) {
		if (step(l))
			return -1;
		if (ev_now_ns() > until)
			return load_fail(l, "connections do not work any more");
	}
	return 0;
}

static int open_driver(struct load *l)
{
	struct state *st = l->state = calloc(1, sizeof(*st));
	char path[128];
	int r;

	if (!st)
		return load_fail(l, "out of memory");
	snprintf(path, sizeof(path), "%s/v_%u", l->srv.dir, PORT);
	st->host = -1;
	st->patience = PATIENCE;
	st->listener = fd_unix_listen(path, SOCK_STREAM, NULL);
	fd_nonblock(st->listener);
	r = st->listener < 0 ? DRV_GONE : drv_vsock_open(&st->drv, &l->seat[0].dev);
	st->drv.timeout = seat_until() - ev_now_ns();
	return r ? load_fail(l, "opening the socket device: %d", r) : 0;
}

static void close_host(struct load *l)
{
	struct state *st = l->state;

	if (!st)
		return;
	close_fd(&st->host);
	close_fd(&st->listener);
}

static const char *const words[] = { "device", "vsock", "--cid", "3", "--uds", "{dir}/v", NULL };

const struct load_class load_vsock = { .name = "vsock",
	.words = words,
	.nports = 1,
	.id = DRV_ID_VSOCK,
	.nqueues = 3,
	.open = open_driver,
	.step = step,
	.finish = finish,
	.close = close_host };
