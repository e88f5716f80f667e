/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a device: negotiation, status, queues, what a broken rule does. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "rig.h"
#include "tap.h"
#include "virtio/device.h"

#define TOY_FEATURE 5
#define TOY_REFUSED 6

/* A device that answers every request and counts what happens to it. */
struct toy {
	struct vdev dev;
	uint32_t number; /* key */
	uint8_t config[6];
	unsigned started, reset, finished, queue_started, queue_stopped, kicked;
};

struct host {
	struct vdev_host base;
	unsigned changed, needs_reset;
};

static struct toy *to_toy(struct vdev *dev)
{
	return (struct toy *)dev;
}

static int toy_init(struct vdev *dev, struct err *e)
{
	if (to_toy(dev)->number == 13)
		return err_set(e, -EINVAL, "13 is not liked");
	dev->nqueues = (uint16_t)to_toy(dev)->number;
	dev->queue_size_max = 16;
	dev->features = FEATURE(TOY_FEATURE) | FEATURE(TOY_REFUSED);
	dev->config_len = 6;
	return 0;
}

static unsigned finished;

static void toy_finish(struct vdev *dev)
{
	finished++;
}

static int toy_features_ok(struct vdev *dev)
{
	return vdev_has(dev, TOY_REFUSED) ? -EINVAL : 0;
}

static void toy_start(struct vdev *dev)
{
	to_toy(dev)->started++;
}

static void toy_reset(struct vdev *dev)
{
	to_toy(dev)->reset++;
}

static void toy_queue_started(struct vdev *dev, unsigned q)
{
	to_toy(dev)->queue_started++;
}

static void toy_queue_stop(struct vdev *dev, unsigned q)
{
	to_toy(dev)->queue_stopped++;
}

static void toy_kick(struct vdev *dev, unsigned q)
{
	struct vq_chain *c;

	to_toy(dev)->kicked++;
	while (vq_pop(dev->queues[q], &c) == 1)
		vq_push(dev->queues[q], c, 1);
	vq_flush(dev->queues[q]);
}

static void toy_config_read(struct vdev *dev, uint32_t offset, void *buf, uint32_t len)
{
	memcpy(buf, to_toy(dev)->config + offset, len);
}

static void toy_config_write(struct vdev *dev, uint32_t offset, const void *buf, uint32_t len)
{
	memcpy(to_toy(dev)->config + offset, buf, len);
}

static const struct opt toy_opts[] = {
	{ "number", OPT_U32, offsetof(struct toy, number), .def = "1", .help = "queues" },
	OPT_END,
};

static const struct vdev_class toy_class = {
	.name = "toy",
	.id = 42,
	.size = sizeof(struct toy),
	.opts = toy_opts,
	.init = toy_init,
	.finish = toy_finish,
	.features_ok = toy_features_ok,
	.start = toy_start,
	.reset = toy_reset,
	.queue_started = toy_queue_started,
	.queue_stop = toy_queue_stop,
	.kick = toy_kick,
	.config_read = toy_config_read,
	.config_write = toy_config_write,
};

static void host_changed(struct vdev_host *h)
{
	((struct host *)h)->changed++;
}

static void host_needs_reset(struct vdev_host *h)
{
	((struct host *)h)->needs_reset++;
}

static struct toy *toy_new(
	struct tap *t, const char *number, struct host *host, const struct log *log)
{
	struct err e = { 0 };
	struct vdev *dev = NULL;

	*host = (struct host){ .base = { host_changed, host_needs_reset } };
	CHECK_EQ(t, vdev_new(&dev, &toy_class, &e), 0);
	CHECK_EQ(t, opt_set(toy_opts, dev, "number", number, &e), 0);
	if (!CHECK_EQ(t, vdev_init(dev, NULL, log, &e), 0)) {
		printf("# %s\n", e.msg);
		vdev_destroy(dev);
		return NULL;
	}
	vdev_attach(dev, &host->base);
	return to_toy(dev);
}

#define V1 FEATURE(VIRTIO_F_VERSION_1)

