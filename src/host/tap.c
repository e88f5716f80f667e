/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/fd.h"
#include "base/util.h"

#define BATCH	  64 /* frames read before others have their turn */
#define IOV_MAX_N 64

struct tap {
	struct netport end;
	struct ev_fd watch;
	const struct log *log;
	int fd;
	bool full; /* the interface's queue: EPOLLOUT tells */
	bool held; /* buf has a frame that the other side had no room for */
	uint32_t held_len;
	uint8_t buf[sizeof(struct net_hdr) + NET_FRAME_MAX];
	uint8_t flat[NET_FRAME_MAX]; /* for frames in more than IOV_MAX_N pieces */
};

static void update_watch(struct tap *t)
{
	uint32_t events = 0;

	if (netport_peer_up(&t->end) && !t->held)
		events |= EPOLLIN;
	if (t->full)
		events |= EPOLLOUT;
	ev_fd_mod(&t->watch, events);
}

static void swap_header(struct net_hdr *h)
{
	h->hdr_len = le16toh(h->hdr_len);
	h->gso_size = le16toh(h->gso_size);
	h->csum_start = le16toh(h->csum_start);
	h->csum_offset = le16toh(h->csum_offset);
}

/* Passes on the frame in buf; false if the other side has no room. */
static bool pass_on(struct tap *t, uint32_t len)
{
	struct iovec iov = { t->buf + sizeof(struct net_hdr), len - sizeof(struct net_hdr) };
	struct net_frame f;
	struct net_hdr hdr;
	struct iov_iter at;

	memcpy(&hdr, t->buf, sizeof(hdr));
	swap_header(&hdr);
	iov_iter_init(&at, &iov, 1);
	if (net_frame_init(&f, &at, (uint32_t)iov.iov_len, &hdr))
		return true;
	return netport_send(&t->end, &f) != -EAGAIN;
}

static void read_frames(struct tap *t)
{
	for (int i = 0; i < BATCH && !t->held; i++) {
		ssize_t len = read(t->fd, t->buf, sizeof(t->buf));

		if (len < 0) {
			if (errno != EAGAIN && errno != EINTR && errno != EIO)
				log_error(t->log, "tap: reading: %s", strerror(errno));
			break;
		}
		if ((size_t)len < sizeof(struct net_hdr) + NET_ETH_LEN)
			continue;
		t->held_len = (uint32_t)len;
		t->held = !pass_on(t, t->held_len);
	}
	update_watch(t);
}

static void on_event(void *arg, uint32_t events)
{
	struct tap *t = arg;

	if (t->full && (events & (EPOLLOUT | EPOLLERR))) {
		t->full = false;
		update_watch(t);
		netport_room(&t->end);
	}
	if ((events & (EPOLLIN | EPOLLERR)) && !t->held)
		read_frames(t);
}

static unsigned flatten(struct tap *t, const struct net_frame *f, struct iovec *iov)
{
	struct iov_iter at;

	*iov = (struct iovec){ t->flat, f->len };
	iov_iter_init(&at, iov, 1);
	return net_frame_copy(&at, f) == f->len;
}

static int tap_receive(struct netport *end, const struct net_frame *f)
{
	struct tap *t = container_of(end, struct tap, end);
	struct net_hdr hdr = f->hdr;
	struct iovec iov[IOV_MAX_N + 1] = { { &hdr, sizeof(hdr) } };
	unsigned n = net_frame_iov(f, iov + 1, IOV_MAX_N);

	if (!n)
		n = flatten(t, f, iov + 1);
	if (t->full)
		return -EAGAIN;
	hdr.num_buffers = 0;
	swap_header(&hdr);
	if (writev(t->fd, iov, (int)n + 1) >= 0)
		return 0;
	if (errno == EAGAIN) {
		t->full = true;
		update_watch(t);
		return -EAGAIN;
	}
	return -ENETDOWN; /* EIO: the administrator has set the interface down */
}

static void tap_room(struct netport *end)
{
	struct tap *t = container_of(end, struct tap, end);

	if (t->held && pass_on(t, t->held_len)) {
		t->held = false;
		update_watch(t);
	}
}

static void tap_state(struct netport *end)
{
	struct tap *t = container_of(end, struct tap, end);

	if (!netport_peer_up(end))
		t->held = false;
	update_watch(t);
}

static const struct netport_ops tap_ops = {
	.receive = tap_receive,
	.room = tap_room,
	.state = tap_state,
};

static int open_tap(const char *name, struct err *e)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	autoclose int fd = -1;
	int header = sizeof(struct net_hdr), little = 1;

	if (!*name || strlen(name) >= IFNAMSIZ)
		return err_set(e, -EINVAL, "tap interface '%.32s': a name has 1 to %d bytes", name,
			IFNAMSIZ - 1);
	strcpy(ifr.ifr_name, name);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, -errno, "tap interface %s: cannot open /dev/net/tun", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return err_sys(e, -errno,
			"tap interface %s: cannot attach (it must exist and be ours, or "
			"CAP_NET_ADMIN is needed)",
			name);
	if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 || ioctl(fd, TUNSETVNETLE, &little) < 0)
		return err_sys(e, -errno, "tap interface %s: cannot set the frame header", name);
	if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) < 0)
		return err_sys(e, -errno, "tap interface %s: cannot set offloads", name);
	return steal_fd(&fd);
}

int tap_create(struct tap **out, const char *name, struct ev_loop *loop, const struct log *log,
	struct err *e)
{
	autofree struct tap *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return err_set(e, -ENOMEM, "tap interface %s: out of memory", name);
	ret = open_tap(name, e);
	if (ret < 0)
		return ret;
	t->fd = ret;
	t->log = log;
	ret = ev_fd_add(loop, &t->watch, t->fd, 0, on_event, t);
	if (ret < 0) {
		close(t->fd);
		return err_sys(e, ret, "tap interface %s: cannot watch it", name);
	}
	t->end = (struct netport){
		.ops = &tap_ops,
		.accepts = NET_ACCEPT_CSUM | NET_ACCEPT_TSO4 | NET_ACCEPT_TSO6 | NET_ACCEPT_ECN,
		.up = true,
	};
	*out = steal_ptr(&t);
	return 0;
}

void tap_destroy(struct tap *t)
{
	if (!t)
		return;
	netport_disconnect(&t->end);
	ev_fd_del(&t->watch);
	close(t->fd);
	free(t);
}

struct netport *tap_end(struct tap *t)
{
	return &t->end;
}
