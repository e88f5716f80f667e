/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The manifest of a verified boot (docs/verified-boot.md): two lines of text, each a JSON object.
 * The first says what the guest is made of, the second is the signature over the bytes of the
 * first, newline included. There is exactly one way to write a manifest down, and others are
 * refused.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "verify/crypto.h"

#define MANIFEST_ITEMS_MAX   8u
#define MANIFEST_NAME_MAX    64u  /* bytes of a VM's name and of an item's, with the final 0 */
#define MANIFEST_SIZE_MAX    8192 /* bytes of the file */
#define MANIFEST_VERSION_MAX UINT64_C(9007199254740991) /* JSON numbers are exact up to here */

struct manifest_item {
	char what[MANIFEST_NAME_MAX];
	uint64_t size; /* bytes */
	uint8_t digest[CRYPTO_DIGEST];
};

struct manifest {
	char vm[MANIFEST_NAME_MAX];
	uint64_t version; /* counts up; who has seen a higher one may refuse this one */
	struct manifest_item items[MANIFEST_ITEMS_MAX];
	unsigned n;
};

/* NULL: there is none. */
const struct manifest_item *manifest_find(const struct manifest *m, const char *what);

/* Both lines, signed with the private key (PEM). Owned by the caller; NULL with a message. */
char *manifest_sign(const struct manifest *m, const char *key, struct err *e);
/*
 * Checks the signature of `text` with the public key (PEM) and only then reads it. -EPERM with the
 * reason if it is not to be trusted, -EINVAL if the key is no key.
 */
int manifest_read(struct manifest *m, const char *text, const char *key, struct err *e);

/* Hexadecimal digits of a digest, as a string. */
#define MANIFEST_HEX (2 * CRYPTO_DIGEST + 1)
void manifest_hex(char text[static MANIFEST_HEX], const uint8_t digest[static CRYPTO_DIGEST]);
