/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtqueues, device side: split (VIRTIO 1.4, 2.7) and packed (2.8) rings with indirect
 * descriptors, event index, in-order use and per-queue reset. The device sees buffers, never rings.
 *
 * Everything a driver wrote is read once, copied, and then checked. A rule broken by the driver
 * makes vq_pop() return -EPROTO once and for all: the queue is broken until it is stopped, and
 * vq_broken() names the rule. One thread per queue.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/mem.h"

#define VQ_SIZE_MAX 32768u /* VIRTIO 1.4, 2.7 */

struct vq;

/* Where a queue is and where it continues. */
struct vq_setup {
	uint16_t size;	     /* 1..VQ_SIZE_MAX; a power of two for split rings */
	void *desc;	     /* descriptor table / packed descriptor ring, host address */
	void *driver;	     /* available ring / driver event suppression */
	void *device;	     /* used ring / device event suppression */
	uint64_t features;   /* the negotiated feature bits */
	const struct gm *gm; /* guest memory, which does not change while the queue runs */
	int call_fd;	     /* eventfd that interrupts the driver, -1: none; not owned */
	/* Ring position: split: next available index (used index is read from the ring).
	 * Packed: bits 0..14 index and bit 15 wrap counter, of avail and used: see VRING_BASE in
	 * vhost-user. A fresh queue: 0 for split, 0x8000 each for packed. */
	uint16_t avail_base;
	uint16_t used_base;
	/* In-flight record in memory that survives this process (vhost-user, "Inflight I/O
	 * tracking"; layouts of split and packed virtqueues), or NULL; aligned to 8 bytes. A zeroed
	 * record is initialised. Requests recorded as in flight are handed out again, oldest first,
	 * before new ones, and the record replaces avail_base and used_base. It belongs to one life
	 * of the ring: zero it when the driver resets the device or the queue. */
	void *inflight;
	uint64_t inflight_len; /* bytes, at least vq_inflight_size() */
};

/*
 * One request: first n_out buffers the device reads, then n_in buffers it writes, all inside guest
 * memory. Valid from vq_pop() until vq_push(), vq_rewind() or vq_stop(). Devices read the first
 * group and may use up the list in place, may keep `user` and set `written`, and leave the rest
 * alone.
 */
struct vq_chain {
	struct iovec *iov;
	uint32_t n_out, n_in;	  /* number of buffers */
	uint64_t out_len, in_len; /* bytes */
	void *user;		  /* the device's own */

	struct vq *vq;
	uint32_t iov_cap;
	uint32_t written; /* bytes, see vq_push(); 0 when it is popped */
	uint16_t id;	  /* head index (split) or buffer id (packed) */
	uint16_t ndesc;	  /* ring entries it takes (packed) */
	uint16_t slot;
	uint16_t record;  /* its place in the in-flight record (packed) */
	bool done;	  /* pushed, held back for the order */
	bool resubmitted; /* comes from the in-flight record, not from the ring */
};

/* The buffers the device writes. */
static inline struct iovec *vq_in(const struct vq_chain *c)
{
	return c->iov + c->n_out;
}

/* Bytes of the three areas of a queue: what a transport translates (VIRTIO 1.4, 2.7 and 2.8.10.1).
 */
void vq_ring_sizes(uint16_t size, bool packed, uint32_t *desc, uint32_t *driver, uint32_t *device);

/* A stopped queue. */
int vq_create(struct vq **vq);
/* Stops and frees; accepts NULL. */
void vq_destroy(struct vq *vq);

/* Starts with the given rings. -EINVAL with a reason for a bad size, alignment or position. */
int vq_start(struct vq *vq, const struct vq_setup *setup, struct err *e);
/* Stops and drops every chain that is still out: the device must have let go of them. Returns the
 * position to continue from; entries popped but not pushed count as taken. */
void vq_stop(struct vq *vq, uint16_t *avail_base, uint16_t *used_base);

bool vq_running(const struct vq *vq);
/* True if it was started where an earlier life of the device, maybe in another process, had
 * stopped. */
