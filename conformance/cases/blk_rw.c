/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading and writing a disk (VIRTIO 1.4, 5.2.6), in every form that a driver may choose. */
#include "conformance/cases/blk.h"

#define SEED 1000u

static void read_ends(struct cf *c)
{
	struct blk b;
	uint8_t *buf = cf_buf(c, 8 * DRV_BLK_SECTOR);

	if (!buf || !blk_up(&b, c, 0, 1))
		return;
	blk_do(&b, VIRTIO_BLK_T_IN, 0, buf, DRV_BLK_SECTOR, VIRTIO_BLK_S_OK);
	blk_do(&b, VIRTIO_BLK_T_IN, 0, buf, 8 * DRV_BLK_SECTOR, VIRTIO_BLK_S_OK);
	blk_do(&b, VIRTIO_BLK_T_IN, b.capacity - 1, buf, DRV_BLK_SECTOR, VIRTIO_BLK_S_OK);
	blk_do(&b, VIRTIO_BLK_T_IN, b.capacity - 8, buf, 8 * DRV_BLK_SECTOR, VIRTIO_BLK_S_OK);
}

/* What is written is read back: at the start, in the middle, at the end. */
static void read_back(struct cf *c)
{
	struct blk b;
	uint8_t *buf = cf_buf(c, 8 * DRV_BLK_SECTOR);
	uint64_t at[4];

	if (!buf || !blk_up_writable(&b, c, 0))
		return;
	at[0] = 0;
	at[1] = 9;
	at[2] = b.capacity / 2;
	at[3] = b.capacity - 8;
	for (uint32_t i = 0; i < 4; i++)
		if (!blk_put(&b, buf, at[i], SEED + i * 100, 8))
			return;
	for (uint32_t i = 0; i < 4; i++)
		if (!blk_holds(&b, buf, at[i], SEED + i * 100, 8))
			return;
	for (uint32_t i = 0; i < 8; i++)
		if (!blk_holds(&b, buf, at[3] + i, SEED + 300 + i, 1))
			return;
}

/* A write changes its sectors and no others. */
static void neighbours(struct cf *c)
{
	struct blk b;
	uint8_t *buf = cf_buf(c, 24 * DRV_BLK_SECTOR);
	uint64_t at;

	if (!buf || !blk_up_writable(&b, c, 0))
		return;
	at = b.capacity / 2;
	if (blk_put(&b, buf, at, SEED, 24) && blk_put(&b, buf, at + 8, SEED + 500, 7) &&
		blk_holds(&b, buf, at, SEED, 8) && blk_holds(&b, buf, at + 8, SEED + 500, 7))
		blk_holds(&b, buf, at + 15, SEED + 15, 9);
}

static void sizes(struct cf *c)
{
	static const uint8_t n[] = { 1, 2, 3, 7, 8, 9, 16, 31, 64, 127, 128 };
	struct blk b;
	uint8_t *buf = cf_buf(c, 128 * DRV_BLK_SECTOR);

	if (!buf || !blk_up_writable(&b, c, 0))
		return;
	for (unsigned i = 0; i < sizeof(n); i++)
		if (!blk_put(&b, buf, n[i], SEED + i, n[i]) ||
			!blk_holds(&b, buf, n[i], SEED + i, n[i]))
			return;
}

/* The last of several writes counts. */
static void rewrite(struct cf *c)
{
	struct blk b;
	uint8_t *buf = cf_buf(c, 8 * DRV_BLK_SECTOR);

	if (!buf || !blk_up_writable(&b, c, 0))
		return;
	for (uint32_t i = 0; i < 16; i++)
		if (!blk_put(&b, buf, 40 + i % 3, SEED + i * 9, 8) ||
			!blk_holds(&b, buf, 40 + i % 3, SEED + i * 9, 8))
			return;
}

