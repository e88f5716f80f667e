/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the neighbour of the hostile guest suite does with its disk, known to it and to the runner
 * that looks at the disk afterwards: write number w (from 0) goes to block w modulo
 * NEIGHBOUR_BLOCKS and holds cf_pattern() of neighbour_seed().
 */
#pragma once

#include <stdint.h>

#define NEIGHBOUR_BLOCK	 1024u /* bytes */
#define NEIGHBOUR_BLOCKS 64u

/* The seed of what is in a block after so many writes in all, at least one of them to it. */
static inline uint32_t neighbour_seed(uint32_t block, uint64_t writes)
{
	uint64_t last = writes - 1 - (writes - 1 - block) % NEIGHBOUR_BLOCKS;

	return (uint32_t)last * 2654435761u + 1;
}
