/* SPDX-License-Identifier: BSD-3-Clause */
/* Firmware by name. */
#include "engine/firmware.h"

#include <stddef.h>
#include <string.h>

#include "base/util.h"

/* In the order of firmware_words. */
static const struct firmware {
	const char *path, *package;
	enum firmware_vars vars;
} known[] = {
	{ "/usr/share/AAVMF/AAVMF_CODE.fd", "qemu-efi-aarch64", FIRMWARE_VARS_FLASH },
	{ "/usr/lib/u-boot/qemu_arm64/u-boot.bin", "u-boot-qemu", FIRMWARE_VARS_DISK },
};

const char *const firmware_words[] = { "edk2", "u-boot", NULL };

static const struct firmware *find(const char *value)
{
	for (unsigned i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(firmware_words[i], value))
			return &known[i];
	return NULL;
}

const char *firmware_path(const char *value)
{
	const struct firmware *f = find(value);

	return f ? f->path : value;
}

const char *firmware_package(const char *value)
{
	const struct firmware *f = find(value);

	return f ? f->package : NULL;
}

enum firmware_vars firmware_vars(const char *value)
{
	const struct firmware *f = find(value);

	return f ? f->vars : FIRMWARE_VARS_UNKNOWN;
}
