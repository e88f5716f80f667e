/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The power is cut at any moment, on storage with a volatile cache:
 *
 *     test_powercut [-n REQUESTS]
 *
 * A load of writes and flushes, kills of the disk's process included, is recorded with what was
 * answered when. Then, for the moment behind every entry of the record, an image is made of what
 * storage would have: all that was written before the last sync, and of what came after it any
 * part, sector by sector, in any order. Whatever a flush that the driver saw succeed has covered,
 * or in writethrough mode every write that it saw succeed, must be there.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>

#include "base/loop.h"
#include "base/util.h"
#include "disk_rig.h"

#define BLOCKS	 64u /* few, so that they are written often */
#define SLOTS	 8u
#define SECTORS	 8u
#define KILLS	 3u
#define TRIES	 2u /* images of one moment */
#define SECTOR	 512u
#define VERSIONS 4u /* of a sector that are tried, besides the stable one */

/* Notes in the record: what in the upper half, block or flush number below; `len` is the version.
 */
#define NOTE_WRITTEN UINT64_C(1) << 32 /* a write was answered */
#define NOTE_FLUSH   UINT64_C(2) << 32 /* a flush is about to be sent */
#define NOTE_FLUSHED UINT64_C(3) << 32 /* it was answered */
#define NOTE_KIND    (UINT64_C(0xff) << 32)

struct slot {
	struct drv_blk_op op;
	struct cut *cut;
	unsigned block;
	uint32_t version; /* 0: a flush */
	uint32_t flush;
	bool busy;
};

struct cut {
	struct disk_rig rig;
	struct slot slots[SLOTS];
	bool busy[BLOCKS];
	uint32_t version, flush; /* handed out */
	uint64_t random;
	unsigned answered, failed;
};

static uint32_t draw(struct cut *c, uint32_t below)
{
	c->random = c->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(c->random >> 33) % below;
}

static void answered(struct drv_blk_op *op)
{
	struct slot *s = op->ctx;
	struct cut *c = s->cut;

	c->answered++;
	c->failed += op->result != 0;
	if (s->version) {
		faultfs_note(&c->rig.fs, NOTE_WRITTEN | s->block, s->version);
		c->busy[s->block] = false;
	} else {
		faultfs_note(&c->rig.fs, NOTE_FLUSHED | s->flush, 0);
	}
	s->busy = false;
}

static int submit(struct cut *c, struct slot *s)
{
	uint8_t *buf = c->rig.seat.buffer + (size_t)(s - c->slots) * RIG_BLOCK;
	unsigned block = draw(c, BLOCKS);

	s->op = (struct drv_blk_op){ .type = VIRTIO_BLK_T_FLUSH, .done = answered, .ctx = s };
	s->version = 0;
	if (draw(c, 8)) {
		if (c->busy[block])
			return 0;
		c->busy[block] = true;
		s->block = block;
		s->version = ++c->version;
		rig_fill(buf, block, s->version);
		s->op = (struct drv_blk_op){ .type = VIRTIO_BLK_T_OUT,
			.sector = (uint64_t)block * SECTORS,
			.len = RIG_BLOCK,
			.buf = buf,
			.done = answered,
			.ctx = s };
	} else {
		s->flush = ++c->flush;
		faultfs_note(&c->rig.fs, NOTE_FLUSH | s->flush, 0);
	}
	s->busy = true;
	return drv_blk_submit(&c->rig.blk, &s->op);
}

static bool load(struct cut *c, unsigned requests)
{
	unsigned pending = 1, kills = 0;

	while (c->answered < requests || pending) {
		pending = 0;
		for (unsigned i = 0; i < SLOTS; i++) {
			c->slots[i].cut = c;
			if (!c->slots[i].busy && c->answered < requests && submit(c, &c->slots[i]))
				return false;
			pending += c->slots[i].busy;
		}
		if (pending && drv_blk_poll(&c->rig.blk, seat_until()))
			return false;
		if (kills < KILLS && c->answered > (kills + 1) * requests / (KILLS + 1)) {
			kills++;
			if (!rig_kill(&c->rig))
				return false;
		}
	}
	return !c->failed;
}

/* What storage has at a moment of the record. */
struct storage {
	uint8_t stable[BLOCKS * RIG_BLOCK]; /* all that came before the last sync */
	/* Entries of the record after it that wrote a sector, the latest ones. */
	uint32_t later[BLOCKS * SECTORS][VERSIONS];
	uint8_t nlater[BLOCKS * SECTORS];
	uint32_t written[BLOCKS]; /* the last version of each block that was answered */
	uint32_t sure[BLOCKS];	  /* what must be there, at least */
	uint32_t *covered;	  /* of each flush: `written` when it was sent */
};

static void storage_write(struct storage *s, const struct faultfs_entry *e, uint32_t number)
{
	for (uint64_t at = e->offset; at < e->offset + e->len; at += SECTOR) {
		uint64_t sector = at / SECTOR;

		if (e->stable) {
			memcpy(s->stable + at, e->data + at - e->offset, SECTOR);
			s->nlater[sector] = 0;
			continue;
		}
		if (s->nlater[sector] == VERSIONS) {
			memmove(s->later[sector], s->later[sector] + 1, (VERSIONS - 1) * 4);
			s->nlater[sector]--;
		}
		s->later[sector][s->nlater[sector]++] = number;
	}
}

