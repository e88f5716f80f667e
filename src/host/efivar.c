/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of UEFI variables, their names and GUIDs. */
#include "host/efivar.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

const struct efi_guid efi_guid_global = { { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa,
	0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c } };
/* 6c6f1e53-2d0b-4a3c-9d55-7e1f0a8b4c21, made for this. */
const struct efi_guid efi_guid_avp = { { 0x53, 0x1e, 0x6f, 0x6c, 0x0b, 0x2d, 0x3c, 0x4a, 0x9d, 0x55,
	0x7e, 0x1f, 0x0a, 0x8b, 0x4c, 0x21 } };

static void var_free(struct efivar *v)
{
	free(v->name);
	free(v->data);
}

void efivars_free(struct efivars *vars)
{
	for (unsigned i = 0; i < vars->n; i++)
		var_free(&vars->v[i]);
	free(vars->v);
	*vars = (struct efivars){ 0 };
}

size_t efi_strlen(const uint16_t *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

struct efivar *efivars_find(
	const struct efivars *vars, const uint16_t *name, const struct efi_guid *guid)
{
	size_t len = (efi_strlen(name) + 1) * sizeof(*name);

	for (unsigned i = 0; i < vars->n; i++) {
		struct efivar *v = &vars->v[i];

		if (!memcmp(&v->guid, guid, sizeof(*guid)) &&
			(efi_strlen(v->name) + 1) * sizeof(*name) == len &&
			!memcmp(v->name, name, len))
			return v;
	}
	return NULL;
}

/* Room for one more, which is zero. */
static struct efivar *grow(struct efivars *vars)
{
	struct efivar *v = reallocarray(vars->v, vars->n + 1, sizeof(*v));

	if (!v)
		return NULL;
	vars->v = v;
	v[vars->n] = (struct efivar){ 0 };
	return &v[vars->n];
}

int efivars_set(struct efivars *vars, const uint16_t *name, const struct efi_guid *guid,
	uint32_t attributes, const void *data, size_t size, struct err *e)
{
	struct efivar *v = efivars_find(vars, name, guid);
	size_t len = efi_strlen(name);
	autofree uint8_t *copy = NULL;

	if (!len || len > EFIVAR_NAME_MAX || size > EFIVAR_DATA_MAX)
		return err_set(e, -E2BIG,
			"a variable has a name of 1 to %u characters, not %zu, and up to %u bytes, "
			"not %zu",
			EFIVAR_NAME_MAX, len, EFIVAR_DATA_MAX, size);
	if (!v && vars->n == EFIVAR_COUNT_MAX)
		return err_set(e, -E2BIG, "more than %u variables", EFIVAR_COUNT_MAX);
	copy = malloc(size + 1);
	if (!copy)
		return err_set(e, -ENOMEM, "no memory for a variable");
	if (size)
		memcpy(copy, data, size);
	if (!v) {
		v = grow(vars);
		if (v)
			v->name = malloc((len + 1) * sizeof(*name));
		if (!v || !v->name)
			return err_set(e, -ENOMEM, "no memory for a variable");
		memcpy(v->name, name, (len + 1) * sizeof(*name));
		v->guid = *guid;
		vars->n++;
	}
	free(v->data);
	v->data = steal_ptr(&copy);
	v->size = (uint32_t)size;
	v->attributes = attributes;
	return 0;
}

void efivars_delete(struct efivars *vars, struct efivar *var)
{
	size_t i = (size_t)(var - vars->v);

	var_free(var);
	vars->n--;
	memmove(var, var + 1, (vars->n - i) * sizeof(*var));
}

/* One character of UTF-8 at `*p`, which moves on; UINT32_MAX if it is none. */
static uint32_t take_utf8(const unsigned char **p)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	unsigned char c = *(*p)++;
	unsigned more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	uint32_t v = more ? c & (0x3fu >> more) : c;

	if ((c >= 0x80 && c < 0xc2) || c > 0xf4)
		return UINT32_MAX;
	for (unsigned i = 0; i < more; i++) {
		if ((**p & 0xc0) != 0x80)
			return UINT32_MAX;
		v = v << 6 | (*(*p)++ & 0x3f);
	}
	if (v < least[more] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return UINT32_MAX;
	return v;
}

uint16_t *efi_from_utf8(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	autofree uint16_t *out = calloc(strlen(text) + 1, sizeof(*out));
	size_t n = 0;

	while (out && *p) {
		uint32_t v = take_utf8(&p);

		if (v == UINT32_MAX)
			return NULL;
		if (v >= 0x10000) {
			out[n++] = (uint16_t)(0xd800 + ((v - 0x10000) >> 10));
			v = 0xdc00 + ((v - 0x10000) & 0x3ff);
		}
		out[n++] = (uint16_t)v;
	}
	return steal_ptr(&out);
}

/* At most six bytes and no zero behind them. */
static size_t put_utf8(char *out, uint32_t v)
{
	if (v < 0x80) {
		out[0] = (char)v;
		return 1;
	}
	if (v < 0x800) {
		out[0] = (char)(0xc0 | v >> 6);
		out[1] = (char)(0x80 | (v & 0x3f));
		return 2;
	}
	if (v < 0x10000) {
		out[0] = (char)(0xe0 | v >> 12);
		out[1] = (char)(0x80 | (v >> 6 & 0x3f));
		out[2] = (char)(0x80 | (v & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | v >> 18);
	out[1] = (char)(0x80 | (v >> 12 & 0x3f));
	out[2] = (char)(0x80 | (v >> 6 & 0x3f));
	out[3] = (char)(0x80 | (v & 0x3f));
	return 4;
}

char *efi_to_utf8(const uint16_t *s, size_t n)
{
	char *out = calloc(6 * n + 1, 1), *p = out;

	for (size_t i = 0; out && i < n; i++) {
		uint32_t v = s[i];
		bool pair = v >= 0xd800 && v < 0xdc00 && i + 1 < n && s[i + 1] >= 0xdc00 &&
			    s[i + 1] < 0xe000;

		if (pair)
			v = 0x10000 + ((v - 0xd800) << 10) + (s[++i] - 0xdc00u);
		if (!pair && (v < 0x20 || (v >= 0x7f && v < 0xa0) || (v >= 0xd800 && v < 0xe000)))
			p += sprintf(p, "\\u%04x", (unsigned)v);
		else
			p += put_utf8(p, v);
	}
	return out;
}

/* The place of each two digits of the text in memory. */
static const uint8_t guid_order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

static bool dash_before(unsigned i)
{
	return i == 4 || i == 6 || i == 8 || i == 10;
}

int efi_guid_parse(const char *text, struct efi_guid *guid)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned v;

		if (dash_before(i) && *text++ != '-')
			return -EINVAL;
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
			return -EINVAL;
		sscanf(text, "%2x", &v);
		guid->b[guid_order[i]] = (uint8_t)v;
		text += 2;
	}
	return *text ? -EINVAL : 0;
}

void efi_guid_format(const struct efi_guid *guid, char text[EFI_GUID_TEXT])
{
	for (unsigned i = 0; i < 16; i++) {
		if (dash_before(i))
			*text++ = '-';
		text += sprintf(text, "%02x", guid->b[guid_order[i]]);
	}
}

static bool is_numbered(const char *name, const char *stem)
{
	size_t len = strlen(stem);

	return !strncmp(name, stem, len) && strlen(name) == len + 4 &&
	       strspn(name + len, "0123456789ABCDEF") == 4;
}

const struct efi_guid *efi_guid_default(const char *name)
{
	static const char *const plain[] = { "BootNext", "BootOrder", "ConErr", "ConIn", "ConOut",
		"DriverOrder", "ErrOut", "Lang", "OsIndications", "PlatformLang",
		"PlatformRecoveryOrder", "SysPrepOrder", "Timeout", "BootCurrent", "SecureBoot",
		"SetupMode", "PK", "KEK", "AuditMode", "DeployedMode", "OsIndicationsSupported",
		"PlatformLangCodes", "LangCodes", "BootOptionSupport", "VendorKeys" };
	static const char *const numbered[] = { "Boot", "Driver", "SysPrep", "Key",
		"PlatformRecovery" };

	for (unsigned i = 0; i < ARRAY_LEN(plain); i++)
		if (!strcmp(name, plain[i]))
			return &efi_guid_global;
	for (unsigned i = 0; i < ARRAY_LEN(numbered); i++)
		if (is_numbered(name, numbered[i]))
			return &efi_guid_global;
	return &efi_guid_avp;
}
