/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtqueues, driver side. See ring.h. */
#include "ring.h"

#define RING_SIZE_MAX 32768u

/* True if moving an index from `old` to `idx` passed the entry `event` (2.7.7, 2.8.10). */
static bool passed(uint16_t event, uint16_t idx, uint16_t old)
{
	return (uint16_t)(idx - event - 1) < (uint16_t)(idx - old);
}

static struct drv_packed_desc *packed_desc(const struct drv_ring *r, uint16_t i)
{
	return (struct drv_packed_desc *)r->desc + i;
}

static struct drv_split_desc *split_desc(const struct drv_ring *r, uint16_t i)
{
	return (struct drv_split_desc *)r->desc + i;
}

void drv_ring_sizes(uint16_t size, bool packed, uint32_t *desc, uint32_t *driver, uint32_t *device)
{
	*desc = 16u * size;
	*driver = packed ? 4u : 6u + 2u * size;
	*device = packed ? 4u : 6u + 8u * size;
}

size_t drv_ring_state_size(uint16_t size)
{
	return size * (sizeof(struct drv_slot) + sizeof(uint16_t));
}

int drv_ring_init(struct drv_ring *r, const struct drv_ring_config *c)
{
	bool packed = c->features >> VIRTIO_F_RING_PACKED & 1;
	uint32_t desc_len, driver_len, device_len;

	if (!c->size || c->size > RING_SIZE_MAX || (!packed && (c->size & (c->size - 1))))
		return DRV_INVALID;
	*r = (struct drv_ring){ 0 };
	r->size = c->size;
	r->nfree = c->size;
	r->packed = packed;
	r->event_idx = c->features >> VIRTIO_F_EVENT_IDX & 1;
	r->in_order = c->features >> VIRTIO_F_IN_ORDER & 1;
	r->desc = c->desc;
	r->driver = c->driver;
	r->device = c->device;
	r->avail_wrap = true;
	r->used_wrap = true;
	if (c->features >> VIRTIO_F_INDIRECT_DESC & 1 && c->tables) {
		r->tables = c->tables;
		r->tables_addr = c->tables_addr;
		r->table_len = c->table_len;
	}

	drv_ring_sizes(c->size, packed, &desc_len, &driver_len, &device_len);
	__builtin_memset(c->desc, 0, desc_len);
	__builtin_memset(c->driver, 0, driver_len);
	__builtin_memset(c->device, 0, device_len);
	__builtin_memset(c->state, 0, drv_ring_state_size(c->size));
	r->slots = c->state;
	r->order = (uint16_t *)(void *)(r->slots + c->size);
	for (unsigned i = 0; i < c->size; i++)
		r->slots[i].next = (uint16_t)((i + 1) % c->size);
	return 0;
}

uint64_t drv_addr(const struct drv_map *maps, unsigned n, const void *p, size_t len)
{
	for (unsigned i = 0; i < n; i++) {
		uintptr_t off = (uintptr_t)p - (uintptr_t)maps[i].base;

		if (off <= maps[i].len && len <= maps[i].len - off)
			return maps[i].addr + off;
	}
	return UINT64_MAX;
}

/* Notes a buffer that is about to be offered under `id`. */
static void slot_take(
	struct drv_ring *r, uint16_t id, uint16_t ndesc, uint32_t in_len, void *cookie)
{
	struct drv_slot *s = &r->slots[id];

	s->cookie = cookie;
	s->in_len = in_len;
	s->ndesc = ndesc;
	r->nfree = (uint16_t)(r->nfree - ndesc);
	r->outstanding++;
	if (r->in_order) {
		r->order[r->order_in] = id;
		r->order_in = r->order_in + 1u == r->size ? 0 : (uint16_t)(r->order_in + 1);
	}
}

static uint32_t writable_len(const struct drv_sg *sg, unsigned n_out, unsigned n)
{
	uint64_t len = 0;

	for (unsigned i = n_out; i < n; i++)
		len += sg[i].len;
	return len > UINT32_MAX ? UINT32_MAX : (uint32_t)len;
}

static bool use_table(const struct drv_ring *r, unsigned n)
{
	return n > 1 && n <= r->table_len;
}

/* Both layouts of a table: in split ones NEXT links the entries, in packed ones they just follow
 * each other. Returns the device address. */
