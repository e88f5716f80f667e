/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands of the operator that all simulated chips have: "peek AT [COUNT]", "poke AT BYTE...". */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

/* A chip's bytes as its data sheet numbers them. Both return 0 or -errno; the range is inside. */
struct chip_bytes {
	uint64_t size;
	int (*peek)(void *chip, uint64_t at, uint8_t *buf, unsigned len);
	int (*poke)(void *chip, uint64_t at, const uint8_t *buf, unsigned len);
};

/* True if argv[0] is one of the two; then *r is the result. */
bool chip_tell(const struct chip_bytes *b, void *chip, unsigned argc, char **argv, FILE *answer,
	int *r, struct err *e);
