/* SPDX-License-Identifier: BSD-3-Clause */
/* A device on a thread of its own, seen by a transport: operations, kicks, interrupts, events. */
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "rig.h"
#include "tap.h"
#include "virtio/backend.h"
#include "virtio/device.h"

#define LIMIT_MS 10000

/* Adds one to every byte of a request. A request that starts with 0xff breaks a rule; one that
 * starts with 0xfe changes the configuration. */
struct inc {
	struct vdev dev;
	uint8_t config;
	unsigned started;
};

static void inc_kick(struct vdev *dev, unsigned q)
{
	struct vq *vq = dev->queues[q];
	struct vq_chain *c;

	do {
		while (vq_pop(vq, &c) == 1) {
			const uint8_t *in = c->iov[0].iov_base;
			uint8_t *out = vq_in(c)->iov_base;

			if (in[0] == 0xff) {
				vdev_broken(dev, q, "0xff is not allowed");
				return;
			}
			if (in[0] == 0xfe)
				vdev_config_changed(dev);
			for (unsigned i = 0; i < c->out_len && i < c->in_len; i++)
				out[i] = (uint8_t)(in[i] + 1);
			vq_push(vq, c, (uint32_t)c->in_len);
		}
		vq_flush(vq);
	} while (vq_enable_kick(vq));
}

static int inc_init(struct vdev *dev, struct err *e)
{
	dev->nqueues = 2;
	dev->queue_size_max = 64;
	dev->config_len = 1;
	return 0;
}

static void inc_finish(struct vdev *dev)
{
}

static void inc_start(struct vdev *dev)
{
	((struct inc *)dev)->started++;
}

static void inc_read(struct vdev *dev, uint32_t offset, void *buf, uint32_t len)
{
	*(uint8_t *)buf = ((struct inc *)dev)->config;
}

static void inc_write(struct vdev *dev, uint32_t offset, const void *buf, uint32_t len)
{
	((struct inc *)dev)->config = *(const uint8_t *)buf;
	vdev_config_changed(dev);
}

static const struct vdev_class inc_class = {
	.name = "inc",
	.id = 42,
	.size = sizeof(struct inc),
	.init = inc_init,
	.finish = inc_finish,
	.start = inc_start,
	.kick = inc_kick,
	.config_read = inc_read,
	.config_write = inc_write,
};

struct monitor {
	struct rig r;
	struct vbackend *b;
	sem_t changed, needs_reset;
	int kick_fd;
};

static void on_changed(void *arg)
{
	sem_post(&((struct monitor *)arg)->changed);
}

static void on_needs_reset(void *arg)
{
	sem_post(&((struct monitor *)arg)->needs_reset);
}

static bool happens(sem_t *sem)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += LIMIT_MS / 1000;
	return !sem_timedwait(sem, &ts);
}

static bool interrupted(struct monitor *m)
{
	struct pollfd p = { .fd = m->r.call_fd, .events = POLLIN };

	return poll(&p, 1, LIMIT_MS) == 1 && rig_interrupts(&m->r);
}

static bool monitor_init(struct monitor *m, uint64_t features)
{
	struct ev_loop *loop = NULL;
	struct vdev *dev = NULL;

	if (!rig_init(&m->r, 64, features, NULL) || ev_loop_create(&loop) ||
		vdev_new(&dev, &inc_class, NULL) || vdev_init(dev, loop, NULL, NULL) ||
		vb_local_create(&m->b, dev, loop, &m->r.gm, NULL, NULL))
		return false;
	vq_stop(m->r.vq, NULL, NULL); /* the rig's own device is not needed */
	m->kick_fd = fd_event();
	sem_init(&m->changed, 0, 0);
	sem_init(&m->needs_reset, 0, 0);
	m->b->events = (struct vb_events){ on_changed, on_needs_reset, m };
	return true;
}

static void monitor_finish(struct monitor *m)
{
	m->b->ops->destroy(m->b);
	close_fd(&m->kick_fd);
	rig_finish(&m->r);
}

static uint64_t gpa(const struct monitor *m, const void *p)
{
	return RIG_GPA + (uint64_t)((const uint8_t *)p - m->r.host[0]);
}

static int start_queue(struct monitor *m)
{
	struct vb_queue q = {
		.size = 64,
		.desc = gpa(m, m->r.setup.desc),
		.driver = gpa(m, m->r.setup.driver),
		.device = gpa(m, m->r.setup.device),
		.kick_fd = m->kick_fd,
		.call_fd = m->r.call_fd,
	};

	return m->b->ops->queue_start(m->b, 1, &q);
}

