/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the classes share: a queue with a fixed set of buffers in the device's memory. A buffer is
 * free, offered to the device, or taken by the driver.
 */
#pragma once

#include "drv.h"

#define DRV_POOL_MAX 32u

/* What every class accepts besides its own bits. */
#define DRV_COMMON_FEATURES                                                                        \
	(DRV_FEATURE(VIRTIO_F_VERSION_1) | DRV_FEATURE(VIRTIO_F_RING_PACKED) |                     \
		DRV_FEATURE(VIRTIO_F_EVENT_IDX) | DRV_FEATURE(VIRTIO_F_IN_ORDER) |                 \
		DRV_FEATURE(VIRTIO_F_ACCESS_PLATFORM) | DRV_FEATURE(VIRTIO_F_ORDER_PLATFORM) |     \
		DRV_FEATURE(VIRTIO_F_RING_RESET))

struct drv_pool {
	struct drv_queue q;
	uint8_t *mem; /* n buffers of len bytes each */
	uint32_t len;
	uint16_t n, nfree;
	uint8_t free[DRV_POOL_MAX];
};

/* Opens queue `index` with n buffers, a power of two up to DRV_POOL_MAX, and `descs` descriptors
 * for each; a device with a smaller queue gets fewer buffers. */
int drv_pool_open(struct drv_pool *p, struct drv_dev *dev, uint16_t index, uint16_t n,
	uint16_t descs, uint32_t len);
/* Offers all free buffers to be written by the device. After drv_run(). */
int drv_pool_fill(struct drv_pool *p);
/* Gets a free buffer; waits for the device to return one. */
int drv_pool_get(struct drv_pool *p, uint8_t **buf, uint64_t until);
/* Offers a buffer: out_len bytes to read, then in_len to write. */
int drv_pool_offer(struct drv_pool *p, uint8_t *buf, uint32_t out_len, uint32_t in_len);
/* The same with elements that lie elsewhere; DRV_INVALID if devices do not reach one. If it fails
 * the buffer is free again. */
int drv_pool_offer_sg(
	struct drv_pool *p, uint8_t *buf, const struct drv_sg *sg, unsigned n_out, unsigned n_in);
/* Takes a buffer that the device has used, `len` bytes of it written; waits for one. */
int drv_pool_take(struct drv_pool *p, uint8_t **buf, uint32_t *len, uint64_t until);
/* Makes a taken buffer a free one. */
void drv_pool_free(struct drv_pool *p, uint8_t *buf);
