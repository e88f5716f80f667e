/* SPDX-License-Identifier: BSD-3-Clause */
/* A chip on an SPI controller of the host, through spidev (/dev/spidevB.C). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define SPIDEV_DELAY_MAX_US	 UINT16_MAX
#define SPIDEV_WORD_DELAY_MAX_US UINT8_MAX

/* One transfer. */
struct spidev_transfer {
	const uint8_t *tx; /* NULL: zeroes are sent */
	uint8_t *rx;	   /* NULL: what comes is dropped */
	uint32_t len;	   /* bytes, at most spidev_max() */
	uint32_t mode;	   /* SPI_* of linux/spi/spi.h */
	uint32_t speed_hz; /* 0: the chip's own */
	uint8_t bits_per_word, tx_nbits, rx_nbits;
	uint8_t word_delay_us;
	uint16_t delay_us; /* after the last bit */
	bool hold;	   /* leave the chip selected afterwards */
};

/* Says why if it is no spidev. `speed_hz`: the chip's own limit; 0 if it has none. */
int spidev_check(int fd, const char *path, uint32_t *speed_hz, struct err *e);
/* The longest transfer, in bytes: the buffer of the spidev module. */
uint32_t spidev_max(void);
/* 0 or -errno: -EINVAL where the controller cannot do such a transfer. Waits for it. */
int spidev_transfer(int fd, const struct spidev_transfer *t);
