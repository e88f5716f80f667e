/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues that lie where nothing is, that are not enabled, or that change while they are read. */
#include "conformance/cases/cases.h"
#include "conformance/cases/vq_util.h"

#define ALL_OK (VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK)

/* A device that is up, though its queue is as `addr` says (NULL: not enabled). Shows a request in
 * the memory that a sound queue would have; it must not be seen. */
static void never_read(struct cf *c, const struct drv_queue_addr *addr)
{
	struct drv_queue *q = cf_q(c, cf_probe(c)->queue);
	struct drv_dev *dev = cf_dev(c);
	struct drv_queue queue = *q;
	struct vq_req r;

	/* Begins anew, as the queue has been enabled. */
	if (!vq_req_make(c, &r) || !cf_begin(c, 0))
		return;
	if (addr)
		dev->ops->queue_start(dev, queue.index, addr);
	dev->ops->set_status(dev, ALL_OK);
	drv_ring_init(&queue.ring, &queue.config);
	drv_ring_add(&queue.ring, r.sg, r.n_out, r.n_in, &r);
	drv_ring_publish(&queue.ring);
	vq_kick(&queue);
	for (unsigned i = 0; i < 4 && !cf_hung_up(c); i++)
		if (!vq_quiet(c, &queue) || !vq_req_untouched(c, &r))
			return;
	q = cf_up_probe(c, 0);
	if (q)
		cf_probe_works(c, q);
}

enum area { DESC, DRIVER, DEVICE };

static void area_at(struct cf *c, enum area which, uint64_t at)
{
	struct drv_queue *q = cf_up_probe(c, 0);
	struct drv_queue_addr bad;

	if (!q)
		return;
	bad = q->addr;
	*(which == DESC ? &bad.desc : which == DRIVER ? &bad.driver : &bad.device) = at;
	never_read(c, &bad);
}

static void descriptors_in_hole(struct cf *c)
{
	area_at(c, DESC, cf_target(c)->hole);
}

static void descriptors_into_hole(struct cf *c)
{
	area_at(c, DESC, cf_target(c)->hole - 64);
}

static void descriptors_over_the_top(struct cf *c)
{
	area_at(c, DESC, UINT64_MAX - 15);
}

static void driver_area_in_hole(struct cf *c)
{
	area_at(c, DRIVER, cf_target(c)->hole);
}

static void device_area_in_hole(struct cf *c)
{
	area_at(c, DEVICE, cf_target(c)->hole);
}

static void not_enabled(struct cf *c)
{
	if (cf_up_probe(c, 0))
		never_read(c, NULL);
}

/* Changes while the device reads. Whatever it sees it may break or answer, but nothing around any
 * buffer changes, and a reset brings it back. */

static void race(struct cf *c, bool data)
{
	struct vq_elem e[VQ_ELEMS_MAX];
	struct drv_queue *q = NULL;
	struct vq_req r;
	unsigned n;

	if (!vq_req_make(c, &r))
		return;
	n = vq_req_elems(&r, e);
	for (unsigned round = 0; round < (cf_target(c)->guest ? 4 : 20); round++) {
		q = cf_up_probe(c, 0);
		if (!q)
			return;
		for (uint16_t i = 0; i + n <= q->ring.size; i = (uint16_t)(i + n))
			vq_raw_list(q, i, e, n);
		vq_raw_show(q);
		for (unsigned k = 0; k < 3000; k++) {
			uint64_t at = k % 3 ? e[k % n].addr : cf_target(c)->hole;
			struct drv_split_desc *s = drv_raw_split(&q->ring, k * 7);

			/* The address and the length are at the same places in both layouts. */
			if (data && r.out)
				r.out[k % r.out_len] ^= (uint8_t)k;
			else
				*(volatile uint64_t *)&s->addr = at;
			if (!data)
				*(volatile uint32_t *)&s->len = k % 5 ? e[k % n].len : UINT32_MAX;
		}
		if (!cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset"))
			return;
	}
	q = cf_up_probe(c, 0);
	if (q)
		cf_probe_works(c, q);
}

static void changing_descriptors(struct cf *c)
{
	race(c, false);
}

static void changing_data(struct cf *c)
{
	race(c, true);
}

#define BOTH .flags = CF_RINGS | CF_HOSTILE

const struct cf_case cf_cases_hostile_rings[] = {
	{ "hostile_rings.area.descriptors_in_hole", "ROB-14", descriptors_in_hole, BOTH },
	{ "hostile_rings.area.descriptors_into_hole", "ROB-14", descriptors_into_hole, BOTH },
	{ "hostile_rings.area.descriptors_over_the_top", "ROB-14 ROB-13", descriptors_over_the_top,
		BOTH },
	{ "hostile_rings.area.driver_in_hole", "ROB-14", driver_area_in_hole, BOTH },
	{ "hostile_rings.area.device_in_hole", "ROB-14", device_area_in_hole, BOTH },
	{ "hostile_rings.queue.not_enabled", "ROB-14", not_enabled, BOTH },
	{ "hostile_rings.race.descriptors", "ROB-17 ROB-4", changing_descriptors, BOTH },
	{ "hostile_rings.race.data", "ROB-17 ROB-4", changing_data, BOTH },
	{ 0 },
};
