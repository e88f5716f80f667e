/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a device: creation, negotiation, status, queues, reset. See device.h. */
#include "virtio/device.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define QUEUE_SIZE_DEFAULT 256u
/* Messages per second that a guest can cause. */
#define COMPLAINTS_BURST 5u

#define CORE_FEATURES                                                                              \
	(FEATURE(VIRTIO_F_INDIRECT_DESC) | FEATURE(VIRTIO_F_EVENT_IDX) |                           \
		FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_F_ACCESS_PLATFORM) |                  \
		FEATURE(VIRTIO_F_RING_PACKED) | FEATURE(VIRTIO_F_IN_ORDER) |                       \
		FEATURE(VIRTIO_F_RING_RESET))

/* True if a message that the driver caused may be written now. */
static bool may_complain(struct vdev *dev)
{
	return log_allowed(&dev->complaints, COMPLAINTS_BURST);
}

int vdev_new(struct vdev **out, const struct vdev_class *cls, struct err *e)
{
	struct vdev *dev = calloc(1, cls->size);
	int ret;

	if (!dev)
		return err_sys(e, -ENOMEM, "device %s", cls->name);
	dev->cls = cls;
	ret = cls->opts ? opt_defaults(cls->opts, dev, e) : 0;
	if (ret) {
		vdev_destroy(dev);
		return ret;
	}
	*out = dev;
	return 0;
}

static void queues_destroy(struct vdev *dev)
{
	for (unsigned q = 0; q < VDEV_QUEUES_MAX; q++) {
		vq_destroy(dev->queues[q]);
		dev->queues[q] = NULL;
	}
}

/* What init says about the queues is checked here, once for all devices. */
static int queues_create(struct vdev *dev, struct err *e)
{
	if (!dev->queue_size_max)
		dev->queue_size_max = QUEUE_SIZE_DEFAULT;
	if (!dev->nqueues || dev->nqueues > VDEV_QUEUES_MAX || !is_pow2(dev->queue_size_max) ||
		dev->queue_size_max > VQ_SIZE_MAX)
		return err_set(e, -EINVAL,
			"device %s has %u queues of %u entries; 1 to %u queues are possible, and a "
			"power of two up to %u",
			dev->cls->name, dev->nqueues, dev->queue_size_max, VDEV_QUEUES_MAX,
			VQ_SIZE_MAX);
	for (unsigned q = 0; q < dev->nqueues; q++) {
		int ret = vq_create(&dev->queues[q]);

		if (ret)
			return err_sys(e, ret, "queue %u of device %s", q, dev->cls->name);
	}
	return 0;
}

int vdev_init(struct vdev *dev, struct ev_loop *loop, const struct log *log, struct err *e)
{
	int ret = dev->cls->opts ? opt_check(dev->cls->opts, dev, e) : 0;

	if (ret)
		return ret;
	dev->loop = loop;
	dev->log = log;
	ret = dev->cls->init(dev, e);
	if (ret)
		return ret;
	ret = queues_create(dev, e);
	if (ret) {
		queues_destroy(dev);
		dev->cls->finish(dev);
		return ret;
	}
	dev->ready = true;
	return 0;
}

void vdev_destroy(struct vdev *dev)
{
	if (!dev)
		return;
	if (dev->ready) {
		vdev_reset(dev);
		dev->cls->finish(dev);
	}
	queues_destroy(dev);
	if (dev->cls->opts)
		opt_free(dev->cls->opts, dev);
	free(dev);
}

void vdev_attach(struct vdev *dev, struct vdev_host *host)
{
	dev->host = host;
}

uint64_t vdev_features(const struct vdev *dev)
{
	/* Without VERSION_1 there is no device: it cannot be masked. */
	return ((dev->features | CORE_FEATURES) & ~dev->masked) | FEATURE(VIRTIO_F_VERSION_1);
}

static int check_features(const struct vdev *dev, uint64_t features, struct err *e)
{
	uint64_t extra = features & ~vdev_features(dev);

	if (extra)
		return err_set(e, -EINVAL,
			"the driver accepts feature bits 0x%llx that were not offered "
			"(VIRTIO 1.4, 2.2.1)",
			(unsigned long long)extra);
	if (!(features & FEATURE(VIRTIO_F_VERSION_1)))
		return err_set(e, -EINVAL,
			"the driver does not accept VERSION_1: legacy drivers are not served "
			"(VIRTIO 1.4, 6.1)");
	return 0;
}

