/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The disk on which U-Boot keeps its variables: an MBR with one EFI system partition
 * (UEFI 2.10, 5.2), in it FAT12 (UEFI 2.10, 13.3) with two files. ubootefi.var has the variables,
 * since U-Boot writes them to the first such partition that it finds. boot.scr is what U-Boot
 * starts from its first disk; it goes on to the others, which U-Boot by itself would not.
 *
 * Only the geometry that is made here is understood; the guest may have written anything else.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/crc32.h"
#include "base/le.h"
#include "base/util.h"
#include "host/efistore.h"

#define SECTOR	      512u
#define PART_SECTOR   8u
#define PART_SECTORS  (EFISTORE_DISK_SIZE / SECTOR - PART_SECTOR)
#define PART	      (PART_SECTOR * SECTOR)
#define FAT_AT(n)     (PART + (1 + (n)) * SECTOR) /* two of one sector */
#define ROOT_AT	      FAT_AT(2)
#define ROOT_ENTRIES  64u
#define ENTRY_LEN     32u
#define DATA_AT	      (ROOT_AT + ROOT_ENTRIES * ENTRY_LEN)
#define CLUSTER	      (8u * SECTOR)
#define CLUSTERS      ((EFISTORE_DISK_SIZE - DATA_AT) / CLUSTER)
#define FIRST_CLUSTER 2u
#define END_CLUSTERS  (FIRST_CLUSTER + CLUSTERS)
#define FAT_END	      0xfffu
#define FAT_BAD	      0xff7u
#define ESP_TYPE      0xefu

#define VARS_NAME   "UBOOTEFIVAR"
#define SCRIPT_NAME "BOOT    SCR"

/* A directory entry. */
struct dirent {
	char name[11];
	uint8_t attributes, lower_case, tenths;
	le16 ctime, cdate, adate, high, mtime, mdate, cluster;
	le32 size;
} __attribute__((packed));

#define ATTR_ARCHIVE 0x20u
#define ATTR_NO_FILE 0x18u /* label or folder; also a piece of a long name */
#define LOWER_CASE   0x18u /* name and suffix */
#define DATE_1980    0x21u

/* The start of the file system up to its serial number, as it is made here and must be found. */
static const uint8_t boot_sector[] = {
	0xeb,
	0x3c,
	0x90,
	'A',
	'V',
	'P',
	' ',
	' ',
	' ',
	' ',
	' ', /* jump, who made it */
	0x00,
	0x02,
	8,
	1,
	0,
	2, /* sector, cluster, reserved, FATs */
	ROOT_ENTRIES,
	0,
	PART_SECTORS & 0xff,
	PART_SECTORS >> 8,
	0xf8,
	1,
	0, /* sizes, medium */
	32,
	0,
	8,
	0,
	PART_SECTOR,
	0,
	0,
	0,
	0,
	0,
	0,
	0, /* old geometry */
	0x80,
	0,
	0x29,
};

/* Runs by U-Boot 2023.01's distro_bootcmd for the disk that it is on, number 0. */
static const char script[] = "for n in 1 2 3 4 5 6 7; do\n"
			     "  if virtio dev ${n}; then\n"
			     "    setenv devtype virtio; setenv devnum ${n}\n"
			     "    run scan_dev_for_boot_part\n"
			     "  fi\n"
			     "done\n";

/* A legacy image of U-Boot (include/image.h): big-endian. */
struct uimage {
	uint32_t magic, header_crc, time, size, load, entry, data_crc;
	uint8_t os, arch, type, compression;
	char name[32];
	uint32_t script_len, end; /* the script's table of contents, part of the data */
} __attribute__((packed));

#define UIMAGE_MAGIC	  0x27051956u
#define UIMAGE_HEADER	  64u
#define UIMAGE_OS_LINUX	  5u
#define UIMAGE_ARCH_ARM64 22u
#define UIMAGE_SCRIPT	  6u

static unsigned fat_get(const uint8_t *image, unsigned cluster)
{
	const uint8_t *p = image + FAT_AT(0) + cluster * 3 / 2;
	unsigned v = p[0] | (unsigned)p[1] << 8;

	return cluster & 1 ? v >> 4 : v & 0xfff;
}

