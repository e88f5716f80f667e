/* SPDX-License-Identifier: BSD-3-Clause */
/* The block device's features and configuration space (VIRTIO 1.4, 5.2.3 to 5.2.5). */
#include "conformance/cases/blk.h"

/* Writes a field as a driver would, whether it may or not. */
static bool poke(struct cf *c, uint32_t offset, uint64_t value, unsigned len)
{
	struct drv_dev *dev = cf_dev(c);
	int r = dev->ops->config_write(dev, offset, &value, len);

	if (r == DRV_UNSUPPORTED) {
		cf_skip(c, "configuration space cannot be written");
		return false;
	}
	return cf_check(c, !r, "configuration byte %u cannot be written (%d)", offset, r);
}

static void capacity(struct cf *c)
{
	uint64_t before = cf_config(c, BLK_CFG_CAPACITY, 8), said;
	const char *fact = cf_fact(c, "capacity");

	cf_check(c, before > 0, "the capacity is 0 before FEATURES_OK");
	if (fact && cf_check(c, cf_number(fact, &said), "fact capacity: no number: %s", fact))
		cf_eq(c, before, said, "the capacity in sectors");
	if (cf_up(c, 0, 1))
		cf_eq(c, cf_config(c, BLK_CFG_CAPACITY, 8), before, "the capacity when it runs");
	cf_note(c, "%llu sectors", (unsigned long long)before);
}

/* Every field that an offered feature brings along is there before FEATURES_OK and is the same
 * afterwards; `writeback` is left out, since it may follow what is negotiated. */
static void fields_early(struct cf *c)
{
	static const struct {
		uint8_t feature, offset, len;
	} fields[] = {
		{ VIRTIO_BLK_F_SIZE_MAX, BLK_CFG_SIZE_MAX, 4 },
		{ VIRTIO_BLK_F_SEG_MAX, BLK_CFG_SEG_MAX, 4 },
		{ VIRTIO_BLK_F_BLK_SIZE, BLK_CFG_BLK_SIZE, 4 },
		{ VIRTIO_BLK_F_TOPOLOGY, BLK_CFG_PHYSICAL_BLOCK_EXP, 8 },
		{ VIRTIO_BLK_F_MQ, BLK_CFG_NUM_QUEUES, 2 },
		{ VIRTIO_BLK_F_DISCARD, BLK_CFG_MAX_DISCARD_SECTORS, 4 },
		{ VIRTIO_BLK_F_DISCARD, BLK_CFG_MAX_DISCARD_SEG, 4 },
		{ VIRTIO_BLK_F_DISCARD, BLK_CFG_DISCARD_SECTOR_ALIGNMENT, 4 },
		{ VIRTIO_BLK_F_WRITE_ZEROES, BLK_CFG_MAX_WRITE_ZEROES_SECTORS, 4 },
		{ VIRTIO_BLK_F_WRITE_ZEROES, BLK_CFG_MAX_WRITE_ZEROES_SEG, 4 },
		{ VIRTIO_BLK_F_SECURE_ERASE, BLK_CFG_MAX_SECURE_ERASE_SECTORS, 4 },
		{ VIRTIO_BLK_F_SECURE_ERASE, BLK_CFG_MAX_SECURE_ERASE_SEG, 4 },
	};
	const unsigned n = sizeof(fields) / sizeof(*fields);
	uint64_t early[sizeof(fields) / sizeof(*fields)];

	for (unsigned i = 0; i < n; i++)
		if (cf_offered(c, fields[i].feature))
			early[i] = cf_config(c, fields[i].offset, fields[i].len);
	if (!cf_up(c, UINT64_MAX & ~DRV_FEATURE(VIRTIO_BLK_F_ZONED), 1))
		return;
	for (unsigned i = 0; i < n; i++)
		if (cf_offered(c, fields[i].feature))
			cf_check(c, cf_config(c, fields[i].offset, fields[i].len) == early[i],
				"the configuration field at %u has changed with FEATURES_OK",
				fields[i].offset);
}

static void padding(struct cf *c)
{
	if (!cf_up(c, UINT64_MAX, 1))
		return;
	if (cf_offered(c, VIRTIO_BLK_F_CONFIG_WCE) || cf_offered(c, VIRTIO_BLK_F_MQ))
		cf_eq(c, cf_config(c, BLK_CFG_UNUSED0, 1), 0, "unused0");
	if (cf_offered(c, VIRTIO_BLK_F_WRITE_ZEROES))
		for (unsigned i = 0; i < 3; i++)
			cf_eq(c, cf_config(c, BLK_CFG_UNUSED1 + i, 1), 0, "unused1");
}

