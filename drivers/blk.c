/* SPDX-License-Identifier: BSD-3-Clause */
/* Block device. See blk.h. */
#include "blk.h"

#define TIMEOUT_NS UINT64_C(10000000000)
#define DATA_MAX   24u
#define ID_LEN	   20u

/* Offsets in the configuration (5.2.4). */
enum {
	CAPACITY = 0,
	SIZE_MAX_ = 8,
	BLK_SIZE = 20,
	WRITEBACK = 32,
	MAX_DISCARD = 36,
	DISCARD_ALIGNMENT = 44,
	MAX_ZEROES = 48,
	MAX_ERASE = 60,
	ERASE_ALIGNMENT = 68,
};

/* A buffer of the pool: what device and driver exchange besides the data. */
struct slot {
	uint32_t type, reserved;
	uint64_t sector;
	uint8_t data[DATA_MAX];
	uint8_t status;
};

struct range {
	uint64_t sector;
	uint32_t n, flags;
};

static bool in(uint32_t type)
{
	return type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID ||
	       type == VIRTIO_BLK_T_GET_LIFETIME;
}

static bool copied(const struct drv_blk_op *op)
{
	return op->type != VIRTIO_BLK_T_IN && op->type != VIRTIO_BLK_T_OUT;
}

static struct drv_blk_op **owner(struct drv_blk *b, const uint8_t *buf)
{
	return &b->ops[(size_t)(buf - b->pool.mem) / b->pool.len];
}

/* A field that exists only with a feature; 0 without. */
static uint32_t field(struct drv_blk *b, unsigned feature, uint32_t at, int *r)
{
	uint32_t v = 0;

	if (!*r && drv_has(b->dev, feature))
		*r = drv_config(b->dev, at, &v, 4);
	return v;
}

/* So that a range that begins aligned goes on so in the next request. */
static uint32_t aligned(uint32_t max, uint32_t alignment)
{
	return alignment && max >= alignment ? max - max % alignment : max;
}

static int read_config(struct drv_blk *b)
{
	int r = drv_blk_refresh(b);
	uint32_t size_max = field(b, VIRTIO_BLK_F_SIZE_MAX, SIZE_MAX_, &r);

	b->block_size = field(b, VIRTIO_BLK_F_BLK_SIZE, BLK_SIZE, &r);
	b->max_discard = aligned(field(b, VIRTIO_BLK_F_DISCARD, MAX_DISCARD, &r),
		field(b, VIRTIO_BLK_F_DISCARD, DISCARD_ALIGNMENT, &r));
	b->max_zeroes = field(b, VIRTIO_BLK_F_WRITE_ZEROES, MAX_ZEROES, &r);
	b->max_erase = aligned(field(b, VIRTIO_BLK_F_SECURE_ERASE, MAX_ERASE, &r),
		field(b, VIRTIO_BLK_F_SECURE_ERASE, ERASE_ALIGNMENT, &r));
	b->read_only = drv_has(b->dev, VIRTIO_BLK_F_RO);
	if (!b->block_size)
		b->block_size = DRV_BLK_SECTOR;
	b->max_bytes = UINT32_C(1) << 30;
	if (drv_has(b->dev, VIRTIO_BLK_F_SIZE_MAX) && size_max < b->max_bytes)
		b->max_bytes = size_max & ~(DRV_BLK_SECTOR - 1);
	return r ? r : b->max_bytes ? 0 : DRV_UNSUPPORTED;
}

