/* SPDX-License-Identifier: BSD-3-Clause */
/* Register accesses of drivers/ that go to the machine of the test in place of memory. */
#pragma once

#include <stdint.h>

uint32_t machine_io_read(uintptr_t at, unsigned width);
void machine_io_write(uintptr_t at, unsigned width, uint32_t v);

static inline uint8_t drv_io_read8(uintptr_t at)
{
	return (uint8_t)machine_io_read(at, 1);
}

static inline uint16_t drv_io_read16(uintptr_t at)
{
	return (uint16_t)machine_io_read(at, 2);
}

static inline uint32_t drv_io_read32(uintptr_t at)
{
	return machine_io_read(at, 4);
}

static inline void drv_io_write8(uintptr_t at, uint8_t v)
{
	machine_io_write(at, 1, v);
}

static inline void drv_io_write16(uintptr_t at, uint16_t v)
{
	machine_io_write(at, 2, v);
}

static inline void drv_io_write32(uintptr_t at, uint32_t v)
{
	machine_io_write(at, 4, v);
}
