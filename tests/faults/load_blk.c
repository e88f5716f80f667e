/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Disk: random reads, writes, zeroings and flushes against a model of what each block must contain.
 * At most one request touches a block at a time, so every read has one right answer, also when
 * requests overtake each other or are done again after a crash.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/loop.h"
#include "base/util.h"
#include "drivers/blk.h"
#include "lib/blocks.h"
#include "load_classes.h"

#define BLOCK  BLOCKS_LEN
#define BLOCKS 2048u
#define SLOTS  DRV_BLK_DEPTH
#define SPAN   4u /* blocks of one request */

struct slot {
	struct drv_blk_op op;
	struct load *l;
	uint64_t begun;
	unsigned block, span;
	bool busy;
};

struct state {
	struct drv_blk drv;
	struct slot slots[SLOTS];
	uint32_t version[BLOCKS]; /* 0: zeroes */
	bool busy[BLOCKS];
	uint32_t writes; /* versions handed out, so that no contents come twice */
	bool wrong;
};

static void answered(struct drv_blk_op *op)
{
	struct slot *s = op->ctx;
	struct load *l = s->l;
	struct state *st = l->state;

	if (op->result)
		st->wrong = load_fail(
			l, "request %u of block %u: result %d", op->type, s->block, op->result);
	for (unsigned i = 0; i < s->span; i++) {
		unsigned block = s->block + i;

		if (op->type == VIRTIO_BLK_T_IN && !st->wrong &&
			!blocks_match((uint8_t *)op->buf + i * BLOCK, block, st->version[block]))
			st->wrong = load_fail(l, "block %u is not what was written", block);
		st->busy[block] = false;
	}
	s->busy = false;
	l->begun = s->begun;
	l->done++;
	atomic_fetch_sub(&l->pending, 1);
}

/* Takes a run of blocks that no other request touches. */
static unsigned draw(struct load *l, struct state *st, struct slot *s)
{
	unsigned want = 1 + load_random(l) % SPAN;

	s->block = load_random(l) % BLOCKS;
	for (s->span = 0; s->span < want && s->block + s->span < BLOCKS; s->span++) {
		if (st->busy[s->block + s->span])
			break;
		st->busy[s->block + s->span] = true;
	}
	return s->span;
}

static void choose(struct load *l, struct state *st, struct slot *s)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_IN,
		VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_OUT,
		VIRTIO_BLK_T_FLUSH };
	uint32_t type = types[load_random(l) % ARRAY_LEN(types)];
	uint8_t *buf = l->seat[0].buffer + (size_t)(s - st->slots) * SPAN * BLOCK;

	s->op = (struct drv_blk_op){ .type = type, .buf = buf, .done = answered, .ctx = s };
	s->op.sector = type == VIRTIO_BLK_T_FLUSH ? 0 : s->block * (BLOCK / DRV_BLK_SECTOR);
	s->op.len = type == VIRTIO_BLK_T_FLUSH ? 0 : s->span * BLOCK;
	for (unsigned i = 0; i < s->span; i++) {
		unsigned block = s->block + i;

		if (type == VIRTIO_BLK_T_OUT)
			blocks_fill(buf + i * BLOCK, block, st->version[block] = ++st->writes);
		else
			memset(buf + i * BLOCK, 0xee, BLOCK);
	}
}

static int submit(struct load *l, struct slot *s)
{
	struct state *st = l->state;
	int r;

	if (s->busy || !draw(l, st, s))
		return 0;
	choose(l, st, s);
	s->l = l;
	s->busy = true;
	s->begun = ev_now_ns();
	r = drv_blk_submit(&st->drv, &s->op);
	if (r)
		return load_fail(l, "submitting: %d", r);
	atomic_fetch_add(&l->pending, 1);
	return 0;
}

static int poll_one(struct load *l)
{
	struct state *st = l->state;
	int r = drv_blk_poll(&st->drv, seat_until());

	if (r)
		return load_fail(
			l, "%u requests are not answered: %d", atomic_load(&l->pending), r);
	return st->wrong ? -1 : 0;
}

static int step(struct load *l)
{
	struct state *st = l->state;

	for (unsigned i = 0; i < SLOTS; i++)
		if (submit(l, &st->slots[i]))
			return -1;
	return poll_one(l);
}

static const char *image(const struct load *l, char path[128])
{
	snprintf(path, 128, "%s/disk", l->srv.dir);
	return path;
}

static int verify_image(struct load *l)
{
	struct state *st = l->state;
	char path[128];
	autoclose int fd = open(image(l, path), O_RDONLY | O_CLOEXEC);
	uint8_t block[BLOCK];

	for (unsigned i = 0; i < BLOCKS; i++)
		if (pread(fd, block, BLOCK, (off_t)i * BLOCK) != BLOCK ||
			!blocks_match(block, i, st->version[i]))
			return load_fail(l, "block %u of the image is wrong", i);
	return 0;
}

static int finish(struct load *l)
{
	while (atomic_load(&l->pending))
		if (poll_one(l))
			return -1;
	return verify_image(l);
}

static int prepare(struct load *l)
{
	char path[128];
	autoclose int fd = open(image(l, path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)BLOCKS * BLOCK))
		return load_fail(l, "image %s: %m", path);
	return 0;
}

static int prepare_direct(struct load *l)
{
	char path[128];
	autoclose int fd = open(image(l, path), O_RDWR | O_CREAT | O_CLOEXEC | O_DIRECT, 0600);

	if (fd < 0 && errno == EINVAL)
		return load_fail(l, LOAD_SKIP "the file system of %s has a page cache only", path);
	return prepare(l);
}

static int open_driver(struct load *l)
{
	struct state *st = l->state = calloc(1, sizeof(*st));
	int r = st ? drv_blk_open(&st->drv, &l->seat[0].dev) : DRV_NO_MEMORY;

	return r ? load_fail(l, "opening the disk: %d", r) : 0;
}

static const char *const words[] = { "device", "blk", "--image", "{dir}/disk", NULL };
static const char *const words_direct[] = { "device", "blk", "--image", "{dir}/disk", "--cache",
	"none", NULL };

const struct load_class load_blk = { .name = "blk",
	.words = words,
	.nports = 1,
	.id = DRV_ID_BLK,
	.nqueues = 1,
	.prepare = prepare,
	.open = open_driver,
	.step = step,
	.finish = finish };

const struct load_class load_blk_direct = { .name = "blk, past the page cache",
	.words = words_direct,
	.nports = 1,
	.id = DRV_ID_BLK,
	.nqueues = 1,
	.prepare = prepare_direct,
	.open = open_driver,
	.step = step,
	.finish = finish };
