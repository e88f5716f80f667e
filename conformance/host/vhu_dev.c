/* SPDX-License-Identifier: BSD-3-Clause */
/* The transport seam of drivers/ on vhost-user messages. */
#include "conformance/host/vhu_dev.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "transport/vhost_user_recover.h"
#include "vhud.h"

/* Bits that mean something else in vhost-user than in VIRTIO: VHOST_F_LOG_ALL and the bit that says
 * that there are protocol features. */
#define NOT_VIRTIO (FEATURE(26) | FEATURE(VHOST_USER_F_PROTOCOL_FEATURES))

/* The longest sleep: a driver with EVENT_IDX that polls does not ask for each interrupt. */
#define SLICE_NS UINT64_C(100000)

#define CHANNEL_MESSAGES 64 /* taken from the back-end channel at a time */

static struct vhu_dev *from(struct drv_dev *dev)
{
	return container_of(dev, struct vhu_dev, dev);
}

static bool has_status(const struct vhu_dev *v)
{
	return vhud_has(v->conn, VHOST_USER_PROTOCOL_F_STATUS);
}

/* The result for the driver. A connection on which something went wrong but a plain refusal is of
 * no use any more: a late answer would be taken for another's. */
static int result(struct vhu_dev *v, int ret, const char *what)
{
	if (!ret)
		return 0;
	if (ret == -EREMOTEIO)
		return DRV_REFUSED;
	if (!*v->gone)
		snprintf(v->gone, sizeof(v->gone), "%s: %s", what,
			ret == -EPIPE	    ? "the back-end closed the connection"
			: ret == -ETIMEDOUT ? "the back-end does not answer"
					    : strerror(-ret));
	return DRV_GONE;
}

/* Without waiting, whatever the back-end, which has the same eventfd, has made of its flags. */
static void clear_event(int fd, uint32_t *count)
{
	uint64_t n;
	const struct iovec v = { &n, sizeof(n) };

	if (fd >= 0 && preadv2(fd, &v, 1, -1, RWF_NOWAIT) == sizeof(n))
		*count = (uint32_t)min_u64(*count + min_u64(n, UINT32_MAX), UINT32_MAX);
}

static void take_interrupts(struct vhu_dev *v)
{
	struct pollfd p = { .fd = vhud_channel(v->conn), .events = POLLIN };

	for (unsigned i = 0; i < v->nqueues; i++)
		clear_event(v->ring[i].call, &v->ring[i].interrupts);
	for (unsigned i = 0; i < CHANNEL_MESSAGES && poll(&p, 1, 0) == 1; i++) {
		if (!(p.revents & POLLIN))
			return;
		v->config_interrupts += (uint32_t)vhud_config_changed(v->conn, 0);
	}
}

static int features(struct drv_dev *dev, uint64_t *offered)
{
	struct vhu_dev *v = from(dev);
	uint64_t bits = 0;
	int ret = *v->gone ? -ENOTCONN : vhud_get_u64(v->conn, VHOST_USER_GET_FEATURES, &bits);

	*offered = bits & ~NOT_VIRTIO;
	return result(v, ret, "GET_FEATURES");
}

/*
 * A refusal becomes a FEATURES_OK that does not stay, as front-ends tell their guests. They pass on
 * neither bits that vhost-user has taken for itself nor a choice that comes after FEATURES_OK.
 */
static int accept_features(struct drv_dev *dev, uint64_t bits)
{
	struct vhu_dev *v = from(dev);
	int ret;

	if (*v->gone)
		return DRV_GONE;
	if (v->status & VIRTIO_S_FEATURES_OK)
		return 0;
	ret = bits & NOT_VIRTIO ? -EREMOTEIO : vhud_accept(v->conn, bits);
	v->refused = ret == -EREMOTEIO;
	return v->refused ? 0 : result(v, ret, "SET_FEATURES");
}

static int get_status(struct drv_dev *dev, uint8_t *status)
{
	struct vhu_dev *v = from(dev);

	if (*v->gone)
		return DRV_GONE;
	if (!has_status(v))
		return DRV_UNSUPPORTED;
	return result(v, vhud_get_status(v->conn, status), "GET_STATUS");
}

