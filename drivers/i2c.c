/* SPDX-License-Identifier: BSD-3-Clause */
/* I2C adapter. See i2c.h. */
#include "i2c.h"

#define TIMEOUT_NS UINT64_C(1000000000)

/* A request: header, data, and the status right behind them, so that it takes two elements. */
struct slot {
	uint16_t addr, padding;
	uint32_t flags;
	uint8_t data[DRV_I2C_DATA + 1];
};

#define HEADER 8u

int drv_i2c_open(struct drv_i2c *i, struct drv_dev *dev)
{
	uint64_t need = DRV_FEATURE(VIRTIO_I2C_F_ZERO_LENGTH_REQUEST);
	int r = dev->id == DRV_ID_I2C ? drv_begin(dev, DRV_COMMON_FEATURES | need, need)
				      : DRV_INVALID;

	*i = (struct drv_i2c){ .dev = dev, .timeout = TIMEOUT_NS };
	if (!r)
		r = drv_pool_open(&i->pool, dev, 0, DRV_I2C_MSGS, 2, sizeof(struct slot));
	return r ? r : drv_run(dev);
}

static int check(const struct drv_i2c *i, const struct drv_i2c_msg *msgs, unsigned n)
{
	if (!n || n > i->pool.n)
		return DRV_INVALID;
	for (unsigned k = 0; k < n; k++)
		if (msgs[k].addr > 0x7f || msgs[k].len > DRV_I2C_DATA)
			return DRV_INVALID;
	return 0;
}

/* Waits for what an earlier transfer left behind. */
static int drain(struct drv_i2c *i, uint64_t until)
{
	uint8_t *buf;
	int r = 0;

	while (!r && i->pool.nfree < i->pool.n) {
		r = drv_pool_take(&i->pool, &buf, NULL, until);
		if (!r)
			drv_pool_free(&i->pool, buf);
	}
	return r;
}

static int offer(struct drv_i2c *i, const struct drv_i2c_msg *m, bool last, uint8_t **buf)
{
	struct drv_pool *p = &i->pool;
	struct slot *s;

	*buf = p->mem + (size_t)p->free[--p->nfree] * p->len;
	s = (struct slot *)(void *)*buf;
	*s = (struct slot){ .addr = (uint16_t)(m->addr << 1),
		.flags = (last ? 0 : VIRTIO_I2C_FLAGS_FAIL_NEXT) |
			 (m->read ? VIRTIO_I2C_FLAGS_M_RD : 0) };
	s->data[m->len] = 0xff;
	if (m->read)
		return drv_pool_offer(p, *buf, HEADER, m->len + 1u);
	if (m->len)
		__builtin_memcpy(s->data, m->data, m->len);
	return drv_pool_offer(p, *buf, HEADER + m->len, 1);
}

/* Of one request, once it is used. */
static int result(const struct drv_i2c_msg *m, const struct slot *s, uint32_t used)
{
	uint8_t status = *(const volatile uint8_t *)&s->data[m->len];

	if (status > VIRTIO_I2C_MSG_ERR)
		return DRV_BROKEN;
	if (status == VIRTIO_I2C_MSG_ERR)
		return DRV_ERROR;
	return used == (m->read ? m->len : 0) + 1u ? 0 : DRV_BROKEN;
}

/* Takes requests back in the order they were sent (5.16.6.4). After the first that failed nothing
 * of the others counts (5.16.6.3). */
static int collect(struct drv_i2c *i, const struct drv_i2c_msg *msgs, uint8_t *const *bufs,
	unsigned n, unsigned *failed, uint64_t until)
{
	int first = 0;

	for (unsigned k = 0; k < n; k++) {
		const struct slot *s;
		uint32_t used;
		uint8_t *buf;
		int r = drv_pool_take(&i->pool, &buf, &used, until);

		if (r)
			return r;
		s = (const struct slot *)(const void *)buf;
		r = buf == bufs[k] ? result(&msgs[k], s, used) : DRV_BROKEN;
		if (!r && !first && msgs[k].read && msgs[k].len)
			__builtin_memcpy(msgs[k].data, s->data, msgs[k].len);
		drv_pool_free(&i->pool, buf);
		if (r == DRV_BROKEN)
			return r;
		if (r && !first) {
			first = r;
			*failed = k;
		}
	}
	return first;
}

int drv_i2c_transfer(
	struct drv_i2c *i, const struct drv_i2c_msg *msgs, unsigned n, unsigned *failed)
{
	uint64_t until = drv_now(i->dev) + i->timeout;
	uint8_t *bufs[DRV_I2C_MSGS];
	unsigned at = 0, sent = 0;
	int r = check(i, msgs, n);

	if (!r)
		r = drain(i, until);
	for (; !r && sent < n; sent++)
		r = offer(i, &msgs[sent], sent == n - 1, &bufs[sent]);
	if (!r)
		r = collect(i, msgs, bufs, n, &at, until);
	if (failed)
		*failed = at;
	return r;
}

int drv_i2c_write_read(struct drv_i2c *i, uint8_t addr, const void *out, uint16_t out_len, void *in,
	uint16_t in_len)
{
	struct drv_i2c_msg msgs[2];
	unsigned n = 0;

	if (out_len || !in_len)
		msgs[n++] = (struct drv_i2c_msg){ (void *)(uintptr_t)out, out_len, addr, false };
	if (in_len)
		msgs[n++] = (struct drv_i2c_msg){ in, in_len, addr, true };
	return drv_i2c_transfer(i, msgs, n, NULL);
}