int vdev_set_features(struct vdev *dev, uint64_t features, struct err *e)
{
	uint64_t before = dev->negotiated;
	int ret;

	if (dev->status & VIRTIO_S_FEATURES_OK)
		return features == before ? 0
					  : err_set(e, -EBUSY,
						    "the driver changes features after FEATURES_OK "
						    "(VIRTIO 1.4, 3.1.1)");
	ret = check_features(dev, features, e);
	if (ret)
		return ret;
	dev->negotiated = features;
	ret = dev->cls->features_ok ? dev->cls->features_ok(dev) : 0;
	if (ret) {
		dev->negotiated = before;
		return err_set(e, ret, "device %s does not work with feature bits 0x%llx",
			dev->cls->name, (unsigned long long)features);
	}
	return 0;
}

/* No buffer is consumed before DRIVER_OK (2.1.2), neither for a kick nor for what the host has. */
static bool awaits_driver(const struct vdev *dev)
{
	return dev->status && !(dev->status & VIRTIO_S_DRIVER_OK);
}

static void driver_ok(struct vdev *dev)
{
	if (!(dev->status & VIRTIO_S_FEATURES_OK)) {
		if (may_complain(dev))
			log_warn(dev->log,
				"DRIVER_OK without FEATURES_OK is ignored (VIRTIO 1.4, 3.1.1)");
		return;
	}
	dev->status |= VIRTIO_S_DRIVER_OK;
	for (unsigned q = 0; q < dev->nqueues; q++)
		vq_hold(dev->queues[q], false);
	if (dev->cls->start)
		dev->cls->start(dev);
	/* What was made available before is served now. */
	for (unsigned q = 0; q < dev->nqueues; q++)
		vdev_kick(dev, q);
}

void vdev_set_status(struct vdev *dev, uint8_t status)
{
	const uint8_t checked = VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK;
	uint8_t added = status & (uint8_t)(VIRTIO_S_DRIVERS & ~dev->status);

	if (!status) {
		vdev_reset(dev);
		return;
	}
	/* Bits are only ever added; U-Boot 2023.01 never sets ACKNOWLEDGE, which a vhost-user
	 * back-end has from the start. NEEDS_RESET is the device's: the driver does not clear it
	 * either. */
	if ((dev->status & ~status & ~VIRTIO_S_NEEDS_RESET) && may_complain(dev))
		log_warn(dev->log,
			"status 0x%x clears bits of 0x%x, which stay (VIRTIO 1.4, 2.1.1)", status,
			dev->status);
	dev->status |= added & (uint8_t)~checked;
	if (added & VIRTIO_S_FEATURES_OK) {
		if (dev->negotiated)
			dev->status |= VIRTIO_S_FEATURES_OK;
		else if (may_complain(dev))
			log_warn(dev->log, "FEATURES_OK is refused: no features were accepted");
	}
	if (added & VIRTIO_S_DRIVER_OK)
		driver_ok(dev);
}

void vdev_reset(struct vdev *dev)
{
	for (unsigned q = 0; q < dev->nqueues; q++)
		vdev_queue_stop(dev, q, NULL, NULL);
	if (dev->cls->reset)
		dev->cls->reset(dev);
	dev->negotiated = 0;
	dev->status = 0;
}

static int check_queue(const struct vdev *dev, unsigned q, uint16_t size, struct err *e)
{
	if (q >= dev->nqueues)
		return err_set(
			e, -EINVAL, "queue %u: device %s has %u", q, dev->cls->name, dev->nqueues);
	if (!dev->negotiated)
		return err_set(e, -EINVAL, "queue %u: features were not negotiated yet", q);
	if (!size || size > dev->queue_size_max)
		return err_set(e, -EINVAL, "queue %u: size %u; 1 to %u are possible", q, size,
			dev->queue_size_max);
	return 0;
}

const char *const vdev_poll_words[] = { "always", NULL };

void vdev_set_poll(struct ev_loop *loop, uint32_t poll)
{
	ev_set_poll(loop, poll == OPT_U32_WORD ? EV_POLL_ALWAYS : poll * UINT64_C(1000));
}

/* Delivers the kicks that the drivers of polled queues do not send. */
static bool ask_queues(void *arg)
{
	struct vdev *dev = arg;
	bool worked = false;

	for (uint64_t left = dev->polled_queues; left; left &= left - 1) {
		unsigned q = (unsigned)__builtin_ctzll(left);

		if (!vq_take_kick(dev->queues[q]))
			continue;
		worked = true;
		vdev_kick(dev, q);
	}
	return worked;
}

