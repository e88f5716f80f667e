/* SPDX-License-Identifier: BSD-3-Clause */
/* Entropy. See rng.h. */
#include "rng.h"

#define CHUNK 256u

int drv_rng_open(struct drv_rng *rng, struct drv_dev *dev)
{
	return dev->id == DRV_ID_RNG ? drv_req_open(&rng->req, dev, 0, CHUNK) : DRV_INVALID;
}

int drv_rng_read(struct drv_rng *rng, void *buf, uint32_t len, uint64_t until)
{
	uint8_t *to = buf;
	uint32_t n = 0;
	int r = 0;

	for (; !r && len; to += n, len -= n) {
		r = drv_req_do(&rng->req, NULL, 0, to, len < CHUNK ? len : CHUNK, &n, until);
		if (!r && !n)
			r = DRV_BROKEN; /* one byte at least (5.4.6.2) */
	}
	return r;
}
