/* SPDX-License-Identifier: BSD-3-Clause */
/* Many requests at once on a disk: each answered once, with the right data, whatever happens. */
#include "conformance/cases/blk.h"

#define FLIGHT	       16u /* requests at once */
#define FLIGHT_SECTORS 8u
#define FLIGHT_LEN     (FLIGHT_SECTORS * DRV_BLK_SECTOR)

/* Requests in flight; the cookie of each is its header. */
struct flight {
	struct blk b;
	unsigned n; /* at once: FLIGHT, or what the queue has room for */
	struct blk_header *header;
	uint8_t *status, *data;
};

static bool flight_bufs(struct flight *f, struct cf *c)
{
	f->header = cf_buf(c, FLIGHT * sizeof(*f->header));
	f->status = cf_buf(c, FLIGHT);
	f->data = cf_buf(c, FLIGHT * FLIGHT_LEN);
	return f->header && f->status && f->data;
}

static unsigned flight_size(const struct drv_queue *q)
{
	unsigned n = q->ring.size / 3u;

	return n < FLIGHT ? n : FLIGHT;
}

static bool flight_up(struct flight *f, struct cf *c, uint64_t want, unsigned queues)
{
	if (cf_offered(c, VIRTIO_BLK_F_RO)) {
		cf_skip(c, "the disk is read-only");
		return false;
	}
	if (!flight_bufs(f, c) || !blk_up(&f->b, c, want, queues))
		return false;
	f->n = flight_size(f->b.q);
	return true;
}

static uint8_t *data_of(const struct flight *f, unsigned i)
{
	return f->data + i * FLIGHT_LEN;
}

/* Sends request `i`; writes have their data already. */
static bool launch(struct flight *f, unsigned i, uint32_t type, uint64_t sector)
{
	struct cf *c = f->b.c;
	struct drv_sg sg[3] = { cf_sg(c, &f->header[i], sizeof(*f->header)),
		cf_sg(c, data_of(f, i), FLIGHT_LEN), cf_sg(c, &f->status[i], 1) };
	bool in = blk_type_is_in(type);

	cf_copy(&f->header[i], &(struct blk_header){ type, 0, sector }, sizeof(*f->header));
	f->status[i] = 0xa5;
	if (in)
		cf_fill(data_of(f, i), 0xa5, FLIGHT_LEN);
	return cf_submit(c, f->b.q, sg, in ? 1 : 2, in ? 2 : 1, &f->header[i]);
}

/* Waits for one answer; `*i` is which. The ring refuses a second one for the same request. */
static bool land_one(struct flight *f, unsigned *i)
{
	struct cf *c = f->b.c;
	const struct blk_header *h;
	void *cookie;
	uint32_t used;

	if (!cf_used(c, f->b.q, &cookie, &used))
		return false;
	h = cookie;
	*i = (unsigned)(h - f->header);
	return cf_check(c, f->status[*i] == VIRTIO_BLK_S_OK, "request %u: status is %u, must be 0",
		       *i, f->status[*i]) &&
	       cf_eq(c, used, blk_type_is_in(h->type) ? FLIGHT_LEN + 1 : 1, "the used length");
}

static bool land(struct flight *f, unsigned n)
{
	unsigned i;

	while (n && land_one(f, &i))
		n--;
	return !n;
}

/* Where request `i` of a round goes: each to a place of its own, not in their order. */
static uint64_t place(const struct flight *f, unsigned i)
{
	return f->b.capacity / 2 + i * 7 % FLIGHT * FLIGHT_SECTORS;
}

static bool write_all(struct flight *f, uint32_t seed)
{
	for (unsigned i = 0; i < f->n; i++) {
		blk_fill(data_of(f, i), seed + i * FLIGHT_SECTORS, FLIGHT_SECTORS);
		if (!launch(f, i, VIRTIO_BLK_T_OUT, place(f, i)))
			return false;
	}
	return true;
}

static bool read_all(struct flight *f)
{
	for (unsigned i = 0; i < f->n; i++)
		if (!launch(f, i, VIRTIO_BLK_T_IN, place(f, i)))
			return false;
	return true;
}

