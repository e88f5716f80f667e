/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EDK2's authenticated variable store in a firmware volume (UEFI PI 1.7, vol. 3, 3.2 for the
 * volume; VariableFormat.h of MdeModulePkg names the rest). Flash can only clear bits until it is
 * erased, so states are bits that become 0.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/le.h"
#include "base/util.h"
#include "host/efistore.h"

#define FVH_SIGNATURE 0x4856465fu /* "_FVH" */
#define FVH_REVISION  2u
/* Readable, writable, stored durably, erased to ones, aligned to 16 bytes: as EDK2 makes it. */
#define FVH_ATTRIBUTES 0x00000e36u
#define FVH_LEN_MAX    (4u << 20)
#define BLOCK_SIZE     0x40000u

#define STORE_FORMATTED 0x5au
#define STORE_HEALTHY	0xfeu

#define VAR_START      0x55aau
#define VAR_ADDED      0x3fu
#define VAR_IN_DELETED 0x3eu /* a newer one is being written, or power failed then */
#define VAR_DATA_MAX   8192u /* header, name and value; EDK2's limit on ArmVirtQemu */
#define ERASED32       UINT32_MAX

#define QUEUE_HEADER_LEN 40u
#define QUEUE_RECORD_LEN 40u
#define QUEUE_MAX	 4096u

static const struct efi_guid volume_guid = { { 0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c, 0xa9,
	0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50 } };
static const struct efi_guid store_guid = { { 0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1,
	0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92 } };
static const struct efi_guid queue_guid = { { 0x2b, 0x29, 0x58, 0x9e, 0x68, 0x7c, 0x7d, 0x49, 0xa0,
	0xce, 0x65, 0x00, 0xfd, 0x9f, 0x1b, 0x95 } };

/* The volume's header with its two entries of the block map. */
struct volume {
	uint8_t zero[16];
	struct efi_guid guid;
	le64 len;
	le32 signature, attributes;
	le16 header_len, checksum, ext_offset;
	uint8_t reserved, revision;
	le32 blocks, block_len, end[2];
} __attribute__((packed));

struct store {
	struct efi_guid guid;
	le32 size; /* with this header */
	uint8_t format, state;
	le16 reserved;
	le32 reserved1;
} __attribute__((packed));

struct variable {
	le16 start;
	uint8_t state, reserved;
	le32 attributes;
	uint8_t own[28]; /* monotonic count, time, number of the key */
	le32 name_len, data_len;
	struct efi_guid guid;
} __attribute__((packed));

/* Where things are in an image that was checked. */
struct layout {
	size_t first; /* first variable */
	size_t end;   /* of the store */
};

static uint16_t sum16(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint16_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum = (uint16_t)(sum + (b[i] | b[i + 1] << 8));
	return sum;
}

size_t efistore_flash_probe(const uint8_t *head, size_t len)
{
	struct volume v;

	if (len < sizeof(v))
		return 0;
	memcpy(&v, head, sizeof(v));
	if (le32toh(v.signature) != FVH_SIGNATURE || le64toh(v.len) > FVH_LEN_MAX)
		return 0;
	return (size_t)le64toh(v.len);
}

void efistore_flash_format(uint8_t image[EFISTORE_VOLUME_LEN])
{
	struct volume v = {
		.guid = volume_guid,
		.len = htole64(EFISTORE_VOLUME_LEN),
		.signature = htole32(FVH_SIGNATURE),
		.attributes = htole32(FVH_ATTRIBUTES),
		.header_len = htole16(sizeof(v)),
		.revision = FVH_REVISION,
		.blocks = htole32(EFISTORE_FLASH_SIZE / BLOCK_SIZE),
		.block_len = htole32(BLOCK_SIZE),
	};
	struct store s = {
		.guid = store_guid,
		.size = htole32(BLOCK_SIZE - sizeof(v)),
		.format = STORE_FORMATTED,
		.state = STORE_HEALTHY,
	};

	v.checksum = htole16((uint16_t)-sum16(&v, sizeof(v)));
	memset(image, 0xff, EFISTORE_VOLUME_LEN);
	memcpy(image, &v, sizeof(v));
	memcpy(image + sizeof(v), &s, sizeof(s));
}

