/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UEFI variables in memory (UEFI 2.10, 8.2): a list that a store was read into or is written from,
 * and what people call them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define EFIVAR_NAME_MAX	 512u	     /* UTF-16 units, without the final zero */
#define EFIVAR_DATA_MAX	 (64u << 10) /* bytes */
#define EFIVAR_COUNT_MAX 4096u

/* Attributes. */
#define EFIVAR_NV	       0x01u /* survives a restart */
#define EFIVAR_BS	       0x02u /* seen by boot loaders */
#define EFIVAR_RT	       0x04u /* seen by the operating system */
#define EFIVAR_HW_ERROR	       0x08u
#define EFIVAR_AUTH_WRITE      0x10u
#define EFIVAR_TIME_BASED_AUTH 0x20u
#define EFIVAR_APPEND	       0x40u
#define EFIVAR_ENHANCED_AUTH   0x80u
#define EFIVAR_AUTH_MASK       (EFIVAR_AUTH_WRITE | EFIVAR_TIME_BASED_AUTH | EFIVAR_ENHANCED_AUTH)
#define EFIVAR_ATTRIBUTES_DEF  (EFIVAR_NV | EFIVAR_BS | EFIVAR_RT)

/* A GUID as in memory: three little-endian fields, then bytes. */
struct efi_guid {
	uint8_t b[16];
};

#define EFI_GUID_TEXT 37 /* with the final zero */

/* EFI_GLOBAL_VARIABLE: Boot0000, BootOrder and the like. */
extern const struct efi_guid efi_guid_global;
/* Of variables that are named without a GUID and that UEFI does not define: avp's own. */
extern const struct efi_guid efi_guid_avp;

struct efivar {
	uint16_t *name; /* UTF-16 in the host's order, ends with 0, owned */
	struct efi_guid guid;
	uint32_t attributes;
	uint8_t *data; /* owned; NULL if size is 0 */
	uint32_t size; /* bytes */
	/* What its store keeps for itself: counters and times of authenticated variables. */
	uint8_t own[28];
};

/* Zero-initialise. In the order of the store; names with GUIDs are unique. */
struct efivars {
	struct efivar *v;
	unsigned n;
};

void efivars_free(struct efivars *vars);
/* The variable, or NULL. */
struct efivar *efivars_find(
	const struct efivars *vars, const uint16_t *name, const struct efi_guid *guid);
/* Adds a variable or replaces value and attributes of the one that is there; copies all. -E2BIG
 * with a message beyond the limits above. */
int efivars_set(struct efivars *vars, const uint16_t *name, const struct efi_guid *guid,
	uint32_t attributes, const void *data, size_t size, struct err *e);
void efivars_delete(struct efivars *vars, struct efivar *var);

/* Units before the final zero. */
size_t efi_strlen(const uint16_t *s);
/* UTF-8 to UTF-16, owned by the caller; NULL: not UTF-8, or no memory. */
uint16_t *efi_from_utf8(const char *text);
/* `n` units of UTF-16 as UTF-8, owned by the caller; what is no character, or a control character,
 * as \uXXXX. NULL: no memory. */
char *efi_to_utf8(const uint16_t *s, size_t n);

/* "8be4df61-93ca-11d2-aa0d-00e098032b8c"; 0 or -EINVAL. */
int efi_guid_parse(const char *text, struct efi_guid *guid);
void efi_guid_format(const struct efi_guid *guid, char text[EFI_GUID_TEXT]);
/* The GUID that a name without one means: efi_guid_global for names that UEFI defines (2.10, 3.3),
 * else efi_guid_avp. */
const struct efi_guid *efi_guid_default(const char *name);