static bool all_hold(struct flight *f, uint32_t seed)
{
	for (unsigned i = 0; i < f->n; i++)
		if (!cf_check(f->b.c,
			    blk_filled(data_of(f, i), seed + i * FLIGHT_SECTORS, FLIGHT_SECTORS),
			    "%u sectors from %llu do not hold what was written there",
			    FLIGHT_SECTORS, (unsigned long long)place(f, i)))
			return false;
	return true;
}

static bool read_back(struct flight *f, uint32_t seed)
{
	return read_all(f) && land(f, f->n) && all_hold(f, seed);
}

static void in_flight(struct cf *c)
{
	struct flight f;

	if (!flight_up(&f, c, 0, 1))
		return;
	for (uint32_t round = 0; round < (cf_target(c)->guest ? 2 : 8); round++)
		if (!write_all(&f, round * 1000) || !land(&f, f.n) || !read_back(&f, round * 1000))
			return;
}

/* The same with everything offered, to be sure that no feature breaks another. */
static void in_flight_all_features(struct cf *c)
{
	struct flight f;
	uint64_t want = ~(DRV_FEATURE(VIRTIO_BLK_F_MQ) | DRV_FEATURE(VIRTIO_BLK_F_ZONED));

	if (!flight_up(&f, c, want, 1))
		return;
	for (uint32_t round = 0; round < (cf_target(c)->guest ? 1 : 4); round++)
		if (!write_all(&f, round * 1000) || !land(&f, f.n) || !read_back(&f, round * 1000))
			return;
}

/* Writes and reads of other places mixed, and a flush between them. */
static void mixed(struct cf *c)
{
	struct flight f;
	uint8_t *buf = cf_buf(c, FLIGHT_LEN);

	if (!buf || !flight_up(&f, c, DRV_FEATURE(VIRTIO_BLK_F_FLUSH), 1) || !write_all(&f, 500) ||
		!land(&f, f.n))
		return;
	for (unsigned i = 0; i < f.n; i++) {
		if (i % 2)
			blk_fill(data_of(&f, i), 9000 + i * FLIGHT_SECTORS, FLIGHT_SECTORS);
		if (!launch(&f, i, i % 2 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN, place(&f, i)))
			return;
	}
	if (!land(&f, f.n))
		return;
	for (unsigned i = 0; i < f.n; i++) {
		uint32_t seed = (i % 2 ? 9000 : 500) + i * FLIGHT_SECTORS;

		if (!blk_holds(&f.b, buf, place(&f, i), seed, FLIGHT_SECTORS))
			return;
	}
	if (cf_offered(c, VIRTIO_BLK_F_FLUSH))
		blk_do(&f.b, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, VIRTIO_BLK_S_OK);
}

/* A full ring, emptied, many times: positions wrap, nothing is lost. */
static void full_ring(struct cf *c)
{
	struct flight f;
	struct drv_queue *q;

	if (!cf_begin(c, 0) || !(q = cf_queue(c, 0, 8)) || !cf_run_device(c))
		return;
	f.b = (struct blk){ .c = c, .q = q, .capacity = cf_config(c, BLK_CFG_CAPACITY, 8) };
	if (!flight_bufs(&f, c))
		return;
	for (unsigned round = 0; round < 200; round++) {
		unsigned n = 0;

		while (q->ring.nfree >= 3 && n < FLIGHT)
			if (!launch(&f, n++, VIRTIO_BLK_T_IN, 0))
				return;
		if (!land(&f, n))
			return;
	}
}

/*
 * With IN_ORDER a quick request waits for a slow one before it: zeroes to write, which storage is
 * asked for, then a read of what is in memory. The ring takes a used entry for all buffers up to
 * it, so the answers tell: none is missing when its buffer comes back.
 */
