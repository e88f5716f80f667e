/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The in-flight record of a queue (vhost-user, "Inflight I/O tracking"). The process may die
 * between any two instructions, so the order of the stores below is what it is all about; the steps
 * are those of the text. The memory belongs to the peer, who may write to it at any time: every
 * index in it is read once and then checked.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/util.h"
#include "virtio/queue_priv.h"

#define RECORD_VERSION 1u
#define RECORD_ALIGN   64u

struct state_split {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next; /* links the batch used last */
	uint64_t counter;
};

struct record_split {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct state_split desc[];
};

struct state_packed {
	uint8_t inflight;
	uint8_t padding;
	uint16_t next; /* links the free list and the entries of a descriptor list */
	uint16_t last;
	uint16_t num;
	uint64_t counter;
	uint16_t id;
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

/* One word, so that position and wrap counter change together. */
union positions {
	struct {
		uint16_t used_idx, old_used_idx;
		uint8_t used_wrap, old_used_wrap;
		uint8_t padding[2];
	};
	uint64_t word;
};

struct record_packed {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t free_head, old_free_head; /* desc_num ends the list */
	union positions pos;
	uint8_t padding[8];
	struct state_packed desc[];
};

_Static_assert(offsetof(struct record_split, desc) == 16, "vhost-user QueueRegionSplit");
_Static_assert(offsetof(struct record_packed, desc) == 32, "vhost-user QueueRegionPacked");
_Static_assert(sizeof(struct state_split) == 16, "vhost-user DescStateSplit");
_Static_assert(sizeof(struct state_packed) == 32, "vhost-user DescStatePacked");

#define DAMAGED "the in-flight record is damaged"

/* Stores before it come before those after it, as far as this process gets. */
static inline void in_this_order(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

uint64_t vq_inflight_size(uint16_t size, bool packed)
{
	uint64_t len = packed ? sizeof(struct record_packed) + sizeof(struct state_packed) * size
			      : sizeof(struct record_split) + sizeof(struct state_split) * size;

	return align_up(len, RECORD_ALIGN);
}

static int check_version(const struct vq *vq, uint16_t version, uint16_t desc_num, struct err *e)
{
	if (version != RECORD_VERSION || desc_num != vq->size)
		return err_set(e, -EINVAL,
			"in-flight record has version %u for %u descriptors, this queue needs "
			"version %u for %u",
			version, desc_num, RECORD_VERSION, vq->size);
	return 0;
}

/* Split. */

static int by_counter_split(const void *a, const void *b, void *arg)
{
	const struct record_split *rec = arg;
	uint64_t x = rec->desc[*(const uint16_t *)a].counter;
	uint64_t y = rec->desc[*(const uint16_t *)b].counter;

	return x < y ? -1 : x > y;
}

static void mark_batch_done(const struct vq *vq, struct record_split *rec, uint16_t n)
{
	uint16_t i = rec->last_batch_head;

	while (n-- && i < vq->size) {
		rec->desc[i].inflight = 0;
		i = rec->desc[i].next;
	}
}

int vq_inflight_start_split(struct vq *vq, struct err *e)
{
	struct record_split *rec = vq->inflight;
	uint16_t used = vq->split.used_next;
	int ret;

	if (!rec->version) {
		rec->desc_num = vq->size;
		rec->used_idx = used;
		in_this_order();
		rec->version = RECORD_VERSION;
		return 0;
	}
	ret = check_version(vq, rec->version, rec->desc_num, e);
	if (ret)
		return ret;
	if ((uint16_t)(used - rec->used_idx) > vq->size)
		return err_set(e, -EINVAL,
			"in-flight record ends at used index %u, the ring is at %u: it belongs to "
			"another life of the ring",
			rec->used_idx, used);
	mark_batch_done(vq, rec, (uint16_t)(used - rec->used_idx));
	in_this_order();
	rec->used_idx = used;

	for (uint16_t i = 0; i < vq->size; i++) {
		if (!rec->desc[i].inflight)
			continue;
		vq->resubmit[vq->nresubmit++] = i;
		busy_set(vq, i);
		vq->counter = max_u64(vq->counter, rec->desc[i].counter + 1);
	}
	qsort_r(vq->resubmit, vq->nresubmit, sizeof(*vq->resubmit), by_counter_split, rec);
	/* What was taken is what was used and what is in flight. */
	vq->split.last_avail = (uint16_t)(used + vq->nresubmit);
	return 0;
}

void vq_inflight_split_taken(struct vq *vq, uint16_t head)
{
	struct record_split *rec = vq->inflight;

	rec->desc[head].counter = vq->counter++;
	in_this_order();
	rec->desc[head].inflight = 1;
	in_this_order();
}

void vq_inflight_split_rewound(struct vq *vq, uint16_t head)
{
	struct record_split *rec = vq->inflight;

	rec->desc[head].inflight = 0;
}

void vq_inflight_split_used(struct vq *vq, uint16_t head)
{
	struct record_split *rec = vq->inflight;

	rec->desc[head].next = rec->last_batch_head;
	in_this_order();
	rec->last_batch_head = head;
	in_this_order();
}

void vq_inflight_split_shown(struct vq *vq, uint16_t n, uint16_t idx)
{
	struct record_split *rec = vq->inflight;

	in_this_order();
	mark_batch_done(vq, rec, n);
	in_this_order();
	rec->used_idx = idx;
}

/* Packed. */

static void set_positions(struct record_packed *rec, union positions pos)
{
	in_this_order();
	__atomic_store_n(&rec->pos.word, pos.word, __ATOMIC_RELAXED);
	in_this_order();
}

static int by_counter_packed(const void *a, const void *b, void *arg)
{
	const struct record_packed *rec = arg;
	uint64_t x = rec->desc[*(const uint16_t *)a].counter;
	uint64_t y = rec->desc[*(const uint16_t *)b].counter;

	return x < y ? -1 : x > y;
}

static void init_packed(struct vq *vq, struct record_packed *rec)
{
	union positions pos = { .word = 0 };

	pos.used_idx = vq->pack.used_pos;
	pos.used_wrap = vq->pack.used_wrap;
	pos.old_used_idx = pos.used_idx;
	pos.old_used_wrap = pos.used_wrap;
	rec->desc_num = vq->size;
	rec->free_head = 0;
	rec->old_free_head = 0;
	for (uint16_t i = 0; i < vq->size; i++)
		rec->desc[i].next = (uint16_t)(i + 1);
	set_positions(rec, pos);
	rec->version = RECORD_VERSION;
}

static uint16_t available_bits(bool wrap)
{
	return wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
}

/* Commits the update that was under way if the driver has seen it, or rolls it back: from the
 * positions `p`, which are in the ring, to those returned. */
static union positions settle(struct vq *vq, struct record_packed *rec, union positions p)
{
	const uint16_t bits = VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;
	uint16_t flags = ld16(desc_flags(&vq->pack.desc[p.old_used_idx]));
	bool moved = p.used_idx != p.old_used_idx || p.used_wrap != p.old_used_wrap;

	if (moved && (flags & bits) != available_bits(p.old_used_wrap)) {
		p.old_used_idx = p.used_idx;
		p.old_used_wrap = p.used_wrap;
		rec->old_free_head = rec->free_head;
	} else {
		p.used_idx = p.old_used_idx;
		p.used_wrap = p.old_used_wrap;
		rec->free_head = rec->old_free_head;
	}
	set_positions(rec, p);
	return p;
}

/* A field of the record, read once. */
static uint16_t once(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* The number of descriptors of the list at `entry` and its buffer id; 0: the record is damaged. */
static uint16_t list_id(
	const struct vq *vq, const struct record_packed *rec, uint16_t entry, uint16_t *id)
{
	uint16_t num = once(&rec->desc[entry].num), i = entry;

	if (!num || num > vq->size)
		return 0;
	for (uint16_t n = 1; n < num; n++) {
		i = once(&rec->desc[i].next);
		if (i >= vq->size)
			return 0;
	}
	*id = once(&rec->desc[i].id);
	return num;
}

/* Notes all lists in flight; `*ndesc` is how many ring descriptors they take. */
static int collect(struct vq *vq, struct record_packed *rec, unsigned *ndesc, struct err *e)
{
	*ndesc = 0;
	for (uint16_t i = 0; i < vq->size; i++) {
		uint16_t id, num;

		if (!rec->desc[i].inflight)
			continue;
		num = list_id(vq, rec, i, &id);
		*ndesc += num;
		if (!num || *ndesc > vq->size || busy_test(vq, id))
			return err_set(e, -EINVAL, DAMAGED ": entry %u makes no sense", i);
		vq->lists[i] = num;
		vq->resubmit[vq->nresubmit++] = i;
		busy_set(vq, id);
		vq->counter = max_u64(vq->counter, rec->desc[i].counter + 1);
	}
	qsort_r(vq->resubmit, vq->nresubmit, sizeof(*vq->resubmit), by_counter_packed, rec);
	return 0;
}

/* From the used position on `n` descriptors are in flight. A used flag among them, from a batch of
 * which the driver has not seen the start, must not show when the ring gets there. */
static void restore_ring(struct vq *vq, unsigned n)
{
	const uint16_t bits = VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;
	struct packed_ring *r = &vq->pack;

	r->avail_pos = r->used_pos;
	r->avail_wrap = r->used_wrap;
	while (n--) {
		le16 *flags = desc_flags(&r->desc[r->avail_pos]);

		st16(flags, (uint16_t)((ld16(flags) & ~bits) | available_bits(r->avail_wrap)));
		if (++r->avail_pos == vq->size) {
			r->avail_pos = 0;
			r->avail_wrap = !r->avail_wrap;
		}
	}
}

int vq_inflight_start_packed(struct vq *vq, struct err *e)
{
	struct record_packed *rec = vq->inflight;
	union positions p;
	unsigned ndesc;
	int ret;

	if (!rec->version) {
		init_packed(vq, rec);
		return 0;
	}
	ret = check_version(vq, rec->version, rec->desc_num, e);
	if (ret)
		return ret;
	/* Also where it came round to the start again, with the wrap counter as at first. */
	vq->resumed = true;
	p.word = __atomic_load_n(&rec->pos.word, __ATOMIC_RELAXED);
	if (p.used_idx >= vq->size || p.old_used_idx >= vq->size)
		return err_set(e, -EINVAL, DAMAGED ": used positions %u and %u of %u", p.used_idx,
			p.old_used_idx, vq->size);
	p = settle(vq, rec, p);
	for (uint16_t i = rec->free_head, n = 0; i < vq->size && n < vq->size; n++) {
		rec->desc[i].inflight = 0;
		i = rec->desc[i].next;
	}
	ret = collect(vq, rec, &ndesc, e);
	if (ret)
		return ret;
	vq->pack.used_pos = p.used_idx;
	vq->pack.used_wrap = p.used_wrap;
	restore_ring(vq, ndesc);
	vq->notify_late = true;
	return 0;
}

bool vq_inflight_packed_desc(struct vq *vq, struct vq_chain *c, const struct desc *d)
{
	struct record_packed *rec = vq->inflight;
	uint16_t at = rec->free_head;
	struct state_packed *s = &rec->desc[at];
	struct state_packed *head;

	if (at >= vq->size)
		return vq_break(vq, DAMAGED);
	if (!c->ndesc) {
		c->record = at;
		s->num = 0;
		s->counter = vq->counter++;
		in_this_order();
		s->inflight = 1;
	}
	head = &rec->desc[c->record];
	head->last = at;
	head->num++;
	s->addr = d->addr;
	s->len = d->len;
	s->flags = d->hi;
	s->id = d->lo;
	in_this_order();
	rec->free_head = s->next;
	return true;
}

void vq_inflight_packed_taken(struct vq *vq)
{
	struct record_packed *rec = vq->inflight;

	in_this_order();
	rec->old_free_head = rec->free_head;
	in_this_order();
}

/* Puts an entry's list in front of the free list. */
static void entry_free(const struct vq *vq, struct record_packed *rec, uint16_t entry)
{
	uint16_t last = rec->desc[entry].last;

	if (last >= vq->size)
		return;
	rec->desc[last].next = rec->free_head;
	in_this_order();
	rec->free_head = entry;
}

void vq_inflight_packed_rewound(struct vq *vq, const struct vq_chain *c)
{
	struct record_packed *rec = vq->inflight;

	entry_free(vq, rec, c->record);
	in_this_order();
	rec->old_free_head = rec->free_head;
	in_this_order();
	rec->desc[c->record].inflight = 0;
}

void vq_inflight_packed_showing(struct vq *vq)
{
	struct record_packed *rec = vq->inflight;
	union positions pos = rec->pos;

	for (unsigned i = 0; i < vq->nbatch && i < vq->size; i++)
		entry_free(vq, rec, vq->batch[i]);
	pos.used_idx = vq->pack.used_pos;
	pos.used_wrap = vq->pack.used_wrap;
	set_positions(rec, pos);
}

void vq_inflight_packed_shown(struct vq *vq)
{
	struct record_packed *rec = vq->inflight;
	union positions pos = rec->pos;

	in_this_order();
	for (unsigned i = 0; i < vq->nbatch && i < vq->size; i++)
		rec->desc[vq->batch[i]].inflight = 0;
	vq->nbatch = 0;
	rec->old_free_head = rec->free_head;
	pos.old_used_idx = pos.used_idx;
	pos.old_used_wrap = pos.used_wrap;
	set_positions(rec, pos);
}

bool vq_inflight_packed_chain(struct vq *vq, struct vq_chain *c, uint16_t entry)
{
	const struct record_packed *rec = vq->inflight;
	uint16_t num = vq->lists[entry], i = entry;

	for (c->ndesc = 0; c->ndesc < num; c->ndesc++) {
		const struct state_packed *s = &rec->desc[i];
		struct desc d = { s->addr, s->len, s->id, s->flags };

		if (!vq_packed_add(vq, c, &d, c->ndesc))
			return false;
		c->id = d.lo;
		i = once(&s->next);
		if (i >= vq->size && c->ndesc + 1 < num)
			return vq_break(vq, DAMAGED);
	}
	c->record = entry;
	return true;
}
