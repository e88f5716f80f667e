/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loading a guest on x86-64: Linux bzImage by the 64-bit boot protocol, ELF by the Xen PVH protocol
 * or as it is, raw images.
 */
#pragma once

#include "machine/boot.h"

/* Loads kernel, initrd, command line and memory map into guest memory; fills in the second half of
 * `b`. -EINVAL with a reason for files that are wrong, -ENOSPC if the RAM is too small. */
int boot_load_x86(struct boot *b, struct err *e);

/* For the protocols. */

int boot_x86_linux(struct boot *b, const struct boot_file *f, struct err *e);
int boot_x86_elf(struct boot *b, const struct boot_file *f, struct err *e);
int boot_x86_raw(struct boot *b, const struct boot_file *f, struct err *e);

struct elf;

/* The PVH entry in the file's notes: 1 found, 0 there is none, -errno. */
int boot_pvh_entry(
	const struct boot_file *f, const struct elf *elf, uint32_t *entry, struct err *e);
/* Writes the start info for what has been placed, and sets b->info. */
int boot_start_info(struct boot *b, struct err *e);
/* Page tables and segments of BOOT_LINUX64 and BOOT_BARE64. */
int boot_long_mode(struct boot *b, struct err *e);
/* The initrd as in boot_place_initrd(), and the command line, at most `cmdline_max` bytes, at
 * BOARD_CMDLINE. */
int boot_place(
	struct boot *b, uint64_t kernel_end, uint64_t limit, uint64_t cmdline_max, struct err *e);