static const uint8_t *written_by(
	const struct faultfs_entry *record, uint32_t number, uint64_t sector)
{
	return record[number].data + sector * SECTOR - record[number].offset;
}

static void storage_sync(struct storage *s, const struct faultfs_entry *record)
{
	for (uint64_t i = 0; i < BLOCKS * SECTORS; i++) {
		if (s->nlater[i])
			memcpy(s->stable + i * SECTOR,
				written_by(record, s->later[i][s->nlater[i] - 1], i), SECTOR);
		s->nlater[i] = 0;
	}
}

static void storage_note(struct storage *s, const struct faultfs_entry *e, bool writethrough)
{
	uint32_t n = (uint32_t)e->offset;

	switch (e->offset & NOTE_KIND) {
	case NOTE_WRITTEN:
		s->written[n] = e->len;
		if (writethrough)
			s->sure[n] = e->len;
		return;
	case NOTE_FLUSH:
		memcpy(s->covered + (size_t)n * BLOCKS, s->written, sizeof(s->written));
		return;
	default:
		/* Flushes may be answered in another order than they were sent. */
		for (unsigned b = 0; b < BLOCKS; b++)
			if (s->covered[(size_t)n * BLOCKS + b] > s->sure[b])
				s->sure[b] = s->covered[(size_t)n * BLOCKS + b];
		return;
	}
}

/* A sector as one power cut would leave it. */
static const uint8_t *survivor(struct cut *c, const struct storage *s, uint64_t sector)
{
	uint32_t which = draw(c, s->nlater[sector] + 1u);

	return which ? written_by(c->rig.fs.entry, s->later[sector][which - 1], sector)
		     : s->stable + sector * SECTOR;
}

/* False if something is missing that must be there, or is not what was ever written there. */
static bool cut_here(struct cut *c, const struct storage *s, uint32_t moment)
{
	for (unsigned i = 0; i < BLOCKS * SECTORS; i++) {
		unsigned block = i / SECTORS;
		uint32_t v = rig_version(survivor(c, s, i), block, i % SECTORS);

		if (v != UINT32_MAX && v >= s->sure[block])
			continue;
		printf("# power cut behind entry %u: block %u, sector %u has version %u, %u was "
		       "flushed\n",
			moment, block, i % SECTORS, v, s->sure[block]);
		return false;
	}
	return true;
}

static bool replay(struct cut *c, bool writethrough, unsigned *cuts)
{
	struct storage *s = calloc(1, sizeof(*s));
	bool good = s != NULL;

	if (s)
		s->covered = calloc((size_t)(c->flush + 1) * BLOCKS, sizeof(*s->covered));
	for (uint32_t i = 0; good && i < c->rig.fs.nentries; i++) {
		const struct faultfs_entry *e = &c->rig.fs.entry[i];

		if (e->event == FAULTFS_WRITE)
			storage_write(s, e, i);
		else if (e->event == FAULTFS_SYNC)
			storage_sync(s, c->rig.fs.entry);
		else
			storage_note(s, e, writethrough);
		for (unsigned k = 0; good && k < TRIES; k++, ++*cuts)
			good = cut_here(c, s, i);
	}
	if (s)
		free(s->covered);
	free(s);
	return good;
}

static unsigned requests = 600; /* of each mode; set by main() */

static void power_cut(struct tap *t, const char *cache)
{
	bool writethrough = !strcmp(cache, "writethrough") || !strcmp(cache, "directsync");
	struct cut *c = calloc(1, sizeof(*c));
	unsigned cuts = 0, syncs = 0;

	REQUIRE(t, c);
	c->random = ev_now_ns();
	if (rig_open(&c->rig, t, cache)) {
		c->rig.fs.recording = true;
		CHECK(t, load(c, requests));
		for (unsigned i = 0; i < c->rig.fs.nentries; i++)
			syncs += c->rig.fs.entry[i].event == FAULTFS_SYNC;
		CHECK(t, replay(c, writethrough, &cuts));
		printf("# %s: %u requests, %u flushes, %u kills; %u syncs of storage; %u power "
		       "cuts\n",
			cache, c->answered, c->flush, KILLS, syncs, cuts);
		CHECK(t, syncs > 0 && cuts > requests);
		rig_close(&c->rig, t);
	}
	free(c);
}

static void writeback(struct tap *t)
{
	power_cut(t, "writeback");
}

static void writethrough(struct tap *t)
{
	power_cut(t, "writethrough");
}

static void none(struct tap *t)
{
	power_cut(t, "none");
}

static void directsync(struct tap *t)
{
	power_cut(t, "directsync");
}

int main(int argc, char **argv)
{
	struct tap t = { 0 };

	signal(SIGPIPE, SIG_IGN);
	if (getopt(argc, argv, "n:") == 'n')
		requests = (unsigned)strtoul(optarg, NULL, 10);
	TAP_RUN(&t, writeback);
	TAP_RUN(&t, writethrough);
	TAP_RUN(&t, none);
	TAP_RUN(&t, directsync);
	return tap_done(&t);
}
