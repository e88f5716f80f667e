/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Load generator for vhost-user-blk back-ends: plays the guest's driver without a guest.
 *
 *	blkload fill FILE MIB                         an image with a pattern per block
 *	blkload run SOCKET MIB OP SIZE DEPTH SECONDS [poll] [packed]
 *
 * OP is randread, randwrite, read or write. It sleeps until the back-end interrupts, with `poll` it
 * looks at the used ring without end. Every block that is read is checked, unless MIB is 0: then
 * the disk stores nothing. `run` prints one line: operations, seconds, kicks, interrupts.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "drivers/ring.h"
#include "pattern.h"
#include "vhud.h"

#define DEPTH_MAX   128u
#define NULL_BLOCKS (UINT64_C(1) << 20)
#define CLOCK_TURNS 256u /* turns between two looks at the clock */

struct header {
	uint32_t type, reserved;
	uint64_t sector;
};

/* Header and status share a cache line, as in a Linux guest. */
struct request {
	struct header header;
	uint8_t status;
};

struct slot {
	struct drv_sg sg[3]; /* header, data, status */
	struct request *request;
	uint8_t *data;
	uint64_t block;
};

struct run {
	struct vhud *d;
	struct drv_ring *ring;
	struct slot slots[DEPTH_MAX];
	uint64_t blocks, next, random;
	unsigned size, depth;
	bool write, sequential, verify, poll;
	unsigned long ops, kicks, interrupts;
};

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
	return fsync(fd) ? 1 : 0;
}

static uint64_t next_block(struct run *r)
{
	unsigned n = r->size / BLOCK;

	if (r->sequential) {
		uint64_t b = r->next;

		r->next = b + 2 * n > r->blocks ? 0 : b + n;
		return b;
	}
	return random_below(&r->random, r->blocks / n) * n;
}

static int submit(struct run *r, struct slot *s)
{
	s->block = next_block(r);
	s->request->header = (struct header){ r->write, 0, s->block * (BLOCK / 512) };
	s->request->status = 0xff;
	for (unsigned i = 0; r->write && r->verify && i < r->size / BLOCK; i++)
		fill_block(s->data + i * BLOCK, s->block + i);
	return drv_ring_add(r->ring, s->sg, r->write ? 2 : 1, r->write ? 1 : 2, s);
}

static int check(const struct run *r, const struct slot *s)
{
	if (s->request->status) {
		fprintf(stderr, "block %llu: status %u\n", (unsigned long long)s->block,
			s->request->status);
		return -1;
	}
	for (unsigned i = 0; !r->write && r->verify && i < r->size / BLOCK; i++)
		if (!block_ok(s->data + i * BLOCK, s->block + i)) {
			fprintf(stderr, "block %llu: wrong data\n",
				(unsigned long long)s->block + i);
			return -1;
		}
	return 0;
}

static int set_up_slot(struct run *r, struct slot *s)
{
	uint8_t *data = vhud_alloc(r->d, r->size + BLOCK);

	s->request = vhud_alloc(r->d, sizeof(*s->request));
	if (!data || !s->request)
		return -1;
	s->data = (uint8_t *)align_up((uintptr_t)data, BLOCK);
	memset(s->data, 0, r->size);
	s->sg[0] = (struct drv_sg){ vhud_gpa(r->d, &s->request->header), sizeof(struct header) };
	s->sg[1] = (struct drv_sg){ vhud_gpa(r->d, s->data), r->size };
	s->sg[2] = (struct drv_sg){ vhud_gpa(r->d, &s->request->status), 1 };
	return 0;
}

