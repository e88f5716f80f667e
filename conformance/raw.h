/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Raw access to a driver's ring, for cases and tests that break the rules on purpose. Nothing is
 * checked but the position, which is taken modulo the size.
 */
#pragma once

#include "drivers/ring.h"

static inline struct drv_split_desc *drv_raw_split(struct drv_ring *r, unsigned i)
{
	return (struct drv_split_desc *)r->desc + i % r->size;
}

static inline struct drv_packed_desc *drv_raw_packed(struct drv_ring *r, unsigned i)
{
	return (struct drv_packed_desc *)r->desc + i % r->size;
}

static inline struct drv_avail *drv_raw_avail(struct drv_ring *r)
{
	return r->driver;
}

static inline struct drv_used *drv_raw_used(struct drv_ring *r)
{
	return r->device;
}

/* The event word of a split ring: used_event behind avail, avail_event behind used. */
static inline uint16_t *drv_raw_used_event(struct drv_ring *r)
{
	return &drv_raw_avail(r)->ring[r->size];
}

static inline uint16_t *drv_raw_avail_event(struct drv_ring *r)
{
	return (uint16_t *)(void *)&drv_raw_used(r)->ring[r->size];
}

/* The event suppression of a packed ring. */
static inline struct drv_event *drv_raw_driver_event(struct drv_ring *r)
{
	return r->driver;
}

static inline struct drv_event *drv_raw_device_event(struct drv_ring *r)
{
	return r->device;
}

/* Split: puts `head` into the next place of the available ring; drv_raw_publish() shows it. */
static inline void drv_raw_offer(struct drv_ring *r, uint16_t head)
{
	drv_raw_avail(r)->ring[r->next_avail++ % r->size] = head;
}

static inline void drv_raw_publish(struct drv_ring *r, uint16_t idx)
{
	r->next_avail = idx;
	r->published = idx;
	__atomic_store_n(&drv_raw_avail(r)->idx, idx, __ATOMIC_RELEASE);
}

/* Packed: the AVAIL and USED flags of an available descriptor under a wrap counter. */
static inline uint16_t drv_raw_avail_flags(bool wrap)
{
	return wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
}
