/* SPDX-License-Identifier: BSD-3-Clause */
/* Simulated chips on an SPI bus: what a chip is to the controller. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/opt.h"
#include "devices/chip_tell.h"

struct spi_chip;

/* A type of chip. Constant data. */
struct spi_chip_class {
	const char *name; /* as in the system file: "flash" */
	size_t size;	  /* of its structure, which begins with struct spi_chip */
	const struct opt *opts;

	/* Checks the keys; sets `bytes` if it has contents. On failure nothing is left open. */
	int (*init)(struct spi_chip *chip, struct err *e);
	void (*finish)(struct spi_chip *chip);
	/* `len` bytes in both directions, most significant bit first; it is selected. `tx` NULL:
	 * zeroes; `rx` NULL: the driver does not look. */
	void (*transfer)(struct spi_chip *chip, const uint8_t *tx, uint8_t *rx, size_t len);
	/* [opt] It is selected no more. */
	void (*deselect)(struct spi_chip *chip);
	/* [opt] A transfer begins (`tx`: with data of the driver) or ends; the next one may go on
	 * with the same command. */
	void (*begin)(struct spi_chip *chip, bool tx);
	void (*end)(struct spi_chip *chip);
	/* A line for the operator, without an end of line. */
	void (*show)(const struct spi_chip *chip, FILE *answer);
};

extern const struct spi_chip_class spi_flash;

/* A chip. */
struct spi_chip {
	const struct spi_chip_class *cls;
	/* The driver has used cs_change with it since the last reset, so that it can be trusted to
	 * say where a command ends. */
	bool framed;
	struct chip_bytes bytes; /* size 0: none */
};
