/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests and answers: bytes that the device reads, then bytes that it writes. The generic class,
 * for devices whose requests all go through one queue, and a part of others.
 */
#pragma once

#include "pool.h"

struct drv_req {
	struct drv_pool pool;
};

/* A queue of a device that is being opened, for requests of up to `max` bytes in both directions
 * together. */
int drv_req_queue(struct drv_req *r, struct drv_dev *dev, uint16_t index, uint32_t max);
/* A whole device with one queue: negotiates `want` and starts it. */
int drv_req_open(struct drv_req *r, struct drv_dev *dev, uint64_t want, uint32_t max);
/* One request, copied in and out. `used` (may be NULL) is how many bytes of `in` came; the rest of
 * `in` stays as it is. DRV_TIMEOUT: no answer until `until`; the next call waits for it first. */
int drv_req_do(struct drv_req *r, const void *out, uint32_t out_len, void *in, uint32_t in_len,
	uint32_t *used, uint64_t until);
