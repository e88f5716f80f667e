/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 and Ed25519 (RFC 8032). crypto.c is the only file that knows OpenSSL's libcrypto. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CRYPTO_DIGEST	 32u /* bytes of SHA-256 */
#define CRYPTO_SIGNATURE 64u /* bytes of Ed25519 */

/* Once, before all else: no configuration file of the system and no variable of the environment
 * decides what is checked, and how. */
void crypto_init(void);

/* The digest of [0, size) of a file. */
int crypto_digest(int fd, uint64_t size, uint8_t digest[static CRYPTO_DIGEST], struct err *e);

/* Both take the key as PEM: a private key (PKCS #8) to sign with, a public key
 * (SubjectPublicKeyInfo) to verify with. -EINVAL: it is no such key. */
int crypto_sign(const char *pem, const void *data, size_t len,
	uint8_t signature[static CRYPTO_SIGNATURE], struct err *e);
/* -EPERM: the signature is not that of `data` by this key. */
int crypto_verify(const char *pem, const void *data, size_t len,
	const uint8_t signature[static CRYPTO_SIGNATURE], struct err *e);

/* Base64 (RFC 4648, 4) of a signature, as a string. */
#define CRYPTO_BASE64 (4 * ((CRYPTO_SIGNATURE + 2) / 3) + 1)
void crypto_base64(
	char text[static CRYPTO_BASE64], const uint8_t signature[static CRYPTO_SIGNATURE]);
/* -EINVAL: it is not exactly one signature. */
int crypto_base64_read(uint8_t signature[static CRYPTO_SIGNATURE], const char *text);
