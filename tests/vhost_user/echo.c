/* SPDX-License-Identifier: BSD-3-Clause */
#include "echo.h"

#include <errno.h>
#include <string.h>

#include "base/iov.h"
#include "base/util.h"

#define LATE_NS UINT64_C(1000000)

static struct echo *to_echo(struct vdev *dev)
{
	return container_of(dev, struct echo, dev);
}

static void answer(struct echo *echo, struct vq_chain *c)
{
	struct iov_iter in, out;
	size_t n;

	iov_iter_init(&out, c->iov, c->n_out);
	iov_iter_init(&in, vq_in(c), c->n_in);
	n = iov_copy(&in, &out, c->out_len < c->in_len ? c->out_len : c->in_len);
	echo->requests++;
	vq_push(c->vq, c, (uint32_t)n);
}

static void flush(struct echo *echo)
{
	for (unsigned q = 0; q < ECHO_QUEUES; q++)
		vq_flush(echo->dev.queues[q]);
}

/* Answers all that is held, in no order. */
static void release(struct echo *echo)
{
	while (echo->nheld) {
		unsigned i;

		echo->random = echo->random * 1103515245u + 12345u;
		i = (echo->random >> 16) % echo->nheld;
		answer(echo, echo->held[i]);
		echo->held[i] = echo->held[--echo->nheld];
	}
	flush(echo);
}

static void late(void *arg)
{
	release(arg);
}

static void echo_kick(struct vdev *dev, unsigned q)
{
	struct echo *echo = to_echo(dev);
	struct vq_chain *c;

	echo->kicks++;
	while (echo->nheld < ECHO_HELD_MAX && vq_pop_or_kick(dev->queues[q], &c) == 1)
		echo->held[echo->nheld++] = c;
	if (echo->nheld >= echo->hold)
		release(echo);
	else if (echo->nheld)
		ev_timer_set(&echo->late, LATE_NS);
}

/* Lets go of the queue's requests. */
static void echo_queue_stop(struct vdev *dev, unsigned q)
{
	struct echo *echo = to_echo(dev);
	unsigned n = 0;

	for (unsigned i = 0; i < echo->nheld; i++)
		if (echo->held[i]->vq != dev->queues[q])
			echo->held[n++] = echo->held[i];
	echo->nheld = n;
}

static int echo_features_ok(struct vdev *dev)
{
	return vdev_has(dev, ECHO_F_REFUSE) ? -EINVAL : 0;
}

static void echo_start(struct vdev *dev)
{
	to_echo(dev)->starts++;
}

static void echo_reset(struct vdev *dev)
{
	to_echo(dev)->resets++;
}

static void echo_config_read(struct vdev *dev, uint32_t offset, void *buf, uint32_t len)
{
	memcpy(buf, to_echo(dev)->config + offset, len);
}

static void echo_config_write(struct vdev *dev, uint32_t offset, const void *buf, uint32_t len)
{
	memcpy(to_echo(dev)->config + offset, buf, len);
	if (!offset)
		vdev_config_changed(dev);
}

static int echo_init(struct vdev *dev, struct err *e)
{
	struct echo *echo = to_echo(dev);

	dev->features = FEATURE(ECHO_F_ONE) | FEATURE(ECHO_F_REFUSE);
	dev->nqueues = ECHO_QUEUES;
	dev->queue_size_max = ECHO_QUEUE_MAX;
	dev->config_len = ECHO_CONFIG;
	for (unsigned i = 0; i < ECHO_CONFIG; i++)
		echo->config[i] = (uint8_t)i;
	echo->random = (uint32_t)getpid();
	ev_timer_init(dev->loop, &echo->late, late, echo);
	return 0;
}

static void echo_finish(struct vdev *dev)
{
	ev_timer_stop(&to_echo(dev)->late);
}

static const struct opt echo_opts[] = {
	{ .name = "hold",
		.type = OPT_U32,
		.offset = offsetof(struct echo, hold),
		.def = "0",
		.max = ECHO_HELD_MAX,
		.help = "requests held back" },
	OPT_END,
};

const struct vdev_class echo_class = {
	.name = "echo",
	.id = ECHO_ID,
	.summary = "answers with what it was told",
	.size = sizeof(struct echo),
	.opts = echo_opts,
	.init = echo_init,
	.finish = echo_finish,
	.features_ok = echo_features_ok,
	.start = echo_start,
	.reset = echo_reset,
	.queue_stop = echo_queue_stop,
	.kick = echo_kick,
	.config_read = echo_config_read,
	.config_write = echo_config_write,
};