/* Sends `n` requests that start with `first` and waits until all have come back. */
static bool requests(struct monitor *m, unsigned n, uint8_t first)
{
	unsigned done = 0, sent = 0;

	while (done < n) {
		void *cookie;
		uint32_t len;

		while (sent < n) {
			uint64_t at = RIG_BUF + 16 * (sent % 64);
			struct drv_sg sg[2] = { { at, 8 }, { at + 8, 8 } };

			if (drv_ring_add(&m->r.drv, sg, 1, 1, rig_ptr(&m->r, at)))
				break;
			memset(rig_ptr(&m->r, at), first, 8);
			sent++;
		}
		if (drv_ring_publish(&m->r.drv))
			fd_event_signal(m->kick_fd);
		while (drv_ring_get(&m->r.drv, &cookie, &len) == 1) {
			const uint8_t *p = cookie;

			if (len != 8 || p[8] != (uint8_t)(first + 1) || p[15] != p[8])
				return false;
			done++;
		}
		if (done < sent && !drv_ring_enable_interrupts(&m->r.drv, 0) && !interrupted(m))
			return false;
		drv_ring_disable_interrupts(&m->r.drv);
	}
	return true;
}

static void requests_are_served(struct tap *t, uint64_t features)
{
	struct monitor m;
	uint64_t offered = 0;

	REQUIRE(t, monitor_init(&m, features));
	CHECK_EQ(t, m.b->device_id, 42);
	CHECK_EQ(t, m.b->nqueues, 2);
	CHECK_EQ(t, m.b->ops->features(m.b, &offered), 0);
	CHECK_EQ(t, offered & features, features);
	CHECK_EQ(t, m.b->ops->set_features(m.b, 0), -EINVAL);
	CHECK_EQ(t, m.b->ops->set_status(m.b, 15), -EINVAL);
	CHECK_EQ(t, m.b->ops->set_status(m.b, 0), 0);
	CHECK_EQ(t, m.b->ops->set_features(m.b, features), 0);
	CHECK_EQ(t, start_queue(&m), 0);
	CHECK_EQ(t, m.b->ops->set_status(m.b, 15), 0);
	CHECK(t, requests(&m, 5000, 17));
	CHECK_EQ(t, m.b->ops->queue_stop(m.b, 1), 0);
	CHECK_EQ(t, m.b->ops->queue_stop(m.b, 1), 0);
	CHECK_EQ(t, m.b->ops->queue_stop(m.b, 7), -EINVAL);
	monitor_finish(&m);
}

static void all_layouts_are_served(struct tap *t)
{
	uint64_t v1 = RIG_BIT(VIRTIO_F_VERSION_1), packed = v1 | RIG_BIT(VIRTIO_F_RING_PACKED);
	uint64_t event = RIG_BIT(VIRTIO_F_EVENT_IDX), indirect = RIG_BIT(VIRTIO_F_INDIRECT_DESC);

	requests_are_served(t, v1);
	requests_are_served(t, v1 | event | indirect);
	requests_are_served(t, packed);
	requests_are_served(t, packed | event | indirect);
}

static void buffers_before_driver_ok_wait(struct tap *t)
{
	uint64_t v1 = RIG_BIT(VIRTIO_F_VERSION_1);
	struct drv_sg sg[2] = { { RIG_BUF, 8 }, { RIG_BUF + 8, 8 } };
	struct monitor m;
	uint8_t config = 9;

	REQUIRE(t, monitor_init(&m, v1));
	CHECK_EQ(t, m.b->ops->set_features(m.b, v1), 0);
	CHECK_EQ(t, start_queue(&m), 0);
	CHECK_EQ(t, drv_ring_add(&m.r.drv, sg, 1, 1, NULL), 0);
	if (drv_ring_publish(&m.r.drv))
		fd_event_signal(m.kick_fd);
	/* Operations go through the same loop, behind the kick. */
	CHECK_EQ(t, m.b->ops->config_read(m.b, 0, &config, 1), 0);
	CHECK_EQ(t, m.b->ops->config_read(m.b, 0, &config, 1), 0);
	CHECK_EQ(t, config, 0);
	CHECK(t, !drv_ring_used(&m.r.drv));
	CHECK_EQ(t, m.b->ops->set_status(m.b, 15), 0);
	CHECK(t, interrupted(&m));
	CHECK(t, drv_ring_used(&m.r.drv));
	monitor_finish(&m);
}