/* No data is a multiple of 512 bytes, too. */
static void nothing(struct cf *c)
{
	struct blk b;
	uint8_t *buf = cf_buf(c, DRV_BLK_SECTOR);

	if (!buf || !blk_up(&b, c, 0, 1))
		return;
	blk_do(&b, VIRTIO_BLK_T_IN, 3, NULL, 0, VIRTIO_BLK_S_OK);
	if (cf_offered(c, VIRTIO_BLK_F_RO) || !blk_put(&b, buf, 3, SEED, 1))
		return;
	blk_do(&b, VIRTIO_BLK_T_OUT, 3, NULL, 0, VIRTIO_BLK_S_OK);
	blk_holds(&b, buf, 3, SEED, 1);
}

/* Any arrangement of descriptors (2.7.4): the header in pieces, data behind it in its descriptor,
 * data in uneven pieces, the status at the end of the data's descriptor. */

#define LAYOUT_SECTORS 4u
#define LAYOUT_LEN     (LAYOUT_SECTORS * DRV_BLK_SECTOR)

static const struct blk_cut layouts[] = {
	{ 0, 0, UINT16_MAX }, /* all in one */
	{ 1, 16, UINT16_MAX },
	{ 1, 15, UINT16_MAX },
	{ 1, 17, UINT16_MAX },
	{ 2, 8, UINT16_MAX },
	{ 1, 1, 1000 },
	{ 1, 16 + 511, 513 },
	{ 16, 1, 512 },
	{ 20, 1, 300 },
	{ 0, 0, 512 },
	{ 0, 0, 257 },
	{ 8, 2, 96 },
};

struct layout_bufs {
	struct drv_sg *sg;
	uint8_t *out, *in; /* header and data; data and status */
	uint32_t out_len, in_len;
};

static bool layout_request(struct blk *b, const struct layout_bufs *l, const struct blk_cut *out,
	const struct blk_cut *in, unsigned max)
{
	unsigned n_out = blk_cut(b->c, l->sg, max / 2, l->out, l->out_len, out);
	unsigned n_in = blk_cut(b->c, l->sg + n_out, max / 2, l->in, l->in_len, in);
	uint32_t used;

	cf_fill(l->in, 0xa5, l->in_len);
	return blk_send(b, l->sg, n_out, n_in, &used) &&
	       cf_eq(b->c, l->in[l->in_len - 1], VIRTIO_BLK_S_OK, "the status") &&
	       cf_eq(b->c, used, l->in_len, "the used length");
}

/* Writes and reads in layout `i`, of at most `max` descriptors. */
static bool layout_works(struct blk *b, struct layout_bufs *l, unsigned i, unsigned max)
{
	static const struct blk_cut whole = { 0, 0, UINT16_MAX };
	struct blk_header h = { VIRTIO_BLK_T_OUT, 0, 7 };

	l->out_len = sizeof(h) + LAYOUT_LEN;
	l->in_len = 1;
	cf_copy(l->out, &h, sizeof(h));
	blk_fill(l->out + sizeof(h), SEED + i * 10, LAYOUT_SECTORS);
	if (!layout_request(b, l, &layouts[i], &whole, max))
		return false;
	h.type = VIRTIO_BLK_T_IN;
	cf_copy(l->out, &h, sizeof(h));
	l->out_len = sizeof(h);
	l->in_len = LAYOUT_LEN + 1;
	return layout_request(b, l, &layouts[i], &layouts[i], max) &&
	       cf_check(b->c, blk_filled(l->in, SEED + i * 10, LAYOUT_SECTORS),
		       "layout %u: other data is read than was written", i);
}

static void run_layouts(struct cf *c, uint64_t want, unsigned max)
{
	struct layout_bufs l = {
		.sg = cf_buf(c, 64 * sizeof(struct drv_sg)),
		.out = cf_buf(c, 16 + LAYOUT_LEN),
		.in = cf_buf(c, LAYOUT_LEN + 1),
	};
	struct blk b;

	if (!l.sg || !l.out || !l.in || !blk_up_writable(&b, c, want))
		return;
	for (unsigned i = 0; i < sizeof(layouts) / sizeof(*layouts); i++)
		if (!layout_works(&b, &l, i, max))
			return;
}

static void layouts_chained(struct cf *c)
{
	run_layouts(c, 0, 60);
}

/* The core's indirect tables have 16 entries. */
static void layouts_indirect(struct cf *c)
{
	run_layouts(c, DRV_FEATURE(VIRTIO_F_INDIRECT_DESC), 16);
}

