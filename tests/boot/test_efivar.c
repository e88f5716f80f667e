/* SPDX-License-Identifier: BSD-3-Clause */
/* UEFI variables: names, both formats, their files, and what hostile guests may leave in them. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32.h"
#include "base/util.h"
#include "host/efistore.h"
#include "tap.h"

#define FIRST	 0x64u	  /* first variable of a volume as it is made */
#define STORE	 0x40000u /* end of its store */
#define VARIABLE 60u	  /* bytes of a variable's header */

static uint8_t volume[EFISTORE_VOLUME_LEN], disk[EFISTORE_DISK_SIZE];

/* Sets a variable whose name is ASCII. */
static int set(struct efivars *vars, const char *name, const char *value)
{
	autofree uint16_t *n = efi_from_utf8(name);

	return efivars_set(
		vars, n, &efi_guid_avp, EFIVAR_ATTRIBUTES_DEF, value, strlen(value), NULL);
}

/* True if it is there with this value. */
static bool has(const struct efivars *vars, const char *name, const char *value)
{
	autofree uint16_t *n = efi_from_utf8(name);
	const struct efivar *v = efivars_find(vars, n, &efi_guid_avp);

	return v && v->size == strlen(value) && (!v->size || !memcmp(v->data, value, v->size));
}

static void names(struct tap *t)
{
	const char *text = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
	char out[EFI_GUID_TEXT];
	struct efi_guid g;

	REQUIRE(t, !efi_guid_parse(text, &g));
	CHECK(t, !memcmp(&g, &efi_guid_global, sizeof(g)));
	efi_guid_format(&g, out);
	CHECK(t, !strcmp(out, text));
	CHECK_EQ(t, efi_guid_parse("8be4df61-93ca-11d2-aa0d-00e098032b8", &g), -EINVAL);
	CHECK_EQ(t, efi_guid_parse("8be4df61-93ca-11d2-aa0d-00e098032b8cc", &g), -EINVAL);
	CHECK_EQ(t, efi_guid_parse("8be4df61x93ca-11d2-aa0d-00e098032b8c", &g), -EINVAL);
	CHECK_EQ(t, efi_guid_parse("", &g), -EINVAL);
	CHECK(t, efi_guid_default("Boot00A0") == &efi_guid_global);
	CHECK(t, efi_guid_default("BootOrder") == &efi_guid_global);
	CHECK(t, efi_guid_default("Boot00a0") == &efi_guid_avp);
	CHECK(t, efi_guid_default("Bootloader") == &efi_guid_avp);
}

static void utf(struct tap *t)
{
	const char *text = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x9a\x97";
	const char *const bad[] = { "\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
		"\xf4\x90\x80\x80", "\xff", "a\xe2\x82" };
	const uint16_t odd[] = { 0xd800, 'x', 0xdc00, 7, 0x80 };
	autofree uint16_t *wide = efi_from_utf8(text);
	autofree char *back = NULL, *escaped = efi_to_utf8(odd, 5);

	REQUIRE(t, wide && escaped);
	CHECK_EQ(t, efi_strlen(wide), 5);
	CHECK_EQ(t, wide[3], 0xd83d);
	back = efi_to_utf8(wide, 5);
	CHECK(t, back && !strcmp(back, text));
	CHECK(t, !strcmp(escaped, "\\ud800x\\udc00\\u0007\\u0080"));
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(t, !efi_from_utf8(bad[i]));
}

static void list(struct tap *t)
{
	static uint16_t long_name[EFIVAR_NAME_MAX + 2];
	struct efivars vars = { 0 };
	struct err e = { 0 };

	CHECK_EQ(t, set(&vars, "a", "1"), 0);
	CHECK_EQ(t, set(&vars, "b", ""), 0);
	CHECK_EQ(t, set(&vars, "a", "22"), 0);
	CHECK_EQ(t, vars.n, 2);
	CHECK(t, has(&vars, "a", "22") && has(&vars, "b", ""));
	efivars_delete(&vars, &vars.v[0]);
	CHECK(t, vars.n == 1 && has(&vars, "b", "") && !has(&vars, "a", "22"));
	CHECK_EQ(t, set(&vars, "", "x"), -E2BIG);
	memset(long_name, 1, sizeof(long_name) - 2);
	CHECK_EQ(t, efivars_set(&vars, long_name, &efi_guid_avp, 7, "x", 1, &e), -E2BIG);
	CHECK_EQ(t, efivars_set(&vars, long_name + 1, &efi_guid_avp, 7, "x", 1, &e), 0);
	CHECK_EQ(t,
		efivars_set(
			&vars, long_name + 1, &efi_guid_avp, 7, volume, EFIVAR_DATA_MAX + 1, &e),
		-E2BIG);
	efivars_free(&vars);
}

