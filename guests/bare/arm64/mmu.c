/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page tables for the Image, which starts without any: everything at its own address in blocks of
 * 1 GiB; those with RAM in them are normal memory, all others device memory. An EFI application
 * keeps those of the firmware.
 */
#include "guests/bare/arm64/arm64.h"

#define GIB	     (UINT64_C(1) << 30)
#define POOL	     8
#define LIMIT	     (UINT64_C(1) << 48)
#define TABLE	     UINT64_C(3)
#define BLOCK	     UINT64_C(1)
#define ACCESSED     (UINT64_C(1) << 10)
#define INNER	     (UINT64_C(3) << 8)
#define ATTR_NORMAL  (UINT64_C(1) << 2)
#define NO_EXECUTE   (UINT64_C(3) << 53)
#define MAIR	     UINT64_C(0xff00) /* 0: device nGnRnE, 1: normal, write-back */
#define TCR_48_BIT   UINT64_C(16)
#define TCR_WALK     (UINT64_C(3) << 12 | UINT64_C(1) << 10 | UINT64_C(1) << 8)
#define TCR_ONE_HALF (UINT64_C(1) << 23) /* nothing in the upper half */
#define SCTLR_M_C_I  UINT64_C(0x1005)
#define LINE	     16u /* the smallest cache line there is */

struct table {
	uint64_t entries[512];
} __attribute__((aligned(4096)));

/* The processor's tables. */
static struct {
	struct table root, pool[POOL];
	unsigned used;
} mmu;

static bool map_gib(uint64_t addr, uint64_t attributes)
{
	uint64_t *e = &mmu.root.entries[addr >> 39 & 511], *below;

	if (!*e) {
		if (mmu.used == POOL)
			return false;
		*e = (uintptr_t)&mmu.pool[mmu.used++] | TABLE;
	}
	below = (uint64_t *)(uintptr_t)(*e & ~UINT64_C(0xfff));
	if (!below[addr >> 30 & 511])
		below[addr >> 30 & 511] = addr | BLOCK | ACCESSED | attributes;
	dsb();
	isb();
	return true;
}

static bool map(uint64_t addr, uint64_t len, uint64_t attributes)
{
	if (addr >= LIMIT || len > LIMIT - addr)
		return false;
	for (uint64_t at = addr & ~(GIB - 1); at < addr + len; at += GIB)
		if (!map_gib(at, attributes))
			return false;
	return true;
}

void *bare_arch_map(uint64_t addr, uint64_t len)
{
	bool ok = !bare.own_tables || map(addr, len, NO_EXECUTE);

	return ok ? (void *)(uintptr_t)addr : NULL;
}

/* What was written with caches off must not be hidden by old lines of the loader's. */
static void invalidate(uint64_t from, uint64_t to)
{
	for (uint64_t at = from & ~(uint64_t)(LINE - 1); at < to; at += LINE)
		__asm__ volatile("dc ivac, %0" ::"r"(at) : "memory");
	dsb();
}

void arm64_mmu_init(uint64_t image, uint64_t len)
{
	uint64_t sctlr, range;

	for (unsigned i = 0; i < bare.info.nram; i++)
		map(bare.info.ram[i].addr, bare.info.ram[i].len, INNER | ATTR_NORMAL);
	map(image, len, INNER | ATTR_NORMAL);
	READ_REG("id_aa64mmfr0_el1", range);
	range &= 0xf;
	WRITE_REG("mair_el1", MAIR);
	WRITE_REG("tcr_el1", TCR_48_BIT | TCR_WALK | TCR_ONE_HALF | (range < 5 ? range : 5) << 32);
	WRITE_REG("ttbr0_el1", (uint64_t)(uintptr_t)&mmu.root);
	invalidate(image, image + len);
	__asm__ volatile("tlbi vmalle1" ::: "memory");
	dsb();
	isb();
	READ_REG("sctlr_el1", sctlr);
	WRITE_REG("sctlr_el1", sctlr | SCTLR_M_C_I);
	isb();
}