static void creation_checks_and_cleans_up(struct tap *t)
{
	struct err e = { 0 };
	struct vdev *dev = NULL;

	finished = 0;
	REQUIRE(t, !vdev_new(&dev, &toy_class, &e));
	CHECK_EQ(t, to_toy(dev)->number, 1);
	opt_set(toy_opts, dev, "number", "13", &e);
	CHECK_EQ(t, vdev_init(dev, NULL, NULL, &e), -EINVAL);
	CHECK(t, strstr(e.msg, "13 is not liked"));
	CHECK_EQ(t, finished, 0);
	/* More queues than there can be: init went well, so finish has to run. */
	opt_set(toy_opts, dev, "number", "65", &e);
	CHECK_EQ(t, vdev_init(dev, NULL, NULL, &e), -EINVAL);
	CHECK_EQ(t, finished, 1);
	vdev_destroy(dev);
	CHECK_EQ(t, finished, 1);
	vdev_destroy(NULL);
}

static void features_are_negotiated(struct tap *t)
{
	struct err e = { 0 };
	struct host host;
	struct toy *toy = toy_new(t, "1", &host, NULL);
	struct vdev *dev = &toy->dev;

	REQUIRE(t, toy);
	CHECK(t, vdev_features(dev) & FEATURE(TOY_FEATURE));
	CHECK(t, vdev_features(dev) & FEATURE(VIRTIO_F_RING_PACKED));
	CHECK(t, vdev_features(dev) & FEATURE(VIRTIO_F_RING_RESET));
	dev->masked = FEATURE(VIRTIO_F_RING_PACKED) | V1;
	CHECK(t, !(vdev_features(dev) & FEATURE(VIRTIO_F_RING_PACKED)));
	CHECK(t, vdev_features(dev) & V1);

	CHECK_EQ(t, vdev_set_features(dev, V1 | FEATURE(7), &e), -EINVAL);
	CHECK_EQ(t, vdev_set_features(dev, V1 | FEATURE(VIRTIO_F_RING_PACKED), &e), -EINVAL);
	CHECK_EQ(t, vdev_set_features(dev, FEATURE(TOY_FEATURE), &e), -EINVAL);
	CHECK_EQ(t, vdev_set_features(dev, V1 | FEATURE(TOY_REFUSED), &e), -EINVAL);
	CHECK_EQ(t, dev->negotiated, 0);
	vdev_set_status(dev, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER);
	vdev_set_status(dev, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK);
	CHECK_EQ(t, dev->status, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER);

	CHECK_EQ(t, vdev_set_features(dev, V1, &e), 0);
	CHECK_EQ(t, vdev_set_features(dev, V1 | FEATURE(TOY_FEATURE), &e), 0);
	vdev_set_status(dev, 3 | VIRTIO_S_FEATURES_OK);
	CHECK_EQ(t, dev->status, 3 | VIRTIO_S_FEATURES_OK);
	CHECK(t, vdev_has(dev, TOY_FEATURE));
	CHECK_EQ(t, vdev_set_features(dev, V1, &e), -EBUSY);
	CHECK_EQ(t, vdev_set_features(dev, V1 | FEATURE(TOY_FEATURE), &e), 0);
	CHECK(t, vdev_has(dev, TOY_FEATURE));
	vdev_destroy(dev);
}

static void status_goes_one_way(struct tap *t)
{
	struct host host;
	struct toy *toy = toy_new(t, "1", &host, NULL);
	struct vdev *dev = &toy->dev;

	REQUIRE(t, toy);
	vdev_set_status(dev, 3 | VIRTIO_S_DRIVER_OK);
	CHECK_EQ(t, dev->status, 3);
	CHECK_EQ(t, toy->started, 0);
	CHECK_EQ(t, vdev_set_features(dev, V1, NULL), 0);
	vdev_set_status(dev, 3 | VIRTIO_S_FEATURES_OK);
	vdev_set_status(dev, 3); /* clears one: ignored */
	CHECK_EQ(t, dev->status, 3 | VIRTIO_S_FEATURES_OK);
	vdev_set_status(dev, 3 | VIRTIO_S_FEATURES_OK | VIRTIO_S_NEEDS_RESET);
	CHECK_EQ(t, dev->status, 3 | VIRTIO_S_FEATURES_OK);
	vdev_set_status(dev, 14); /* clears one, which stays, and sets another */
	CHECK_EQ(t, dev->status, 15);
	CHECK_EQ(t, toy->started, 1);
	vdev_set_status(dev, 15);
	CHECK_EQ(t, toy->started, 1);
	vdev_set_status(dev, 15 | 16 | 32); /* SUSPEND, and a reserved bit */
	CHECK_EQ(t, dev->status, 15);
	vdev_set_status(dev, 15 | VIRTIO_S_FAILED);
	CHECK_EQ(t, dev->status, 15 | VIRTIO_S_FAILED);
	vdev_set_status(dev, 0);
	CHECK_EQ(t, dev->status, 0);
	CHECK_EQ(t, dev->negotiated, 0);
	CHECK_EQ(t, toy->reset, 1);
	/* All at once, as vhost-user without a status does it. */
	CHECK_EQ(t, vdev_set_features(dev, V1, NULL), 0);
	vdev_set_status(dev, 15);
	CHECK_EQ(t, dev->status, 15);
	CHECK_EQ(t, toy->started, 2);
	vdev_destroy(dev);
}

