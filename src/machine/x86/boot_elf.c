/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ELF files by the PVH protocol or as they are, and raw images: what the guest starts in is in
 * docs/boot.md.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/util.h"
#include "machine/elf.h"
#include "machine/x86/boot.h"
#include "machine/x86/layout.h"

#define CMDLINE_MAX  4096u
#define IDENTITY_GIB 4u

/* An identity map of the first 4 GiB with 2 MiB pages. */
static void make_page_tables(uint64_t *t)
{
	const uint64_t present_write = 3, page_2m = 0x83;

	memset(t, 0, (2 + IDENTITY_GIB) * 0x1000);
	t[0] = (BOARD_PAGE_TABLES + 0x1000) | present_write;
	for (uint64_t g = 0; g < IDENTITY_GIB; g++)
		t[512 + g] = (BOARD_PAGE_TABLES + 0x2000 + g * 0x1000) | present_write;
	for (uint64_t i = 0; i < IDENTITY_GIB * 512; i++)
		t[1024 + i] = (i << 21) | page_2m;
}

/* The segments that the protocol asks for: __BOOT_CS 0x10 and __BOOT_DS 0x18, flat. */
static void make_gdt(uint64_t *gdt)
{
	gdt[0] = gdt[1] = 0;
	gdt[2] = UINT64_C(0x00af9b000000ffff);
	gdt[3] = UINT64_C(0x00cf93000000ffff);
}

int boot_long_mode(struct boot *b, struct err *e)
{
	void *tables = gm_ptr(b->gm, BOARD_PAGE_TABLES, (2 + IDENTITY_GIB) * 0x1000);
	void *gdt = gm_ptr(b->gm, BOARD_GDT, 4 * sizeof(uint64_t));

	if (!tables || !gdt)
		return err_set(e, -ENOSPC, "no RAM below 1 MiB");
	make_page_tables(tables);
	make_gdt(gdt);
	return 0;
}

/* What all of them find: initrd, command line and start info; `end` is the image's. */
static int hand_over(
	struct boot *b, enum boot_protocol protocol, uint64_t entry, uint64_t end, struct err *e)
{
	int rc = boot_place(b, end, boot_ram_end(b), CMDLINE_MAX, e);

	if (!rc && protocol == BOOT_BARE64)
		rc = boot_long_mode(b, e);
	if (!rc)
		rc = boot_start_info(b, e);
	b->protocol = protocol;
	b->entry = entry;
	return rc;
}

static int check_machine(const struct boot_file *f, const struct elf *elf, struct err *e)
{
	if (elf->machine == (elf->is64 ? EM_X86_64 : EM_386))
		return 0;
	return err_set(e, -EINVAL,
		"%s: a %s ELF file for machine %u; this board runs x86: %u (64-bit) or %u (32-bit)",
		f->path, elf->is64 ? "64-bit" : "32-bit", elf->machine, EM_X86_64, EM_386);
}

int boot_x86_elf(struct boot *b, const struct boot_file *f, struct err *e)
{
	struct elf_image image;
	uint32_t pvh = 0;
	uint64_t entry = 0;
	struct elf elf;
	int rc = elf_read(f, &elf, e);
	int has_pvh;

	if (!rc)
		rc = check_machine(f, &elf, e);
	if (!rc)
		rc = elf_load(b->gm, f, &elf, BOARD_KERNEL_MIN, boot_ram_end(b), &image, e);
	if (rc)
		return rc;
	has_pvh = boot_pvh_entry(f, &elf, &pvh, e);
	if (has_pvh < 0)
		return has_pvh;
	if (!has_pvh) {
		rc = elf_entry(f, &elf, &image, &entry, e);
		return rc ? rc
			  : hand_over(b, elf.is64 ? BOOT_BARE64 : BOOT_BARE32, entry, image.end, e);
	}
	if (pvh < BOARD_KERNEL_MIN || pvh >= image.end)
		return err_set(e, -EINVAL,
			"%s: the PVH entry 0x%" PRIx32
			" is outside its segments, 0x%x to 0x%" PRIx64,
			f->path, pvh, BOARD_KERNEL_MIN, image.end);
	return hand_over(b, BOOT_PVH, pvh, image.end, e);
}

int boot_x86_raw(struct boot *b, const struct boot_file *f, struct err *e)
{
	uint64_t entry;
	int rc = boot_raw_check(b, f, &entry, e);

	if (!rc)
		rc = boot_read_guest(b, f, 0, b->load_address, f->size, "image", e);
	return rc ? rc : hand_over(b, BOOT_BARE64, entry, b->load_address + f->size, e);
}
