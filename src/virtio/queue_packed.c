/* SPDX-License-Identifier: BSD-3-Clause */
/* Packed virtqueues (VIRTIO 1.4, 2.8), device side. In a struct desc, `lo` is id and `hi` flags. */
#include <errno.h>

#include "virtio/queue_priv.h"

#define DESC_AHEAD (2 * CACHE_LINE) /* bytes of descriptors that are fetched before their turn */

/* A ring position as it travels: index and wrap counter. */
static uint16_t pack(uint16_t pos, bool wrap)
{
	return (uint16_t)(pos | (wrap ? WRAP_BIT : 0));
}

static void advance(const struct vq *vq, uint16_t *pos, bool *wrap, uint16_t by)
{
	if (*pos + by >= vq->size) {
		*pos = (uint16_t)(*pos + by - vq->size);
		*wrap = !*wrap;
	} else {
		*pos = (uint16_t)(*pos + by);
	}
}

/* Available under this wrap counter (2.8.1). */
static bool is_available(uint16_t flags, bool wrap)
{
	return !!(flags & VIRTQ_DESC_F_AVAIL) == wrap && !!(flags & VIRTQ_DESC_F_USED) != wrap;
}

int vq_packed_start(struct vq *vq, const struct vq_setup *s, struct err *e)
{
	struct packed_ring *r = &vq->pack;
	unsigned ahead;
	int ret;

	r->desc = s->desc;
	r->driver = s->driver;
	r->device = s->device;
	r->avail_pos = s->avail_base & (WRAP_BIT - 1);
	r->avail_wrap = s->avail_base & WRAP_BIT;
	r->used_pos = s->used_base & (WRAP_BIT - 1);
	r->used_wrap = s->used_base & WRAP_BIT;
	vq->notify_late = s->used_base != WRAP_BIT;
	if (vq->inflight) {
		ret = vq_inflight_start_packed(vq, e);
		if (ret)
			return ret;
	}
	/* How far available is ahead of used, in a ring of twice the size. */
	ahead = r->avail_pos + (r->avail_wrap != r->used_wrap ? vq->size : 0u) - r->used_pos;
	if (r->avail_pos >= s->size || r->used_pos >= s->size || ahead > s->size)
		return err_set(e, -EINVAL,
			"ring positions 0x%x (available) and 0x%x (used) do not go with queue "
			"size %u",
			pack(r->avail_pos, r->avail_wrap), pack(r->used_pos, r->used_wrap),
			s->size);
	r->in_use = (uint16_t)ahead;
	return 0;
}

void vq_packed_position(const struct vq *vq, uint16_t *avail, uint16_t *used)
{
	const struct packed_ring *r = &vq->pack;

	*avail = pack(r->avail_pos, r->avail_wrap);
	*used = pack(r->used_pos, r->used_wrap);
}

/* The entries of an indirect table just follow each other; only WRITE means something (2.8.7). */
static bool walk_table(struct vq *vq, struct vq_chain *c, const struct desc *head)
{
	uint32_t count;
	uint32_t limit = vq->size > INDIRECT_MAX ? vq->size : INDIRECT_MAX;
	const struct vring_desc *table = vq_indirect_table(vq, head, head->hi, &count);

	if (unlikely(!table))
		return false;
	if (unlikely(count > limit))
		return vq_break(vq, "an indirect table is too long (VIRTIO 1.4, 2.8.19)");
	for (uint32_t i = 0; i < count; i++) {
		struct desc d = desc_read(&table[i]);

		if (unlikely(!chain_add(vq, c, &d, d.hi & VIRTQ_DESC_F_WRITE)))
			return false;
	}
	return true;
}

bool vq_packed_add(struct vq *vq, struct vq_chain *c, const struct desc *d, unsigned n)
{
	if (d->hi & VIRTQ_DESC_F_INDIRECT) {
		if (unlikely(n))
			return vq_break(vq, "an indirect descriptor inside a descriptor list "
					    "(VIRTIO 1.4, 2.8.19)");
		return walk_table(vq, c, d);
	}
	return chain_add(vq, c, d, d->hi & VIRTQ_DESC_F_WRITE);
}