static bool zero_then_read(struct flight *f)
{
	struct drv_queue *q = f->b.q;
	struct cf *c = f->b.c;

	for (unsigned i = 0; i < f->n; i++) {
		bool zero = i % 2 == 0;
		struct blk_segment segment = { place(f, i), FLIGHT_SECTORS, 0 };
		struct drv_sg sg[3] = { cf_sg(c, &f->header[i], sizeof(*f->header)),
			cf_sg(c, data_of(f, i), zero ? sizeof(segment) : FLIGHT_LEN),
			cf_sg(c, &f->status[i], 1) };

		cf_copy(&f->header[i],
			&(struct blk_header){ zero ? VIRTIO_BLK_T_WRITE_ZEROES : VIRTIO_BLK_T_IN, 0,
				zero ? 0 : place(f, i) },
			sizeof(*f->header));
		if (zero)
			cf_copy(data_of(f, i), &segment, sizeof(segment));
		f->status[i] = 0xa5;
		if (!cf_check(c,
			    !drv_ring_add(&q->ring, sg, zero ? 2 : 1, zero ? 1 : 2, &f->header[i]),
			    "no room for request %u of %u", i, f->n))
			return false;
	}
	return cf_check(c, !drv_queue_publish(q), "the device cannot be notified");
}

static void in_order(struct cf *c)
{
	struct flight f;
	void *cookie;

	if (!flight_up(&f, c,
		    DRV_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES) | DRV_FEATURE(VIRTIO_F_IN_ORDER), 1))
		return;
	for (uint32_t round = 0; round < 8; round++) {
		if (!write_all(&f, round * 1000) || !land(&f, f.n) || !zero_then_read(&f))
			return;
		for (unsigned i = 0; i < f.n; i++)
			if (!cf_used(c, f.b.q, &cookie, NULL) ||
				!cf_check(c, cookie == &f.header[i],
					"another buffer came back than the next in order") ||
				!cf_check(c, f.status[i] == VIRTIO_BLK_S_OK,
					"request %u came back with status %u", i, f.status[i]))
				return;
	}
}

/* Multiqueue. */

static bool more_queues(struct flight *f, struct cf *c, unsigned *n)
{
	*n = (unsigned)cf_config(c, BLK_CFG_NUM_QUEUES, 2);
	if (*n > 4)
		*n = 4;
	return flight_up(f, c, DRV_FEATURE(VIRTIO_BLK_F_MQ), *n);
}

/* What one queue writes every other one reads. */
static void all_queues(struct cf *c)
{
	struct flight f;
	unsigned n;

	if (!more_queues(&f, c, &n))
		return;
	for (unsigned i = 0; i < n; i++) {
		f.b.q = cf_q(c, i);
		if (!write_all(&f, i * 1000) || !land(&f, f.n))
			return;
		f.b.q = cf_q(c, (i + 1) % n);
		if (!read_back(&f, i * 1000))
			return;
	}
	cf_note(c, "%u queues", n);
}

/* A queue that is never empty does not hold up the next. */
static void queues_are_fair(struct cf *c)
{
	struct flight f;
	struct drv_queue *busy;
	uint8_t *buf = cf_buf(c, DRV_BLK_SECTOR);
	unsigned n, k;

	if (!buf || !more_queues(&f, c, &n))
		return;
	busy = cf_q(c, 0);
	if (n < 2) {
		cf_skip(c, "one queue only");
		return;
	}
	for (unsigned i = 0; i < f.n; i++)
		if (!launch(&f, i, VIRTIO_BLK_T_IN, place(&f, i)))
			return;
	for (unsigned i = 0; i < 50; i++) {
		f.b.q = busy;
		if (!land_one(&f, &k) || !launch(&f, k, VIRTIO_BLK_T_IN, 0))
			return;
		f.b.q = cf_q(c, 1);
		if (!blk_do(&f.b, VIRTIO_BLK_T_IN, 0, buf, DRV_BLK_SECTOR, VIRTIO_BLK_S_OK))
			return;
	}
	f.b.q = busy;
	land(&f, f.n);
}

