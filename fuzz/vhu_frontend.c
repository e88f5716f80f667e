/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing of what a vhost-user front-end takes from its back-end: answers with any content, and
 * messages of the back-end's own channel. The input is a list of answers; a request gets the next
 * one, with the header that it should have unless the input says otherwise.
 *
 *     again and again   kind u8, length u8, payload
 *
 * Kind: 0..63 a proper header; 64..127 flags and size are the first 8 bytes of the payload;
 * 128..191 half of the answer; 192..255 the connection ends.
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "fuzz.h"
#include "transport/vhost_user_conn.h"
#include "transport/vhost_user_frontend.h"
#include "virtio/device.h"

struct peer {
	int listener;
	struct fuzz_in in;
};

/* Sends the next answer to `request`; false: the connection is to end. */
static bool answer(struct peer *p, int sock, uint32_t request)
{
	unsigned kind = fuzz_u8(&p->in);
	size_t len = min_u64(fuzz_u8(&p->in), p->in.left);
	struct vhost_user_msg m = { .hdr = { request, VHOST_USER_VERSION | VHOST_USER_REPLY,
					    (uint32_t)len } };

	if (kind >= 192 || (!len && !p->in.left))
		return false;
	if (kind >= 64 && kind < 128) {
		m.hdr.flags = fuzz_u32(&p->in);
		m.hdr.size = fuzz_u32(&p->in);
		len = min_u64(len, p->in.left);
	}
	memcpy(m.payload.bytes, p->in.p, len);
	p->in.p += len;
	p->in.left -= len;
	if (kind >= 128)
		len /= 2;
	return send(sock, &m, sizeof(m.hdr) + len, MSG_NOSIGNAL) > 0 && kind < 128;
}

/* What has no answer of its own, unless one is asked for. */
static bool has_answer(const struct vhost_user_msg *m)
{
	switch (m->hdr.request) {
	case VHOST_USER_GET_FEATURES:
	case VHOST_USER_GET_PROTOCOL_FEATURES:
	case VHOST_USER_GET_QUEUE_NUM:
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_GET_INFLIGHT_FD:
	case VHOST_USER_GET_MAX_MEM_SLOTS:
	case VHOST_USER_GET_STATUS:
		return true;
	default:
		return m->hdr.flags & VHOST_USER_NEED_REPLY;
	}
}

static void *serve(void *arg)
{
	struct peer *p = arg;
	autoclose int sock = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
	struct vhu_rx rx = { .have = 0 };

	close(p->listener);
	while (sock >= 0) {
		struct pollfd wait = { .fd = sock, .events = POLLIN };
		int n = poll(&wait, 1, -1) < 0 ? -1 : vhu_rx_step(&rx, sock);

		if (n < 0 || (n > 0 && has_answer(&rx.msg) && !answer(p, sock, rx.msg.hdr.request)))
			break;
		if (n > 0)
			vhu_rx_reset(&rx);
	}
	vhu_rx_reset(&rx);
	return NULL;
}

static void ignore(void *arg)
{
}

/* As a transport does it for a driver. */
static void drive(struct vbackend *b)
{
	autoclose int kick = fd_event(), call = fd_event();
	struct vb_queue q = { .size = 4,
		.desc = 0,
		.driver = 0x1000,
		.device = 0x2000,
		.kick_fd = kick,
		.call_fd = call };
	uint64_t features;
	uint8_t config[64];

	b->events = (struct vb_events){ ignore, ignore, NULL };
	b->ops->features(b, &features);
	b->ops->config_read(b, 0, config, (uint32_t)min_u64(sizeof(config), b->config_len));
	b->ops->set_features(b, features);
	if (b->nqueues && !b->ops->queue_start(b, 0, &q)) {
		b->ops->set_status(b, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER |
					      VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK);
		b->ops->config_write(b, 0, config, 1);
		b->ops->queue_stop(b, 0);
	}
	b->ops->set_status(b, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *path = fuzz_path("backend");
	struct vhu_frontend_opts opts = {
		.path = path, .device_id = 4, .connect_ms = 2000, .request_ms = 2000
	};
	struct peer peer = { .in = { data, size } };
	static struct gm gm;
	autoclose int ram = fd_memfd("ram", 1u << 20, 0, NULL);
	struct vbackend *b;
	pthread_t thread;

	if (!path || ram < 0)
		return 0;
	peer.listener = fd_unix_listen(path, SOCK_STREAM, NULL);
	gm_clear(&gm);
	if (gm_map(&gm, &(struct gm_region){ .size = 1u << 20, .fd = ram }, NULL))
		return 0;
	if (peer.listener < 0 || pthread_create(&thread, NULL, serve, &peer))
		abort();
	if (!vhu_frontend_create(&b, &opts, &gm, fuzz_log(), NULL)) {
		drive(b);
		b->ops->destroy(b);
	}
	pthread_join(thread, NULL);
	gm_clear(&gm);
	return 0;
}
