/* SPDX-License-Identifier: BSD-3-Clause */
/* Digests and signatures, by OpenSSL's libcrypto. */
#include "verify/crypto.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/mman.h>

#include "base/util.h"

static void free_key(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void free_context(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

static void free_bio(BIO **bio)
{
	BIO_free(*bio);
}

#define autokey	    __attribute__((cleanup(free_key)))
#define autocontext __attribute__((cleanup(free_context)))
#define autobio	    __attribute__((cleanup(free_bio)))

void crypto_init(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}

/* The reason that libcrypto gives, behind our own words. */
static int fail(struct err *e, int code, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return err_set(e, code, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
}

int crypto_digest(int fd, uint64_t size, uint8_t digest[static CRYPTO_DIGEST], struct err *e)
{
	void *data = (void *)"";
	int good;

	if (size) {
		data = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
		if (data == MAP_FAILED)
			return err_sys(e, -errno, "cannot map a file");
	}
	good = EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL);
	if (size)
		munmap(data, size);
	return good ? 0 : fail(e, -EIO, "SHA-256 failed");
}

static EVP_PKEY *read_key(const char *pem, bool private)
{
	autobio BIO *bio = BIO_new_mem_buf(pem, -1);

	if (!bio)
		return NULL;
	return private ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL)
		       : PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
}

/* NULL, with a message, unless it is an Ed25519 key. */
static EVP_PKEY *get_key(const char *pem, bool private, struct err *e)
{
	EVP_PKEY *key = read_key(pem, private);

	if (!key) {
		fail(e, -EINVAL,
			private ? "the key is no private key in PEM"
				: "the key is no public key in PEM");
		return NULL;
	}
	if (EVP_PKEY_get_id(key) == EVP_PKEY_ED25519)
		return key;
	err_set(e, -EINVAL, "the key is of type %s, not Ed25519",
		EVP_PKEY_get0_type_name(key) ? EVP_PKEY_get0_type_name(key) : "unknown");
	EVP_PKEY_free(key);
	return NULL;
}

int crypto_sign(const char *pem, const void *data, size_t len,
	uint8_t signature[static CRYPTO_SIGNATURE], struct err *e)
{
	autokey EVP_PKEY *key = get_key(pem, true, e);
	autocontext EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t got = CRYPTO_SIGNATURE;

	if (!key)
		return -EINVAL;
	if (!context || EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
		EVP_DigestSign(context, signature, &got, data, len) != 1 || got != CRYPTO_SIGNATURE)
		return fail(e, -EIO, "signing failed");
	return 0;
}

int crypto_verify(const char *pem, const void *data, size_t len,
	const uint8_t signature[static CRYPTO_SIGNATURE], struct err *e)
{
	autokey EVP_PKEY *key = get_key(pem, false, e);
	autocontext EVP_MD_CTX *context = EVP_MD_CTX_new();

	if (!key)
		return -EINVAL;
	if (!context || EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) != 1)
		return fail(e, -EIO, "verifying failed");
	if (EVP_DigestVerify(context, signature, CRYPTO_SIGNATURE, data, len) == 1)
		return 0;
	ERR_clear_error();
	return err_set(e, -EPERM,
		"the signature does not fit: the manifest was changed, or signed with another key");
}

void crypto_base64(
	char text[static CRYPTO_BASE64], const uint8_t signature[static CRYPTO_SIGNATURE])
{
	EVP_EncodeBlock((unsigned char *)text, signature, CRYPTO_SIGNATURE);
}

int crypto_base64_read(uint8_t signature[static CRYPTO_SIGNATURE], const char *text)
{
	uint8_t buf[CRYPTO_BASE64];
	char again[CRYPTO_BASE64];

	if (strlen(text) != CRYPTO_BASE64 - 1 ||
		EVP_DecodeBlock(buf, (const unsigned char *)text, CRYPTO_BASE64 - 1) < 0)
		return -EINVAL;
	memcpy(signature, buf, CRYPTO_SIGNATURE);
	/* The padding and the bits beyond the end have only one spelling. */
	crypto_base64(again, signature);
	return strcmp(again, text) ? -EINVAL : 0;
}
