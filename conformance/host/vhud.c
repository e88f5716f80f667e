/* SPDX-License-Identifier: BSD-3-Clause */
/* vhud: connection, negotiation, guest memory, queues. */
#include "vhud.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "base/loop.h"
#include "base/util.h"
#include "transport/vhost_user_recover.h"
#include "vhud_priv.h"

#define PF(name) FEATURE(VHOST_USER_PROTOCOL_F_##name)

#define KNOWN_PROTOCOL_FEATURES                                                                    \
	(PF(MQ) | PF(REPLY_ACK) | PF(BACKEND_REQ) | PF(CONFIG) | PF(INFLIGHT_SHMFD) |              \
		PF(RESET_DEVICE) | PF(CONFIGURE_MEM_SLOTS) | PF(STATUS))

#define NEGOTIATED (VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK)

#define DEFAULT_MEM	   (UINT64_C(32) << 20)
#define DEFAULT_QUEUE_SIZE 64
#define TABLE_LEN	   32 /* entries of an indirect table */
#define MAX_BUFFERS	   1024
#define RECORD_MAX	   (UINT64_C(4) << 20) /* in-flight record of one queue */

/* -1 on failure. Retries, since the process that is to listen may have just been started. */
static int connect_to(const char *path)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	uint64_t deadline = ev_now_ns() + VHUD_TIMEOUT_MS * UINT64_C(1000000);
	struct err e = { 0 };

	while (ev_now_ns() < deadline) {
		int sock = fd_unix_connect(path, SOCK_STREAM, &e);

		if (sock >= 0)
			return sock;
		nanosleep(&pause, NULL);
	}
	vhud_fail(NULL, e.code, "%s", e.msg);
	return -1;
}

struct vhud *vhud_open_fd(int sock)
{
	struct vhud *d = calloc(1, sizeof(*d));

	if (!d || sock < 0) {
		close_fd(&sock);
		free(d);
		return NULL;
	}
	fd_nonblock(sock);
	d->sock = sock;
	d->timeout_ms = VHUD_TIMEOUT_MS;
	d->channel = -1;
	d->memfd = -1;
	d->inflight_fd = -1;
	for (unsigned i = 0; i < VDEV_QUEUES_MAX; i++)
		d->q[i].kick = d->q[i].call = -1;
	return d;
}

struct vhud *vhud_open(const char *path)
{
	struct vhud *d = vhud_open_fd(connect_to(path));

	if (d)
		snprintf(d->path, sizeof(d->path), "%s", path);
	return d;
}

void vhud_quiet(struct vhud *d, int timeout_ms)
{
	d->quiet = true;
	d->timeout_ms = timeout_ms;
}

static void hang_up(struct vhud *d)
{
	close_fd(&d->sock);
	close_fd(&d->channel);
	vhu_rx_reset(&d->rx);
	vhu_rx_reset(&d->channel_rx);
}

void vhud_close(struct vhud *d)
{
	if (!d)
		return;
	hang_up(d);
	close_fd(&d->inflight_fd);
	for (unsigned i = 0; i < VDEV_QUEUES_MAX; i++) {
		close_fd(&d->q[i].kick);
		close_fd(&d->q[i].call);
		free(d->q[i].state);
	}
	if (d->mem)
		munmap(d->mem, d->mem_size);
	close_fd(&d->memfd);
	free(d);
}

uint64_t vhud_features(const struct vhud *d)
{
	return d->offered;
}

uint64_t vhud_negotiated(const struct vhud *d)
{
	return d->negotiated;
}

uint64_t vhud_protocol(const struct vhud *d)
{
	return d->protocol;
}

void *vhud_alloc(struct vhud *d, uint64_t len)
{
	uint64_t at = align_up(d->mem_used, 64);

	if (!range_in(at, len, d->mem_size))
		return NULL;
	d->mem_used = at + len;
	return d->mem + at;
}

uint64_t vhud_gpa(const struct vhud *d, const void *p)
{
	return VHUD_GPA + (uint64_t)((const uint8_t *)p - d->mem);
}

static int make_memory(struct vhud *d)
{
	struct err e = { 0 };

	if (d->mem)
		return 0;
	d->mem_size = d->opts.mem_size ? d->opts.mem_size : DEFAULT_MEM;
	d->memfd = fd_memfd("guest", d->mem_size, 0, &e);
	if (d->memfd < 0)
		return vhud_fail(d, d->memfd, "%s", e.msg);
	d->mem = mmap(NULL, d->mem_size, PROT_READ | PROT_WRITE, MAP_SHARED, d->memfd, 0);
	if (d->mem == MAP_FAILED) {
		d->mem = NULL;
		return vhud_fail(d, -errno, "mapping guest memory");
	}
	return 0;
}

