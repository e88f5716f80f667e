/* SPDX-License-Identifier: BSD-3-Clause */
/* Block device (VIRTIO 1.4, 5.2) on a disk image; its requests are in blk_request.c. */
#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "devices/blk_priv.h"

#define DRAIN_MS 5000u /* twice this is the longest a reset may take */

/* VIRTIO 1.4, 5.2.4; the fields of zoned devices at its end stay zero. */
struct blk_config {
	le64 capacity;
	le32 size_max, seg_max;
	uint8_t geometry[4];
	le32 blk_size;
	uint8_t physical_block_exp, alignment_offset;
	le16 min_io_size;
	le32 opt_io_size;
	uint8_t writeback, unused0;
	le16 num_queues;
	le32 max_discard_sectors, max_discard_seg, discard_sector_alignment;
	le32 max_write_zeroes_sectors, max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap, unused1[3];
	le32 max_secure_erase_sectors, max_secure_erase_seg, secure_erase_sector_alignment;
	uint8_t zoned[24];
} __attribute__((packed));

static const char *const image_words[] = { "null", NULL };
static const char *const cache_words[] = { "writeback", "writethrough", "none", "directsync",
	NULL };
static const char *const erase_words[] = { "off", "device", "overwrite", NULL };

#define OPT(key, kind, field, ...)                                                                 \
	{                                                                                          \
		.name = (key), .type = (kind), .offset = offsetof(struct blk, field), __VA_ARGS__  \
	}

static const struct opt blk_opts[] = {
	OPT("image", OPT_PATH, image, .flags = OPT_REQUIRED, .words = image_words,
		.help = "raw disk image, a file or a block device; null: 64 GiB that store "
			"nothing, for measuring"),
	OPT("readonly", OPT_BOOL, readonly, .def = "false",
		.help = "the guest may only read; several readers may share the image"),
	OPT("serial", OPT_STR, serial, .help = "serial number, at most 20 ASCII characters"),
	OPT("cache", OPT_ENUM, cache, .def = "writeback", .words = cache_words,
		.help = "writeback or writethrough (each write stable when done) through the page "
			"cache; none or directsync are the same past it"),
	OPT("block-size", OPT_U32, block_size, .def = "0", .max = 65536,
		.help = "logical block size in bytes, a power of two from 512; 0: that of the "
			"image"),
	OPT("discard", OPT_BOOL, discard, .def = "true",
		.help = "let the guest give blocks back to the host, if the image can"),
	OPT("secure-erase", OPT_ENUM, erase, .def = "off", .words = erase_words,
		.help = "device: the block device erases; overwrite: zeroes written in place, "
			"synced and deallocated"),
	OPT("lifetime", OPT_PATH, lifetime,
		.help = "folder with life_time and pre_eol_info of the storage (default: those of "
			"an eMMC block device)"),
	OPT("queues", OPT_U32, queue_count, .def = "1", .min = 1, .max = VDEV_QUEUES_MAX,
		.help = "number of request queues, best one per virtual CPU"),
	OPT("queue-size", OPT_U32, queue_size, .def = "256", .min = 4, .max = 1024,
		.help = "entries per queue, a power of two"),
	OPT_END,
};

#define METRIC(field, text)                                                                        \
	{                                                                                          \
#field, offsetof(struct blk, field), text                                          \
	}

static const struct vdev_metric blk_metrics[] = {
	METRIC(reads, "read requests done"),
	METRIC(writes, "write requests done"),
	METRIC(flushes, "flush requests done"),
	METRIC(discards, "discard requests done"),
	METRIC(zeroings, "write zeroes requests done"),
	METRIC(erases, "secure erase requests done"),
	METRIC(read_bytes, "bytes read by the guest"),
	METRIC(written_bytes, "bytes written by the guest"),
	METRIC(errors, "requests answered with IOERR"),
	METRIC(unsupported, "requests answered with UNSUPP"),
	{ "storage_immediate", offsetof(struct blk, stats.immediate),
		"reads and writes served without waiting" },
	{ "storage_queued", offsetof(struct blk, stats.queued),
		"operations that waited for storage" },
	{ "storage_syncs", offsetof(struct blk, stats.syncs),
		"flushes and synchronous writes asked of storage" },
	{ NULL, 0, NULL },
};

static const char *const blk_syscalls[] = { "io_uring_enter", NULL };
static const unsigned long blk_ioctls[] = { BLKDISCARD, BLKSECDISCARD, 0 };
static const struct vdev_sandbox blk_sandbox = { .syscalls = blk_syscalls, .ioctls = blk_ioctls };

static void blk_kick(struct vdev *dev, unsigned q)
{
	blk_serve(container_of(dev, struct blk, vdev), q);
}

