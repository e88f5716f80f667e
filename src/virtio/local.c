/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A backend that is a device on a thread of this process. Everything that touches the device runs
 * on its loop: operations get there by ev_call(), kicks by watches on their eventfds.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/util.h"
#include "virtio/backend.h"
#include "virtio/device.h"

/* The position of a fresh ring. */
#define FRESH_SPLIT  0u
#define FRESH_PACKED 0x8000u

struct local;

struct local_queue {
	struct local *l;
	struct ev_fd kick;
};

struct local {
	struct vbackend backend;
	struct vdev_host host;
	struct vdev *dev;
	struct ev_loop *loop;
	pthread_t thread;
	struct local_queue queues[VDEV_QUEUES_MAX];
	struct log_limit complaints;
};

/* The arguments of one operation on their way to the loop. */
struct op {
	struct local *l;
	unsigned q;
	const struct vb_queue *setup;
	uint64_t features;
	uint8_t status;
	uint32_t offset, len;
	void *in;
	const void *out;
	int ret;
};

static struct local *to_local(struct vbackend *b)
{
	return container_of(b, struct local, backend);
}

/* Says why what the driver wants was refused, unless it does that all the time. */
static void complain(struct local *l, const struct err *e)
{
	if (log_allowed(&l->complaints, 5))
		log_warn(l->backend.log, "%s", e->msg);
}

static int on_loop(struct op *op, ev_fn fn)
{
	int ret = ev_call(op->l->loop, fn, op);

	return ret ? ret : op->ret;
}

static void host_config_changed(struct vdev_host *host)
{
	const struct vb_events *ev = &container_of(host, struct local, host)->backend.events;

	if (ev->config_changed)
		ev->config_changed(ev->arg);
}

static void host_needs_reset(struct vdev_host *host)
{
	const struct vb_events *ev = &container_of(host, struct local, host)->backend.events;

	if (ev->needs_reset)
		ev->needs_reset(ev->arg);
}

/* Kicks before DRIVER_OK are made up for by vdev_set_status(). */
static void kick(struct local *l, unsigned q)
{
	if (l->dev->status & VIRTIO_S_DRIVER_OK)
		vdev_kick(l->dev, q);
}

static void kicked(void *arg, uint32_t events)
{
	struct local_queue *lq = arg;

	if (fd_event_clear(lq->kick.fd) == 1)
		kick(lq->l, (unsigned)(lq - lq->l->queues));
}

static int local_features(struct vbackend *b, uint64_t *features)
{
	/* Fixed since vdev_init(). */
	*features = vdev_features(to_local(b)->dev);
	return 0;
}

static void do_set_features(void *arg)
{
	struct op *op = arg;
	struct err e = { 0 };

	op->ret = vdev_set_features(op->l->dev, op->features, &e);
	if (op->ret)
		complain(op->l, &e);
}

static int local_set_features(struct vbackend *b, uint64_t features)
{
	struct op op = { .l = to_local(b), .features = features };

	return on_loop(&op, do_set_features);
}

static void do_set_status(void *arg)
{
	struct op *op = arg;
	struct vdev *dev = op->l->dev;

	if (!op->status)
		for (unsigned q = 0; q < dev->nqueues; q++)
			ev_fd_del(&op->l->queues[q].kick);
	vdev_set_status(dev, op->status);
	if (op->status & ~dev->status & VIRTIO_S_DRIVER_OK)
		op->ret = -EINVAL;
}

static int local_set_status(struct vbackend *b, uint8_t status)
{
	struct op op = { .l = to_local(b), .status = status };

	return on_loop(&op, do_set_status);
}

/* Finds the queue's areas in guest memory. */
static int translate(const struct local *l, const struct vb_queue *q, struct vq_setup *s)
{
	bool packed = vdev_has(l->dev, VIRTIO_F_RING_PACKED);
	uint32_t desc, driver, device;

	vq_ring_sizes(q->size, packed, &desc, &driver, &device);
	*s = (struct vq_setup){
		.size = q->size,
		.desc = gm_ptr(l->backend.gm, q->desc, desc),
		.driver = gm_ptr(l->backend.gm, q->driver, driver),
		.device = gm_ptr(l->backend.gm, q->device, device),
		.gm = l->backend.gm,
		.call_fd = q->call_fd,
		.avail_base = packed ? FRESH_PACKED : FRESH_SPLIT,
		.used_base = packed ? FRESH_PACKED : FRESH_SPLIT,
	};
	return s->desc && s->driver && s->device ? 0 : -EFAULT;
}