/* Two adjacent regions, so that buffers cross from one to the other. */
void vhud_region(const struct vhud *d, unsigned i, struct vhost_user_region *r)
{
	uint64_t half = d->mem_size / 2 & ~UINT64_C(4095);
	uint64_t at = i ? half : 0;

	*r = (struct vhost_user_region){
		.gpa = VHUD_GPA + at,
		.size = i ? d->mem_size - half : half,
		.uva = (uintptr_t)d->mem + at,
		.mmap_offset = at,
	};
}

int vhud_share_memory(struct vhud *d)
{
	struct vhost_user_mem_table t = { .nregions = 2 };
	const int fds[2] = { d->memfd, d->memfd };

	vhud_region(d, 0, &t.regions[0]);
	vhud_region(d, 1, &t.regions[1]);
	return vhud_set(d, VHOST_USER_SET_MEM_TABLE, &t, 8 + 2 * sizeof(t.regions[0]), fds, 2);
}

static int open_channel(struct vhud *d)
{
	autoclose int theirs = -1;
	int pair[2];

	if (!vhud_has(d, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	d->channel = pair[0];
	theirs = pair[1];
	return vhud_set(d, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &theirs, 1);
}

/* A record as it was asked for, in a file that has it all. */
static bool is_record(
	const struct vhost_user_inflight *in, const struct vhost_user_inflight *asked, int fd)
{
	struct stat st;

	return in->num_queues == asked->num_queues && in->mmap_size &&
	       in->mmap_size <= RECORD_MAX * in->num_queues && !fstat(fd, &st) &&
	       S_ISREG(st.st_mode) &&
	       range_in(in->mmap_offset, in->mmap_size, (uint64_t)st.st_size);
}

static int get_inflight(struct vhud *d, uint16_t nqueues, uint16_t queue_size)
{
	struct vhost_user_inflight in = { .num_queues = nqueues, .queue_size = queue_size };
	struct vhost_user_msg msg;
	int fds[FD_PASS_MAX];
	unsigned nfds = 0;
	int ret = vhud_send(d, VHOST_USER_GET_INFLIGHT_FD, 0, &in, sizeof(in), NULL, 0);

	if (!ret)
		ret = vhud_recv_reply(d, VHOST_USER_GET_INFLIGHT_FD, &msg, fds, &nfds);
	/* "mmap size 0" without a descriptor is how a backend declines. */
	if (!ret && !nfds && !msg.payload.inflight.mmap_size)
		return 0;
	for (unsigned i = 1; i < nfds; i++)
		close(fds[i]);
	if (ret || !nfds)
		return vhud_fail(d, ret ? ret : -EPROTO, "GET_INFLIGHT_FD, %u descriptors", nfds);
	if (!is_record(&msg.payload.inflight, &in, fds[0])) {
		close(fds[0]);
		return vhud_fail(d, -EPROTO, "GET_INFLIGHT_FD gives no usable record");
	}
	d->inflight_fd = fds[0];
	d->inflight = msg.payload.inflight;
	return 0;
}

int vhud_inflight_share(struct vhud *d, uint16_t nqueues, uint16_t queue_size)
{
	int ret = 0;

	if (!vhud_has(d, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD) || !nqueues)
		return 0;
	if (d->inflight_fd < 0)
		ret = get_inflight(d, nqueues, queue_size);
	if (ret || d->inflight_fd < 0)
		return ret;
	return vhud_set(d, VHOST_USER_SET_INFLIGHT_FD, &d->inflight, sizeof(d->inflight),
		&d->inflight_fd, 1);
}

void vhud_inflight_drop(struct vhud *d)
{
	close_fd(&d->inflight_fd);
}

void vhud_inflight_clear(struct vhud *d, unsigned q)
{
	uint64_t stride, at;
	autofree uint8_t *zero = NULL;

	if (d->inflight_fd < 0 || q >= d->inflight.num_queues)
		return;
	stride = d->inflight.mmap_size / d->inflight.num_queues;
	at = d->inflight.mmap_offset + q * stride;
	zero = calloc(1, stride);
	if (!zero || pwrite(d->inflight_fd, zero, stride, (off_t)at) != (ssize_t)stride)
		vhud_fail(d, -EIO, "clearing the in-flight record of queue %u", q);
}

static int agree_protocol(struct vhud *d)
{
	uint64_t protocol = 0;
	int ret;

	d->protocol = 0;
	if (d->opts.plain || !(d->offered & FEATURE(VHOST_USER_F_PROTOCOL_FEATURES)))
		return 0;
	ret = vhud_get_u64(d, VHOST_USER_GET_PROTOCOL_FEATURES, &protocol);
	protocol &= d->opts.protocol ? d->opts.protocol : KNOWN_PROTOCOL_FEATURES;
	if (!ret)
		ret = vhud_set(
			d, VHOST_USER_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol), NULL, 0);
	if (!ret)
		d->protocol = protocol;
	return ret;
}

int vhud_hello(struct vhud *d)
{
	int ret = vhud_send(d, VHOST_USER_SET_OWNER, 0, NULL, 0, NULL, 0);

	if (!ret)
		ret = vhud_get_u64(d, VHOST_USER_GET_FEATURES, &d->offered);
	if (ret)
		return vhud_fail(d, ret, "GET_FEATURES");
	ret = agree_protocol(d);
	return ret ? ret : open_channel(d);
}

int vhud_accept(struct vhud *d, uint64_t features)
{
	uint64_t said;

	if (!d->opts.plain)
		features |= d->offered & FEATURE(VHOST_USER_F_PROTOCOL_FEATURES);
	d->negotiated = features;
	said = features & ~d->opts.unsaid;
	return vhud_set(d, VHOST_USER_SET_FEATURES, &said, sizeof(said), NULL, 0);
}

/* All that precedes the queues, on a new connection. */
static int handshake(struct vhud *d)
{
	int ret = vhud_hello(d);

	if (!ret)
		ret = vhud_accept(d, d->offered & (d->opts.features | FEATURE(VIRTIO_F_VERSION_1)));
	if (!ret && vhud_has(d, VHOST_USER_PROTOCOL_F_STATUS))
		ret = vhud_set_status(d, d->opts.lazy_status ? VIRTIO_S_FEATURES_OK : NEGOTIATED);
	if (!ret)
		ret = vhud_share_memory(d);
	if (!ret)
		ret = vhud_inflight_share(d, d->opts.nqueues, d->opts.queue_size);
	return ret;
}

int vhud_negotiate(struct vhud *d, const struct vhud_opts *opts)
{
	int ret;

	d->opts = *opts;
	if (!d->opts.queue_size)
		d->opts.queue_size = DEFAULT_QUEUE_SIZE;
	close_fd(&d->channel);
	close_fd(&d->inflight_fd);
	ret = make_memory(d);
	return ret ? ret : handshake(d);
}

int vhud_vring_start(struct vhud *d, unsigned q, const struct vhud_vring *v)
{
	const struct vhost_user_vring_state num = { q, v->size }, at = { q, v->base };
	const struct vhost_user_vring_addr addr = {
		.index = q,
		.desc = v->desc,
		.avail = v->avail,
		.used = v->used,
	};
	const uint64_t index = q;
	int ret = vhud_set(d, VHOST_USER_SET_VRING_NUM, &num, sizeof(num), NULL, 0);

	if (!ret)
		ret = vhud_set(d, VHOST_USER_SET_VRING_BASE, &at, sizeof(at), NULL, 0);
	if (!ret)
		ret = vhud_set(d, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
	if (!ret)
		ret = vhud_set(d, VHOST_USER_SET_VRING_CALL, &index, sizeof(index), &v->call, 1);
	if (!ret)
		ret = vhud_set(d, VHOST_USER_SET_VRING_KICK, &index, sizeof(index), &v->kick, 1);
	if (!ret && !d->opts.disabled)
		ret = vhud_queue_enable(d, q, true);
	/* "The back-end must start ring upon receiving a kick". */
	if (!ret)
		vhud_signal(v->kick);
	return ret;
}

/* Tells the backend of a ring whose memory is there, and starts it at `base`. */
static int announce_queue(struct vhud *d, unsigned q, uint32_t base)
{
	const struct vhud_queue *vq = &d->q[q];
	const struct vhud_vring v = {
		.size = vq->size,
		.desc = (uintptr_t)vq->ring.desc,
		.avail = (uintptr_t)vq->ring.driver,
		.used = (uintptr_t)vq->ring.device,
		.base = base,
		.kick = vq->kick,
		.call = vq->call,
	};

	return vhud_vring_start(d, q, &v);
}

static int make_ring(struct vhud *d, struct vhud_queue *vq, uint16_t size)
{
	bool packed = d->negotiated & FEATURE(VIRTIO_F_RING_PACKED);
	uint32_t desc, driver, device;
	struct drv_ring_config c = {
		.size = size,
		.features = d->negotiated,
		.table_len = TABLE_LEN,
	};

	drv_ring_sizes(size, packed, &desc, &driver, &device);
	c.desc = vhud_alloc(d, desc);
	c.driver = vhud_alloc(d, driver);
	c.device = vhud_alloc(d, device);
	c.tables = vhud_alloc(d, (uint64_t)size * TABLE_LEN * 16);
	free(vq->state);
	vq->state = c.state = calloc(1, drv_ring_state_size(size));
	if (!c.desc || !c.driver || !c.device || !c.tables || !c.state)
		return vhud_fail(d, -ENOMEM, "guest memory for a ring of %u", size);
	c.tables_addr = vhud_gpa(d, c.tables);
	vq->size = size;
	return drv_ring_init(&vq->ring, &c) ? -EINVAL : 0;
}

int vhud_queue_start(struct vhud *d, unsigned q, uint16_t size)
{
	struct vhud_queue *vq = &d->q[q];
	bool packed = d->negotiated & FEATURE(VIRTIO_F_RING_PACKED);
	int ret = make_ring(d, vq, size);

	if (ret)
		return ret;
	if (vq->kick < 0)
		vq->kick = fd_event();
	if (vq->call < 0)
		vq->call = fd_event();
	if (vq->kick < 0 || vq->call < 0)
		return -EMFILE;
	return announce_queue(d, q, packed ? VHU_BASE_PACKED_FRESH : 0);
}

int vhud_queue_enable(struct vhud *d, unsigned q, bool enable)
{
	const struct vhost_user_vring_state s = { q, enable };

	if (!(d->negotiated & FEATURE(VHOST_USER_F_PROTOCOL_FEATURES)))
		return 0;
	return vhud_set(d, VHOST_USER_SET_VRING_ENABLE, &s, sizeof(s), NULL, 0);
}

int vhud_queue_stop(struct vhud *d, unsigned q, uint32_t *base)
{
	const struct vhost_user_vring_state s = { q, 0 };
	struct vhost_user_msg msg;
	int ret = vhud_send(d, VHOST_USER_GET_VRING_BASE, 0, &s, sizeof(s), NULL, 0);

	if (!ret)
		ret = vhud_recv_reply(d, VHOST_USER_GET_VRING_BASE, &msg, NULL, NULL);
	if (ret)
		return vhud_fail(d, ret, "GET_VRING_BASE");
	if (base)
		*base = msg.payload.state.num;
	return msg.payload.state.index == q ? 0 : -EPROTO;
}

int vhud_queue_resume(struct vhud *d, unsigned q, uint32_t base)
{
	return announce_queue(d, q, base);
}

int vhud_driver_ok(struct vhud *d)
{
	if (!vhud_has(d, VHOST_USER_PROTOCOL_F_STATUS) || d->opts.lazy_status)
		return 0;
	return vhud_set_status(d, NEGOTIATED | VIRTIO_S_DRIVER_OK);
}

int vhud_start(struct vhud *d, const struct vhud_opts *opts)
{
	int ret = vhud_negotiate(d, opts);

	for (unsigned i = 0; !ret && i < d->opts.nqueues; i++)
		ret = vhud_queue_start(d, i, d->opts.queue_size);
	return ret ? ret : vhud_driver_ok(d);
}

int vhud_reset(struct vhud *d)
{
	int ret = 0;

	if (vhud_has(d, VHOST_USER_PROTOCOL_F_STATUS))
		ret = vhud_set_status(d, 0);
	if (!ret && vhud_has(d, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		ret = vhud_set(d, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0);
	for (unsigned i = 0; i < VDEV_QUEUES_MAX; i++)
		d->q[i].size = 0;
	return ret;
}

uint32_t vhud_recovered_base(const struct vhud *d, unsigned q, const void *device)
{
	bool packed = d->negotiated & FEATURE(VIRTIO_F_RING_PACKED);
	uint8_t region[sizeof(struct vhu_packed_region)];
	uint64_t at;

	if (!packed)
		return vhu_recovered_base(false, device, NULL);
	if (d->inflight_fd < 0 || q >= d->inflight.num_queues)
		return VHU_BASE_UNKNOWN;
	at = d->inflight.mmap_offset + q * (d->inflight.mmap_size / d->inflight.num_queues);
	if (fd_pread_full(d->inflight_fd, region, sizeof(region), at))
		return VHU_BASE_UNKNOWN;
	return vhu_recovered_base(true, device, region);
}

int vhud_rejoin(struct vhud *d, int sock)
{
	hang_up(d);
	if (sock < 0)
		return -ENOTCONN;
	fd_nonblock(sock);
	d->sock = sock;
	return vhud_hello(d);
}

int vhud_reconnect_fd(struct vhud *d, int sock)
{
	int ret;

	hang_up(d);
	if (sock < 0)
		return -ENOTCONN;
	fd_nonblock(sock);
	d->sock = sock;
	ret = handshake(d);
	for (unsigned i = 0; !ret && i < VDEV_QUEUES_MAX; i++)
		if (d->q[i].size)
			ret = announce_queue(d, i, vhud_recovered_base(d, i, d->q[i].ring.device));
	return ret ? ret : vhud_driver_ok(d);
}

int vhud_reconnect(struct vhud *d)
{
	hang_up(d);
	return vhud_reconnect_fd(d, connect_to(d->path));
}

int vhud_add(struct vhud *d, unsigned q, const struct iovec *iov, unsigned n_out, unsigned n_in,
	void *token)
{
	struct drv_sg sg[MAX_BUFFERS];
	int ret;

	if (n_out + n_in > MAX_BUFFERS)
		return -E2BIG;
	for (unsigned i = 0; i < n_out + n_in; i++)
		sg[i] = (struct drv_sg){ vhud_gpa(d, iov[i].iov_base), (uint32_t)iov[i].iov_len };
	ret = drv_ring_add(&d->q[q].ring, sg, n_out, n_in, token);
	return ret == DRV_FULL ? -ENOSPC : ret ? -EINVAL : 0;
}

void vhud_kick(struct vhud *d, unsigned q)
{
	if (drv_ring_publish(&d->q[q].ring))
		vhud_signal(d->q[q].kick);
}

int vhud_wait(struct vhud *d, unsigned q, void **token, uint32_t *len, int timeout_ms)
{
	uint64_t deadline = ev_now_ns() + (uint64_t)timeout_ms * 1000000;
	struct vhud_queue *vq = &d->q[q];

	for (;;) {
		struct pollfd p = { .fd = vq->call, .events = POLLIN };
		void *cookie = NULL;
		uint32_t used = 0;
		int ret = drv_ring_get(&vq->ring, &cookie, &used);

		if (ret < 0)
			return vhud_fail(d, -EPROTO, "queue %u: the used ring is wrong", q);
		if (ret) {
			if (token)
				*token = cookie;
			if (len)
				*len = used;
			return 1;
		}
		if (drv_ring_enable_interrupts(&vq->ring, 0))
			continue;
		if (!timeout_ms || poll(&p, 1, vhud_left_ms(deadline)) < 1)
			return 0;
		fd_event_clear(vq->call);
	}
}

/* Guest memory for vhud_do(): the last one if it is large enough. */
static uint8_t *bounce(struct vhud *d, struct vhud_queue *vq, size_t len)
{
	if (vq->bounce_len >= len)
		return vq->bounce;
	vq->bounce = vhud_alloc(d, len);
	vq->bounce_len = vq->bounce ? len : 0;
	return vq->bounce;
}

ssize_t vhud_do(
	struct vhud *d, unsigned q, const void *out, size_t out_len, void *in, size_t in_len)
{
	struct vhud_queue *vq = &d->q[q];
	uint8_t *buf = bounce(d, vq, out_len + in_len);
	struct iovec iov[2];
	unsigned n = 0;
	void *token = NULL;
	uint32_t used;
	int ret;

	if (!buf)
		return vhud_fail(d, -ENOMEM, "guest memory is used up");
	if (out_len) {
		memcpy(buf, out, out_len);
		iov[n++] = (struct iovec){ buf, out_len };
	}
	if (in_len)
		iov[n++] = (struct iovec){ buf + out_len, in_len };
	ret = vhud_add(d, q, iov, !!out_len, !!in_len, buf);
	if (ret)
		return vhud_fail(d, ret, "queue %u takes no request", q);
	vhud_kick(d, q);
	ret = vhud_wait(d, q, &token, &used, d->timeout_ms);
	if (ret != 1)
		return vhud_fail(d, ret ? ret : -ETIMEDOUT, "queue %u: no answer", q);
	if (token != buf || used > in_len)
		return vhud_fail(d, -EPROTO, "queue %u: another request's answer, or too long", q);
	if (in_len)
		memcpy(in, buf + out_len, in_len);
	return used;
}

struct drv_ring *vhud_ring(struct vhud *d, unsigned q)
{
	return &d->q[q].ring;
}

int vhud_kick_fd(const struct vhud *d, unsigned q)
{
	return d->q[q].kick;
}

int vhud_call_fd(const struct vhud *d, unsigned q)
{
	return d->q[q].call;
}