static int offer(struct rig *r)
{
	struct drv_sg sg = { RIG_BUF, 8 };
	int ret = drv_ring_add(&r->drv, &sg, 0, 1, r);

	drv_ring_publish(&r->drv);
	return ret;
}

static void queues_serve_after_driver_ok(struct tap *t)
{
	struct err e = { 0 };
	struct host host;
	struct rig r;
	struct toy *toy = toy_new(t, "2", &host, NULL);
	struct vdev *dev = &toy->dev;
	uint16_t avail = 9, used = 9;
	struct vq_chain *chain;

	REQUIRE(t, toy && rig_init(&r, 16, V1, NULL));
	CHECK_EQ(t, vdev_queue_start(dev, 0, &r.setup, &e), -EINVAL); /* no features */
	CHECK_EQ(t, vdev_set_features(dev, V1, &e), 0);
	CHECK_EQ(t, vdev_queue_start(dev, 2, &r.setup, &e), -EINVAL);
	r.setup.size = 32;
	CHECK_EQ(t, vdev_queue_start(dev, 0, &r.setup, &e), -EINVAL);
	r.setup.size = 16;
	vdev_set_status(dev, 3 | VIRTIO_S_FEATURES_OK);
	CHECK_EQ(t, vdev_queue_start(dev, 1, &r.setup, &e), 0);
	CHECK_EQ(t, vdev_queue_start(dev, 1, &r.setup, &e), -EBUSY);
	CHECK_EQ(t, toy->queue_started, 1);
	CHECK_EQ(t, offer(&r), 0);
	vdev_kick(dev, 1);
	CHECK_EQ(t, toy->kicked, 0);
	/* The same for a device that has something of the host's to say. */
	CHECK_EQ(t, vq_pop(dev->queues[1], &chain), 0);
	CHECK(t, !vq_pending(dev->queues[1]));
	vdev_set_status(dev, 15);
	CHECK_EQ(t, toy->kicked, 1); /* queue 0 does not run */
	CHECK_EQ(t, rig_interrupts(&r), 1);
	vdev_kick(dev, 0);
	vdev_kick(dev, 99);
	CHECK_EQ(t, toy->kicked, 1);

	vdev_queue_stop(dev, 0, &avail, &used);
	CHECK_EQ(t, avail, 0);
	CHECK_EQ(t, toy->queue_stopped, 0);
	vdev_queue_stop(dev, 1, &avail, &used);
	CHECK_EQ(t, avail, 1);
	CHECK_EQ(t, toy->queue_stopped, 1);
	/* Per-queue reset and continuation (2.6.1). */
	r.setup.avail_base = avail;
	CHECK_EQ(t, vdev_queue_start(dev, 1, &r.setup, &e), 0);
	CHECK_EQ(t, offer(&r), 0);
	vdev_kick(dev, 1);
	CHECK_EQ(t, toy->kicked, 2);
	vdev_reset(dev);
	CHECK_EQ(t, toy->queue_stopped, 2);
	vdev_kick(dev, 1);
	CHECK_EQ(t, toy->kicked, 2);
	vdev_destroy(dev);
	rig_finish(&r);
}