int drv_blk_open(struct drv_blk *b, struct drv_dev *dev)
{
	uint64_t want = DRV_COMMON_FEATURES | DRV_FEATURE(VIRTIO_BLK_F_SIZE_MAX) |
			DRV_FEATURE(VIRTIO_BLK_F_RO) | DRV_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
			DRV_FEATURE(VIRTIO_BLK_F_FLUSH) | DRV_FEATURE(VIRTIO_BLK_F_CONFIG_WCE) |
			DRV_FEATURE(VIRTIO_BLK_F_DISCARD) | DRV_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES) |
			DRV_FEATURE(VIRTIO_BLK_F_LIFETIME) | DRV_FEATURE(VIRTIO_BLK_F_SECURE_ERASE);
	int r = dev->id == DRV_ID_BLK ? drv_begin(dev, want, 0) : DRV_INVALID;

	*b = (struct drv_blk){ .dev = dev, .timeout = TIMEOUT_NS };
	if (!r)
		r = read_config(b);
	if (!r)
		r = drv_pool_open(&b->pool, dev, 0, DRV_BLK_DEPTH, 4, sizeof(struct slot));
	return r ? r : drv_run(dev);
}

int drv_blk_refresh(struct drv_blk *b)
{
	return drv_config(b->dev, CAPACITY, &b->capacity, 8);
}

int drv_blk_submit(struct drv_blk *b, struct drv_blk_op *op)
{
	struct drv_sg sg[3];
	unsigned n_out = 1, n = 1;
	struct slot *s;
	uint8_t *buf;
	int r;

	if (copied(op) && op->len > DATA_MAX)
		return DRV_INVALID;
	if (!b->pool.nfree)
		return b->pool.q.ring.broken ? DRV_BROKEN : DRV_FULL;
	buf = b->pool.mem + (size_t)b->pool.free[--b->pool.nfree] * b->pool.len;
	s = (struct slot *)(void *)buf;
	*s = (struct slot){ .type = op->type, .sector = op->sector, .status = 0xff };
	sg[0] = drv_sg(b->dev, s, 16);
	if (op->len) {
		if (copied(op) && !in(op->type))
			__builtin_memcpy(s->data, op->buf, op->len);
		sg[n++] = drv_sg(b->dev, copied(op) ? s->data : op->buf, op->len);
		n_out += !in(op->type);
	}
	sg[n++] = drv_sg(b->dev, &s->status, 1);
	op->finished = false;
	*owner(b, buf) = op;
	r = drv_pool_offer_sg(&b->pool, buf, sg, n_out, n - n_out);
	return r;
}

/* A request is only good if all of it was written (5.2.6). */
static int result(const struct drv_blk_op *op, const struct slot *s, uint32_t used)
{
	uint8_t status = *(const volatile uint8_t *)&s->status;

	if (status == VIRTIO_BLK_S_OK)
		return used == 1 + (in(op->type) ? op->len : 0) ? 0 : DRV_BROKEN;
	return status == VIRTIO_BLK_S_IOERR    ? DRV_ERROR
	       : status == VIRTIO_BLK_S_UNSUPP ? DRV_UNSUPPORTED
					       : DRV_BROKEN;
}

int drv_blk_poll(struct drv_blk *b, uint64_t until)
{
	struct drv_blk_op *op;
	struct slot *s;
	uint8_t *buf;
	uint32_t used;
	int r = drv_pool_take(&b->pool, &buf, &used, until);

	if (r)
		return r;
	s = (struct slot *)(void *)buf;
	op = *owner(b, buf);
	*owner(b, buf) = NULL;
	drv_pool_free(&b->pool, buf);
	if (!op)
		return 0; /* nobody waits for it any more */
	op->result = result(op, s, used);
	if (!op->result && copied(op) && in(op->type))
		__builtin_memcpy(op->buf, s->data, op->len);
	op->finished = true;
	if (op->done)
		op->done(op);
	return 0;
}

/* One request from start to end. */
static int run(struct drv_blk *b, struct drv_blk_op *op)
{
	uint64_t until = drv_now(b->dev) + b->timeout;
	int r = drv_blk_submit(b, op);

	while (r == DRV_FULL) {
		r = drv_blk_poll(b, until);
		if (!r)
			r = drv_blk_submit(b, op);
	}
	while (!r && !op->finished)
		r = drv_blk_poll(b, until);
	if (!r)
		return op->result;
	/* `op` is going away. */
	for (unsigned i = 0; i < DRV_POOL_MAX; i++)
		if (b->ops[i] == op)
			b->ops[i] = NULL;
	return r;
}

