/* SPDX-License-Identifier: BSD-3-Clause */
/* Sources of random bytes. */
#include "host/entropy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/util.h"

static ssize_t read_getrandom(struct entropy *src, void *buf, size_t len)
{
	ssize_t n = getrandom(buf, len, GRND_NONBLOCK);

	return n < 0 ? -errno : n;
}

static ssize_t read_fd(struct entropy *src, void *buf, size_t len)
{
	ssize_t n = read(src->fd, buf, len);

	if (n < 0)
		return -errno;
	return n ? n : -EAGAIN; /* a FIFO without a writer */
}

#if defined(__x86_64__)
#include <cpuid.h>

#define CPUID7_EBX_RDSEED (1u << 18)
/* The processor's noise source may be drained for a while by all its users together. */
#define RDSEED_TRIES 64

static bool have_rdseed(void)
{
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & CPUID7_EBX_RDSEED);
}

static bool rdseed(uint64_t *v)
{
	for (int i = 0; i < RDSEED_TRIES; i++) {
		unsigned char ok;

		__asm__ volatile("rdseed %0; setc %1" : "=r"(*v), "=qm"(ok) : : "cc");
		if (ok)
			return true;
		__builtin_ia32_pause();
	}
	return false;
}
#else
static bool have_rdseed(void)
{
	return false;
}

static bool rdseed(uint64_t *v)
{
	return false;
}
#endif

static ssize_t read_rdseed(struct entropy *src, void *buf, size_t len)
{
	size_t done = 0;
	uint64_t v = 0;

	while (done < len && rdseed(&v)) {
		size_t n = min_u64(sizeof(v), len - done);

		memcpy((char *)buf + done, &v, n);
		done += n;
	}
	explicit_bzero(&v, sizeof(v));
	return done ? (ssize_t)done : -EAGAIN;
}

static int open_path(struct entropy *src, const char *path, struct err *e)
{
	autoclose int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return err_sys(e, -errno, "opening the entropy source %s", path);
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "examining the entropy source %s", path);
	if (!S_ISCHR(st.st_mode) && !S_ISFIFO(st.st_mode))
		return err_set(e, -EINVAL,
			"entropy source %s is neither a character device nor a FIFO; anything else "
			"would give the same bytes again",
			path);
	src->fd = steal_fd(&fd);
	src->read = read_fd;
	return 0;
}

/* A driver may be there without hardware: the device file then exists and every read fails. */
static int open_hwrng(struct entropy *src, struct err *e)
{
	ssize_t n;
	char byte;
	int r = open_path(src, "/dev/hwrng", e);

	if (r < 0)
		return err_prefix(e, "source hwrng (load the driver of the hardware generator, or "
				     "use getrandom)");
	n = read_fd(src, &byte, 1);
	explicit_bzero(&byte, 1);
	if (n == 1 || n == -EAGAIN)
		return 0;
	entropy_close(src);
	return err_sys(e, (int)n, "source hwrng: /dev/hwrng has no hardware behind it");
}

int entropy_open(struct entropy *src, const char *name, struct err *e)
{
	*src = (struct entropy){ .fd = -1 };
	if (!strcmp(name, "getrandom")) {
		src->read = read_getrandom;
		return 0;
	}
	if (!strcmp(name, "rdseed")) {
		if (!have_rdseed())
			return err_set(e, -ENODEV, "source rdseed: this processor has no RDSEED");
		src->read = read_rdseed;
		return 0;
	}
	if (!strcmp(name, "hwrng"))
		return open_hwrng(src, e);
	if (strchr(name, '/'))
		return open_path(src, name, e);
	return err_set(e, -EINVAL,
		"entropy source '%s' is not known; use getrandom, hwrng, rdseed or an absolute "
		"path",
		name);
}

void entropy_close(struct entropy *src)
{
	if (src->read)
		close_fd(&src->fd);
	src->read = NULL;
}

ssize_t entropy_read(struct entropy *src, void *buf, size_t len)
{
	return src->read(src, buf, len);
}