/* Sets an entry of both tables. */
static void fat_set(uint8_t *image, unsigned cluster, unsigned v)
{
	for (unsigned n = 0; n < 2; n++) {
		uint8_t *p = image + FAT_AT(n) + cluster * 3 / 2;

		if (cluster & 1) {
			p[0] = (uint8_t)((p[0] & 0x0f) | v << 4);
			p[1] = (uint8_t)(v >> 4);
		} else {
			p[0] = (uint8_t)v;
			p[1] = (uint8_t)((p[1] & 0xf0) | v >> 8);
		}
	}
}

static bool is_cluster(unsigned c)
{
	return c >= FIRST_CLUSTER && c < END_CLUSTERS;
}

static size_t cluster_at(unsigned c)
{
	return DATA_AT + (size_t)(c - FIRST_CLUSTER) * CLUSTER;
}

/* Offset of a file's directory entry, or of a free one if `name` is NULL; 0: there is none. */
static size_t find_entry(const uint8_t *image, const char *name)
{
	for (unsigned i = 0; i < ROOT_ENTRIES; i++) {
		size_t at = ROOT_AT + i * ENTRY_LEN;
		struct dirent d;

		memcpy(&d, image + at, sizeof(d));
		if (name && !d.name[0])
			return 0;
		if (name ? !memcmp(d.name, name, sizeof(d.name)) && !(d.attributes & ATTR_NO_FILE)
			 : !d.name[0] || (uint8_t)d.name[0] == 0xe5)
			return at;
	}
	return 0;
}

static void free_chain(uint8_t *image, unsigned c)
{
	for (unsigned i = 0; i < CLUSTERS && is_cluster(c); i++) {
		unsigned next = fat_get(image, c);

		fat_set(image, c, 0);
		c = next;
	}
}

/* Puts the contents into free clusters; the first one, or 0: they do not fit. */
static unsigned put_data(uint8_t *image, const void *data, size_t len)
{
	const uint8_t *from = data;
	unsigned first = 0, last = 0;

	for (unsigned c = FIRST_CLUSTER; len && c < END_CLUSTERS; c++) {
		size_t n = min_u64(len, CLUSTER);

		if (fat_get(image, c))
			continue;
		memset(image + cluster_at(c), 0, CLUSTER);
		memcpy(image + cluster_at(c), from, n);
		fat_set(image, c, FAT_END);
		if (last)
			fat_set(image, last, c);
		else
			first = c;
		last = c;
		from += n;
		len -= n;
	}
	if (!len)
		return first;
	free_chain(image, first);
	return 0;
}

/* Creates a file or replaces its contents. */
static int put_file(uint8_t *image, const char *name, const void *data, size_t len, struct err *e)
{
	size_t at = find_entry(image, name);
	struct dirent d = { .attributes = ATTR_ARCHIVE, .lower_case = LOWER_CASE };
	unsigned cluster;

	if (at) {
		memcpy(&d, image + at, sizeof(d));
		free_chain(image, le16toh(d.cluster));
	} else {
		at = find_entry(image, NULL);
		memcpy(d.name, name, sizeof(d.name));
		d.cdate = d.adate = d.mdate = htole16(DATE_1980);
	}
	cluster = put_data(image, data, len);
	if (!at || !cluster)
		return err_set(e, -ENOSPC, "the partition for variables is full");
	d.cluster = htole16((uint16_t)cluster);
	d.size = htole32((uint32_t)len);
	memcpy(image + at, &d, sizeof(d));
	return 0;
}

/* Reads a file of at most `max` bytes; its length or -errno. */
static int get_file(const uint8_t *image, size_t at, uint8_t *buf, size_t max, struct err *e)
{
	struct dirent d;
	size_t len, done = 0;
	unsigned c;

	memcpy(&d, image + at, sizeof(d));
	len = le32toh(d.size);
	c = le16toh(d.cluster);
	if (len > max)
		return err_set(e, -EINVAL, "%zu bytes; at most %zu are possible", len, max);
	while (done < len) {
		size_t n = min_u64(len - done, CLUSTER);

		if (!is_cluster(c))
			return err_set(e, -EINVAL, "its chain of clusters is broken");
		memcpy(buf + done, image + cluster_at(c), n);
		done += n;
		c = fat_get(image, c);
	}
	return (int)len;
}