static void a_broken_rule_needs_a_reset(struct tap *t)
{
	struct host host;
	struct rig r;
	struct log log;
	char text[2048] = "";
	int fds[2];
	struct toy *toy;
	struct vdev *dev;

	REQUIRE(t, !pipe(fds));
	log_init(&log, fds[1], "ivi/toy0");
	toy = toy_new(t, "1", &host, &log);
	REQUIRE(t, toy && rig_init(&r, 16, V1, NULL));
	dev = &toy->dev;
	CHECK_EQ(t, vdev_set_features(dev, V1, NULL), 0);
	vdev_set_status(dev, 15);
	CHECK_EQ(t, vdev_queue_start(dev, 0, &r.setup, NULL), 0);
	drv_raw_offer(&r.drv, 77);
	drv_raw_publish(&r.drv, 1);
	vdev_kick(dev, 0);
	CHECK_EQ(t, dev->status, 15 | VIRTIO_S_NEEDS_RESET);
	CHECK_EQ(t, host.needs_reset, 1);
	vdev_kick(dev, 0);
	CHECK_EQ(t, toy->kicked, 1);
	for (unsigned i = 0; i < 100; i++)
		vdev_broken(dev, 0, "again");
	CHECK_EQ(t, host.needs_reset, 1);
	vdev_set_status(dev, 15); /* does not clear it */
	CHECK(t, dev->status & VIRTIO_S_NEEDS_RESET);
	CHECK(t, read(fds[0], text, sizeof(text) - 1) > 0);
	CHECK(t, strstr(text, "ivi/toy0"));
	CHECK(t, strstr(text, "queue 0: a head in the available ring"));
	CHECK(t, strlen(text) < 1024); /* not a hundred lines */
	vdev_set_status(dev, 0);
	CHECK_EQ(t, dev->status, 0);
	CHECK_EQ(t, vdev_set_features(dev, V1, NULL), 0);
	vdev_set_status(dev, 15);
	CHECK(t, !drv_ring_init(&r.drv, &(struct drv_ring_config){ .size = 16,
						.features = V1,
						.desc = r.setup.desc,
						.driver = r.setup.driver,
						.device = r.setup.device,
						.state = r.drv_state }));
	CHECK_EQ(t, vdev_queue_start(dev, 0, &r.setup, NULL), 0);
	CHECK_EQ(t, offer(&r), 0);
	vdev_kick(dev, 0);
	CHECK_EQ(t, rig_interrupts(&r), 1);
	vdev_destroy(dev);
	rig_finish(&r);
	close(fds[0]);
	close(fds[1]);
}

static void configuration_space_has_bounds(struct tap *t)
{
	struct host host;
	struct toy *toy = toy_new(t, "1", &host, NULL);
	struct vdev *dev = &toy->dev;
	uint8_t buf[8];

	REQUIRE(t, toy);
	memcpy(toy->config, "abcdef", 6);
	vdev_config_read(dev, 4, buf, 8);
	CHECK(t, !memcmp(buf, "ef\0\0\0\0\0\0", 8));
	vdev_config_read(dev, 6, buf, 8);
	CHECK(t, !memcmp(buf, "\0\0\0\0\0\0\0\0", 8));
	vdev_config_read(dev, UINT32_MAX, buf, 8);
	CHECK(t, !memcmp(buf, "\0\0\0\0\0\0\0\0", 8));
	vdev_config_write(dev, 5, "XYZ", 3);
	vdev_config_write(dev, 6, "XYZ", 3);
	vdev_config_write(dev, UINT32_MAX - 1, "XYZ", 3);
	CHECK(t, !memcmp(toy->config, "abcdeX", 6));
	vdev_config_changed(dev);
	CHECK_EQ(t, dev->generation, 1);
	CHECK_EQ(t, host.changed, 1);
	vdev_destroy(dev);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, creation_checks_and_cleans_up);
	TAP_RUN(&t, features_are_negotiated);
	TAP_RUN(&t, status_goes_one_way);
	TAP_RUN(&t, queues_serve_after_driver_ok);
	TAP_RUN(&t, a_broken_rule_needs_a_reset);
	TAP_RUN(&t, configuration_space_has_bounds);
	return tap_done(&t);
}
