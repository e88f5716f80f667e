/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside of the virtqueues: shared by queue.c, queue_split.c, queue_packed.c and inflight.c. */
#pragma once

#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "base/le.h"
#include "base/util.h"
#include "virtio/queue.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define VIRTQ_DESC_F_NEXT     1u
#define VIRTQ_DESC_F_WRITE    2u
#define VIRTQ_DESC_F_INDIRECT 4u
#define VIRTQ_DESC_F_AVAIL    (1u << 7)
#define VIRTQ_DESC_F_USED     (1u << 15)

#define VIRTQ_AVAIL_F_NO_INTERRUPT 1u
#define VIRTQ_USED_F_NO_NOTIFY	   1u

#define RING_EVENT_FLAGS_ENABLE	 0u
#define RING_EVENT_FLAGS_DISABLE 1u
#define RING_EVENT_FLAGS_DESC	 2u

#define WRAP_BIT 0x8000u /* wrap counter in ring positions and event words */

/* Buffers that a chain holds without further memory. */
#define CHAIN_IOV_INLINE 4u
/*
 * Entries of an indirect table that are accepted even if the queue is smaller. The standard has
 * the queue size as limit (VIRTIO 1.4, 2.7.5.3.1), but Linux goes by the device's limits on
 * segments instead, and this is what other devices let it get used to.
 */
#ifndef INDIRECT_MAX /* proofs/ has a smaller one */
#define INDIRECT_MAX 1024u
#endif

/* A descriptor in guest memory: two words, so that it can be copied with two loads. The second
 * one is len, flags, next from low to high (split), or len, id, flags (packed). */
struct vring_desc {
	le64 addr;
	le64 rest;
};

/* Its copy. */
struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t lo, hi;
};

struct vring_avail {
	le16 flags;
	le16 idx;
	le16 ring[]; /* then used_event */
};

struct vring_used_elem {
	le32 id;
	le32 len;
};

struct vring_used {
	le16 flags;
	le16 idx;
	struct vring_used_elem ring[]; /* then avail_event */
};

struct vring_event {
	le16 off_wrap;
	le16 flags;
};

struct split_ring {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t mask;
	uint16_t last_avail;   /* next entry to take */
	uint16_t shadow_avail; /* avail->idx as last read */
	uint16_t used_next;    /* next entry to write */
	uint16_t used_shown;   /* used->idx as last written */
	uint16_t used_told;    /* used->idx when it was last asked whether to interrupt */
};

struct packed_ring {
	struct vring_desc *desc;
	struct vring_event *driver, *device;
	uint16_t avail_pos, used_pos; /* next descriptor to take / to write */
	bool avail_wrap, used_wrap;
	uint16_t end_pos; /* where vq_pop() last found nothing */
	bool end_wrap;
	bool pending; /* used descriptors not shown yet; the first of them is: */
	bool first_wrap;
	uint16_t first_pos, first_flags;
	bool untold; /* descriptors were shown since it was last asked whether to interrupt, */
	bool told_wrap;
	uint16_t told_pos, ntold; /* from here on; their number, with those not shown yet */
	uint16_t in_use;	  /* descriptors taken and not used */
};

/* What the device wants a kick for. */
enum vq_wish { VQ_WISH_NONE, VQ_WISH_NEXT, VQ_WISH_BEYOND };

struct vq {
	bool running, enabled, held;
	bool open;	    /* enabled and not held */
	bool polled, armed; /* armed: the driver may kick although the queue is polled */
	enum vq_wish wish;  /* of a polled queue */
	bool packed, event_idx, in_order, indirect;
	bool resumed;	  /* not at a fresh ring's position when it started */
	bool notify_late; /* an interrupt may have been lost in a former life */
	uint16_t size;
	uint16_t nfree; /* entries of free_slots */
	const char *broken;
	union {
		struct split_ring split;
		struct packed_ring pack;
	};

