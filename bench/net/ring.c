/* SPDX-License-Identifier: BSD-3-Clause */
/* The load generator's virtqueues. See ring.h. */
#include "ring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/util.h"
#include "drivers/ring.h"
#include "transport/vhost_user_recover.h"

static struct drv_packed_desc *packed_at(const struct ring *r, uint32_t i)
{
	return (struct drv_packed_desc *)r->desc + (i & (r->size - 1u));
}

/* The flags that make descriptor number i available, in the round of the ring that it belongs to.
 */
static uint16_t available(const struct ring *r, uint32_t i)
{
	uint16_t wrap = i & r->size ? VIRTQ_DESC_F_USED : VIRTQ_DESC_F_AVAIL;

	return (uint16_t)(wrap | (r->writable ? VIRTQ_DESC_F_WRITE : 0));
}

static void init_split(struct ring *r)
{
	struct drv_split_desc *desc = r->desc;
	struct drv_avail *avail = r->driver;

	avail->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
	for (unsigned i = 0; i < r->size; i++) {
		avail->ring[i] = (uint16_t)i;
		desc[i] = (struct drv_split_desc){
			.addr = vhud_gpa(r->d, ring_buf(r, i)),
			.len = r->len,
			.flags = r->writable ? VIRTQ_DESC_F_WRITE : 0,
		};
	}
}

static void init_packed(struct ring *r)
{
	((struct drv_event *)r->driver)->flags = RING_EVENT_FLAGS_DISABLE;
	for (unsigned i = 0; i < r->size; i++)
		packed_at(r, i)->addr = vhud_gpa(r->d, ring_buf(r, i));
}

int ring_start(
	struct ring *r, struct vhud *d, unsigned q, uint16_t size, uint32_t len, bool writable)
{
	uint32_t desc, driver, device;
	struct vhud_vring v;

	*r = (struct ring){
		.d = d,
		.q = q,
		.size = size,
		.len = len,
		.writable = writable,
		.packed = vhud_negotiated(d) & FEATURE(VIRTIO_F_RING_PACKED),
		.stride = align_up(len, 64) + 64, /* not all at the same place of the cache */
		.kick = fd_event(),
		.call = fd_event(),
	};
	drv_ring_sizes(size, r->packed, &desc, &driver, &device);
	r->desc = vhud_alloc(d, desc);
	r->driver = vhud_alloc(d, driver);
	r->device = vhud_alloc(d, device);
	r->bufs = vhud_alloc(d, r->stride * size);
	if (!r->desc || !r->driver || !r->device || !r->bufs || r->kick < 0 || r->call < 0)
		return -ENOMEM;
	if (r->packed)
		init_packed(r);
	else
		init_split(r);
	v = (struct vhud_vring){
		.size = size,
		.desc = (uintptr_t)r->desc,
		.avail = (uintptr_t)r->driver,
		.used = (uintptr_t)r->device,
		.base = r->packed ? VHU_BASE_PACKED_FRESH : 0,
		.kick = r->kick,
		.call = r->call,
	};
	return vhud_vring_start(d, q, &v);
}

void ring_add(struct ring *r, uint32_t len)
{
	uint32_t i = r->avail++;
	struct drv_packed_desc *p;

	if (!r->packed) {
		/* Both sides would fetch the line for nothing if it was written each time. */
		struct drv_split_desc *s = (struct drv_split_desc *)r->desc + (i & (r->size - 1u));

		if (s->len != len)
			s->len = len;
		return;
	}
	p = packed_at(r, i);
	p->len = len;
	p->id = (uint16_t)(i & (r->size - 1u));
	__atomic_store_n(&p->flags, available(r, i), __ATOMIC_RELEASE);
}

static bool wants_kick(const struct ring *r)
{
	if (r->packed)
		return __atomic_load_n(&((struct drv_event *)r->device)->flags, __ATOMIC_RELAXED) !=
		       RING_EVENT_FLAGS_DISABLE;
	return !(__atomic_load_n(&((struct drv_used *)r->device)->flags, __ATOMIC_RELAXED) &
		 VIRTQ_USED_F_NO_NOTIFY);
}

void ring_publish(struct ring *r)
{
	if (r->shown == r->avail)
		return;
	r->shown = r->avail;
	if (!r->packed)
		__atomic_store_n(&((struct drv_avail *)r->driver)->idx, (uint16_t)r->avail,
			__ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (wants_kick(r)) {
		vhud_signal(r->kick);
		r->kicks++;
	}
}

static void in_order(const struct ring *r, uint32_t id)
{
	if (id == (r->used & (r->size - 1u)))
		return;
	fprintf(stderr, "netload: queue %u: buffer %u is used before buffer %u\n", r->q, id,
		r->used & (r->size - 1u));
	exit(1);
}

static bool get_split(struct ring *r, uint32_t *len)
{
	const struct drv_used *u = r->device;
	const struct drv_used_elem *e = &u->ring[r->used & (r->size - 1u)];

	if ((uint16_t)r->used == (uint16_t)r->done)
		r->done = __atomic_load_n(&u->idx, __ATOMIC_ACQUIRE);
	if ((uint16_t)r->used == (uint16_t)r->done)
		return false;
	in_order(r, e->id);
	*len = e->len;
	return true;
}

static bool get_packed(struct ring *r, uint32_t *len)
{
	const struct drv_packed_desc *p = packed_at(r, r->used);
	uint16_t flags = __atomic_load_n(&p->flags, __ATOMIC_ACQUIRE);
	bool wrap = !(r->used & r->size);

	if (r->used == r->avail || !!(flags & VIRTQ_DESC_F_USED) != wrap ||
		!!(flags & VIRTQ_DESC_F_AVAIL) != wrap)
		return false;
	in_order(r, p->id);
	*len = p->len;
	return true;
}

uint8_t *ring_get(struct ring *r, uint32_t *len)
{
	if (!(r->packed ? get_packed(r, len) : get_split(r, len)))
		return NULL;
	return ring_buf(r, r->used++);
}
