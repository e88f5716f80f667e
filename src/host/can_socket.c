/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/can_socket.h"

#include <errno.h>
#include <linux/can/error.h>
#include <linux/can/raw.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/util.h"

#define BATCH 64 /* frames read before others have their turn */
/* How often to look whether the interface is back; and again at a full queue. */
#define LOOK_NS	 (500 * UINT64_C(1000000))
#define AGAIN_NS UINT64_C(1000000)
/* What an interface may take to send a frame that nothing hinders. */
#define CONFIRM_NS (1000 * UINT64_C(1000000))

struct can_socket {
	const struct can_socket_ops *ops;
	void *arg;
	const struct log *log;
	char ifname[IFNAMSIZ];
	int fd;
	int ifindex; /* bound to; 0: to none */
	bool up;
	struct ev_fd watch;
	struct ev_timer look; /* while it is down */

	/* The frame to be confirmed. */
	bool waiting, queued; /* `queued`: the interface has it */
	struct canfd_frame frame;
	uint64_t deadline_ns;
	struct ev_timer confirm;
};

const unsigned long can_socket_ioctls[] = { SIOCGIFINDEX, SIOCGIFFLAGS, 0 };

static void done(struct can_socket *s, bool ok)
{
	if (!s->waiting)
		return;
	s->waiting = false;
	ev_timer_stop(&s->confirm);
	s->ops->sent(s->arg, ok);
}

void can_socket_forget(struct can_socket *s)
{
	s->waiting = false;
	ev_timer_stop(&s->confirm);
}

static void set_state(struct can_socket *s, bool up, const char *why)
{
	if (!up)
		ev_timer_set(&s->look, LOOK_NS);
	if (up == s->up)
		return;
	s->up = up;
	ev_fd_mod(&s->watch, up ? EPOLLIN : 0);
	s->ops->state(s->arg, up, why);
	if (!up)
		done(s, false);
}

/* Looking for the interface. */