/*
 * A volume whose firmware was stopped between erasing the store and writing it again: its contents
 * are in the spare blocks, and the firmware will finish that. Walks the queue of writes behind the
 * store.
 */
static bool is_write_pending(const uint8_t *image, size_t len, size_t queue)
{
	const uint8_t allocated = 1, spare_done = 2, dest_done = 4, complete = 4;
	size_t at = queue + 32;

	if (!range_in(queue, 32, len) || memcmp(image + queue, &queue_guid, sizeof(queue_guid)))
		return false;
	for (unsigned i = 0; i < QUEUE_MAX && range_in(at, QUEUE_HEADER_LEN, len); i++) {
		uint64_t writes, extra, size;
		uint8_t record;

		if (image[at] & allocated)
			return false;
		memcpy(&writes, image + at + 24, sizeof(writes));
		memcpy(&extra, image + at + 32, sizeof(extra));
		writes = le64toh(writes);
		extra = le64toh(extra);
		if (writes > len || extra > len)
			return false;
		size = QUEUE_HEADER_LEN + writes * (QUEUE_RECORD_LEN + extra);
		if (!range_in(at, size, len))
			return false;
		record = size > QUEUE_HEADER_LEN ? image[at + QUEUE_HEADER_LEN] : 0xff;
		if ((image[at] & complete) && !(record & spare_done) && (record & dest_done))
			return true;
		at += size;
	}
	return false;
}

static int find_store(const uint8_t *image, size_t len, struct layout *l, struct err *e)
{
	struct volume v;
	struct store s;
	size_t at;

	if (len < sizeof(v) + sizeof(s))
		return err_set(e, -EINVAL, "%zu bytes are no firmware volume", len);
	memcpy(&v, image, sizeof(v));
	at = le16toh(v.header_len);
	if (memcmp(&v.guid, &volume_guid, sizeof(volume_guid)) || le64toh(v.len) != len ||
		v.revision != FVH_REVISION)
		return err_set(e, -EINVAL, "it is a firmware volume, but not of variables");
	if (at < sizeof(v) || at > 4096 || at % 8 || sum16(image, at))
		return err_set(e, -EINVAL, "the firmware volume's header is damaged");
	memcpy(&s, image + at, sizeof(s));
	if (memcmp(&s.guid, &store_guid, sizeof(store_guid)) || s.format != STORE_FORMATTED ||
		s.state != STORE_HEALTHY)
		return err_set(e, -EINVAL,
			"the volume has no store of authenticated variables, or a damaged one");
	if (le32toh(s.size) < sizeof(s) || !range_in(at, le32toh(s.size), len))
		return err_set(e, -EINVAL,
			"the store of %" PRIu32 " bytes does not fit its volume of %zu",
			le32toh(s.size), len);
	l->end = at + le32toh(s.size);
	l->first = align_up(at + sizeof(s), 4);
	if (is_write_pending(image, len, l->end))
		return err_set(e, -EAGAIN,
			"the firmware was stopped while it tidied the variables up; start the VM "
			"once, so that it can finish");
	return 0;
}

/* Sizes of a variable whose header was never finished are erased. */
static bool is_unfinished(const struct variable *v)
{
	return v->state == 0xff || v->name_len == ERASED32 || v->data_len == ERASED32 ||
	       v->attributes == ERASED32;
}

/* Takes one variable over, unless it is there already. */
static int take(const uint8_t *at, const struct variable *v, struct efivars *vars, struct err *e)
{
	size_t len = le32toh(v->name_len), size = le32toh(v->data_len);
	uint16_t name[EFIVAR_NAME_MAX + 1];
	int rc;

	if (len < 4 || len % 2 || len > sizeof(name))
		return err_set(e, -EINVAL, "a variable's name has %zu bytes", len);
	for (size_t i = 0; i < len / 2; i++)
		name[i] = (uint16_t)(at[sizeof(*v) + 2 * i] | at[sizeof(*v) + 2 * i + 1] << 8);
	if (name[len / 2 - 1] || efi_strlen(name) != len / 2 - 1)
		return err_set(e, -EINVAL, "a variable's name does not end with its only zero");
	if (efivars_find(vars, name, &v->guid))
		return 0;
	rc = efivars_set(
		vars, name, &v->guid, le32toh(v->attributes), at + sizeof(*v) + len, size, e);
	if (!rc)
		memcpy(vars->v[vars->n - 1].own, v->own, sizeof(v->own));
	return rc;
}

