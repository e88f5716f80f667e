/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/vhost_user_conn.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

static int keep_fds(struct vhu_rx *rx, const int *fds, unsigned n)
{
	int ret = 0;

	for (unsigned i = 0; i < n; i++) {
		if (rx->nfds < FD_PASS_MAX) {
			rx->fds[rx->nfds++] = fds[i];
			continue;
		}
		close(fds[i]);
		ret = -E2BIG;
	}
	return ret;
}

/* Receives up to `want` bytes of the message in all. As vhu_rx_step(). */
static int fill(struct vhu_rx *rx, int sock, size_t want)
{
	while (rx->have < want) {
		int fds[FD_PASS_MAX];
		unsigned nfds = FD_PASS_MAX;
		ssize_t n =
			fd_recv(sock, (uint8_t *)&rx->msg + rx->have, want - rx->have, fds, &nfds);

		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return (int)n;
		if (keep_fds(rx, fds, nfds))
			return -E2BIG;
		if (!n)
			return -EPIPE;
		rx->have += (size_t)n;
	}
	return 1;
}

int vhu_rx_step(struct vhu_rx *rx, int sock)
{
	const struct vhost_user_hdr *hdr = &rx->msg.hdr;
	int ret = fill(rx, sock, sizeof(*hdr));

	if (ret != 1)
		return ret;
	if ((hdr->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION)
		return -EPROTO;
	if (hdr->size > sizeof(rx->msg.payload))
		return -EMSGSIZE;
	return fill(rx, sock, sizeof(*hdr) + hdr->size);
}

void vhu_rx_reset(struct vhu_rx *rx)
{
	for (unsigned i = 0; i < rx->nfds; i++)
		close_fd(&rx->fds[i]);
	rx->nfds = 0;
	/* What a short message leaves out must not be the previous one's. */
	memset(&rx->msg, 0, sizeof(rx->msg));
	rx->have = 0;
}

int vhu_rx_take_fd(struct vhu_rx *rx, unsigned i)
{
	return i < rx->nfds ? steal_fd(&rx->fds[i]) : -1;
}

int vhu_send(int sock, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
	const int *fds, unsigned nfds)
{
	struct vhost_user_msg msg = {
		.hdr = { .request = request, .flags = flags | VHOST_USER_VERSION, .size = size },
	};
	size_t len = sizeof(msg.hdr) + size;
	ssize_t n;

	if (size > sizeof(msg.payload))
		return -EMSGSIZE;
	if (size)
		memcpy(&msg.payload, payload, size);
	n = fd_send(sock, &msg, len, fds, nfds);
	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EAGAIN;
}
