/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/vhost_user_link.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "base/util.h"

int vhu_link_open(
	struct vhu_link *l, const char *path, unsigned timeout_ms, int cancel_fd, struct err *e)
{
	/* Non-blocking: a full queue of the listener is a failure to be repeated, not a hang. */
	int sock = fd_unix_connect(path, SOCK_STREAM | SOCK_NONBLOCK, e);

	*l = (struct vhu_link){ .sock = sock, .timeout_ms = timeout_ms, .cancel_fd = cancel_fd };
	return sock < 0 ? sock : 0;
}

void vhu_link_close(struct vhu_link *l)
{
	close_fd(&l->sock);
	vhu_rx_reset(&l->rx);
	l->protocol = 0;
	l->broken = true;
}

/* Waits for `events` on the socket. */
static int wait_for(const struct vhu_link *l, short events, uint64_t deadline_ns)
{
	for (;;) {
		struct pollfd p[] = {
			{ .fd = l->sock, .events = events },
			{ .fd = l->cancel_fd, .events = POLLIN },
		};
		uint64_t now = ev_now_ns();
		int n;

		if (now >= deadline_ns)
			return -ETIMEDOUT;
		n = poll(p, ARRAY_LEN(p), (int)((deadline_ns - now) / 1000000) + 1);
		if (n > 0)
			return p[1].revents ? -ECANCELED : 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int send_request(struct vhu_link *l, uint32_t request, uint32_t flags, const void *payload,
	uint32_t size, const int *fds, unsigned nfds, uint64_t deadline_ns)
{
	int ret;

	do {
		ret = wait_for(l, POLLOUT, deadline_ns);
		if (!ret)
			ret = vhu_send(l->sock, request, flags, payload, size, fds, nfds);
	} while (ret == -EAGAIN);
	return ret;
}

static int receive_reply(struct vhu_link *l, uint32_t request, uint64_t deadline_ns)
{
	const struct vhost_user_hdr *hdr = &l->rx.msg.hdr;

	vhu_rx_reset(&l->rx);
	for (;;) {
		int ret = vhu_rx_step(&l->rx, l->sock);

		if (ret < 0)
			return ret;
		if (ret == 1)
			break;
		ret = wait_for(l, POLLIN, deadline_ns);
		if (ret)
			return ret;
	}
	return hdr->request == request && hdr->flags & VHOST_USER_REPLY ? 0 : -EPROTO;
}

/* One request, and its reply if one comes. */
static int exchange(struct vhu_link *l, uint32_t request, bool need_reply, bool reply,
	const void *payload, uint32_t size, const int *fds, unsigned nfds)
{
	uint64_t deadline = ev_now_ns() + l->timeout_ms * UINT64_C(1000000);
	int ret;

	if (l->broken || l->sock < 0)
		return -ENOTCONN;
	ret = send_request(l, request, need_reply ? VHOST_USER_NEED_REPLY : 0, payload, size, fds,
		nfds, deadline);
	if (!ret && reply)
		ret = receive_reply(l, request, deadline);
	if (ret) {
		l->broken = true;
		/* Whoever watches the socket learns of it. */
		shutdown(l->sock, SHUT_RDWR);
	}
	return ret;
}

int vhu_link_set(struct vhu_link *l, uint32_t request, const void *payload, uint32_t size,
	const int *fds, unsigned nfds)
{
	bool ack = vhu_link_has(l, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	int ret = exchange(l, request, ack, ack, payload, size, fds, nfds);

	if (ret || !ack)
		return ret;
	return l->rx.msg.hdr.size == sizeof(uint64_t) && !l->rx.msg.payload.u64 ? 0 : -EREMOTEIO;
}

int vhu_link_set_u64(struct vhu_link *l, uint32_t request, uint64_t v)
{
	return vhu_link_set(l, request, &v, sizeof(v), NULL, 0);
}

int vhu_link_set_state(struct vhu_link *l, uint32_t request, uint32_t index, uint32_t num)
{
	const struct vhost_user_vring_state s = { index, num };

	return vhu_link_set(l, request, &s, sizeof(s), NULL, 0);
}

int vhu_link_get(struct vhu_link *l, uint32_t request, const void *payload, uint32_t size)
{
	return exchange(l, request, false, true, payload, size, NULL, 0);
}

int vhu_link_get_u64(struct vhu_link *l, uint32_t request, uint64_t *v)
{
	int ret = vhu_link_get(l, request, NULL, 0);

	if (ret)
		return ret;
	if (l->rx.msg.hdr.size != sizeof(*v))
		return -EREMOTEIO;
	*v = l->rx.msg.payload.u64;
	return 0;
}
