/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtqueues of either layout: sizes, framing, used lengths, notifications (VIRTIO 1.4, 2.6). */
#include "conformance/cases/cases.h"
#include "conformance/cases/vq_util.h"

/* The class's probe, and its queue with `size` entries (0: as many as the device has). */
static struct drv_queue *up(struct cf *c, struct vq_req *r, uint64_t want, uint16_t size)
{
	const struct cf_probe *p = cf_probe(c);
	struct drv_dev *dev = cf_dev(c);
	uint16_t max;

	if (!vq_req_make(c, r) || !cf_begin(c, want))
		return NULL;
	for (uint16_t i = 0; i <= p->queue; i++) {
		if (!cf_check(c, !dev->ops->queue_max(dev, i, &max) && max,
			    "the largest size of queue %u is unknown", i) ||
			!cf_queue(c, i, i == p->queue && !size ? max : size))
			return NULL;
	}
	return cf_run_device(c) ? cf_q(c, p->queue) : NULL;
}

static void with_size(struct cf *c, uint16_t size)
{
	struct vq_req r;
	uint64_t want = size == 1 ? DRV_FEATURE(VIRTIO_F_INDIRECT_DESC) : 0;
	struct drv_queue *q = up(c, &r, want, size);

	if (!q || (size && !cf_eq(c, q->ring.size, size, "the queue size")))
		return;
	if (r.n_out + r.n_in > q->ring.size && !q->ring.table_len) {
		cf_skip(c, "the probe needs two descriptors, and INDIRECT_DESC is not offered");
		return;
	}
	vq_req_repeat(c, q, &r, 3u * q->ring.size + 1);
	cf_note(c, "%u entries", q->ring.size);
}

static void size_one(struct cf *c)
{
	with_size(c, 1);
}

static void size_two(struct cf *c)
{
	with_size(c, 2);
}

static void size_largest(struct cf *c)
{
	with_size(c, 0);
}

/* Framing. */

static void framing(struct cf *c, unsigned pieces)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);

	if (!q)
		return;
	vq_req_cut(c, &r, pieces);
	for (unsigned i = 0; i < 3; i++)
		if (!vq_req_do(c, q, &r))
			return;
	cf_note(c, "%u readable and %u writable elements", r.n_out, r.n_in);
}

static void framing_two(struct cf *c)
{
	framing(c, 2);
}

static void framing_many(struct cf *c)
{
	framing(c, 24);
}

/* A chain with as many elements as the queue has entries. */
static void framing_whole_queue(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 8);

	if (!q)
		return;
	vq_req_cut(c, &r, r.n_out && r.n_in ? 4 : 8);
	for (unsigned i = 0; i < 5; i++)
		if (!vq_req_do(c, q, &r))
			return;
	cf_note(c, "%u elements in a queue of %u", r.n_out + r.n_in, q->ring.size);
}

/* Puts the readable part over the beginning of a page and the writable one over its end. */
static void across(struct cf *c, struct drv_queue *q, struct vq_req *r, uint8_t *page)
{
	const struct cf_probe *p = cf_probe(c);

	if (r->out)
		r->out = page - 3;
	/* At least one byte of it is on the other side, if there are two. */
	if (r->in)
		r->in = page + 4096 - (r->in_len > 5 ? 5 : 1);
	/* Where a readable part may have been before. */
	if (r->in)
		cf_fill(r->in - 16, 0xa5, r->in_len + 32);
	cf_copy(r->out, p->out, r->out_len);
	if (r->out)
		r->sg[0] = cf_sg(c, r->out, r->out_len);
	if (r->in)
		r->sg[r->n_out] = cf_sg(c, r->in, r->in_len);
	if (!vq_req_do(c, q, r))
		return;
	cf_check(c,
		!r->in ||
			(cf_filled(r->in - 16, 0xa5, 16) && cf_filled(r->in + r->in_len, 0xa5, 16)),
		"the device wrote around its buffer");
}

