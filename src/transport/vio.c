/* SPDX-License-Identifier: BSD-3-Clause */
/* The device as the driver's registers see it; the transports only decode addresses. */
#include "transport/vio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"
#include "virtio/device.h"

/* Feature bits that are the transport's to offer, which ours do not. */
#define F_SR_IOV	    37
#define F_NOTIFICATION_DATA 38
#define F_NOTIF_CONFIG_DATA 39
#define F_ADMIN_VQ	    41

static const uint64_t not_offered = FEATURE(F_SR_IOV) | FEATURE(F_NOTIFICATION_DATA) |
				    FEATURE(F_NOTIF_CONFIG_DATA) | FEATURE(F_ADMIN_VQ);

static void complain(struct vio *vio, const char *what)
{
	if (log_allowed(&vio->complaints, 5))
		log_warn(vio->vmm->log, "%s: %s", vio->name, what);
}

static void update_line(struct vio *vio)
{
	bool level = vio->isr && !vio->masked;

	if (level == vio->line)
		return;
	vio->line = level;
	vio->vmm->ops->irq_line(vio->vmm, vio->gsi, level);
}

/* The device signals; on the loop's thread. */
static void on_source(void *arg, uint32_t events)
{
	struct vio_source *s = arg;

	if (fd_event_clear(s->fd) != 1)
		return;
	pthread_mutex_lock(&s->vio->isr_lock);
	s->vio->isr |= s->isr_bit;
	update_line(s->vio);
	pthread_mutex_unlock(&s->vio->isr_lock);
}

uint8_t vio_isr(struct vio *vio)
{
	uint8_t isr;

	pthread_mutex_lock(&vio->isr_lock);
	isr = vio->isr;
	pthread_mutex_unlock(&vio->isr_lock);
	return isr;
}

void vio_isr_ack(struct vio *vio, uint8_t bits)
{
	pthread_mutex_lock(&vio->isr_lock);
	vio->isr &= (uint8_t)~bits;
	update_line(vio);
	pthread_mutex_unlock(&vio->isr_lock);
}

void vio_mask_line(struct vio *vio, bool masked)
{
	pthread_mutex_lock(&vio->isr_lock);
	vio->masked = masked;
	update_line(vio);
	pthread_mutex_unlock(&vio->isr_lock);
}

static void watch_one(struct vio_source *s, bool on)
{
	if (on)
		ev_fd_add(s->vio->vmm->loop, &s->watch, s->fd, EPOLLIN, on_source, s);
	else
		ev_fd_del(&s->watch);
}

struct watch_call {
	struct vio *vio;
	bool on;
};

static void watch_all(void *arg)
{
	const struct watch_call *call = arg;

	for (unsigned i = 0; i < call->vio->nqueues; i++)
		watch_one(&call->vio->queues[i].irq, call->on);
	watch_one(&call->vio->config, call->on);
}

void vio_watch(struct vio *vio, bool on)
{
	struct watch_call call = { vio, on };

	if (vio->watching == on)
		return;
	vio->watching = on;
	/* The loop's thread may be in on_source() now; that takes isr_lock only, so it comes out.
	 */
	ev_call(vio->vmm->loop, watch_all, &call);
	if (!on)
		vio_isr_ack(vio, 0xff);
}

/* From any thread of the backend: no lock, just signals. */
static void on_config_changed(void *arg)
{
	struct vio *vio = arg;

	atomic_store(&vio->config_changed, true);
	fd_event_signal(vio->config.fd);
}

static void on_needs_reset(void *arg)
{
	struct vio *vio = arg;

	atomic_store(&vio->needs_reset, true);
	fd_event_signal(vio->config.fd);
}

/* The driver did what it must not: the device is unusable until it is reset (VIRTIO 1.4, 2.1.2). */
static void refuse(struct vio *vio, const char *what)
{
	complain(vio, what);
	atomic_store(&vio->needs_reset, true);
	if (vio->status & VIRTIO_S_DRIVER_OK)
		fd_event_signal(vio->config.fd);
}

static int source_init(struct vio_source *s, struct vio *vio, uint8_t isr_bit)
{
	s->vio = vio;
	s->isr_bit = isr_bit;
	s->gsi = -1;
	s->vector = 0xffff;
	s->fd = fd_event();
	return s->fd < 0 ? s->fd : 0;
}

static void queue_defaults(const struct vio *vio, struct vio_queue *q)
{
	q->size = vio->be->queue_size_max;
	q->desc = q->driver = q->device = 0;
	q->enabled = false;
}

static int queue_init(struct vio *vio, struct vio_queue *q)
{
	int rc;

	queue_defaults(vio, q);
	q->kick_fd = fd_event();
	if (q->kick_fd < 0)
		return q->kick_fd;
	rc = source_init(&q->irq, vio, VIO_ISR_QUEUE);
	if (rc) {
		close_fd(&q->kick_fd);
		return rc;
	}
	vio->nqueues++;
	return 0;
}

