/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Register accesses of the transports. A platform whose registers are not plain memory, or a test,
 * brings its own two functions, for 1, 2 or 4 bytes: -DDRV_IO_HEADER='"my_io.h"'.
 *
 * On Arm one instruction each that a hypervisor can decode from the exception alone, which is not
 * so for what a compiler may choose (load pairs, write-back). Registers are little-endian, as is
 * the processor (ring.h).
 */
#pragma once

#include <stdint.h>

#ifdef DRV_IO_HEADER
#include DRV_IO_HEADER
#else

#if defined(__aarch64__)
#define DRV_IO_LOAD(insn, at, v)  __asm__ volatile(insn " %w0, [%1]" : "=r"(v) : "r"(at) : "memory")
#define DRV_IO_STORE(insn, at, v) __asm__ volatile(insn " %w0, [%1]" : : "r"(v), "r"(at) : "memory")
#elif defined(__arm__)
#define DRV_IO_LOAD(insn, at, v)  __asm__ volatile(insn " %0, [%1]" : "=r"(v) : "r"(at) : "memory")
#define DRV_IO_STORE(insn, at, v) __asm__ volatile(insn " %0, [%1]" : : "r"(v), "r"(at) : "memory")
#else
#define DRV_IO_LOAD(insn, at, v)  ((v) = *(volatile __typeof__(v) *)(at))
#define DRV_IO_STORE(insn, at, v) (*(volatile __typeof__(v) *)(at) = (v))
#endif

static inline uint32_t drv_io_read(uintptr_t at, unsigned width)
{
	uint32_t word;
	uint16_t half;
	uint8_t byte;

	if (width == 4) {
		DRV_IO_LOAD("ldr", at, word);
		return word;
	}
	if (width == 2) {
		DRV_IO_LOAD("ldrh", at, half);
		return half;
	}
	DRV_IO_LOAD("ldrb", at, byte);
	return byte;
}

static inline void drv_io_write(uintptr_t at, unsigned width, uint32_t v)
{
	if (width == 4)
		DRV_IO_STORE("str", at, v);
	else if (width == 2)
		DRV_IO_STORE("strh", at, (uint16_t)v);
	else
		DRV_IO_STORE("strb", at, (uint8_t)v);
}

#endif

/* The widest access that offset and length allow (VIRTIO 1.4, 4.1.3.1 and 4.2.2.2). */
static inline unsigned drv_io_width(uint32_t offset, uint32_t len)
{
	return offset % 4 == 0 && len >= 4 ? 4 : offset % 2 == 0 && len >= 2 ? 2 : 1;
}

/* A piece of a configuration space that begins at `base`. */
static inline void drv_io_get(uintptr_t base, uint32_t offset, void *buf, uint32_t len)
{
	for (uint32_t i = 0, w; i < len; i += w) {
		uint32_t v;

		w = drv_io_width(offset + i, len - i);
		v = drv_io_read(base + offset + i, w);
		__builtin_memcpy((uint8_t *)buf + i, &v, w);
	}
}

static inline void drv_io_put(uintptr_t base, uint32_t offset, const void *buf, uint32_t len)
{
	for (uint32_t i = 0, w; i < len; i += w) {
		uint32_t v = 0;

		w = drv_io_width(offset + i, len - i);
		__builtin_memcpy(&v, (const uint8_t *)buf + i, w);
		drv_io_write(base + offset + i, w, v);
	}
}
