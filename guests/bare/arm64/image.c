/* SPDX-License-Identifier: BSD-3-Clause */
/* The arm64 Image: from its assembler start, with the MMU off, to the platform. */
#include "guests/bare/arm64/arm64.h"

extern uint8_t image_start[], image_end[];

void image_main(const void *dtb) __attribute__((noreturn));

void image_main(const void *dtb)
{
	uint64_t start = (uintptr_t)image_start, len = (uintptr_t)image_end - start;

	bare.info.boot = BARE_LINUX;
	if (!bare_fdt_size(dtb))
		bare_arch_halt(); /* nothing tells where a serial port or a power switch is */
	bare_fdt(dtb);
	bare_reserve(start, len);
	arm64_mmu_init(start, len);
	bare.own_tables = true;
	bare.info.dtb = dtb;
	bare_start();
}