static int init_fds(struct vio *vio, struct err *e)
{
	int rc = source_init(&vio->config, vio, VIO_ISR_CONFIG);

	vio->queues = calloc(vio->be->nqueues, sizeof(*vio->queues));
	if (!vio->queues)
		rc = -ENOMEM;
	for (unsigned i = 0; !rc && i < vio->be->nqueues; i++)
		rc = queue_init(vio, &vio->queues[i]);
	return rc ? err_sys(e, rc, "%s: cannot create its eventfds", vio->name) : 0;
}

int vio_init(struct vio *vio, struct vmm *vmm, struct vbackend *be, const char *name, uint32_t gsi,
	struct err *e)
{
	int rc;

	*vio = (struct vio){ .vmm = vmm, .gsi = gsi, .config.fd = -1 };
	snprintf(vio->name, sizeof(vio->name), "%s", name);
	if (!be->nqueues || be->nqueues > VIO_QUEUES_MAX)
		return err_set(e, -EINVAL, "%s: has %u queues, 1 to %u are supported", name,
			be->nqueues, VIO_QUEUES_MAX);
	if (be->config_len > VIO_CONFIG_MAX)
		return err_set(e, -EINVAL, "%s has %u bytes of configuration; at most %u can be",
			name, be->config_len, VIO_CONFIG_MAX);
	rc = be->ops->features(be, &vio->offered);
	if (rc)
		return err_sys(e, rc, "%s: cannot ask for its features", name);
	vio->offered &= ~not_offered;
	if (!(vio->offered & FEATURE(VIRTIO_F_VERSION_1)))
		return err_set(e, -EINVAL, "%s: does not offer VIRTIO_F_VERSION_1", name);
	pthread_mutex_init(&vio->lock, NULL);
	pthread_mutex_init(&vio->isr_lock, NULL);
	vio->be = be;
	rc = init_fds(vio, e);
	if (rc) {
		vio->be = NULL; /* stays the caller's */
		vio_finish(vio);
		return rc;
	}
	be->events.config_changed = on_config_changed;
	be->events.needs_reset = on_needs_reset;
	be->events.arg = vio;
	vio_watch(vio, true);
	return 0;
}

void vio_finish(struct vio *vio)
{
	struct watch_call unwatch = { vio, false };

	if (!vio->vmm || (!vio->be && !vio->queues && vio->config.fd < 0))
		return;
	watch_all(&unwatch);
	if (vio->be)
		vio->be->ops->destroy(vio->be);
	vio->be = NULL;
	for (unsigned i = 0; i < vio->nqueues; i++) {
		close_fd(&vio->queues[i].kick_fd);
		close_fd(&vio->queues[i].irq.fd);
	}
	free(vio->queues);
	vio->queues = NULL;
	vio->nqueues = 0;
	close_fd(&vio->config.fd);
	pthread_mutex_destroy(&vio->isr_lock);
	pthread_mutex_destroy(&vio->lock);
}

uint32_t vio_device_features(const struct vio *vio)
{
	return vio->device_sel > 1 ? 0 : (uint32_t)(vio->offered >> (32 * vio->device_sel));
}

uint32_t vio_driver_features(const struct vio *vio)
{
	return vio->driver_sel > 1 ? 0 : (uint32_t)(vio->accepted >> (32 * vio->driver_sel));
}

void vio_set_driver_features(struct vio *vio, uint32_t bits)
{
	unsigned shift = 32 * vio->driver_sel;

	if (vio->driver_sel > 1 || (vio->status & VIRTIO_S_FEATURES_OK))
		return;
	vio->accepted = (vio->accepted & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)bits
										     << shift;
}

uint8_t vio_status(const struct vio *vio)
{
	return vio->status | (atomic_load(&vio->needs_reset) ? VIRTIO_S_NEEDS_RESET : 0);
}

static bool queue_valid(const struct vio *vio, const struct vio_queue *q)
{
	bool packed = vio->accepted & FEATURE(VIRTIO_F_RING_PACKED);

	return q->size && q->size <= vio->be->queue_size_max && (packed || is_pow2(q->size));
}

static void queue_start(struct vio *vio, struct vio_queue *q)
{
	struct vb_queue setup = {
		.size = q->size,
		.desc = q->desc,
		.driver = q->driver,
		.device = q->device,
		.kick_fd = q->kick_fd,
		.call_fd = q->irq.fd,
	};

	if (vio->be->ops->queue_start(vio->be, (unsigned)(q - vio->queues), &setup))
		refuse(vio, "a queue could not be started");
	else
		q->started = true;
}

static void queue_stop(struct vio *vio, struct vio_queue *q)
{
	if (q->started)
		vio->be->ops->queue_stop(vio->be, (unsigned)(q - vio->queues));
	q->started = false;
}

/* A kick or interrupt of before a reset is nothing to who uses the queue next. */
static void queue_forget(struct vio_queue *q)
{
	fd_event_clear(q->kick_fd);
	fd_event_clear(q->irq.fd);
}

