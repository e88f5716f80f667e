/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/passt.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/fifo.h"
#include "base/util.h"

#define BUFFER	 (256u << 10)
#define LEN	 4u /* bytes of a frame's length */
#define BATCH	 64 /* frames passed on before others have their turn */
#define RETRY_NS UINT64_C(1000000000)

struct passt {
	struct netport end;
	struct ev_loop *loop;
	const struct log *log;
	struct ev_fd watch;
	struct ev_task flush, more;
	struct ev_timer retry;
	int sock;   /* -1: not connected */
	char *path; /* where to connect, or NULL */
	bool full;  /* the other side was told -EAGAIN */
	bool held;  /* the other side has no room for the next frame of `in` */
	bool warned;
	struct fifo in, out;
};

static void update_watch(struct passt *p)
{
	uint32_t events = 0;

	if (p->sock < 0)
		return;
	if (netport_peer_up(&p->end) && !p->held && fifo_free(&p->in))
		events |= EPOLLIN;
	if (fifo_used(&p->out))
		events |= EPOLLOUT;
	ev_fd_mod(&p->watch, events);
}

static void disconnect(struct passt *p, const char *why)
{
	ev_fd_del(&p->watch);
	close_fd(&p->sock);
	fifo_reset(&p->in);
	fifo_reset(&p->out);
	p->held = false;
	p->full = false;
	log_warn(p->log, "passt: link down: %s", why);
	netport_set_up(&p->end, false);
	if (p->path)
		ev_timer_set(&p->retry, RETRY_NS);
}

static void write_out(struct passt *p)
{
	struct iovec iov[2];
	struct msghdr msg = { .msg_iov = iov };
	ssize_t n;

	while (p->sock >= 0 && fifo_used(&p->out)) {
		msg.msg_iovlen = fifo_readable(&p->out, iov);
		n = sendmsg(p->sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			disconnect(p, strerror(errno));
		if (n < 0)
			break;
		fifo_took(&p->out, (size_t)n);
	}
	update_watch(p);
	if (p->full && fifo_free(&p->out) >= BUFFER / 2) {
		p->full = false;
		netport_room(&p->end);
	}
}

/* The next whole frame of `in`: 1: passed on or skipped, 0: not complete, -EAGAIN: no room there,
 * -EBADMSG: not a frame. */
static int pass_on(struct passt *p)
{
	uint8_t prefix[LEN];
	struct iovec iov[2];
	struct iov_iter at;
	struct net_frame f;
	uint32_t len;

	iov_iter_init(&at, iov, fifo_readable(&p->in, iov));
	if (iov_read(&at, prefix, LEN) < LEN)
		return 0;
	len = (uint32_t)net_be16(prefix) << 16 | net_be16(prefix + 2);
	if (len < NET_ETH_LEN || len > NET_FRAME_MAX)
		return -EBADMSG;
	if (fifo_used(&p->in) < LEN + len)
		return 0;
	if (!net_frame_init(&f, &at, len, NULL) && netport_send(&p->end, &f) == -EAGAIN)
		return -EAGAIN;
	fifo_took(&p->in, LEN + len);
	return 1;
}

static void pass_on_all(struct passt *p)
{
	int ret = 1;

	for (int i = 0; i < BATCH && ret == 1; i++)
		ret = p->sock < 0 ? 0 : pass_on(p);
	if (ret == 1)
		ev_task_post(&p->more);
	p->held = ret == -EAGAIN;
	if (ret == -EBADMSG)
		disconnect(p, "it sent a length that no frame has");
	update_watch(p);
}

static void read_in(struct passt *p)
{
	struct iovec iov[2];
	ssize_t n;

	n = readv(p->sock, iov, (int)fifo_writable(&p->in, iov));
	if (n > 0) {
		fifo_filled(&p->in, (size_t)n);
		pass_on_all(p);
	} else if (!n) {
		disconnect(p, "it closed the connection");
	} else if (errno != EAGAIN && errno != EINTR) {
		disconnect(p, strerror(errno));
	}
}

static void on_event(void *arg, uint32_t events)
{
	struct passt *p = arg;

	if (events & EPOLLOUT)
		write_out(p);
	if (p->sock >= 0 && (events & EPOLLIN))
		read_in(p);
	else if (p->sock >= 0 && (events & (EPOLLHUP | EPOLLERR)))
		disconnect(p, "it closed the connection");
}

static void on_flush(void *arg)
{
	write_out(arg);
}

static void on_more(void *arg)
{
	pass_on_all(arg);
}

static int passt_receive(struct netport *end, const struct net_frame *f)
{
	struct passt *p = container_of(end, struct passt, end);
	uint8_t prefix[LEN];
	struct iovec iov[2];
	struct iov_iter at;

	if (fifo_free(&p->out) < LEN + f->len) {
		p->full = true;
		return -EAGAIN;
	}
	net_put_be16(prefix, f->len >> 16);
	net_put_be16(prefix + 2, f->len);
	iov_iter_init(&at, iov, fifo_writable(&p->out, iov));
	iov_write(&at, prefix, LEN);
	net_frame_copy(&at, f);
	fifo_filled(&p->out, LEN + f->len);
	ev_task_post(&p->flush);
	return 0;
}

static void passt_room(struct netport *end)
{
	struct passt *p = container_of(end, struct passt, end);

	if (p->held)
		pass_on_all(p);
}

static void passt_state(struct netport *end)
{
	struct passt *p = container_of(end, struct passt, end);

	/* What waits goes to the other side that is there now, or is lost with the one that went.
	 */
	p->held = false;
	ev_task_post(&p->more);
	update_watch(p);
}

static const struct netport_ops passt_ops = {
	.receive = passt_receive,
	.room = passt_room,
	.state = passt_state,
};

static int attach(struct passt *p, int sock)
{
	int ret = fd_nonblock(sock);

	if (!ret)
		ret = ev_fd_add(p->loop, &p->watch, sock, 0, on_event, p);
	if (ret)
		return ret;
	p->sock = sock;
	netport_set_up(&p->end, true);
	update_watch(p);
	return 0;
}

static void try_connect(void *arg)
{
	struct passt *p = arg;
	struct err e = { 0 };
	int sock = fd_unix_connect(p->path, SOCK_STREAM, &e);

	if (sock >= 0 && !attach(p, sock)) {
		log_info(p->log, "passt: connected to %s", p->path);
		p->warned = false;
		return;
	}
	close_fd(&sock);
	if (!p->warned)
		log_warn(p->log, "passt: %s; trying again every second", e.msg);
	p->warned = true;
	ev_timer_set(&p->retry, RETRY_NS);
}

/* Starts passt with one end of a pair of sockets; returns the other. It ends by itself when that is
 * closed, however we ended; nobody waits for it, since a jailed process could not. */
static int start_child(struct err *e)
{
	pid_t child;
	char number[16];
	char *argv[] = { (char *)"passt", (char *)"--foreground", (char *)"--quiet",
		(char *)"--one-off", (char *)"--mtu", (char *)"1500", (char *)"--fd", number,
		NULL };
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, -errno, "passt: cannot make a pair of sockets");
	snprintf(number, sizeof(number), "%d", pair[1]);
	fd_cloexec(pair[1], 0);
	ret = -posix_spawnp(&child, "passt", NULL, NULL, argv, environ);
	close(pair[1]);
	if (!ret)
		return pair[0];
	close(pair[0]);
	return err_sys(e, ret, "passt: cannot start it (Debian package passt)");
}

