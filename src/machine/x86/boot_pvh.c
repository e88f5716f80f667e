/* SPDX-License-Identifier: BSD-3-Clause */
/* PVH: the entry in the notes of an ELF file (Xen, docs/misc/pvh.pandoc) and the start info
 * (arch-x86/hvm/start_info.h). */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/util.h"
#include "machine/elf.h"
#include "machine/x86/boot.h"
#include "machine/x86/layout.h"

#define NOTE_PHYS32_ENTRY 18u
#define NOTES_MAX	  (64u << 10)
#define START_MAGIC	  0x336ec578u

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct module_entry {
	uint64_t addr, size, cmdline, reserved;
};

struct memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

/* What is at BOARD_START_INFO. */
struct start_area {
	struct start_info info;
	struct module_entry module;
	struct memmap_entry map[BOOT_MAP_MAX];
};

/* Looks for the entry in a segment of notes: 1 found, 0 not, -errno. */
static int find_entry(
	const struct boot_file *f, const struct elf_segment *s, uint32_t *entry, struct err *e)
{
	autofree uint8_t *notes = NULL;
	uint64_t at = 0;
	int rc;

	if (s->filesz > NOTES_MAX)
		return err_set(e, -EINVAL,
			"%s: %" PRIu64 " bytes of notes, at most %u are supported", f->path,
			s->filesz, NOTES_MAX);
	notes = calloc(1, s->filesz + 1);
	if (!notes)
		return err_set(e, -ENOMEM, "no memory for ELF notes");
	rc = boot_read(f, s->offset, notes, s->filesz, "ELF notes", e);
	if (rc)
		return rc;
	while (range_in(at, sizeof(Elf64_Nhdr), s->filesz)) {
		Elf64_Nhdr n;
		uint64_t name, desc;

		memcpy(&n, notes + at, sizeof(n));
		name = at + sizeof(n);
		desc = name + align_up(n.n_namesz, 4);
		if (!range_in(name, n.n_namesz, s->filesz) ||
			!range_in(desc, n.n_descsz, s->filesz))
			break;
		if (n.n_type == NOTE_PHYS32_ENTRY && n.n_namesz == 4 &&
			!memcmp(notes + name, "Xen", 4) && n.n_descsz >= 4) {
			memcpy(entry, notes + desc, 4);
			return 1;
		}
		at = desc + align_up(n.n_descsz, 4);
	}
	return 0;
}

int boot_pvh_entry(const struct boot_file *f, const struct elf *elf, uint32_t *entry, struct err *e)
{
	int rc = 0;

	for (unsigned i = 0; !rc && i < elf->phnum; i++) {
		struct elf_segment s;

		rc = elf_segment_read(f, elf, i, &s, e);
		if (!rc && s.type == PT_NOTE)
			rc = find_entry(f, &s, entry, e);
	}
	return rc;
}

static void fill_start(const struct boot *b, struct start_area *a)
{
	const uint64_t at = BOARD_START_INFO;

	memset(a, 0, sizeof(*a));
	a->info = (struct start_info){
		.magic = START_MAGIC,
		.version = 1,
		.cmdline = BOARD_CMDLINE,
		.rsdp = b->rsdp,
		.memmap = at + offsetof(struct start_area, map),
		.memmap_entries = b->nmap,
	};
	if (b->initrd) {
		a->info.nr_modules = 1;
		a->info.modlist = at + offsetof(struct start_area, module);
		a->module.addr = b->initrd_addr;
		a->module.size = b->initrd_len;
	}
	for (unsigned i = 0; i < b->nmap; i++)
		a->map[i] =
			(struct memmap_entry){ b->map[i].start, b->map[i].len, b->map[i].type, 0 };
}

int boot_start_info(struct boot *b, struct err *e)
{
	void *start = gm_ptr(b->gm, BOARD_START_INFO, sizeof(struct start_area));

	if (!start)
		return err_set(e, -ENOSPC, "no RAM below 1 MiB");
	fill_start(b, start);
	b->info = BOARD_START_INFO;
	return 0;
}