static void framing_odd(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);
	uint8_t *room = q ? cf_buf(c, 4 * 4096) : NULL;

	if (room)
		across(c, q, &r, room + (4096 - (uintptr_t)room % 4096));
}

/* Buffers that begin in one range of memory and end in the next. */
static void across_ranges(struct cf *c)
{
	uint8_t *seam = cf_target(c)->seam;
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);

	if (!seam)
		cf_skip(c, "the runner knows of no such place");
	if (!seam || !q)
		return;
	cf_fill(seam - 8192, 0xa5, 4 * 4096);
	across(c, q, &r, seam);
	across(c, q, &r, seam - 4096);
}

/* An element of length zero adds nothing. */
static void empty_elements(struct cf *c)
{
	struct vq_elem e[VQ_ELEMS_MAX], f[VQ_ELEMS_MAX];
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);
	unsigned n, k = 0;
	uint32_t id, len;

	if (!q)
		return;
	vq_req_cut(c, &r, 2);
	n = vq_req_elems(&r, e);
	/* One after each element, of its kind. */
	for (unsigned i = 0; i < n; i++) {
		f[k++] = e[i];
		f[k++] = (struct vq_elem){ e[i].addr, 0, e[i].flags };
	}
	vq_raw_list(q, 4, f, k);
	vq_raw_show(q);
	if (vq_raw_used(c, q, k, &id, &len) && cf_eq(c, id, 4, "the id in the used entry"))
		vq_req_answered(c, &r, len);
}

/* Two writable elements over the same bytes, or the readable ones twice: the device's business is
 * with lengths only. */
static void overlapping(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);
	void *cookie;
	uint32_t len;

	if (!q)
		return;
	if (!r.in) {
		cf_skip(c, "the probe of this class has no device-writable part");
		return;
	}
	vq_req_cut(c, &r, 2);
	/* The rest begins where the first piece does. */
	r.sg[r.n_out + 1].addr = r.sg[r.n_out].addr;
	if (cf_submit(c, q, r.sg, r.n_out, r.n_in, &r) && vq_wait(c, q, &cookie, &len) &&
		vq_len_right(c, len))
		cf_must_go_on(c, q);
}

/* Used lengths. */

/* All bytes up to the used length are written: with three different fillings none survives. */
static void length_is_written(struct cf *c)
{
	static const uint8_t fill[] = { 0xa5, 0x5a, 0x3c };
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);
	uint8_t *kept = q && r.in ? cf_buf(c, r.in_len) : NULL;
	uint32_t len, n = r.in_len;
	void *cookie;

	if (q && !r.in)
		cf_skip(c, "the probe of this class has no device-writable part");
	if (!kept)
		return;
	cf_fill(kept, 1, r.in_len);
	for (unsigned k = 0; k < sizeof(fill); k++) {
		cf_fill(r.in, fill[k], r.in_len);
		if (!cf_submit(c, q, r.sg, r.n_out, r.n_in, &r) || !vq_wait(c, q, &cookie, &len))
			return;
		n = len < n ? len : n;
		for (uint32_t i = 0; i < r.in_len; i++)
			kept[i] &= r.in[i] == fill[k];
	}
	for (uint32_t i = 0; i < n; i++)
		if (!cf_eq(c, kept[i], 0, "a byte left unwritten below the used length"))
			return;
}

/* What a used entry speaks of is there the moment it is: seen without a rest in between. */
static void complete_when_shown(struct cf *c)
{
	const struct cf_probe *p = cf_probe(c);
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);

	for (unsigned i = 0; q && i < 200; i++) {
		uint64_t limit = cf_limit(c);
		uint32_t len, last;
		void *cookie;

		cf_fill(r.in, (uint8_t)i, r.in_len);
		if (!cf_submit(c, q, r.sg, r.n_out, r.n_in, &r))
			return;
		while (!drv_ring_used(&q->ring) && drv_now(q->dev) < limit)
			;
		if (!cf_check(c, drv_ring_get(&q->ring, &cookie, &len) == 1,
			    "request %u: no used entry, or one of no buffer", i) ||
			!vq_len_right(c, len))
			return;
		/* The last byte of a block device is its status; random bytes may be anything. */
		last = r.in && p->device == 2 ? r.in[len - 1] : 0;
		if (!cf_eq(c, last, 0, "the last byte below the used length"))
			return;
	}
}