static int share_memory(struct vhu_dev *v)
{
	const struct vhu_mem *m = v->mem;
	struct vhost_user_mem_table t = { .nregions = 2 };
	const int fds[2] = { m->fd, m->fd };

	for (unsigned i = 0; i < 2; i++) {
		uint64_t at = i ? m->split : 0;

		t.regions[i] = (struct vhost_user_region){
			.gpa = m->gpa + at,
			.size = i ? m->len - m->split : m->split,
			.uva = (uintptr_t)m->base + at,
			.mmap_offset = at,
		};
	}
	return vhud_set(
		v->conn, VHOST_USER_SET_MEM_TABLE, &t, 8 + 2 * sizeof(t.regions[0]), fds, 2);
}

/* What a front-end does before it starts rings. A back-end may decline to keep a record. */
static int share(struct vhu_dev *v)
{
	int ret;

	if (v->shared)
		return 0;
	ret = share_memory(v);
	if (!ret)
		ret = vhud_inflight_share(v->conn, v->nqueues, v->queue_size);
	v->shared = !ret;
	return ret;
}

static int start_ring(struct vhu_dev *v, uint16_t q, uint32_t base)
{
	struct vhu_ring *r = &v->ring[q];
	uint64_t uva = (uintptr_t)v->mem->base - v->mem->gpa;
	const struct vhud_vring ring = {
		.size = r->addr.size,
		.desc = r->addr.desc + uva,
		.avail = r->addr.driver + uva,
		.used = r->addr.device + uva,
		.base = base,
		.kick = r->kick,
		.call = r->call,
	};
	int ret = share(v);

	if (!ret)
		ret = vhud_vring_start(v->conn, q, &ring);
	r->running = !ret;
	return ret;
}

static int stop_ring(struct vhu_dev *v, uint16_t q)
{
	int ret = v->ring[q].running ? vhud_queue_stop(v->conn, q, NULL) : 0;

	v->ring[q].running = false;
	return ret;
}

/* Without STATUS a back-end takes a started ring for DRIVER_OK. */
static int start_waiting(struct vhu_dev *v)
{
	uint32_t base = vhud_negotiated(v->conn) & FEATURE(VIRTIO_F_RING_PACKED)
				? VHU_BASE_PACKED_FRESH
				: 0;
	int ret = 0;

	for (uint16_t q = 0; !ret && q < v->nqueues; q++)
		if (v->ring[q].given && !v->ring[q].running)
			ret = start_ring(v, q, base);
	return ret;
}

/* Nothing of before is seen after a reset. */
static void forget(struct vhu_dev *v)
{
	take_interrupts(v);
	for (unsigned i = 0; i < v->nqueues; i++) {
		struct vhu_ring *r = &v->ring[i];

		r->given = r->running = false;
		clear_event(r->kick, &r->interrupts);
		r->interrupts = 0;
	}
	v->config_interrupts = 0;
	v->status = 0;
	v->refused = v->shared = false;
	vhud_inflight_drop(v->conn);
}

/* Where the status is not known, what front-ends do: all rings stopped, RESET_DEVICE if it is
 * there. */