static void events_reach_the_transport(struct tap *t)
{
	uint64_t v1 = RIG_BIT(VIRTIO_F_VERSION_1);
	struct drv_sg sg[2] = { { RIG_BUF, 8 }, { RIG_BUF + 8, 8 } };
	uint8_t config = 3;
	struct monitor m;

	REQUIRE(t, monitor_init(&m, v1));
	CHECK_EQ(t, m.b->ops->set_features(m.b, v1), 0);
	CHECK_EQ(t, start_queue(&m), 0);
	CHECK_EQ(t, m.b->ops->set_status(m.b, 15), 0);
	CHECK_EQ(t, m.b->ops->config_write(m.b, 0, &config, 1), 0);
	CHECK(t, happens(&m.changed));
	config = 0;
	CHECK_EQ(t, m.b->ops->config_read(m.b, 0, &config, 1), 0);
	CHECK_EQ(t, config, 3);
	CHECK(t, requests(&m, 1, 0xfe));
	CHECK(t, happens(&m.changed));

	memset(rig_ptr(&m.r, RIG_BUF), 0xff, 8);
	CHECK_EQ(t, drv_ring_add(&m.r.drv, sg, 1, 1, NULL), 0);
	drv_ring_publish(&m.r.drv);
	fd_event_signal(m.kick_fd);
	CHECK(t, happens(&m.needs_reset));
	/* A reset, and it works again. */
	CHECK_EQ(t, m.b->ops->set_status(m.b, 0), 0);
	CHECK_EQ(t, m.b->ops->set_features(m.b, v1), 0);
	CHECK(t, !drv_ring_init(&m.r.drv, &(struct drv_ring_config){ .size = 64,
						  .features = v1,
						  .desc = m.r.setup.desc,
						  .driver = m.r.setup.driver,
						  .device = m.r.setup.device,
						  .state = m.r.drv_state }));
	CHECK_EQ(t, start_queue(&m), 0);
	CHECK_EQ(t, m.b->ops->set_status(m.b, 15), 0);
	CHECK(t, requests(&m, 100, 1));
	monitor_finish(&m);
}

static void rings_outside_memory_are_refused(struct tap *t)
{
	uint64_t v1 = RIG_BIT(VIRTIO_F_VERSION_1);
	struct vb_queue q = { .size = 64, .kick_fd = -1, .call_fd = -1 };
	struct monitor m;

	REQUIRE(t, monitor_init(&m, v1));
	CHECK_EQ(t, m.b->ops->set_features(m.b, v1), 0);
	q.desc = RIG_END - 64 * 16;
	q.driver = RIG_BUF;
	q.device = RIG_BUF + 4096;
	CHECK_EQ(t, m.b->ops->queue_start(m.b, 1, &q), -EBADF); /* all but the kick is right */
	q.desc += 16;
	CHECK_EQ(t, m.b->ops->queue_start(m.b, 1, &q), -EFAULT);
	q.desc = 0;
	CHECK_EQ(t, m.b->ops->queue_start(m.b, 1, &q), -EFAULT);
	q.desc = RIG_BUF + 8192;
	q.size = 48;
	CHECK_EQ(t, m.b->ops->queue_start(m.b, 1, &q), -EINVAL);
	CHECK_EQ(t, m.b->ops->queue_start(m.b, 2, &q), -EINVAL);
	monitor_finish(&m);
}

static void refusals_do_not_flood_the_log(struct tap *t)
{
	autoclose int file = memfd_create("log", MFD_CLOEXEC);
	struct vb_queue outside = { .size = 64, .desc = RIG_END, .kick_fd = -1, .call_fd = -1 };
	unsigned lines = 0;
	struct monitor m;
	struct log log;
	char c;

	log_init(&log, file, "local");
	REQUIRE(t, monitor_init(&m, 0));
	m.b->log = &log;
	for (unsigned i = 0; i < 200; i++) {
		CHECK_EQ(t, m.b->ops->set_features(m.b, 0), -EINVAL);
		CHECK_EQ(t, m.b->ops->queue_start(m.b, 0, &outside), -EFAULT);
	}
	monitor_finish(&m);
	for (off_t at = 0; pread(file, &c, 1, at) == 1; at++)
		lines += c == '\n';
	CHECK(t, lines > 0 && lines <= 50);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, all_layouts_are_served);
	TAP_RUN(&t, buffers_before_driver_ok_wait);
	TAP_RUN(&t, events_reach_the_transport);
	TAP_RUN(&t, rings_outside_memory_are_refused);
	TAP_RUN(&t, refusals_do_not_flood_the_log);
	return tap_done(&t);
}
