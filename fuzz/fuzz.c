/* SPDX-License-Identifier: BSD-3-Clause */
/* What fuzz targets share. See fuzz.h. */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

#define NS UINT64_C(1000000000)
/* Seconds since boot and since 1970 at the start of an input. */
#define START_MONOTONIC 1000u
#define START_REALTIME	1750000000u
/* What reading the clock takes: what is due again at once is not due in the same moment. */
#define TICK_NS 100u

static struct {
	bool virtual;
	uint64_t ns; /* since the start of the input */
} clock_state;

static uint64_t read_le(struct fuzz_in *in, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes && in->left; i++) {
		v |= (uint64_t)*in->p++ << 8 * i;
		in->left--;
	}
	return v;
}

uint8_t fuzz_u8(struct fuzz_in *in)
{
	return (uint8_t)read_le(in, 1);
}

uint16_t fuzz_u16(struct fuzz_in *in)
{
	return (uint16_t)read_le(in, 2);
}

uint32_t fuzz_u32(struct fuzz_in *in)
{
	return (uint32_t)read_le(in, 4);
}

uint64_t fuzz_u64(struct fuzz_in *in)
{
	return read_le(in, 8);
}

char *fuzz_text(struct fuzz_in *in)
{
	char *text = malloc(in->left + 1);
	size_t n = 0;

	if (!text)
		return NULL;
	for (; in->left; in->left--, in->p++)
		if (*in->p)
			text[n++] = (char)*in->p;
	text[n] = '\0';
	return text;
}

const struct log *fuzz_log(void)
{
	static const struct log silent = { .fd = -1, .level = LOG_LEVEL_INFO, .name = "fuzz" };

	return &silent;
}

static char folder[64];

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	return remove(path);
}

static void remove_folder(void)
{
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_folder(void)
{
	if (!folder[0]) {
		strcpy(folder, "/tmp/avp-fuzz-XXXXXX");
		if (!mkdtemp(folder)) {
			perror(folder);
			exit(EXIT_FAILURE);
		}
		atexit(remove_folder);
	}
	return folder;
}

char *fuzz_path(const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", fuzz_folder(), name) < 0 ? NULL : path;
}

int fuzz_file(const char *name, const void *data, size_t len)
{
	autofree char *path = fuzz_path(name);
	autoclose int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return path ? -errno : -ENOMEM;
	return write(fd, data, len) == (ssize_t)len ? 0 : -EIO;
}

void fuzz_clock_start(void)
{
	clock_state.ns = 0;
	clock_state.virtual = true;
}

void fuzz_clock_advance(uint64_t ns)
{
	clock_state.ns += ns;
}

void fuzz_clock_stop(void)
{
	clock_state.virtual = false;
}

/* The linker puts this in place of clock_gettime(); libFuzzer itself needs the real one. */
int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	bool since_1970 = id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE || id == CLOCK_TAI;

	if (!clock_state.virtual)
		return __real_clock_gettime(id, ts);
	clock_state.ns += TICK_NS;
	*ts = (struct timespec){
		.tv_sec = (time_t)((since_1970 ? START_REALTIME : START_MONOTONIC) +
				   clock_state.ns / NS),
		.tv_nsec = (long)(clock_state.ns % NS),
	};
	return 0;
}

void fuzz_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("finding: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	abort();
}
