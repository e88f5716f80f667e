/* SPDX-License-Identifier: BSD-3-Clause */
/* CRC-32 (ISO 3309, the polynomial of Ethernet). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Of `len` bytes. Bit by bit: for kilobytes, not for streams. */
static inline uint32_t crc32(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= b[i];
		for (unsigned k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}
