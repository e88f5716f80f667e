/* SPDX-License-Identifier: BSD-3-Clause */
/* Register accesses of drivers/ that go to the machine of the test in place of memory. */
#pragma once

#include <stdint.h>

uint32_t machine_io_read(uintptr_t at, unsigned width);
void machine_io_write(uintptr_t at, unsigned width, uint32_t v);

static inline uint32_t drv_io_read(uintptr_t at, unsigned width)
{
	return machine_io_read(at, width);
}

static inline void drv_io_write(uintptr_t at, unsigned width, uint32_t v)
{
	machine_io_write(at, width, v);
}
