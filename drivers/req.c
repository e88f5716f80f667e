/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests and answers. See req.h. */
#include "req.h"

int drv_req_queue(struct drv_req *r, struct drv_dev *dev, uint16_t index, uint32_t max)
{
	return drv_pool_open(&r->pool, dev, index, 1, 2, max);
}

int drv_req_open(struct drv_req *r, struct drv_dev *dev, uint64_t want, uint32_t max)
{
	int rc = drv_begin(dev, want | DRV_COMMON_FEATURES, 0);

	if (!rc)
		rc = drv_req_queue(r, dev, 0, max);
	return rc ? rc : drv_run(dev);
}

int drv_req_do(struct drv_req *r, const void *out, uint32_t out_len, void *in, uint32_t in_len,
	uint32_t *used, uint64_t until)
{
	uint8_t *buf;
	uint32_t len;
	int rc;

	if (out_len > r->pool.len || in_len > r->pool.len - out_len)
		return DRV_INVALID;
	rc = drv_pool_get(&r->pool, &buf, until);
	if (rc)
		return rc;
	if (out_len)
		__builtin_memcpy(buf, out, out_len);
	rc = drv_pool_offer(&r->pool, buf, out_len, in_len);
	if (!rc)
		rc = drv_pool_take(&r->pool, &buf, &len, until);
	if (rc)
		return rc;
	if (len)
		__builtin_memcpy(in, buf + out_len, len);
	if (used)
		*used = len;
	drv_pool_free(&r->pool, buf);
	return 0;
}
