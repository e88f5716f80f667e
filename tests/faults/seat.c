/* SPDX-License-Identifier: BSD-3-Clause */
/* The transport seam of drivers/ on a struct vbackend. See seat.h. */
#include "seat.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "transport/vhost_user_frontend.h"

#define SEAT_GPA   UINT64_C(0x40000000)
#define SEAT_WAIT  UINT64_C(60000000000) /* ns */
#define QUEUE_SIZE 256u

/* The longest sleep: a driver with EVENT_IDX that polls does not ask for each interrupt. */
#define SLICE_NS UINT64_C(200000)

static struct seat *from(struct drv_dev *dev)
{
	return container_of(dev, struct seat, dev);
}

static int result(int ret)
{
	return ret ? DRV_GONE : 0;
}

static int features(struct drv_dev *dev, uint64_t *offered)
{
	struct seat *s = from(dev);
	int ret = s->be->ops->features(s->be, offered);

	*offered &= ~s->hidden;
	return result(ret);
}

static int accept_features(struct drv_dev *dev, uint64_t bits)
{
	struct seat *s = from(dev);

	s->refused = s->be->ops->set_features(s->be, bits) != 0;
	return 0;
}

static int get_status(struct drv_dev *dev, uint8_t *status)
{
	struct seat *s = from(dev);

	*status = s->status;
	if (s->status && atomic_load(&s->needs_reset))
		*status |= VIRTIO_S_NEEDS_RESET;
	return 0;
}

static int set_status(struct drv_dev *dev, uint8_t status)
{
	struct seat *s = from(dev);

	if (s->refused)
		status &= (uint8_t)~VIRTIO_S_FEATURES_OK;
	if (!status) {
		for (unsigned i = 0; i < s->be->nqueues && i < SEAT_QUEUES; i++)
			s->be->ops->queue_stop(s->be, i);
		s->refused = false;
	}
	s->status = status;
	if (!status || status & VIRTIO_S_DRIVER_OK)
		s->be->ops->set_status(s->be, status);
	if (!status)
		atomic_store(&s->needs_reset, false);
	return 0;
}

static int config_read(struct drv_dev *dev, uint32_t offset, void *buf, uint32_t len)
{
	struct seat *s = from(dev);

	return result(s->be->ops->config_read(s->be, offset, buf, len));
}

static int config_write(struct drv_dev *dev, uint32_t offset, const void *buf, uint32_t len)
{
	struct seat *s = from(dev);

	return result(s->be->ops->config_write(s->be, offset, buf, len));
}

static int queue_max(struct drv_dev *dev, uint16_t q, uint16_t *max)
{
	struct seat *s = from(dev);

	*max = q < s->be->nqueues && q < SEAT_QUEUES ? s->be->queue_size_max : 0;
	return 0;
}

static int queue_start(struct drv_dev *dev, uint16_t q, const struct drv_queue_addr *addr)
{
	struct seat *s = from(dev);
	const struct vb_queue setup = { addr->size, addr->desc, addr->driver, addr->device,
		s->kick[q], s->call[q] };

	return result(s->be->ops->queue_start(s->be, q, &setup));
}

static int notify(struct drv_dev *dev, uint16_t q, uint32_t next)
{
	return result(fd_event_signal(from(dev)->kick[q]));
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
	.notify = notify,
};

static uint64_t map(void *ctx, const void *p, size_t len)
{
	const struct seat *s = ctx;
	uintptr_t at = (uintptr_t)p - (uintptr_t)s->dev.mem;

	return range_in(at, len, SEAT_RINGS + SEAT_BUFFER) ? SEAT_GPA + at : UINT64_MAX;
}

static void barrier(void *ctx)
{
	atomic_thread_fence(memory_order_seq_cst);
}

static uint64_t now(void *ctx)
{
	return ev_now_ns();
}

uint64_t seat_until(void)
{
	return ev_now_ns() + SEAT_WAIT;
}

static void wait_call(void *ctx, struct drv_dev *dev, uint64_t until)
{
	struct seat *s = ctx;
	struct pollfd p[SEAT_QUEUES];
	uint64_t t = ev_now_ns();
	struct timespec left = { .tv_nsec = until > t ? (long)min_u64(until - t, SLICE_NS) : 0 };

	for (unsigned i = 0; i < SEAT_QUEUES; i++)
		p[i] = (struct pollfd){ .fd = s->call[i], .events = POLLIN };
	if (ppoll(p, SEAT_QUEUES, &left, NULL) > 0)
		for (unsigned i = 0; i < SEAT_QUEUES; i++)
			if (p[i].revents)
				fd_event_clear(p[i].fd);
}

static void on_reset(void *arg)
{
	atomic_store(&((struct seat *)arg)->needs_reset, true);
}

static int open_memory(struct seat *s, struct err *e)
{
	struct gm_region r = { .gpa = SEAT_GPA, .size = SEAT_RINGS + SEAT_BUFFER };

	s->memfd = r.fd = fd_memfd("guest", r.size, 0, e);
	return r.fd < 0 ? r.fd : gm_map(&s->gm, &r, e);
}

int seat_open(struct seat *s, const char *path, uint16_t id, uint16_t nqueues, uint64_t hidden)
{
	const struct vhu_frontend_opts opts = {
		.path = path,
		.device_id = id,
		.nqueues = nqueues,
		.queue_size_max = QUEUE_SIZE,
		.connect_ms = 60000,
		.request_ms = 60000,
		.give_up_s = 120,
	};
	struct err e = { 0 };
	int ret;

	*s = (struct seat){ .memfd = -1, .hidden = hidden };
	log_init(&s->log, STDERR_FILENO, "driver");
	s->log.level = LOG_LEVEL_ERROR;
	ret = open_memory(s, &e);
	for (unsigned i = 0; i < SEAT_QUEUES; i++) {
		s->kick[i] = fd_event();
		s->call[i] = fd_event();
	}
	if (!ret)
		ret = vhu_frontend_create(&s->be, &opts, &s->gm, &s->log, &e);
	if (ret) {
		printf("# %s\n", e.msg);
		return ret;
	}
	s->be->events = (struct vb_events){ .needs_reset = on_reset, .arg = s };
	s->platform = (struct drv_platform){
		.ctx = s, .map = map, .barrier = barrier, .wait = wait_call, .time = now
	};
	s->dev = (struct drv_dev){ .ops = &ops, .platform = &s->platform, .id = id };
	s->dev.mem = s->gm.r[0].hva;
	s->dev.mem_len = SEAT_RINGS;
	s->buffer = s->dev.mem + SEAT_RINGS;
	return 0;
}

void seat_close(struct seat *s)
{
	if (!s->platform.ctx && !s->be && !s->gm.n)
		return;
	if (s->be)
		s->be->ops->destroy(s->be);
	for (unsigned i = 0; i < SEAT_QUEUES; i++) {
		close_fd(&s->kick[i]);
		close_fd(&s->call[i]);
	}
	gm_clear(&s->gm);
	close_fd(&s->memfd);
}
