/* SPDX-License-Identifier: BSD-3-Clause */
/* Which kind of file it is; arm64 Image (Linux, Documentation/arch/arm64/booting.rst). */
#include "machine/arm64/boot.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/util.h"
#include "machine/arm64/layout.h"

#define IMAGE_MAGIC 0x644d5241u /* "ARM\x64" */
#define IMAGE_ALIGN 0x200000u	/* of the address that text_offset counts from */
#define ZBOOT_MAGIC 0x676d697au /* "zimg" */
#define GZIP_MAGIC  0x8b1fu
/* Kernel and initrd lie in one window of this size that begins at a multiple of 1 GiB. */
#define INITRD_WINDOW (UINT64_C(32) << 30)
#define GIB	      (UINT64_C(1) << 30)

struct image_header {
	uint32_t code0, code1;
	uint64_t text_offset, image_size, flags;
	uint64_t reserved[3];
	uint32_t magic, pe_header;
};

_Static_assert(sizeof(struct image_header) == 64, "as in booting.rst");

/* Why a file is no Image, in the words of somebody who can do something about it. */
static int not_an_image(const struct boot_file *f, const struct image_header *h, struct err *e)
{
	if ((h->code0 & 0xffff) == GZIP_MAGIC)
		return err_set(e, -EINVAL, "%s is compressed: unpack it (gunzip)", f->path);
	if (h->code1 == ZBOOT_MAGIC)
		return err_set(e, -EINVAL,
			"%s is a compressed EFI kernel (zboot): boot it through firmware, or take "
			"the Image that it was made of",
			f->path);
	return err_set(e, -EINVAL,
		"%s is no arm64 Image (no 'ARM\\x64' at 56); a raw image needs load-address",
		f->path);
}

static int check_header(const struct boot_file *f, const struct image_header *h, struct err *e)
{
	if (h->magic != IMAGE_MAGIC)
		return not_an_image(f, h, e);
	if (!h->image_size)
		return err_set(e, -EINVAL,
			"%s says nothing about its size in memory; Linux 3.17 or later is needed",
			f->path);
	return 0;
}

static int boot_arm64_image(struct boot *b, const struct boot_file *f, struct err *e)
{
	const uint64_t base = align_up(b->files_min, IMAGE_ALIGN);
	uint64_t addr, end, size, limit;
	struct image_header h;
	int rc = boot_read(f, 0, &h, sizeof(h), "Image header", e);

	if (!rc)
		rc = check_header(f, &h, e);
	if (rc)
		return rc;
	size = max_u64(h.image_size, f->size);
	if (__builtin_add_overflow(base, h.text_offset, &addr) || !gm_ptr(b->gm, addr, size))
		return err_set(e, -ENOSPC,
			"%s needs %" PRIu64 " bytes of RAM 0x%" PRIx64 " behind 0x%" PRIx64
			", the guest's RAM ends at 0x%" PRIx64,
			f->path, size, h.text_offset, base, boot_ram_end(b));
	end = addr + size;
	limit = (addr & ~(GIB - 1)) + INITRD_WINDOW;
	rc = boot_read_guest(b, f, 0, addr, f->size, "kernel", e);
	if (!rc)
		rc = boot_place_initrd(b, end, limit, e);
	b->entry = addr;
	return rc;
}

int boot_load_arm64(struct boot *b, struct err *e)
{
	struct boot_file f = { .fd = -1 };
	autoclose int fd = -1;
	uint8_t magic[SELFMAG];
	int rc = boot_open(b, &f, b->kernel, "kernel", e);

	fd = f.fd;
	if (rc)
		return rc;
	b->files_min = ARM64_FILES_MIN;
	b->ram_limit = UINT64_MAX;
	b->protocol = BOOT_ARM64;
	b->info = ARM64_DTB;
	if (b->load_address || b->raw_entry)
		return boot_arm64_raw(b, &f, e);
	rc = boot_read(&f, 0, magic, sizeof(magic), "file's magic number", e);
	if (rc)
		return rc;
	return memcmp(magic, ELFMAG, SELFMAG) ? boot_arm64_image(b, &f, e)
					      : boot_arm64_elf(b, &f, e);
}