static uint64_t table_fill(
	struct drv_ring *r, uint16_t id, const struct drv_sg *sg, unsigned n_out, unsigned n)
{
	size_t first = (size_t)id * r->table_len;
	struct drv_split_desc *t = (struct drv_split_desc *)r->tables + first;

	for (unsigned i = 0; i < n; i++) {
		uint16_t flags = i < n_out ? 0 : VIRTQ_DESC_F_WRITE;

		t[i].addr = sg[i].addr;
		t[i].len = sg[i].len;
		if (r->packed) {
			/* id and flags are the other way round there. */
			t[i].flags = 0;
			t[i].next = flags;
		} else {
			t[i].flags = (uint16_t)(flags | (i + 1 < n ? VIRTQ_DESC_F_NEXT : 0));
			t[i].next = (uint16_t)(i + 1 < n ? i + 1 : 0);
		}
	}
	return r->tables_addr + first * sizeof(*t);
}

static void split_add_chain(struct drv_ring *r, const struct drv_sg *sg, unsigned n_out, unsigned n)
{
	uint16_t head = r->free_head, i = head;

	for (unsigned k = 0; k < n; k++) {
		struct drv_split_desc *d = split_desc(r, i);
		bool last = k + 1 == n;

		d->addr = sg[k].addr;
		d->len = sg[k].len;
		d->flags = (uint16_t)((k < n_out ? 0 : VIRTQ_DESC_F_WRITE) |
				      (last ? 0 : VIRTQ_DESC_F_NEXT));
		d->next = last ? 0 : r->slots[i].next;
		r->slots[head].tail = i;
		i = r->slots[i].next;
	}
	r->free_head = i;
}

static int split_add(
	struct drv_ring *r, const struct drv_sg *sg, unsigned n_out, unsigned n, void *cookie)
{
	bool table = use_table(r, n);
	uint16_t ndesc = table ? 1 : (uint16_t)n;
	uint16_t head = r->free_head;

	if (ndesc > r->nfree)
		return DRV_FULL;
	if (table) {
		struct drv_sg t = { table_fill(r, head, sg, n_out, n), 16 * n };

		split_add_chain(r, &t, 1, 1);
		split_desc(r, head)->flags = VIRTQ_DESC_F_INDIRECT;
	} else {
		split_add_chain(r, sg, n_out, n);
	}
	slot_take(r, head, ndesc, writable_len(sg, n_out, n), cookie);
	drv_raw_avail(r)->ring[r->next_avail++ & (r->size - 1)] = head;
	return 0;
}

/* Writes one descriptor at the position to come. The first one since the last publication keeps its
 * old flags until drv_ring_publish(), which thereby shows all of them at once. */
static void packed_put(struct drv_ring *r, const struct drv_sg *sg, uint16_t id, unsigned flags)
{
	struct drv_packed_desc *d = packed_desc(r, r->next_avail);
	uint16_t f = (uint16_t)(flags | drv_raw_avail_flags(r->avail_wrap));

	d->addr = sg->addr;
	d->len = sg->len;
	d->id = id;
	if (r->pending) {
		__atomic_store_n(&d->flags, f, __ATOMIC_RELAXED);
	} else {
		r->pending = true;
		r->published = r->next_avail;
		r->head_flags = f;
		r->head_wrap = r->avail_wrap;
	}
	if (++r->next_avail == r->size) {
		r->next_avail = 0;
		r->avail_wrap = !r->avail_wrap;
	}
}

static int packed_add(
	struct drv_ring *r, const struct drv_sg *sg, unsigned n_out, unsigned n, void *cookie)
{
	bool table = use_table(r, n);
	uint16_t ndesc = table ? 1 : (uint16_t)n;
	uint16_t id = r->free_head;

	if (ndesc > r->nfree)
		return DRV_FULL;
	r->free_head = r->slots[id].next;
	if (table) {
		struct drv_sg t = { table_fill(r, id, sg, n_out, n), 16 * n };

		packed_put(r, &t, id, VIRTQ_DESC_F_INDIRECT);
	}
	for (unsigned k = 0; k < n && !table; k++)
		packed_put(r, &sg[k], id,
			(k < n_out ? 0 : VIRTQ_DESC_F_WRITE) | (k + 1 < n ? VIRTQ_DESC_F_NEXT : 0));
	slot_take(r, id, ndesc, writable_len(sg, n_out, n), cookie);
	return 0;
}

