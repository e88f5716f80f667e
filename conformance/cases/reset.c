/* SPDX-License-Identifier: BSD-3-Clause */
/* Resets of a device (VIRTIO 1.4, 2.4) and of a queue (2.6.1). */
#include "conformance/cases/cases.h"
#include "conformance/cases/vq_util.h"

#define ROUNDS 8

/* Fills the queue with requests, each with a writable buffer of its own if it has one. Returns how
 * many are in flight. */
static unsigned flood(struct cf *c, struct drv_queue *q, struct vq_req *r, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (drv_ring_add(&q->ring, r[i].sg, r[i].n_out, r[i].n_in, &r[i]))
			break;
	cf_check(c, !drv_queue_publish(q), "notifying failed");
	return i;
}

/* A copy of what a device could still write: buffers and its part of the ring. */
struct seen {
	struct vq_req *r;
	unsigned n;
	const uint8_t *part;
	uint32_t part_len;
	uint8_t *copy;
};

static void part_of(struct seen *s, const struct drv_queue *q)
{
	uint32_t desc, driver, device;

	drv_ring_sizes(q->ring.size, q->ring.packed, &desc, &driver, &device);
	s->part = q->ring.packed ? q->ring.desc : q->ring.device;
	s->part_len = q->ring.packed ? desc : device;
}

static bool see(struct cf *c, struct seen *s)
{
	uint8_t *at;

	if (!s->copy)
		s->copy = cf_buf(c, s->part_len + s->n * s->r[0].in_len);
	if (!s->copy)
		return false;
	cf_copy(s->copy, s->part, s->part_len);
	at = s->copy + s->part_len;
	for (unsigned i = 0; i < s->n; at += s->r[i++].in_len)
		cf_copy(at, s->r[i].in, s->r[i].in_len);
	return true;
}

static bool nothing_new(struct cf *c, const struct seen *s)
{
	const uint8_t *at = s->copy + s->part_len;

	if (!cf_check(c, cf_same(s->copy, s->part, s->part_len),
		    "the device wrote into the ring after the reset"))
		return false;
	for (unsigned i = 0; i < s->n; at += s->r[i++].in_len)
		if (!cf_check(c, cf_same(at, s->r[i].in, s->r[i].in_len),
			    "the device wrote into a buffer after the reset"))
			return false;
	return true;
}

static bool no_interrupt(struct cf *c, uint16_t q)
{
	uint32_t count;

	if (!cf_dev(c)->ops->interrupts)
		return true;
	return cf_interrupts(c, q, &count) && cf_eq(c, count, 0, "interrupts after the reset");
}

/* Reads and drops what was counted until now. */
static void drop_interrupts(struct cf *c, uint16_t q)
{
	uint32_t count;

	if (cf_dev(c)->ops->interrupts)
		cf_interrupts(c, q, &count);
}

static bool make_all(struct cf *c, struct vq_req *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!vq_req_make(c, &r[i]))
			return false;
	return true;
}

/* With the queue full of requests, at a moment that the device did not choose: once the reset is
 * complete nothing of before is written or told. */