/* A link without a socket; NULL: no memory. */
static struct passt *create(struct ev_loop *loop, const struct log *log)
{
	struct passt *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->loop = loop;
	p->log = log;
	p->sock = -1;
	p->end.ops = &passt_ops;
	ev_task_init(loop, &p->flush, on_flush, p);
	ev_task_init(loop, &p->more, on_more, p);
	ev_timer_init(loop, &p->retry, try_connect, p);
	if (fifo_init(&p->in, BUFFER) || fifo_init(&p->out, BUFFER)) {
		passt_destroy(p);
		return NULL;
	}
	return p;
}

int passt_create(struct passt **out, const char *socket, struct ev_loop *loop,
	const struct log *log, struct err *e)
{
	struct passt *p = create(loop, log);
	int ret;

	if (!p)
		return err_set(e, -ENOMEM, "passt: out of memory");
	if (socket) {
		p->path = strdup(socket);
		ret = p->path ? 0 : err_set(e, -ENOMEM, "passt: out of memory");
		if (!ret)
			try_connect(p);
	} else {
		int sock = start_child(e);

		ret = sock < 0 ? sock : attach(p, sock);
		if (ret && sock >= 0) {
			close(sock);
			err_sys(e, ret, "passt: cannot watch its socket");
		}
	}
	if (ret) {
		passt_destroy(p);
		return ret;
	}
	*out = p;
	return 0;
}

void passt_destroy(struct passt *p)
{
	if (!p)
		return;
	netport_disconnect(&p->end);
	ev_fd_del(&p->watch);
	ev_task_cancel(&p->flush);
	ev_task_cancel(&p->more);
	ev_timer_stop(&p->retry);
	close_fd(&p->sock);
	fifo_finish(&p->in);
	fifo_finish(&p->out);
	free(p->path);
	free(p);
}

struct netport *passt_end(struct passt *p)
{
	return &p->end;
}
