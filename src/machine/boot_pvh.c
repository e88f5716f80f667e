/* SPDX-License-Identifier: BSD-3-Clause */
/* ELF kernels with a PVH entry (Xen, docs/misc/pvh.pandoc; the start info of arch-x86/hvm). */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/util.h"
#include "machine/boot.h"
#include "machine/layout.h"

#define NOTE_PHYS32_ENTRY 18u
#define NOTES_MAX	  (64u << 10)
#define SEGMENTS_MAX	  64u
#define START_MAGIC	  0x336ec578u
#define CMDLINE_MAX	  4096u

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

/* A program header, of either class. */
struct segment {
	uint32_t type;
	uint64_t offset, paddr, filesz, memsz;
};

struct elf {
	bool is64;
	uint64_t phoff;
	unsigned phnum, phentsize;
};

static int read_header(const struct boot_file *f, struct elf *elf, struct err *e)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf32_Ehdr h32;
		Elf64_Ehdr h64;
	} h;
	size_t want;
	int rc = boot_read(f, 0, h.ident, sizeof(h.ident), "ELF identification", e);

	if (rc)
		return rc;
	elf->is64 = h.ident[EI_CLASS] == ELFCLASS64;
	if ((!elf->is64 && h.ident[EI_CLASS] != ELFCLASS32) || h.ident[EI_DATA] != ELFDATA2LSB)
		return err_set(e, -EINVAL, "%s: not a little-endian ELF file", f->path);
	rc = boot_read(f, 0, &h, elf->is64 ? sizeof(h.h64) : sizeof(h.h32), "ELF header", e);
	if (rc)
		return rc;
	elf->phoff = elf->is64 ? h.h64.e_phoff : h.h32.e_phoff;
	elf->phnum = elf->is64 ? h.h64.e_phnum : h.h32.e_phnum;
	elf->phentsize = elf->is64 ? h.h64.e_phentsize : h.h32.e_phentsize;
	want = elf->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	if (elf->phentsize < want || elf->phnum > SEGMENTS_MAX)
		return err_set(e, -EINVAL,
			"%s: %u program headers of %u bytes; at most %u of at least %zu are "
			"supported",
			f->path, elf->phnum, elf->phentsize, SEGMENTS_MAX, want);
	return 0;
}

static int read_segment(const struct boot_file *f, const struct elf *elf, unsigned i,
	struct segment *s, struct err *e)
{
	uint64_t offset, skip = (uint64_t)i * elf->phentsize;
	Elf64_Phdr p64;
	Elf32_Phdr p32;
	int rc;

	if (__builtin_add_overflow(elf->phoff, skip, &offset))
		return err_set(
			e, -EINVAL, "%s: program headers at 0x%" PRIx64, f->path, elf->phoff);
	rc = boot_read(f, offset, elf->is64 ? (void *)&p64 : &p32,
		elf->is64 ? sizeof(p64) : sizeof(p32), "program header", e);
	if (rc)
		return rc;
	if (elf->is64)
		*s = (struct segment){ p64.p_type, p64.p_offset, p64.p_paddr, p64.p_filesz,
			p64.p_memsz };
	else
		*s = (struct segment){ p32.p_type, p32.p_offset, p32.p_paddr, p32.p_filesz,
			p32.p_memsz };
	return 0;
}

/* Looks for the entry in a segment of notes: 1 found, 0 not, -errno. */
static int find_entry(
	const struct boot_file *f, const struct segment *s, uint32_t *entry, struct err *e)
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

static int load_segment(struct boot *b, const struct boot_file *f, const struct segment *s,
	uint64_t *end, struct err *e)
{
	if (s->filesz > s->memsz)
		return err_set(e, -EINVAL,
			"%s: a segment has more bytes in the file than in memory", f->path);
	if (!s->memsz)
		return 0;
	if (s->paddr < BOARD_KERNEL_MIN || !gm_ptr(b->gm, s->paddr, s->memsz))
		return err_set(e, -ENOSPC,
			"%s: a segment of %" PRIu64 " bytes at 0x%" PRIx64
			" does not fit guest RAM, 0x%x to 0x%" PRIx64,
			f->path, s->memsz, s->paddr, BOARD_KERNEL_MIN, boot_low_end(b));
	*end = max_u64(*end, s->paddr + s->memsz);
	return boot_read_guest(b, f, s->offset, s->paddr, s->filesz, "segment", e);
}

/* Loads all segments; what the file does not fill is zero already. */
static int load_all(
	struct boot *b, const struct boot_file *f, uint32_t *entry, uint64_t *end, struct err *e)
{
	struct elf elf = { 0 };
	bool found = false;
	int rc = read_header(f, &elf, e);

	for (unsigned i = 0; !rc && i < elf.phnum; i++) {
		struct segment s = { 0 };

		rc = read_segment(f, &elf, i, &s, e);
		if (!rc && s.type == PT_LOAD)
			rc = load_segment(b, f, &s, end, e);
		if (!rc && s.type == PT_NOTE && !found) {
			rc = find_entry(f, &s, entry, e);
			found = rc == 1;
			rc = rc < 0 ? rc : 0;
		}
	}
	if (!rc && !found)
		return err_set(e, -EINVAL,
			"%s: an ELF file without a PVH entry (Xen note 18, PHYS32_ENTRY); "
			"for Linux use the bzImage or CONFIG_PVH=y",
			f->path);
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

int boot_pvh(struct boot *b, const struct boot_file *f, struct err *e)
{
	void *start = gm_ptr(b->gm, BOARD_START_INFO, sizeof(struct start_area));
	uint64_t end = BOARD_KERNEL_MIN;
	uint32_t entry = 0;
	int rc;

	if (!start)
		return err_set(e, -ENOSPC, "no RAM below 1 MiB");
	rc = load_all(b, f, &entry, &end, e);
	if (!rc && (entry < BOARD_KERNEL_MIN || entry >= end))
		rc = err_set(e, -EINVAL,
			"%s: the PVH entry 0x%" PRIx32
			" is outside its segments, 0x%x to 0x%" PRIx64,
			f->path, entry, BOARD_KERNEL_MIN, end);
	if (!rc)
		rc = boot_place(b, end, boot_low_end(b), CMDLINE_MAX, e);
	if (rc)
		return rc;
	fill_start(b, start);
	b->protocol = BOOT_PVH;
	b->entry = entry;
	b->info = BOARD_START_INFO;
	return 0;
}