/* A field of the device's limits decides how much goes into one request. */
static int transfer(struct drv_blk *b, uint32_t type, uint64_t sector, void *buf, uint32_t len)
{
	uint64_t n = len / DRV_BLK_SECTOR;
	uint8_t *at = buf;
	int r = 0;

	if (len % DRV_BLK_SECTOR || sector > b->capacity || n > b->capacity - sector)
		return DRV_INVALID;
	while (!r && len) {
		struct drv_blk_op op = { .type = type, .sector = sector, .buf = at };

		op.len = len < b->max_bytes ? len : b->max_bytes;
		r = run(b, &op);
		at += op.len;
		len -= op.len;
		sector += op.len / DRV_BLK_SECTOR;
	}
	return r;
}

int drv_blk_read(struct drv_blk *b, uint64_t sector, void *buf, uint32_t len)
{
	return transfer(b, VIRTIO_BLK_T_IN, sector, buf, len);
}

int drv_blk_write(struct drv_blk *b, uint64_t sector, const void *buf, uint32_t len)
{
	if (b->read_only)
		return DRV_REFUSED;
	return transfer(b, VIRTIO_BLK_T_OUT, sector, (void *)(uintptr_t)buf, len);
}

int drv_blk_flush(struct drv_blk *b)
{
	struct drv_blk_op op = { .type = VIRTIO_BLK_T_FLUSH };

	return drv_has(b->dev, VIRTIO_BLK_F_FLUSH) ? run(b, &op) : DRV_UNSUPPORTED;
}

int drv_blk_range(struct drv_blk *b, uint32_t type, uint64_t sector, uint64_t n, bool unmap)
{
	uint32_t max = type == VIRTIO_BLK_T_DISCARD	   ? b->max_discard
		       : type == VIRTIO_BLK_T_WRITE_ZEROES ? b->max_zeroes
		       : type == VIRTIO_BLK_T_SECURE_ERASE ? b->max_erase
							   : 0;
	int r = 0;

	if (!max)
		return DRV_UNSUPPORTED;
	if (unmap && type != VIRTIO_BLK_T_WRITE_ZEROES)
		return DRV_INVALID; /* 5.2.6.1 */
	if (b->read_only)
		return DRV_REFUSED;
	if (sector > b->capacity || n > b->capacity - sector)
		return DRV_INVALID;
	while (!r && n) {
		struct range range = { sector, n < max ? (uint32_t)n : max, unmap };
		struct drv_blk_op op = { .type = type, .buf = &range, .len = sizeof(range) };

		r = run(b, &op);
		sector += range.n;
		n -= range.n;
	}
	return r;
}

int drv_blk_id(struct drv_blk *b, char id[21])
{
	struct drv_blk_op op = { .type = VIRTIO_BLK_T_GET_ID, .buf = id, .len = ID_LEN };

	id[0] = id[ID_LEN] = 0;
	return run(b, &op);
}

int drv_blk_lifetime(struct drv_blk *b, struct drv_blk_lifetime *l)
{
	struct drv_blk_op op = { .type = VIRTIO_BLK_T_GET_LIFETIME, .buf = l, .len = sizeof(*l) };

	return drv_has(b->dev, VIRTIO_BLK_F_LIFETIME) ? run(b, &op) : DRV_UNSUPPORTED;
}

int drv_blk_set_writeback(struct drv_blk *b, bool on)
{
	uint8_t v = on;

	if (!drv_has(b->dev, VIRTIO_BLK_F_CONFIG_WCE))
		return DRV_UNSUPPORTED;
	return b->dev->ops->config_write(b->dev, WRITEBACK, &v, 1);
}