/* A device that only reads has written nothing. */
static void length_of_reading(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);

	if (q && r.in)
		cf_skip(c, "the probe of this class has a device-writable part");
	if (!q || r.in || !vq_raw_do(c, q, 5, &r))
		return;
	if (q->ring.packed)
		cf_eq(c, drv_raw_packed(&q->ring, 0)->flags & VIRTQ_DESC_F_WRITE, 0,
			"WRITE in the flags of the used descriptor");
	else
		cf_eq(c, drv_raw_used(&q->ring)->ring[0].len, 0, "the used length");
}

/* Each of as many requests as there is room for comes back once, with its own buffers. */
static void each_once(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);
	unsigned n = q ? q->ring.size / (r.n_out + r.n_in) : 0;
	uint8_t seen[64] = { 0 };
	void *cookie;
	uint32_t len;

	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < n; i++)
			if (!cf_check(c, !drv_ring_add(&q->ring, r.sg, r.n_out, r.n_in, &seen[i]),
				    "no room for request %u of %u", i, n))
				return;
		if (!n || !cf_check(c, !drv_queue_publish(q), "notifying failed"))
			return;
		for (unsigned i = 0; i < n; i++) {
			if (!vq_wait(c, q, &cookie, &len) || !vq_len_right(c, len))
				return;
			++*(uint8_t *)cookie;
		}
		for (unsigned i = 0; i < n; i++)
			if (!cf_eq(c, seen[i], round + 1, "how often a buffer came back"))
				return;
	}
	if (q)
		vq_quiet(c, q);
}

/* Notifications of the driver. */

static void spurious_notifications(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);

	for (unsigned i = 0; q && i < 100; i++)
		vq_kick(q);
	if (!q || !vq_quiet(c, q) || !vq_req_do(c, q, &r))
		return;
	for (unsigned i = 0; i < 100; i++)
		vq_kick(q);
	if (vq_quiet(c, q))
		vq_req_do(c, q, &r);
}

/* Nothing is lost by a driver that notifies only when asked to. */
static void only_when_asked(struct cf *c, uint64_t want)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, want, 16);

	for (unsigned i = 0; q && i < 60; i++)
		if (!vq_req_repeat(c, q, &r, 1 + i % 20))
			return;
}

static void only_when_asked_by_flags(struct cf *c)
{
	only_when_asked(c, 0);
}

static void only_when_asked_by_event(struct cf *c)
{
	only_when_asked(c, DRV_FEATURE(VIRTIO_F_EVENT_IDX));
}

/* A notification for a queue that is not there, or not enabled. */
static void other_queues(struct cf *c)
{
	static const uint16_t none[] = { 15, 63, 255, 0xfffe };
	const struct drv_ops *ops = cf_dev(c)->ops;
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);
	unsigned sent = 0;

	for (unsigned i = 0; q && i < sizeof(none) / sizeof(*none); i++)
		sent += !ops->notify(cf_dev(c), none[i], none[i]);
	if (!q)
		return;
	if (!sent) {
		cf_skip(c, "this transport cannot notify queues that are not there");
		return;
	}
	vq_linger(c);
	cf_must_go_on(c, q);
}

