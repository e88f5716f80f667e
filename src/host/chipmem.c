/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/chipmem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"

#define CHUNK 4096u

static int lock_file(int fd, const char *path, struct err *e)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (!fcntl(fd, F_OFD_SETLK, &lock))
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return err_set(e, -EBUSY, "%s is in use by another process", path);
	return err_sys(e, -errno, "cannot lock %s", path);
}

static int open_file(struct chipmem *m, const char *path, uint8_t fill, struct err *e)
{
	struct stat st;
	int r;

	m->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
	if (m->fd < 0 || fstat(m->fd, &st))
		return err_sys(e, -errno, "cannot open %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s is no regular file", path);
	r = lock_file(m->fd, path, e);
	if (r)
		return r;
	if (st.st_size && (uint64_t)st.st_size != m->size)
		return err_set(e, -EINVAL, "%s has %lld bytes, the chip has %llu", path,
			(long long)st.st_size, (unsigned long long)m->size);
	r = st.st_size ? 0 : chipmem_fill(m, 0, fill, m->size);
	return r ? err_sys(e, r, "cannot write %s", path) : 0;
}

int chipmem_open(struct chipmem *m, const char *path, uint64_t size, uint8_t fill, struct err *e)
{
	int r;

	*m = (struct chipmem){ .size = size, .fd = -1 };
	if (path) {
		r = open_file(m, path, fill, e);
		if (r)
			chipmem_close(m);
		return r;
	}
	m->ram = malloc(size);
	if (!m->ram)
		return err_set(
			e, -ENOMEM, "out of memory for %llu bytes", (unsigned long long)size);
	memset(m->ram, fill, size);
	return 0;
}

void chipmem_close(struct chipmem *m)
{
	if (!m->size)
		return;
	close_fd(&m->fd);
	free(m->ram);
	*m = (struct chipmem){ 0 };
}

int chipmem_read(const struct chipmem *m, uint64_t at, void *buf, size_t len)
{
	uint8_t *to = buf;

	if (m->ram) {
		memcpy(to, m->ram + at, len);
		return 0;
	}
	while (len) {
		ssize_t n = pread(m->fd, to, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			memset(to, 0xff, len);
			return -EIO;
		}
		to += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int chipmem_write(struct chipmem *m, uint64_t at, const void *buf, size_t len)
{
	const uint8_t *from = buf;

	if (m->ram) {
		memcpy(m->ram + at, from, len);
		return 0;
	}
	while (len) {
		ssize_t n = pwrite(m->fd, from, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		from += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int chipmem_fill(struct chipmem *m, uint64_t at, uint8_t value, uint64_t len)
{
	uint8_t block[CHUNK];
	int r = 0;

	memset(block, value, sizeof(block));
	while (len && !r) {
		size_t n = (size_t)min_u64(len, sizeof(block));

		r = chipmem_write(m, at, block, n);
		at += n;
		len -= n;
	}
	return r;
}
