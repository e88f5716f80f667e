/* SPDX-License-Identifier: BSD-3-Clause */
/* Blocks of a disk whose every word is known: of number and version; version 0 is zeroes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BLOCKS_LEN 4096u

static inline uint64_t blocks_word(unsigned block, uint32_t version, unsigned i)
{
	return version ? (((uint64_t)block << 32 | version) + i) * 0x9e3779b97f4a7c15u : 0;
}

static inline void blocks_fill(uint8_t *p, unsigned block, uint32_t version)
{
	for (unsigned i = 0; i < BLOCKS_LEN / 8; i++) {
		uint64_t w = blocks_word(block, version, i);

		memcpy(p + i * 8, &w, 8);
	}
}

static inline bool blocks_match(const uint8_t *p, unsigned block, uint32_t version)
{
	for (unsigned i = 0; i < BLOCKS_LEN / 8; i++) {
		uint64_t w;

		memcpy(&w, p + i * 8, 8);
		if (w != blocks_word(block, version, i))
			return false;
	}
	return true;
}
