/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The load generator's virtqueues, split (VIRTIO 1.4, 2.7) and packed (2.8): as little work for a
 * frame as possible, so that what is measured is the other side. Buffer i always has descriptor i,
 * and the device is to use buffers in the order in which it gets them, as all network devices here
 * do; that it does is checked. It is polled: interrupts are off, and a kick is sent only if the
 * device asks for it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vhud.h"

struct ring {
	struct vhud *d;
	unsigned q;
	uint16_t size; /* a power of two */
	bool packed;
	bool writable; /* the device writes the buffers */
	uint32_t len;  /* bytes of a buffer that the device sees */
	uint8_t *bufs;
	size_t stride; /* bytes from buffer to buffer */
	int kick, call;
	uint64_t kicks;

	void *desc, *driver, *device;
	uint32_t avail, used; /* buffers made available, and taken back, so far */
	uint32_t shown;	      /* split: made available and published */
	uint32_t done;	      /* split: used index as last read */
};

/* Makes queue q with `size` buffers of `len` bytes and starts it. 0 or -errno. */
int ring_start(
	struct ring *r, struct vhud *d, unsigned q, uint16_t size, uint32_t len, bool writable);

static inline uint8_t *ring_buf(const struct ring *r, uint32_t i)
{
	return r->bufs + (i & (r->size - 1u)) * r->stride;
}

/* The buffer to be made available next, or NULL if all are out. */
static inline uint8_t *ring_next(const struct ring *r)
{
	return r->avail - r->used < r->size ? ring_buf(r, r->avail) : NULL;
}

/* Makes that buffer available; visible not before ring_publish(). */
void ring_add(struct ring *r, uint32_t len);
void ring_publish(struct ring *r);
/* The oldest buffer, if the device has used it, and the bytes written; else NULL. The caller is
 * done with it when it calls again. Ends the program if the device broke the order. */
uint8_t *ring_get(struct ring *r, uint32_t *len);
