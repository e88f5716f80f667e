/* SPDX-License-Identifier: BSD-3-Clause */
/* What a PVH loader hands over (Xen, arch-x86/hvm/start_info.h). */
#include "guests/bare/x86/x86.h"

#define MAGIC	  0x336ec578u
#define MAP_MAX	  128u
#define TYPE_RAM  1u
#define TEXT_MAX  BARE_CMDLINE_MAX
#define MODS_MAX  8u
#define PAGE_SIZE 4096u

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

struct module_entry {
	uint64_t addr, size, cmdline, reserved;
};

extern uint8_t bare_image_start[], bare_image_end[];
void pvh_main(const struct start_info *s) __attribute__((noreturn));

static void read_memory(const struct start_info *s)
{
	const struct memmap_entry *map = (const void *)(uintptr_t)s->memmap;
	const struct module_entry *mods = (const void *)(uintptr_t)s->modlist;

	/* Version 0 has no memory map. */
	if (s->version < 1 || !s->memmap)
		bare_fatal("PVH start info without a memory map, version", s->version);
	for (uint32_t i = 0; i < s->memmap_entries && i < MAP_MAX; i++)
		if (map[i].type == TYPE_RAM)
			bare_add_ram(map[i].addr, map[i].size);
	for (uint32_t i = 0; mods && i < s->nr_modules && i < MODS_MAX; i++)
		bare_reserve(mods[i].addr, mods[i].size);
	bare_reserve((uintptr_t)bare_image_start, (uintptr_t)(bare_image_end - bare_image_start));
	bare_reserve(s->memmap, s->memmap_entries * sizeof(*map));
	/* The loader's own things may be anywhere; they are used once more below. */
	bare_reserve((uintptr_t)s, PAGE_SIZE);
}

void pvh_main(const struct start_info *s)
{
	bare.own_tables = true;
	x86_serial_init();
	if (s->magic != MAGIC)
		bare_fatal("not started by a PVH loader, magic", s->magic);
	bare.info.boot = BARE_PVH;
	bare_set_cmdline((const char *)(uintptr_t)s->cmdline, TEXT_MAX);
	read_memory(s);
	bare.info.rsdp = s->rsdp ? s->rsdp : x86_find_rsdp();
	bare_start();
}