static void flush_offered(struct cf *c)
{
	cf_check(c, cf_offered(c, VIRTIO_BLK_F_FLUSH), "FLUSH is not offered");
}

static void wce_offered(struct cf *c)
{
	cf_check(c, cf_offered(c, VIRTIO_BLK_F_CONFIG_WCE), "CONFIG_WCE is not offered");
}

/* What only a disk that can be written has any use for. */
static void offered_if_writable(struct cf *c, unsigned bit, const char *name)
{
	if (cf_offered(c, VIRTIO_BLK_F_RO))
		cf_skip(c, "the disk is read-only");
	else
		cf_check(c, cf_offered(c, bit), "%s is not offered", name);
}

static void discard_offered(struct cf *c)
{
	offered_if_writable(c, VIRTIO_BLK_F_DISCARD, "DISCARD");
}

static void zeroes_offered(struct cf *c)
{
	offered_if_writable(c, VIRTIO_BLK_F_WRITE_ZEROES, "WRITE_ZEROES");
}

static void flush_with_wce(struct cf *c)
{
	cf_check(c, cf_offered(c, VIRTIO_BLK_F_FLUSH), "CONFIG_WCE is offered without FLUSH");
}

static void blk_size(struct cf *c)
{
	uint64_t size = cf_config(c, BLK_CFG_BLK_SIZE, 4);

	cf_check(c, size >= DRV_BLK_SECTOR && size % DRV_BLK_SECTOR == 0,
		"blk_size is %u, must be a multiple of 512", (unsigned)size);
	if (size)
		cf_check(c, cf_config(c, BLK_CFG_CAPACITY, 8) % (size / DRV_BLK_SECTOR) == 0,
			"the capacity is no multiple of blk_size, %u", (unsigned)size);
	cf_note(c, "%u", (unsigned)size);
}

static void seg_max(struct cf *c)
{
	cf_check(c, cf_config(c, BLK_CFG_SEG_MAX, 4) > 0, "seg_max is 0");
}

static void size_max(struct cf *c)
{
	cf_check(c, cf_config(c, BLK_CFG_SIZE_MAX, 4) > 0, "size_max is 0");
}

/* The first aligned block is one of those that a physical block consists of. */
static void topology(struct cf *c)
{
	uint64_t exp = cf_config(c, BLK_CFG_PHYSICAL_BLOCK_EXP, 1);
	uint64_t offset = cf_config(c, BLK_CFG_ALIGNMENT_OFFSET, 1);

	if (cf_check(c, exp < 24, "physical_block_exp is %u", (unsigned)exp))
		cf_check(c, offset < UINT64_C(1) << exp,
			"alignment_offset is %u, a physical block has %u", (unsigned)offset,
			1u << exp);
}

static void num_queues(struct cf *c)
{
	struct drv_dev *dev = cf_dev(c);
	uint64_t n = cf_config(c, BLK_CFG_NUM_QUEUES, 2);
	uint16_t max = 0;

	cf_check(c, n > 0, "num_queues is 0");
	if (!cf_begin(c, DRV_FEATURE(VIRTIO_BLK_F_MQ)))
		return;
	for (uint16_t i = 0; i < n && !cf_failed(c); i++)
		if (cf_check(c, !dev->ops->queue_max(dev, i, &max), "queue %u: no size", i))
			cf_check(c, max > 0, "num_queues is %u, but there is no queue %u",
				(unsigned)n, i);
	cf_note(c, "%u", (unsigned)n);
}

/* Limits of zero would make the feature useless. */
static void range_limits(struct cf *c)
{
	static const struct {
		uint8_t feature, sectors, segments;
		const char *name;
	} limits[] = {
		{ VIRTIO_BLK_F_DISCARD, BLK_CFG_MAX_DISCARD_SECTORS, BLK_CFG_MAX_DISCARD_SEG,
			"discard" },
		{ VIRTIO_BLK_F_WRITE_ZEROES, BLK_CFG_MAX_WRITE_ZEROES_SECTORS,
			BLK_CFG_MAX_WRITE_ZEROES_SEG, "write_zeroes" },
		{ VIRTIO_BLK_F_SECURE_ERASE, BLK_CFG_MAX_SECURE_ERASE_SECTORS,
			BLK_CFG_MAX_SECURE_ERASE_SEG, "secure_erase" },
	};
	bool any = false;

	for (unsigned i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		if (!cf_offered(c, limits[i].feature))
			continue;
		any = true;
		cf_check(c, cf_config(c, limits[i].sectors, 4) > 0, "max_%s_sectors is 0",
			limits[i].name);
		cf_check(c, cf_config(c, limits[i].segments, 4) > 0, "max_%s_seg is 0",
			limits[i].name);
	}
	if (!any)
		cf_skip(c, "neither discard, nor write zeroes, nor secure erase is offered");
}

