/* SPDX-License-Identifier: BSD-3-Clause */
/* Loading a guest on arm64: Linux's Image, which firmware and other systems use as well. */
#pragma once

#include "machine/boot.h"

/* Loads kernel and initrd into guest memory, whose RAM begins at ARM64_RAM, and fills in the second
 * half of `b`; the device tree that b->info points at is written later. -EINVAL with a reason for
 * files that are wrong, -ENOSPC if the RAM is too small. */
int boot_load_arm64(struct boot *b, struct err *e);
