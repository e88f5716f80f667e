/* SPDX-License-Identifier: BSD-3-Clause */
/* When a device interrupts its driver (VIRTIO 1.4, 2.7.7, 2.8.10). */
#include "conformance/cases/cases.h"
#include "conformance/cases/vq_util.h"

#define EVENT_IDX DRV_FEATURE(VIRTIO_F_EVENT_IDX)
#define WRAP	  0x8000u

/* The class's probe on a queue of 8, and no interrupt counted so far. */
static struct drv_queue *up(struct cf *c, struct vq_req *r, uint64_t want)
{
	const struct cf_probe *p = cf_probe(c);
	struct drv_queue *q;
	uint32_t count;

	if (!vq_req_make(c, r) || !cf_begin(c, want))
		return NULL;
	for (uint16_t i = 0; i <= p->queue; i++)
		if (!cf_queue(c, i, 8))
			return NULL;
	q = cf_q(c, p->queue);
	return cf_run_device(c) && cf_interrupts(c, q->index, &count) ? q : NULL;
}

/* Exactly `want` interrupts since the last look: waits for them, and for one too many. */
static bool interrupts(struct cf *c, struct drv_queue *q, uint32_t want)
{
	uint64_t limit = cf_limit(c);
	uint32_t total = 0, count;

	do {
		if (!cf_interrupts(c, q->index, &count))
			return false;
		total += count;
	} while (total < want && drv_now(q->dev) < limit);
	vq_linger(c);
	if (!cf_interrupts(c, q->index, &count))
		return false;
	return cf_eq(c, total + count, want, "the number of interrupts");
}

/* One request, and `want` interrupts for it. */
static bool one(struct cf *c, struct drv_queue *q, struct vq_req *r, uint32_t want)
{
	return vq_req_do(c, q, r) && interrupts(c, q, want);
}

static void set_driver_flags(struct drv_queue *q, bool off)
{
	if (q->ring.packed)
		drv_raw_driver_event(&q->ring)->flags =
			off ? RING_EVENT_FLAGS_DISABLE : RING_EVENT_FLAGS_ENABLE;
	else
		drv_raw_avail(&q->ring)->flags = off ? VIRTQ_AVAIL_F_NO_INTERRUPT : 0;
}

/* Without EVENT_IDX. */

static void enabled(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0);

	for (unsigned i = 0; q && i < 5; i++)
		if (!one(c, q, &r, 1))
			return;
}

static void disabled(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0);

	if (!q)
		return;
	set_driver_flags(q, true);
	for (unsigned i = 0; i < 5; i++)
		if (!vq_req_do(c, q, &r))
			return;
	if (!interrupts(c, q, 0))
		return;
	set_driver_flags(q, false);
	one(c, q, &r, 1);
}

/* Whatever stands where used_event would be, every use is told. */
static void used_event_ignored(struct cf *c)
{
	static const uint16_t values[] = { 0x8000, 0, 1, 0xffff };
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0);

	for (unsigned i = 0; q && i < 4; i++) {
		*drv_raw_used_event(&q->ring) = values[i];
		if (!one(c, q, &r, 1))
			return;
	}
}

/* With EVENT_IDX. */

/* Forgets the interrupts so far, and those that are about to come. */
static bool drop(struct cf *c, struct drv_queue *q)
{
	uint32_t ignored;

	vq_linger(c);
	return cf_interrupts(c, q->index, &ignored);
}

/* Waits for an interrupt that must come, which is the matter of another case, and forgets it. */
static bool drop_due(struct cf *c, struct drv_queue *q)
{
	uint64_t limit = cf_limit(c);
	uint32_t count = 0;

	while (!count && drv_now(q->dev) < limit)
		if (!cf_interrupts(c, q->index, &count))
			return false;
	return drop(c, q);
}

/* What must come, comes (-5). */
static void split_at_index(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, EVENT_IDX);

	if (!q)
		return;
	*drv_raw_used_event(&q->ring) = 3;
	if (vq_req_repeat(c, q, &r, 3) && drop(c, q) && vq_req_do(c, q, &r) &&
		cf_interrupted(c, q->index))
		vq_req_repeat(c, q, &r, 6);
}

/* What should not come, does not (-6). */
static void split_elsewhere(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, EVENT_IDX);

	if (!q)
		return;
	*drv_raw_used_event(&q->ring) = 3;
	for (unsigned i = 0; i < 10; i++)
		if (i == 3 ? !vq_req_do(c, q, &r) || !drop_due(c, q) : !one(c, q, &r, 0))
			return;
}

static void split_flags_ignored(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, EVENT_IDX);

	if (!q)
		return;
	for (uint16_t i = 0; i < 4; i++) {
		drv_raw_avail(&q->ring)->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
		*drv_raw_used_event(&q->ring) = i;
		if (!one(c, q, &r, 1))
			return;
	}
}

/* The event lies in the middle of what becomes available at once: the round of a ring, and half of
 * the next one. */
static struct drv_queue *batch(struct cf *c, struct vq_req *r, unsigned *n)
{
	struct drv_queue *q = up(c, r, EVENT_IDX);

	if (!q)
		return NULL;
	*n = q->ring.size / (r->n_out + r->n_in);
	drv_ring_enable_interrupts(
		&q->ring, (uint16_t)(q->ring.packed ? q->ring.size / 2 : *n / 2));
	return q;
}

