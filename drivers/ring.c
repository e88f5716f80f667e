/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtqueues, driver side. See ring.h. */
#include "ring.h"

#define RING_SIZE_MAX 32768u
#define NO_BUFFER     UINT32_MAX /* no id is that large */

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

/* The event word of a split ring: used_event behind avail, avail_event behind used. */
static uint16_t *used_event(const struct drv_ring *r)
{
	return &((struct drv_avail *)r->driver)->ring[r->size];
}

static uint16_t *avail_event(const struct drv_ring *r)
{
	return (uint16_t *)(void *)&((struct drv_used *)r->device)->ring[r->size];
}

static uint16_t next_place(const struct drv_ring *r, uint16_t i)
{
	return i + 1u == r->size ? 0 : (uint16_t)(i + 1);
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
		r->slots[i].next = next_place(r, (uint16_t)i);
	return 0;
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
		r->order_in = next_place(r, r->order_in);
	}
}

static uint32_t writable_len(const struct drv_sg *sg, unsigned n_out, unsigned n)
{
	uint64_t len = 0;

	for (unsigned i = n_out; i < n; i++)
		len += sg[i].len;
	return len > UINT32_MAX ? UINT32_MAX : (uint32_t)len;
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

/* Writes one descriptor of the chain that begins at `head`. */
static void split_put(struct drv_ring *r, const struct drv_sg *sg, uint16_t head, unsigned flags)
{
	uint16_t i = r->free_head;

	*split_desc(r, i) = (struct drv_split_desc){
		.addr = sg->addr,
		.len = sg->len,
		.flags = (uint16_t)flags,
		.next = flags & VIRTQ_DESC_F_NEXT ? r->slots[i].next : 0,
	};
	r->slots[head].tail = i;
	r->free_head = r->slots[i].next;
}

/* Writes one descriptor at the position to come. The first one since the last publication keeps its
 * old flags until drv_ring_publish(), which thereby shows all of them at once. */
static void packed_put(struct drv_ring *r, const struct drv_sg *sg, uint16_t id, unsigned flags)
{
	struct drv_packed_desc *d = packed_desc(r, r->next_avail);
	uint16_t f = (uint16_t)(flags | (r->avail_wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED));

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

static void put(struct drv_ring *r, const struct drv_sg *sg, uint16_t id, unsigned flags)
{
	if (r->packed)
		packed_put(r, sg, id, flags);
	else
		split_put(r, sg, id, flags);
}

int drv_ring_add(
	struct drv_ring *r, const struct drv_sg *sg, unsigned n_out, unsigned n_in, void *cookie)
{
	unsigned n = n_out + n_in;
	bool table = n > 1 && n <= r->table_len;
	uint16_t id = r->free_head;

	if (!n || n < n_out || (n > r->size && !table))
		return DRV_INVALID;
	if (r->broken)
		return DRV_BROKEN;
	if ((table ? 1 : n) > r->nfree)
		return DRV_FULL;
	slot_take(r, id, table ? 1 : (uint16_t)n, writable_len(sg, n_out, n), cookie);
	if (table) {
		struct drv_sg t = { table_fill(r, id, sg, n_out, n), 16 * n };

		put(r, &t, id, VIRTQ_DESC_F_INDIRECT);
	}
	for (unsigned k = 0; k < n && !table; k++)
		put(r, &sg[k], id,
			(k < n_out ? 0 : VIRTQ_DESC_F_WRITE) | (k + 1 < n ? VIRTQ_DESC_F_NEXT : 0));
	if (r->packed)
		r->free_head = r->slots[id].next;
	else
		((struct drv_avail *)r->driver)->ring[r->next_avail++ & (r->size - 1)] = id;
	return 0;
}

static bool split_publish(struct drv_ring *r)
{
	struct drv_avail *avail = r->driver;
	const struct drv_used *used = r->device;
	uint16_t old = r->published;

	if (old == r->next_avail)
		return false;
	r->published = r->next_avail;
	__atomic_store_n(&avail->idx, r->next_avail, __ATOMIC_RELEASE);
	/* The index before the question whether to notify (2.7.13.4.1). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (r->event_idx)
		return passed(
			__atomic_load_n(avail_event(r), __ATOMIC_RELAXED), r->next_avail, old);
	return !(__atomic_load_n(&used->flags, __ATOMIC_RELAXED) & VIRTQ_USED_F_NO_NOTIFY);
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

/* Used entries that have come. */
static uint16_t split_used(const struct drv_ring *r)
{
	const struct drv_used *u = r->device;

	return (uint16_t)(__atomic_load_n(&u->idx, __ATOMIC_ACQUIRE) - r->next_used);
}

static bool packed_used(const struct drv_ring *r, uint16_t at, bool wrap)
{
	uint16_t f = __atomic_load_n(&packed_desc(r, at)->flags, __ATOMIC_ACQUIRE);
	bool avail = f & VIRTQ_DESC_F_AVAIL, used = f & VIRTQ_DESC_F_USED;

	return avail == used && used == wrap;
}

bool drv_ring_used(const struct drv_ring *r)
{
	if (r->in_batch)
		return true;
	return r->packed ? packed_used(r, r->next_used, r->used_wrap) : split_used(r) != 0;
}

/* Reads the used entry at the current position; returns its id. */
static uint32_t read_used(const struct drv_ring *r, uint32_t *len)
{
	const struct drv_packed_desc *d = packed_desc(r, r->next_used);
	const struct drv_used *u = r->device;
	const struct drv_used_elem *e;

	if (r->packed) {
		/* WRITE is not looked at: there are devices that never set it (2.8.3, 2.8.4). */
		*len = d->len;
		return d->id;
	}
	e = &u->ring[r->next_used & (r->size - 1)];
	*len = e->len;
	return e->id;
}

/* The next buffer of a batch that one used entry completes (2.7.9, 2.8.8): its id. */
static uint32_t in_order_next(struct drv_ring *r, uint32_t *len)
{
	uint16_t id = r->order[r->order_out];
	uint32_t last;

	if (!r->outstanding)
		return NO_BUFFER;
	if (!r->in_batch) {
		last = read_used(r, &r->batch_len);
		if (last >= r->size || !r->slots[last].ndesc)
			return NO_BUFFER;
		r->batch_id = (uint16_t)last;
	}
	r->in_batch = id != r->batch_id;
	/* Those passed over count as written in full. */
	*len = r->in_batch ? r->slots[id].in_len : r->batch_len;
	r->order_out = next_place(r, r->order_out);
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
	r->next_used = (uint16_t)(r->next_used + ndesc);
	if (r->next_used >= r->size) {
		r->next_used = (uint16_t)(r->next_used - r->size);
		r->used_wrap = !r->used_wrap;
	}
}

int drv_ring_get(struct drv_ring *r, void **cookie, uint32_t *len)
{
	uint32_t id;

	if (r->broken)
		return DRV_BROKEN;
	if (!drv_ring_used(r))
		return 0;
	id = r->in_order ? in_order_next(r, len) : read_used(r, len);
	if (id >= r->size || !r->slots[id].ndesc || *len > r->slots[id].in_len) {
		r->broken = true;
		return DRV_BROKEN;
	}
	*cookie = r->slots[id].cookie;
	slot_release(r, (uint16_t)id);
	return 1;
}

static bool split_enable(struct drv_ring *r, uint16_t after)
{
	struct drv_avail *avail = r->driver;

	if (r->event_idx) {
		__atomic_store_n(used_event(r), (uint16_t)(r->next_used + after), __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&avail->flags, 0, __ATOMIC_RELAXED);
		after = 0;
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return split_used(r) > after;
}

static bool packed_enable(struct drv_ring *r, uint16_t after)
{
	struct drv_event *e = r->driver;
	unsigned pos = r->next_used;
	bool wrap = r->used_wrap;

	if (r->event_idx) {
		pos += after < r->size ? after : r->size - 1u;
		if (pos >= r->size) {
			pos -= r->size;
			wrap = !wrap;
		}
		__atomic_store_n(
			&e->off_wrap, (uint16_t)(pos | (wrap ? 0x8000u : 0)), __ATOMIC_RELAXED);
	}
	__atomic_store_n(&e->flags, r->event_idx ? RING_EVENT_FLAGS_DESC : RING_EVENT_FLAGS_ENABLE,
		__ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return packed_used(r, (uint16_t)pos, wrap);
}

bool drv_ring_enable_interrupts(struct drv_ring *r, uint16_t after)
{
	return r->packed ? packed_enable(r, after) : split_enable(r, after);
}

void drv_ring_disable_interrupts(struct drv_ring *r)
{
	struct drv_event *e = r->driver;
	struct drv_avail *avail = r->driver;

	if (r->packed)
		__atomic_store_n(&e->flags, RING_EVENT_FLAGS_DISABLE, __ATOMIC_RELAXED);
	else if (r->event_idx)
		/* As far away as it gets; flags stays 0 with EVENT_IDX (2.7.7.1). */
		__atomic_store_n(used_event(r), (uint16_t)(r->next_used - 1), __ATOMIC_RELAXED);
	else
		__atomic_store_n(&avail->flags, VIRTQ_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELAXED);
}