static void flash_round_trip(struct tap *t)
{
	struct efivars vars = { 0 }, back = { 0 };
	char value[3000];
	struct err e = { 0 };

	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = 0;
	efistore_flash_format(volume);
	REQUIRE(t, CHECK_EQ(t, efistore_flash_probe(volume, 8192), EFISTORE_VOLUME_LEN));
	CHECK_EQ(t, efistore_flash_read(volume, sizeof(volume), &vars, &e), 0);
	CHECK_EQ(t, vars.n, 0);
	set(&vars, "one", "first");
	set(&vars, "odd", "x");
	set(&vars, "long", value);
	vars.v[1].own[8] = 77;
	REQUIRE(t, CHECK_EQ(t, efistore_flash_write(volume, sizeof(volume), &vars, &e), 0));
	CHECK(t, volume[FIRST] == 0xaa && volume[FIRST + 1] == 0x55 && volume[FIRST + 2] == 0x3f);
	CHECK_EQ(t, volume[FIRST + 36], 8); /* "one" */
	CHECK_EQ(t, volume[FIRST + 40], 5);
	CHECK_EQ(t, volume[STORE - 1], 0xff);
	CHECK_EQ(t, efistore_flash_read(volume, sizeof(volume), &back, &e), 0);
	CHECK(t, back.n == 3 && has(&back, "one", "first") && has(&back, "odd", "x") &&
			 has(&back, "long", value));
	CHECK_EQ(t, back.v[1].own[8], 77);
	efivars_free(&vars);
	efivars_free(&back);
}

/* A volume with a, b and c in it; c is the last one. */
static void make_flash(void)
{
	struct efivars vars = { 0 };

	set(&vars, "a", "aaaa");
	set(&vars, "b", "bbbb");
	set(&vars, "c", "cccc");
	efistore_flash_format(volume);
	efistore_flash_write(volume, sizeof(volume), &vars, NULL);
	efivars_free(&vars);
}

#define NTH(n) (FIRST + (n) * (VARIABLE + 8u)) /* of make_flash() */

static int read_flash(struct efivars *vars, struct err *e)
{
	efivars_free(vars);
	*e = (struct err){ 0 };
	return efistore_flash_read(volume, sizeof(volume), vars, e);
}

/* Bits that a firmware clears while it replaces a variable, and power failures between them. */
static void flash_states(struct tap *t)
{
	struct efivars vars = { 0 };
	struct err e = { 0 };

	make_flash();
	volume[NTH(1) + 2] = 0x3d;
	CHECK(t, !read_flash(&vars, &e) && vars.n == 2 && !has(&vars, "b", "bbbb"));
	/* Being replaced: counts as long as there is no new one. */
	volume[NTH(1) + 2] = 0x3e;
	CHECK(t, !read_flash(&vars, &e) && vars.n == 3 && has(&vars, "b", "bbbb"));
	volume[NTH(2) + VARIABLE] = 'b';
	CHECK(t, !read_flash(&vars, &e) && vars.n == 2 && has(&vars, "b", "cccc"));
	/* Header written, value not. */
	volume[NTH(2) + 2] = 0x7f;
	CHECK(t, !read_flash(&vars, &e) && vars.n == 2 && has(&vars, "b", "bbbb"));
	/* Nothing but the start of a header. */
	memset(volume + NTH(2) + 2, 0xff, VARIABLE - 2);
	CHECK(t, !read_flash(&vars, &e) && vars.n == 2);
	efivars_free(&vars);
}

