/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtqueues: what split and packed rings have in common. See queue.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"
#include "virtio/device.h"
#include "virtio/queue_priv.h"

/* More pieces than any chain of legal descriptors in a legal memory map can have. */
#define CHAIN_IOV_MAX (2 * VQ_SIZE_MAX)
/* Ranges of memory that an indirect table can lie across. */
#define TABLE_PIECES_MAX 8

void vq_ring_sizes(uint16_t size, bool packed, uint32_t *desc, uint32_t *driver, uint32_t *device)
{
	*desc = (uint32_t)sizeof(struct vring_desc) * size;
	*driver = packed ? (uint32_t)sizeof(struct vring_event) : 6u + 2u * size;
	*device = packed ? (uint32_t)sizeof(struct vring_event) : 6u + 8u * size;
}

int vq_create(struct vq **out)
{
	struct vq *vq = calloc(1, sizeof(*vq));

	if (!vq)
		return -ENOMEM;
	vq->call_fd = -1;
	*out = vq;
	return 0;
}

void vq_destroy(struct vq *vq)
{
	if (!vq)
		return;
	vq_stop(vq, NULL, NULL);
	free(vq);
}

static bool aligned(const void *p, uintptr_t to)
{
	return p && !((uintptr_t)p & (to - 1));
}

static int check_setup(const struct vq_setup *s, struct err *e)
{
	bool packed = s->features & FEATURE(VIRTIO_F_RING_PACKED);

	if (!s->size || s->size > VQ_SIZE_MAX || (!packed && !is_pow2(s->size)))
		return err_set(e, -EINVAL,
			"queue size %u: 1 to %u is allowed, for split rings a power of two",
			s->size, VQ_SIZE_MAX);
	if (!aligned(s->desc, 16) || !aligned(s->driver, packed ? 4 : 2) || !aligned(s->device, 4))
		return err_set(e, -EINVAL,
			"ring addresses are not aligned to 16, %d and 4 bytes "
			"(VIRTIO 1.4, 2.7, 2.8.10.1)",
			packed ? 4 : 2);
	if (s->inflight && s->inflight_len < vq_inflight_size(s->size, packed))
		return err_set(e, -EINVAL,
			"in-flight record of %llu bytes, a queue of %u entries needs %llu",
			(unsigned long long)s->inflight_len, s->size,
			(unsigned long long)vq_inflight_size(s->size, packed));
	return 0;
}

static void arrays_free(struct vq *vq)
{
	for (unsigned i = 0; vq->chains && i < vq->size; i++)
		if (vq->chains[i].iov_cap > CHAIN_IOV_INLINE)
			free(vq->chains[i].iov);
	free(vq->chains);
	free(vq->iov);
	free(vq->free_slots);
	free(vq->busy);
	free(vq->table);
	free(vq->order);
	free(vq->resubmit);
	free(vq->lists);
	free(vq->batch);
}

static int arrays_alloc(struct vq *vq)
{
	size_t n = vq->size, ids = vq->packed ? UINT16_MAX + 1 : n;
	size_t order = 1;

	while (order < n)
		order *= 2;
	vq->order_mask = (uint32_t)order - 1;
	vq->chains = calloc(n, sizeof(*vq->chains));
	vq->iov = calloc(n * CHAIN_IOV_INLINE, sizeof(*vq->iov));
	vq->free_slots = calloc(n, sizeof(*vq->free_slots));
	vq->busy = calloc(ids, sizeof(*vq->busy));
	if (vq->in_order)
		vq->order = calloc(order, sizeof(*vq->order));
	if (vq->inflight) {
		vq->resubmit = calloc(n, sizeof(*vq->resubmit));
		vq->lists = calloc(n, sizeof(*vq->lists));
		vq->batch = calloc(n, sizeof(*vq->batch));
	}
	if (!vq->chains || !vq->iov || !vq->free_slots || !vq->busy ||
		(vq->in_order && !vq->order) ||
		(vq->inflight && (!vq->resubmit || !vq->lists || !vq->batch)))
		return -ENOMEM;
	/* The lowest on top. */
	for (size_t i = 0; i < n; i++)
		vq->free_slots[i] = (uint16_t)(n - 1 - i);
	vq->nfree = (uint16_t)n;
	return 0;
}

static void forget(struct vq *vq)
{
	arrays_free(vq);
	*vq = (struct vq){ .call_fd = -1 };
}

static void position(const struct vq *vq, uint16_t *avail, uint16_t *used)
{
	if (vq->packed)
		vq_packed_position(vq, avail, used);
	else
		vq_split_position(vq, avail, used);
}