bool vq_resumed(const struct vq *vq);
uint16_t vq_size(const struct vq *vq);
/* Where the next chain is taken: moves with each one. 0 unless the queue runs. */
uint16_t vq_position(const struct vq *vq);
/* Chains popped and not yet pushed. */
unsigned vq_outstanding(const struct vq *vq);
/* The rule that the driver broke, or NULL. */
const char *vq_broken(const struct vq *vq);
/* Marks the queue broken; `rule` is a string constant. For devices that find a broken rule in a
 * request's framing. */
void vq_set_broken(struct vq *vq, const char *rule);

/* While not enabled (vhost-user, "Ring states") vq_pop() finds nothing. Enabled after vq_start().
 */
void vq_set_enabled(struct vq *vq, bool enabled);
/* Nor while it is held: before DRIVER_OK (VIRTIO 1.4, 2.1.2). Not held after vq_start(). */
void vq_hold(struct vq *vq, bool held);
/* Enabled and not held. */
bool vq_open(const struct vq *vq);
void vq_set_call_fd(struct vq *vq, int fd);

/* Takes the next request. 1: *chain is set; 0: none; -EPROTO: the queue is broken. */
int vq_pop(struct vq *vq, struct vq_chain **chain);
/* Takes up to `max` requests; returns their number, 0, or -EPROTO. */
int vq_pop_batch(struct vq *vq, struct vq_chain **chains, unsigned max);
/* Puts back the chain popped last; in reverse order for several. Only before any later push. */
void vq_rewind(struct vq *vq, struct vq_chain *chain);
/* Completes a request, in any order; `written` is the number of bytes written from the start of the
 * writable part. Not visible to the driver before vq_flush(). With IN_ORDER negotiated the core
 * holds it back until the earlier ones are complete. */
void vq_push(struct vq *vq, struct vq_chain *chain, uint32_t written);
/* vq_push() of each, with what it has in `written`. */
void vq_push_all(struct vq *vq, struct vq_chain *const *chains, unsigned n);
/* Publishes everything pushed, for a driver that looks: who sleeps is interrupted by vq_flush(),
 * which has to follow. */
void vq_show(struct vq *vq);
/* Publishes everything pushed and interrupts the driver at most once, if it wants to know. */
void vq_flush(struct vq *vq);

/* Asks the driver for a kick with its next request. True if a request arrived meanwhile, so that
 * the caller must pop once more. */
bool vq_enable_kick(struct vq *vq);
/* vq_pop(); if there is none, asks for a kick and looks once more. */
static inline int vq_pop_or_kick(struct vq *vq, struct vq_chain **chain)
{
	int r = vq_pop(vq, chain);

	return r == 0 && vq_enable_kick(vq) ? vq_pop(vq, chain) : r;
}
/*
 * For a device that put chains back because there are not enough of them: asks for a kick with the
 * next request beyond those it saw, which vq_enable_kick() would not get, as the driver has gone
 * past them. True if one arrived meanwhile, so that the caller must look again. Right after
 * vq_pop() returned 0 and vq_rewind().
 */
bool vq_enable_kick_beyond(struct vq *vq);
/* Tells the driver that kicks are not needed (a hint). */
void vq_disable_kick(struct vq *vq);
/* True if vq_pop() would return 1; reads only the ring. */
bool vq_pending(struct vq *vq);

/*
 * Polled, a running queue has the driver not kick: vq_enable_kick() and vq_enable_kick_beyond()
 * only note what the device wants to hear of, and whoever polls asks vq_take_kick() whether it has
 * happened: true once for each such wish. vq_arm_kick() asks the driver for the kick that is wished
 * for, before a sleep; true if a request arrived before the driver could know. Lasts until
 * vq_stop().
 */
void vq_set_polled(struct vq *vq);
bool vq_take_kick(struct vq *vq);
bool vq_arm_kick(struct vq *vq);

/* Bytes of an in-flight record for one queue of `size` entries. */
uint64_t vq_inflight_size(uint16_t size, bool packed);
