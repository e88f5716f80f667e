/* SPDX-License-Identifier: BSD-3-Clause */
/* ELF programs and raw images on arm64: what the guest starts in is in docs/boot.md. */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>

#include "base/util.h"
#include "machine/arm64/boot.h"
#include "machine/arm64/layout.h"
#include "machine/elf.h"

#define INSTRUCTION 4u

/* The device tree is at the start of RAM, where firmware and systems look for it, unless the image
 * wants to be there: then at the end. [start, end) is the image. */
static int place_dtb(
	struct boot *b, const struct boot_file *f, bool at_start, uint64_t end, struct err *e)
{
	uint64_t top = (boot_ram_end(b) - ARM64_DTB_SIZE) & ~(uint64_t)(ARM64_DTB_SIZE - 1);

	b->info = at_start ? ARM64_DTB : top;
	if (at_start || (top >= end && top >= ARM64_RAM))
		return 0;
	return err_set(e, -ENOSPC,
		"%s: no room for the device tree: the image takes the start of RAM and ends at "
		"0x%" PRIx64 ", the last %u bytes are from 0x%" PRIx64
		" on; give the guest more memory",
		f->path, end, ARM64_DTB_SIZE, top);
}

static int hand_over(struct boot *b, const struct boot_file *f, uint64_t entry, bool dtb_at_start,
	uint64_t end, struct err *e)
{
	int rc;

	if (entry % INSTRUCTION)
		return err_set(e, -EINVAL,
			"%s: the entry 0x%" PRIx64
			" is no address of an instruction: not a multiple of 4",
			f->path, entry);
	rc = place_dtb(b, f, dtb_at_start, end, e);
	if (!rc)
		rc = boot_place_initrd(
			b, max_u64(end, ARM64_FILES_MIN), dtb_at_start ? UINT64_MAX : b->info, e);
	b->entry = entry;
	return rc;
}

/* True if [start, start+len) leaves the first place of the device tree alone. */
static bool leaves_dtb(uint64_t start, uint64_t len)
{
	return start >= ARM64_DTB + ARM64_DTB_SIZE || start + len <= ARM64_DTB;
}

int boot_arm64_elf(struct boot *b, const struct boot_file *f, struct err *e)
{
	struct elf_image image;
	uint64_t entry = 0;
	bool free_start = true;
	struct elf elf;
	int rc = elf_read(f, &elf, e);

	if (rc)
		return rc;
	if (!elf.is64 || elf.machine != EM_AARCH64)
		return err_set(e, -EINVAL,
			"%s: a %s ELF file for machine %u; this board runs 64-bit ones for arm64, "
			"%u",
			f->path, elf.is64 ? "64-bit" : "32-bit", elf.machine, EM_AARCH64);
	rc = elf_load(b->gm, f, &elf, ARM64_RAM, boot_ram_end(b), &image, e);
	if (!rc)
		rc = elf_entry(f, &elf, &image, &entry, e);
	if (rc)
		return rc;
	for (unsigned i = 0; i < image.n; i++)
		free_start = free_start && leaves_dtb(image.seg[i].paddr, image.seg[i].memsz);
	return hand_over(b, f, entry, free_start, image.end, e);
}

int boot_arm64_raw(struct boot *b, const struct boot_file *f, struct err *e)
{
	uint64_t entry = 0;
	int rc = boot_raw_check(b, f, &entry, e);

	b->files_min = ARM64_RAM;
	if (!rc)
		rc = boot_read_guest(b, f, 0, b->load_address, f->size, "image", e);
	b->files_min = ARM64_FILES_MIN;
	return rc ? rc
		  : hand_over(b, f, entry, leaves_dtb(b->load_address, f->size),
			    b->load_address + f->size, e);
}