/* A reset under load: when it is complete nothing of before is written. */
static bool reset_is_complete(struct flight *f)
{
	struct cf *c = f->b.c;

	if (!read_all(f) || !cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset"))
		return false;
	cf_fill(f->data, 0x77, FLIGHT * FLIGHT_LEN);
	cf_fill(f->status, 0x77, FLIGHT);
	return blk_up(&f->b, c, 0, 1) && cf_probe_works(c, f->b.q) &&
	       cf_check(c,
		       cf_filled(f->data, 0x77, FLIGHT * FLIGHT_LEN) &&
			       cf_filled(f->status, 0x77, FLIGHT),
		       "a buffer of before the reset was written after it");
}

static void reset_under_load(struct cf *c)
{
	struct flight f;

	if (!flight_bufs(&f, c) || !blk_up(&f.b, c, 0, 1))
		return;
	f.n = flight_size(f.b.q);
	for (unsigned round = 0; round < 8; round++)
		if (!reset_is_complete(&f))
			return;
}

/* Death of the back-end. */

static bool kill_it(struct cf *c)
{
	struct cf_target *t = cf_target(c);

	if (!t->kill) {
		cf_skip(c, "the back-end cannot be killed here");
		return false;
	}
	return cf_check(c, t->kill(t), "the back-end cannot be replaced");
}

/* Killed while writes are under way: each is answered once, none is lost. */
static void kill_writes(struct cf *c)
{
	struct flight f;

	if (!flight_up(&f, c, DRV_FEATURE(VIRTIO_BLK_F_FLUSH), 1))
		return;
	for (uint32_t round = 0; round < 4; round++)
		if (!write_all(&f, 3000 + round * 1000) || !kill_it(c) || !land(&f, f.n) ||
			!read_back(&f, 3000 + round * 1000))
			return;
}

static void kill_reads(struct cf *c)
{
	struct flight f;

	if (!flight_up(&f, c, 0, 1) || !write_all(&f, 100) || !land(&f, f.n))
		return;
	for (unsigned round = 0; round < 4; round++)
		if (!read_all(&f) || !kill_it(c) || !land(&f, f.n) || !all_hold(&f, 100))
			return;
}

/* What a completed flush covers is there after the death of the back-end. */
static void kill_flushed(struct cf *c)
{
	struct flight f;

	if (!flight_up(&f, c, DRV_FEATURE(VIRTIO_BLK_F_FLUSH), 1) || !write_all(&f, 42) ||
		!land(&f, f.n) || !blk_do(&f.b, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, VIRTIO_BLK_S_OK) ||
		!kill_it(c))
		return;
	read_back(&f, 42);
}

/* Without FLUSH negotiated, each write is stable when it is done (5.2.6.2). */
static void kill_written(struct cf *c)
{
	struct flight f;

	if (flight_up(&f, c, 0, 1) && write_all(&f, 43) && land(&f, f.n) && kill_it(c))
		read_back(&f, 43);
}

const struct cf_case cf_cases_blk_load[] = {
	{ "blk.load.in_flight", "BLK-1 BLK-9 ROB-7", in_flight, DRV_ID_BLK, .flags = CF_RINGS },
	{ "blk.load.all_features", "BLK-1", in_flight_all_features, DRV_ID_BLK, .flags = CF_RINGS },
	{ "blk.load.mixed", "BLK-1 BLK-2", mixed, DRV_ID_BLK },
	{ "blk.load.full_ring", "BLK-1", full_ring, DRV_ID_BLK, .flags = CF_RINGS },
	{ "blk.load.reset", "ROB-18 V2.4.1-2", reset_under_load, DRV_ID_BLK, .flags = CF_RINGS },
	{ "blk.inorder.slow_first", "V6.2-5", in_order, DRV_ID_BLK, .flags = CF_RINGS,
		.needs = DRV_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES) | DRV_FEATURE(VIRTIO_F_IN_ORDER) },
	{ "blk.mq.all_queues", "BLK-1", all_queues, DRV_ID_BLK, .flags = CF_RINGS,
		.needs = DRV_FEATURE(VIRTIO_BLK_F_MQ) },
	{ "blk.mq.fair", "ROB-19", queues_are_fair, DRV_ID_BLK,
		.needs = DRV_FEATURE(VIRTIO_BLK_F_MQ) },
	{ "blk.kill.writes", "ROB-7", kill_writes, DRV_ID_BLK, .flags = CF_RINGS },
	{ "blk.kill.reads", "ROB-7", kill_reads, DRV_ID_BLK, .flags = CF_RINGS },
	{ "blk.kill.flushed", "BLK-2 BLK-13 PLAT-7 V5.2.6.2-13", kill_flushed, DRV_ID_BLK,
		.needs = DRV_FEATURE(VIRTIO_BLK_F_FLUSH) },
	{ "blk.kill.written", "BLK-9 V5.2.6.2-13", kill_written, DRV_ID_BLK,
		.needs = DRV_FEATURE(VIRTIO_BLK_F_FLUSH) },
	{ 0 },
};
