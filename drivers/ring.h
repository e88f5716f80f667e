/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtqueues, driver side: split (VIRTIO 1.4, 2.7) and packed (2.8) rings with indirect
 * descriptors, event index and in-order use. Freestanding: no libc, no allocation, no hidden state;
 * all memory comes from the caller. One thread per ring.
 *
 *     drv_ring_add() as often as there are buffers and room
 *     if (drv_ring_publish()) notify the device
 *     while (drv_ring_get() > 0) a buffer came back
 *
 * What the device writes is not trusted: a used entry that matches nothing breaks the ring.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the rings are little-endian and this file does not swap bytes"
#endif

/* Feature bit numbers (VIRTIO 1.4, 6) that a ring cares about. */
#define VIRTIO_F_INDIRECT_DESC 28
#define VIRTIO_F_EVENT_IDX     29
#define VIRTIO_F_VERSION_1     32
#define VIRTIO_F_RING_PACKED   34
#define VIRTIO_F_IN_ORDER      35

/* Descriptor flags (2.7.5, 2.8.1). */
#define VIRTQ_DESC_F_NEXT     1u
#define VIRTQ_DESC_F_WRITE    2u
#define VIRTQ_DESC_F_INDIRECT 4u
#define VIRTQ_DESC_F_AVAIL    (1u << 7)
#define VIRTQ_DESC_F_USED     (1u << 15)

#define VIRTQ_AVAIL_F_NO_INTERRUPT 1u
#define VIRTQ_USED_F_NO_NOTIFY	   1u

/* Event suppression of packed rings (2.8.10). */
#define RING_EVENT_FLAGS_ENABLE	 0u
#define RING_EVENT_FLAGS_DISABLE 1u
#define RING_EVENT_FLAGS_DESC	 2u

/* Results below zero. */
#define DRV_FULL    (-1) /* not enough free descriptors now */
#define DRV_INVALID (-2) /* a parameter that can never work */
#define DRV_BROKEN  (-3) /* the device broke a rule; reset it */

struct drv_split_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct drv_packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

struct drv_used_elem {
	uint32_t id;
	uint32_t len;
};

/* Driver area and device area of a split ring. After ring[] follow used_event and avail_event. */
struct drv_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[];
};

struct drv_used {
	uint16_t flags;
	uint16_t idx;
	struct drv_used_elem ring[];
};

/* Driver area and device area of a packed ring. */
struct drv_event {
	uint16_t off_wrap;
	uint16_t flags;
};

/* One element of a buffer: `addr` as the device sees it, `len` in bytes. */
struct drv_sg {
	uint64_t addr;
	uint32_t len;
};

/* What the ring remembers of one buffer. Private. */
struct drv_slot {
	void *cookie;
	uint32_t in_len;
	uint16_t ndesc; /* 0: free */
	uint16_t next;	/* split: next descriptor of the chain or free list; packed: next free id */
	uint16_t tail;	/* split: last descriptor of the chain */
};

/* How to make a ring. Memory stays the caller's and is used until the device is reset. */
struct drv_ring_config {
	uint16_t size;	   /* 1..32768; a power of two for split rings */
	uint64_t features; /* negotiated feature bits */
	/* The three areas; drv_ring_sizes() says how long. Aligned to 16, 4 and 4 bytes. */
	void *desc, *driver, *device;
	void *state; /* drv_ring_state_size() bytes, aligned for a pointer */
	/* Indirect tables: size * table_len descriptors of 16 bytes, which the device sees at
	 * tables_addr. NULL, or INDIRECT_DESC not negotiated: chains only. */
	void *tables;
	uint64_t tables_addr;
	uint16_t table_len;
};

/* A ring. Read `size`, `nfree` and `broken`; the rest is private. */
struct drv_ring {
	uint16_t size;
	uint16_t nfree; /* descriptors free */
	bool packed, event_idx, in_order;
	bool broken;

	struct drv_slot *slots;
	uint16_t *order; /* in-order: heads or ids in the order they were added */
	void *desc, *driver, *device;
	void *tables;
	uint64_t tables_addr;
	uint16_t table_len;

	uint16_t free_head;  /* split: first free descriptor; packed: first free id */
	uint16_t next_avail; /* split: index to come; packed: position */
	uint16_t published;  /* split: index published; packed: position of the first one not */
	uint16_t next_used;
	bool avail_wrap, used_wrap;
	uint16_t head_flags; /* packed: flags of the first descriptor not yet published */
	bool head_wrap;	     /* packed: wrap counter there */
	bool pending;	     /* packed: something to publish */

	uint16_t order_in, order_out;
	uint16_t outstanding;
	bool in_batch; /* in-order: handing out a batch that ends with batch_id */
	uint16_t batch_id;
	uint32_t batch_len;
};

/* Bytes of the three areas. */
void drv_ring_sizes(uint16_t size, bool packed, uint32_t *desc, uint32_t *driver, uint32_t *device);
/* Bytes of the ring's own memory. */
size_t drv_ring_state_size(uint16_t size);
/* Clears the areas and starts with interrupts on. Returns 0 or DRV_INVALID. */
int drv_ring_init(struct drv_ring *r, const struct drv_ring_config *config);

/* Adds a buffer: n_out elements that the device reads, then n_in that it writes; at least one in
 * all. `cookie` comes back from drv_ring_get(). The device does not see it before
 * drv_ring_publish(). Returns 0, DRV_FULL or DRV_INVALID. */
int drv_ring_add(
	struct drv_ring *r, const struct drv_sg *sg, unsigned n_out, unsigned n_in, void *cookie);
/* Makes everything added visible; true if the device wants a notification. */
bool drv_ring_publish(struct drv_ring *r);
/* Takes a buffer that the device is done with: 1, 0 if there is none, DRV_BROKEN. `len` is the
 * bytes written by the device. */
int drv_ring_get(struct drv_ring *r, void **cookie, uint32_t *len);
/* True if drv_ring_get() would return other than 0. */
bool drv_ring_used(const struct drv_ring *r);

/* Asks for an interrupt when, after the buffers taken so far, `after` more and then one have been
 * used (split: buffers, packed: descriptors; without EVENT_IDX `after` counts as 0). True if that
 * is so already and no interrupt may come. */
bool drv_ring_enable_interrupts(struct drv_ring *r, uint16_t after);
/* A hint; interrupts may still come. */
void drv_ring_disable_interrupts(struct drv_ring *r);
