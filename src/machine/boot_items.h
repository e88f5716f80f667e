/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a guest is booted from, item by item: files and texts, each read once into sealed memory, so
 * that what was checked is what is loaded, whatever happens to the files meanwhile.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define BOOT_ITEMS_MAX	   8u
#define BOOT_ITEM_SIZE_MAX (UINT64_C(4) << 30) /* bytes */

/* One item: "kernel", "initrd", "dtb", "firmware" are files; "cmdline", "load-address" and "entry"
 * are texts as they were configured. */
struct boot_item {
	const char *what;
	const char *path; /* of a file; the configuration's. NULL: a text */
	const char *text; /* of a text; the configuration's, or `number` */
	char number[24];
	int fd;	       /* its contents in sealed memory, -1 before boot_items_read() */
	uint64_t size; /* bytes */
};

/* Zero-initialise. In the order of boot, which is the order of measuring. */
struct boot_items {
	struct boot_item v[BOOT_ITEMS_MAX];
	unsigned n;
};

/* Add an item, unless it is not configured: NULL, or 0. What they point to must outlive the items.
 */
void boot_items_file(struct boot_items *items, const char *what, const char *path);
void boot_items_text(struct boot_items *items, const char *what, const char *text);
void boot_items_number(struct boot_items *items, const char *what, uint64_t number);

/* Reads all of them. */
int boot_items_read(struct boot_items *items, struct err *e);
/* Closes what was read; idempotent. */
void boot_items_free(struct boot_items *items);
/* NULL: there is none. */
const struct boot_item *boot_items_find(const struct boot_items *items, const char *what);