#define BAD_FLASH(code, change)                                                                    \
	do {                                                                                       \
		make_flash();                                                                      \
		change;                                                                            \
		CHECK_EQ(t, read_flash(&vars, &e), code);                                          \
		CHECK(t, e.msg[0] != 0);                                                           \
	} while (0)

static void flash_bad(struct tap *t)
{
	struct efivars vars = { 0 };
	struct err e = { 0 };

	BAD_FLASH(-EINVAL, volume[16] ^= 1);
	BAD_FLASH(-EINVAL, volume[0x22] ^= 1);	 /* length */
	BAD_FLASH(-EINVAL, volume[0x30] ^= 2);	 /* header length */
	BAD_FLASH(-EINVAL, volume[0x31] = 0xff); /* far away */
	BAD_FLASH(-EINVAL, volume[0x32] ^= 1);	 /* checksum */
	BAD_FLASH(-EINVAL, volume[0x48] ^= 1);	 /* store's GUID */
	BAD_FLASH(-EINVAL, volume[0x5b] = 1);	 /* store's size */
	BAD_FLASH(-EINVAL, memset(volume + 0x58, 0, 4));
	BAD_FLASH(-EINVAL, volume[0x5c] = 0xff); /* not formatted */
	BAD_FLASH(-EINVAL, volume[NTH(1) + 36] = 3);
	BAD_FLASH(-EINVAL, volume[NTH(1) + 36] = 0);
	BAD_FLASH(-EINVAL, volume[NTH(1) + 38] = 9);
	BAD_FLASH(-EINVAL, volume[NTH(1) + 43] = 0x7f);
	BAD_FLASH(-EINVAL, volume[NTH(1) + VARIABLE] = 0);
	BAD_FLASH(-EINVAL, volume[NTH(1) + VARIABLE + 2] = 1); /* a name without end */
	BAD_FLASH(-EINVAL, memset(volume + NTH(1) + 36, 0xfe, 8));
	efivars_free(&vars);
	CHECK_EQ(t, efistore_flash_probe(volume, 30), 0);
	CHECK_EQ(t, efistore_flash_read(volume, 80, &vars, &e), -EINVAL);
	volume[0x24] = 1; /* a volume of more than 4 GiB */
	CHECK_EQ(t, efistore_flash_probe(volume, sizeof(volume)), 0);
}

/* Stopped between erasing the store and writing it again: hands off. */
static void flash_pending(struct tap *t)
{
	static const uint8_t guid[16] = { 0x2b, 0x29, 0x58, 0x9e, 0x68, 0x7c, 0x7d, 0x49, 0xa0,
		0xce, 0x65, 0x00, 0xfd, 0x9f, 0x1b, 0x95 };
	uint8_t *queue = volume + STORE, *head = queue + 32, *record = head + 40;
	struct efivars vars = { 0 };
	struct err e = { 0 };

	make_flash();
	memcpy(queue, guid, sizeof(guid));
	CHECK_EQ(t, read_flash(&vars, &e), 0);
	memset(head, 0, 80);
	head[0] = 0xfc; /* allocated, not complete */
	head[24] = 1;
	record[0] = 0xff;
	CHECK_EQ(t, read_flash(&vars, &e), 0);
	record[0] = 0xfd; /* the spare blocks are written */
	CHECK_EQ(t, read_flash(&vars, &e), -EAGAIN);
	record[0] = 0xf9;
	CHECK_EQ(t, read_flash(&vars, &e), 0);
	record[0] = 0xfd;
	head[0] = 0xf8; /* complete */
	CHECK_EQ(t, read_flash(&vars, &e), 0);
	/* A second one behind it, then a length that leads nowhere. */
	memcpy(record + 40, head, 80);
	record[40] = 0xfc;
	CHECK_EQ(t, read_flash(&vars, &e), -EAGAIN);
	memset(record + 40 + 24, 0xff, 8);
	CHECK_EQ(t, read_flash(&vars, &e), 0);
	efivars_free(&vars);
}

