/* SPDX-License-Identifier: BSD-3-Clause */
/* Manifests: what is signed is read back, and whatever else it may be is refused. */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "tap.h"
#include "verify/manifest.h"

/* Keys as PEM, made for this run. */
static char *private_key, *public_key, *other_key, *other_type;

/* Writes a key to the text at `pem`; the caller's. */
static char *to_pem(EVP_PKEY *key, bool private)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long len;

	if (private)
		PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	else
		PEM_write_bio_PUBKEY(bio, key);
	len = BIO_get_mem_data(bio, &data);
	text = strndup(data, (size_t)len);
	BIO_free(bio);
	return text;
}

static char *make_key(const char *type, char **private)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, type);
	char *public;

	if (!key)
		abort();
	public = to_pem(key, false);
	if (private)
		*private = to_pem(key, true);
	EVP_PKEY_free(key);
	return public;
}

static struct manifest example(void)
{
	struct manifest m = { .vm = "ivi", .version = MANIFEST_VERSION_MAX, .n = 2 };

	snprintf(m.items[0].what, MANIFEST_NAME_MAX, "kernel");
	m.items[0].size = 1u << 30;
	memset(m.items[0].digest, 0xa5, CRYPTO_DIGEST);
	snprintf(m.items[1].what, MANIFEST_NAME_MAX, "cmdline");
	return m;
}

static void round_trip(struct tap *t)
{
	struct manifest m = example(), got;
	struct err e = { 0 };
	autofree char *text = manifest_sign(&m, private_key, &e);

	REQUIRE(t, text);
	REQUIRE(t, !manifest_read(&got, text, public_key, &e));
	CHECK(t, !strcmp(got.vm, "ivi") && got.version == MANIFEST_VERSION_MAX && got.n == 2);
	CHECK(t, !memcmp(&got.items[0], &m.items[0], sizeof(m.items[0])));
	CHECK(t, manifest_find(&got, "cmdline") && !manifest_find(&got, "initrd"));
}

static void every_changed_byte_is_refused(struct tap *t)
{
	struct manifest m = example(), got;
	autofree char *text = manifest_sign(&m, private_key, NULL);
	static const char changes[] = { 1, 0x20, (char)0x80 };

	REQUIRE(t, text);
	for (size_t i = 0; text[i]; i++)
		for (unsigned k = 0; k < sizeof(changes); k++) {
			struct err e = { 0 };

			text[i] ^= changes[k];
			if (text[i])
				CHECK_EQ(t, manifest_read(&got, text, public_key, &e), -EPERM);
			text[i] ^= changes[k];
			if (t->case_failed)
				return;
		}
	CHECK(t, !manifest_read(&got, text, public_key, NULL));
}

static void every_truncation_is_refused(struct tap *t)
{
	struct manifest m = example(), got;
	autofree char *text = manifest_sign(&m, private_key, NULL), *longer = NULL;

	REQUIRE(t, text && asprintf(&longer, "%s\n", text) > 0);
	CHECK_EQ(t, manifest_read(&got, longer, public_key, NULL), -EPERM);
	for (size_t len = strlen(text); len--;) {
		text[len] = 0;
		CHECK_EQ(t, manifest_read(&got, text, public_key, NULL), -EPERM);
		if (t->case_failed)
			return;
	}
}

static void wrong_keys(struct tap *t)
{
	struct manifest m = example(), got;
	autofree char *text = manifest_sign(&m, private_key, NULL);
	struct err e = { 0 };

	REQUIRE(t, text);
	CHECK_EQ(t, manifest_read(&got, text, other_key, &e), -EPERM);
	CHECK(t, strstr(e.msg, "another key"));
	CHECK_EQ(t, manifest_read(&got, text, other_type, &e), -EINVAL);
	CHECK(t, strstr(e.msg, "X25519"));
	CHECK_EQ(t, manifest_read(&got, text, private_key, &e), -EINVAL);
	CHECK_EQ(t, manifest_read(&got, text, "", &e), -EINVAL);
	CHECK(t, !manifest_sign(&m, public_key, &e) && e.code == -EINVAL);
}