int drv_ring_add(
	struct drv_ring *r, const struct drv_sg *sg, unsigned n_out, unsigned n_in, void *cookie)
{
	unsigned n = n_out + n_in;

	if (!n || n < n_out || (n > r->size && !use_table(r, n)))
		return DRV_INVALID;
	if (r->broken)
		return DRV_BROKEN;
	return r->packed ? packed_add(r, sg, n_out, n, cookie) : split_add(r, sg, n_out, n, cookie);
}

static bool split_publish(struct drv_ring *r)
{
	uint16_t old = r->published;

	if (old == r->next_avail)
		return false;
	r->published = r->next_avail;
	__atomic_store_n(&drv_raw_avail(r)->idx, r->next_avail, __ATOMIC_RELEASE);
	/* The index before the question whether to notify (2.7.13.4.1). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (r->event_idx)
		return passed(__atomic_load_n(drv_raw_avail_event(r), __ATOMIC_RELAXED),
			r->next_avail, old);
	return !(__atomic_load_n(&drv_raw_used(r)->flags, __ATOMIC_RELAXED) &
		 VIRTQ_USED_F_NO_NOTIFY);
}

/* True if an event word asks for a notification about positions [old, now). */
static bool packed_wants(const struct drv_ring *r, uint32_t word, uint16_t old, bool old_wrap)
{
	uint16_t off = word & 0x7fff, now = r->next_avail;
	bool wrap = word >> 15 & 1;
	unsigned flags = word >> 16 & 3;

	if (flags != RING_EVENT_FLAGS_DESC || !r->event_idx)
		return flags != RING_EVENT_FLAGS_DISABLE;
	if (wrap != r->avail_wrap)
		off = (uint16_t)(off - r->size);
	if (old_wrap != r->avail_wrap)
		old = (uint16_t)(old - r->size);
	return passed(off, now, old);
}

static bool packed_publish(struct drv_ring *r)
{
	uint32_t word;

	if (!r->pending)
		return false;
	r->pending = false;
	__atomic_store_n(&packed_desc(r, r->published)->flags, r->head_flags, __ATOMIC_RELEASE);
	/* The flags before the question whether to notify (2.8.21.3.1). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	word = __atomic_load_n((uint32_t *)r->device, __ATOMIC_ACQUIRE);
	return packed_wants(r, word, r->published, r->head_wrap);
}

bool drv_ring_publish(struct drv_ring *r)
{
	return r->packed ? packed_publish(r) : split_publish(r);
}

static int broken(struct drv_ring *r)
{
	r->broken = true;
	return DRV_BROKEN;
}

static bool split_used(const struct drv_ring *r)
{
	const struct drv_used *u = r->device;

	return __atomic_load_n(&u->idx, __ATOMIC_ACQUIRE) != r->next_used;
}

static bool packed_used(const struct drv_ring *r)
{
	uint16_t f = __atomic_load_n(&packed_desc(r, r->next_used)->flags, __ATOMIC_ACQUIRE);
	bool avail = f & VIRTQ_DESC_F_AVAIL, used = f & VIRTQ_DESC_F_USED;

	return avail == used && used == r->used_wrap;
}

bool drv_ring_used(const struct drv_ring *r)
{
	if (r->in_batch)
		return true;
	return r->packed ? packed_used(r) : split_used(r);
}

/* Reads the used entry at the current position. */
static void read_used(const struct drv_ring *r, uint32_t *id, uint32_t *len)
{
	if (r->packed) {
		const struct drv_packed_desc *d = packed_desc(r, r->next_used);

		*id = d->id;
		/* Without WRITE the length is reserved (2.8.4). */
		*len = d->flags & VIRTQ_DESC_F_WRITE ? d->len : 0;
	} else {
		const struct drv_used *u = r->device;
		const struct drv_used_elem *e = &u->ring[r->next_used & (r->size - 1)];

		*id = e->id;
		*len = e->len;
	}
}

/* The next buffer of a batch that one used entry completes (2.7.9, 2.8.8): its id, or -1. */
static int32_t in_order_next(struct drv_ring *r, uint32_t *len)
{
	uint16_t id = r->order[r->order_out];
	uint32_t last;

	if (!r->outstanding)
		return -1;
	if (!r->in_batch) {
		read_used(r, &last, &r->batch_len);
		if (last >= r->size || !r->slots[last].ndesc)
			return -1;
		r->batch_id = (uint16_t)last;
	}
	r->in_batch = id != r->batch_id;
	/* Those passed over count as written in full. */
	*len = r->in_batch ? r->slots[id].in_len : r->batch_len;
	r->order_out = r->order_out + 1u == r->size ? 0 : (uint16_t)(r->order_out + 1);
	return id;
}

/* Gives the descriptors of `id` back and steps to the next used entry. */
static void slot_release(struct drv_ring *r, uint16_t id)
{
	struct drv_slot *s = &r->slots[id];
	uint16_t ndesc = s->ndesc;

	s->ndesc = 0;
	r->outstanding--;
	r->nfree = (uint16_t)(r->nfree + ndesc);
	if (!r->packed) {
		r->next_used++;
		/* In order, descriptors are used round the table; no list is needed. */
		if (!r->in_order) {
			r->slots[s->tail].next = r->free_head;
			r->free_head = id;
		}
		return;
	}
	s->next = r->free_head;
	r->free_head = id;
	if (r->next_used + ndesc >= r->size) {
		r->next_used = (uint16_t)(r->next_used + ndesc - r->size);
		r->used_wrap = !r->used_wrap;
	} else {
		r->next_used = (uint16_t)(r->next_used + ndesc);
	}
}

int drv_ring_get(struct drv_ring *r, void **cookie, uint32_t *len)
{
	uint32_t id;

	if (r->broken)
		return DRV_BROKEN;
	if (!drv_ring_used(r))
		return 0;
	if (r->in_order) {
		int32_t next = in_order_next(r, len);

		if (next < 0)
			return broken(r);
		id = (uint32_t)next;
	} else {
		read_used(r, &id, len);
	}
	if (id >= r->size || !r->slots[id].ndesc || *len > r->slots[id].in_len)
		return broken(r);
	*cookie = r->slots[id].cookie;
	slot_release(r, (uint16_t)id);
	return 1;
}

static bool split_enable(struct drv_ring *r, uint16_t after)
{
	uint16_t idx;

	if (r->event_idx)
		__atomic_store_n(
			drv_raw_used_event(r), (uint16_t)(r->next_used + after), __ATOMIC_RELAXED);
	else
		__atomic_store_n(&drv_raw_avail(r)->flags, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	idx = __atomic_load_n(&drv_raw_used(r)->idx, __ATOMIC_ACQUIRE);
	return (uint16_t)(idx - r->next_used) > (r->event_idx ? after : 0);
}

static bool packed_enable(struct drv_ring *r, uint16_t after)
{
	struct drv_event *e = r->driver;
	unsigned pos = r->next_used;
	bool wrap = r->used_wrap;
	uint16_t flags;
	bool avail, used;

	if (!r->event_idx) {
		__atomic_store_n(&e->flags, RING_EVENT_FLAGS_ENABLE, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		return packed_used(r);
	}
	pos += after < r->size ? after : r->size - 1u;
	if (pos >= r->size) {
		pos -= r->size;
		wrap = !wrap;
	}
	__atomic_store_n(&e->off_wrap, (uint16_t)(pos | (wrap ? 0x8000u : 0)), __ATOMIC_RELAXED);
	__atomic_store_n(&e->flags, RING_EVENT_FLAGS_DESC, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	flags = __atomic_load_n(&packed_desc(r, (uint16_t)pos)->flags, __ATOMIC_ACQUIRE);
	avail = flags & VIRTQ_DESC_F_AVAIL;
	used = flags & VIRTQ_DESC_F_USED;
	return avail == used && used == wrap;
}

bool drv_ring_enable_interrupts(struct drv_ring *r, uint16_t after)
{
	return r->packed ? packed_enable(r, after) : split_enable(r, after);
}

void drv_ring_disable_interrupts(struct drv_ring *r)
{
	if (r->packed) {
		struct drv_event *e = r->driver;

		__atomic_store_n(&e->flags, RING_EVENT_FLAGS_DISABLE, __ATOMIC_RELAXED);
	} else if (r->event_idx) {
		/* As far away as it gets; flags stays 0 with EVENT_IDX (2.7.7.1). */
		__atomic_store_n(
			drv_raw_used_event(r), (uint16_t)(r->next_used - 1), __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(
			&drv_raw_avail(r)->flags, VIRTQ_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELAXED);
	}
}
