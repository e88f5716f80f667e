/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of UEFI variables: made, locked, read, replaced. */
#include "host/efistore.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/util.h"

#define CHUNK	   65536u
#define LOCK_TRIES 3u

/* A new file beside `path`, to be renamed to it when it is complete. */
struct draft {
	char *path;
	int fd;
};

static int draft_open(struct draft *d, const char *path, mode_t mode, struct err *e)
{
	if (asprintf(&d->path, "%s.XXXXXX", path) < 0) {
		d->path = NULL;
		return err_set(e, -ENOMEM, "no memory");
	}
	d->fd = mkostemp(d->path, O_CLOEXEC);
	if (d->fd < 0)
		return err_sys(e, -errno, "cannot make a file beside %s", path);
	if (fchmod(d->fd, mode) < 0)
		return err_sys(e, -errno, "cannot set the mode of %s", d->path);
	return 0;
}

/* Removes it if it was not finished. */
static void draft_close(struct draft *d)
{
	if (d->fd >= 0 && d->path)
		unlink(d->path);
	close_fd(&d->fd);
	free(d->path);
}

static int sync_folder(const char *path, struct err *e)
{
	autofree char *copy = strdup(path);
	autoclose int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0 || fsync(fd) < 0)
		return err_sys(e, -errno, "cannot sync the folder of %s", path);
	return 0;
}