static void in_a_batch(struct cf *c)
{
	struct vq_req r;
	unsigned n;
	struct drv_queue *q = batch(c, &r, &n);

	if (q && vq_req_repeat(c, q, &r, n))
		cf_interrupted(c, q->index);
}

/* It stays behind from then on. */
static void behind_a_batch(struct cf *c)
{
	struct vq_req r;
	unsigned n;
	struct drv_queue *q = batch(c, &r, &n);

	if (q && vq_req_repeat(c, q, &r, n) && drop_due(c, q) && vq_req_repeat(c, q, &r, n / 2))
		interrupts(c, q, 0);
}

/* The same index comes back after 65536 requests. */
static void split_again(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, EVENT_IDX);

	if (!q)
		return;
	*drv_raw_used_event(&q->ring) = 5;
	if (vq_req_repeat(c, q, &r, 65536 + 5) && drop(c, q) && vq_req_do(c, q, &r))
		cf_interrupted(c, q->index);
}

static void packed_event(struct drv_queue *q, unsigned off_wrap)
{
	drv_raw_driver_event(&q->ring)->off_wrap = (uint16_t)off_wrap;
	drv_raw_driver_event(&q->ring)->flags = RING_EVENT_FLAGS_DESC;
}

/* Each position in turn, under both wrap counters: nothing but the use of it is told. */
static void packed_at_descriptor(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, EVENT_IDX);
	unsigned n = q ? r.n_out + r.n_in : 1;
	unsigned round = q ? q->ring.size / n : 0;

	for (unsigned i = 0; i < 2 * round + 2; i++) {
		unsigned at = (i * n) % q->ring.size;
		bool wrap = (i / round) % 2 == 0;

		/* The next one, seen under the other counter, does not count. */
		packed_event(q, at | (wrap ? 0 : WRAP));
		if (!one(c, q, &r, 0))
			return;
		i++;
		at = (i * n) % q->ring.size;
		wrap = (i / round) % 2 == 0;
		packed_event(q, at | (wrap ? WRAP : 0));
		if (!one(c, q, &r, 1))
			return;
	}
}

/* ENABLE and DISABLE mean the same with EVENT_IDX. */
static void packed_flags(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, EVENT_IDX);

	for (unsigned i = 0; q && i < 6; i++) {
		bool off = i % 3 == 1;

		/* The position of the next use stands there, too, and does not matter. */
		drv_raw_driver_event(&q->ring)->off_wrap =
			(uint16_t)(q->ring.next_used | (q->ring.used_wrap ? WRAP : 0));
		set_driver_flags(q, off);
		if (!one(c, q, &r, !off))
			return;
	}
}

/* Event structures that make no sense: positions outside the ring, the reserved value of flags. */
static void packed_nonsense(struct cf *c)
{
	static const struct drv_event events[] = { { 0x7fff, 2 }, { 0xffff, 2 }, { 8, 2 },
		{ 0x8008, 2 }, { 0, 3 }, { 0xffff, 0xffff } };
	struct vq_req r;
	struct drv_queue *q = up(c, &r, EVENT_IDX);

	for (unsigned i = 0; q && i < sizeof(events) / sizeof(*events); i++) {
		*drv_raw_driver_event(&q->ring) = events[i];
		if (!vq_req_repeat(c, q, &r, 20))
			return;
	}
	if (!q)
		return;
	set_driver_flags(q, false);
	vq_req_do(c, q, &r);
}

/* No interrupt without a cause: not for what the driver does alone. */
static void without_cause(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0);

	if (!q)
		return;
	for (unsigned i = 0; i < 20; i++)
		vq_kick(q);
	if (interrupts(c, q, 0))
		one(c, q, &r, 1);
}

#define NEEDS .needs = EVENT_IDX

const struct cf_case cf_cases_event[] = {
	{ "event.flags.enabled", "V2.7.7.2-3 ROB-22", enabled, .flags = CF_RINGS | CF_IRQ },
	{ "event.flags.disabled", "V2.7.7.2-2", disabled, .flags = CF_RINGS | CF_IRQ },
	{ "event.flags.used_event_ignored", "V2.7.7.2-1", used_event_ignored, .flags = CF_IRQ },
	{ "event.index.at", "V2.7.7.2-5", split_at_index, .flags = CF_IRQ, NEEDS },
	{ "event.index.elsewhere", "V2.7.7.2-6", split_elsewhere, .flags = CF_IRQ, NEEDS },
	{ "event.index.flags_ignored", "V2.7.7.2-4", split_flags_ignored, .flags = CF_IRQ, NEEDS },
	{ "event.index.in_a_batch", "V2.7.7.2-5", in_a_batch, .flags = CF_RINGS | CF_IRQ, NEEDS },
	{ "event.index.behind_a_batch", "V2.7.7.2-6", behind_a_batch, .flags = CF_RINGS | CF_IRQ,
		NEEDS },
	{ "event.index.again", "V2.7.7.2-5", split_again, .flags = CF_IRQ | CF_LONG, NEEDS },
	{ "event.packed.at_descriptor", "ROB-22", packed_at_descriptor, .flags = CF_PACKED | CF_IRQ,
		NEEDS },
	{ "event.packed.flags", "ROB-22", packed_flags, .flags = CF_PACKED | CF_IRQ, NEEDS },
	{ "event.packed.nonsense", "ROB-1", packed_nonsense, .flags = CF_PACKED | CF_HOSTILE,
		NEEDS },
	{ "event.kick.without_cause", "ROB-22", without_cause, .flags = CF_RINGS | CF_IRQ },
	{ 0 },
};
