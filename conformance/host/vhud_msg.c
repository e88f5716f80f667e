/* SPDX-License-Identifier: BSD-3-Clause */
/* vhud: messages. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/loop.h"
#include "base/util.h"
#include "vhud_priv.h"

int vhud_fail(struct vhud *d, int code, const char *fmt, ...)
{
	char text[sizeof(d->why)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (d)
		memcpy(d->why, text, sizeof(text));
	if (!d || !d->quiet)
		printf("# vhud: %s (%s)\n", text, strerror(-code));
	return code;
}

int vhud_signal(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 ? fd_event_signal(fd) : 0;
}

const char *vhud_why(const struct vhud *d)
{
	return d->why;
}

int vhud_left_ms(uint64_t deadline_ns)
{
	uint64_t now = ev_now_ns();

	return now >= deadline_ns ? 0 : (int)((deadline_ns - now + 999999) / 1000000);
}

bool vhud_has(const struct vhud *d, unsigned protocol_bit)
{
	return d->protocol & FEATURE(protocol_bit);
}

int vhud_sock(const struct vhud *d)
{
	return d->sock;
}

int vhud_channel(const struct vhud *d)
{
	return d->channel;
}

int vhud_send(struct vhud *d, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
	const int *fds, unsigned nfds)
{
	struct pollfd p = { .fd = d->sock, .events = POLLOUT };

	if (d->sock < 0)
		return -ENOTCONN;
	if (poll(&p, 1, d->timeout_ms) < 1)
		return -ETIMEDOUT;
	return vhu_send(d->sock, request, flags, payload, size, fds, nfds);
}

int vhud_recv_on(int sock, struct vhu_rx *rx, int timeout_ms)
{
	uint64_t deadline = ev_now_ns() + (uint64_t)timeout_ms * 1000000;

	for (;;) {
		struct pollfd p = { .fd = sock, .events = POLLIN };
		int ret = vhu_rx_step(rx, sock);

		if (ret)
			return ret == 1 ? 0 : ret == -ECONNRESET ? -EPIPE : ret;
		if (!vhud_left_ms(deadline) && timeout_ms)
			return -ETIMEDOUT;
		if (poll(&p, 1, vhud_left_ms(deadline)) < 1)
			return -ETIMEDOUT;
	}
}

int vhud_recv(struct vhud *d, struct vhost_user_msg *msg, int *fds, unsigned *nfds, int timeout_ms)
{
	int ret = d->sock < 0 ? -ENOTCONN : vhud_recv_on(d->sock, &d->rx, timeout_ms);

	if (ret)
		return ret;
	*msg = d->rx.msg;
	if (nfds)
		*nfds = d->rx.nfds;
	for (unsigned i = 0; fds && i < d->rx.nfds; i++)
		fds[i] = vhu_rx_take_fd(&d->rx, i);
	vhu_rx_reset(&d->rx);
	return 0;
}

int vhud_recv_reply(
	struct vhud *d, uint32_t request, struct vhost_user_msg *msg, int *fds, unsigned *nfds)
{
	int ret = vhud_recv(d, msg, fds, nfds, d->timeout_ms);

	if (ret)
		return ret;
	if (msg->hdr.request == request && (msg->hdr.flags & VHOST_USER_REPLY))
		return 0;
	for (unsigned i = 0; fds && nfds && i < *nfds; i++)
		close_fd(&fds[i]);
	return vhud_fail(d, -EPROTO, "a reply to request %u, flags 0x%x, instead of to %u",
		msg->hdr.request, msg->hdr.flags, request);
}

int vhud_ack(struct vhud *d, uint32_t request, const void *payload, uint32_t size, const int *fds,
	unsigned nfds)
{
	struct vhost_user_msg msg;
	int ret = vhud_send(d, request, VHOST_USER_NEED_REPLY, payload, size, fds, nfds);

	if (!ret)
		ret = vhud_recv_reply(d, request, &msg, NULL, NULL);
	if (ret)
		return ret;
	if (msg.hdr.size != sizeof(uint64_t))
		return vhud_fail(d, -EPROTO, "an acknowledgement of %u bytes", msg.hdr.size);
	return msg.payload.u64 ? -EREMOTEIO : 0;
}

int vhud_set(struct vhud *d, uint32_t request, const void *payload, uint32_t size, const int *fds,
	unsigned nfds)
{
	int ret;

	if (vhud_has(d, VHOST_USER_PROTOCOL_F_REPLY_ACK))
		ret = vhud_ack(d, request, payload, size, fds, nfds);
	else
		ret = vhud_send(d, request, 0, payload, size, fds, nfds);
	return ret ? vhud_fail(d, ret, "request %u failed", request) : 0;
}

int vhud_get_u64(struct vhud *d, uint32_t request, uint64_t *value)
{
	struct vhost_user_msg msg;
	int ret = vhud_send(d, request, 0, NULL, 0, NULL, 0);

	if (!ret)
		ret = vhud_recv_reply(d, request, &msg, NULL, NULL);
	if (ret)
		return ret;
	if (msg.hdr.size != sizeof(uint64_t))
		return vhud_fail(
			d, -EPROTO, "a reply of %u bytes to request %u", msg.hdr.size, request);
	*value = msg.payload.u64;
	return 0;
}

bool vhud_closed(struct vhud *d, int timeout_ms)
{
	uint64_t deadline = ev_now_ns() + (uint64_t)timeout_ms * 1000000;

	for (;;) {
		struct pollfd p = { .fd = d->sock, .events = POLLIN };
		uint8_t scratch[512];
		ssize_t n;

		if (poll(&p, 1, vhud_left_ms(deadline)) < 1)
			return false;
		n = fd_recv(d->sock, scratch, sizeof(scratch), NULL, NULL);
		if (!n || (n < 0 && n != -EAGAIN))
			return true;
	}
}

int vhud_config_read(struct vhud *d, uint32_t offset, void *buf, uint32_t len)
{
	struct vhost_user_config cfg = { .offset = offset, .size = len };
	uint32_t whole = VHOST_USER_CONFIG_HDR_SIZE + len;
	struct vhost_user_msg msg;
	int ret;

	if (len > sizeof(cfg.data))
		return -EINVAL;
	ret = vhud_send(d, VHOST_USER_GET_CONFIG, 0, &cfg, whole, NULL, 0);
	if (!ret)
		ret = vhud_recv_reply(d, VHOST_USER_GET_CONFIG, &msg, NULL, NULL);
	if (ret)
		return ret;
	if (msg.hdr.size != whole)
		return -EREMOTEIO;
	memcpy(buf, msg.payload.config.data, len);
	return 0;
}

int vhud_config_write(struct vhud *d, uint32_t offset, const void *buf, uint32_t len)
{
	struct vhost_user_config cfg = { .offset = offset, .size = len };

	if (len > sizeof(cfg.data))
		return -EINVAL;
	memcpy(cfg.data, buf, len);
	return vhud_set(d, VHOST_USER_SET_CONFIG, &cfg, VHOST_USER_CONFIG_HDR_SIZE + len, NULL, 0);
}

int vhud_config_changed(struct vhud *d, int timeout_ms)
{
	struct vhost_user_hdr hdr;
	uint64_t result;
	int ret = d->channel < 0 ? -ENOTCONN : vhud_recv_on(d->channel, &d->channel_rx, timeout_ms);

	/* Nothing sensible comes any more after what is no message. */
	if (ret && ret != -ETIMEDOUT && ret != -ENOTCONN) {
		close_fd(&d->channel);
		vhu_rx_reset(&d->channel_rx);
	}
	if (ret)
		return 0;
	hdr = d->channel_rx.msg.hdr;
	vhu_rx_reset(&d->channel_rx);
	result = hdr.request != VHOST_USER_BACKEND_CONFIG_CHANGE_MSG;
	if (hdr.flags & VHOST_USER_NEED_REPLY)
		vhu_send(d->channel, hdr.request, VHOST_USER_REPLY, &result, sizeof(result), NULL,
			0);
	return !result;
}

int vhud_set_status(struct vhud *d, uint8_t status)
{
	uint64_t v = status;

	return vhud_set(d, VHOST_USER_SET_STATUS, &v, sizeof(v), NULL, 0);
}

int vhud_get_status(struct vhud *d, uint8_t *status)
{
	uint64_t v = 0;
	int ret = vhud_get_u64(d, VHOST_USER_GET_STATUS, &v);

	*status = (uint8_t)v;
	return ret;
}

bool vhud_needs_reset(struct vhud *d)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	uint64_t deadline = ev_now_ns() + d->timeout_ms * UINT64_C(1000000);
	uint8_t status = 0;

	while (!vhud_get_status(d, &status) && !(status & VIRTIO_S_NEEDS_RESET) &&
		ev_now_ns() < deadline)
		nanosleep(&pause, NULL);
	return status & VIRTIO_S_NEEDS_RESET;
}