static void reset(struct vio *vio)
{
	for (unsigned i = 0; i < vio->nqueues; i++) {
		queue_stop(vio, &vio->queues[i]);
		queue_defaults(vio, &vio->queues[i]);
		queue_forget(&vio->queues[i]);
	}
	vio->be->ops->set_status(vio->be, 0);
	fd_event_clear(vio->config.fd);
	vio->status = 0;
	vio->accepted = 0;
	vio->device_sel = vio->driver_sel = 0;
	vio->queue_sel = 0;
	atomic_store(&vio->needs_reset, false);
	vio_isr_ack(vio, 0xff);
}

static bool accept_features(struct vio *vio)
{
	if ((vio->accepted & ~vio->offered) || !(vio->accepted & FEATURE(VIRTIO_F_VERSION_1))) {
		complain(vio, "the driver chose features that were not offered, or not VERSION_1");
		return false;
	}
	return !vio->be->ops->set_features(vio->be, vio->accepted);
}

static void start(struct vio *vio)
{
	for (unsigned i = 0; i < vio->nqueues; i++)
		if (vio->queues[i].enabled)
			queue_start(vio, &vio->queues[i]);
	if (vio->be->ops->set_status(vio->be, vio->status))
		refuse(vio, "the device could not be started");
}

void vio_set_status(struct vio *vio, uint8_t status)
{
	uint8_t before = vio->status;

	if (!status) {
		reset(vio);
		return;
	}
	/* Bits are only ever added (VIRTIO 1.4, 2.1.1). */
	status = (uint8_t)((status & VIRTIO_S_DRIVERS) | before);
	if ((status & ~before & VIRTIO_S_FEATURES_OK) && !accept_features(vio))
		status &= (uint8_t)~VIRTIO_S_FEATURES_OK;
	if (!(status & VIRTIO_S_FEATURES_OK))
		status &= (uint8_t)~VIRTIO_S_DRIVER_OK;
	vio->status = status;
	if (status & ~before & VIRTIO_S_DRIVER_OK)
		start(vio);
}

struct vio_queue *vio_selected(struct vio *vio)
{
	return vio->queue_sel < vio->nqueues ? &vio->queues[vio->queue_sel] : NULL;
}

struct vio_queue *vio_configurable(struct vio *vio)
{
	struct vio_queue *q = vio_selected(vio);

	return q && !q->enabled ? q : NULL;
}

void vio_queue_enable(struct vio *vio, struct vio_queue *q)
{
	if (q->enabled)
		return;
	if (!(vio->status & VIRTIO_S_FEATURES_OK) || !queue_valid(vio, q)) {
		refuse(vio,
			"the driver enabled a queue before FEATURES_OK, or of a size not allowed");
		return;
	}
	q->enabled = true;
	if (vio->status & VIRTIO_S_DRIVER_OK)
		queue_start(vio, q);
}

void vio_queue_disable(struct vio *vio, struct vio_queue *q)
{
	queue_stop(vio, q);
	q->enabled = false;
}

void vio_queue_reset(struct vio *vio, struct vio_queue *q)
{
	if (!(vio->accepted & FEATURE(VIRTIO_F_RING_RESET)))
		return;
	queue_stop(vio, q);
	queue_defaults(vio, q);
	queue_forget(q);
}

void vio_kick(struct vio *vio, uint32_t index)
{
	if (index < vio->nqueues)
		fd_event_signal(vio->queues[index].kick_fd);
}

/*
 * Reads all of it into config_seen, so that a change between a driver's reads of two parts shows,
 * whether the device announced it or not. A new generation is counted when the driver reads, not
 * when something changes, so that it cannot wrap around unnoticed (VIRTIO 1.4, 4.1.4.3.1).
 */
static int config_look(struct vio *vio)
{
	bool changed = atomic_exchange(&vio->config_changed, false);
	uint8_t now[VIO_CONFIG_MAX];
	uint32_t len = vio->be->config_len;
	int ret = vio->be->ops->config_read(vio->be, 0, now, len);

	if (!ret) {
		changed |= vio->config_known && memcmp(now, vio->config_seen, len);
		memcpy(vio->config_seen, now, len);
		vio->config_known = true;
	}
	if (changed)
		vio->generation++;
	return ret;
}

void vio_config_read(struct vio *vio, uint64_t offset, void *data, unsigned len)
{
	memset(data, 0, len);
	if (range_in(offset, len, vio->be->config_len) && !config_look(vio))
		memcpy(data, vio->config_seen + offset, len);
}

void vio_config_write(struct vio *vio, uint64_t offset, const void *data, unsigned len)
{
	if (range_in(offset, len, vio->be->config_len))
		vio->be->ops->config_write(vio->be, (uint32_t)offset, data, len);
}

uint8_t vio_generation(struct vio *vio)
{
	if (atomic_exchange(&vio->config_changed, false))
		vio->generation++;
	return vio->generation;
}
