/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing of the messages that a vhost-user back-end takes, with an entropy device behind it.
 *
 *     again and again   request u8, flags u8, descriptors u8, length u16, payload
 *
 * A header of flags 0xff is sent as four bytes of the payload say, and the message in two pieces.
 * Descriptors: bits 0..1 their number, bits 2..3 and 4..5 what they are (memory of 1 MiB, a small
 * one, an eventfd, one end of a socket).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "devices/devices.h"
#include "fuzz.h"
#include "transport/vhost_user.h"
#include "transport/vhost_user_backend.h"

#define MEMORY	   (1u << 20)
#define MESSAGES   64u
#define RAW_HEADER 0xffu

static int descriptor(unsigned what)
{
	int fd, pair[2];

	switch (what & 3) {
	case 0:
	case 1:
		fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (fd >= 0 && ftruncate(fd, what & 1 ? 100 : MEMORY)) {
			close(fd);
			return -1;
		}
		return fd;
	case 2:
		return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	default:
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
			return -1;
		close(pair[1]);
		return pair[0];
	}
}

/* False: the back-end has ended the conversation. */
static bool message(int sock, struct ev_loop *loop, struct fuzz_in *in)
{
	uint8_t buf[sizeof(struct vhost_user_hdr) + 1024];
	struct vhost_user_hdr h = { .request = fuzz_u8(in), .flags = fuzz_u8(in) };
	unsigned what = fuzz_u8(in), nfds = what & 3;
	int fds[3];
	ssize_t ret;
	size_t len;

	h.size = fuzz_u16(in) % 1024;
	len = min_u64(h.size, in->left);
	if (h.flags == RAW_HEADER)
		h.flags = fuzz_u32(in);
	else
		h.size = (uint32_t)len;
	len = min_u64(len, in->left);
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), in->p, len);
	in->p += len;
	in->left -= len;
	for (unsigned i = 0; i < nfds; i++)
		fds[i] = descriptor(what >> (2 + 2 * i));
	if (!nfds || fds[nfds - 1] >= 0)
		fd_send(sock, buf, 5, fds, nfds);
	ev_run_once(loop, 0);
	ret = fd_send(sock, buf + 5, sizeof(h) + len - 5, NULL, 0);
	for (unsigned i = 0; i < nfds; i++)
		close_fd(&fds[i]);
	return ret != -EPIPE;
}

static void talk(struct vdev *dev, struct ev_loop *loop, struct fuzz_in *in)
{
	struct vhu_backend *b;
	char drop[2048];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return;
	if (vhu_backend_create(&b, dev, pair[0], NULL, NULL))
		abort();
	for (unsigned i = 0; i < MESSAGES && in->left && message(pair[1], loop, in); i++) {
		for (unsigned k = 0; k < 3; k++)
			ev_run_once(loop, 0);
		while (recv(pair[1], drop, sizeof(drop), MSG_DONTWAIT) > 0)
			;
	}
	close(pair[1]);
	for (unsigned i = 0; i < 3; i++)
		ev_run_once(loop, 0);
	vhu_backend_destroy(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct ev_loop *loop;
	struct vdev *dev;

	if (ev_loop_create(&loop))
		abort();
	if (vdev_new(&dev, &vdev_rng, NULL) || vdev_init(dev, loop, fuzz_log(), NULL))
		abort();
	talk(dev, loop, &in);
	vdev_destroy(dev);
	ev_loop_destroy(loop);
	return 0;
}
