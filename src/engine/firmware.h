/* SPDX-License-Identifier: BSD-3-Clause */
/* Firmware that avp knows by name: where Debian's packages have it. All of it is for arm64. */
#pragma once

#include <stdbool.h>

/* How a firmware keeps its UEFI variables. */
enum firmware_vars {
	FIRMWARE_VARS_UNKNOWN, /* it is not known by name: the file with them says it */
	FIRMWARE_VARS_FLASH,   /* in the second bank of flash */
	FIRMWARE_VARS_DISK,    /* on a disk with an EFI system partition */
};

/* Words for the key `firmware`, ends with NULL. */
extern const char *const firmware_words[];

/* The file that the value of the key `firmware` means: a word's, or itself. */
const char *firmware_path(const char *value);
/* The Debian package of a word's file; NULL: `value` is no word. */
const char *firmware_package(const char *value);
enum firmware_vars firmware_vars(const char *value);
