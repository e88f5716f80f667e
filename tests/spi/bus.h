/* SPDX-License-Identifier: BSD-3-Clause */
/* The SPI controller device on a thread, and transfers of it, for its tests. */
#pragma once

#include <stdint.h>

#include "devices/spi_priv.h"
#include "lib/vhud_server.h"
#include "tap.h"

#define SPI_NONE 0xff /* what a result is before */

struct bus {
	struct vhud_server srv;
	struct vhud *d;
	struct spi_transfer_head head; /* of the next transfers */
};

/* Up to ten keys and values; NULL from the first that is not needed. `ring`: its features. */
void bus_open(struct tap *t, struct bus *b, uint64_t ring, const char *const *keys);
/* Starts the device (again): words of 8 bits, and all else 0. */
void bus_start(struct tap *t, struct bus *b, uint64_t ring);
void bus_close(struct bus *b);

/* A transfer of `len` bytes; `tx` or `rx` may be NULL. The result. */
uint8_t bus_transfer(struct bus *b, const void *tx, void *rx, uint32_t len);
