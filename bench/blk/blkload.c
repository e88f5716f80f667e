/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Load generator for vhost-user-blk back-ends: plays the guest's driver without a guest.
 *
 *	blkload fill FILE MIB                                  an image with a pattern per block
 *	blkload run SOCKET MIB OP SIZE DEPTH SECONDS           OP: randread, randwrite, read, write
 *
 * Every block that is read is checked. `run` prints one line: operations, seconds, used batches.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "vhud.h"

#define BLOCK	  4096u
#define DEPTH_MAX 128u

struct header {
	uint32_t type, reserved;
	uint64_t sector;
};

struct slot {
	struct iovec iov[3]; /* header, data, status */
	uint64_t block;
};

struct run {
	struct vhud *d;
	struct slot slots[DEPTH_MAX];
	uint64_t blocks, next, random;
	unsigned size, depth;
	bool write, sequential;
	unsigned long ops, batches;
};

static uint64_t pattern(uint64_t block)
{
	return (block + 1) * 0x9e3779b97f4a7c15u;
}

static void fill_block(void *p, uint64_t block)
{
	uint64_t *w = p;

	for (unsigned i = 0; i < BLOCK / 8; i++)
		w[i] = pattern(block) + i;
}

static bool block_ok(const void *p, uint64_t block)
{
	const uint64_t *w = p;

	return w[0] == pattern(block) && w[BLOCK / 8 - 1] == pattern(block) + BLOCK / 8 - 1;
}

static int fill(const char *path, uint64_t mib)
{
	autoclose int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	static uint64_t chunk[256 * BLOCK / 8];

	for (uint64_t m = 0; m < mib; m++) {
		for (unsigned i = 0; i < 256; i++)
			fill_block((uint8_t *)chunk + i * BLOCK, m * 256 + i);
		if (pwrite(fd, chunk, sizeof(chunk), (off_t)(m * sizeof(chunk))) != sizeof(chunk)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

static uint64_t next_block(struct run *r)
{
	unsigned n = r->size / BLOCK;

	if (r->sequential) {
		uint64_t b = r->next;

		r->next = b + 2 * n > r->blocks ? 0 : b + n;
		return b;
	}
	r->random = r->random * 6364136223846793005u + 1442695040888963407u;
	return (r->random >> 33) % (r->blocks / n) * n;
}

static int submit(struct run *r, struct slot *s)
{
	struct header *h = s->iov[0].iov_base;

	s->block = next_block(r);
	*h = (struct header){ r->write, 0, s->block * (BLOCK / 512) };
	*(uint8_t *)s->iov[2].iov_base = 0xff;
	for (unsigned i = 0; r->write && i < r->size / BLOCK; i++)
		fill_block((uint8_t *)s->iov[1].iov_base + i * BLOCK, s->block + i);
	return vhud_add(r->d, 0, s->iov, r->write ? 2 : 1, r->write ? 1 : 2, s);
}

static int check(const struct run *r, const struct slot *s)
{
	if (*(const uint8_t *)s->iov[2].iov_base) {
		fprintf(stderr, "block %llu: status %u\n", (unsigned long long)s->block,
			*(const uint8_t *)s->iov[2].iov_base);
		return -1;
	}
	for (unsigned i = 0; !r->write && i < r->size / BLOCK; i++)
		if (!block_ok((const uint8_t *)s->iov[1].iov_base + i * BLOCK, s->block + i)) {
			fprintf(stderr, "block %llu: wrong data\n",
				(unsigned long long)s->block + i);
			return -1;
		}
	return 0;
}

static int set_up(struct run *r, const char *path)
{
	struct vhud_opts o = { .features = UINT64_C(1) << 28 | UINT64_C(1) << 29 | 1 << 9,
		.nqueues = 1,
		.queue_size = 128,
		.mem_size = 64 << 20 };

	r->d = vhud_open(path);
	if (!r->d || vhud_start(r->d, &o))
		return -1;
	for (unsigned i = 0; i < r->depth; i++) {
		struct slot *s = &r->slots[i];
		uint8_t *data = vhud_alloc(r->d, r->size + BLOCK);

		data = (uint8_t *)align_up((uintptr_t)data, BLOCK);
		s->iov[0] = (struct iovec){ vhud_alloc(r->d, sizeof(struct header)),
			sizeof(struct header) };
		s->iov[1] = (struct iovec){ data, r->size };
		s->iov[2] = (struct iovec){ vhud_alloc(r->d, 1), 1 };
	}
	return 0;
}

/* Waits for one answer, takes all that are there, and sends as many new requests at once. */
static int turn(struct run *r)
{
	int timeout = VHUD_TIMEOUT_MS;
	void *token;

	while (vhud_wait(r->d, 0, &token, NULL, timeout) == 1) {
		if (check(r, token) || submit(r, token))
			return -1;
		r->ops++;
		timeout = 0;
	}
	vhud_kick(r->d, 0);
	r->batches++;
	return timeout ? -1 : 0;
}

static int run(char **argv)
{
	struct run r = { .blocks = strtoull(argv[1], NULL, 0) * 256,
		.write = strstr(argv[2], "write"),
		.sequential = strncmp(argv[2], "rand", 4) != 0,
		.size = (unsigned)atoi(argv[3]),
		.depth = (unsigned)atoi(argv[4]),
		.random = 7 };
	uint64_t start, end;

	if (!r.depth || r.depth > DEPTH_MAX || r.size % BLOCK || !r.size || set_up(&r, argv[0]))
		return 1;
	for (unsigned i = 0; i < r.depth; i++)
		if (submit(&r, &r.slots[i]))
			return 1;
	vhud_kick(r.d, 0);
	start = ev_now_ns();
	end = start + (uint64_t)(atof(argv[5]) * 1e9);
	while (ev_now_ns() < end)
		if (turn(&r))
			return 1;
	printf("%lu %.6f %lu\n", r.ops, (double)(ev_now_ns() - start) / 1e9, r.batches);
	fflush(stdout);
	getchar(); /* the caller reads the back-end's counters before it may wind down */
	vhud_close(r.d);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "fill"))
		return fill(argv[2], strtoull(argv[3], NULL, 0));
	if (argc == 8 && !strcmp(argv[1], "run"))
		return run(argv + 2);
	fprintf(stderr, "usage: blkload fill FILE MIB | run SOCKET MIB OP SIZE DEPTH SECONDS\n");
	return 2;
}
