/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A SocketCAN interface of the host (AF_CAN, CAN_RAW). The interface may go down, vanish and come
 * back; it need not be there at the beginning.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "host/can_frame.h"

struct can_socket;

/* Called on the loop; none may call can_socket_close(). */
struct can_socket_ops {
	/* A frame from the interface that was not ours. */
	void (*receive)(void *arg, const struct canfd_frame *f);
	/* The frame of can_socket_send() was sent, or it will not be. */
	void (*sent)(void *arg, bool ok);
	/* It works, or not any more; `why` says it. */
	void (*state)(void *arg, bool up, const char *why);
};

/* `ifname` must be an interface or the name of one to come; state() tells later that it is up. The
 * socket stays in the network namespace of the caller. */
int can_socket_open(struct can_socket **s, const char *ifname, const struct can_socket_ops *ops,
	void *arg, struct ev_loop *loop, const struct log *log, struct err *e);
/* Accepts NULL. */
void can_socket_close(struct can_socket *s);

/* Sends a frame. With `confirm` sent() comes when the interface has sent it, or after a second
 * without that; one at a time. 0, or -errno: it was not taken, and sent() will not come. -ENOBUFS:
 * the interface's queue is full. */
int can_socket_send(struct can_socket *s, const struct canfd_frame *f, bool confirm);
/* The frame that waits for its confirmation is of no interest any more. */
void can_socket_forget(struct can_socket *s);

/* Requests of "ioctl" that an open socket needs, ends with 0; and system calls, ends with NULL. */
extern const unsigned long can_socket_ioctls[];