/* `line`, which has no newline, with a good signature. */
static int read_signed(const char *line)
{
	uint8_t signature[CRYPTO_SIGNATURE];
	char base64[CRYPTO_BASE64];
	autofree char *with_newline = NULL, *text = NULL;
	struct manifest got;

	if (asprintf(&with_newline, "%s\n", line) < 0 ||
		crypto_sign(private_key, with_newline, strlen(with_newline), signature, NULL))
		abort();
	crypto_base64(base64, signature);
	if (asprintf(&text, "%s{\"ed25519\":\"%s\"}\n", with_newline, base64) < 0)
		abort();
	return manifest_read(&got, text, public_key, NULL);
}

#define HEX   "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
#define ITEM  "{\"size\":8,\"sha256\":\"" HEX "\"}"
#define HEAD  "{\"manifest\":1,\"vm\":\"ivi\",\"version\":3,\"items\":"
#define WHOLE HEAD "{\"kernel\":" ITEM "}}"

/* A good signature over something that is not written as avp writes it: two readers could
 * understand it in two ways. */
static void only_the_canonical_form(struct tap *t)
{
	static const char *const wrong[] = {
		"",
		"[]",
		"nonsense",
		WHOLE "x",
		" " WHOLE,
		WHOLE " ",
		HEAD "[]}",
		HEAD "{\"kernel\":" ITEM "},\"more\":1}",
		HEAD "{\"kernel\":" ITEM ",\"kernel\":" ITEM "}}",
		HEAD "{\"kernel\":" ITEM "},\"vm\":\"other\"}",
		HEAD "{\"kernel\": " ITEM "}}",
		HEAD "{\"kern\\u0065l\":" ITEM "}}",
		HEAD "{\"\":" ITEM "}}",
		HEAD "{\"kernel\":{\"sha256\":\"" HEX "\",\"size\":8}}}",
		HEAD "{\"kernel\":{\"size\":8,\"sha256\":\"5E\"}}}",
		HEAD "{\"kernel\":{\"size\":-8,\"sha256\":\"" HEX "\"}}}",
		HEAD "{\"kernel\":{\"size\":8.5,\"sha256\":\"" HEX "\"}}}",
		HEAD "{\"kernel\":{\"size\":1e1,\"sha256\":\"" HEX "\"}}}",
		HEAD "{\"kernel\":7}}",
		"{\"manifest\":2,\"vm\":\"ivi\",\"version\":3,\"items\":{}}",
		"{\"manifest\":1,\"vm\":7,\"version\":3,\"items\":{}}",
		"{\"manifest\":1,\"vm\":\"ivi\",\"version\":9007199254740993,\"items\":{}}",
		"{\"manifest\":1,\"vm\":\"ivi\",\"version\":1e999,\"items\":{}}",
		HEAD "{\"a\":" ITEM ",\"b\":" ITEM ",\"c\":" ITEM ",\"d\":" ITEM ",\"e\":" ITEM
		     ",\"f\":" ITEM ",\"g\":" ITEM ",\"h\":" ITEM ",\"i\":" ITEM "}}",
	};

	CHECK_EQ(t, read_signed(WHOLE), 0);
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
		if (!CHECK_EQ(t, read_signed(wrong[i]), -EPERM) && !t->skip)
			printf("# %s\n", wrong[i]);
}

/* FIPS 180-2, appendix B.1, and the digest of nothing. */
static void known_digests(struct tap *t)
{
	uint8_t digest[CRYPTO_DIGEST];
	char hex[MANIFEST_HEX];
	FILE *f = tmpfile();

	REQUIRE(t, f && fputs("abc", f) >= 0 && !fflush(f));
	CHECK(t, !crypto_digest(fileno(f), 3, digest, NULL));
	manifest_hex(hex, digest);
	CHECK(t, !strcmp(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	CHECK(t, !crypto_digest(fileno(f), 0, digest, NULL));
	manifest_hex(hex, digest);
	CHECK(t, !strcmp(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
	fclose(f);
}

int main(void)
{
	struct tap t = { 0 };

	public_key = make_key("ED25519", &private_key);
	other_key = make_key("ED25519", NULL);
	other_type = make_key("X25519", NULL);
	TAP_RUN(&t, round_trip);
	TAP_RUN(&t, every_changed_byte_is_refused);
	TAP_RUN(&t, every_truncation_is_refused);
	TAP_RUN(&t, wrong_keys);
	TAP_RUN(&t, only_the_canonical_form);
	TAP_RUN(&t, known_digests);
	free(private_key);
	free(public_key);
	free(other_key);
	free(other_type);
	return tap_done(&t);
}
