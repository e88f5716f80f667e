/* SPDX-License-Identifier: BSD-3-Clause */
/* What Arm's PrimeCell peripherals have in common: 4 KiB of registers, at whose end they say who
 * they are (Arm DDI 0183G, 3.3.15 and 3.3.16). */
#pragma once

#include <stdint.h>

#define PRIMECELL_LEN 0x1000u
#define PRIMECELL_IDS 0xfe0u

/* The register at `reg` >= PRIMECELL_IDS; `id` is the peripheral id: part number in bits 11:0,
 * designer 19:12, revision 23:20. */
static inline uint32_t primecell_id(uint32_t reg, uint32_t id)
{
	const uint32_t cell = 0xb105f00d;
	uint32_t v = reg < PRIMECELL_IDS + 16 ? id : cell;

	return (v >> (8 * ((reg >> 2) & 3))) & 0xff;
}
