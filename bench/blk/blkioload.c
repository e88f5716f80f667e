/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The load of blkload by a driver that is not ours: libblkio's for vhost-user-blk.
 *
 *	blkioload LIBRARY SOCKET MIB SIZE DEPTH SECONDS [poll]     random reads
 *
 * LIBRARY is the path of libblkio.so.1, which Debian 12 does not have: it is loaded when this runs,
 * and its interface (version 1) is declared here as its documentation says. Every block is checked,
 * unless MIB is 0. Prints operations and seconds.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/loop.h"
#include "base/util.h"
#include "pattern.h"

#define DEPTH_MAX   128u
#define NULL_BLOCKS (UINT64_C(1) << 20)

struct blkio;
struct blkioq;

struct mem_region {
	void *addr;
	size_t len;
	uint64_t iova;
	int64_t fd_offset;
	int fd;
	uint32_t flags;
};

struct completion {
	void *user_data;
	const char *error_msg;
	int ret;
	uint8_t reserved[12];
};

struct library {
	void *handle;
	const char *(*get_error_msg)(void);
	int (*create)(const char *driver, struct blkio **b);
	int (*set_str)(struct blkio *b, const char *name, const char *value);
	int (*connect)(struct blkio *b);
	int (*start)(struct blkio *b);
	void (*destroy)(struct blkio **b);
	int (*alloc_mem_region)(struct blkio *b, struct mem_region *region, size_t len);
	int (*map_mem_region)(struct blkio *b, const struct mem_region *region);
	struct blkioq *(*get_queue)(struct blkio *b, int index);
	void (*read)(struct blkioq *q, uint64_t start, void *buf, size_t len, void *user_data,
		uint32_t flags);
	int (*do_io)(struct blkioq *q, struct completion *completions, int min, int max,
		struct timespec *timeout);
};

struct slot {
	uint8_t *data;
	uint64_t block;
};

struct run {
	struct library lib;
	struct blkio *b;
	struct blkioq *q;
	struct slot slots[DEPTH_MAX];
	uint64_t blocks, random;
	unsigned size, depth;
	bool verify, poll;
	unsigned long ops;
};

static bool load_library(struct library *lib, const char *path)
{
	const struct {
		const char *name;
		void *to;
	} symbols[] = {
		{ "blkio_get_error_msg", &lib->get_error_msg },
		{ "blkio_create", &lib->create },
		{ "blkio_set_str", &lib->set_str },
		{ "blkio_connect", &lib->connect },
		{ "blkio_start", &lib->start },
		{ "blkio_destroy", &lib->destroy },
		{ "blkio_alloc_mem_region", &lib->alloc_mem_region },
		{ "blkio_map_mem_region", &lib->map_mem_region },
		{ "blkio_get_queue", &lib->get_queue },
		{ "blkioq_read", &lib->read },
		{ "blkioq_do_io", &lib->do_io },
	};

	lib->handle = dlopen(path, RTLD_NOW);
	for (unsigned i = 0; lib->handle && i < ARRAY_LEN(symbols); i++) {
		void *p = dlsym(lib->handle, symbols[i].name);

		if (!p)
			break;
		memcpy(symbols[i].to, &p, sizeof(p));
		if (i + 1 == ARRAY_LEN(symbols))
			return true;
	}
	fprintf(stderr, "%s\n", dlerror());
	return false;
}

static bool set_up(struct run *r, const char *socket)
{
	struct mem_region region;
	const struct library *l = &r->lib;

	if (l->create("virtio-blk-vhost-user", &r->b) || l->set_str(r->b, "path", socket) ||
		l->connect(r->b) || l->start(r->b) ||
		l->alloc_mem_region(r->b, &region, (size_t)r->size * r->depth) ||
		l->map_mem_region(r->b, &region)) {
		fprintf(stderr, "libblkio: %s\n", l->get_error_msg());
		return false;
	}
	memset(region.addr, 0, region.len);
	for (unsigned i = 0; i < r->depth; i++)
		r->slots[i].data = (uint8_t *)region.addr + (size_t)i * r->size;
	r->q = l->get_queue(r->b, 0);
	return true;
}

static void submit(struct run *r, struct slot *s)
{
	unsigned n = r->size / BLOCK;

	s->block = random_below(&r->random, r->blocks / n) * n;
	r->lib.read(r->q, s->block * BLOCK, s->data, r->size, s, 0);
}

static bool check(const struct run *r, const struct completion *c)
{
	const struct slot *s = c->user_data;

	for (unsigned i = 0; !c->ret && r->verify && i < r->size / BLOCK; i++)
		if (!block_ok(s->data + i * BLOCK, s->block + i)) {
			fprintf(stderr, "block %llu: wrong data\n",
				(unsigned long long)s->block + i);
			return false;
		}
	if (c->ret)
		fprintf(stderr, "block %llu: error %d\n", (unsigned long long)s->block, c->ret);
	return !c->ret;
}

/* Hands over what is submitted, takes what is done, and submits as much. */
static bool turn(struct run *r)
{
	struct completion done[DEPTH_MAX];
	int n = r->lib.do_io(r->q, done, r->poll ? 0 : 1, (int)r->depth, NULL);

	for (int i = 0; i < n; i++) {
		if (!check(r, &done[i]))
			return false;
		submit(r, done[i].user_data);
	}
	r->ops += n > 0 ? (unsigned)n : 0;
	return n >= 0;
}

static bool run(struct run *r, double seconds)
{
	uint64_t start = ev_now_ns(), end = start + (uint64_t)(seconds * 1e9);

	for (unsigned i = 0; i < r->depth; i++)
		submit(r, &r->slots[i]);
	while (ev_now_ns() < end)
		if (!turn(r))
			return false;
	printf("%lu %.6f\n", r->ops, (double)(ev_now_ns() - start) / 1e9);
	fflush(stdout);
	return true;
}

int main(int argc, char **argv)
{
	struct run r = { .random = 7 };

	if (argc < 7) {
		fprintf(stderr, "usage: blkioload LIBRARY SOCKET MIB SIZE DEPTH SECONDS [poll]\n");
		return 2;
	}
	r.blocks = strtoull(argv[3], NULL, 0) * 256;
	r.verify = r.blocks;
	if (!r.verify)
		r.blocks = NULL_BLOCKS;
	r.size = (unsigned)atoi(argv[4]);
	r.depth = (unsigned)atoi(argv[5]);
	r.poll = argc > 7 && !strcmp(argv[7], "poll");
	if (!r.size || r.size % BLOCK || !r.depth || r.depth > DEPTH_MAX)
		return 2;
	if (!load_library(&r.lib, argv[1]) || !set_up(&r, argv[2]) || !run(&r, atof(argv[6])))
		return 1;
	getchar(); /* as blkload */
	r.lib.destroy(&r.b);
	return 0;
}