static bool is_fresh(const struct vq *vq)
{
	const uint16_t first = vq->packed ? 0x8000 : 0;
	uint16_t avail, used;

	position(vq, &avail, &used);
	return avail == first && used == first;
}

int vq_start(struct vq *vq, const struct vq_setup *s, struct err *e)
{
	int ret = check_setup(s, e);

	if (ret)
		return ret;
	if (vq->running)
		return err_set(e, -EBUSY, "the queue runs already");
	*vq = (struct vq){
		.packed = s->features & FEATURE(VIRTIO_F_RING_PACKED),
		.event_idx = s->features & FEATURE(VIRTIO_F_EVENT_IDX),
		.in_order = s->features & FEATURE(VIRTIO_F_IN_ORDER),
		.indirect = s->features & FEATURE(VIRTIO_F_INDIRECT_DESC),
		.size = s->size,
		.gm = s->gm,
		.call_fd = s->call_fd,
		.inflight = s->inflight,
	};
	ret = arrays_alloc(vq);
	if (ret)
		err_sys(e, ret, "memory for a queue of %u entries", s->size);
	else
		ret = vq->packed ? vq_packed_start(vq, s, e) : vq_split_start(vq, s, e);
	if (ret) {
		forget(vq);
		return ret;
	}
	vq->resumed |= !is_fresh(vq);
	vq->running = true;
	vq_set_enabled(vq, true);
	vq_enable_kick(vq);
	if (vq->notify_late)
		vq_signal(vq);
	return 0;
}

void vq_stop(struct vq *vq, uint16_t *avail_base, uint16_t *used_base)
{
	uint16_t avail = 0, used = 0;

	if (vq->running) {
		vq_flush(vq);
		position(vq, &avail, &used);
		forget(vq);
	}
	if (avail_base)
		*avail_base = avail;
	if (used_base)
		*used_base = used;
}

bool vq_running(const struct vq *vq)
{
	return vq->running;
}

bool vq_resumed(const struct vq *vq)
{
	return vq->resumed;
}

uint16_t vq_size(const struct vq *vq)
{
	return vq->size;
}

uint16_t vq_position(const struct vq *vq)
{
	uint16_t avail = 0, used;

	if (vq->running)
		position(vq, &avail, &used);
	return avail;
}

unsigned vq_outstanding(const struct vq *vq)
{
	return chains_out(vq);
}

const char *vq_broken(const struct vq *vq)
{
	return vq->broken;
}

void vq_set_broken(struct vq *vq, const char *rule)
{
	vq_break(vq, rule);
}

void vq_set_enabled(struct vq *vq, bool enabled)
{
	vq->enabled = enabled;
	vq->open = enabled && !vq->held;
}

void vq_hold(struct vq *vq, bool held)
{
	vq->held = held;
	vq->open = vq->enabled && !held;
}

bool vq_open(const struct vq *vq)
{
	return vq->open;
}

void vq_set_call_fd(struct vq *vq, int fd)
{
	vq->call_fd = fd;
	if (vq->running && vq->notify_late)
		vq_signal(vq);
}

/* False if nobody is there to be told. */
bool vq_signal(struct vq *vq)
{
	if (vq->call_fd < 0)
		return false;
	vq->notify_late = false;
	return !fd_event_signal(vq->call_fd);
}

void *vq_host_slow(struct vq *vq, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < vq->gm->n; i++) {
		const struct gm_region *r = &vq->gm->r[i];

		if (gpa < r->gpa || !range_in(gpa - r->gpa, len, r->size))
			continue;
		vq->hot.gpa = r->gpa;
		vq->hot.size = r->size;
		vq->hot.hva = r->hva;
		return r->hva + (gpa - r->gpa);
	}
	return NULL;
}

/* Doubles the room of a chain; it keeps it for its next use. */
bool vq_chain_grow(struct vq *vq, struct vq_chain *c)
{
	uint32_t cap = 2 * c->iov_cap;
	bool own = c->iov_cap > CHAIN_IOV_INLINE;
	struct iovec *iov;

	if (cap > CHAIN_IOV_MAX)
		return vq_break(vq, "a chain has more buffers than the device handles");
	iov = realloc(own ? c->iov : NULL, cap * sizeof(*iov));
	if (!iov)
		return vq_break(vq, "no memory to take a chain");
	if (!own)
		memcpy(iov, c->iov, c->iov_cap * sizeof(*iov));
	c->iov = iov;
	c->iov_cap = cap;
	return true;
}