static void under_load(struct cf *c)
{
	struct vq_req r[16];
	struct seen s = { .r = r, .n = 16 };
	struct drv_queue *q = NULL;

	if (!make_all(c, r, s.n))
		return;
	for (unsigned round = 0; round < ROUNDS; round++) {
		q = cf_up_probe(c, 0);
		if (!q)
			return;
		flood(c, q, r, s.n);
		if (!cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset"))
			return;
		drop_interrupts(c, q->index);
		part_of(&s, q);
		if (!see(c, &s))
			return;
		vq_kick(q);
		vq_linger(c);
		if (!nothing_new(c, &s) || !no_interrupt(c, q->index))
			return;
	}
	q = cf_up_probe(c, 0);
	if (q)
		cf_probe_works(c, q);
}

/* From every stage of initialization. */
static void to_zero(struct cf *c)
{
	static const uint8_t stages[] = { 0, VIRTIO_S_ACKNOWLEDGE,
		VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER, VIRTIO_S_FAILED,
		VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FAILED };
	struct drv_dev *dev = cf_dev(c);

	for (unsigned i = 0; i < sizeof(stages); i++) {
		if (stages[i])
			dev->ops->set_status(dev, stages[i]);
		if (!cf_check(c, !dev->ops->set_status(dev, 0), "status 0 cannot be written") ||
			!cf_status_becomes(c, 0xff, 0))
			return;
	}
	if (!cf_begin(c, 0) ||
		!cf_check(c, !dev->ops->set_status(dev, 0), "no reset after FEATURES_OK") ||
		!cf_status_becomes(c, 0xff, 0))
		return;
	if (cf_up_probe(c, 0) && cf_check(c, !dev->ops->set_status(dev, 0), "no reset when live"))
		cf_status_becomes(c, 0xff, 0);
}

/* Queues start from the beginning: a new ring at the same place begins with index 0. */
static void from_the_start(struct cf *c)
{
	struct vq_req r;

	if (!vq_req_make(c, &r))
		return;
	for (unsigned i = 0; i < 5; i++) {
		struct drv_queue *q = cf_up_probe(c, 0);

		if (!q || !vq_req_repeat(c, q, &r, 3 + 7 * i))
			return;
		if (!q->ring.packed &&
			!cf_eq(c, drv_raw_used(&q->ring)->idx, 3 + 7 * i, "the used index"))
			return;
	}
}

/* Another choice of features each time, the layout of the rings included. */
static void other_features(struct cf *c)
{
	static const uint64_t choices[] = { 0, DRV_FEATURE(VIRTIO_F_EVENT_IDX),
		DRV_FEATURE(VIRTIO_F_INDIRECT_DESC), DRV_FEATURE(VIRTIO_F_IN_ORDER), UINT64_MAX };
	struct vq_req r;

	if (!vq_req_make(c, &r))
		return;
	for (unsigned i = 0; i < sizeof(choices) / sizeof(*choices); i++) {
		struct drv_queue *q = cf_up_probe(c, choices[i]);

		if (!q || !vq_req_repeat(c, q, &r, 20))
			return;
	}
}

static void many_times(struct cf *c)
{
	for (unsigned i = 0; i < 30; i++) {
		struct drv_queue *q = cf_up_probe(c, 0);

		if (!q || !cf_probe_works(c, q))
			return;
	}
}

/* Queue reset. */

#define RING_RESET DRV_FEATURE(VIRTIO_F_RING_RESET)

static struct drv_queue *up_for_queue_reset(struct cf *c)
{
	if (cf_dev(c)->ops->queue_reset)
		return cf_up_probe(c, RING_RESET);
	cf_skip(c, "this transport cannot reset a queue");
	return NULL;
}

static bool queue_reset(struct cf *c, struct drv_queue *q)
{
	return cf_check(c, !q->dev->ops->queue_reset(q->dev, q->index, cf_limit(c)),
		"queue %u cannot be reset", q->index);
}

static void queue_under_load(struct cf *c)
{
	struct vq_req r[16];
	struct seen s = { .r = r, .n = 16 };
	struct drv_queue *q;

	if (!make_all(c, r, s.n) || !(q = up_for_queue_reset(c)))
		return;
	for (unsigned round = 0; round < ROUNDS; round++) {
		flood(c, q, r, s.n);
		if (!queue_reset(c, q))
			return;
		drop_interrupts(c, q->index);
		part_of(&s, q);
		if (!see(c, &s))
			return;
		vq_linger(c);
		if (!nothing_new(c, &s) || !no_interrupt(c, q->index) ||
			!cf_check(c, !drv_queue_restart(q), "the queue cannot be enabled again") ||
			!vq_req_repeat(c, q, &r[0], 20))
			return;
	}
}

/* Positions start from the beginning. */
static void queue_from_the_start(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q;

	if (!vq_req_make(c, &r) || !(q = up_for_queue_reset(c)))
		return;
	for (unsigned i = 1; i < 6; i++) {
		if (!vq_req_repeat(c, q, &r, 7 * i) ||
			!cf_check(c, !drv_queue_restart(q), "the queue cannot be enabled again") ||
			!vq_req_repeat(c, q, &r, 1))
			return;
		if (!q->ring.packed && !cf_eq(c, drv_raw_used(&q->ring)->idx, 1, "the used index"))
			return;
	}
}

/* Enabled again elsewhere and with another size. */
static void queue_other_size(struct cf *c)
{
	static const uint16_t sizes[] = { 8, 32, 2, 64 };
	struct vq_req r;
	struct drv_queue *q;
	uint16_t max = 0;

	if (!vq_req_make(c, &r) || !(q = up_for_queue_reset(c)) ||
		!cf_check(c, !cf_dev(c)->ops->queue_max(cf_dev(c), q->index, &max), "no queue"))
		return;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		if (sizes[i] > max)
			continue;
		if (!vq_req_repeat(c, q, &r, 30) || !queue_reset(c, q))
			return;
		q = cf_queue(c, q->index, sizes[i]);
		if (!q || !cf_eq(c, q->ring.size, sizes[i], "the queue size"))
			return;
	}
	vq_req_repeat(c, q, &r, 30);
}

/* The rest of the device lives on: status, configuration, and no request for its own reset. */
static void queue_alone(struct cf *c)
{
	struct drv_queue *q = up_for_queue_reset(c);
	uint8_t before, after;

	if (!q || !cf_probe_works(c, q) || !cf_status(c, &before) || !queue_reset(c, q) ||
		!cf_status(c, &after))
		return;
	if (cf_eq(c, after, before, "the device status") &&
		cf_check(c, !drv_queue_restart(q), "the queue cannot be enabled again"))
		cf_probe_works(c, q);
}

const struct cf_case cf_cases_reset[] = {
	{ "reset.status.zero", "V2.4.1-1", to_zero, .flags = CF_STATUS },
	{ "reset.load.nothing_after", "V2.4.1-2 ROB-18", under_load, .flags = CF_RINGS },
	{ "reset.rings.from_the_start", "V2.4.1-1 ROB-6", from_the_start, .flags = CF_RINGS },
	{ "reset.features.other", "V2.2.2-2 ROB-6", other_features, .flags = CF_RINGS },
	{ "reset.device.many_times", "V2.4.1-1 ROB-6", many_times, .flags = CF_RINGS },
	{ "reset.queue.nothing_after", "V2.6.1.1.1-1", queue_under_load, .flags = CF_RINGS,
		.needs = RING_RESET },
	{ "reset.queue.from_the_start", "V2.6.1.1.1-2", queue_from_the_start, .flags = CF_RINGS,
		.needs = RING_RESET },
	{ "reset.queue.other_size", "V2.6.1.2.1-1", queue_other_size, .flags = CF_RINGS,
		.needs = RING_RESET },
	{ "reset.queue.alone", "V2.6.1.1.1-2", queue_alone, .flags = CF_RINGS | CF_STATUS,
		.needs = RING_RESET },
	{ 0 },
};
