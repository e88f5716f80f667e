/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user messages over a socket: whole ones out, and in piece by piece, since a peer may send
 * half a message and stop. */
#pragma once

#include <sys/types.h>

#include "base/fd.h"
#include "transport/vhost_user.h"

/* A message on its way in. Zero-initialise. */
struct vhu_rx {
	struct vhost_user_msg msg;
	size_t have; /* bytes received of it */
	int fds[FD_PASS_MAX];
	unsigned nfds; /* owned until vhu_rx_take_fd() or vhu_rx_reset() */
};

/*
 * Receives more of the current message from a non-blocking socket, never a byte of the next one.
 * 1: the message is complete; 0: more has to come; -EPIPE: the peer closed; -EPROTO: wrong version;
 * -EMSGSIZE: larger than any message; -E2BIG: too many descriptors; other -errno from the socket.
 */
int vhu_rx_step(struct vhu_rx *rx, int sock);
/* Ready for the next message; closes descriptors that nobody took. */
void vhu_rx_reset(struct vhu_rx *rx);
/* Descriptor i, which is the caller's from now on; -1 if there is none. */
int vhu_rx_take_fd(struct vhu_rx *rx, unsigned i);

/* Sends one message at once. 0, or -EAGAIN if the peer does not read, or -errno. */
int vhu_send(int sock, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
	const int *fds, unsigned nfds);