static void blk_queue_stop(struct vdev *dev, unsigned q)
{
	struct blk *b = container_of(dev, struct blk, vdev);

	ev_task_cancel(&b->queue[q].again);
	if (!disk_drain(b->disk, DRAIN_MS))
		return;
	for (unsigned i = 0; i < b->nreqs; i++)
		if (b->reqs[i].busy && b->reqs[i].q == q)
			b->reqs[i].chain = NULL;
}

/* VIRTIO 1.4, 5.2.6.2: when a completed write is to be stable. */
static void update_mode(struct blk *b)
{
	bool wce = vdev_has(&b->vdev, BLK_F_CONFIG_WCE);

	b->stable = !b->writeback || !(wce || vdev_has(&b->vdev, BLK_F_FLUSH));
}

static bool writeback_default(const struct blk *b)
{
	return b->cache == CACHE_WRITEBACK || b->cache == CACHE_NONE;
}

static int blk_features_ok(struct vdev *dev)
{
	struct blk *b = container_of(dev, struct blk, vdev);

	/* VIRTIO 1.4, 5.2.5.2: a driver that cannot flush gets a writethrough cache. */
	b->writeback = writeback_default(b);
	if (vdev_has(dev, BLK_F_CONFIG_WCE) && !vdev_has(dev, BLK_F_FLUSH))
		b->writeback = false;
	update_mode(b);
	return 0;
}

static void blk_reset(struct vdev *dev)
{
	struct blk *b = container_of(dev, struct blk, vdev);

	b->writeback = writeback_default(b);
	update_mode(b);
}

static void blk_config_read(struct vdev *dev, uint32_t offset, void *buf, uint32_t len)
{
	struct blk *b = container_of(dev, struct blk, vdev);
	const struct disk_info *i = disk_info(b->disk);
	uint32_t unit = (uint32_t)max_u64(i->discard_unit / DISK_SECTOR, 1);
	struct blk_config c = {
		.capacity = htole64(i->size / DISK_SECTOR),
		.seg_max = htole32(dev->queue_size_max - 2u),
		.blk_size = htole32(b->block_size),
		.alignment_offset = (uint8_t)(i->align_offset / b->block_size),
		.min_io_size = htole16((uint16_t)min_u64(i->min_io / b->block_size, UINT16_MAX)),
		.opt_io_size = htole32(i->opt_io / b->block_size),
		.writeback = b->writeback,
		.num_queues = htole16(dev->nqueues),
	};

	while (b->block_size << c.physical_block_exp < i->physical_size)
		c.physical_block_exp++;
	if (dev->features & FEATURE(BLK_F_DISCARD)) {
		c.max_discard_sectors = htole32(BLK_SEG_SECTORS);
		c.max_discard_seg = htole32(BLK_SEGS_MAX);
		c.discard_sector_alignment = htole32(unit);
	}
	if (dev->features & FEATURE(BLK_F_WRITE_ZEROES)) {
		c.max_write_zeroes_sectors = htole32(BLK_SEG_SECTORS);
		c.max_write_zeroes_seg = htole32(BLK_SEGS_MAX);
		c.write_zeroes_may_unmap = i->discard;
	}
	if (dev->features & FEATURE(BLK_F_SECURE_ERASE)) {
		c.max_secure_erase_sectors = htole32(BLK_SEG_SECTORS);
		c.max_secure_erase_seg = htole32(BLK_SEGS_MAX);
		c.secure_erase_sector_alignment = htole32(unit);
	}
	memcpy(buf, (const uint8_t *)&c + offset, len);
}

static void blk_config_write(struct vdev *dev, uint32_t offset, const void *buf, uint32_t len)
{
	struct blk *b = container_of(dev, struct blk, vdev);
	uint32_t at = offsetof(struct blk_config, writeback);
	bool writeback;

	if (!vdev_has(dev, BLK_F_CONFIG_WCE) || offset > at || at - offset >= len)
		return;
	writeback = ((const uint8_t *)buf)[at - offset] && vdev_has(dev, BLK_F_FLUSH);
	if (b->writeback && !writeback && !b->syncing) {
		b->sync.op = DISK_FLUSH;
		b->syncing = !disk_submit(b->disk, &b->sync);
		disk_commit(b->disk);
	}
	b->writeback = writeback;
	update_mode(b);
}

static int check_keys(struct blk *b, struct err *e)
{
	if (!is_pow2(b->queue_size))
		return err_set(e, -EINVAL, "queue-size: %u; it is a power of two from 4 to 1024",
			b->queue_size);
	if (b->block_size && (!is_pow2(b->block_size) || b->block_size < DISK_SECTOR))
		return err_set(e, -EINVAL, "block-size: %u; it is a power of two, 512 or more",
			b->block_size);
	if (b->serial && strlen(b->serial) > BLK_ID_LEN)
		return err_set(e, -EINVAL, "serial: \"%s\" is longer than %u characters", b->serial,
			BLK_ID_LEN);
	if (b->readonly && b->erase != DISK_ERASE_NONE)
		return err_set(e, -EINVAL, "secure-erase: %s is not possible with readonly: true",
			erase_words[b->erase]);
	return 0;
}

