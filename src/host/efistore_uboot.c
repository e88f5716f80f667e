/* SPDX-License-Identifier: BSD-3-Clause */
/* ubootefi.var, the file of U-Boot's variables: a header with CRC-32, then entries aligned to eight
 * bytes (include/efi_variable.h of U-Boot names the fields). */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/crc32.h"
#include "base/le.h"
#include "base/util.h"
#include "host/efistore.h"

#define MAGIC UINT64_C(0x0161566966456255) /* "UbEfiVa", version 1 */

struct header {
	le64 reserved, magic;
	le32 len, crc; /* length of the file; of all behind this header */
} __attribute__((packed));

struct entry {
	le32 len, attributes; /* length of the value */
	le64 time;
	struct efi_guid guid;
} __attribute__((packed));

/* The name at `at`: its units into `name`. Returns the bytes that it takes, 0: it does not end. */
static size_t read_name(const uint8_t *file, size_t at, size_t len, uint16_t *name)
{
	for (size_t i = 0; i <= EFIVAR_NAME_MAX && range_in(at + 2 * i, 2, len); i++) {
		name[i] = (uint16_t)(file[at + 2 * i] | file[at + 2 * i + 1] << 8);
		if (!name[i])
			return i ? 2 * i + 2 : 0;
	}
	return 0;
}

static int read_entry(
	const uint8_t *file, size_t len, size_t *at, struct efivars *vars, struct err *e)
{
	uint16_t name[EFIVAR_NAME_MAX + 1];
	struct entry v;
	size_t data;
	int rc;

	if (!range_in(*at, sizeof(v), len))
		return err_set(e, -EINVAL, "the entry at %zu is cut off", *at);
	memcpy(&v, file + *at, sizeof(v));
	data = read_name(file, *at + sizeof(v), len, name);
	if (!data)
		return err_set(e, -EINVAL, "the entry at %zu has no name, or one without end", *at);
	data += *at + sizeof(v);
	if (!range_in(data, le32toh(v.len), len))
		return err_set(e, -EINVAL,
			"the entry at %zu with a value of %" PRIu32 " bytes is cut off", *at,
			le32toh(v.len));
	rc = 0;
	if (v.len && !efivars_find(vars, name, &v.guid)) {
		rc = efivars_set(
			vars, name, &v.guid, le32toh(v.attributes), file + data, le32toh(v.len), e);
		if (!rc)
			memcpy(vars->v[vars->n - 1].own, &v.time, sizeof(v.time));
	}
	*at = align_up(data + le32toh(v.len), 8);
	return rc;
}

int efistore_uboot_read(const uint8_t *file, size_t len, struct efivars *vars, struct err *e)
{
	struct header h;
	size_t at = sizeof(h);
	int rc = 0;

	if (len < sizeof(h) || len > EFISTORE_UBOOT_MAX)
		return err_set(e, -EINVAL, "%zu bytes; %zu to %u are possible", len, sizeof(h),
			EFISTORE_UBOOT_MAX);
	memcpy(&h, file, sizeof(h));
	if (le64toh(h.magic) != MAGIC || h.reserved)
		return err_set(e, -EINVAL, "no U-Boot variables: magic number 0x%" PRIx64,
			le64toh(h.magic));
	if (le32toh(h.len) != len)
		return err_set(
			e, -EINVAL, "%zu bytes, its header says %" PRIu32, len, le32toh(h.len));
	if (le32toh(h.crc) != crc32(file + sizeof(h), len - sizeof(h)))
		return err_set(e, -EINVAL, "damaged: the CRC-32 is wrong");
	while (!rc && at < len)
		rc = read_entry(file, len, &at, vars, e);
	return rc;
}

static size_t put_entry(uint8_t *file, size_t at, const struct efivar *var)
{
	size_t units = efi_strlen(var->name) + 1;
	struct entry v = {
		.len = htole32(var->size),
		.attributes = htole32(var->attributes),
		.guid = var->guid,
	};

	memcpy(&v.time, var->own, sizeof(v.time));
	memcpy(file + at, &v, sizeof(v));
	at += sizeof(v);
	for (size_t i = 0; i < units; i++, at += 2) {
		file[at] = (uint8_t)var->name[i];
		file[at + 1] = (uint8_t)(var->name[i] >> 8);
	}
	if (var->size)
		memcpy(file + at, var->data, var->size);
	return align_up(at + var->size, 8);
}

int efistore_uboot_write(uint8_t *file, const struct efivars *vars, struct err *e)
{
	struct header h = { .magic = htole64(MAGIC) };
	size_t len = sizeof(h);

	for (unsigned i = 0; i < vars->n; i++) {
		const struct efivar *v = &vars->v[i];

		len += align_up(sizeof(struct entry) + 2 * (efi_strlen(v->name) + 1) + v->size, 8);
		if (len > EFISTORE_UBOOT_MAX)
			return err_set(e, -ENOSPC, "U-Boot reads %u bytes of variables, not more",
				EFISTORE_UBOOT_MAX);
	}
	memset(file, 0, len);
	len = sizeof(h);
	for (unsigned i = 0; i < vars->n; i++)
		len = put_entry(file, len, &vars->v[i]);
	h.len = htole32((uint32_t)len);
	h.crc = htole32(crc32(file + sizeof(h), len - sizeof(h)));
	memcpy(file, &h, sizeof(h));
	return (int)len;
}
