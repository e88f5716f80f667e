/* SPDX-License-Identifier: BSD-3-Clause */
/* SPI controller device (VIRTIO 1.4, 5.21): one transfer at a time, copied in and out. */
#pragma once

#include "pool.h"

#define DRV_ID_SPI   45
#define DRV_SPI_DATA 512u /* bytes of a transfer at most */

#define VIRTIO_SPI_TRANS_OK  0
#define VIRTIO_SPI_PARAM_ERR 1
#define VIRTIO_SPI_TRANS_ERR 2

#define VIRTIO_SPI_MODE_CPHA	  0x01u
#define VIRTIO_SPI_MODE_CPOL	  0x02u
#define VIRTIO_SPI_MODE_CS_HIGH	  0x04u
#define VIRTIO_SPI_MODE_LSB_FIRST 0x08u
#define VIRTIO_SPI_MODE_LOOP	  0x10u

/* What the device supports (5.21.4). */
struct drv_spi_config {
	uint8_t cs_max_number, cs_change_supported, tx_nbits_supported, rx_nbits_supported;
	uint32_t bits_per_word_mask, mode_func_supported, max_freq_hz, max_word_delay_ns;
	uint32_t max_cs_setup_ns, max_cs_hold_ns, max_cs_inactive_ns;
};

/* The head of a transfer (5.21.6.1). */
struct drv_spi_head {
	uint8_t chip_select_id, bits_per_word, cs_change, tx_nbits, rx_nbits, reserved[3];
	uint32_t mode, freq, word_delay_ns, cs_setup_ns, cs_delay_hold_ns;
	uint32_t cs_change_delay_inactive_ns;
};

struct drv_spi {
	struct drv_dev *dev;
	struct drv_spi_config config;
	uint64_t timeout; /* ns for a transfer; 1 s unless changed */
	struct drv_pool pool;
};

int drv_spi_open(struct drv_spi *s, struct drv_dev *dev);
/* Sends `tx` and fills `rx`, of `len` bytes both; one of them may be NULL. DRV_REFUSED: a parameter
 * of the head is wrong or not supported; DRV_ERROR: the transfer failed. DRV_TIMEOUT: the next call
 * waits for this one first. */
int drv_spi_transfer(
	struct drv_spi *s, const struct drv_spi_head *head, const void *tx, void *rx, uint32_t len);