static uint64_t features(const struct blk *b)
{
	const struct disk_info *i = disk_info(b->disk);
	uint64_t f = FEATURE(BLK_F_SEG_MAX) | FEATURE(BLK_F_BLK_SIZE) | FEATURE(BLK_F_TOPOLOGY) |
		     FEATURE(BLK_F_FLUSH) | FEATURE(BLK_F_CONFIG_WCE);

	if (b->queue_count > 1)
		f |= FEATURE(BLK_F_MQ);
	if (i->lifetime)
		f |= FEATURE(BLK_F_LIFETIME);
	if (b->readonly)
		return f | FEATURE(BLK_F_RO);
	f |= FEATURE(BLK_F_WRITE_ZEROES);
	if (i->discard)
		f |= FEATURE(BLK_F_DISCARD);
	if (b->erase != DISK_ERASE_NONE)
		f |= FEATURE(BLK_F_SECURE_ERASE);
	return f;
}

/* The request pool, and each queue's part of the loop. */
static int set_up_queues(struct blk *b, struct err *e)
{
	b->nreqs = b->queue_count * b->queue_size;
	b->reqs = calloc(b->nreqs, sizeof(*b->reqs));
	if (!b->reqs)
		return err_sys(e, -ENOMEM, "no memory for %u requests", b->nreqs);
	for (unsigned i = b->nreqs; i-- > 0;) {
		b->reqs[i].next_free = b->free;
		b->free = &b->reqs[i];
	}
	for (unsigned q = 0; q < b->queue_count; q++) {
		b->queue[q].blk = b;
		b->queue[q].index = q;
		ev_task_init(b->vdev.loop, &b->queue[q].again, blk_serve_again, &b->queue[q]);
	}
	return 0;
}

static void blk_finish(struct vdev *dev)
{
	struct blk *b = container_of(dev, struct blk, vdev);

	disk_close(b->disk);
	b->disk = NULL;
	free(b->reqs);
	b->reqs = b->free = NULL;
}

static int open_image(struct blk *b, struct err *e)
{
	struct disk_options o = {
		.path = strcmp(b->image, image_words[0]) ? b->image : NULL,
		.readonly = b->readonly,
		.direct = b->cache == CACHE_NONE || b->cache == CACHE_DIRECTSYNC,
		.discard = b->discard,
		.erase = (enum disk_erase)b->erase,
		.lifetime = b->lifetime,
		.depth = b->nreqs,
		.stats = &b->stats,
	};
	struct disk_events events = {
		.done = blk_io_done, .batch_done = blk_io_batch_done, .arg = b
	};
	int rc = disk_open(&b->disk, &o, b->vdev.log, e);

	if (!rc)
		rc = disk_start(b->disk, b->vdev.loop, &events, e);
	if (rc)
		return err_prefix(e, "image");
	if (!b->block_size)
		b->block_size = disk_info(b->disk)->block_size;
	if (disk_info(b->disk)->size % b->block_size)
		return err_set(e, -EINVAL,
			"block-size: the image's %llu bytes are no multiple of %u",
			(unsigned long long)disk_info(b->disk)->size, b->block_size);
	return 0;
}

static int blk_init(struct vdev *dev, struct err *e)
{
	struct blk *b = container_of(dev, struct blk, vdev);
	int rc = check_keys(b, e);

	if (!rc)
		rc = set_up_queues(b, e);
	if (!rc)
		rc = open_image(b, e);
	if (rc) {
		blk_finish(dev);
		return rc;
	}
	dev->nqueues = (uint16_t)b->queue_count;
	dev->queue_size_max = (uint16_t)b->queue_size;
	dev->config_len = sizeof(struct blk_config);
	dev->features = features(b);
	blk_reset(dev);
	return 0;
}

const struct vdev_class vdev_blk = {
	.name = "blk",
	.id = 2,
	.pci_class = 0x018000,
	.summary = "block device on a disk image",
	.size = sizeof(struct blk),
	.opts = blk_opts,
	.metrics = blk_metrics,
	.sandbox = &blk_sandbox,
	.init = blk_init,
	.finish = blk_finish,
	.features_ok = blk_features_ok,
	.reset = blk_reset,
	.queue_stop = blk_queue_stop,
	.kick = blk_kick,
	.config_read = blk_config_read,
	.config_write = blk_config_write,
};
