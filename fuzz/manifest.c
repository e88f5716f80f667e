/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing of the manifest of a verified boot. Every signature holds here, so that what stands
 * behind it is reached: a manifest may be signed and wrong all the same.
 */
#include "verify/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "fuzz.h"

int crypto_sign(const char *pem, const void *data, size_t len,
	uint8_t signature[static CRYPTO_SIGNATURE], struct err *e)
{
	memset(signature, 0, CRYPTO_SIGNATURE);
	return 0;
}

int crypto_verify(const char *pem, const void *data, size_t len,
	const uint8_t signature[static CRYPTO_SIGNATURE], struct err *e)
{
	return 0;
}

void crypto_base64(
	char text[static CRYPTO_BASE64], const uint8_t signature[static CRYPTO_SIGNATURE])
{
	memset(text, 'A', CRYPTO_BASE64 - 1);
	text[CRYPTO_BASE64 - 1] = '\0';
}

int crypto_base64_read(uint8_t signature[static CRYPTO_SIGNATURE], const char *text)
{
	memset(signature, 0, CRYPTO_SIGNATURE);
	return strlen(text) == CRYPTO_BASE64 - 1 ? 0 : -EINVAL;
}

/* The signed line, and behind it a signature. */
static char *sign(const uint8_t *data, size_t size)
{
	const struct manifest none = { .n = 0 };
	struct fuzz_in in = { data, size };
	autofree char *line = fuzz_text(&in), *example = manifest_sign(&none, "", NULL);
	const char *second = example ? strchr(example, '\n') : NULL;
	char *text;

	if (!line || !second || asprintf(&text, "%s%s", line, second) < 0)
		return NULL;
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = size < MANIFEST_SIZE_MAX ? sign(data, size) : NULL;
	autofree char *again = NULL;
	struct err e = { 0 };
	struct manifest m;

	if (!text)
		return 0;
	if (manifest_read(&m, text, "", &e)) {
		if (!e.msg[0])
			fuzz_fail("a manifest was refused without a reason");
		return 0;
	}
	again = manifest_sign(&m, "", NULL);
	if (again && strcmp(text, again) != 0)
		fuzz_fail("a manifest that was taken is not what was understood");
	manifest_find(&m, "kernel");
	return 0;
}