static void flash_full(struct tap *t)
{
	static char value[8001];
	struct efivars vars = { 0 };
	struct err e = { 0 };
	char name[8];
	int rc = 0;

	memset(value, 'f', sizeof(value) - 1);
	efistore_flash_format(volume);
	for (unsigned i = 0; i < 32 && !rc; i++) {
		snprintf(name, sizeof(name), "v%02u", i);
		set(&vars, name, value);
		rc = efistore_flash_write(volume, sizeof(volume), &vars, &e);
	}
	CHECK_EQ(t, rc, 0);
	set(&vars, "last", value);
	memcpy(disk, volume, sizeof(volume));
	CHECK_EQ(t, efistore_flash_write(volume, sizeof(volume), &vars, &e), -ENOSPC);
	CHECK(t, !memcmp(disk, volume, sizeof(volume)));
	efivars_free(&vars);
	autofree uint16_t *wide = efi_from_utf8("big");
	efivars_set(&vars, wide, &efi_guid_avp, 7, disk, 8192, NULL);
	CHECK_EQ(t, efistore_flash_write(volume, sizeof(volume), &vars, &e), -E2BIG);
	efivars_free(&vars);
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 8;
}

/* Whatever a guest leaves there is read or refused; what was read can be written and read again. */
static void flash_mutated(struct tap *t)
{
	struct efivars vars = { 0 }, again = { 0 };
	uint32_t seed = 11;
	struct err e = { 0 };

	for (unsigned n = 0; n < 3000; n++) {
		make_flash();
		for (unsigned k = 0; k < 3; k++)
			volume[(n & 1 ? FIRST : 0) + next(&seed) % 220] = (uint8_t)next(&seed);
		if (read_flash(&vars, &e))
			continue;
		if (efistore_flash_write(volume, sizeof(volume), &vars, &e))
			continue;
		CHECK_EQ(t, read_flash(&again, &e), 0);
		CHECK_EQ(t, again.n, vars.n);
	}
	efivars_free(&vars);
	efivars_free(&again);
}

static size_t make_uboot(uint8_t *file)
{
	struct efivars vars = { 0 };
	int len;

	set(&vars, "a", "aaaa");
	set(&vars, "longer", "b");
	len = efistore_uboot_write(file, &vars, NULL);
	efivars_free(&vars);
	return len < 0 ? 0 : (size_t)len;
}

static int read_uboot(const uint8_t *file, size_t len, struct efivars *vars, struct err *e)
{
	efivars_free(vars);
	*e = (struct err){ 0 };
	return efistore_uboot_read(file, len, vars, e);
}

/* Makes length and checksum right, so that what is behind them is looked at. */
static void seal(uint8_t *file, size_t len)
{
	const uint32_t n = htole32((uint32_t)len), crc = htole32(crc32(file + 24, len - 24));

	memcpy(file + 16, &n, 4);
	memcpy(file + 20, &crc, 4);
}

static void uboot(struct tap *t)
{
	uint8_t file[EFISTORE_UBOOT_MAX];
	size_t len = make_uboot(file);
	struct efivars vars = { 0 };
	struct err e = { 0 };
	uint32_t seed = 3;

	REQUIRE(t, CHECK_EQ(t, len, 24 + 40 + 48));
	CHECK(t, !memcmp(file + 8, "UbEfiVa\1", 8));
	CHECK_EQ(t, crc32("123456789", 9), 0xcbf43926);
	CHECK_EQ(t, read_uboot(file, len, &vars, &e), 0);
	CHECK(t, vars.n == 2 && has(&vars, "a", "aaaa") && has(&vars, "longer", "b"));
	for (size_t cut = 0; cut < len; cut++) {
		CHECK(t, read_uboot(file, cut, &vars, &e) < 0 && e.msg[0]);
		if (cut <= 24)
			continue;
		seal(file, cut);
		read_uboot(file, cut, &vars, &e);
	}
	for (unsigned n = 0; n < 3000; n++) {
		make_uboot(file);
		for (unsigned k = 0; k < 3; k++)
			file[24 + next(&seed) % (len - 24)] = (uint8_t)next(&seed);
		CHECK(t, read_uboot(file, len, &vars, &e) <= 0);
		seal(file, len);
		read_uboot(file, len, &vars, &e);
	}
	make_uboot(file);
	file[8] = 0;
	CHECK_EQ(t, read_uboot(file, len, &vars, &e), -EINVAL);
	efivars_free(&vars);
}