/* Gives the draft its name, unless a file has it: -EEXIST. 9P knows links, but not this rename. */
static int name_new(const struct draft *d, const char *path)
{
	if (!renameat2(AT_FDCWD, d->path, AT_FDCWD, path, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL || link(d->path, path) < 0)
		return -errno;
	unlink(d->path);
	return 0;
}

/* The draft becomes `path`: replacing the file that is there, or failing with -EEXIST. */
static int draft_finish(struct draft *d, const char *path, bool replace, struct err *e)
{
	int rc;

	if (fsync(d->fd) < 0)
		return err_sys(e, -errno, "cannot sync %s", d->path);
	if (replace)
		rc = rename(d->path, path) < 0 ? -errno : 0;
	else
		rc = name_new(d, path);
	if (rc)
		return err_sys(e, rc, "cannot rename %s to %s", d->path, path);
	close_fd(&d->fd);
	return sync_folder(path, e);
}

int efistore_create(const char *path, enum efistore_kind kind, struct err *e)
{
	struct draft d = { .fd = -1 };
	size_t len = kind == EFISTORE_FLASH ? EFISTORE_VOLUME_LEN : EFISTORE_DISK_SIZE;
	autofree uint8_t *image = malloc(len);
	int rc;

	if (!image)
		return err_set(e, -ENOMEM, "no memory");
	if (kind == EFISTORE_FLASH)
		efistore_flash_format(image);
	else
		efistore_disk_format(image);
	rc = draft_open(&d, path, 0600, e);
	if (!rc)
		rc = fd_write_full(d.fd, image, len);
	if (!rc && kind == EFISTORE_FLASH && ftruncate(d.fd, EFISTORE_FLASH_SIZE) < 0)
		rc = -errno;
	if (!rc)
		rc = draft_finish(&d, path, false, e);
	else if (e && !e->code)
		err_sys(e, rc, "cannot write %s", d.path);
	draft_close(&d);
	return rc;
}

int efistore_temporary(struct err *e)
{
	autofree uint8_t *image = malloc(EFISTORE_VOLUME_LEN);
	autoclose int fd = -1;
	int rc;

	if (!image)
		return err_set(e, -ENOMEM, "no memory");
	fd = fd_memfd("efivars", EFISTORE_FLASH_SIZE, 0, e);
	if (fd < 0)
		return fd;
	efistore_flash_format(image);
	rc = fd_write_full(fd, image, EFISTORE_VOLUME_LEN);
	return rc ? err_sys(e, rc, "cannot fill the UEFI variables") : steal_fd(&fd);
}

/* That it is still the file of this name: a writer before us may have replaced it. */
static bool is_current(int fd, const char *path)
{
	struct stat a, b;

	return !fstat(fd, &a) && !stat(path, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int efistore_lock(const char *path, struct err *e)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		autoclose int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		struct stat st;

		if (fd < 0)
			return err_sys(e, -errno, "cannot open the UEFI variables %s", path);
		if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
			return err_set(e, -EINVAL, "%s is not a regular file", path);
		if (fcntl(fd, F_OFD_SETLK, &l) < 0) {
			if (errno == EAGAIN || errno == EACCES)
				return err_set(e, -EBUSY,
					"%s is in use; UEFI variables can be read and written from "
					"outside while the VM is off",
					path);
			return err_sys(e, -errno, "cannot lock %s", path);
		}
		if (is_current(fd, path))
			return steal_fd(&fd);
	}
	return err_set(e, -EBUSY, "%s is being replaced again and again", path);
}

int efistore_kind(int fd, enum efistore_kind *kind, struct err *e)
{
	uint8_t head[8192];
	ssize_t n = pread(fd, head, sizeof(head), 0);

	if (n < 0)
		return err_sys(e, -errno, "cannot read the UEFI variables");
	*kind = efistore_disk_probe(head, (size_t)n) ? EFISTORE_DISK : EFISTORE_FLASH;
	return 0;
}

static int read_image(struct efistore *s, struct err *e)
{
	uint8_t head[8192];
	ssize_t n = pread(s->fd, head, sizeof(head), 0);
	int rc;

	if (n < 0)
		return err_sys(e, -errno, "cannot read %s", s->path);
	s->len = efistore_flash_probe(head, (size_t)n);
	s->kind = EFISTORE_FLASH;
	if (!s->len && efistore_disk_probe(head, (size_t)n)) {
		s->kind = EFISTORE_DISK;
		s->len = EFISTORE_DISK_SIZE;
	}
	if (!s->len)
		return err_set(e, -EINVAL,
			"%s has no UEFI variables: neither a flash image of EDK2 (_FVH at 40) nor "
			"a disk that avp made for U-Boot; was the VM ever started?",
			s->path);
	s->image = malloc(s->len);
	if (!s->image)
		return err_set(e, -ENOMEM, "no memory");
	rc = fd_pread_full(s->fd, s->image, s->len, 0);
	return rc ? err_sys(e, rc, "cannot read %zu bytes of %s", s->len, s->path) : 0;
}

int efistore_open(struct efistore *s, const char *path, struct err *e)
{
	int rc;

	s->path = realpath(path, NULL);
	if (!s->path)
		return err_sys(e, -errno, "cannot open the UEFI variables %s", path);
	s->fd = efistore_lock(s->path, e);
	if (s->fd < 0)
		return s->fd;
	rc = read_image(s, e);
	if (rc)
		return rc;
	if (s->kind == EFISTORE_FLASH)
		rc = efistore_flash_read(s->image, s->len, &s->vars, e);
	else
		rc = efistore_disk_read(s->image, &s->vars, e);
	return rc ? err_prefix(e, "%s", s->path) : 0;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

/* What is behind the image, with holes where there are zeroes. */
static int copy_rest(int from, int to, uint64_t at, uint64_t end)
{
	uint8_t buf[CHUNK];
	int rc = ftruncate(to, (off_t)end) < 0 ? -errno : 0;

	for (; !rc && at < end; at += CHUNK) {
		size_t n = min_u64(CHUNK, end - at);

		rc = fd_pread_full(from, buf, n, at);
		if (!rc && !is_zero(buf, n) && pwrite(to, buf, n, (off_t)at) != (ssize_t)n)
			rc = errno ? -errno : -EIO;
	}
	return rc;
}

static int replace(struct efistore *s, struct draft *d, struct err *e)
{
	struct stat st;
	int rc;

	if (fstat(s->fd, &st) < 0)
		return err_sys(e, -errno, "cannot look at %s", s->path);
	rc = draft_open(d, s->path, st.st_mode & 0777, e);
	if (rc)
		return rc;
	if (fchown(d->fd, st.st_uid, st.st_gid) < 0)
		return err_sys(e, -errno, "cannot give %s the owner of %s", d->path, s->path);
	rc = fd_write_full(d->fd, s->image, s->len);
	if (!rc)
		rc = copy_rest(s->fd, d->fd, s->len, max_u64((uint64_t)st.st_size, s->len));
	return rc ? err_sys(e, rc, "cannot write %s", d->path) : draft_finish(d, s->path, true, e);
}

int efistore_save(struct efistore *s, struct err *e)
{
	struct draft d = { .fd = -1 };
	int rc;

	if (s->kind == EFISTORE_FLASH)
		rc = efistore_flash_write(s->image, s->len, &s->vars, e);
	else
		rc = efistore_disk_write(s->image, &s->vars, e);
	if (rc)
		return rc;
	rc = replace(s, &d, e);
	draft_close(&d);
	return rc;
}

void efistore_close(struct efistore *s)
{
	efivars_free(&s->vars);
	free(s->image);
	free(s->path);
	close_fd(&s->fd);
	*s = (struct efistore){ .fd = -1 };
}
