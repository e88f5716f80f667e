/* SPDX-License-Identifier: BSD-3-Clause */
/* Loading a guest on arm64: Linux's Image, which other systems use as well, ELF, raw images. */
#pragma once

#include "machine/boot.h"

/* Loads kernel and initrd into guest memory, whose RAM begins at ARM64_RAM, and fills in the second
 * half of `b`; the device tree that b->info points at, ARM64_DTB_SIZE bytes, is written later.
 * -EINVAL with a reason for files that are wrong, -ENOSPC if the RAM is too small. */
int boot_load_arm64(struct boot *b, struct err *e);

/* For the kinds of files. */
int boot_arm64_elf(struct boot *b, const struct boot_file *f, struct err *e);
int boot_arm64_raw(struct boot *b, const struct boot_file *f, struct err *e);
