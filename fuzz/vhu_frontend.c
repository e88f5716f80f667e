/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing of what a vhost-user front-end takes from its back-end: answers with any content, and
 * messages of the back-end's own channel. The input is a list of answers; a request gets the next
 * one, with the header that it should have unless the input says otherwise.
 *
 *     again and again   kind u8, length u8, payload
 *
 * Kind: 0..31 a proper header; 32..63 that, and memory of a page with it; 64..127 flags and size
 * are the first 8 bytes of the payload; 128..191 half of the answer; 192..223 the payload goes into
 * the back-end's own channel, and the answer is the next one; 224..255 the connection ends.
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

#define PAGE	   4096
#define REQUEST_MS 20
/* Back-ends that come one after the other, and how long a driver gives them. */
#define CONNECTIONS 3u
#define STAY_MS	    10

enum { KIND_MEMORY = 32, KIND_HEADER = 64, KIND_HALF = 128, KIND_CHANNEL = 192, KIND_END = 224 };

struct peer {
	int listener;
	int channel;
	int said_all; /* eventfd */
	struct fuzz_in in;
};

static void take(struct peer *p, void *buf, size_t len)
{
	memcpy(buf, p->in.p, len);
	p->in.p += len;
	p->in.left -= len;
}

/* What the back-end has to say for itself: any bytes. */
static void say(struct peer *p, size_t len)
{
	uint8_t buf[UINT8_MAX];

	take(p, buf, len);
	if (p->channel >= 0)
		send(p->channel, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Kind and length of the next answer, after what the back-end says for itself. */
static unsigned next_answer(struct peer *p, size_t *len)
{
	unsigned kind;

	for (;;) {
		kind = fuzz_u8(&p->in);
		*len = fuzz_u8(&p->in);
		*len = min_u64(*len, p->in.left);
		if (kind < KIND_CHANNEL || kind >= KIND_END)
			return kind;
		say(p, *len);
	}
}

/* Sends the next answer to `request`; false: the connection is to end. */
static bool answer(struct peer *p, int sock, uint32_t request)
{
	size_t len;
	unsigned kind = next_answer(p, &len);
	struct vhost_user_msg m = { .hdr = { request, VHOST_USER_VERSION | VHOST_USER_REPLY,
					    (uint32_t)len } };
	autoclose int memory = -1;

	if (kind >= KIND_END || (!len && !p->in.left))
		return false;
	if (kind >= KIND_HEADER && kind < KIND_HALF) {
		m.hdr.flags = fuzz_u32(&p->in);
		m.hdr.size = fuzz_u32(&p->in);
		len = min_u64(len, p->in.left);
	}
	take(p, m.payload.bytes, len);
	if (kind >= KIND_MEMORY && kind < KIND_HEADER)
		memory = fd_memfd("inflight", PAGE, 0, NULL);
	if (kind >= KIND_HALF)
		len /= 2;
	return fd_send(sock, &m, sizeof(m.hdr) + len, &memory, memory >= 0) >= 0 &&
	       kind < KIND_HALF;
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

/* Keeps the descriptor of the channel. */
static void keep_channel(struct peer *p, struct vhu_rx *rx)
{
	if (rx->msg.hdr.request != VHOST_USER_SET_BACKEND_REQ_FD || rx->nfds != 1)
		return;
	close_fd(&p->channel);
	p->channel = rx->fds[0];
	rx->fds[0] = -1;
}

/* One connection, until its answers say that it ends or the front-end ends it. */
static void talk(struct peer *p, int sock)
{
	struct pollfd wait = { .fd = sock, .events = POLLIN };
	struct vhu_rx rx = { .have = 0 };
	int n;

	do {
		n = poll(&wait, 1, -1) < 0 ? -1 : vhu_rx_step(&rx, sock);
		if (n <= 0)
			continue;
		keep_channel(p, &rx);
		if (has_answer(&rx.msg) && !answer(p, sock, rx.msg.hdr.request))
			n = -1;
		vhu_rx_reset(&rx);
	} while (n >= 0);
	vhu_rx_reset(&rx);
	close_fd(&p->channel);
}

static void *serve(void *arg)
{
	struct peer *p = arg;

	for (unsigned i = 0; i < CONNECTIONS; i++) {
		struct pollfd wait = { .fd = p->listener, .events = POLLIN };
		autoclose int sock = -1;

		if (poll(&wait, 1, -1) > 0)
			sock = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
		if (sock < 0)
			break;
		talk(p, sock);
		if (!p->in.left)
			fd_event_signal(p->said_all);
	}
	/* From here on the front-end finds nobody. */
	shutdown(p->listener, SHUT_RDWR);
	return NULL;
}

static void ignore(void *arg)
{
}

/* As a transport does it for a driver, which uses the device until all answers were given. */
static void drive(struct vbackend *b, int said_all)
{
	struct pollfd stay = { .fd = said_all, .events = POLLIN };
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
		poll(&stay, 1, STAY_MS);
		b->ops->queue_stop(b, 0);
	}
	b->ops->set_status(b, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *path = fuzz_path("backend");
	struct vhu_frontend_opts opts = {
		.path = path, .device_id = 1, .connect_ms = 2000, .request_ms = REQUEST_MS
	};
	autoclose int said_all = fd_event();
	struct peer peer = { .channel = -1, .said_all = said_all, .in = { data, size } };
	static struct gm gm;
	autoclose int ram = fd_memfd("ram", 1u << 20, 0, NULL);
	struct vbackend *b;
	pthread_t thread;

	if (!path || ram < 0 || said_all < 0)
		return 0;
	peer.listener = fd_unix_listen(path, SOCK_STREAM, NULL);
	gm_clear(&gm);
	if (gm_map(&gm, &(struct gm_region){ .size = 1u << 20, .fd = ram }, NULL))
		return 0;
	if (peer.listener < 0 || pthread_create(&thread, NULL, serve, &peer))
		abort();
	if (!vhu_frontend_create(&b, &opts, &gm, fuzz_log(), NULL)) {
		drive(b, peer.said_all);
		b->ops->destroy(b);
	}
	/* The back-end waits for nobody else. */
	shutdown(peer.listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(peer.listener);
	gm_clear(&gm);
	return 0;
}