static int set_up(struct run *r, const char *path, bool packed)
{
	struct vhud_opts o = {
		.features = FEATURE(VIRTIO_F_INDIRECT_DESC) | FEATURE(VIRTIO_F_EVENT_IDX) |
			    FEATURE(9) | (packed ? FEATURE(VIRTIO_F_RING_PACKED) : 0),
		.nqueues = 1,
		.queue_size = 128,
		.mem_size = 64 << 20,
	};

	r->d = vhud_open(path);
	if (!r->d || vhud_start(r->d, &o))
		return -1;
	if (packed && !(vhud_negotiated(r->d) & FEATURE(VIRTIO_F_RING_PACKED))) {
		fprintf(stderr, "no packed rings\n");
		return -1;
	}
	r->ring = vhud_ring(r->d, 0);
	for (unsigned i = 0; i < r->depth; i++)
		if (set_up_slot(r, &r->slots[i]))
			return -1;
	return 0;
}

static void publish(struct run *r)
{
	if (!drv_ring_publish(r->ring))
		return;
	vhud_signal(vhud_kick_fd(r->d, 0));
	r->kicks++;
}

/* Takes all answers that are there and sends as many new requests at once. */
static int turn(struct run *r)
{
	unsigned n = 0;
	uint32_t len;
	void *token;
	int ret;

	while ((ret = drv_ring_get(r->ring, &token, &len)) == 1) {
		if (check(r, token) || submit(r, token))
			return -1;
		n++;
	}
	if (n)
		publish(r);
	else
		cpu_relax();
	r->ops += n;
	return ret < 0 ? -1 : 0;
}

/* Sleeps until there is an answer. */
static int wait_used(struct run *r)
{
	struct pollfd p = { .fd = vhud_call_fd(r->d, 0), .events = POLLIN };

	while (!drv_ring_enable_interrupts(r->ring, 0)) {
		if (poll(&p, 1, VHUD_TIMEOUT_MS) < 1)
			return -1;
		r->interrupts += fd_event_clear(p.fd) > 0;
		if (drv_ring_used(r->ring))
			return 0;
	}
	return 0;
}

static int turns(struct run *r)
{
	if (!r->poll)
		return wait_used(r) || turn(r) ? -1 : 0;
	/* Again and again, as with EVENT_IDX it lasts for 65535 requests only. */
	drv_ring_disable_interrupts(r->ring);
	for (unsigned i = 0; i < CLOCK_TURNS; i++)
		if (turn(r))
			return -1;
	return 0;
}

static bool has_word(int argc, char **argv, const char *word)
{
	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], word))
			return true;
	return false;
}

static int run(int argc, char **argv)
{
	struct run r = { .blocks = strtoull(argv[1], NULL, 0) * 256,
		.write = strstr(argv[2], "write"),
		.sequential = strncmp(argv[2], "rand", 4) != 0,
		.size = (unsigned)atoi(argv[3]),
		.depth = (unsigned)atoi(argv[4]),
		.poll = has_word(argc - 6, argv + 6, "poll"),
		.random = 7 };
	uint64_t start, end;

	r.verify = r.blocks;
	if (!r.verify)
		r.blocks = NULL_BLOCKS;
	if (!r.depth || r.depth > DEPTH_MAX || r.size % BLOCK || !r.size ||
		set_up(&r, argv[0], has_word(argc - 6, argv + 6, "packed")))
		return 1;
	for (unsigned i = 0; i < r.depth; i++)
		if (submit(&r, &r.slots[i]))
			return 1;
	publish(&r);
	start = ev_now_ns();
	end = start + (uint64_t)(atof(argv[5]) * 1e9);
	while (ev_now_ns() < end)
		if (turns(&r))
			return 1;
	printf("%lu %.6f %lu %lu\n", r.ops, (double)(ev_now_ns() - start) / 1e9, r.kicks,
		r.interrupts);
	fflush(stdout);
	getchar(); /* the caller reads the back-end's counters before it may wind down */
	vhud_close(r.d);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "fill"))
		return fill(argv[2], strtoull(argv[3], NULL, 0));
	if (argc >= 8 && !strcmp(argv[1], "run"))
		return run(argc - 2, argv + 2);
	fprintf(stderr, "usage: blkload fill FILE MIB | run SOCKET MIB OP SIZE DEPTH SECONDS "
			"[poll] [packed]\n");
	return 2;
}
