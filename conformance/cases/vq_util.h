/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the cases on virtqueues share: the class's probe as a request that can be cut up, and rings
 * written by hand. All works on split and packed rings alike.
 */
#pragma once

#include "conformance/cf.h"
#include "conformance/raw.h"

#define VQ_ELEMS_MAX 64u

/* The probe (cf_probe()) in buffers of its own: first n_out elements that the device reads, then
 * n_in that it writes. */
struct vq_req {
	uint8_t *out, *in; /* NULL: there is no such part */
	uint32_t out_len, in_len;
	struct drv_sg sg[VQ_ELEMS_MAX];
	unsigned n_out, n_in;
};

/* An element as it is to stand in a ring. NEXT, AVAIL and USED come by themselves. */
struct vq_elem {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
};

/* A list written by hand: its descriptors start at `first`. */
struct vq_list {
	struct drv_queue *q;
	uint16_t first;
};

/* Where an element is, for changing it afterwards. `id_next` is next in split rings and id in
 * packed ones. */
struct vq_place {
	uint64_t *addr;
	uint32_t *len;
	uint16_t *flags;
	uint16_t *id_next;
};

/* Makes a request with one element for each part, the writable one filled with 0xa5. */
bool vq_req_make(struct cf *c, struct vq_req *r);
/* Makes its parts of `n` elements each, as far as they are that long, of uneven lengths. */
void vq_req_cut(struct cf *c, struct vq_req *r, unsigned n);
/* The used length is right. */
bool vq_len_right(struct cf *c, uint32_t len);
/* The answer is right: used length, nothing written behind it, nothing to the readable part. */
bool vq_req_answered(struct cf *c, const struct vq_req *r, uint32_t len);
/* Nothing was written. */
bool vq_req_untouched(struct cf *c, const struct vq_req *r);
/* Its elements for a ring written by hand. Returns how many. */
unsigned vq_req_elems(const struct vq_req *r, struct vq_elem *e);

/* Waits for the next used buffer without relying on interrupts, and checks the answer. */
bool vq_wait(struct cf *c, struct drv_queue *q, void **cookie, uint32_t *len);
/* Adds, publishes, waits, checks. */
bool vq_req_do(struct cf *c, struct drv_queue *q, struct vq_req *r);
/* The same, `times` times, as many at once as there is room for; checks the lengths. */
bool vq_req_repeat(struct cf *c, struct drv_queue *q, struct vq_req *r, uint32_t times);

/* Notifies whether the device wants it or not. */
void vq_kick(struct drv_queue *q);
/* Watches for a while: nothing is used on q. */
bool vq_quiet(struct cf *c, struct drv_queue *q);
/* Lets time go by in which the device could do something wrong. */
void vq_linger(struct cf *c);

/* Writes a list of n elements, at descriptor `id` (split) or at the next position under buffer id
 * `id` (packed). The device cannot see it before vq_raw_show(). */
struct vq_list vq_raw_list(struct drv_queue *q, uint16_t id, const struct vq_elem *e, unsigned n);
/* Element i of a list that is not shown yet. */
struct vq_place vq_raw_at(const struct vq_list *l, unsigned i);
/* Shows all lists written, and notifies. */
void vq_raw_show(struct drv_queue *q);
/* Waits for a used entry, which belongs to a list of n elements. */
bool vq_raw_used(struct cf *c, struct drv_queue *q, unsigned n, uint32_t *id, uint32_t *len);
/* Writes the request under `id`, shows it, waits for its use and checks the answer. */
bool vq_raw_do(struct cf *c, struct drv_queue *q, uint16_t id, const struct vq_req *r);

/* Fills an indirect table; NEXT links the entries in split rings. `table` has room for n. */
void vq_table_fill(struct drv_queue *q, void *table, const struct vq_elem *e, unsigned n);
/* An indirect table for e in a buffer of its own, and the element that refers to it. */
bool vq_table(struct cf *c, struct drv_queue *q, const struct vq_elem *e, unsigned n,
	struct vq_elem *ref, void **table);