/* Elements of length zero between all parts and behind the status add nothing. */
static void empty_elements(struct cf *c)
{
	struct blk b;
	uint8_t *in = cf_buf(c, DRV_BLK_SECTOR), *disk = cf_buf(c, DRV_BLK_SECTOR);
	struct drv_sg sg[7];
	uint32_t used;

	if (!in || !disk || !blk_up_writable(&b, c, 0) || !blk_put(&b, disk, 9, SEED, 1))
		return;
	cf_copy(b.header, &(struct blk_header){ VIRTIO_BLK_T_IN, 0, 9 }, sizeof(*b.header));
	*b.status = 0xa5;
	sg[0] = cf_sg(c, in, 0);
	sg[1] = cf_sg(c, b.header, sizeof(*b.header));
	sg[2] = cf_sg(c, in, 0);
	sg[3] = cf_sg(c, in, DRV_BLK_SECTOR);
	sg[4] = cf_sg(c, in, 0);
	sg[5] = cf_sg(c, b.status, 1);
	sg[6] = cf_sg(c, in, 0);
	if (blk_send(&b, sg, 2, 5, &used) && cf_eq(c, *b.status, VIRTIO_BLK_S_OK, "the status") &&
		cf_eq(c, used, DRV_BLK_SECTOR + 1, "the used length"))
		cf_check(c, blk_filled(in, SEED, 1), "other data is read than was written");
}

/* As many segments as the device says, as far as the queue has descriptors for them: 16 bytes each
 * and the last one the rest. */
static void seg_max(struct cf *c)
{
	struct blk_cut cut = { 0, 0, 16 };
	struct drv_queue *q;
	struct drv_sg *sg;
	struct blk b = { .c = c };
	uint32_t n, len, used;
	uint8_t *in;

	if (!cf_begin(c, DRV_FEATURE(VIRTIO_BLK_F_SEG_MAX)) || !(q = cf_queue(c, 0, 1024)) ||
		!cf_run_device(c))
		return;
	b.q = q;
	n = (uint32_t)cf_config(c, BLK_CFG_SEG_MAX, 4);
	if (n > q->ring.size - 2u)
		n = q->ring.size - 2u;
	len = (n * cut.step + DRV_BLK_SECTOR - 1) / DRV_BLK_SECTOR * DRV_BLK_SECTOR;
	sg = cf_buf(c, (n + 2) * (uint32_t)sizeof(*sg));
	b.header = cf_buf(c, sizeof(*b.header));
	in = cf_buf(c, len + 1);
	if (!sg || !b.header || !in)
		return;
	cf_fill(b.header, 0, sizeof(*b.header));
	sg[0] = cf_sg(c, b.header, sizeof(*b.header));
	n = blk_cut(c, sg + 1, n, in, len, &cut);
	sg[n + 1] = cf_sg(c, in + len, 1);
	if (blk_send(&b, sg, 1, n + 1, &used)) {
		cf_eq(c, in[len], VIRTIO_BLK_S_OK, "the status");
		cf_eq(c, used, len + 1, "the used length");
	}
	cf_note(c, "%u segments", n);
}

/* One segment of size_max bytes, or of 64 KiB if that is less. */
static void size_max(struct cf *c)
{
	struct blk b;
	uint32_t len;
	uint8_t *buf;

	if (!blk_up(&b, c, DRV_FEATURE(VIRTIO_BLK_F_SIZE_MAX), 1))
		return;
	len = (uint32_t)cf_config(c, BLK_CFG_SIZE_MAX, 4);
	if (len > 65536)
		len = 65536;
	len -= len % DRV_BLK_SECTOR;
	if (len && (buf = cf_buf(c, len)))
		blk_do(&b, VIRTIO_BLK_T_IN, 0, buf, len, VIRTIO_BLK_S_OK);
}

/* Disks that are read-only. */