/* Reads the list that starts at *pos and moves on behind it. */
static bool walk(struct vq *vq, struct vq_chain *c, uint16_t *pos, bool *wrap)
{
	struct packed_ring *r = &vq->pack;
	uint16_t room = (uint16_t)(vq->size - r->in_use);
	struct desc d;

	c->ndesc = 0;
	chain_clear(c);
	do {
		if (unlikely(c->ndesc == room))
			return vq_break(vq, "a descriptor list runs into descriptors in flight "
					    "(VIRTIO 1.4, 2.8.17)");
		d = desc_read(&r->desc[*pos]);
		if (unlikely(c->ndesc && !is_available(d.hi, *wrap)))
			return vq_break(vq, "a descriptor inside a list is not available "
					    "(VIRTIO 1.4, 2.8.6, 2.8.17)");
		if (vq->inflight && !vq_inflight_packed_desc(vq, c, &d))
			return false;
		if (unlikely(!vq_packed_add(vq, c, &d, c->ndesc)))
			return false;
		c->ndesc++;
		advance(vq, pos, wrap, 1);
	} while (d.hi & VIRTQ_DESC_F_NEXT);
	c->id = d.lo;
	return chain_check(vq, c);
}

static bool id_ok(struct vq *vq, uint16_t id)
{
	if (unlikely(busy_test(vq, id)))
		return vq_break(vq, "a buffer id that is in flight was used again "
				    "(VIRTIO 1.4, 2.8.21.1)");
	return true;
}

/* The next list, complete and checked, or NULL. */
static struct vq_chain *take(struct vq *vq)
{
	struct packed_ring *r = &vq->pack;
	uint16_t pos = r->avail_pos;
	bool wrap = r->avail_wrap;
	struct vq_chain *c;

	if (unlikely(r->in_use == vq->size)) {
		vq_break(vq, "a descriptor in flight was made available again "
			     "(VIRTIO 1.4, 2.8.16)");
		return NULL;
	}
	c = chain_new(vq);
	if (unlikely(!walk(vq, c, &pos, &wrap) || !id_ok(vq, c->id))) {
		chain_free(vq, c);
		return NULL;
	}
	r->avail_pos = pos;
	r->avail_wrap = wrap;
	r->in_use = (uint16_t)(r->in_use + c->ndesc);
	if (vq->inflight)
		vq_inflight_packed_taken(vq);
	return c;
}

/* Requests of a former life come first; their descriptors count as in use already. */
static int pop_again(struct vq *vq, struct vq_chain **chains, unsigned max)
{
	unsigned n = 0;

	while (n < max && vq->next_resubmit < vq->nresubmit) {
		struct vq_chain *c = chain_new(vq);

		chain_clear(c);
		if (!vq_inflight_packed_chain(vq, c, vq->resubmit[vq->next_resubmit]) ||
			!chain_check(vq, c)) {
			chain_free(vq, c);
			break;
		}
		vq->next_resubmit++;
		c->resubmitted = true;
		chain_out(vq, c);
		chains[n++] = c;
	}
	return (int)n;
}

bool vq_packed_pending(struct vq *vq)
{
	struct packed_ring *r = &vq->pack;

	return is_available(ld16_acquire(desc_flags(&r->desc[r->avail_pos])), r->avail_wrap);
}

/*
 * Takes lists of one descriptor with a single buffer, as most of a network card are, until one is
 * anything else, which includes a broken rule: take() sees to that one. No further than to the end
 * of the ring.
 */
static inline unsigned pop_run(struct vq *vq, struct vq_chain **chains, unsigned max)
{
	const uint16_t bits = VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;
	struct packed_ring *r = &vq->pack;
	const uint16_t available = r->avail_wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
	const struct vring_desc *at = r->desc + r->avail_pos;
	const uint16_t *slot = vq->free_slots + vq->nfree;
	unsigned n;

	for (n = 0; n < max; n++) {
		const struct desc d = desc_read(at++);
		struct vq_chain *c;

		__builtin_prefetch((const void *)((uintptr_t)at + DESC_AHEAD));
		if ((d.hi & bits) != available || unlikely(busy_test(vq, d.lo)))
			break;
		c = chain_at(vq, *--slot);
		if (unlikely(!chain_single(vq, c, &d, d.hi)))
			break;
		c->id = d.lo;
		c->ndesc = 1;
		chain_out(vq, c);
		chains[n] = c;
	}
	vq->nfree = (uint16_t)(vq->nfree - n);
	r->in_use = (uint16_t)(r->in_use + n);
	advance(vq, &r->avail_pos, &r->avail_wrap, (uint16_t)n);
	return n;
}

