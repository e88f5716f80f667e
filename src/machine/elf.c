/* SPDX-License-Identifier: BSD-3-Clause */
/* ELF images: header, program headers, loading by physical address. */
#include "machine/elf.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>

#include "base/util.h"

union header {
	unsigned char ident[EI_NIDENT];
	Elf32_Ehdr h32;
	Elf64_Ehdr h64;
};

/* The kind of file, before any field whose place depends on it. */
static int check_ident(const struct boot_file *f, const unsigned char *ident, struct err *e)
{
	if (ident[EI_CLASS] != ELFCLASS64 && ident[EI_CLASS] != ELFCLASS32)
		return err_set(e, -EINVAL, "%s: ELF class %u; 1 (32-bit) and 2 (64-bit) exist",
			f->path, ident[EI_CLASS]);
	if (ident[EI_DATA] != ELFDATA2LSB)
		return err_set(e, -EINVAL, "%s: not a little-endian ELF file", f->path);
	if (ident[EI_VERSION] != EV_CURRENT)
		return err_set(e, -EINVAL, "%s: ELF version %u, there is only 1", f->path,
			ident[EI_VERSION]);
	return 0;
}

static int check_header(const struct boot_file *f, const struct elf *elf, unsigned type,
	uint32_t version, unsigned ehsize, struct err *e)
{
	size_t header = elf->is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
	size_t want = elf->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

	if (type != ET_EXEC && type != ET_DYN)
		return err_set(e, -EINVAL,
			"%s: ELF type %u; only a linked program (2, or 3 if position-independent) "
			"can be started",
			f->path, type);
	if (version != EV_CURRENT || ehsize < header)
		return err_set(e, -EINVAL,
			"%s: ELF version %" PRIu32
			" with a header of %u bytes; it must be 1 with %zu",
			f->path, version, ehsize, header);
	if (!elf->phnum || elf->phentsize < want || elf->phnum > ELF_SEGMENTS_MAX)
		return err_set(e, -EINVAL,
			"%s: %u program headers of %u bytes; 1 to %u of at least %zu are supported",
			f->path, elf->phnum, elf->phentsize, ELF_SEGMENTS_MAX, want);
	return 0;
}

int elf_read(const struct boot_file *f, struct elf *elf, struct err *e)
{
	union header h;
	int rc = boot_read(f, 0, h.ident, sizeof(h.ident), "ELF identification", e);

	if (!rc)
		rc = check_ident(f, h.ident, e);
	if (rc)
		return rc;
	elf->is64 = h.ident[EI_CLASS] == ELFCLASS64;
	rc = boot_read(f, 0, &h, elf->is64 ? sizeof(h.h64) : sizeof(h.h32), "ELF header", e);
	if (rc)
		return rc;
	elf->machine = elf->is64 ? h.h64.e_machine : h.h32.e_machine;
	elf->entry = elf->is64 ? h.h64.e_entry : h.h32.e_entry;
	elf->phoff = elf->is64 ? h.h64.e_phoff : h.h32.e_phoff;
	elf->phnum = elf->is64 ? h.h64.e_phnum : h.h32.e_phnum;
	elf->phentsize = elf->is64 ? h.h64.e_phentsize : h.h32.e_phentsize;
	if (elf->is64)
		return check_header(f, elf, h.h64.e_type, h.h64.e_version, h.h64.e_ehsize, e);
	return check_header(f, elf, h.h32.e_type, h.h32.e_version, h.h32.e_ehsize, e);
}

int elf_segment_read(const struct boot_file *f, const struct elf *elf, unsigned i,
	struct elf_segment *s, struct err *e)
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
		*s = (struct elf_segment){ p64.p_type, p64.p_offset, p64.p_vaddr, p64.p_paddr,
			p64.p_filesz, p64.p_memsz };
	else
		*s = (struct elf_segment){ p32.p_type, p32.p_offset, p32.p_vaddr, p32.p_paddr,
			p32.p_filesz, p32.p_memsz };
	return 0;
}

/* Two segments in one place: whichever came last would win. Both are within guest memory. */
static int check_overlap(const struct boot_file *f, const struct elf_image *image,
	const struct elf_segment *s, struct err *e)
{
	for (unsigned i = 0; i < image->n; i++) {
		const struct elf_segment *o = &image->seg[i];

		if (s->paddr < o->paddr + o->memsz && o->paddr < s->paddr + s->memsz)
			return err_set(e, -EINVAL,
				"%s: two segments overlap in memory: %" PRIu64
				" bytes at 0x%" PRIx64 " and %" PRIu64 " at 0x%" PRIx64,
				f->path, o->memsz, o->paddr, s->memsz, s->paddr);
	}
	return 0;
}

static int load_segment(const struct gm *gm, const struct boot_file *f, const struct elf_segment *s,
	uint64_t min, uint64_t max, struct elf_image *image, struct err *e)
{
	uint8_t *dst = NULL;
	int rc;

	if (s->filesz > s->memsz)
		return err_set(e, -EINVAL,
			"%s: a segment has more bytes in the file (%" PRIu64
			") than in memory (%" PRIu64 ")",
			f->path, s->filesz, s->memsz);
	if (!s->memsz)
		return 0;
	if (s->paddr >= min && range_in(s->paddr, s->memsz, max))
		dst = gm_ptr(gm, s->paddr, s->memsz);
	if (!dst)
		return err_set(e, -ENOSPC,
			"%s: a segment of %" PRIu64 " bytes at 0x%" PRIx64
			" does not fit guest RAM, 0x%" PRIx64 " to 0x%" PRIx64,
			f->path, s->memsz, s->paddr, min, max);
	rc = check_overlap(f, image, s, e);
	if (rc)
		return rc;
	image->seg[image->n++] = *s;
	image->end = max_u64(image->end, s->paddr + s->memsz);
	return s->filesz ? boot_read(f, s->offset, dst, s->filesz, "segment", e) : 0;
}

int elf_load(const struct gm *gm, const struct boot_file *f, const struct elf *elf, uint64_t min,
	uint64_t max, struct elf_image *image, struct err *e)
{
	int rc = 0;

	image->n = 0;
	image->end = min;
	for (unsigned i = 0; !rc && i < elf->phnum; i++) {
		struct elf_segment s;

		rc = elf_segment_read(f, elf, i, &s, e);
		if (!rc && s.type == PT_LOAD)
			rc = load_segment(gm, f, &s, min, max, image, e);
	}
	if (!rc && !image->n)
		rc = err_set(e, -EINVAL, "%s: an ELF file without a segment to load", f->path);
	return rc;
}

int elf_entry(const struct boot_file *f, const struct elf *elf, const struct elf_image *image,
	uint64_t *entry, struct err *e)
{
	for (unsigned i = 0; i < image->n; i++) {
		const struct elf_segment *s = &image->seg[i];

		if (elf->entry >= s->vaddr && elf->entry - s->vaddr < s->filesz) {
			*entry = elf->entry - s->vaddr + s->paddr;
			return 0;
		}
	}
	for (unsigned i = 0; i < image->n; i++) {
		const struct elf_segment *s = &image->seg[i];

		if (elf->entry >= s->paddr && elf->entry - s->paddr < s->filesz) {
			*entry = elf->entry;
			return 0;
		}
	}
	return err_set(e, -EINVAL, "%s: the entry 0x%" PRIx64 " is in none of its loaded segments",
		f->path, elf->entry);
}