static void uboot_full(struct tap *t)
{
	static char value[EFISTORE_UBOOT_MAX];
	uint8_t file[EFISTORE_UBOOT_MAX];
	struct efivars vars = { 0 };
	size_t fits = EFISTORE_UBOOT_MAX - 24 - 32 - 4;

	memset(value, 'u', fits);
	set(&vars, "u", value);
	CHECK_EQ(t, efistore_uboot_write(file, &vars, NULL), EFISTORE_UBOOT_MAX);
	value[fits] = 'u';
	set(&vars, "u", value);
	CHECK_EQ(t, efistore_uboot_write(file, &vars, NULL), -ENOSPC);
	efivars_free(&vars);
}

#define FAT  (8u * 512 + 512)
#define ROOT (FAT + 2 * 512)

static int read_disk(struct efivars *vars, struct err *e)
{
	efivars_free(vars);
	*e = (struct err){ 0 };
	return efistore_disk_read(disk, vars, e);
}

static void disk_round_trip(struct tap *t)
{
	static char value[9000];
	struct efivars vars = { 0 };
	struct err e = { 0 };

	memset(value, 'd', sizeof(value) - 1);
	efistore_disk_format(disk);
	CHECK(t, efistore_disk_probe(disk, 8192));
	CHECK(t, !read_disk(&vars, &e) && !vars.n);
	for (unsigned i = 0; i < 300; i++) { /* more than there are clusters: none may be lost */
		value[8000 - i * 20] = 0;
		set(&vars, "v", value);
		REQUIRE(t, !efistore_disk_write(disk, &vars, &e));
		value[8000 - i * 20] = 'd';
	}
	value[8000 - 299 * 20] = 0;
	CHECK(t, !read_disk(&vars, &e) && vars.n == 1 && has(&vars, "v", value));
	CHECK(t, !memcmp(disk + FAT, disk + FAT + 512, 512));
	/* U-Boot removed the file. */
	disk[ROOT + 32] = 0xe5;
	CHECK(t, !read_disk(&vars, &e) && !vars.n);
	set(&vars, "v", "new");
	CHECK(t, !efistore_disk_write(disk, &vars, &e) && !read_disk(&vars, &e));
	CHECK(t, has(&vars, "v", "new"));
	efivars_free(&vars);
}

static void disk_bad(struct tap *t)
{
	struct efivars vars = { 0 };
	struct err e = { 0 };
	uint32_t seed = 5;

	efistore_disk_format(disk);
	disk[8 * 512 + 13] = 4;
	CHECK_EQ(t, read_disk(&vars, &e), -EINVAL);
	CHECK_EQ(t, efistore_disk_write(disk, &vars, &e), -EINVAL);
	efistore_disk_format(disk);
	disk[8 * 512 + 37] = 1; /* somebody mounted it and did not unmount */
	CHECK_EQ(t, read_disk(&vars, &e), 0);
	disk[ROOT + 32 + 30] = 1; /* 64 KiB and more */
	CHECK_EQ(t, read_disk(&vars, &e), -EINVAL);
	efistore_disk_format(disk);
	disk[ROOT + 32 + 27] = 0xff; /* a cluster that is not there */
	CHECK_EQ(t, read_disk(&vars, &e), -EINVAL);
	efistore_disk_format(disk);
	disk[ROOT + 32 + 29] = 0x30; /* a file longer than its chain */
	CHECK_EQ(t, read_disk(&vars, &e), -EINVAL);
	memset(disk + FAT, 0x33, 512); /* chains that go round and round */
	CHECK_EQ(t, read_disk(&vars, &e), -EINVAL);
	set(&vars, "v", "x");
	CHECK_EQ(t, efistore_disk_write(disk, &vars, &e), 0);
	for (unsigned n = 0; n < 1000; n++) {
		efistore_disk_format(disk);
		for (unsigned k = 0; k < 4; k++) {
			size_t at = k & 1 ? FAT : ROOT;

			disk[at + next(&seed) % 96] = (uint8_t)next(&seed);
		}
		if (!read_disk(&vars, &e))
			efistore_disk_write(disk, &vars, &e);
	}
	memset(disk + FAT, 0xff, 512);
	memset(disk + ROOT, 'x', 2048);
	efivars_free(&vars);
	CHECK_EQ(t, efistore_disk_write(disk, &vars, &e), -ENOSPC);
}