static unsigned pop_singles(struct vq *vq, struct vq_chain **chains, unsigned max)
{
	unsigned to_end = vq->size - vq->pack.avail_pos;
	unsigned n = pop_run(vq, chains, (unsigned)min_u64(max, to_end));

	return n < to_end ? n : n + pop_run(vq, chains + n, max - n);
}

int vq_packed_pop(struct vq *vq, struct vq_chain **chains, unsigned max)
{
	struct packed_ring *r = &vq->pack;
	unsigned n = 0;

	if (unlikely(vq->next_resubmit < vq->nresubmit))
		return pop_again(vq, chains, max);
	if (likely(!vq->inflight))
		n = pop_singles(vq, chains, (unsigned)min_u64(max, vq->size - r->in_use));
	for (; n < max && vq_packed_pending(vq); n++) {
		struct vq_chain *c = take(vq);

		if (unlikely(!c))
			break;
		chain_out(vq, c);
		chains[n] = c;
	}
	if (n < max) {
		r->end_pos = r->avail_pos;
		r->end_wrap = r->avail_wrap;
	}
	return (int)n;
}

void vq_packed_rewind(struct vq *vq, struct vq_chain *c)
{
	struct packed_ring *r = &vq->pack;

	if (c->resubmitted)
		return;
	if (c->ndesc > r->avail_pos) {
		r->avail_pos = (uint16_t)(r->avail_pos + vq->size - c->ndesc);
		r->avail_wrap = !r->avail_wrap;
	} else {
		r->avail_pos = (uint16_t)(r->avail_pos - c->ndesc);
	}
	r->in_use = (uint16_t)(r->in_use - c->ndesc);
	if (vq->inflight)
		vq_inflight_packed_rewound(vq, c);
}

static inline void write_used(struct vring_desc *d, const struct vq_chain *c, uint16_t flags)
{
	uint64_t rest = c->written | (uint64_t)c->id << 32;

	__atomic_store_n(&d->rest, htole64(rest | (uint64_t)flags << 48), __ATOMIC_RELAXED);
}

/*
 * The driver looks at used descriptors in ring order, so the flags of the first one of a batch,
 * written last, show all of them.
 */
static inline void use(struct vq *vq, const struct vq_chain *c)
{
	struct packed_ring *r = &vq->pack;
	struct vring_desc *d = &r->desc[r->used_pos];
	uint16_t flags = (uint16_t)((r->used_wrap ? VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED : 0u) |
				    (c->written ? VIRTQ_DESC_F_WRITE : 0u));

	if (!r->pending) {
		r->pending = true;
		r->first_pos = r->used_pos;
		r->first_wrap = r->used_wrap;
		r->first_flags = flags;
		/* The old flags stay for now. */
		flags = ld16(desc_flags(d));
	}
	write_used(d, c, flags);
	advance(vq, &r->used_pos, &r->used_wrap, c->ndesc);
	r->ntold = (uint16_t)(r->ntold + c->ndesc);
	r->in_use = (uint16_t)(r->in_use - c->ndesc);
	if (vq->inflight)
		vq->batch[vq->nbatch++ % vq->size] = c->record;
}

void vq_packed_use(struct vq *vq, const struct vq_chain *c)
{
	use(vq, c);
}

