/* SPDX-License-Identifier: BSD-3-Clause */
/* The vhost-user back-end: connections, one after the other, and the back-end channel. */
#include "transport/vhost_user_backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"
#include "transport/vhost_user_backend_priv.h"

/* Messages handled before other work of the loop gets a turn. */
#define TURN_MESSAGES 32

static void accept_frontend(void *arg, uint32_t events);

static void channel_close(struct vhu_backend *b)
{
	if (b->channel < 0)
		return;
	ev_fd_del(&b->channel_watch);
	close_fd(&b->channel);
}

/* Ends the connection and puts the device and this structure back to the start. */
static void connection_end(struct vhu_backend *b)
{
	if (b->sock < 0)
		return;
	ev_fd_del(&b->sock_watch);
	ev_timer_stop(&b->poll);
	for (unsigned i = 0; i < b->dev->nqueues; i++)
		vhu_ring_clear(&b->rings[i]);
	vdev_reset(b->dev);
	vhu_inflight_drop(b);
	gm_clear(&b->gm);
	channel_close(b);
	close_fd(&b->sock);
	vhu_rx_reset(&b->rx);
	b->has_features = false;
	b->features = 0;
	b->implicit_ok = false;
	b->protocol = 0;
	b->notify = false;
}

static void listen_again(struct vhu_backend *b)
{
	int ret;

	if (b->listen_fd < 0)
		return;
	ret = ev_fd_add(b->loop, &b->listen_watch, b->listen_fd, EPOLLIN, accept_frontend, b);
	if (ret)
		log_error(b->log, "watching the listening socket: %s", strerror(-ret));
}

/* The connection is over. The callback comes last, since it may destroy `b`. */
static void disconnect(struct vhu_backend *b)
{
	connection_end(b);
	listen_again(b);
	if (b->opts.disconnected)
		b->opts.disconnected(b->opts.arg);
}

static const char *receive_error(int ret)
{
	switch (ret) {
	case -EPROTO:
		return "a message has the wrong protocol version; only 1 is known";
	case -EMSGSIZE:
		return "a message is larger than any request";
	case -E2BIG:
		return "a message has more descriptors than any request";
	default:
		return strerror(-ret);
	}
}

/* One message, if it is complete. 1: handled; 0: nothing to do; -1: the connection is over. */
static int receive(struct vhu_backend *b)
{
	struct err e = { 0 };
	int ret = vhu_rx_step(&b->rx, b->sock);

	if (!ret)
		return 0;
	if (ret < 0)
		err_set(&e, ret, "%s", receive_error(ret));
	else
		ret = vhu_request(b, &e);
	if (!ret) {
		vhu_rx_reset(&b->rx);
		return 1;
	}
	if (ret == -EPIPE || ret == -ECONNRESET)
		log_debug(b->log, "the front-end closed the connection");
	else if (vhu_may_complain(b))
		log_warn(b->log, "disconnecting the front-end: %s", e.msg);
	return -1;
}

static void sock_ready(void *arg, uint32_t events)
{
	struct vhu_backend *b = arg;
	int ret = 1;

	for (unsigned i = 0; i < TURN_MESSAGES && ret == 1; i++)
		ret = receive(b);
	if (ret < 0)
		disconnect(b);
}

static int connection_begin(struct vhu_backend *b, int sock)
{
	int ret = fd_nonblock(sock);

	if (!ret)
		ret = ev_fd_add(b->loop, &b->sock_watch, sock, EPOLLIN, sock_ready, b);
	if (ret)
		return ret;
	b->sock = sock;
	log_debug(b->log, "a front-end connected");
	if (b->opts.connected)
		b->opts.connected(b->opts.arg);
	return 0;
}

