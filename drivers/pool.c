/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues with buffers. See pool.h. */
#include "pool.h"

int drv_pool_open(struct drv_pool *p, struct drv_dev *dev, uint16_t index, uint16_t n,
	uint16_t descs, uint32_t len)
{
	int r = drv_queue_open(&p->q, dev, index, (uint16_t)(n * descs), 0);

	if (r)
		return r;
	p->len = len;
	p->n = p->q.ring.size / descs < n ? p->q.ring.size / descs : n;
	p->mem = drv_alloc(dev, (size_t)p->n * len, 16);
	if (!p->mem || p->n > DRV_POOL_MAX)
		return DRV_NO_MEMORY;
	for (p->nfree = 0; p->nfree < p->n; p->nfree++)
		p->free[p->nfree] = (uint8_t)(p->n - 1 - p->nfree);
	return p->n ? 0 : DRV_REFUSED;
}

void drv_pool_free(struct drv_pool *p, uint8_t *buf)
{
	p->free[p->nfree++] = (uint8_t)((size_t)(buf - p->mem) / p->len);
}

int drv_pool_offer_sg(
	struct drv_pool *p, uint8_t *buf, const struct drv_sg *sg, unsigned n_out, unsigned n_in)
{
	int r = 0;

	for (unsigned i = 0; i < n_out + n_in; i++)
		if (sg[i].addr == UINT64_MAX)
			r = DRV_INVALID;
	if (!r)
		r = drv_ring_add(&p->q.ring, sg, n_out, n_in, buf);
	if (r)
		drv_pool_free(p, buf);
	return r ? r : drv_queue_publish(&p->q);
}

int drv_pool_offer(struct drv_pool *p, uint8_t *buf, uint32_t out_len, uint32_t in_len)
{
	struct drv_sg sg[2];
	unsigned n = 0;

	if (out_len > p->len || in_len > p->len - out_len) {
		drv_pool_free(p, buf);
		return DRV_INVALID;
	}
	if (out_len)
		sg[n++] = drv_sg(p->q.dev, buf, out_len);
	if (in_len)
		sg[n++] = drv_sg(p->q.dev, buf + out_len, in_len);
	return drv_pool_offer_sg(p, buf, sg, out_len != 0, in_len != 0);
}

int drv_pool_take(struct drv_pool *p, uint8_t **buf, uint32_t *len, uint64_t until)
{
	void *cookie = NULL;
	int r = drv_queue_wait(&p->q, &cookie, len, until);

	*buf = cookie;
	return r;
}

int drv_pool_get(struct drv_pool *p, uint8_t **buf, uint64_t until)
{
	uint8_t *used;
	int r;

	/* All that have come back, so that none waits for the next call. */
	while (!(r = drv_pool_take(p, &used, NULL, p->nfree ? 0 : until)))
		drv_pool_free(p, used);
	if (r != DRV_TIMEOUT || !p->nfree)
		return r;
	*buf = p->mem + (size_t)p->free[--p->nfree] * p->len;
	return 0;
}

int drv_pool_fill(struct drv_pool *p)
{
	int r = 0;

	while (!r && p->nfree) {
		uint8_t *buf = p->mem + (size_t)p->free[--p->nfree] * p->len;

		r = drv_pool_offer(p, buf, 0, p->len);
	}
	return r;
}