/* Zoned devices. */

static void zoned_only_if_zoned(struct cf *c)
{
	uint64_t model;

	if (!cf_offered(c, VIRTIO_BLK_F_ZONED))
		return;
	model = cf_config(c, BLK_CFG_ZONED_MODEL, 1);
	cf_check(c, model == 1 || model == 2, "ZONED is offered, but the zone model is %u",
		(unsigned)model);
}

static void zoned_not_accepted(struct cf *c)
{
	if (cf_config(c, BLK_CFG_ZONED_MODEL, 1) == 1) {
		cf_skip(c, "host-managed zones");
		return;
	}
	if (!cf_up(c, 0, 1))
		return;
	for (unsigned i = BLK_CFG_ZONED; i < BLK_CFG_END; i++)
		cf_eq(c, cf_config(c, i, 1), 0, "a field of zoned without ZONED");
}

/* Cache modes. */

#define WCE	  DRV_FEATURE(VIRTIO_BLK_F_CONFIG_WCE)
#define WCE_FLUSH (WCE | DRV_FEATURE(VIRTIO_BLK_F_FLUSH))

static uint64_t writeback(struct cf *c)
{
	return cf_config(c, BLK_CFG_WRITEBACK, 1);
}

static void wce_without_flush(struct cf *c)
{
	if (cf_begin(c, WCE))
		cf_eq(c, writeback(c), 0, "writeback after FEATURES_OK without FLUSH");
	if (cf_queue(c, 0, 0) && cf_run_device(c))
		cf_eq(c, writeback(c), 0, "writeback after DRIVER_OK without FLUSH");
}

static void wce_toggle(struct cf *c)
{
	if (!cf_up(c, WCE_FLUSH, 1))
		return;
	cf_check(c, writeback(c) <= 1, "writeback is neither 0 nor 1");
	for (unsigned i = 0; i < 6; i++)
		if (!poke(c, BLK_CFG_WRITEBACK, i % 2, 1) ||
			!cf_eq(c, writeback(c), i % 2, "writeback after it was written"))
			return;
}

/* A mode that one driver chose is not the next one's. */
static void wce_reset(struct cf *c)
{
	uint64_t first;

	if (!cf_up(c, WCE_FLUSH, 1))
		return;
	first = writeback(c);
	if (poke(c, BLK_CFG_WRITEBACK, !first, 1) && cf_up(c, WCE_FLUSH, 1))
		cf_eq(c, writeback(c), first, "writeback after a reset");
}

static void wce_not_negotiated(struct cf *c)
{
	uint64_t first;

	if (!cf_up(c, DRV_FEATURE(VIRTIO_BLK_F_FLUSH), 1))
		return;
	first = writeback(c);
	if (poke(c, BLK_CFG_WRITEBACK, !first, 1))
		cf_eq(c, writeback(c), first, "writeback, written without CONFIG_WCE");
}

static void wce_odd_value(struct cf *c)
{
	struct drv_queue *q = cf_up(c, WCE_FLUSH, 1);

	if (!q)
		return;
	for (unsigned v = 2; v < 256; v += 127)
		if (!poke(c, BLK_CFG_WRITEBACK, v, 1) ||
			!cf_check(c, writeback(c) <= 1, "writeback is %u after %u was written",
				(unsigned)writeback(c), v))
			return;
	cf_must_go_on(c, q);
}

/* The switch may come while requests are under way. */
static void wce_under_load(struct cf *c)
{
	struct blk b;
	uint8_t *buf;

	if (!blk_up_writable(&b, c, WCE_FLUSH) || !(buf = cf_buf(c, 8 * DRV_BLK_SECTOR)))
		return;
	for (unsigned i = 0; i < 8; i++) {
		if (!poke(c, BLK_CFG_WRITEBACK, i % 2, 1) || !blk_put(&b, buf, i, i, 8) ||
			!blk_holds(&b, buf, i, i, 8))
			return;
	}
}