/* While a queue is kept full the device still answers for its status and configuration. */
static void busy_queue(struct cf *c)
{
	struct vq_req r;
	struct drv_queue *q = up(c, &r, 0, 64);
	unsigned n = q ? q->ring.size / (r.n_out + r.n_in) : 0;
	uint64_t slowest = 0;
	void *cookie;
	uint32_t len;

	for (unsigned i = 0; i < n; i++)
		drv_ring_add(&q->ring, r.sg, r.n_out, r.n_in, &r);
	for (unsigned i = 0; q && i < 8u * n; i++) {
		uint64_t start, took;
		uint64_t offered;

		if (!cf_check(c, !drv_queue_publish(q), "notifying failed"))
			return;
		if (i % n == 0) {
			start = drv_now(q->dev);
			cf_check(c, !q->dev->ops->features(q->dev, &offered),
				"the device does not answer while its queue is busy");
			took = drv_now(q->dev) - start;
			slowest = took > slowest ? took : slowest;
		}
		if (!vq_wait(c, q, &cookie, &len))
			return;
		drv_ring_add(&q->ring, r.sg, r.n_out, r.n_in, &r);
	}
	if (q && cf_check(c, slowest < cf_target(c)->limit, "an access took %u ms",
			 (unsigned)(slowest / 1000000)))
		cf_note(c, "the slowest access took %u us", (unsigned)(slowest / 1000));
}

const struct cf_case cf_cases_vq[] = {
	{ "vq.size.one", "V2.7.4.1-1", size_one, .flags = CF_RINGS },
	{ "vq.size.two", "V2.7.4.1-1", size_two, .flags = CF_RINGS },
	{ "vq.size.largest", "V2.7.4.1-1 ROB-7", size_largest, .flags = CF_RINGS },
	{ "vq.framing.two", "V2.7.4.1-1", framing_two, .flags = CF_RINGS },
	{ "vq.framing.many", "V2.7.4.1-1", framing_many, .flags = CF_RINGS },
	{ "vq.framing.whole_queue", "V2.7.4.1-1 V2.8.18-1", framing_whole_queue,
		.flags = CF_RINGS },
	{ "vq.framing.odd_addresses", "V2.7.4.1-1 ROB-4", framing_odd, .flags = CF_RINGS },
	{ "vq.framing.across_ranges", "V2.7.4.1-1 ROB-4", across_ranges, .flags = CF_RINGS },
	{ "vq.framing.empty_elements", "ROB-12", empty_elements, .flags = CF_RINGS | CF_HOSTILE },
	{ "vq.framing.overlapping", "ROB-1", overlapping, .flags = CF_RINGS | CF_HOSTILE },
	{ "vq.readable.untouched", "V2.7.5.1-1 V2.8.15-1", framing_two, .flags = CF_RINGS },
	{ "vq.used.length_is_written", "V2.7.8.2-2 ROB-8", length_is_written, .flags = CF_RINGS },
	{ "vq.used.complete_when_shown", "V2.7.8.2-1 V2.7.8.2-2", complete_when_shown,
		.flags = CF_RINGS },
	{ "vq.used.length_of_reading", "V2.7.8.2-2 ROB-8", length_of_reading, .flags = CF_RINGS },
	{ "vq.used.each_once", "ROB-7 V2.8.12-1", each_once, .flags = CF_RINGS },
	{ "vq.notify.spurious", "V2.7.10.2-5", spurious_notifications, .flags = CF_RINGS },
	{ "vq.notify.only_when_asked", "V2.7.10.2-2", only_when_asked_by_flags, .flags = CF_RINGS },
	{ "vq.notify.only_when_asked_event_idx", "V2.7.10.2-4", only_when_asked_by_event,
		.flags = CF_RINGS, .needs = DRV_FEATURE(VIRTIO_F_EVENT_IDX) },
	{ "vq.notify.other_queues", "ROB-15", other_queues, .flags = CF_RINGS | CF_HOSTILE },
	{ "vq.busy.still_answers", "ROB-19", busy_queue, .flags = CF_RINGS | CF_HOSTILE },
	{ 0 },
};