/* Goes over all variables, and takes those in this state. */
static int take_all(const uint8_t *image, const struct layout *l, uint8_t state,
	struct efivars *vars, struct err *e)
{
	size_t at = l->first;

	while (range_in(at, sizeof(struct variable), l->end)) {
		struct variable v;
		uint64_t size;
		int rc = 0;

		memcpy(&v, image + at, sizeof(v));
		if (le16toh(v.start) != VAR_START)
			break;
		if (is_unfinished(&v)) {
			at = align_up(at + sizeof(v), 4);
			continue;
		}
		size = sizeof(v) + (uint64_t)le32toh(v.name_len) + le32toh(v.data_len);
		if (!range_in(at, size, l->end))
			return err_set(e, -EINVAL,
				"the variable at 0x%zx with %" PRIu64
				" bytes does not fit the store, which ends at 0x%zx",
				at, size, l->end);
		if (v.state == state)
			rc = take(image + at, &v, vars, e);
		if (rc)
			return err_prefix(e, "at 0x%zx", at);
		at = align_up(at + size, 4);
	}
	return 0;
}

int efistore_flash_read(const uint8_t *image, size_t len, struct efivars *vars, struct err *e)
{
	struct layout l;
	int rc = find_store(image, len, &l, e);

	if (!rc)
		rc = take_all(image, &l, VAR_ADDED, vars, e);
	/* One that was being replaced counts if the new one was never completed. */
	return rc ? rc : take_all(image, &l, VAR_IN_DELETED, vars, e);
}

static size_t stored_len(const struct efivar *v)
{
	return sizeof(struct variable) + (efi_strlen(v->name) + 1) * 2 + v->size;
}

static int check_fit(const struct layout *l, const struct efivars *vars, struct err *e)
{
	size_t at = l->first;

	for (unsigned i = 0; i < vars->n; i++) {
		size_t len = stored_len(&vars->v[i]);

		if (len > VAR_DATA_MAX)
			return err_set(e, -E2BIG,
				"%zu bytes with name and header; this firmware takes %u", len,
				VAR_DATA_MAX);
		at = align_up(at + len, 4);
	}
	if (at > l->end)
		return err_set(e, -ENOSPC,
			"the variables need %zu bytes, the store has room for %zu", at - l->first,
			l->end - l->first);
	return 0;
}

static void put_variable(uint8_t *at, const struct efivar *var)
{
	size_t units = efi_strlen(var->name) + 1;
	struct variable v = {
		.start = htole16(VAR_START),
		.state = VAR_ADDED,
		.attributes = htole32(var->attributes),
		.name_len = htole32((uint32_t)(2 * units)),
		.data_len = htole32(var->size),
		.guid = var->guid,
	};

	memcpy(v.own, var->own, sizeof(v.own));
	memcpy(at, &v, sizeof(v));
	at += sizeof(v);
	for (size_t i = 0; i < units; i++) {
		*at++ = (uint8_t)var->name[i];
		*at++ = (uint8_t)(var->name[i] >> 8);
	}
	if (var->size)
		memcpy(at, var->data, var->size);
}

int efistore_flash_write(uint8_t *image, size_t len, const struct efivars *vars, struct err *e)
{
	struct layout l;
	size_t at;
	int rc = find_store(image, len, &l, e);

	if (!rc)
		rc = check_fit(&l, vars, e);
	if (rc)
		return rc;
	memset(image + l.first, 0xff, l.end - l.first);
	at = l.first;
	for (unsigned i = 0; i < vars->n; i++) {
		put_variable(image + at, &vars->v[i]);
		at = align_up(at + stored_len(&vars->v[i]), 4);
	}
	return 0;
}
