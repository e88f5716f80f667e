/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accesses of any width to devices that are made of 32-bit registers: split into registers, so that
 * a device answers whole ones only.
 */
#pragma once

#include <stdint.h>
#include <string.h>

/* The value of the register at `reg`, a multiple of four. */
typedef uint32_t (*reg32_read_fn)(void *arg, uint32_t reg);
typedef void (*reg32_write_fn)(void *arg, uint32_t reg, uint32_t value);

/* Bytes of one register that an access at `offset` touches, `len` of them being left. */
static inline unsigned reg32_span(uint64_t offset, unsigned len)
{
	unsigned room = 4 - (unsigned)(offset & 3);

	return len < room ? len : room;
}

static inline void reg32_read(
	reg32_read_fn read, void *arg, uint64_t offset, void *data, unsigned len)
{
	uint8_t *to = data;

	for (unsigned n; len; offset += n, to += n, len -= n) {
		uint32_t v = read(arg, (uint32_t)offset & ~3u);

		n = reg32_span(offset, len);
		memcpy(to, (const uint8_t *)&v + (offset & 3), n);
	}
}

/* A narrow write at a register's start is a value with zeros above; one inside it is lost. */
static inline void reg32_write(
	reg32_write_fn write, void *arg, uint64_t offset, const void *data, unsigned len)
{
	const uint8_t *from = data;

	for (unsigned n; len; offset += n, from += n, len -= n) {
		uint32_t v = 0;

		n = reg32_span(offset, len);
		memcpy(&v, from, n);
		if (!(offset & 3))
			write(arg, (uint32_t)offset, v);
	}
}
