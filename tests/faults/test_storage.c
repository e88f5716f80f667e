/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Storage that fails under a disk: errors, a full disk, transfers cut short, and one that stands
 * still. The guest is told of what failed, of nothing else, and never gets wrong data.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "base/util.h"
#include "disk_rig.h"

static const char *const modes[] = { "writeback", "writethrough", "none" };

/* What the blocks contain; a block that could not be written has either version in each sector. */
struct model {
	uint32_t version[RIG_BLOCKS], old[RIG_BLOCKS];
	uint32_t next;
	unsigned errors;
};

static int write_block(struct disk_rig *r, struct model *m, unsigned block)
{
	int ret;

	rig_fill(r->seat.buffer, block, ++m->next);
	ret = drv_blk_write(&r->blk, block * 8, r->seat.buffer, RIG_BLOCK);
	if (!ret)
		m->old[block] = m->next;
	m->version[block] = m->next;
	m->errors += ret == DRV_ERROR;
	return ret;
}

/* Reads and compares. DRV_BROKEN: wrong contents. */
static int read_block(struct disk_rig *r, struct model *m, unsigned block)
{
	int ret;

	memset(r->seat.buffer, 0xee, RIG_BLOCK);
	ret = drv_blk_read(&r->blk, block * 8, r->seat.buffer, RIG_BLOCK);
	m->errors += ret == DRV_ERROR;
	for (unsigned s = 0; !ret && s < 8; s++) {
		uint32_t v = rig_version(r->seat.buffer + s * 512, block, s);

		if (v != m->version[block] && v != m->old[block])
			ret = DRV_BROKEN;
	}
	return ret;
}

/* Writes and reads `n` blocks each; every request is answered, with success or DRV_ERROR. */
static void traffic(struct tap *t, struct disk_rig *r, struct model *m, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int w = write_block(r, m, i * 7 % RIG_BLOCKS);
		int in = read_block(r, m, i * 11 % RIG_BLOCKS);

		if (!CHECK(t, (!w || w == DRV_ERROR) && (!in || in == DRV_ERROR)))
			return;
	}
}

static void errors_are_told(struct tap *t)
{
	for (unsigned i = 0; i < ARRAY_LEN(modes); i++) {
		struct model m = { 0 };
		struct disk_rig r;

		if (!rig_open(&r, t, modes[i]))
			return;
		faultfs_set(&r.fs, &(struct faultfs_faults){ .read = EIO, .write = EIO, .n = 3 });
		traffic(t, &r, &m, 100);
		CHECK(t, r.fs.failed > 20);
		CHECK_EQ(t, m.errors, r.fs.failed);
		printf("# %s: %lu of %lu requests to storage failed, so did %u of the driver's\n",
			modes[i], r.fs.failed, r.fs.count, m.errors);
		/* And nothing is left of it. */
		faultfs_set(&r.fs, &(struct faultfs_faults){ 0 });
		m.errors = 0;
		traffic(t, &r, &m, RIG_BLOCKS);
		CHECK_EQ(t, m.errors, 0);
		rig_close(&r, t);
	}
}

/* After a sync that failed the kernel has dropped the data, so in the modes that use the page cache
 * no later flush may succeed. */
static void a_failed_flush_is_not_made_good(struct tap *t)
{
	struct model m = { 0 };
	struct disk_rig r;

	if (!rig_open(&r, t, "writeback"))
		return;
	CHECK_EQ(t, write_block(&r, &m, 0), 0);
	CHECK_EQ(t, drv_blk_flush(&r.blk), 0);
	faultfs_set(&r.fs, &(struct faultfs_faults){ .sync = EIO });
	CHECK_EQ(t, drv_blk_flush(&r.blk), DRV_ERROR);
	faultfs_set(&r.fs, &(struct faultfs_faults){ 0 });
	CHECK_EQ(t, drv_blk_flush(&r.blk), DRV_ERROR);
	CHECK_EQ(t, read_block(&r, &m, 0), 0);
	/* A new process begins anew. */
	CHECK(t, rig_kill(&r));
	CHECK_EQ(t, drv_blk_flush(&r.blk), 0);
	rig_close(&r, t);
}

