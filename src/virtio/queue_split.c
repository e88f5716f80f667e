/* SPDX-License-Identifier: BSD-3-Clause */
/* Split virtqueues (VIRTIO 1.4, 2.7), device side. */
#include <errno.h>

#include "virtio/queue_priv.h"

int vq_split_start(struct vq *vq, const struct vq_setup *s, struct err *e)
{
	struct split_ring *r = &vq->split;
	uint16_t used;
	int ret;

	r->desc = s->desc;
	r->avail = s->driver;
	r->used = s->device;
	r->mask = (uint16_t)(s->size - 1);
	used = ld16(&r->used->idx);
	r->last_avail = s->avail_base;
	r->used_next = used;
	r->used_shown = used;
	r->used_told = used;
	if (vq->inflight) {
		ret = vq_inflight_start_split(vq, e);
		if (ret)
			return ret;
	}
	if ((uint16_t)(r->last_avail - used) > s->size)
		return err_set(e, -EINVAL,
			"position %u of the available ring does not go with used index %u and "
			"queue size %u",
			r->last_avail, used, s->size);
	r->shadow_avail = r->last_avail;
	vq->notify_late = used != 0;
	return 0;
}

void vq_split_position(const struct vq *vq, uint16_t *avail, uint16_t *used)
{
	*avail = vq->split.last_avail;
	*used = vq->split.used_shown;
}

/* Looks for new entries; true if there are any. The index is read before the entries it covers. */
static bool look(struct vq *vq)
{
	struct split_ring *r = &vq->split;
	uint16_t idx = ld16_acquire(&r->avail->idx);

	if (idx == r->last_avail)
		return false;
	/* Neither backwards nor over entries whose use the driver has not yet seen. */
	if (unlikely((uint16_t)(idx - r->last_avail) > vq->size ||
		     (uint16_t)(idx - r->used_shown) > vq->size))
		return vq_break(vq, "the available index jumps by more than the queue size "
				    "(VIRTIO 1.4, 2.7.6.1, 2.7.13)");
	r->shadow_avail = idx;
	return true;
}

/* Follows a chain inside an indirect table; `taken` entries of the limit are used up. */
static bool walk_table(struct vq *vq, struct vq_chain *c, const struct desc *head, uint32_t taken)
{
	uint32_t count, i = 0;
	uint32_t limit = vq->size > INDIRECT_MAX ? vq->size : INDIRECT_MAX;
	const struct vring_desc *table = vq_indirect_table(vq, head, head->lo, &count);

	if (unlikely(!table))
		return false;
	for (uint32_t n = 1;; n++) {
		struct desc d;

		if (unlikely(i >= count))
			return vq_break(vq, "next leads out of the indirect table "
					    "(VIRTIO 1.4, 2.7.5.3)");
		if (unlikely(n > count || n + taken > limit))
			return vq_break(vq, "a chain in an indirect table loops or is too long "
					    "(VIRTIO 1.4, 2.7.5.3.1)");
		d = desc_read(&table[i]);
		if (unlikely(d.lo & VIRTQ_DESC_F_INDIRECT))
			return vq_break(vq, "an indirect descriptor inside an indirect table "
					    "(VIRTIO 1.4, 2.7.5.3.1)");
		if (unlikely(!chain_add(vq, c, &d, d.lo & VIRTQ_DESC_F_WRITE)))
			return false;
		if (!(d.lo & VIRTQ_DESC_F_NEXT))
			return true;
		i = d.hi;
	}
}

/* Follows the chain that starts at descriptor `i`. A function of its own, so that the way of simple
 * requests stays short. */
static __attribute__((noinline)) bool walk(struct vq *vq, struct vq_chain *c, uint16_t i)
{
	for (uint32_t n = 0;; n++) {
		struct desc d;

		if (unlikely(i >= vq->size))
			return vq_break(vq, "next leads out of the descriptor table "
					    "(VIRTIO 1.4, 2.7.5)");
		if (unlikely(n == vq->size))
			return vq_break(vq, "a chain loops (VIRTIO 1.4, 2.7.5.2)");
		d = desc_read(&vq->split.desc[i]);
		if (d.lo & VIRTQ_DESC_F_INDIRECT)
			return walk_table(vq, c, &d, n);
		if (unlikely(!chain_add(vq, c, &d, d.lo & VIRTQ_DESC_F_WRITE)))
			return false;
		if (!(d.lo & VIRTQ_DESC_F_NEXT))
			return true;
		i = d.hi;
	}
}

static bool head_ok(struct vq *vq, uint16_t head)
{
	if (unlikely(head >= vq->size))
		return vq_break(vq, "a head in the available ring is not below the queue size "
				    "(VIRTIO 1.4, 2.7.6)");
	if (unlikely(busy_test(vq, head)))
		return vq_break(vq, "a chain that is in flight was made available again "
				    "(VIRTIO 1.4, 2.7.13)");
	return true;
}

/* The chain at `head`, complete and checked, or NULL. */
static inline struct vq_chain *take(struct vq *vq, uint16_t head)
{
	const struct desc d = desc_read(&vq->split.desc[head]);
	struct vq_chain *c = chain_new(vq);

	c->id = head;
	c->ndesc = 1;
	if (likely(chain_single(vq, c, &d, d.lo)))
		return c;
	chain_clear(c);
	if (likely(walk(vq, c, head) && chain_check(vq, c)))
		return c;
	chain_free(vq, c);
	return NULL;
}