static void format_boot_sector(uint8_t *image)
{
	static const char names[] = "NO NAME    FAT12   ";
	uint8_t *p = image + PART;

	memcpy(p, boot_sector, sizeof(boot_sector));
	memcpy(p + sizeof(boot_sector), "\x41\x56\x50\x01", 4);
	memcpy(p + sizeof(boot_sector) + 4, names, sizeof(names) - 1);
	p[510] = 0x55;
	p[511] = 0xaa;
	fat_set(image, 0, 0xff8);
	fat_set(image, 1, FAT_END);
}

static void format_mbr(uint8_t *image)
{
	uint8_t *p = image + 446;
	const le32 start = htole32(PART_SECTOR), len = htole32(PART_SECTORS);

	memcpy(image + 440, "\x01PVA", 4);
	p[4] = ESP_TYPE;
	p[1] = p[2] = p[3] = p[5] = p[6] = p[7] = 0xff; /* no cylinders: only the numbers count */
	memcpy(p + 8, &start, sizeof(start));
	memcpy(p + 12, &len, sizeof(len));
	image[510] = 0x55;
	image[511] = 0xaa;
}

static void put_script(uint8_t *image)
{
	uint8_t file[sizeof(struct uimage) + sizeof(script)];
	struct uimage h = {
		.magic = htobe32(UIMAGE_MAGIC),
		.size = htobe32((uint32_t)(sizeof(h) - UIMAGE_HEADER + sizeof(script) - 1)),
		.os = UIMAGE_OS_LINUX,
		.arch = UIMAGE_ARCH_ARM64,
		.type = UIMAGE_SCRIPT,
		.name = "avp",
		.script_len = htobe32(sizeof(script) - 1),
	};
	size_t len = sizeof(h) + sizeof(script) - 1;

	memcpy(file, &h, sizeof(h));
	memcpy(file + sizeof(h), script, sizeof(script) - 1);
	h.data_crc = htobe32(crc32(file + UIMAGE_HEADER, len - UIMAGE_HEADER));
	h.header_crc = htobe32(crc32(&h, UIMAGE_HEADER));
	memcpy(file, &h, sizeof(h));
	put_file(image, SCRIPT_NAME, file, len, NULL);
}

bool efistore_disk_probe(const uint8_t *head, size_t len)
{
	return len >= PART + sizeof(boot_sector) && head[510] == 0x55 && head[511] == 0xaa &&
	       head[446 + 4] == ESP_TYPE && !memcmp(head + PART + 3, boot_sector + 3, 8);
}

void efistore_disk_format(uint8_t image[EFISTORE_DISK_SIZE])
{
	const struct efivars none = { 0 };

	memset(image, 0, EFISTORE_DISK_SIZE);
	format_mbr(image);
	format_boot_sector(image);
	put_script(image);
	efistore_disk_write(image, &none, NULL);
}

/* Byte 37 is for a dirty file system: who mounts it may set it. */
static int check_geometry(const uint8_t *image, struct err *e)
{
	const size_t dirty = 37;

	if (!memcmp(image + PART, boot_sector, dirty))
		return 0;
	return err_set(e, -EINVAL,
		"its file system is not the one that avp made; delete the file to get a new one");
}

int efistore_disk_read(const uint8_t image[EFISTORE_DISK_SIZE], struct efivars *vars, struct err *e)
{
	uint8_t file[EFISTORE_UBOOT_MAX];
	size_t at;
	int rc = check_geometry(image, e);

	if (rc)
		return rc;
	at = find_entry(image, VARS_NAME);
	if (!at)
		return 0;
	rc = get_file(image, at, file, sizeof(file), e);
	if (rc > 0)
		rc = efistore_uboot_read(file, (size_t)rc, vars, e);
	return rc < 0 ? err_prefix(e, "ubootefi.var") : 0;
}

int efistore_disk_write(
	uint8_t image[EFISTORE_DISK_SIZE], const struct efivars *vars, struct err *e)
{
	uint8_t file[EFISTORE_UBOOT_MAX];
	int rc = check_geometry(image, e);

	if (!rc)
		rc = efistore_uboot_write(file, vars, e);
	return rc < 0 ? rc : put_file(image, VARS_NAME, file, (size_t)rc, e);
}