	/* The range that the last address was found in. */
	struct {
		uint64_t gpa, size;
		uint8_t *hva;
	} hot;
	const struct gm *gm;
	int call_fd;

	struct vq_chain *chains; /* [size] */
	struct iovec *iov;	 /* [size][CHAIN_IOV_INLINE] */
	uint16_t *free_slots;	 /* a stack, so that few chains stay in the cache */
	bool *busy;		 /* heads / buffer ids in flight */

	struct vring_desc *table; /* room for the copy of an indirect table; NULL until needed */

	/* IN_ORDER: the chains that are out, oldest first, as slots. */
	uint16_t *order;
	uint32_t order_mask, order_in, order_out;

	/* In-flight record, or NULL. */
	void *inflight;
	uint64_t counter;
	uint16_t *resubmit; /* record entries to hand out again, in order */
	uint16_t nresubmit, next_resubmit;
	uint16_t *lists; /* packed: the descriptors of each entry to be handed out again */
	uint16_t *batch; /* packed: record entries of the chains pushed and not flushed */
	uint16_t nbatch;
};

/* Shared memory is only read and written through these, once per field. */

static inline uint16_t ld16(const le16 *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_RELAXED));
}

static inline uint16_t ld16_acquire(const le16 *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline void st16(le16 *p, uint16_t v)
{
	__atomic_store_n(p, htole16(v), __ATOMIC_RELAXED);
}

static inline void st16_release(le16 *p, uint16_t v)
{
	__atomic_store_n(p, htole16(v), __ATOMIC_RELEASE);
}

/* A store before it is visible to the other side when a load after it takes effect. */
static inline void full_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The second word comes first: in a packed ring its flags say whether there is more to be read. */
static inline struct desc desc_read(const struct vring_desc *d)
{
	uint64_t rest = le64toh(__atomic_load_n(&d->rest, __ATOMIC_ACQUIRE));

	return (struct desc){
		.addr = le64toh(__atomic_load_n(&d->addr, __ATOMIC_RELAXED)),
		.len = (uint32_t)rest,
		.lo = (uint16_t)(rest >> 32),
		.hi = (uint16_t)(rest >> 48),
	};
}

/* Where a packed descriptor has its flags: in its last two bytes. */
static inline le16 *desc_flags(struct vring_desc *d)
{
	return (le16 *)&d->rest + 3;
}

/* True if moving an index from `old` to `idx` passed the entry `event`. */
static inline bool event_passed(uint16_t event, uint16_t idx, uint16_t old)
{
	return (uint16_t)(idx - event - 1) < (uint16_t)(idx - old);
}

/* Breaks the queue; false, for the caller to return. The first rule stays. */
static inline bool vq_break(struct vq *vq, const char *rule)
{
	if (!vq->broken)
		vq->broken = rule;
	return false;
}

#ifndef VQ_BUSY_SET /* proofs/ has one that is smaller */
static inline bool busy_test(const struct vq *vq, uint16_t id)
{
	return vq->busy[id];
}

static inline void busy_set(struct vq *vq, uint16_t id)
{
	vq->busy[id] = true;
}

static inline void busy_clear(struct vq *vq, uint16_t id)
{
	vq->busy[id] = false;
}
#endif

/* Chains taken and not yet given back. */
static inline uint16_t chains_out(const struct vq *vq)
{
	return (uint16_t)(vq->size - vq->nfree);
}

/* queue.c */

void *vq_host_slow(struct vq *vq, uint64_t gpa, uint64_t len);
bool vq_chain_grow(struct vq *vq, struct vq_chain *c);
bool vq_chain_add_pieces(struct vq *vq, struct vq_chain *c, const struct desc *d, bool write);
bool vq_signal(struct vq *vq);

/* The host address of a piece of guest memory inside one range, or NULL. */
static inline void *vq_host(struct vq *vq, uint64_t gpa, uint64_t len)
{
	uint64_t off = gpa - vq->hot.gpa;

	if (likely(off < vq->hot.size && len <= vq->hot.size - off))
		return vq->hot.hva + off;
	return vq_host_slow(vq, gpa, len);
}

/* The chain of a slot, with its buffers still to be set. */
static inline struct vq_chain *chain_at(struct vq *vq, uint16_t slot)
{
	struct vq_chain *c = &vq->chains[slot];

	if (unlikely(!c->iov)) {
		c->vq = vq;
		c->slot = slot;
		c->iov = vq->iov + (size_t)slot * CHAIN_IOV_INLINE;
		c->iov_cap = CHAIN_IOV_INLINE;
	}
	c->user = NULL;
	c->written = 0;
	c->done = false;
	c->resubmitted = false;
	return c;
}

/* A chain that is free. There is always one: no more are out than the ring has entries. */
static inline struct vq_chain *chain_new(struct vq *vq)
{
	return chain_at(vq, vq->free_slots[--vq->nfree]);
}

static inline void chain_clear(struct vq_chain *c)
{
	c->n_out = 0;
	c->n_in = 0;
	c->out_len = 0;
	c->in_len = 0;
}

static inline void chain_free(struct vq *vq, struct vq_chain *c)
{
	vq->free_slots[vq->nfree++] = c->slot;
}

/*
 * Makes an empty chain one of a single buffer inside one range, as most requests of a network card
 * are. False, and nothing is changed, if it is not that simple. `flags` are the descriptor's.
 */
static inline bool chain_single(
	const struct vq *vq, struct vq_chain *c, const struct desc *d, unsigned flags)
{
	uint64_t off = d->addr - vq->hot.gpa;
	bool write = flags & VIRTQ_DESC_F_WRITE;

	if (unlikely(flags & (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT) || !d->len ||
		     off >= vq->hot.size || d->len > vq->hot.size - off))
		return false;
	c->iov[0] = (struct iovec){ vq->hot.hva + off, d->len };
	c->n_in = write;
	c->n_out = !write;
	c->in_len = write ? d->len : 0;
	c->out_len = write ? 0 : d->len;
	return true;
}

/* A complete chain goes to the device. */
static inline void chain_out(struct vq *vq, struct vq_chain *c)
{
	busy_set(vq, c->id);
	if (vq->in_order)
		vq->order[vq->order_in++ & vq->order_mask] = c->slot;
}

/*
 * Appends a buffer. An empty one is legal (the standard does not forbid it) and adds nothing.
 * False: a rule is broken.
 */
static inline bool chain_add(struct vq *vq, struct vq_chain *c, const struct desc *d, bool write)
{
	uint32_t n = c->n_out + c->n_in;
	void *p;

	if (unlikely(!write && c->n_in))
		return vq_break(vq, "a device-readable buffer follows a device-writable one "
				    "(VIRTIO 1.4, 2.7.4.2, 2.8.17)");
	if (unlikely(!d->len))
		return true;
	if (unlikely(n == c->iov_cap) && !vq_chain_grow(vq, c))
		return false;
	p = vq_host(vq, d->addr, d->len);
	if (unlikely(!p))
		return vq_chain_add_pieces(vq, c, d, write);
	c->iov[n] = (struct iovec){ p, d->len };
	if (write) {
		c->n_in++;
		c->in_len += d->len;
	} else {
		c->n_out++;
		c->out_len += d->len;
	}
	return true;
}

/* The checks on a whole chain. */
static inline bool chain_check(struct vq *vq, const struct vq_chain *c)
{
	if (unlikely(c->out_len + c->in_len > UINT64_C(1) << 32))
		return vq_break(vq, "a chain is longer than 2^32 bytes (VIRTIO 1.4, 2.7.5.2)");
	return true;
}

/* The entries of an indirect table; NULL: a rule is broken. */
const struct vring_desc *vq_indirect_table(
	struct vq *vq, const struct desc *d, unsigned flags, uint32_t *count);

/* queue_split.c */

void vq_inflight_split_used(struct vq *vq, uint16_t head); /* inflight.c */

int vq_split_start(struct vq *vq, const struct vq_setup *setup, struct err *e);
int vq_split_pop(struct vq *vq, struct vq_chain **chains, unsigned max);
void vq_split_rewind(struct vq *vq, struct vq_chain *c);
void vq_split_show(struct vq *vq);
/* Shows what was used; true if the driver wants an interrupt for it. */
bool vq_split_flush(struct vq *vq);
void vq_split_enable_kick(struct vq *vq);
void vq_split_enable_kick_beyond(struct vq *vq);
bool vq_split_pending_beyond(struct vq *vq);
void vq_split_disable_kick(struct vq *vq);
bool vq_split_pending(struct vq *vq);
void vq_split_position(const struct vq *vq, uint16_t *avail, uint16_t *used);

/* Writes the used entry; not shown before vq_split_flush(). */
static inline void vq_split_use(struct vq *vq, const struct vq_chain *c)
{
	struct split_ring *r = &vq->split;
	uint64_t entry = htole64(c->id | (uint64_t)c->written << 32);

	memcpy(&r->used->ring[r->used_next++ & r->mask], &entry, sizeof(entry));
	if (unlikely(vq->inflight))
		vq_inflight_split_used(vq, c->id);
}

/* queue_packed.c */

int vq_packed_start(struct vq *vq, const struct vq_setup *setup, struct err *e);
int vq_packed_pop(struct vq *vq, struct vq_chain **chains, unsigned max);
void vq_packed_rewind(struct vq *vq, struct vq_chain *c);
void vq_packed_use(struct vq *vq, const struct vq_chain *c);
/* The same of each, and they are free again. */
void vq_packed_use_all(struct vq *vq, struct vq_chain *const *chains, unsigned n);
void vq_packed_show(struct vq *vq);
/* True if so much was shown that the driver is to be told before there is more. */
bool vq_packed_show_ends(const struct vq *vq);
bool vq_packed_flush(struct vq *vq);
void vq_packed_enable_kick(struct vq *vq);
void vq_packed_enable_kick_beyond(struct vq *vq);
bool vq_packed_pending_beyond(struct vq *vq);
void vq_packed_disable_kick(struct vq *vq);
bool vq_packed_pending(struct vq *vq);
void vq_packed_position(const struct vq *vq, uint16_t *avail, uint16_t *used);
/* For inflight.c: appends one descriptor to a chain; `n` is its place in the list. */
bool vq_packed_add(struct vq *vq, struct vq_chain *c, const struct desc *d, unsigned n);

/* inflight.c: the record. All cheap if there is none: callers look at vq->inflight first. */

int vq_inflight_start_split(struct vq *vq, struct err *e);
void vq_inflight_split_taken(struct vq *vq, uint16_t head);
void vq_inflight_split_rewound(struct vq *vq, uint16_t head);
/* used->idx has gone up by `n` to `idx`. */
void vq_inflight_split_shown(struct vq *vq, uint16_t n, uint16_t idx);

int vq_inflight_start_packed(struct vq *vq, struct err *e);
/* Records the next descriptor of a list that is being taken, the first one if c->ndesc is 0. */
bool vq_inflight_packed_desc(struct vq *vq, struct vq_chain *c, const struct desc *d);
void vq_inflight_packed_taken(struct vq *vq);
void vq_inflight_packed_rewound(struct vq *vq, const struct vq_chain *c);
/* Before and after the used descriptors become visible. */
void vq_inflight_packed_showing(struct vq *vq);
void vq_inflight_packed_shown(struct vq *vq);
/* Builds the chain of record entry `entry`. */
bool vq_inflight_packed_chain(struct vq *vq, struct vq_chain *c, uint16_t entry);
