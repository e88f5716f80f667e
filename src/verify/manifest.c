/* SPDX-License-Identifier: BSD-3-Clause */
/* Manifests: written, signed, verified, read. */
#include "verify/manifest.h"

#include <cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define FORMAT 1

#define SIGNATURE_BEFORE "{\"ed25519\":\""
#define SIGNATURE_AFTER	 "\"}\n"

void manifest_hex(char text[static MANIFEST_HEX], const uint8_t digest[static CRYPTO_DIGEST])
{
	for (unsigned i = 0; i < CRYPTO_DIGEST; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

static int read_hex(uint8_t digest[static CRYPTO_DIGEST], const char *text)
{
	if (strlen(text) != MANIFEST_HEX - 1 ||
		strspn(text, "0123456789abcdef") != MANIFEST_HEX - 1)
		return -EINVAL;
	for (unsigned i = 0; i < CRYPTO_DIGEST; i++) {
		char byte[] = { text[2 * i], text[2 * i + 1], 0 };

		digest[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return 0;
}

const struct manifest_item *manifest_find(const struct manifest *m, const char *what)
{
	for (unsigned i = 0; i < m->n; i++)
		if (!strcmp(m->items[i].what, what))
			return &m->items[i];
	return NULL;
}

/* The first line, the only way to write `m`. NULL: no memory. */
static char *print(const struct manifest *m)
{
	cJSON *root = cJSON_CreateObject(), *items;
	char hex[MANIFEST_HEX], number[24], *text, *line = NULL;

	cJSON_AddNumberToObject(root, "manifest", FORMAT);
	cJSON_AddStringToObject(root, "vm", m->vm);
	snprintf(number, sizeof(number), "%" PRIu64, m->version);
	cJSON_AddRawToObject(root, "version", number);
	items = cJSON_AddObjectToObject(root, "items");
	for (unsigned i = 0; i < m->n; i++) {
		cJSON *item = cJSON_AddObjectToObject(items, m->items[i].what);

		snprintf(number, sizeof(number), "%" PRIu64, m->items[i].size);
		cJSON_AddRawToObject(item, "size", number);
		manifest_hex(hex, m->items[i].digest);
		cJSON_AddStringToObject(item, "sha256", hex);
	}
	text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	if (text && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	cJSON_free(text);
	return line;
}

char *manifest_sign(const struct manifest *m, const char *key, struct err *e)
{
	autofree char *line = print(m);
	uint8_t signature[CRYPTO_SIGNATURE];
	char base64[CRYPTO_BASE64], *text;

	if (line && crypto_sign(key, line, strlen(line), signature, e))
		return NULL;
	if (line)
		crypto_base64(base64, signature);
	if (!line ||
		asprintf(&text, "%s" SIGNATURE_BEFORE "%s" SIGNATURE_AFTER, line, base64) < 0) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	return text;
}

/* The number, or -1 if it is none that a manifest may have. */
static int64_t get_number(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) ||
		item->valuedouble > (double)MANIFEST_VERSION_MAX)
		return -1;
	return (int64_t)item->valuedouble;
}

static int get_name(char name[static MANIFEST_NAME_MAX], const char *text)
{
	int n = text ? snprintf(name, MANIFEST_NAME_MAX, "%s", text) : -1;

	return n > 0 && n < (int)MANIFEST_NAME_MAX ? 0 : -EINVAL;
}

static int get_item(struct manifest *m, const cJSON *from)
{
	const cJSON *hex = cJSON_GetObjectItemCaseSensitive(from, "sha256");
	int64_t size = get_number(from, "size");
	struct manifest_item *item;

	if (m->n == MANIFEST_ITEMS_MAX || size < 0 || !cJSON_IsString(hex) ||
		manifest_find(m, from->string))
		return -EINVAL;
	item = &m->items[m->n++];
	item->size = (uint64_t)size;
	return get_name(item->what, from->string) || read_hex(item->digest, hex->valuestring)
		       ? -EINVAL
		       : 0;
}

static int get_all(struct manifest *m, const cJSON *root)
{
	const cJSON *vm = cJSON_GetObjectItemCaseSensitive(root, "vm"), *item;
	const cJSON *items = cJSON_GetObjectItemCaseSensitive(root, "items");
	int64_t version = get_number(root, "version");
	int rc = 0;

	if (get_number(root, "manifest") != FORMAT || version < 0 || !cJSON_IsString(vm) ||
		get_name(m->vm, vm->valuestring) || !cJSON_IsObject(items))
		return -EINVAL;
	m->version = (uint64_t)version;
	cJSON_ArrayForEach(item, items) rc = rc ? rc : get_item(m, item);
	return rc;
}

/* `line` ends with a newline. Members that come twice, are unknown or spelt in another way are
 * found by writing down what was understood. */
static int parse(struct manifest *m, const char *line, struct err *e)
{
	cJSON *root = cJSON_Parse(line);
	int rc = cJSON_IsObject(root) ? get_all(m, root) : -EINVAL;
	autofree char *again = NULL;

	cJSON_Delete(root);
	if (!rc) {
		again = print(m);
		rc = again && !strcmp(again, line) ? 0 : -EINVAL;
	}
	return rc ? err_set(e, -EPERM,
			    "the manifest is signed, but not in the format that avp sign writes "
			    "(version %d)",
			    FORMAT)
		  : 0;
}

/* The signature in the second line, which is the last. */
static int get_signature(uint8_t signature[static CRYPTO_SIGNATURE], const char *line)
{
	const size_t before = strlen(SIGNATURE_BEFORE), len = CRYPTO_BASE64 - 1;
	char base64[CRYPTO_BASE64];

	if (strncmp(line, SIGNATURE_BEFORE, before) != 0 || strlen(line) < before + len ||
		strcmp(line + before + len, SIGNATURE_AFTER) != 0)
		return -EINVAL;
	snprintf(base64, sizeof(base64), "%s", line + before);
	return crypto_base64_read(signature, base64);
}

int manifest_read(struct manifest *m, const char *text, const char *key, struct err *e)
{
	const char *newline = strchr(text, '\n');
	size_t len = newline ? (size_t)(newline + 1 - text) : 0;
	autofree char *line = strndup(text, len);
	uint8_t signature[CRYPTO_SIGNATURE];
	int rc;

	*m = (struct manifest){ .n = 0 };
	if (!line)
		return err_set(e, -ENOMEM, "out of memory");
	if (!len || get_signature(signature, text + len))
		return err_set(e, -EPERM,
			"the manifest is no manifest, or is cut: it needs a line that says what is "
			"signed, and a line with the signature, written by avp sign");
	rc = crypto_verify(key, line, len, signature, e);
	return rc ? rc : parse(m, line, e);
}
