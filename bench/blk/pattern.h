/* SPDX-License-Identifier: BSD-3-Clause */
/* What the blocks of the bench's images contain, and the order in which a load takes them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BLOCK 4096u

static inline uint64_t pattern(uint64_t block)
{
	return (block + 1) * 0x9e3779b97f4a7c15u;
}

static inline void fill_block(void *p, uint64_t block)
{
	uint64_t *w = p;

	for (unsigned i = 0; i < BLOCK / 8; i++)
		w[i] = pattern(block) + i;
}

static inline bool block_ok(const void *p, uint64_t block)
{
	const uint64_t *w = p;

	return w[0] == pattern(block) && w[BLOCK / 8 - 1] == pattern(block) + BLOCK / 8 - 1;
}

/* A pseudo-random number below `n`, at most 2^32. */
static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (*state >> 32) * n >> 32;
}