static void read_only_fields(struct cf *c)
{
	static const uint8_t fields[][2] = { { BLK_CFG_CAPACITY, 8 }, { BLK_CFG_SIZE_MAX, 4 },
		{ BLK_CFG_SEG_MAX, 4 }, { BLK_CFG_BLK_SIZE, 4 }, { BLK_CFG_NUM_QUEUES, 2 } };
	struct drv_queue *q = cf_up(c, WCE_FLUSH, 1);
	uint64_t cap = cf_config(c, BLK_CFG_CAPACITY, 8);

	for (unsigned i = 0; q && i < sizeof(fields) / sizeof(*fields); i++) {
		uint64_t was = cf_config(c, fields[i][0], fields[i][1]);

		cf_dev(c)->ops->config_write(
			cf_dev(c), fields[i][0], &(uint64_t){ ~was }, fields[i][1]);
		if (cf_hung_up(c))
			q = cf_up(c, WCE_FLUSH, 1);
		cf_check(c, cf_config(c, fields[i][0], fields[i][1]) == was,
			"the configuration field at %u was changed by a write", fields[i][0]);
	}
	if (!q)
		return;
	cf_eq(c, cf_config(c, BLK_CFG_CAPACITY, 8), cap, "the capacity");
	cf_must_go_on(c, q);
}

#define F(name) DRV_FEATURE(VIRTIO_BLK_F_##name)

const struct cf_case cf_cases_blk_config[] = {
	{ "blk.config.capacity", "BLK-1 V2.5.2-1", capacity, DRV_ID_BLK },
	{ "blk.config.fields_early", "V2.5.2-1", fields_early, DRV_ID_BLK },
	{ "blk.config.padding", "V5.2.5.2-4", padding, DRV_ID_BLK },
	{ "blk.config.flush_offered", "BLK-2 V5.2.5.2-1", flush_offered, DRV_ID_BLK },
	{ "blk.config.wce_offered", "BLK-3", wce_offered, DRV_ID_BLK },
	{ "blk.config.discard_offered", "BLK-4", discard_offered, DRV_ID_BLK },
	{ "blk.config.zeroes_offered", "BLK-5", zeroes_offered, DRV_ID_BLK },
	{ "blk.config.flush_with_wce", "BLK-3 V5.2.5.2-2", flush_with_wce, DRV_ID_BLK,
		.needs = WCE },
	{ "blk.config.blk_size", "BLK-1", blk_size, DRV_ID_BLK, .needs = F(BLK_SIZE) },
	{ "blk.config.seg_max", "BLK-1", seg_max, DRV_ID_BLK, .needs = F(SEG_MAX) },
	{ "blk.config.size_max", "BLK-1", size_max, DRV_ID_BLK, .needs = F(SIZE_MAX) },
	{ "blk.config.topology", "BLK-1", topology, DRV_ID_BLK, .needs = F(TOPOLOGY) },
	{ "blk.config.num_queues", "BLK-1", num_queues, DRV_ID_BLK, .needs = F(MQ) },
	{ "blk.config.range_limits", "BLK-4 BLK-5", range_limits, DRV_ID_BLK },
	{ "blk.config.zoned_only_if_zoned", "V5.2.5.2-5", zoned_only_if_zoned, DRV_ID_BLK },
	{ "blk.config.zoned_not_accepted", "V5.2.5.2-7", zoned_not_accepted, DRV_ID_BLK,
		.needs = F(ZONED) },
	{ "blk.config.read_only_fields", "ROB-16", read_only_fields, DRV_ID_BLK,
		.flags = CF_HOSTILE },
	{ "blk.wce.without_flush", "V5.2.5.2-3", wce_without_flush, DRV_ID_BLK,
		.needs = WCE_FLUSH },
	{ "blk.wce.toggle", "BLK-3", wce_toggle, DRV_ID_BLK, .needs = WCE_FLUSH },
	{ "blk.wce.reset", "ROB-6", wce_reset, DRV_ID_BLK, .flags = CF_STATUS, .needs = WCE_FLUSH },
	{ "blk.wce.under_load", "BLK-3", wce_under_load, DRV_ID_BLK, .needs = WCE_FLUSH },
	{ "blk.wce.not_negotiated", "ROB-16", wce_not_negotiated, DRV_ID_BLK, .flags = CF_HOSTILE,
		.needs = WCE_FLUSH },
	{ "blk.wce.odd_value", "ROB-16", wce_odd_value, DRV_ID_BLK, .flags = CF_HOSTILE,
		.needs = WCE_FLUSH },
	{ 0 },
};