static bool arm_queues(void *arg)
{
	struct vdev *dev = arg;
	bool worked = false;

	for (uint64_t left = dev->polled_queues; left; left &= left - 1)
		worked |= vq_arm_kick(dev->queues[__builtin_ctzll(left)]);
	return worked;
}

static void poll_queue(struct vdev *dev, unsigned q)
{
	if (!dev->loop || !ev_polls(dev->loop))
		return;
	if (!dev->polled_queues)
		ev_poll_add(dev->loop, &dev->poll, ask_queues, arm_queues, dev);
	dev->polled_queues |= FEATURE(q);
	vq_set_polled(dev->queues[q]);
}

static void unpoll_queue(struct vdev *dev, unsigned q)
{
	dev->polled_queues &= ~FEATURE(q);
	if (!dev->polled_queues)
		ev_poll_del(&dev->poll);
}

int vdev_queue_start(struct vdev *dev, unsigned q, struct vq_setup *setup, struct err *e)
{
	int ret = check_queue(dev, q, setup->size, e);

	if (ret)
		return ret;
	setup->features = dev->negotiated;
	ret = vq_start(dev->queues[q], setup, e);
	if (ret) {
		err_prefix(e, "queue %u", q);
		return ret;
	}
	vq_hold(dev->queues[q], awaits_driver(dev));
	poll_queue(dev, q);
	if (dev->cls->queue_started)
		dev->cls->queue_started(dev, q);
	return 0;
}

void vdev_queue_stop(struct vdev *dev, unsigned q, uint16_t *avail_base, uint16_t *used_base)
{
	if (avail_base)
		*avail_base = 0;
	if (used_base)
		*used_base = 0;
	if (q >= dev->nqueues || !vq_running(dev->queues[q]))
		return;
	if (dev->cls->queue_stop)
		dev->cls->queue_stop(dev, q);
	unpoll_queue(dev, q);
	vq_stop(dev->queues[q], avail_base, used_base);
}

void vdev_kick(struct vdev *dev, unsigned q)
{
	if (q >= dev->nqueues || !vq_running(dev->queues[q]))
		return;
	if (dev->status & VIRTIO_S_NEEDS_RESET)
		return;
	if (awaits_driver(dev))
		return;
	dev->cls->kick(dev, q);
	vdev_check(dev, q);
}

void vdev_config_read(struct vdev *dev, uint32_t offset, void *buf, uint32_t len)
{
	memset(buf, 0, len);
	if (!dev->cls->config_read || offset >= dev->config_len)
		return;
	len = (uint32_t)min_u64(len, dev->config_len - offset);
	if (len)
		dev->cls->config_read(dev, offset, buf, len);
}

void vdev_config_write(struct vdev *dev, uint32_t offset, const void *buf, uint32_t len)
{
	if (!dev->cls->config_write || offset >= dev->config_len)
		return;
	len = (uint32_t)min_u64(len, dev->config_len - offset);
	if (len)
		dev->cls->config_write(dev, offset, buf, len);
}

void vdev_config_changed(struct vdev *dev)
{
	dev->generation++;
	if (dev->host)
		dev->host->config_changed(dev->host);
}

void vdev_event(struct vdev *dev, const char *event, const char *fmt, ...)
{
	char detail[VDEV_DETAIL_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	log_info(dev->log, "%s: %s", event, detail);
	if (dev->watcher)
		dev->watcher->event(dev->watcher, dev, event, detail);
}

void vdev_broken(struct vdev *dev, unsigned q, const char *rule)
{
	vq_set_broken(dev->queues[q], rule);
	if (may_complain(dev))
		log_error(dev->log, "queue %u: %s; the device needs a reset", q, rule);
	if (dev->status & VIRTIO_S_NEEDS_RESET)
		return;
	dev->status |= VIRTIO_S_NEEDS_RESET;
	if (dev->host)
		dev->host->needs_reset(dev->host);
}

void vdev_check(struct vdev *dev, unsigned q)
{
	const char *rule = q < dev->nqueues ? vq_broken(dev->queues[q]) : NULL;

	if (rule && !(dev->status & VIRTIO_S_NEEDS_RESET))
		vdev_broken(dev, q, rule);
}
