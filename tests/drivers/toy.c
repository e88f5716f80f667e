/* SPDX-License-Identifier: BSD-3-Clause */
/* The device in the test program. See toy.h. */
#include "toy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "conformance/raw.h"

#define PAGE	 4096u
#define TOY_PRIV 65536u
#define AREA_LEN                                                                                   \
	(sizeof(struct drv_direct_area) + TOY_QUEUES * sizeof(struct drv_direct_queue) + TOY_CONFIG)
#define STEP_NS 100000000u /* each look at the time */

static uint64_t map(void *ctx, const void *p, size_t len)
{
	const struct toy *toy = ctx;
	uintptr_t off = (uintptr_t)p - (uintptr_t)toy->mem;

	return off <= TOY_MEM && len <= TOY_MEM - off ? (uintptr_t)p : UINT64_MAX;
}

static void barrier(void *ctx)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static uint64_t now(void *ctx)
{
	struct toy *toy = ctx;

	if (toy->tick)
		toy->tick(toy);
	return toy->now += STEP_NS;
}

uint32_t toy_rand(struct toy *toy, uint32_t n)
{
	toy->rnd = toy->rnd * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(toy->rnd >> 33) % n;
}

static void reset(struct toy *toy)
{
	for (unsigned i = 0; i < TOY_QUEUES; i++) {
		toy->next[i] = toy->used[i] = 0;
		toy->wrap[i] = true;
		toy->area->queues[i].enabled = 0;
	}
}

static void config_changed(struct toy *toy)
{
	struct drv_direct_area *a = toy->area;

	if (!a->wanted)
		reset(toy);
	for (unsigned i = 0; i < TOY_QUEUES; i++)
		if (!toy->area->queues[i].enabled) {
			toy->next[i] = toy->used[i] = 0;
			toy->wrap[i] = true;
		}
	a->status = a->wanted;
	a->seen = a->changes;
}

static void notify(void *ctx, struct drv_dev *dev, uint16_t q)
{
	struct toy *toy = ctx;
	struct toy_chain c;

	if (q == DRV_CONFIG) {
		config_changed(toy);
		return;
	}
	toy->notified[q]++;
	while (toy->serve && toy_take(toy, q, &c))
		toy->serve(toy, &c);
}

static bool packed(const struct toy *toy)
{
	return toy->area->accepted >> VIRTIO_F_RING_PACKED & 1;
}

/* False if it cannot be: the test may have written into the ring. */
static bool add(const struct toy *toy, struct toy_chain *c, uint64_t addr, uint32_t len, bool write)
{
	uint64_t off = addr - (uintptr_t)toy->mem;

	if (c->n == TOY_SG || off > TOY_MEM || len > TOY_MEM - off)
		return false;
	c->e[c->n].p = (uint8_t *)(uintptr_t)addr;
	c->e[c->n].len = len;
	c->e[c->n++].write = write;
	c->ndesc++;
	return true;
}

static bool take_split(struct toy *toy, const struct drv_direct_queue *q, struct toy_chain *c)
{
	const struct drv_split_desc *d = (void *)(uintptr_t)q->desc;
	const struct drv_avail *a = (void *)(uintptr_t)q->driver;
	uint16_t i;

	if (a->idx == toy->next[c->q])
		return false;
	i = c->id = a->ring[toy->next[c->q]++ % q->size];
	while (i < q->size && add(toy, c, d[i].addr, d[i].len, d[i].flags & VIRTQ_DESC_F_WRITE)) {
		if (!(d[i].flags & VIRTQ_DESC_F_NEXT))
			return true;
		i = d[i].next;
	}
	return false;
}

static bool take_packed(struct toy *toy, const struct drv_direct_queue *q, struct toy_chain *c)
{
	const struct drv_packed_desc *d = (void *)(uintptr_t)q->desc;
	uint16_t i = toy->next[c->q], flags = d[i].flags;

	if ((flags & (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)) !=
		drv_raw_avail_flags(toy->wrap[c->q]))
		return false;
	do {
		flags = d[i].flags;
		if (!add(toy, c, d[i].addr, d[i].len, flags & VIRTQ_DESC_F_WRITE))
			return false;
		c->id = d[i].id;
		if (++i == q->size) {
			i = 0;
			toy->wrap[c->q] = !toy->wrap[c->q];
		}
	} while (flags & VIRTQ_DESC_F_NEXT);
	toy->next[c->q] = i;
	return true;
}