/* The life of a file of each kind. */
static void one_file(struct tap *t, const char *path, enum efistore_kind kind, off_t size)
{
	struct efistore s = { .fd = -1 }, other = { .fd = -1 };
	struct err e = { 0 };
	struct stat st, st2;

	REQUIRE(t, CHECK_EQ(t, efistore_create(path, kind, &e), 0));
	CHECK_EQ(t, efistore_create(path, kind, &e), -EEXIST);
	REQUIRE(t, !stat(path, &st));
	CHECK(t, (st.st_mode & 07777) == 0600 && st.st_size == size && st.st_blocks < 4096);
	REQUIRE(t, CHECK_EQ(t, efistore_open(&s, path, &e), 0));
	CHECK_EQ(t, (int)s.kind, (int)kind);
	CHECK_EQ(t, efistore_open(&other, path, &e), -EBUSY);
	efistore_close(&other);
	set(&s.vars, "kept", "yes");
	CHECK(t, !chmod(path, 0640));
	CHECK_EQ(t, efistore_save(&s, &e), 0);
	efistore_close(&s);
	REQUIRE(t, !stat(path, &st2));
	CHECK(t, (st2.st_mode & 07777) == 0640 && st2.st_size == size && st2.st_ino != st.st_ino);
	CHECK_EQ(t, efistore_open(&s, path, &e), 0);
	CHECK(t, s.vars.n == 1 && has(&s.vars, "kept", "yes"));
	efistore_close(&s);
}

static void files(struct tap *t)
{
	char folder[] = "/tmp/efivar-XXXXXX", path[64];
	struct efistore s = { .fd = -1 };
	struct err e = { 0 };
	int fd;

	REQUIRE(t, mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/flash", folder);
	one_file(t, path, EFISTORE_FLASH, EFISTORE_FLASH_SIZE);
	unlink(path);
	snprintf(path, sizeof(path), "%s/disk", folder);
	one_file(t, path, EFISTORE_DISK, EFISTORE_DISK_SIZE);
	/* Neither; then nothing. */
	CHECK(t, !truncate(path, 0));
	CHECK_EQ(t, efistore_open(&s, path, &e), -EINVAL);
	efistore_close(&s);
	unlink(path);
	CHECK_EQ(t, efistore_open(&s, path, &e), -ENOENT);
	efistore_close(&s);
	CHECK_EQ(t, efistore_open(&s, folder, &e), -EISDIR);
	efistore_close(&s);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	efistore_flash_format(volume);
	CHECK(t, fd >= 0 && write(fd, volume, 8192) == 8192); /* cut off */
	close(fd);
	CHECK(t, efistore_open(&s, path, &e) < 0);
	efistore_close(&s);
	unlink(path);
	fd = efistore_temporary(&e);
	CHECK(t, fd >= 0 && pread(fd, disk, sizeof(disk), 0) == sizeof(disk));
	CHECK_EQ(t, efistore_flash_probe(disk, 8192), EFISTORE_VOLUME_LEN);
	CHECK_EQ(t, lseek(fd, 0, SEEK_END), EFISTORE_FLASH_SIZE);
	close(fd);
	/* Nothing was left behind. */
	CHECK_EQ(t, rmdir(folder), 0);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, names);
	TAP_RUN(&t, utf);
	TAP_RUN(&t, list);
	TAP_RUN(&t, flash_round_trip);
	TAP_RUN(&t, flash_states);
	TAP_RUN(&t, flash_bad);
	TAP_RUN(&t, flash_pending);
	TAP_RUN(&t, flash_full);
	TAP_RUN(&t, flash_mutated);
	TAP_RUN(&t, uboot);
	TAP_RUN(&t, uboot_full);
	TAP_RUN(&t, disk_round_trip);
	TAP_RUN(&t, disk_bad);
	TAP_RUN(&t, files);
	return tap_done(&t);
}