static void a_full_disk(struct tap *t)
{
	for (unsigned i = 0; i < ARRAY_LEN(modes); i++) {
		struct model m = { 0 };
		struct disk_rig r;

		if (!rig_open(&r, t, modes[i]))
			return;
		traffic(t, &r, &m, 50);
		CHECK_EQ(t, m.errors, 0);
		faultfs_set(&r.fs, &(struct faultfs_faults){ .write = ENOSPC });
		for (unsigned b = 0; b < 20; b++)
			CHECK_EQ(t, write_block(&r, &m, b), DRV_ERROR);
		for (unsigned b = 0; b < 20; b++)
			CHECK_EQ(t, read_block(&r, &m, b), 0);
		/* Somebody made room. */
		faultfs_set(&r.fs, &(struct faultfs_faults){ 0 });
		for (unsigned b = 0; b < 20; b++)
			CHECK_EQ(t, write_block(&r, &m, b), 0);
		rig_close(&r, t);
	}
}

/* Past the page cache, and for synchronous writes, Linux 6.18 completes by itself what FUSE has
 * cut, and at the wrong place: nothing that could be tested here. */
static void writes_cut_short_are_completed(struct tap *t)
{
	struct model m = { 0 };
	struct disk_rig r;

	if (!rig_open(&r, t, "writeback"))
		return;
	faultfs_set(&r.fs, &(struct faultfs_faults){ .most = 1536 });
	traffic(t, &r, &m, 100);
	CHECK_EQ(t, m.errors, 0);
	CHECK(t, r.fs.cut >= 200);
	rig_close(&r, t);
}

/* The process goes on while storage does not: its control socket answers, and what the driver asked
 * for comes when storage does. */
static void storage_that_stands_still(struct tap *t)
{
	struct drv_blk_op ops[8] = { 0 };
	struct model m = { 0 };
	struct disk_rig r;
	struct err e = { 0 };

	if (!rig_open(&r, t, "none"))
		return;
	traffic(t, &r, &m, 20);
	faultfs_set(&r.fs, &(struct faultfs_faults){ .hold = true });
	for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
		ops[i] = (struct drv_blk_op){ .type = i % 2 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
			.sector = (uint64_t)i * 8,
			.len = RIG_BLOCK,
			.buf = r.seat.buffer + (size_t)i * RIG_BLOCK };
		rig_fill(ops[i].buf, i, ++m.next);
		if (i % 2)
			m.version[i] = m.old[i] = m.next;
		CHECK_EQ(t, drv_blk_submit(&r.blk, &ops[i]), 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(t, send(r.srv.control, "stats", 5, MSG_NOSIGNAL), 5);
		CHECK_EQ(t, server_hear(&r.srv, "\"stats\"", &e), 0);
	}
	CHECK_EQ(t, drv_blk_poll(&r.blk, ev_now_ns() + 50000000), DRV_TIMEOUT);
	faultfs_set(&r.fs, &(struct faultfs_faults){ 0 });
	for (unsigned i = 0; i < ARRAY_LEN(ops); i++)
		CHECK_EQ(t, drv_blk_poll(&r.blk, seat_until()), 0);
	for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
		CHECK(t, ops[i].finished && !ops[i].result);
		CHECK_EQ(t, read_block(&r, &m, i), 0);
	}
	rig_close(&r, t);
}

int main(void)
{
	struct tap t = { 0 };

	signal(SIGPIPE, SIG_IGN);
	TAP_RUN(&t, errors_are_told);
	TAP_RUN(&t, a_failed_flush_is_not_made_good);
	TAP_RUN(&t, a_full_disk);
	TAP_RUN(&t, writes_cut_short_are_completed);
	TAP_RUN(&t, storage_that_stands_still);
	return tap_done(&t);
}
