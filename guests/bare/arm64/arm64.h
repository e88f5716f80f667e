/* SPDX-License-Identifier: BSD-3-Clause */
/* arm64: what its files share. */
#pragma once

#include "guests/bare/bare_priv.h"

/* System registers by name. */
#define READ_REG(name, v)  __asm__ volatile("mrs %0, " name : "=r"(v)::"memory")
#define WRITE_REG(name, v) __asm__ volatile("msr " name ", %0" ::"r"(v) : "memory")

static inline void isb(void)
{
	__asm__ volatile("isb" ::: "memory");
}

static inline void dsb(void)
{
	__asm__ volatile("dsb sy" ::: "memory");
}

#define ARM64_TIMER_INTID 27u /* the virtual timer */

/* Of mmu.c: maps RAM and the image, and turns caches on. Until then memory was written without. */
void arm64_mmu_init(uint64_t image, uint64_t len);
/* Of gic.c. */
void arm64_gic_init(void);