static void accept_frontend(void *arg, uint32_t events)
{
	struct vhu_backend *b = arg;
	int sock = accept4(b->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int ret;

	if (sock < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			log_warn(b->log, "accepting a front-end: %s", strerror(errno));
		return;
	}
	/* One front-end at a time: the next one waits in the socket's queue. */
	ev_fd_del(&b->listen_watch);
	ret = connection_begin(b, sock);
	if (!ret)
		return;
	log_warn(b->log, "serving a front-end: %s", strerror(-ret));
	close(sock);
	listen_again(b);
}

/* Sends what is due on the channel, or waits until the front-end reads. */
static void channel_flush(struct vhu_backend *b)
{
	int ret;

	if (b->channel < 0 || !b->notify)
		return;
	ret = vhu_send(b->channel, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, 0, NULL, 0, NULL, 0);
	if (ret == -EAGAIN) {
		ev_fd_mod(&b->channel_watch, EPOLLIN | EPOLLOUT);
		return;
	}
	b->notify = false;
	ev_fd_mod(&b->channel_watch, EPOLLIN);
	if (ret) {
		log_warn(b->log, "the back-end channel failed: %s", strerror(-ret));
		channel_close(b);
	}
}

/* Nothing is expected here, as no request of ours asks for a reply; but the end has to be seen. */
static void channel_ready(void *arg, uint32_t events)
{
	struct vhu_backend *b = arg;
	uint8_t scratch[256];

	if (events & EPOLLOUT)
		channel_flush(b);
	if (b->channel < 0 || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	ssize_t n = fd_recv(b->channel, scratch, sizeof(scratch), NULL, NULL);
	if (!n || (n < 0 && n != -EAGAIN))
		channel_close(b);
}

int vhu_channel_set(struct vhu_backend *b, int fd, struct err *e)
{
	int ret;

	channel_close(b);
	ret = fd_nonblock(fd);
	if (!ret)
		ret = ev_fd_add(b->loop, &b->channel_watch, fd, EPOLLIN, channel_ready, b);
	if (ret) {
		close(fd);
		return err_sys(e, ret, "SET_BACKEND_REQ_FD: watching the descriptor");
	}
	b->channel = fd;
	return 0;
}

static void config_changed(struct vdev_host *host)
{
	struct vhu_backend *b = container_of(host, struct vhu_backend, host);

	if (b->channel < 0 || !vhu_has(b, VHOST_USER_PROTOCOL_F_CONFIG))
		return;
	b->notify = true;
	channel_flush(b);
}

/* VIRTIO 1.4, 2.1.2: DEVICE_NEEDS_RESET comes with a configuration change notification. */
static void needs_reset(struct vdev_host *host)
{
	struct vhu_backend *b = container_of(host, struct vhu_backend, host);

	for (unsigned i = 0; i < b->dev->nqueues; i++)
		if (b->rings[i].err_fd >= 0)
			fd_event_signal(b->rings[i].err_fd);
	config_changed(host);
}

/* 1 if the socket listens, 0 if it is connected, -errno if it is no Unix stream socket. */
static int socket_listens(int sock, struct err *e)
{
	int type = 0, domain = 0, listens = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(sock, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
		getsockopt(sock, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
		getsockopt(sock, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0)
		return err_sys(e, -errno, "descriptor %d is to be a Unix stream socket", sock);
	if (domain != AF_UNIX || type != SOCK_STREAM)
		return err_set(e, -EINVAL, "descriptor %d is no Unix stream socket", sock);
	return listens;
}

static int attach_socket(struct vhu_backend *b, int sock, bool listens, struct err *e)
{
	int ret;

	if (!listens) {
		ret = connection_begin(b, sock);
		return ret ? err_sys(e, ret, "serving descriptor %d", sock) : 0;
	}
	ret = fd_nonblock(sock);
	if (!ret)
		ret = ev_fd_add(b->loop, &b->listen_watch, sock, EPOLLIN, accept_frontend, b);
	if (ret)
		return err_sys(e, ret, "listening on descriptor %d", sock);
	b->listen_fd = sock;
	return 0;
}

int vhu_backend_create(struct vhu_backend **out, struct vdev *dev, int sock,
	const struct vhu_backend_opts *opts, struct err *e)
{
	struct vhu_backend *b;
	int listens = socket_listens(sock, e);
	int ret;

	if (listens < 0)
		return listens;
	b = calloc(1, sizeof(*b));
	if (!b)
		return err_set(e, -ENOMEM, "no memory for a vhost-user back-end");
	b->host.config_changed = config_changed;
	b->host.needs_reset = needs_reset;
	b->dev = dev;
	b->loop = dev->loop;
	b->log = dev->log;
	if (opts)
		b->opts = *opts;
	b->listen_fd = -1;
	b->sock = -1;
	b->channel = -1;
	for (unsigned i = 0; i < dev->nqueues; i++)
		vhu_ring_init(b, i);
	vhu_poll_init(b);
	vdev_attach(dev, &b->host);
	ret = attach_socket(b, sock, listens, e);
	if (ret) {
		free(b);
		return ret;
	}
	*out = b;
	return 0;
}

void vhu_backend_destroy(struct vhu_backend *b)
{
	if (!b)
		return;
	connection_end(b);
	ev_fd_del(&b->listen_watch);
	close_fd(&b->listen_fd);
	free(b);
}
