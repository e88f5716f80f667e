/* SPDX-License-Identifier: BSD-3-Clause */
/* Disk checks: what was written and flushed is there when it is read from the device again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define BLOCK	    4096u
#define CHUNK	    (1u << 20)
#define SOAK_BLOCKS 65536u /* most blocks of a soak file */

static int drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	int ok = fd >= 0 && write(fd, "3", 1) == 1;

	if (fd >= 0)
		close(fd);
	return ok ? 0 : -1;
}

static int write_chunks(int fd, unsigned mib, char *buf)
{
	for (unsigned i = 0; i < mib; i++) {
		pattern_fill(1, (uint64_t)i * CHUNK, buf, CHUNK);
		if (pwrite(fd, buf, CHUNK, (off_t)i * CHUNK) != CHUNK)
			return fail("write");
	}
	return fsync(fd) ? fail("fsync") : 0;
}

static int compare_chunks(int fd, unsigned mib, char *buf, char *want)
{
	for (unsigned i = 0; i < mib; i++) {
		pattern_fill(1, (uint64_t)i * CHUNK, want, CHUNK);
		if (pread(fd, buf, CHUNK, (off_t)i * CHUNK) != CHUNK)
			return fail("read");
		if (memcmp(buf, want, CHUNK)) {
			fprintf(stderr, "avp-guest: MiB %u differs from what was written\n", i);
			return 1;
		}
	}
	return 0;
}

int cmd_disk(int argc, char **argv)
{
	static char buf[CHUNK], want[CHUNK];
	unsigned mib = argc == 3 ? (unsigned)atoi(argv[2]) : 0;
	int fd = mib ? open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	int err;

	if (fd < 0)
		return fail("disk FILE MIB");
	err = write_chunks(fd, mib, buf);
	if (!err && drop_caches())
		err = fail("/proc/sys/vm/drop_caches");
	if (!err)
		err = compare_chunks(fd, mib, buf, want);
	close(fd);
	if (!err)
		printf("%u MiB written, fsynced, read back equal\n", mib);
	return err;
}

/* One block of the soak: its generation is in the first word and seeds the rest. */
static int soak_step(int fd, uint64_t *generation, unsigned block, int writing)
{
	static char buf[BLOCK] __attribute__((aligned(BLOCK)));
	static char want[BLOCK];
	off_t at = (off_t)block * BLOCK;

	if (writing) {
		pattern_fill(++generation[block], (uint64_t)at, buf, BLOCK);
		return pwrite(fd, buf, BLOCK, at) == BLOCK ? 0 : fail("write");
	}
	if (!generation[block])
		return 0;
	pattern_fill(generation[block], (uint64_t)at, want, BLOCK);
	if (pread(fd, buf, BLOCK, at) != BLOCK)
		return fail("read");
	if (!memcmp(buf, want, BLOCK))
		return 0;
	fprintf(stderr, "avp-guest: block %u is not its write number %llu\n", block,
		(unsigned long long)generation[block]);
	return 1;
}

static int soak_verify(int fd, uint64_t *generation, unsigned blocks)
{
	if (fsync(fd))
		return fail("fsync");
	for (unsigned i = 0; i < blocks; i++)
		if (soak_step(fd, generation, i, 0))
			return 1;
	return 0;
}

/* Direct I/O, so that every step is a request to the device: what a device process that is killed
 * and restarted has to answer exactly once. */
int cmd_soak(int argc, char **argv)
{
	static uint64_t generation[SOAK_BLOCKS];
	unsigned mib = argc == 4 ? (unsigned)atoi(argv[2]) : 0;
	unsigned blocks = mib * (CHUNK / BLOCK), steps = 0;
	uint64_t end = argc == 4 ? now_ms() + 1000u * (unsigned)atoi(argv[3]) : 0;
	int fd, err = 0;

	errno = EINVAL;
	if (!blocks || blocks > SOAK_BLOCKS)
		return fail("soak FILE MIB SECONDS (1 to 256 MiB)");
	fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC | O_DIRECT, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)mib * CHUNK))
		return fail(argv[1]);
	for (; !err && now_ms() < end; steps++) {
		err = soak_step(fd, generation, (unsigned)random() % blocks, steps % 3 != 0);
		if (!err && steps % 64 == 63 && fdatasync(fd))
			err = fail("fdatasync");
	}
	if (!err)
		err = soak_verify(fd, generation, blocks);
	close(fd);
	if (!err)
		printf("%u requests, every block as last written\n", steps);
	return err;
}