static void readonly_write(struct cf *c)
{
	struct blk b;
	uint8_t *before = cf_buf(c, 8 * DRV_BLK_SECTOR), *buf = cf_buf(c, 8 * DRV_BLK_SECTOR);

	if (!before || !buf || !blk_up_readonly(&b, c, 0) ||
		!blk_do(&b, VIRTIO_BLK_T_IN, 8, before, 8 * DRV_BLK_SECTOR, VIRTIO_BLK_S_OK))
		return;
	for (uint32_t i = 0; i < 8 * DRV_BLK_SECTOR; i++)
		buf[i] = (uint8_t)~before[i];
	if (blk_do(&b, VIRTIO_BLK_T_OUT, 8, buf, DRV_BLK_SECTOR, VIRTIO_BLK_S_IOERR) &&
		blk_do(&b, VIRTIO_BLK_T_OUT, 8, buf, 8 * DRV_BLK_SECTOR, VIRTIO_BLK_S_IOERR) &&
		blk_do(&b, VIRTIO_BLK_T_IN, 8, buf, 8 * DRV_BLK_SECTOR, VIRTIO_BLK_S_OK))
		cf_check(c, cf_same(before, buf, 8 * DRV_BLK_SECTOR),
			"a read-only disk was written");
}

/* The same for a driver that does not know RO. */
static void readonly_unaware(struct cf *c)
{
	struct blk b;
	uint8_t *before = cf_buf(c, DRV_BLK_SECTOR), *buf = cf_buf(c, DRV_BLK_SECTOR);

	if (!before || !buf || !blk_up(&b, c, 0, 1) ||
		!blk_do(&b, VIRTIO_BLK_T_IN, 0, before, DRV_BLK_SECTOR, VIRTIO_BLK_S_OK))
		return;
	for (uint32_t i = 0; i < DRV_BLK_SECTOR; i++)
		buf[i] = (uint8_t)~before[i];
	if (blk_do(&b, VIRTIO_BLK_T_OUT, 0, buf, DRV_BLK_SECTOR, VIRTIO_BLK_S_IOERR) &&
		blk_do(&b, VIRTIO_BLK_T_IN, 0, buf, DRV_BLK_SECTOR, VIRTIO_BLK_S_OK))
		cf_check(c, cf_same(before, buf, DRV_BLK_SECTOR), "a read-only disk was written");
}

#define F(name) DRV_FEATURE(VIRTIO_BLK_F_##name)

const struct cf_case cf_cases_blk_rw[] = {
	{ "blk.rw.read_ends", "BLK-1 ROB-8", read_ends, DRV_ID_BLK, .flags = CF_RINGS },
	{ "blk.rw.read_back", "BLK-1", read_back, DRV_ID_BLK, .flags = CF_RINGS },
	{ "blk.rw.neighbours", "BLK-1 BLK-8", neighbours, DRV_ID_BLK },
	{ "blk.rw.sizes", "BLK-1", sizes, DRV_ID_BLK },
	{ "blk.rw.rewrite", "BLK-1 BLK-13", rewrite, DRV_ID_BLK },
	{ "blk.rw.nothing", "BLK-1", nothing, DRV_ID_BLK },
	{ "blk.rw.layouts", "V2.7.4.1-1", layouts_chained, DRV_ID_BLK, .flags = CF_RINGS },
	{ "blk.rw.layouts_indirect", "V2.7.4.1-1", layouts_indirect, DRV_ID_BLK, .flags = CF_RINGS,
		.needs = DRV_FEATURE(VIRTIO_F_INDIRECT_DESC) },
	{ "blk.rw.empty_elements", "ROB-12", empty_elements, DRV_ID_BLK,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "blk.rw.seg_max", "BLK-1", seg_max, DRV_ID_BLK, .flags = CF_RINGS, .needs = F(SEG_MAX) },
	{ "blk.rw.size_max", "BLK-1", size_max, DRV_ID_BLK, .needs = F(SIZE_MAX) },
	{ "blk.readonly.write", "V5.2.6.2-3 V5.2.6.2-4", readonly_write, DRV_ID_BLK,
		.needs = F(RO) },
	{ "blk.readonly.unaware", "V5.2.6.2-3 V5.2.6.2-4", readonly_unaware, DRV_ID_BLK,
		.needs = F(RO) },
	{ 0 },
};