static int queue_start(struct local *l, unsigned q, const struct vb_queue *setup, struct err *e)
{
	struct vq_setup s;
	int ret = translate(l, setup, &s);

	if (ret)
		return err_set(e, ret,
			"queue %u is outside guest memory: descriptors 0x%llx, driver 0x%llx, "
			"device 0x%llx, %u entries",
			q, (unsigned long long)setup->desc, (unsigned long long)setup->driver,
			(unsigned long long)setup->device, setup->size);
	ret = vdev_queue_start(l->dev, q, &s, e);
	if (ret)
		return ret;
	ret = ev_fd_add(
		l->loop, &l->queues[q].kick, setup->kick_fd, EPOLLIN, kicked, &l->queues[q]);
	if (ret) {
		vdev_queue_stop(l->dev, q, NULL, NULL);
		return err_sys(e, ret, "queue %u: watching its kick", q);
	}
	kick(l, q);
	return 0;
}

static void do_queue_start(void *arg)
{
	struct op *op = arg;
	struct err e = { 0 };

	op->ret = queue_start(op->l, op->q, op->setup, &e);
	if (op->ret)
		complain(op->l, &e);
}

static int local_queue_start(struct vbackend *b, unsigned q, const struct vb_queue *setup)
{
	struct op op = { .l = to_local(b), .q = q, .setup = setup };

	return on_loop(&op, do_queue_start);
}

static void do_queue_stop(void *arg)
{
	struct op *op = arg;

	if (op->q >= op->l->dev->nqueues) {
		op->ret = -EINVAL;
		return;
	}
	ev_fd_del(&op->l->queues[op->q].kick);
	vdev_queue_stop(op->l->dev, op->q, NULL, NULL);
}

static int local_queue_stop(struct vbackend *b, unsigned q)
{
	struct op op = { .l = to_local(b), .q = q };

	return on_loop(&op, do_queue_stop);
}

static void do_config_read(void *arg)
{
	struct op *op = arg;

	vdev_config_read(op->l->dev, op->offset, op->in, op->len);
}

static int local_config_read(struct vbackend *b, uint32_t offset, void *buf, uint32_t len)
{
	struct op op = { .l = to_local(b), .offset = offset, .in = buf, .len = len };

	return on_loop(&op, do_config_read);
}

static void do_config_write(void *arg)
{
	struct op *op = arg;

	vdev_config_write(op->l->dev, op->offset, op->out, op->len);
}

static int local_config_write(struct vbackend *b, uint32_t offset, const void *buf, uint32_t len)
{
	struct op op = { .l = to_local(b), .offset = offset, .out = buf, .len = len };

	return on_loop(&op, do_config_write);
}

static void local_destroy(struct vbackend *b)
{
	struct local *l = to_local(b);

	ev_stop(l->loop);
	pthread_join(l->thread, NULL);
	for (unsigned q = 0; q < l->dev->nqueues; q++)
		ev_fd_del(&l->queues[q].kick);
	vdev_destroy(l->dev);
	ev_loop_destroy(l->loop);
	free(l);
}

static const struct vbackend_ops local_ops = {
	.features = local_features,
	.set_features = local_set_features,
	.set_status = local_set_status,
	.queue_start = local_queue_start,
	.queue_stop = local_queue_stop,
	.config_read = local_config_read,
	.config_write = local_config_write,
	.destroy = local_destroy,
};

static void *thread_main(void *arg)
{
	struct local *l = arg;
	int ret = ev_run(l->loop);

	if (ret)
		log_error(l->backend.log, "the device's event loop ended with error %d", -ret);
	return NULL;
}

static void announce(void *arg)
{
	sem_post(arg);
}

/* Starts the thread and waits until the loop runs, since before that calls to it are plain calls.
 * Signals are left to the other threads. */
static int thread_start(struct local *l)
{
	struct ev_task running;
	sigset_t all, old;
	sem_t up;
	int ret;

	sem_init(&up, 0, 0);
	ev_task_init(l->loop, &running, announce, &up);
	ev_task_post(&running);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&l->thread, NULL, thread_main, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret)
		ev_task_cancel(&running);
	while (!ret && sem_wait(&up) < 0)
		;
	sem_destroy(&up);
	return -ret;
}

int vb_local_create(struct vbackend **out, struct vdev *dev, struct ev_loop *loop,
	const struct gm *gm, const struct log *log, struct err *e)
{
	struct local *l = calloc(1, sizeof(*l));
	int ret;

	if (!l)
		return err_sys(e, -ENOMEM, "device %s", dev->cls->name);
	*l = (struct local){
		.backend = {
			.ops = &local_ops,
			.device_id = dev->cls->id,
			.nqueues = dev->nqueues,
			.queue_size_max = dev->queue_size_max,
			.config_len = dev->config_len,
			.gm = gm,
			.log = log,
		},
		.host = { host_config_changed, host_needs_reset },
		.dev = dev,
		.loop = loop,
	};
	for (unsigned q = 0; q < VDEV_QUEUES_MAX; q++)
		l->queues[q].l = l;
	vdev_attach(dev, &l->host);
	ret = thread_start(l);
	if (ret) {
		vdev_attach(dev, NULL);
		free(l);
		return err_sys(e, ret, "starting the thread of device %s", dev->cls->name);
	}
	*out = &l->backend;
	return 0;
}