/* A buffer that is not inside one range: across adjacent ones, or nowhere. */
bool vq_chain_add_pieces(struct vq *vq, struct vq_chain *c, const struct desc *d, bool write)
{
	uint32_t n = c->n_out + c->n_in;
	int pieces;

	for (;;) {
		pieces = gm_iov(vq->gm, d->addr, d->len, c->iov + n, c->iov_cap - n);
		if (pieces != -E2BIG)
			break;
		if (!vq_chain_grow(vq, c))
			return false;
	}
	if (pieces < 0)
		return vq_break(vq, "a buffer lies outside guest memory");
	if (write) {
		c->n_in += (uint32_t)pieces;
		c->in_len += d->len;
	} else {
		c->n_out += (uint32_t)pieces;
		c->out_len += d->len;
	}
	return true;
}

/*
 * A copy of an indirect table. For those that lie across ranges of memory, or not at a multiple of
 * 8: a table can be anywhere (2.7.5.3, 2.8.7).
 */
static const struct vring_desc *table_copy(struct vq *vq, const struct desc *d)
{
	const size_t max = sizeof(*vq->table) * max_u64(vq->size, INDIRECT_MAX);
	struct iovec pieces[TABLE_PIECES_MAX];
	uint8_t *to;
	int n;

	if (d->len > max) {
		vq_break(vq, "an indirect table is too long (VIRTIO 1.4, 2.7.5.3.1, 2.8.19)");
		return NULL;
	}
	n = gm_iov(vq->gm, d->addr, d->len, pieces, ARRAY_LEN(pieces));
	if (n < 0) {
		vq_break(vq, "an indirect table lies outside guest memory");
		return NULL;
	}
	if (!vq->table)
		vq->table = malloc(max);
	if (!vq->table) {
		vq_break(vq, "no memory to take a chain");
		return NULL;
	}
	to = (uint8_t *)vq->table;
	for (int i = 0; i < n; i++) {
		memcpy(to, pieces[i].iov_base, pieces[i].iov_len);
		to += pieces[i].iov_len;
	}
	return vq->table;
}

const struct vring_desc *vq_indirect_table(
	struct vq *vq, const struct desc *d, unsigned flags, uint32_t *count)
{
	const char *rule = NULL;
	const struct vring_desc *table;

	*count = d->len / (uint32_t)sizeof(*table);
	if (!vq->indirect)
		rule = "an indirect descriptor although INDIRECT_DESC was not negotiated "
		       "(VIRTIO 1.4, 2.7.5.3.1)";
	else if (flags & VIRTQ_DESC_F_NEXT)
		rule = "an indirect descriptor with NEXT (VIRTIO 1.4, 2.7.5.3.1, 2.8.19)";
	else if (!d->len || d->len % sizeof(*table))
		rule = "an indirect table whose length is not a multiple of 16 "
		       "(VIRTIO 1.4, 2.7.5.3)";
	if (rule) {
		vq_break(vq, rule);
		return NULL;
	}
	table = vq_host(vq, d->addr, d->len);
	return likely(aligned(table, 8)) ? table : table_copy(vq, d);
}

int vq_pop_batch(struct vq *vq, struct vq_chain **chains, unsigned max)
{
	int n;

	if (unlikely(vq->broken))
		return -EPROTO;
	if (unlikely(!vq->running || !vq->open))
		return 0;
	n = vq->packed ? vq_packed_pop(vq, chains, max) : vq_split_pop(vq, chains, max);
	return unlikely(vq->broken && !n) ? -EPROTO : n;
}

int vq_pop(struct vq *vq, struct vq_chain **chain)
{
	return vq_pop_batch(vq, chain, 1);
}

void vq_rewind(struct vq *vq, struct vq_chain *c)
{
	if (c->resubmitted)
		vq->next_resubmit--; /* stays busy */
	else
		busy_clear(vq, c->id);
	if (vq->packed)
		vq_packed_rewind(vq, c);
	else
		vq_split_rewind(vq, c);
	if (vq->in_order)
		vq->order_in--;
	chain_free(vq, c);
}

static inline void complete(struct vq *vq, struct vq_chain *c)
{
	if (vq->packed)
		vq_packed_use(vq, c);
	else
		vq_split_use(vq, c);
	busy_clear(vq, c->id);
	chain_free(vq, c);
}

/* Buffers are used in the order in which they were made available (VIRTIO 1.4, 2.7.9, 2.8.8). Each
 * gets its own used entry, so that none loses its length. */
static void complete_in_order(struct vq *vq, struct vq_chain *c)
{
	c->done = true;
	while (vq->order_out != vq->order_in) {
		struct vq_chain *first = &vq->chains[vq->order[vq->order_out & vq->order_mask]];

		if (!first->done)
			break;
		vq->order_out++;
		complete(vq, first);
	}
}

void vq_push(struct vq *vq, struct vq_chain *c, uint32_t written)
{
	c->written = written;
	if (unlikely(vq->in_order))
		complete_in_order(vq, c);
	else
		complete(vq, c);
}

