/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page tables: everything at its own address, extended where something new is reached. What is
 * cacheable is left to the MTRRs, or to the hypervisor, which both know better.
 */
#include "guests/bare/x86/x86.h"

#define GIB	     (UINT64_C(1) << 30)
#define PRESENT	     UINT64_C(3) /* writable */
#define LARGE	     UINT64_C(0x80)
#define ADDRESS	     UINT64_C(0x000ffffffffff000)
#define POOL	     16
#define GIB_PAGES    (1u << 26) /* CPUID 0x80000001, EDX */
#define LIMIT	     (UINT64_C(1) << 46)
#define TABLE_LENGTH 512

struct table {
	uint64_t entries[TABLE_LENGTH];
} __attribute__((aligned(4096)));

/* The processor's tables. */
static struct {
	struct table pool[POOL];
	unsigned used;
} paging;

static uint64_t *root(void)
{
	uint64_t cr3;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	return (uint64_t *)(uintptr_t)(cr3 & ADDRESS);
}

/* The table that entry `e` points to; a new one if there is none. */
static uint64_t *below(uint64_t *e)
{
	if (!(*e & 1)) {
		if (paging.used == POOL)
			return NULL;
		*e = (uintptr_t)&paging.pool[paging.used++] | PRESENT;
	}
	return (uint64_t *)(uintptr_t)(*e & ADDRESS);
}

static bool map_gib(uint64_t addr)
{
	uint64_t *pdpt = below(&root()[addr >> 39 & 511]), *pd, *e;

	if (!pdpt)
		return false;
	e = &pdpt[addr >> 30 & 511];
	if (*e & 1)
		return true;
	if (x86_cpuid(0x80000001).d & GIB_PAGES) {
		*e = addr | LARGE | PRESENT;
		return true;
	}
	pd = below(e);
	for (unsigned i = 0; pd && i < TABLE_LENGTH; i++)
		pd[i] = (addr + ((uint64_t)i << 21)) | LARGE | PRESENT;
	return pd;
}

void *bare_arch_map(uint64_t addr, uint64_t len)
{
	if (!bare.own_tables)
		return (void *)(uintptr_t)addr;
	if (addr >= LIMIT || len > LIMIT - addr)
		return NULL;
	for (uint64_t at = addr & ~(GIB - 1); at < addr + len; at += GIB)
		if (!map_gib(at))
			return NULL;
	return (void *)(uintptr_t)addr;
}
