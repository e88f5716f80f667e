/* SPDX-License-Identifier: BSD-3-Clause */
/* What all boot protocols need: files in guest memory, and a place for the initrd. */
#include "machine/boot.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/util.h"

/* No file may slip in that the manifest does not cover, whoever asks for it. */
static int open_verified(const struct boot *b, struct boot_file *f, const char *what, struct err *e)
{
	const struct boot_item *item = boot_items_find(b->verified, what);

	f->fd = -1;
	if (!item || !item->path || strcmp(item->path, f->path) != 0)
		return err_set(
			e, -EPERM, "the %s %s is not covered by the manifest", what, f->path);
	f->fd = fcntl(item->fd, F_DUPFD_CLOEXEC, 0);
	if (f->fd < 0)
		return err_sys(e, -errno, "cannot open the verified copy of the %s", what);
	f->size = item->size;
	return 0;
}

int boot_open(const struct boot *b, struct boot_file *f, const char *path, const char *what,
	struct err *e)
{
	struct stat st;

	f->path = path;
	if (b->verified)
		return open_verified(b, f, what, e);
	f->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0)
		return err_sys(e, -errno, "cannot open the %s %s", what, path);
	if (fstat(f->fd, &st) < 0)
		return err_sys(e, -errno, "cannot look at the %s %s", what, path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "the %s %s is not a regular file", what, path);
	f->size = (uint64_t)st.st_size;
	return 0;
}

int boot_read(const struct boot_file *f, uint64_t offset, void *buf, uint64_t len, const char *what,
	struct err *e)
{
	int rc;

	if (!range_in(offset, len, f->size))
		return err_set(e, -EINVAL,
			"%s: the %s (%" PRIu64 " bytes at %" PRIu64
			") is beyond the file's end at %" PRIu64,
			f->path, what, len, offset, f->size);
	rc = fd_pread_full(f->fd, buf, len, offset);
	return rc ? err_sys(e, rc, "%s: cannot read the %s", f->path, what) : 0;
}

int boot_read_guest(struct boot *b, const struct boot_file *f, uint64_t offset, uint64_t gpa,
	uint64_t len, const char *what, struct err *e)
{
	void *dst = NULL;

	if (!len)
		return 0;
	if (gpa >= b->files_min)
		dst = gm_ptr(b->gm, gpa, len);
	if (!dst)
		return err_set(e, -ENOSPC,
			"%s: the %s (%" PRIu64 " bytes for 0x%" PRIx64
			") does not fit guest RAM, 0x%" PRIx64 " to 0x%" PRIx64,
			f->path, what, len, gpa, b->files_min, boot_ram_end(b));
	return boot_read(f, offset, dst, len, what, e);
}

uint64_t boot_ram_end(const struct boot *b)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < b->gm->n && b->gm->r[i].gpa < b->ram_limit; i++)
		end = b->gm->r[i].gpa + b->gm->r[i].size;
	return end;
}

int boot_place_initrd(struct boot *b, uint64_t kernel_end, uint64_t limit, struct err *e)
{
	struct boot_file f = { .fd = -1 };
	autoclose int fd = -1;
	uint64_t end, start;
	int rc;

	if (!b->initrd)
		return 0;
	rc = boot_open(b, &f, b->initrd, "initrd", e);
	fd = f.fd;
	if (rc)
		return rc;
	end = min_u64(boot_ram_end(b), limit) & ~UINT64_C(0xfff);
	start = align_up(kernel_end, 0x1000);
	if (start > end || f.size > end - start)
		return err_set(e, -ENOSPC,
			"initrd %s: %" PRIu64
			" bytes do not fit between the kernel's end at 0x%" PRIx64 " and 0x%" PRIx64
			"; give the guest more memory",
			f.path, f.size, start, end);
	b->initrd_addr = (end - f.size) & ~UINT64_C(0xfff);
	b->initrd_len = f.size;
	return boot_read_guest(b, &f, 0, b->initrd_addr, f.size, "initrd", e);
}

int boot_raw_check(const struct boot *b, const struct boot_file *f, uint64_t *entry, struct err *e)
{
	uint64_t end;
	uint8_t magic[SELFMAG];

	if (!b->load_address)
		return err_set(e, -EINVAL, "%s: entry without load-address", f->path);
	if (!f->size)
		return err_set(e, -EINVAL, "%s: the image is empty", f->path);
	if (f->size >= SELFMAG && !boot_read(f, 0, magic, SELFMAG, "first bytes", NULL) &&
		!memcmp(magic, ELFMAG, SELFMAG))
		return err_set(e, -EINVAL,
			"%s is an ELF file, which says itself where it belongs: leave load-address "
			"and entry out, or make it raw (objcopy -O binary)",
			f->path);
	*entry = b->raw_entry ? b->raw_entry : b->load_address;
	if (__builtin_add_overflow(b->load_address, f->size, &end) || *entry < b->load_address ||
		*entry >= end)
		return err_set(e, -EINVAL,
			"%s: the entry 0x%" PRIx64 " is outside the image of %" PRIu64
			" bytes at 0x%" PRIx64,
			f->path, *entry, f->size, b->load_address);
	return 0;
}