/* vq_push() of many at once, for the ring and the features that most drivers use. */
static void use_all_split(struct vq *vq, struct vq_chain *const *chains, unsigned n)
{
	struct vring_used_elem *ring = vq->split.used->ring;
	uint16_t *free_slots = vq->free_slots + vq->nfree;
	const uint16_t mask = vq->split.mask;
	uint16_t next = vq->split.used_next;

	for (unsigned i = 0; i < n; i++) {
		uint64_t entry = htole64(chains[i]->id | (uint64_t)chains[i]->written << 32);

		memcpy(&ring[next++ & mask], &entry, sizeof(entry));
		busy_clear(vq, chains[i]->id);
		free_slots[i] = chains[i]->slot;
	}
	vq->split.used_next = next;
	vq->nfree = (uint16_t)(vq->nfree + n);
}

void vq_push_all(struct vq *vq, struct vq_chain *const *chains, unsigned n)
{
	if (unlikely(vq->in_order || vq->inflight))
		for (unsigned i = 0; i < n; i++)
			vq_push(vq, chains[i], chains[i]->written);
	else if (vq->packed)
		vq_packed_use_all(vq, chains, n);
	else
		use_all_split(vq, chains, n);
}

void vq_show(struct vq *vq)
{
	if (unlikely(!vq->running))
		return;
	if (!vq->packed)
		vq_split_show(vq);
	else if (unlikely(vq_packed_show_ends(vq)))
		vq_flush(vq);
	else
		vq_packed_show(vq);
}

void vq_flush(struct vq *vq)
{
	if (unlikely(!vq->running))
		return;
	if (vq->packed ? vq_packed_flush(vq) : vq_split_flush(vq))
		vq_signal(vq);
}

bool vq_pending(struct vq *vq)
{
	if (!vq->running || !vq->open || vq->broken)
		return false;
	if (vq->next_resubmit < vq->nresubmit)
		return true;
	return vq->packed ? vq_packed_pending(vq) : vq_split_pending(vq);
}

/* Has the driver not kick. */
static void suppress(struct vq *vq)
{
	if (vq->packed)
		vq_packed_disable_kick(vq);
	else
		vq_split_disable_kick(vq);
	vq->armed = false;
}

static void ask_kick(struct vq *vq)
{
	if (vq->packed)
		vq_packed_enable_kick(vq);
	else
		vq_split_enable_kick(vq);
	/* The wish before the look at the ring, or a request could come without a kick. */
	full_fence();
}

static void ask_kick_beyond(struct vq *vq)
{
	if (vq->packed)
		vq_packed_enable_kick_beyond(vq);
	else
		vq_split_enable_kick_beyond(vq);
	full_fence(); /* as in ask_kick() */
}

static bool pending_beyond(struct vq *vq)
{
	if (!vq->open || vq->broken)
		return false;
	return vq->packed ? vq_packed_pending_beyond(vq) : vq_split_pending_beyond(vq);
}

bool vq_enable_kick(struct vq *vq)
{
	if (!vq->running)
		return false;
	if (vq->polled)
		vq->wish = VQ_WISH_NEXT;
	else
		ask_kick(vq);
	return vq_pending(vq);
}

bool vq_enable_kick_beyond(struct vq *vq)
{
	if (!vq->running || !vq->open || vq->broken)
		return false;
	if (vq->polled)
		vq->wish = VQ_WISH_BEYOND;
	else
		ask_kick_beyond(vq);
	return pending_beyond(vq);
}

void vq_disable_kick(struct vq *vq)
{
	vq->wish = VQ_WISH_NONE;
	if (vq->running && (!vq->polled || vq->armed))
		suppress(vq);
}

void vq_set_polled(struct vq *vq)
{
	if (!vq->running)
		return;
	vq->polled = true;
	suppress(vq);
	vq->wish = VQ_WISH_NEXT;
}

/* True if what the device wants to hear of has happened. */
static bool wish_is_due(struct vq *vq)
{
	return vq->wish == VQ_WISH_NEXT ? vq_pending(vq) : pending_beyond(vq);
}

bool vq_take_kick(struct vq *vq)
{
	if (vq->wish == VQ_WISH_NONE || !wish_is_due(vq))
		return false;
	vq_disable_kick(vq);
	return true;
}

bool vq_arm_kick(struct vq *vq)
{
	if (vq->wish == VQ_WISH_NONE)
		return false;
	vq->armed = true;
	if (vq->wish == VQ_WISH_NEXT)
		ask_kick(vq);
	else
		ask_kick_beyond(vq);
	if (!wish_is_due(vq))
		return false;
	suppress(vq);
	return true;
}
