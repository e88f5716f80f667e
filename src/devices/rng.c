/* SPDX-License-Identifier: BSD-3-Clause */
/* The entropy device (VIRTIO 1.4, 5.4). docs/devices/rng.md has the security analysis. */
#include <errno.h>

#include "base/iov.h"
#include "base/rate.h"
#include "base/util.h"
#include "devices/devices.h"
#include "host/entropy.h"

#define VIRTIO_ID_ENTROPY 4
#define REQUESTQ	  0
/* What QEMU 10 asks for: vhost-user has no way to tell a front-end that a ring is too large. */
#define QUEUE_SIZE 1024u

/* The most that one request gets; it may be given less than it asked for (5.4.6.2). */
#define RNG_REQUEST_MAX 65536u
/* Bytes generated before other work of the loop gets a turn. */
#define RNG_TURN_MAX (4 * RNG_REQUEST_MAX)
/* How soon to ask a source again that had nothing, and one that failed. */
#define RNG_RETRY_NS  (10 * UINT64_C(1000000))
#define RNG_FAILED_NS (1000 * UINT64_C(1000000))

struct rng {
	struct vdev dev;
	/* Keys. */
	char *source;
	uint64_t rate;
	uint32_t period;

	struct entropy src;
	struct rate limit;
	struct ev_timer again;	 /* continues after a pause */
	struct log_limit failed; /* of messages about the source */
	/* Metrics. */
	uint64_t requests, bytes, throttled, failures;
};

static struct rng *to_rng(struct vdev *dev)
{
	return container_of(dev, struct rng, dev);
}

/* Fills buffers of the chain from the source, at most `max` bytes. Returns bytes or -errno if there
 * are none. */
static ssize_t rng_fill(struct rng *rng, const struct vq_chain *c, size_t max)
{
	const struct iovec *iov = vq_in(c);
	size_t done = 0;

	for (unsigned i = 0; i < c->n_in && done < max; i++) {
		size_t want = min_u64(iov[i].iov_len, max - done);
		ssize_t n = entropy_read(&rng->src, iov[i].iov_base, want);

		if (n < 0)
			return done ? (ssize_t)done : n;
		done += (size_t)n;
		if ((size_t)n < want)
			break;
	}
	return (ssize_t)done;
}

/* The source has nothing now: the request stays in the queue. */
static void rng_source_dry(struct rng *rng, struct vq_chain *c, int error)
{
	vq_rewind(c->vq, c);
	if (error == -EAGAIN || error == -EINTR) {
		ev_timer_set(&rng->again, RNG_RETRY_NS);
		return;
	}
	rng->failures++;
	if (log_allowed(&rng->failed, 1))
		log_error(rng->dev.log,
			"reading the entropy source %s failed with error %d; "
			"the guest's requests wait",
			rng->source, -error);
	ev_timer_set(&rng->again, RNG_FAILED_NS);
}

/* Answers one request. Returns the bytes given, or 0 if the queue has to wait. */
static size_t rng_request(struct rng *rng, struct vq_chain *c)
{
	uint64_t now = ev_now_ns();
	size_t want = rate_take(&rng->limit, now, min_u64(c->in_len, RNG_REQUEST_MAX));
	ssize_t n;

	if (!want) {
		rng->throttled++;
		vq_rewind(c->vq, c);
		ev_timer_set(&rng->again, rate_wait_ns(&rng->limit, now));
		return 0;
	}
	n = rng_fill(rng, c, want);
	rate_return(&rng->limit, want - (n > 0 ? (size_t)n : 0));
	if (n <= 0) {
		rng_source_dry(rng, c, (int)n);
		return 0;
	}
	rng->requests++;
	rng->bytes += (uint64_t)n;
	vq_push(c->vq, c, (uint32_t)n);
	return (size_t)n;
}

/* Serves the queue until it is empty, the turn is over (true) or it has to wait. */
static bool rng_serve_turn(struct rng *rng, struct vq *vq)
{
	size_t given = 0;
	struct vq_chain *c;

	while (given < RNG_TURN_MAX) {
		size_t n;

		if (vq_pop_or_kick(vq, &c) != 1)
			return false;
		/* VIRTIO 1.4, 5.4.6.1: no device-readable buffers; and there must be room. */
		if (c->n_out || !c->in_len) {
			vdev_broken(&rng->dev, REQUESTQ,
				"a request has device-readable buffers or no room (5.4.6.1)");
			return false;
		}
		n = rng_request(rng, c);
		if (!n)
			return false;
		given += n;
	}
	return true;
}

static void rng_kick(struct vdev *dev, unsigned q)
{
	struct rng *rng = to_rng(dev);
	struct vq *vq = dev->queues[REQUESTQ];

	if (rng->again.armed)
		return;
	vq_disable_kick(vq);
	if (rng_serve_turn(rng, vq))
		ev_timer_set(&rng->again, 0);
	vq_flush(vq);
}

static void rng_again(void *arg)
{
	struct rng *rng = arg;

	vdev_kick(&rng->dev, REQUESTQ);
}

static void rng_queue_stop(struct vdev *dev, unsigned q)
{
	ev_timer_stop(&to_rng(dev)->again);
}

static int rng_init(struct vdev *dev, struct err *e)
{
	struct rng *rng = to_rng(dev);
	uint64_t period_ns = rng->period * UINT64_C(1000000);
	int r = entropy_open(&rng->src, rng->source, e);

	if (r < 0)
		return r;
	rate_init(&rng->limit, rng->rate, period_ns, ev_now_ns());
	ev_timer_init(dev->loop, &rng->again, rng_again, rng);
	dev->nqueues = 1;
	dev->queue_size_max = QUEUE_SIZE;
	return 0;
}

static void rng_finish(struct vdev *dev)
{
	struct rng *rng = to_rng(dev);

	ev_timer_stop(&rng->again);
	entropy_close(&rng->src);
}

static const struct opt rng_opts[] = {
	{ "source", OPT_STR, offsetof(struct rng, source), .def = "getrandom",
		.help = "getrandom, hwrng, rdseed, or a device file or FIFO by absolute path" },
	{ "rate", OPT_SIZE, offsetof(struct rng, rate), .def = "0",
		.help = "most bytes given in one period, 0: no limit" },
	{ "period", OPT_U32, offsetof(struct rng, period), .def = "1000", .min = 1, .max = 3600000,
		.help = "length of a period, milliseconds" },
	OPT_END,
};

static const struct vdev_metric rng_metrics[] = {
	{ "requests", offsetof(struct rng, requests), "requests answered" },
	{ "bytes", offsetof(struct rng, bytes), "random bytes given" },
	{ "throttled", offsetof(struct rng, throttled),
		"times a request waited for the next period" },
	{ "source_failures", offsetof(struct rng, failures), "times reading the source failed" },
	{ NULL, 0, NULL },
};

static const char *const rng_syscalls[] = { "getrandom", NULL };
static const struct vdev_sandbox rng_sandbox = { .syscalls = rng_syscalls };

const struct vdev_class vdev_rng = {
	.name = "rng",
	.id = VIRTIO_ID_ENTROPY,
	.pci_class = 0x00ff00, /* unclassified */
	.summary = "entropy device: random bytes for the guest",
	.size = sizeof(struct rng),
	.opts = rng_opts,
	.metrics = rng_metrics,
	.sandbox = &rng_sandbox,
	.init = rng_init,
	.finish = rng_finish,
	.queue_stop = rng_queue_stop,
	.kick = rng_kick,
};
