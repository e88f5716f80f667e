/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An I2C adapter of the host through i2c-dev (/dev/i2c-N): whole transfers by I2C_RDWR, and on
 * controllers that only speak SMBus those transfers that are the same on the wire as one of its
 * commands.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define I2CDEV_SEGMENTS_MAX 42u	  /* of a transfer (I2C_RDWR_IOCTL_MAX_MSGS) */
#define I2CDEV_SEGMENT_MAX  8192u /* bytes; i2c-dev takes no more */

/* A part of a transfer, from one start condition to the next. */
struct i2cdev_segment {
	uint8_t *data; /* may be NULL if len is 0 */
	uint16_t len;
	uint8_t addr; /* 7 bits */
	bool read;
};

/* One bit for each 7-bit address. */
struct i2c_addrs {
	uint8_t bits[16];
};

static inline bool i2c_addrs_has(const struct i2c_addrs *a, uint8_t addr)
{
	return a->bits[addr / 8] >> addr % 8 & 1;
}

static inline void i2c_addrs_add(struct i2c_addrs *a, uint8_t addr)
{
	a->bits[addr / 8] |= (uint8_t)(1u << addr % 8);
}

/* What the adapter can do (I2C_FUNC_*); -EOPNOTSUPP if it cannot transfer anything. */
int i2cdev_functions(int fd, const char *path, unsigned long *functions, struct err *e);
/* -EBUSY if a driver of the host's kernel has one of these addresses: the guest would interfere. */
int i2cdev_check_free(int fd, const char *path, const struct i2c_addrs *addrs, struct err *e);

/*
 * A transfer of 1 to I2CDEV_SEGMENTS_MAX segments with repeated starts between them. Returns how
 * many segments were done, or -errno, where it is not known how far it came: -ENXIO, -EREMOTEIO
 * or -ENODEV (no acknowledgement), -EOPNOTSUPP (not in SMBus), -ETIMEDOUT, ...
 * Takes as long as the bus does, a second and more if a device holds the clock.
 */
int i2cdev_transfer(
	int fd, unsigned long functions, const struct i2cdev_segment *segments, unsigned n);
