/* SPDX-License-Identifier: BSD-3-Clause */
/* I2C adapter device (VIRTIO 1.4, 5.16): transfers of one or several messages, copied in and out.
 */
#pragma once

#include "pool.h"

#define DRV_ID_I2C   34
#define DRV_I2C_MSGS 16u  /* of a transfer at most; fewer with a device whose queue is small */
#define DRV_I2C_DATA 264u /* bytes of a message at most */

#define VIRTIO_I2C_F_ZERO_LENGTH_REQUEST 0

#define VIRTIO_I2C_FLAGS_FAIL_NEXT 1u
#define VIRTIO_I2C_FLAGS_M_RD	   2u

#define VIRTIO_I2C_MSG_OK  0
#define VIRTIO_I2C_MSG_ERR 1

/* A part of a transfer; between two is a repeated start. */
struct drv_i2c_msg {
	void *data; /* sent, or filled if it is read; any memory */
	uint16_t len;
	uint8_t addr; /* 7 bits */
	bool read;
};

struct drv_i2c {
	struct drv_dev *dev;
	uint64_t timeout; /* ns for a transfer; 1 s unless changed */
	struct drv_pool pool;
};

int drv_i2c_open(struct drv_i2c *i, struct drv_dev *dev);
/* A transfer. DRV_ERROR: it failed, with msgs[*failed] (may be NULL) as the first one that is not
 * done; what was read before it is good. DRV_TIMEOUT: the next call waits for this one first. */
int drv_i2c_transfer(
	struct drv_i2c *i, const struct drv_i2c_msg *msgs, unsigned n, unsigned *failed);
/* Writes `out`, then reads `in`; either may be empty. Both empty: whether the address is there. */
int drv_i2c_write_read(struct drv_i2c *i, uint8_t addr, const void *out, uint16_t out_len, void *in,
	uint16_t in_len);
