/* SPDX-License-Identifier: BSD-3-Clause */
/* Entropy device (VIRTIO 1.4, 5.4). */
#pragma once

#include "req.h"

#define DRV_ID_RNG 4

struct drv_rng {
	struct drv_req req;
};

int drv_rng_open(struct drv_rng *rng, struct drv_dev *dev);
/* Fills buf. */
int drv_rng_read(struct drv_rng *rng, void *buf, uint32_t len, uint64_t until);