/* As use() of each, with what it keeps in the queue kept in registers. */
void vq_packed_use_all(struct vq *vq, struct vq_chain *const *chains, unsigned n)
{
	const uint16_t wrapped = VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED, size = vq->size;
	struct packed_ring *r = &vq->pack;
	uint16_t *free_slots = vq->free_slots + vq->nfree;
	struct vring_desc *desc = r->desc;
	uint16_t pos, used, told = 0;

	for (unsigned i = 0; i < n; i++) {
		busy_clear(vq, chains[i]->id);
		free_slots[i] = chains[i]->slot;
	}
	vq->nfree = (uint16_t)(vq->nfree + n);
	if (!r->pending && n) {
		use(vq, *chains++);
		n--;
	}
	pos = r->used_pos;
	used = r->used_wrap ? wrapped : 0;
	for (unsigned i = 0; i < n; i++) {
		const struct vq_chain *c = chains[i];

		write_used(
			&desc[pos], c, (uint16_t)(used | (c->written ? VIRTQ_DESC_F_WRITE : 0u)));
		told = (uint16_t)(told + c->ndesc);
		if (pos + c->ndesc >= size) {
			pos = (uint16_t)(pos + c->ndesc - size);
			used ^= wrapped;
		} else {
			pos = (uint16_t)(pos + c->ndesc);
		}
	}
	r->used_pos = pos;
	r->used_wrap = used;
	r->ntold = (uint16_t)(r->ntold + told);
	r->in_use = (uint16_t)(r->in_use - told);
}

/* True if the driver wants an interrupt for the use of [old, r->used_pos). */
static bool wants_interrupt(const struct vq *vq, uint16_t old, bool old_wrap)
{
	const struct packed_ring *r = &vq->pack;
	uint32_t word = le32toh(__atomic_load_n((le32 *)(void *)r->driver, __ATOMIC_ACQUIRE));
	uint16_t off = word & (WRAP_BIT - 1), flags = word >> 16 & 3;
	bool wrap = word & WRAP_BIT;

	if (flags != RING_EVENT_FLAGS_DESC || !vq->event_idx)
		return flags != RING_EVENT_FLAGS_DISABLE;
	/* Seen from used_pos, what is before the last wrap is negative. */
	if (wrap != r->used_wrap)
		off = (uint16_t)(off - vq->size);
	if (old_wrap != r->used_wrap)
		old = (uint16_t)(old - vq->size);
	return event_passed(off, r->used_pos, old);
}

void vq_packed_show(struct vq *vq)
{
	struct packed_ring *r = &vq->pack;

	if (!r->pending)
		return;
	r->pending = false;
	if (!r->untold) {
		r->untold = true;
		r->told_pos = r->first_pos;
		r->told_wrap = r->first_wrap;
	}
	if (vq->inflight)
		vq_inflight_packed_showing(vq);
	st16_release(desc_flags(&r->desc[r->first_pos]), r->first_flags);
	if (vq->inflight)
		vq_inflight_packed_shown(vq);
}

/* The question whether to interrupt is about less than a round of the ring. */
bool vq_packed_show_ends(const struct vq *vq)
{
	return vq->pack.ntold > vq->size / 2;
}

bool vq_packed_flush(struct vq *vq)
{
	struct packed_ring *r = &vq->pack;

	vq_packed_show(vq);
	if (!r->untold)
		return false;
	r->untold = false;
	r->ntold = 0;
	/* The flags before the question whether to interrupt (2.8.22). */
	full_fence();
	return wants_interrupt(vq, r->told_pos, r->told_wrap);
}

void vq_packed_enable_kick(struct vq *vq)
{
	struct packed_ring *r = &vq->pack;

	if (!vq->event_idx) {
		st16(&r->device->flags, RING_EVENT_FLAGS_ENABLE);
		return;
	}
	st16(&r->device->off_wrap, pack(r->avail_pos, r->avail_wrap));
	st16_release(&r->device->flags, RING_EVENT_FLAGS_DESC);
}

/* Every list, since the place of the first one unseen may be anywhere behind those put back. */
void vq_packed_enable_kick_beyond(struct vq *vq)
{
	st16(&vq->pack.device->flags, RING_EVENT_FLAGS_ENABLE);
}

bool vq_packed_pending_beyond(struct vq *vq)
{
	struct packed_ring *r = &vq->pack;

	return is_available(ld16_acquire(desc_flags(&r->desc[r->end_pos])), r->end_wrap);
}

void vq_packed_disable_kick(struct vq *vq)
{
	st16(&vq->pack.device->flags, RING_EVENT_FLAGS_DISABLE);
}