static int reset(struct vhu_dev *v)
{
	int ret = 0;

	if (has_status(v)) {
		ret = vhud_set_status(v->conn, 0);
	} else {
		for (uint16_t q = 0; !ret && q < v->nqueues; q++)
			ret = stop_ring(v, q);
		if (!ret && vhud_has(v->conn, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
			ret = vhud_set(v->conn, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0);
	}
	if (!ret)
		forget(v);
	return ret;
}

static int set_status(struct drv_dev *dev, uint8_t status)
{
	struct vhu_dev *v = from(dev);
	int ret = 0;

	if (*v->gone)
		return DRV_GONE;
	if (v->refused)
		status &= (uint8_t)~VIRTIO_S_FEATURES_OK;
	v->status = status;
	if (!status)
		return result(v, reset(v), "reset");
	if (has_status(v))
		ret = vhud_set_status(v->conn, status);
	else if (status & VIRTIO_S_DRIVER_OK)
		ret = start_waiting(v);
	return result(v, ret, "SET_STATUS");
}

/* From the start, and never a part: there are back-ends that ignore the offset. */
static int config_read(struct drv_dev *dev, uint32_t offset, void *buf, uint32_t len)
{
	struct vhu_dev *v = from(dev);
	uint8_t all[VHOST_USER_CONFIG_MAX];
	int ret;

	if (*v->gone)
		return DRV_GONE;
	if (!vhud_has(v->conn, VHOST_USER_PROTOCOL_F_CONFIG) || !range_in(offset, len, sizeof(all)))
		return DRV_UNSUPPORTED;
	ret = vhud_config_read(v->conn, 0, all, offset + len);
	if (!ret)
		memcpy(buf, all + offset, len);
	return result(v, ret, "GET_CONFIG");
}

static int config_write(struct drv_dev *dev, uint32_t offset, const void *buf, uint32_t len)
{
	struct vhu_dev *v = from(dev);

	if (*v->gone)
		return DRV_GONE;
	if (!vhud_has(v->conn, VHOST_USER_PROTOCOL_F_CONFIG) ||
		!range_in(offset, len, VHOST_USER_CONFIG_MAX))
		return DRV_UNSUPPORTED;
	return result(v, vhud_config_write(v->conn, offset, buf, len), "SET_CONFIG");
}

static int queue_max(struct drv_dev *dev, uint16_t q, uint16_t *max)
{
	struct vhu_dev *v = from(dev);

	*max = q < v->nqueues ? v->queue_size : 0;
	return *v->gone ? DRV_GONE : 0;
}

static int queue_start(struct drv_dev *dev, uint16_t q, const struct drv_queue_addr *addr)
{
	struct vhu_dev *v = from(dev);
	struct vhu_ring *r;

	if (*v->gone)
		return DRV_GONE;
	if (q >= v->nqueues)
		return DRV_INVALID;
	r = &v->ring[q];
	if (r->kick < 0)
		r->kick = fd_event();
	if (r->call < 0)
		r->call = fd_event();
	if (r->kick < 0 || r->call < 0)
		return DRV_NO_MEMORY;
	r->given = true;
	r->addr = *addr;
	if (!has_status(v) && !(v->status & VIRTIO_S_DRIVER_OK))
		return 0;
	return result(v, start_waiting(v), "SET_VRING");
}

static int queue_reset(struct drv_dev *dev, uint16_t q, uint64_t until)
{
	struct vhu_dev *v = from(dev);
	int ret;

	if (*v->gone)
		return DRV_GONE;
	if (q >= v->nqueues)
		return DRV_INVALID;
	ret = stop_ring(v, q);
	v->ring[q].given = false;
	vhud_inflight_clear(v->conn, q);
	return result(v, ret, "GET_VRING_BASE");
}

/* Eventfds carry no notification data. */
static int notify(struct drv_dev *dev, uint16_t q, uint32_t next)
{
	struct vhu_dev *v = from(dev);

	if (*v->gone)
		return DRV_GONE;
	if (q >= v->nqueues || v->ring[q].kick < 0)
		return DRV_INVALID;
	return vhud_signal(v->ring[q].kick) ? DRV_ERROR : 0;
}

static int interrupts(struct drv_dev *dev, uint16_t q, uint32_t *count)
{
	struct vhu_dev *v = from(dev);
	uint32_t *counter;

	/* A channel that the back-end has closed is no excuse. */
	if (q == DRV_CONFIG && !vhud_has(v->conn, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		return DRV_UNSUPPORTED;
	if (q != DRV_CONFIG && q >= v->nqueues)
		return DRV_INVALID;
	counter = q == DRV_CONFIG ? &v->config_interrupts : &v->ring[q].interrupts;
	take_interrupts(v);
	*count = *counter;
	*counter = 0;
	return 0;
}

static const struct drv_ops ops = {
	.name = "vhost-user",
	.features = features,
	.accept = accept_features,
	.status = get_status,
	.set_status = set_status,
	.config_read = config_read,
	.config_write = config_write,
	.queue_max = queue_max,
	.queue_start = queue_start,
	.queue_reset = queue_reset,
	.notify = notify,
	.interrupts = interrupts,
};

bool vhu_dev_alive(struct vhu_dev *v)
{
	struct pollfd p = { .fd = vhud_sock(v->conn), .events = POLLIN | POLLRDHUP };

	if (*v->gone || poll(&p, 1, 0) < 1)
		return !*v->gone;
	/* It would be taken for the answer to the next request. */
	if (p.revents & POLLIN && !(p.revents & (POLLRDHUP | POLLHUP | POLLERR)))
		snprintf(v->gone, sizeof(v->gone), "the back-end sends what nobody asked for");
	else
		result(v, -EPIPE, "no request under way");
	return false;
}

void vhu_dev_wait(struct vhu_dev *v, uint64_t until)
{
	struct pollfd p[VHU_DEV_QUEUES + 1];
	uint64_t now = ev_now_ns();
	struct timespec left = { .tv_nsec =
					 until > now ? (long)min_u64(until - now, SLICE_NS) : 0 };
	nfds_t n = 0;

	for (unsigned i = 0; i < v->nqueues; i++)
		if (v->ring[i].call >= 0)
			p[n++] = (struct pollfd){ .fd = v->ring[i].call, .events = POLLIN };
	p[n++] = (struct pollfd){ .fd = vhud_channel(v->conn), .events = POLLIN };
	if (ppoll(p, n, &left, NULL) > 0)
		take_interrupts(v);
}

/* Queues of a back-end that has no MQ. */
static uint16_t least_queues(uint16_t id)
{
	switch (id) {
	case 1:	 /* net: receive, transmit */
	case 3:	 /* console */
	case 26: /* fs: hiprio, requests */
		return 2;
	case 19: /* vsock: receive, transmit, event */
		return 3;
	default:
		return 1;
	}
}

static int find_queues(struct vhu_dev *v, uint16_t queues)
{
	uint64_t n = queues ? queues : least_queues(v->dev.id);
	int ret = 0;

	if (vhud_has(v->conn, VHOST_USER_PROTOCOL_F_MQ))
		ret = vhud_get_u64(v->conn, VHOST_USER_GET_QUEUE_NUM, &n);
	v->nqueues = (uint16_t)min_u64(n, VHU_DEV_QUEUES);
	return ret;
}

int vhu_dev_open(struct vhu_dev *v, const struct vhu_mem *mem, int sock, uint16_t id,
	uint16_t queues, uint16_t queue_size, int timeout_ms)
{
	int ret;

	*v = (struct vhu_dev){
		.dev = { .ops = &ops, .id = id },
		.mem = mem,
		.queue_size = queue_size,
	};
	for (unsigned i = 0; i < VHU_DEV_QUEUES; i++)
		v->ring[i].kick = v->ring[i].call = -1;
	v->conn = vhud_open_fd(sock);
	if (!v->conn)
		return result(v, -ENOMEM, "connecting");
	vhud_quiet(v->conn, timeout_ms);
	ret = vhud_hello(v->conn);
	if (!ret)
		ret = find_queues(v, queues);
	return result(v, ret, "the first messages");
}

void vhu_dev_close(struct vhu_dev *v)
{
	for (unsigned i = 0; v->conn && i < VHU_DEV_QUEUES; i++) {
		close_fd(&v->ring[i].kick);
		close_fd(&v->ring[i].call);
	}
	vhud_close(v->conn);
	v->conn = NULL;
}

static int resume_rings(struct vhu_dev *v)
{
	int ret = vhud_accept(v->conn, vhud_negotiated(v->conn));

	v->shared = false;
	for (uint16_t q = 0; !ret && q < v->nqueues; q++) {
		uint64_t at = v->ring[q].addr.device - v->mem->gpa;

		if (!v->ring[q].running)
			continue;
		if (!range_in(at, sizeof(struct drv_used), v->mem->len))
			return -EFAULT;
		ret = start_ring(v, q, vhud_recovered_base(v->conn, q, v->mem->base + at));
	}
	if (!ret && has_status(v))
		ret = vhud_set_status(v->conn, v->status);
	return ret;
}

int vhu_dev_rejoin(struct vhu_dev *v, int sock, bool resume)
{
	int ret = vhud_rejoin(v->conn, sock);

	v->gone[0] = 0;
	if (!ret && resume)
		ret = resume_rings(v);
	else if (!ret)
		forget(v);
	return result(v, ret, "connecting again");
}