/* Requests of a former life come first. */
static int pop_again(struct vq *vq, struct vq_chain **chains, unsigned max)
{
	unsigned n = 0;

	while (n < max && vq->next_resubmit < vq->nresubmit) {
		struct vq_chain *c = take(vq, vq->resubmit[vq->next_resubmit]);

		if (!c)
			break;
		vq->next_resubmit++;
		c->resubmitted = true;
		chain_out(vq, c);
		chains[n++] = c;
	}
	return (int)n;
}

/*
 * Takes requests of a single buffer, as most of a network card are, until one is anything else,
 * which includes a broken rule: take() sees to that one.
 */
static inline unsigned pop_singles(struct vq *vq, struct vq_chain **chains, unsigned max)
{
	struct split_ring *r = &vq->split;
	const le16 *ring = r->avail->ring;
	const struct vring_desc *desc = r->desc;
	const uint16_t *free_slots = vq->free_slots + vq->nfree;
	const uint16_t mask = r->mask;
	uint16_t at = r->last_avail;
	unsigned n;

	for (n = 0; n < max; n++, at++) {
		uint16_t head = ld16(&ring[at & mask]);
		struct vq_chain *c;
		struct desc d;

		if (unlikely(head > mask || busy_test(vq, head)))
			break;
		d = desc_read(&desc[head]);
		c = chain_at(vq, free_slots[-1 - (int)n]);
		if (unlikely(!chain_single(vq, c, &d, d.lo)))
			break;
		c->id = head;
		c->ndesc = 1;
		chain_out(vq, c);
		chains[n] = c;
	}
	r->last_avail = at;
	vq->nfree = (uint16_t)(vq->nfree - n);
	return n;
}

/* Takes one request of any kind; false: a rule is broken. */
static bool pop_one(struct vq *vq, struct vq_chain **chain)
{
	struct split_ring *r = &vq->split;
	uint16_t head = ld16(&r->avail->ring[r->last_avail & r->mask]);

	*chain = head_ok(vq, head) ? take(vq, head) : NULL;
	if (unlikely(!*chain))
		return false;
	if (vq->inflight)
		vq_inflight_split_taken(vq, head);
	r->last_avail++;
	chain_out(vq, *chain);
	return true;
}

/* How many requests there are; looks for more if it knows of none. */
static inline unsigned ready(struct vq *vq)
{
	struct split_ring *r = &vq->split;

	if (r->last_avail == r->shadow_avail && !look(vq))
		return 0;
	return (uint16_t)(r->shadow_avail - r->last_avail);
}

int vq_split_pop(struct vq *vq, struct vq_chain **chains, unsigned max)
{
	unsigned n = 0, there;

	if (unlikely(vq->next_resubmit < vq->nresubmit))
		return pop_again(vq, chains, max);
	while (n < max && (there = ready(vq))) {
		unsigned end = n + (unsigned)min_u64(there, max - n);

		if (likely(!vq->inflight))
			n += pop_singles(vq, chains + n, end - n);
		if (unlikely(n < end)) {
			if (!pop_one(vq, &chains[n]))
				break;
			n++;
		}
	}
	return (int)n;
}

void vq_split_rewind(struct vq *vq, struct vq_chain *c)
{
	if (c->resubmitted)
		return;
	vq->split.last_avail--;
	if (vq->inflight)
		vq_inflight_split_rewound(vq, c->id);
}

void vq_split_show(struct vq *vq)
{
	struct split_ring *r = &vq->split;
	uint16_t old = r->used_shown;

	if (old == r->used_next)
		return;
	st16_release(&r->used->idx, r->used_next);
	r->used_shown = r->used_next;
	if (vq->inflight)
		vq_inflight_split_shown(vq, (uint16_t)(r->used_next - old), r->used_next);
}

bool vq_split_flush(struct vq *vq)
{
	struct split_ring *r = &vq->split;
	uint16_t old = r->used_told;

	if (old == r->used_next)
		return false;
	vq_split_show(vq);
	r->used_told = r->used_next;
	/* The index before the question whether to interrupt (2.7.7.2). */
	full_fence();
	if (vq->event_idx)
		return event_passed(ld16(&r->avail->ring[vq->size]), r->used_next, old);
	return !(ld16(&r->avail->flags) & VIRTQ_AVAIL_F_NO_INTERRUPT);
}

void vq_split_enable_kick(struct vq *vq)
{
	struct split_ring *r = &vq->split;

	if (vq->event_idx)
		st16((le16 *)(void *)&r->used->ring[vq->size], r->last_avail);
	st16(&r->used->flags, 0);
}

void vq_split_enable_kick_beyond(struct vq *vq)
{
	struct split_ring *r = &vq->split;

	if (vq->event_idx)
		st16((le16 *)(void *)&r->used->ring[vq->size], r->shadow_avail);
	st16(&r->used->flags, 0);
}

bool vq_split_pending_beyond(struct vq *vq)
{
	return ld16_acquire(&vq->split.avail->idx) != vq->split.shadow_avail;
}

void vq_split_disable_kick(struct vq *vq)
{
	struct split_ring *r = &vq->split;

	/* With EVENT_IDX an avail_event that stays behind says the same, and flags must be 0. For a
	 * polled queue it is put behind, once for 65535 requests. */
	if (!vq->event_idx)
		st16(&r->used->flags, VIRTQ_USED_F_NO_NOTIFY);
	else if (vq->polled)
		st16((le16 *)(void *)&r->used->ring[vq->size], (uint16_t)(r->last_avail - 1));
}

bool vq_split_pending(struct vq *vq)
{
	return ld16_acquire(&vq->split.avail->idx) != vq->split.last_avail;
}
