/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a ring continues after its back-end died, for front-ends. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The beginning of QueueRegionPacked ("Inflight I/O tracking"). */
struct vhu_packed_region {
	uint64_t features;
	uint16_t version; /* 0: never used */
	uint16_t desc_num;
	uint16_t free_head;
	uint16_t old_free_head;
	uint16_t used_idx;
	uint16_t old_used_idx;
	uint8_t used_wrap_counter;
	uint8_t old_used_wrap_counter;
};

#define VHU_BASE_PACKED_FRESH 0x80008000u
/* No VRING_BASE has this value: the ring cannot be continued. */
#define VHU_BASE_UNKNOWN 0x7fff7fffu

/*
 * The VRING_BASE to hand to the next back-end. Split rings tell it themselves: all before the used
 * index is done, what follows is in the record or new; `used_ring` is the used ring. Packed rings
 * do not, so that it takes their region of the in-flight record (`region`, may be NULL): without
 * one the result is VHU_BASE_UNKNOWN. A back-end with the record derives the available position
 * from it.
 */
static inline uint32_t vhu_recovered_base(bool packed, const void *used_ring, const void *region)
{
	struct vhu_packed_region p;
	uint16_t used;

	if (!packed)
		return __atomic_load_n((const uint16_t *)used_ring + 1, __ATOMIC_ACQUIRE);
	if (!region)
		return VHU_BASE_UNKNOWN;
	memcpy(&p, region, sizeof(p));
	if (!p.version)
		return VHU_BASE_PACKED_FRESH;
	used = (uint16_t)((p.used_idx & 0x7fff) | (p.used_wrap_counter ? 0x8000 : 0));
	return used | (uint32_t)used << 16;
}