bool toy_take(struct toy *toy, uint16_t q, struct toy_chain *c)
{
	const struct drv_direct_queue *dq = &toy->area->queues[q];

	*c = (struct toy_chain){ .q = q };
	if (!dq->enabled)
		return false;
	return packed(toy) ? take_packed(toy, dq, c) : take_split(toy, dq, c);
}

static void put_packed(struct toy *toy, const struct drv_direct_queue *dq,
	const struct drv_packed_desc *v, uint16_t q, uint16_t ndesc)
{
	struct drv_packed_desc *d = (void *)(uintptr_t)dq->desc;
	uint16_t at = toy->used[q] & 0x7fff, wrap = toy->used[q] >> 15;

	/* The wrap counter starts as 1; used[] keeps its inverse. */
	d[at].id = v->id;
	d[at].len = v->len;
	d[at].flags = (uint16_t)(VIRTQ_DESC_F_WRITE |
				 (wrap ? 0 : VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED));
	at = (uint16_t)(at + ndesc);
	if (at >= dq->size) {
		at = (uint16_t)(at - dq->size);
		wrap ^= 1;
	}
	toy->used[q] = (uint16_t)(at | wrap << 15);
}

void toy_put(struct toy *toy, uint16_t q, uint16_t id, uint16_t ndesc, uint32_t len)
{
	const struct drv_direct_queue *dq = &toy->area->queues[q];
	struct drv_used *u = (void *)(uintptr_t)dq->device;

	if (packed(toy)) {
		put_packed(toy, dq, &(struct drv_packed_desc){ .id = id, .len = len }, q, ndesc);
		return;
	}
	u->ring[u->idx % dq->size] = (struct drv_used_elem){ id, len };
	u->idx++;
}

uint32_t toy_fill(const struct toy_chain *c, const void *data, uint32_t len)
{
	uint32_t done = 0;

	for (unsigned i = 0; i < c->n; i++) {
		uint32_t n = c->e[i].len < len - done ? c->e[i].len : len - done;

		if (!c->e[i].write)
			continue;
		memcpy(c->e[i].p, (const uint8_t *)data + done, n);
		done += n;
	}
	return done;
}

void toy_open(struct toy *toy, uint16_t id, uint64_t features)
{
	uint8_t *p = mmap(NULL, TOY_MEM + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(toy, 0, sizeof(*toy));
	toy->mem = p + PAGE;
	toy->area = calloc(1, AREA_LEN);
	toy->config = (uint8_t *)toy->area + AREA_LEN - TOY_CONFIG;
	toy->rnd = 1;
	if (p == MAP_FAILED || mprotect(toy->mem, TOY_MEM, PROT_READ | PROT_WRITE))
		exit(1);
	toy->platform = (struct drv_platform){
		.ctx = toy, .map = map, .barrier = barrier, .notify = notify, .time = now
	};
	*toy->area = (struct drv_direct_area){ .magic = DRV_DIRECT_MAGIC,
		.id = id,
		.nqueues = TOY_QUEUES,
		.offered = DRV_FEATURE(VIRTIO_F_VERSION_1) | features,
		.config_offset = AREA_LEN - TOY_CONFIG,
		.config_len = TOY_CONFIG };
	for (unsigned i = 0; i < TOY_QUEUES; i++)
		toy->area->queues[i].max = 64;
	/* The upper half is for the buffers of the test. */
	if (drv_direct_open(
		    &toy->direct, &toy->platform, toy->area, AREA_LEN, toy->mem, TOY_MEM / 2))
		exit(1);
	toy->dev = &toy->direct.dev;
	toy->dev->priv_len = TOY_PRIV;
	toy->dev->priv = malloc(TOY_PRIV);
}

void toy_close(struct toy *toy)
{
	munmap(toy->mem - PAGE, TOY_MEM + 2 * PAGE);
	free(toy->area);
	free(toy->dev->priv);
}
