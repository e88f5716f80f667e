/* SPDX-License-Identifier: BSD-3-Clause */
/* Guests for fuzzing: memory, queues of any shape, and what comes back. See device.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/util.h"
#include "device.h"
#include "drivers/ring.h"

#define GUARD	     65536u
#define PACKED_FRESH 0x8000u

/* Regions 0 and 1 are adjacent for the guest, not here; 2 is above 4 GiB. */
static const struct {
	uint64_t gpa;
	uint32_t size;
} regions[FUZZ_REGIONS] = {
	{ 0x10000, 0x40000 },
	{ 0x50000, 0x20000 },
	{ UINT64_C(0x100000000), 0x8000 },
};

/* Region 0: queues at their usual places; region 1: buffers and indirect tables. */
#define RINGS	     0x10000u
#define RING_STRIDE  0x1000u
#define RING_DRIVER  0x400u
#define RING_DEVICE  0x800u
#define RINGS_SIZE   0x3f000u
#define BUFFERS	     0x50000u
#define BUFFERS_SIZE 0x20000u
/* A chain that the fuzzer makes has at most so many descriptors. */
#define CHAIN_MAX 64u

bool fuzz_guest_memory(struct fuzz_guest *g)
{
	for (unsigned i = 0; i < FUZZ_REGIONS; i++) {
		uint8_t *p = mmap(NULL, regions[i].size + 2 * GUARD, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (p == MAP_FAILED)
			return false;
		g->mem[i] = p + GUARD;
	}
	g->call_fd = fd_event();
	return g->call_fd >= 0;
}

static void map(struct fuzz_guest *g, unsigned i)
{
	const struct gm_region r = {
		.gpa = regions[i].gpa, .size = regions[i].size, .hva = g->mem[i], .fd = -1
	};

	if (gm_ptr(&g->gm, r.gpa, 1))
		return;
	mprotect(g->mem[i], r.size, PROT_READ | PROT_WRITE);
	gm_add(&g->gm, &r, NULL);
}

static void ignore(struct vdev_host *host)
{
}

void fuzz_guest_init(struct fuzz_guest *g, struct fuzz_bed *bed)
{
	g->bed = bed;
	g->dev = NULL;
	g->host = (struct vdev_host){ ignore, ignore };
	g->gm.n = 0;
	g->next_buffer = 0;
	g->inflight = false;
	for (unsigned i = 0; i < FUZZ_REGIONS; i++) {
		map(g, i);
		memset(g->mem[i], 0, regions[i].size);
	}
}

void fuzz_rings_forget(struct fuzz_guest *g)
{
	for (unsigned q = 0; q < VDEV_QUEUES_MAX; q++) {
		free(g->rings[q].inflight);
		g->rings[q] = (struct fuzz_ring){ 0 };
	}
}

void fuzz_guest_finish(struct fuzz_guest *g)
{
	fuzz_rings_forget(g);
}

uint64_t fuzz_address(uint32_t word)
{
	switch (word >> 30) {
	case 0:
		return regions[0].gpa + word % 0x60000;
	case 1:
		return regions[2].gpa + word % 0x10000;
	case 2:
		return word % 0x1000000;
	default:
		return UINT64_MAX - word % 0x10000;
	}
}

static void write_guest(struct fuzz_guest *g, uint64_t gpa, const void *data, size_t len)
{
	struct iovec iov[FUZZ_REGIONS];
	const uint8_t *from = data;
	int n = len ? gm_iov(&g->gm, gpa, len, iov, FUZZ_REGIONS) : 0;

	for (int i = 0; i < n; i++) {
		memcpy(iov[i].iov_base, from, iov[i].iov_len);
		from += iov[i].iov_len;
	}
}

/* Nothing can be said about what comes back. */
static void all_wild(struct fuzz_guest *g)
{
	for (unsigned q = 0; q < VDEV_QUEUES_MAX; q++)
		g->rings[q].wild = true;
}

void fuzz_poke(struct fuzz_guest *g, uint64_t gpa, const void *data, size_t len)
{
	if (gpa < BUFFERS && gpa + len > RINGS)
		all_wild(g);
	write_guest(g, gpa, data, len);
}

static struct fuzz_ring *ring_of(struct fuzz_guest *g, unsigned q)
{
	struct fuzz_ring *r = q < g->dev->nqueues ? &g->rings[q] : NULL;

	return r && r->size ? r : NULL;
}

/* Queues. */

static int start(struct fuzz_guest *g, unsigned q)
{
	struct fuzz_ring *r = &g->rings[q];
	struct vq_setup s = {
		.size = r->size,
		.gm = &g->gm,
		.call_fd = g->call_fd,
		.avail_base = r->avail_base,
		.used_base = r->used_base,
		.inflight = r->inflight,
	};
	uint32_t desc, driver, device;

	vq_ring_sizes(r->size, r->packed, &desc, &driver, &device);
	s.desc = gm_ptr(&g->gm, r->desc, desc);
	s.driver = gm_ptr(&g->gm, r->driver, driver);
	s.device = gm_ptr(&g->gm, r->device, device);
	s.inflight_len = vq_inflight_size(r->size, r->packed);
	if (!s.desc || !s.driver || !s.device)
		return -EFAULT;
	return vdev_queue_start(g->dev, q, &s, NULL);
}

/* A ring that was never used. False: there is no such queue, or it runs. */
static bool fresh(struct fuzz_guest *g, unsigned q, uint16_t size)
{
	struct fuzz_ring *r = &g->rings[q % VDEV_QUEUES_MAX];
	bool packed = vdev_has(g->dev, VIRTIO_F_RING_PACKED);

	if (q >= g->dev->nqueues || vq_running(g->dev->queues[q]))
		return false;
	free(r->inflight);
	*r = (struct fuzz_ring){
		.size = size,
		.packed = packed,
		.in_order = vdev_has(g->dev, VIRTIO_F_IN_ORDER),
		.wrap = true,
		.used_wrap = true,
		.avail_base = packed ? PACKED_FRESH : 0,
		.used_base = packed ? PACKED_FRESH : 0,
	};
	memset(r->owner, -1, sizeof(r->owner));
	if (g->inflight)
		r->inflight = calloc(1, vq_inflight_size(size, packed));
	return true;
}

void fuzz_queue_start(struct fuzz_guest *g, unsigned q, uint16_t size)
{
	const uint8_t zeroes[RING_STRIDE] = { 0 };
	struct fuzz_ring *r = &g->rings[q % VDEV_QUEUES_MAX];

	if (!fresh(g, q, size))
		return;
	r->desc = RINGS + q * RING_STRIDE % RINGS_SIZE;
	r->driver = r->desc + RING_DRIVER;
	r->device = r->desc + RING_DEVICE;
	write_guest(g, r->desc, zeroes, sizeof(zeroes));
	if (start(g, q))
		r->size = 0;
}

void fuzz_queue_start_at(struct fuzz_guest *g, unsigned q, struct fuzz_in *in)
{
	struct fuzz_ring *r = &g->rings[q % VDEV_QUEUES_MAX];

	if (!fresh(g, q, fuzz_u16(in)))
		return;
	r->desc = fuzz_address(fuzz_u32(in));
	r->driver = fuzz_address(fuzz_u32(in));
	r->device = fuzz_address(fuzz_u32(in));
	r->avail_base ^= fuzz_u16(in);
	r->used_base ^= fuzz_u16(in);
	all_wild(g);
	start(g, q);
	/* Nothing is offered in the usual ways: the bookkeeping is for rings up to its size. */
	if (r->size > FUZZ_RING_MAX)
		r->size = 0;
}

void fuzz_queue_stop(struct fuzz_guest *g, unsigned q)
{
	if (q < g->dev->nqueues && vq_running(g->dev->queues[q]))
		vdev_queue_stop(g->dev, q, &g->rings[q].avail_base, &g->rings[q].used_base);
}

void fuzz_queue_resume(struct fuzz_guest *g, unsigned q)
{
	struct fuzz_ring *r = ring_of(g, q);

	/* What was with the device and is in no record is lost. */
	if (r && !r->inflight)
		r->wild = true;
	if (r && !vq_running(g->dev->queues[q]) && !start(g, q))
		vdev_kick(g->dev, q);
}

void fuzz_queue_crash(struct fuzz_guest *g, unsigned q)
{
	struct fuzz_ring *r = ring_of(g, q);
	autofree uint8_t *memory = NULL, *record = NULL;
	uint64_t len = 0, at = 0;

	if (!r || !r->inflight || !vq_running(g->dev->queues[q]))
		return;
	for (unsigned i = 0; i < g->gm.n; i++)
		len += g->gm.r[i].size;
	memory = malloc(len + 1);
	len = vq_inflight_size(r->size, r->packed);
	record = malloc(len);
	if (!memory || !record)
		return;
	memcpy(record, r->inflight, len);
	for (unsigned i = 0; i < g->gm.n; at += g->gm.r[i++].size)
		memcpy(memory + at, g->gm.r[i].hva, g->gm.r[i].size);
	/* The memory forgets what other queues did while it stopped, the device does not. */
	for (unsigned k = 0; k < g->dev->nqueues; k++)
		g->rings[k].wild |= k != q && vq_running(g->dev->queues[k]);
	fuzz_queue_stop(g, q);
	memcpy(r->inflight, record, len);
	at = 0;
	for (unsigned i = 0; i < g->gm.n; at += g->gm.r[i++].size)
		memcpy(g->gm.r[i].hva, memory + at, g->gm.r[i].size);
	fuzz_queue_resume(g, q);
}

/* As SET_MEM_TABLE does: queues stop, and start again where their rings still are. */
static void change_memory(struct fuzz_guest *g, unsigned region, bool there)
{
	bool running[VDEV_QUEUES_MAX] = { false };

	for (unsigned q = 0; q < g->dev->nqueues; q++) {
		running[q] = vq_running(g->dev->queues[q]);
		fuzz_queue_stop(g, q);
	}
	if (there) {
		map(g, region);
	} else if (!gm_del(&g->gm, regions[region].gpa, regions[region].size, 0)) {
		mprotect(g->mem[region], regions[region].size, PROT_NONE);
	}
	for (unsigned q = 0; q < g->dev->nqueues; q++)
		if (running[q])
			fuzz_queue_resume(g, q);
}

void fuzz_unmap(struct fuzz_guest *g, unsigned region)
{
	change_memory(g, region, false);
}

void fuzz_map(struct fuzz_guest *g, unsigned region)
{
	change_memory(g, region, true);
}

/* Chains. */

/* One buffer of a chain. */
struct piece {
	uint64_t gpa;
	uint32_t len;
	uint16_t flags; /* VIRTQ_DESC_F_* */
	uint8_t next;	/* raw chains on split rings: distance to the next one less one */
};

struct chain {
	struct piece piece[CHAIN_MAX];
	unsigned n;
	uint64_t room;
};

static void add_piece(struct chain *c, uint64_t gpa, uint32_t len, uint16_t flags)
{
	if (c->n == CHAIN_MAX)
		return;
	c->piece[c->n++] = (struct piece){ .gpa = gpa, .len = len, .flags = flags };
	if (flags & VIRTQ_DESC_F_WRITE)
		c->room += len;
}

/* The usual chain: each but the last leads to the next. */
static void link_pieces(struct chain *c)
{
	for (unsigned i = 0; i + 1 < c->n; i++)
		c->piece[i].flags |= VIRTQ_DESC_F_NEXT;
}

static void put_desc(struct fuzz_guest *g, bool packed, uint64_t at, const struct piece *p,
	uint16_t id_or_next, uint16_t more_flags)
{
	const struct drv_split_desc split = { p->gpa, p->len, p->flags, id_or_next };
	const struct drv_packed_desc pack = { p->gpa, p->len, id_or_next,
		(uint16_t)(p->flags | more_flags) };

	if (packed)
		write_guest(g, at, &pack, sizeof(pack));
	else
		write_guest(g, at, &split, sizeof(split));
}

/* Room for a buffer. They go round, so that in the end some are used twice. */
static uint64_t buffer(struct fuzz_guest *g, uint32_t len, bool border)
{
	uint64_t at;

	if (border && len > 1 && len < 0x1000)
		return BUFFERS - len / 2;
	if (g->next_buffer + len > BUFFERS_SIZE) {
		g->next_buffer = 0;
		all_wild(g);
	}
	at = BUFFERS + g->next_buffer;
	g->next_buffer += (uint32_t)align_up(len, 4);
	return at;
}

/* Moves the chain into an indirect table. */
static void make_indirect(struct fuzz_guest *g, struct chain *c, bool packed)
{
	uint32_t len = c->n * 16;
	uint64_t table = buffer(g, len, false);

	for (unsigned i = 0; i < c->n; i++)
		put_desc(g, packed, table + 16 * i, &c->piece[i],
			(uint16_t)(packed ? 0 : i + 1 + c->piece[i].next), 0);
	c->n = 0;
	c->piece[c->n++] = (struct piece){ table, len, VIRTQ_DESC_F_INDIRECT, 0 };
}

static bool fits(const struct fuzz_ring *r, unsigned n)
{
	if (!n || n > r->size || r->nbusy + n > r->size)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (r->owner[(r->next + i) % r->size] >= 0)
			return false;
	return true;
}

static void put_split(struct fuzz_guest *g, struct fuzz_ring *r, const struct chain *c)
{
	uint16_t head = r->next, idx = (uint16_t)(r->avail + 1);

	for (unsigned i = 0; i < c->n; i++)
		put_desc(g, false, r->desc + 16u * ((head + i) % r->size), &c->piece[i],
			(uint16_t)((head + i + 1 + c->piece[i].next) % r->size), 0);
	write_guest(g, r->driver + 4 + 2u * (r->avail % r->size), &head, sizeof(head));
	write_guest(g, r->driver + 2, &idx, sizeof(idx));
	r->avail = idx;
	r->next = (uint16_t)((head + c->n) % r->size);
}

static void put_packed(struct fuzz_guest *g, struct fuzz_ring *r, const struct chain *c)
{
	uint16_t head = r->next;
	bool wrap = r->wrap;

	for (unsigned i = 0; i < c->n; i++) {
		put_desc(g, true, r->desc + 16u * r->next, &c->piece[i], head,
			wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED);
		r->next = (uint16_t)((r->next + 1) % r->size);
		wrap ^= !r->next;
	}
	r->wrap = wrap;
}

/* Makes the chain available. */
static bool put_chain(struct fuzz_guest *g, unsigned q, const struct chain *c)
{
	struct fuzz_ring *r = &g->rings[q];
	uint16_t head = r->next;

	/* Who writes where no memory is has offered nothing. */
	if (!fits(r, c->n) || !gm_ptr(&g->gm, r->desc, RING_STRIDE))
		return false;
	for (unsigned i = 0; i < c->n; i++)
		r->owner[(head + i) % r->size] = (int8_t)head;
	r->ndesc[head] = (uint16_t)c->n;
	r->nbusy = (uint16_t)(r->nbusy + c->n);
	r->room[head] = c->room;
	if (r->packed)
		put_packed(g, r, c);
	else
		put_split(g, r, c);
	return true;
}

/* Length of the next buffer of a payload with `left` bytes, after `i` others. */
static uint32_t cut(unsigned shape, unsigned i, size_t left)
{
	static const uint8_t heads[8] = { 0, 16, 8, 0, 1, 12, 44, 64 };
	size_t want = left;

	if (shape == 3)
		want = (left + 1) / 2;
	else if (shape == 7 || (shape == 4 && i < 8) || (heads[shape] && !i))
		want = heads[shape];
	return (uint32_t)min_u64(want, left);
}

bool fuzz_request(struct fuzz_guest *g, unsigned q, unsigned shape, struct fuzz_in *in)
{
	struct fuzz_ring *r = ring_of(g, q);
	bool border = shape & FUZZ_SHAPE_BORDER;
	unsigned n_in = fuzz_u8(in) % 8;
	struct chain c = { 0 };
	uint16_t lens[8];

	if (!r)
		return false;
	for (unsigned i = 0; i < n_in; i++)
		lens[i] = fuzz_u16(in);
	while (in->left && c.n < CHAIN_MAX - n_in) {
		uint32_t len = cut(shape & FUZZ_SHAPE_SPLIT, c.n, in->left);
		uint64_t gpa = buffer(g, len, border && !c.n);

		write_guest(g, gpa, in->p, len);
		add_piece(&c, gpa, len, 0);
		in->p += len;
		in->left -= len;
	}
	for (unsigned i = 0; i < n_in; i++)
		add_piece(&c, buffer(g, lens[i], border && !c.n), lens[i], VIRTQ_DESC_F_WRITE);
	link_pieces(&c);
	if (c.n && shape & FUZZ_SHAPE_INDIRECT && vdev_has(g->dev, VIRTIO_F_INDIRECT_DESC))
		make_indirect(g, &c, r->packed);
	return put_chain(g, q, &c);
}

bool fuzz_chain(struct fuzz_guest *g, unsigned q, unsigned shape, struct fuzz_in *in)
{
	struct fuzz_ring *r = ring_of(g, q);
	struct chain c = { 0 };

	if (!r)
		return false;
	while (in->left && c.n < CHAIN_MAX) {
		uint64_t gpa = fuzz_address(fuzz_u32(in));
		uint32_t len = fuzz_u16(in);
		uint8_t flags = fuzz_u8(in);

		if (flags & 0x80)
			len = len << 16 | 0xffff;
		add_piece(&c, gpa, len, flags & 7);
		c.piece[c.n - 1].next = fuzz_u8(in);
	}
	if (c.n && shape & FUZZ_SHAPE_INDIRECT)
		make_indirect(g, &c, r->packed);
	/* The device may write into any ring. */
	all_wild(g);
	return put_chain(g, q, &c);
}

bool fuzz_fill(struct fuzz_guest *g, unsigned q, uint16_t len)
{
	struct chain c = { 0 };

	if (!ring_of(g, q))
		return false;
	add_piece(&c, buffer(g, len, false), len, VIRTQ_DESC_F_WRITE);
	return put_chain(g, q, &c);
}

void fuzz_avail(struct fuzz_guest *g, unsigned q, uint16_t value)
{
	struct fuzz_ring *r = ring_of(g, q);

	if (!r)
		return;
	r->wild = true;
	if (r->packed)
		write_guest(g, r->desc + 16u * r->next + 14, &value, sizeof(value));
	else
		write_guest(g, r->driver + 2, &value, sizeof(value));
}

/* What came back. */

static void release(struct fuzz_ring *r, unsigned q, uint32_t id, uint32_t len)
{
	if (id >= r->size || !r->ndesc[id])
		fuzz_fail("queue %u: chain %u came back, which the device did not have", q, id);
	if (len > r->room[id])
		fuzz_fail(
			"queue %u: chain %u came back with %u bytes written, it had room for %llu",
			q, id, len, (unsigned long long)r->room[id]);
	for (unsigned i = 0; i < r->ndesc[id]; i++)
		r->owner[(id + i) % r->size] = -1;
	r->nbusy = (uint16_t)(r->nbusy - r->ndesc[id]);
	r->ndesc[id] = 0;
}

static void collect_split(struct fuzz_guest *g, struct fuzz_ring *r, unsigned q)
{
	const uint8_t *area = gm_ptr(&g->gm, r->device, 6 + 8u * r->size);
	const struct drv_used *used = (const void *)area;

	while (used && r->used != used->idx) {
		const struct drv_used_elem *e = &used->ring[r->used % r->size];

		release(r, q, e->id, e->len);
		r->used++;
	}
}

static void collect_packed(struct fuzz_guest *g, struct fuzz_ring *r, unsigned q)
{
	const uint8_t *area = gm_ptr(&g->gm, r->desc, 16u * r->size);
	const struct drv_packed_desc *desc = (const void *)area;

	while (desc && r->nbusy) {
		const struct drv_packed_desc *d = &desc[r->used];
		bool avail = d->flags & VIRTQ_DESC_F_AVAIL, used = d->flags & VIRTQ_DESC_F_USED;
		uint16_t n;

		if (avail != used || used != r->used_wrap)
			return;
		n = d->id < r->size ? r->ndesc[d->id] : 0;
		release(r, q, d->id, d->flags & VIRTQ_DESC_F_WRITE ? d->len : 0);
		r->used = (uint16_t)(r->used + n);
		if (r->used >= r->size) {
			r->used = (uint16_t)(r->used - r->size);
			r->used_wrap = !r->used_wrap;
		}
	}
}

void fuzz_collect(struct fuzz_guest *g)
{
	for (unsigned q = 0; q < g->dev->nqueues; q++) {
		struct fuzz_ring *r = ring_of(g, q);

		/* In order, one entry may stand for several. */
		if (!r || r->wild || r->in_order)
			continue;
		if (r->packed)
			collect_packed(g, r, q);
		else
			collect_split(g, r, q);
	}
}