static int bind_to(struct can_socket *s, int ifindex)
{
	struct sockaddr_can addr = { .can_family = AF_CAN, .can_ifindex = ifindex };
	const struct can_filter all = { 0, 0 };

	/* Linux forgets the filter when an interface is removed, and lets nothing through then. */
	if (setsockopt(s->fd, SOL_CAN_RAW, CAN_RAW_FILTER, &all, sizeof(all)) ||
		bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;
	s->ifindex = ifindex;
	return 0;
}

/* 0: it is there and up. An interface of the same name may be a new one. */
static int find_interface(struct can_socket *s)
{
	struct ifreq ifr = { 0 };
	int ret = 0;

	memcpy(ifr.ifr_name, s->ifname, sizeof(ifr.ifr_name));
	if (ioctl(s->fd, SIOCGIFINDEX, &ifr))
		return -errno;
	if (ifr.ifr_ifindex != s->ifindex)
		ret = bind_to(s, ifr.ifr_ifindex);
	if (!ret && ioctl(s->fd, SIOCGIFFLAGS, &ifr))
		ret = -errno;
	return ret ? ret : ifr.ifr_flags & IFF_UP ? 0 : -ENETDOWN;
}

static void look(void *arg)
{
	struct can_socket *s = arg;
	int ret = find_interface(s);

	if (ret)
		ev_timer_set(&s->look, LOOK_NS);
	else
		set_state(s, true, "the interface is up");
}

static void failed(struct can_socket *s, int code)
{
	if (code == ENODEV || code == ENXIO)
		s->ifindex = 0;
	set_state(s, false, strerror(code));
}

/* Frames. */

static void error_frame(struct can_socket *s, const struct canfd_frame *f)
{
	if (f->can_id & CAN_ERR_BUSOFF)
		set_state(s, false, "the interface is bus-off");
}

/* Our own frame comes back when it was sent: the only one, or the same once more. */
static bool is_ours(const struct can_socket *s, const struct canfd_frame *f)
{
	return s->waiting && s->queued && f->can_id == s->frame.can_id && f->len == s->frame.len &&
	       !memcmp(f->data, s->frame.data, f->len);
}

static void one_frame(struct can_socket *s, struct canfd_frame *f, ssize_t len, int flags)
{
	if (len == (ssize_t)CANFD_MTU) {
		f->flags |= CANFD_FDF;
	} else if (len == (ssize_t)CAN_MTU) {
		f->flags = 0;
	} else {
		return;
	}
	if (f->can_id & CAN_ERR_FLAG) {
		error_frame(s, f);
	} else if (flags & MSG_CONFIRM) {
		if (is_ours(s, f))
			done(s, true);
	} else if (can_frame_valid(f)) {
		s->ops->receive(s->arg, f);
	}
}

static void on_readable(void *arg, uint32_t events)
{
	struct can_socket *s = arg;

	for (unsigned i = 0; i < BATCH; i++) {
		struct canfd_frame f = { 0 };
		struct iovec iov = { &f, sizeof(f) };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t len = recvmsg(s->fd, &msg, MSG_DONTWAIT);

		if (len >= 0) {
			one_frame(s, &f, len, msg.msg_flags);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			failed(s, errno);
		return;
	}
}

static int transmit(struct can_socket *s, const struct canfd_frame *f)
{
	struct canfd_frame out = *f;
	size_t len = can_is_fd(f) ? CANFD_MTU : CAN_MTU;
	int code;

	if (!can_is_fd(f))
		out.flags = 0;
	if (send(s->fd, &out, len, MSG_DONTWAIT) == (ssize_t)len)
		return 0;
	code = errno;
	if (code == ENETDOWN || code == ENODEV || code == ENXIO)
		failed(s, code);
	return code == EAGAIN ? -ENOBUFS : -code;
}

/* Too late, or time to try again at a queue that was full. */
static void on_confirm_timer(void *arg)
{
	struct can_socket *s = arg;
	uint64_t now = ev_now_ns();
	int ret = -ENOBUFS;

	if (!s->waiting)
		return;
	if (now < s->deadline_ns && !s->queued)
		ret = transmit(s, &s->frame);
	if (!s->waiting)
		return; /* it went down */
	s->queued |= !ret;
	if (now >= s->deadline_ns || (ret && ret != -ENOBUFS))
		done(s, false);
	else
		ev_timer_set(&s->confirm, s->queued ? s->deadline_ns - now : AGAIN_NS);
}

int can_socket_send(struct can_socket *s, const struct canfd_frame *f, bool confirm)
{
	int ret = s->up ? transmit(s, f) : -ENETDOWN;

	if (!confirm || (ret && ret != -ENOBUFS))
		return ret;
	s->waiting = true;
	s->queued = !ret;
	s->frame = *f;
	s->deadline_ns = ev_now_ns() + CONFIRM_NS;
	ev_timer_set(&s->confirm, ret ? AGAIN_NS : CONFIRM_NS);
	return 0;
}

/* Opening. */

static int set_options(int fd)
{
	const int on = 1;
	const can_err_mask_t errors = CAN_ERR_BUSOFF;

	if (setsockopt(fd, SOL_CAN_RAW, CAN_RAW_FD_FRAMES, &on, sizeof(on)) ||
		setsockopt(fd, SOL_CAN_RAW, CAN_RAW_RECV_OWN_MSGS, &on, sizeof(on)) ||
		setsockopt(fd, SOL_CAN_RAW, CAN_RAW_ERR_FILTER, &errors, sizeof(errors)))
		return -errno;
	return 0;
}

static int open_socket(struct can_socket *s, struct ev_loop *loop, struct err *e)
{
	int ret;

	s->fd = socket(AF_CAN, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, CAN_RAW);
	if (s->fd < 0)
		return err_sys(e, -errno,
			"a SocketCAN socket for interface '%s' (kernel modules can and can-raw)",
			s->ifname);
	ret = set_options(s->fd);
	if (!ret)
		ret = ev_fd_add(loop, &s->watch, s->fd, 0, on_readable, s);
	return ret ? err_sys(e, ret, "setting up the SocketCAN socket") : 0;
}

int can_socket_open(struct can_socket **out, const char *ifname, const struct can_socket_ops *ops,
	void *arg, struct ev_loop *loop, const struct log *log, struct err *e)
{
	struct can_socket *s;
	int ret;

	if (!*ifname || strlen(ifname) >= IFNAMSIZ)
		return err_set(e, -EINVAL, "'%s' is no name of an interface", ifname);
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(e, -ENOMEM, "no memory for a SocketCAN socket");
	s->ops = ops;
	s->arg = arg;
	s->log = log;
	snprintf(s->ifname, sizeof(s->ifname), "%s", ifname);
	ev_timer_init(loop, &s->look, look, s);
	ev_timer_init(loop, &s->confirm, on_confirm_timer, s);
	ret = open_socket(s, loop, e);
	if (ret) {
		can_socket_close(s);
		return ret;
	}
	ev_timer_set(&s->look, 0);
	*out = s;
	return 0;
}

void can_socket_close(struct can_socket *s)
{
	if (!s)
		return;
	ev_timer_stop(&s->look);
	ev_timer_stop(&s->confirm);
	ev_fd_del(&s->watch);
	close_fd(&s->fd);
	free(s);
}
