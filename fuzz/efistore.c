/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing of the files in which firmware keeps its variables, which guests can write.
 *
 *     byte 0   0: U-Boot's file; 1: a flash volume; 2: a disk, modulo 3
 *     then     the file; of the two that are large, what differs from an empty one:
 *              offset u32, length u8, bytes
 */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "fuzz.h"
#include "host/efistore.h"

static void patch(uint8_t *image, size_t len, struct fuzz_in *in)
{
	while (in->left) {
		size_t at = fuzz_u32(in) % len, n = fuzz_u8(in);

		n = min_u64(n, min_u64(in->left, len - at));
		memcpy(image + at, in->p, n);
		in->p += n;
		in->left -= n;
	}
}

static bool same(const struct efivars *a, const struct efivars *b)
{
	if (a->n != b->n)
		return false;
	for (unsigned i = 0; i < a->n; i++) {
		const struct efivar *x = &a->v[i], *y = &b->v[i];

		if (x->size != y->size || x->attributes != y->attributes ||
			(x->size && memcmp(x->data, y->data, x->size) != 0))
			return false;
	}
	return true;
}

static void uboot(struct fuzz_in *in)
{
	struct efivars vars = { 0 }, again = { 0 };
	uint8_t file[EFISTORE_UBOOT_MAX];
	int n;

	if (!efistore_uboot_read(in->p, in->left, &vars, NULL)) {
		n = efistore_uboot_write(file, &vars, NULL);
		if (n >= 0 && (efistore_uboot_read(file, (size_t)n, &again, NULL) ||
				      !same(&vars, &again)))
			fuzz_fail("variables change when they are written and read");
	}
	efivars_free(&vars);
	efivars_free(&again);
}

static void flash(struct fuzz_in *in)
{
	struct efivars vars = { 0 }, again = { 0 };
	uint8_t *image = malloc(EFISTORE_VOLUME_LEN);
	size_t len;

	if (!image)
		return;
	efistore_flash_format(image);
	patch(image, EFISTORE_VOLUME_LEN, in);
	len = efistore_flash_probe(image, EFISTORE_VOLUME_LEN);
	if (len && len <= EFISTORE_VOLUME_LEN && !efistore_flash_read(image, len, &vars, NULL) &&
		!efistore_flash_write(image, len, &vars, NULL) &&
		(efistore_flash_read(image, len, &again, NULL) || !same(&vars, &again)))
		fuzz_fail("variables change when they are written and read");
	efivars_free(&vars);
	efivars_free(&again);
	free(image);
}

static void disk(struct fuzz_in *in)
{
	struct efivars vars = { 0 }, again = { 0 };
	uint8_t *image = malloc(EFISTORE_DISK_SIZE);

	if (!image)
		return;
	efistore_disk_format(image);
	patch(image, EFISTORE_DISK_SIZE, in);
	if (efistore_disk_probe(image, EFISTORE_DISK_SIZE) &&
		!efistore_disk_read(image, &vars, NULL) &&
		!efistore_disk_write(image, &vars, NULL) &&
		(efistore_disk_read(image, &again, NULL) || !same(&vars, &again)))
		fuzz_fail("variables change when they are written and read");
	efivars_free(&vars);
	efivars_free(&again);
	free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct fuzz_in *) = { uboot, flash, disk };
	struct fuzz_in in = { data, size };

	kinds[fuzz_u8(&in) % ARRAY_LEN(kinds)](&in);
	return 0;
}
