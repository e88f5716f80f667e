/* SPDX-License-Identifier: BSD-3-Clause */
/* The block device behind vhost-user: requests, errors, caches, rings, resets. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "devices/devices.h"
#include "host/disk.h"
#include "load.h"
#include "loopdev.h"
#include "vhud_server.h"

#define SECTORS 32768u /* 16 MiB */
#define CANARY	0xc5
#define MEM	(128u << 10)
#define ALL_RINGS                                                                                  \
	(FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_F_RING_PACKED) |                             \
		FEATURE(VIRTIO_F_INDIRECT_DESC) | FEATURE(VIRTIO_F_EVENT_IDX) |                    \
		FEATURE(VIRTIO_F_IN_ORDER))
#define ALL_BLK UINT64_C(0x1fffe)

enum { T_GET_ID = 8, T_GET_LIFETIME = 10, T_DISCARD = 11, T_SECURE_ERASE = 14 };
enum { OK, IOERR, UNSUPP };
enum {
	F_SEG_MAX = 2,
	F_RO = 5,
	F_BLK_SIZE = 6,
	F_FLUSH = 9,
	F_TOPOLOGY = 10,
	F_CONFIG_WCE = 11,
	F_MQ = 12,
	F_DISCARD = 13,
	F_WRITE_ZEROES = 14,
	F_LIFETIME = 15,
	F_ERASE = 16
};

/* Offsets in the configuration space (VIRTIO 1.4, 5.2.4). */
enum {
	C_CAPACITY = 0,
	C_SEG_MAX = 12,
	C_BLK_SIZE = 20,
	C_TOPOLOGY = 24,
	C_WRITEBACK = 32,
	C_NUM_QUEUES = 34,
	C_DISCARD_SEG = 40,
	C_MAY_UNMAP = 56
};

/* The program is linked with --wrap: what the device asks of an image in memory. */
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
ssize_t __real_pwritev64v2(int fd, const struct iovec *iov, int n, off_t offset, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int n, off_t offset, int flags);
static atomic_uint syncs, plain_writes, stable_writes;
static atomic_int write_error;

int __wrap_fdatasync(int fd)
{
	syncs++;
	return __real_fdatasync(fd);
}

ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	if (flags & RWF_DSYNC)
		stable_writes++;
	else
		plain_writes++;
	errno = write_error;
	return write_error ? -1 : __real_pwritev64v2(fd, iov, n, offset, flags);
}

/* A device on a fresh image, and its driver. */
struct fixture {
	char path[64];
	struct vhud_server srv;
	struct vhud *d;
	uint8_t *mem; /* guest memory for one request */
};

static bool make_image(struct tap *t, struct fixture *f, const char *folder)
{
	int fd;

	memset(f, 0, sizeof(*f));
	snprintf(f->path, sizeof(f->path), "%s/avp-blk-XXXXXX", folder);
	fd = mkstemp(f->path);
	return CHECK(t, fd >= 0) && CHECK_EQ(t, ftruncate(fd, SECTORS * 512), 0) &&
	       CHECK_EQ(t, close(fd), 0);
}

static bool start(struct tap *t, struct fixture *f, uint64_t features)
{
	struct vhud_opts o = { .features = features, .nqueues = 1 };

	f->d = vhud_open(f->srv.path);
	if (!CHECK(t, f->d) || !CHECK_EQ(t, vhud_start(f->d, &o), 0))
		return false;
	f->mem = vhud_alloc(f->d, MEM);
	return CHECK(t, f->mem);
}

/* The usual device, with one more key. */
static bool set_up(
	struct tap *t, struct fixture *f, uint64_t features, const char *key, const char *value)
{
	return make_image(t, f, "/dev/shm") &&
	       CHECK_EQ(t, vhud_serve(&f->srv, &vdev_blk, "image", f->path, key, value, NULL), 0) &&
	       start(t, f, features);
}

static void tear_down(struct fixture *f)
{
	vhud_close(f->d);
	vhud_serve_end(&f->srv);
	unlink(f->path);
}

/* One request with `out_len` bytes that the device reads, from f->mem, and `in_len` that it writes,
 * behind them and full of canaries. Returns the used length. */
static int exchange(struct fixture *f, size_t out_len, size_t in_len)
{
	struct iovec iov[2] = { { f->mem, out_len }, { f->mem + out_len, in_len } };
	uint32_t used;

	memset(f->mem + out_len, CANARY, in_len);
	if (vhud_add(f->d, 0, iov, 1, 1, NULL))
		return -1;
	vhud_kick(f->d, 0);
	return vhud_wait(f->d, 0, NULL, &used, VHUD_TIMEOUT_MS) == 1 ? (int)used : -1;
}

/* One request of a type, with its data. Returns its status, or 0x1000 + the used length if that
 * does not cover the status. */
static int request(struct fixture *f, uint32_t type, uint64_t sector, void *data, size_t len)
{
	bool reads = type == BLK_T_IN || type == T_GET_ID || type == T_GET_LIFETIME;
	size_t out_len = sizeof(struct blk_hdr) + (reads ? 0 : len), in_len = reads ? len : 0;
	uint8_t *in = f->mem + out_len;
	int used;

	*(struct blk_hdr *)(void *)f->mem = (struct blk_hdr){ type, 0, sector };
	if (!reads && len)
		memcpy(f->mem + sizeof(struct blk_hdr), data, len);
	used = exchange(f, out_len, in_len + 1);
	if (reads && len)
		memcpy(data, in, len);
	if (used != (int)in_len + 1)
		return 0x1000 + used;
	return in[in_len];
}

static uint64_t blocks(const struct fixture *f)
{
	struct stat st;

	return stat(f->path, &st) ? 0 : (uint64_t)st.st_blocks;
}

static void every_request(struct tap *t)
{
	uint8_t a[8192], b[8192];
	char id[20];
	struct blk_range r[2] = { { 0, 8, 0 }, { 8, 4, 0 } };
	struct fixture f;

	if (!set_up(t, &f, ALL_RINGS | ALL_BLK, "serial", "AVP-0001"))
		return;
	memset(a, 0x5a, sizeof(a));
	CHECK_EQ(t, request(&f, BLK_T_OUT, 0, a, sizeof(a)), OK);
	CHECK_EQ(t, request(&f, BLK_T_IN, 0, b, sizeof(b)), OK);
	CHECK(t, !memcmp(a, b, sizeof(a)));
	CHECK_EQ(t, request(&f, BLK_T_OUT, SECTORS - 1, a, 512), OK);
	CHECK_EQ(t, request(&f, BLK_T_IN, SECTORS - 1, b, 512), OK);
	CHECK_EQ(t, request(&f, BLK_T_FLUSH, 0, NULL, 0), OK);
	CHECK_EQ(t, request(&f, T_GET_ID, 0, id, sizeof(id)), OK);
	CHECK(t, !memcmp(id, "AVP-0001\0\0\0\0\0\0\0\0\0\0\0", 20));
	CHECK_EQ(t, request(&f, BLK_T_WRITE_ZEROES, 0, r, sizeof(r)), OK);
	CHECK_EQ(t, request(&f, BLK_T_IN, 0, b, sizeof(b)), OK);
	for (unsigned i = 0; i < sizeof(b); i++)
		if (!CHECK_EQ(t, b[i], i < 12 * 512 ? 0 : 0x5a))
			break;
	CHECK_EQ(t, request(&f, T_DISCARD, 0, r, sizeof(r)), OK);
	CHECK_EQ(t, vhud_serve_metric(&f.srv, "reads"), 3);
	CHECK_EQ(t, vhud_serve_metric(&f.srv, "writes"), 2);
	CHECK_EQ(t, vhud_serve_metric(&f.srv, "flushes"), 1);
	CHECK_EQ(t, vhud_serve_metric(&f.srv, "discards"), 1);
	CHECK_EQ(t, vhud_serve_metric(&f.srv, "zeroings"), 1);
	CHECK_EQ(t, vhud_serve_metric(&f.srv, "read_bytes"), 2 * 8192 + 512);
	CHECK_EQ(t, vhud_serve_metric(&f.srv, "written_bytes"), 8192 + 512);
	CHECK_EQ(t, vhud_serve_metric(&f.srv, "errors") + vhud_serve_metric(&f.srv, "unsupported"),
		0);
	tear_down(&f);
}

static void every_error(struct tap *t)
{
	static const struct {
		uint32_t type;
		uint64_t sector;
		unsigned len;
		int status;
	} cases[] = {
		{ BLK_T_IN, SECTORS, 512, IOERR },
		{ BLK_T_IN, SECTORS - 1, 1024, IOERR },
		{ BLK_T_IN, UINT64_MAX, 512, IOERR },
		{ BLK_T_IN, UINT64_MAX / 512 + 1, 512, IOERR },
		{ BLK_T_IN, 0, 511, IOERR },
		{ BLK_T_IN, 0, 513, IOERR },
		{ BLK_T_IN, 0, 0, OK }, /* zero sectors are as many as asked for */
		{ BLK_T_IN, SECTORS, 0, OK },
		{ BLK_T_IN, SECTORS + 1, 0, IOERR },
		{ BLK_T_OUT, SECTORS, 512, IOERR },
		{ BLK_T_OUT, SECTORS - 1, 1024, IOERR },
		{ BLK_T_OUT, UINT64_MAX, 512, IOERR },
		{ BLK_T_OUT, 0, 100, IOERR },
		{ BLK_T_OUT, 0, 0, OK },
		{ T_GET_ID, 0, 19, IOERR },
		{ T_GET_LIFETIME, 0, 6, UNSUPP }, /* not offered */
		{ T_SECURE_ERASE, 0, 16, UNSUPP },
		{ 2, 0, 512, UNSUPP },
		{ 16, 0, 512, UNSUPP }, /* zone report: MUST, without ZONED */
		{ 0x80000000, 0, 512, UNSUPP },
		{ T_DISCARD, 0, 0, IOERR },
		{ T_DISCARD, 0, 15, IOERR },
		{ T_DISCARD, 0, 17 * 16, IOERR }, /* more than max_discard_seg */
		{ BLK_T_WRITE_ZEROES, 0, 0, IOERR },
		{ BLK_T_WRITE_ZEROES, 0, 24, IOERR },
		{ BLK_T_WRITE_ZEROES, 0, 17 * 16, IOERR },
	};
	uint8_t data[4096];
	uint64_t errors = 0, unsupported = 0;
	struct fixture f;

	if (!set_up(t, &f, ALL_RINGS | ALL_BLK, "readonly", "false"))
		return;
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		memset(data, 0, sizeof(data));
		if (!CHECK_EQ(t, request(&f, cases[i].type, cases[i].sector, data, cases[i].len),
			    cases[i].status))
			printf("# case %u\n", i);
		errors += cases[i].status == IOERR;
		unsupported += cases[i].status == UNSUPP;
		/* What the used length covers was written (2.7.8.2). */
		if (cases[i].type == BLK_T_IN && cases[i].len)
			CHECK(t, data[0] == 0 && data[cases[i].len - 1] == 0);
	}
	CHECK_EQ(t, vhud_serve_metric(&f.srv, "errors"), errors);
	CHECK_EQ(t, vhud_serve_metric(&f.srv, "unsupported"), unsupported);
	CHECK_EQ(t, blocks(&f), 0);
	tear_down(&f);
}

static void bad_segments(struct tap *t)
{
	static const struct {
		uint32_t type;
		struct blk_range r;
		int status;
	} cases[] = {
		{ T_DISCARD, { 0, 8, 1 }, UNSUPP }, /* unmap: MUST, 5.2.6.2 */
		{ T_DISCARD, { 0, 8, 2 }, UNSUPP },
		{ T_DISCARD, { SECTORS, 1, 0 }, IOERR },
		{ T_DISCARD, { SECTORS - 1, 2, 0 }, IOERR },
		{ T_DISCARD, { UINT64_MAX, 1, 0 }, IOERR },
		{ T_DISCARD, { 0, UINT32_MAX, 0 }, IOERR },
		{ T_DISCARD, { 0, 0, 0 }, OK },
		{ BLK_T_WRITE_ZEROES, { 0, 8, 2 }, UNSUPP },
		{ BLK_T_WRITE_ZEROES, { 0, 8, 0x80000001 }, UNSUPP },
		{ BLK_T_WRITE_ZEROES, { SECTORS - 1, 2, 1 }, IOERR },
	};
	uint8_t a[4096], b[4096];
	struct fixture f;

	if (!set_up(t, &f, ALL_RINGS | ALL_BLK, "readonly", "false"))
		return;
	memset(a, 0x77, sizeof(a));
	CHECK_EQ(t, request(&f, BLK_T_OUT, 0, a, sizeof(a)), OK);
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		/* A good segment before the bad one must not take effect either. */
		struct blk_range r[2] = { { 0, cases[i].status == OK ? 0 : 8, 0 }, cases[i].r };

		if (!CHECK_EQ(t, request(&f, cases[i].type, 0, r, sizeof(r)), cases[i].status))
			printf("# case %u\n", i);
	}
	CHECK_EQ(t, request(&f, BLK_T_IN, 0, b, sizeof(b)), OK);
	CHECK(t, !memcmp(a, b, sizeof(a)));
	tear_down(&f);
}

/* Header, data and status cut anywhere (VIRTIO 1.4, 2.7.4: no assumptions about framing). */
static void any_layout(struct tap *t)
{
	const unsigned cuts[][3] = { { 1, 512, 1 }, { 7, 100, 0 }, { 16, 1024, 1 }, { 15, 1, 0 } };
	struct fixture f;
	uint8_t *m;

	if (!set_up(t, &f, FEATURE(VIRTIO_F_VERSION_1), "readonly", "false"))
		return;
	m = vhud_alloc(f.d, 8192);
	for (unsigned i = 0; i < ARRAY_LEN(cuts); i++) {
		const unsigned h = cuts[i][0], c = cuts[i][1];
		struct iovec w[4] = { { m, h }, { m + h, 16 - h + c }, { m + 16 + c, 1024 - c },
			{ m + 4096, 1 } };
		/* Read: the status shares the last buffer with data, or has its own. */
		struct iovec r[5] = { { m, h }, { m + h, 16 - h }, { m + 2048, c },
			{ m + 2048 + c, 1024 - c }, { m + 3072, 1 } };
		unsigned n_in = 3, n_out = 2, skip = 0;
		uint32_t len;

		memset(m, 0, 8192);
		*(struct blk_hdr *)(void *)m = (struct blk_hdr){ BLK_T_OUT, 0, 3 };
		memset(m + 16, 0x10 + (int)i, 1024);
		m[4096] = 0xff;
		n_out = c == 1024 ? 2 : 3;
		if (n_out == 2)
			w[2] = w[3];
		CHECK_EQ(t, vhud_add(f.d, 0, w, n_out, 1, NULL), 0);
		vhud_kick(f.d, 0);
		CHECK_EQ(t, vhud_wait(f.d, 0, NULL, &len, VHUD_TIMEOUT_MS), 1);
		CHECK(t, len == 1 && m[4096] == OK);

		*(struct blk_hdr *)(void *)m = (struct blk_hdr){ BLK_T_IN, 0, 3 };
		n_out = h == 16 ? 1 : 2;
		if (n_out == 1) {
			r[1] = r[0];
			skip = 1;
		}
		if (!cuts[i][2]) { /* one buffer for the rest of the data and the status */
			r[3].iov_len++;
			n_in = 2;
		} else if (c == 1024) {
			r[3] = r[4];
			n_in = 2;
		}
		CHECK_EQ(t, vhud_add(f.d, 0, r + skip, n_out, n_in, NULL), 0);
		vhud_kick(f.d, 0);
		CHECK_EQ(t, vhud_wait(f.d, 0, NULL, &len, VHUD_TIMEOUT_MS), 1);
		CHECK_EQ(t, len, 1025);
		CHECK_EQ(t, m[3072], OK);
		CHECK(t, m[2048] == 0x10 + i && m[3071] == 0x10 + i && !m[3073]);
	}
	tear_down(&f);
}

static void short_header(struct tap *t)
{
	const uint8_t *in;
	struct fixture f;

	if (!set_up(t, &f, ALL_RINGS | ALL_BLK, "readonly", "false"))
		return;
	memset(f.mem, 0, 16);
	in = f.mem + 15;
	CHECK_EQ(t, exchange(&f, 15, 513), 513);
	CHECK(t, in[512] == IOERR && in[0] == 0 && in[511] == 0);
	tear_down(&f);
}

/* Data in the direction that its request does not have is an error, not a success for nothing. */
static void wrong_direction(struct tap *t)
{
	static const uint32_t to_read[] = { BLK_T_IN, T_GET_ID };
	static const uint32_t to_write[] = { BLK_T_OUT, T_DISCARD, BLK_T_WRITE_ZEROES };
	struct fixture f;

	if (!set_up(t, &f, ALL_RINGS | ALL_BLK, "readonly", "false"))
		return;
	for (unsigned i = 0; i < ARRAY_LEN(to_read); i++) {
		*(struct blk_hdr *)(void *)f.mem = (struct blk_hdr){ to_read[i], 0, 0 };
		CHECK_EQ(t, exchange(&f, 16 + 512, 1), 1);
		CHECK_EQ(t, f.mem[16 + 512], IOERR);
	}
	for (unsigned i = 0; i < ARRAY_LEN(to_write); i++) {
		*(struct blk_hdr *)(void *)f.mem = (struct blk_hdr){ to_write[i], 0, 0 };
		CHECK_EQ(t, exchange(&f, 16, 512 + 1), 513);
		CHECK_EQ(t, f.mem[16 + 512], IOERR);
	}
	CHECK_EQ(t, blocks(&f), 0);
	tear_down(&f);
}

/* Without a place for the status nothing can be answered: the device needs a reset, and is well
 * after it. */
static void no_status_byte(struct tap *t)
{
	struct blk_hdr *h;
	struct iovec iov;
	struct vhud_opts o = { .features = ALL_RINGS | ALL_BLK, .nqueues = 1 };
	uint8_t data[512];
	struct fixture f;

	if (!set_up(t, &f, o.features, "readonly", "false"))
		return;
	h = vhud_alloc(f.d, sizeof(*h));
	iov = (struct iovec){ h, sizeof(*h) };
	CHECK_EQ(t, vhud_add(f.d, 0, &iov, 1, 0, NULL), 0);
	vhud_kick(f.d, 0);
	CHECK(t, vhud_needs_reset(f.d));
	CHECK_EQ(t, vhud_wait(f.d, 0, NULL, NULL, 0), 0);
	CHECK_EQ(t, vhud_reset(f.d), 0);
	CHECK_EQ(t, vhud_start(f.d, &o), 0);
	CHECK_EQ(t, request(&f, BLK_T_IN, 0, data, sizeof(data)), OK);
	tear_down(&f);
}

/* As many buffers as the queue has descriptors, direct and indirect. */
static void longest_chains(struct tap *t)
{
	enum { N = 64 };
	const uint64_t features[] = { 0, FEATURE(VIRTIO_F_INDIRECT_DESC),
		FEATURE(VIRTIO_F_RING_PACKED),
		FEATURE(VIRTIO_F_RING_PACKED) | FEATURE(VIRTIO_F_INDIRECT_DESC) };

	for (unsigned k = 0; k < ARRAY_LEN(features); k++) {
		struct iovec iov[N];
		struct fixture f;
		uint32_t len;
		uint8_t *m;

		if (!set_up(t, &f, FEATURE(VIRTIO_F_VERSION_1) | features[k], "readonly", "false"))
			return;
		m = vhud_alloc(f.d, 65536);
		memset(m, CANARY, 65536);
		*(struct blk_hdr *)(void *)m = (struct blk_hdr){ BLK_T_IN, 0, 0 };
		iov[0] = (struct iovec){ m, 16 };
		for (unsigned i = 1; i < N; i++)
			iov[i] = (struct iovec){ m + i * 1024, i == N - 1 ? 1 : 512 };
		CHECK_EQ(t, vhud_add(f.d, 0, iov, 1, N - 1, NULL), 0);
		vhud_kick(f.d, 0);
		CHECK_EQ(t, vhud_wait(f.d, 0, NULL, &len, VHUD_TIMEOUT_MS), 1);
		CHECK_EQ(t, len, (N - 2) * 512 + 1);
		CHECK_EQ(t, m[(N - 1) * 1024], OK);
		for (unsigned i = 1; i < N - 1; i++)
			CHECK(t, !m[i * 1024] && !m[i * 1024 + 511] && m[i * 1024 + 512] == CANARY);
		tear_down(&f);
	}
}

static void configuration(struct tap *t)
{
	static const uint64_t always = FEATURE(F_SEG_MAX) | FEATURE(F_BLK_SIZE) | FEATURE(F_FLUSH) |
				       FEATURE(F_TOPOLOGY) | FEATURE(F_CONFIG_WCE) |
				       FEATURE(F_DISCARD) | FEATURE(F_WRITE_ZEROES);
	struct {
		uint8_t physical_exp, alignment;
		uint16_t min_io;
		uint32_t opt_io;
	} topology;
	uint64_t capacity;
	uint32_t v;
	uint16_t n;
	uint8_t b;
	struct fixture f;

	if (!set_up(t, &f, ALL_RINGS | ALL_BLK, "queues", "3"))
		return;
	CHECK_EQ(t, vhud_config_read(f.d, C_CAPACITY, &capacity, 8), 0);
	CHECK_EQ(t, capacity, SECTORS);
	CHECK_EQ(t, vhud_config_read(f.d, C_SEG_MAX, &v, 4), 0);
	CHECK_EQ(t, v, 254);
	CHECK_EQ(t, vhud_config_read(f.d, C_BLK_SIZE, &v, 4), 0);
	CHECK_EQ(t, v, 512);
	/* Blocks of the file system: 4 KiB, eight logical ones. */
	CHECK_EQ(t, vhud_config_read(f.d, C_TOPOLOGY, &topology, sizeof(topology)), 0);
	CHECK_EQ(t, topology.physical_exp, 3);
	CHECK_EQ(t, topology.alignment, 0);
	CHECK_EQ(t, topology.min_io, 8);
	CHECK_EQ(t, topology.opt_io, 0);
	CHECK_EQ(t, vhud_config_read(f.d, C_NUM_QUEUES, &n, 2), 0);
	CHECK_EQ(t, n, 3);
	CHECK_EQ(t, vhud_config_read(f.d, C_WRITEBACK, &b, 1), 0);
	CHECK_EQ(t, b, 1);
	CHECK_EQ(t, vhud_config_read(f.d, C_DISCARD_SEG, &v, 4), 0);
	CHECK_EQ(t, v, 16);
	CHECK_EQ(t, vhud_config_read(f.d, C_MAY_UNMAP, &b, 1), 0);
	CHECK_EQ(t, b, 1);
	CHECK_EQ(t, vhud_features(f.d) & always, always);
	CHECK(t, vhud_features(f.d) & FEATURE(F_MQ));
	CHECK(t, !(vhud_features(f.d) & (FEATURE(F_RO) | FEATURE(F_LIFETIME) | FEATURE(F_ERASE))));
	tear_down(&f);
}

/* VIRTIO 1.4, 5.2.6.2: when a completed write is stable, seen by what reaches the file. */
static void write_cache(struct tap *t)
{
	uint8_t data[512] = { 0 }, b;
	struct blk_range r = { 0, 1, 0 };
	struct fixture f;

	if (!set_up(t, &f, ALL_RINGS | ALL_BLK, "cache", "writeback"))
		return;
	syncs = plain_writes = stable_writes = 0;
	CHECK_EQ(t, request(&f, BLK_T_OUT, 0, data, 512), OK);
	CHECK(t, plain_writes == 1 && !stable_writes && !syncs);
	CHECK_EQ(t, request(&f, BLK_T_FLUSH, 0, NULL, 0), OK);
	CHECK_EQ(t, syncs, 1);
	b = 0; /* the switch flushes, and from now on each write is stable when it completes */
	CHECK_EQ(t, vhud_config_write(f.d, C_WRITEBACK, &b, 1), 0);
	CHECK_EQ(t, vhud_config_read(f.d, C_WRITEBACK, &b, 1), 0);
	CHECK_EQ(t, b, 0);
	CHECK_EQ(t, syncs, 2);
	CHECK_EQ(t, request(&f, BLK_T_OUT, 0, data, 512), OK);
	CHECK(t, plain_writes == 1 && stable_writes == 1);
	CHECK_EQ(t, vhud_serve_metric(&f.srv, "storage_syncs"), 3);
	CHECK_EQ(t, request(&f, BLK_T_WRITE_ZEROES, 0, &r, sizeof(r)), OK);
	CHECK_EQ(t, vhud_serve_metric(&f.srv, "storage_syncs"), 4);
	b = 1;
	CHECK_EQ(t, vhud_config_write(f.d, C_WRITEBACK, &b, 1), 0);
	CHECK_EQ(t, request(&f, BLK_T_OUT, 0, data, 512), OK);
	CHECK(t, plain_writes == 2 && stable_writes == 1);
	tear_down(&f);
}

/* Which mode a driver gets, by the features it accepts and the configured cache. */
static void write_cache_negotiation(struct tap *t)
{
	static const struct {
		const char *cache;
		uint64_t features;
		bool stable;
	} cases[] = {
		{ "writeback", 0, true }, /* a driver that cannot flush */
		{ "writeback", FEATURE(F_FLUSH), false },
		{ "writeback", FEATURE(F_CONFIG_WCE), true }, /* MUST, 5.2.5.2 */
		{ "writeback", FEATURE(F_FLUSH) | FEATURE(F_CONFIG_WCE), false },
		{ "writethrough", FEATURE(F_FLUSH), true },
		{ "writethrough", FEATURE(F_FLUSH) | FEATURE(F_CONFIG_WCE), true },
	};
	uint8_t data[512] = { 0 }, b;

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture f;

		if (!set_up(t, &f, cases[i].features, "cache", cases[i].cache))
			return;
		plain_writes = stable_writes = 0;
		CHECK_EQ(t, request(&f, BLK_T_OUT, 0, data, 512), OK);
		if (!CHECK(t, stable_writes == cases[i].stable && plain_writes == !cases[i].stable))
			printf("# case %u\n", i);
		if (cases[i].features & FEATURE(F_CONFIG_WCE)) {
			CHECK_EQ(t, vhud_config_read(f.d, C_WRITEBACK, &b, 1), 0);
			CHECK_EQ(t, b, !cases[i].stable);
		}
		tear_down(&f);
	}
}

static void storage_errors(struct tap *t)
{
	uint8_t data[512] = { 0 };
	struct fixture f;

	if (!set_up(t, &f, ALL_RINGS | ALL_BLK, "cache", "writeback"))
		return;
	write_error = ENOSPC;
	CHECK_EQ(t, request(&f, BLK_T_OUT, 0, data, 512), IOERR);
	write_error = EIO;
	CHECK_EQ(t, request(&f, BLK_T_OUT, 0, data, 512), IOERR);
	write_error = 0;
	CHECK_EQ(t, request(&f, BLK_T_OUT, 0, data, 512), OK);
	CHECK_EQ(t, vhud_serve_metric(&f.srv, "errors"), 2);
	tear_down(&f);
}

static void read_only(struct tap *t)
{
	uint8_t data[512];
	struct blk_range r = { 0, 8, 0 };
	struct fixture f;

	if (!set_up(t, &f, ALL_RINGS | ALL_BLK, "readonly", "true"))
		return;
	CHECK(t, vhud_features(f.d) & FEATURE(F_RO));
	CHECK(t, !(vhud_features(f.d) & FEATURE(F_DISCARD)));
	CHECK_EQ(t, request(&f, BLK_T_IN, 0, data, 512), OK);
	memset(data, 1, sizeof(data));
	CHECK_EQ(t, request(&f, BLK_T_OUT, 0, data, 512), IOERR);
	CHECK_EQ(t, request(&f, BLK_T_WRITE_ZEROES, 0, &r, sizeof(r)), UNSUPP);
	CHECK_EQ(t, request(&f, T_DISCARD, 0, &r, sizeof(r)), UNSUPP);
	CHECK_EQ(t, request(&f, BLK_T_FLUSH, 0, NULL, 0), OK);
	CHECK_EQ(t, blocks(&f), 0);
	tear_down(&f);
}

static void discard_frees_blocks(struct tap *t)
{
	uint8_t data[32768];
	struct blk_range r = { 0, 32, 0 };
	uint64_t before;
	struct fixture f;

	if (!set_up(t, &f, ALL_RINGS | ALL_BLK, "secure-erase", "overwrite"))
		return;
	memset(data, 1, sizeof(data));
	CHECK_EQ(t, request(&f, BLK_T_OUT, 0, data, sizeof(data)), OK);
	before = blocks(&f);
	CHECK_EQ(t, request(&f, T_DISCARD, 0, &r, sizeof(r)), OK);
	CHECK_EQ(t, before - blocks(&f), 32);
	r.sector = 32;
	r.num_sectors = 16;
	CHECK_EQ(t, request(&f, T_SECURE_ERASE, 0, &r, sizeof(r)), OK);
	CHECK_EQ(t, before - blocks(&f), 48);
	r.flags = 1;
	r.sector = 48;
	CHECK_EQ(t, request(&f, BLK_T_WRITE_ZEROES, 0, &r, sizeof(r)), OK);
	CHECK_EQ(t, blocks(&f), 0);
	tear_down(&f);
	/* With discard: false the blocks stay. */
	if (!set_up(t, &f, ALL_RINGS | ALL_BLK, "discard", "false"))
		return;
	CHECK_EQ(t, request(&f, BLK_T_OUT, 0, data, sizeof(data)), OK);
	CHECK_EQ(t, request(&f, BLK_T_WRITE_ZEROES, 0, &r, sizeof(r)), OK);
	CHECK_EQ(t, blocks(&f), before);
	CHECK_EQ(t, request(&f, T_DISCARD, 0, &r, sizeof(r)), UNSUPP);
	tear_down(&f);
}

/* A verified load under every combination of ring features, in memory and on storage. */
static void load_on_every_ring(struct tap *t)
{
	static const unsigned bits[] = { VIRTIO_F_RING_PACKED, VIRTIO_F_INDIRECT_DESC,
		VIRTIO_F_EVENT_IDX, VIRTIO_F_IN_ORDER };

	for (unsigned k = 0; k < 16; k++) {
		struct vhud_opts o = { .features = ALL_BLK, .nqueues = 1, .queue_size = 256 };
		struct fixture f;
		struct load l;

		for (unsigned i = 0; i < ARRAY_LEN(bits); i++)
			if (k >> i & 1)
				o.features |= FEATURE(bits[i]);
		if (!make_image(t, &f, k % 3 ? "/dev/shm" : "/var/tmp"))
			return;
		CHECK_EQ(t, vhud_serve(&f.srv, &vdev_blk, "image", f.path, NULL), 0);
		f.d = vhud_open(f.srv.path);
		REQUIRE(t, f.d && !vhud_start(f.d, &o));
		CHECK_EQ(t, vhud_negotiated(f.d) & o.features & ALL_RINGS, o.features & ALL_RINGS);
		CHECK(t, load_init(&l, t, f.d, 1, 2048) && load_run(&l, 1500) && load_settle(&l) &&
				 load_verify(&l, f.path));
		load_finish(&l);
		tear_down(&f);
	}
}

static void load_on_many_queues(struct tap *t)
{
	struct vhud_opts o = { .features = ALL_BLK | (ALL_RINGS & ~FEATURE(VIRTIO_F_RING_PACKED)),
		.nqueues = 4 };
	struct fixture f;
	struct load l;

	REQUIRE(t, make_image(t, &f, "/var/tmp"));
	REQUIRE(t, !vhud_serve(&f.srv, &vdev_blk, "image", f.path, "queues", "4", NULL));
	f.d = vhud_open(f.srv.path);
	REQUIRE(t, f.d && !vhud_start(f.d, &o));
	CHECK(t, load_init(&l, t, f.d, 4, 1024) && load_run(&l, 3000));
	/* One queue stops with requests in flight and goes on; none is lost, the others do not
	 * care. */
	for (unsigned i = 0; i < 20; i++) {
		uint32_t base;

		load_submit(&l);
		CHECK_EQ(t, vhud_queue_stop(f.d, i % 4, &base), 0);
		CHECK_EQ(t, vhud_queue_resume(f.d, i % 4, base), 0);
		if (!load_run(&l, 50))
			break;
	}
	CHECK(t, load_settle(&l) && load_verify(&l, f.path));
	load_finish(&l);
	tear_down(&f);
}

/* After a reset nothing of before may touch guest memory or the image's readers. */
static void reset_in_flight(struct tap *t)
{
	enum { N = 50, LEN = 16384 };
	struct vhud_opts o = { .features = ALL_BLK | ALL_RINGS, .nqueues = 1, .queue_size = 256 };
	struct fixture f;
	static uint8_t blocks_of_image[N * LEN];
	uint8_t data[512];
	int fd;

	/* Blocks that exist, so that reading them takes a while. */
	REQUIRE(t, make_image(t, &f, "/var/tmp"));
	fd = open(f.path, O_RDWR | O_CLOEXEC);
	CHECK_EQ(t, pwrite(fd, blocks_of_image, N * LEN, 0), N * LEN);
	CHECK_EQ(t, close(fd), 0);
	REQUIRE(t, !vhud_serve(&f.srv, &vdev_blk, "image", f.path, "cache", "none", NULL));
	f.d = vhud_open(f.srv.path);
	REQUIRE(t, f.d);
	for (unsigned round = 0; round < 10; round++) {
		uint8_t *m[N];

		REQUIRE(t, !vhud_start(f.d, &o));
		for (unsigned i = 0; i < N; i++) {
			struct iovec iov[3];

			REQUIRE(t, (m[i] = vhud_alloc(f.d, LEN + 64)));
			*(struct blk_hdr *)(void *)m[i] = (struct blk_hdr){ BLK_T_IN, 0, i * 32 };
			iov[0] = (struct iovec){ m[i], 16 };
			iov[1] = (struct iovec){ m[i] + 64, LEN };
			iov[2] = (struct iovec){ m[i] + 32, 1 };
			CHECK_EQ(t, vhud_add(f.d, 0, iov, 1, 2, NULL), 0);
		}
		vhud_kick(f.d, 0);
		CHECK_EQ(t, vhud_reset(f.d), 0);
		for (unsigned i = 0; i < N; i++)
			memset(m[i], CANARY, LEN + 64);
		usleep(1000); /* gives a violation time to show; nothing depends on it */
		for (unsigned i = 0; i < N; i++)
			CHECK(t, m[i][32] == CANARY && m[i][64] == CANARY && m[i][LEN] == CANARY);
	}
	REQUIRE(t, !vhud_start(f.d, &o) && (f.mem = vhud_alloc(f.d, MEM)));
	CHECK_EQ(t, request(&f, BLK_T_IN, 0, data, sizeof(data)), OK);
	tear_down(&f);
}

static void *thaw_soon(void *dir)
{
	usleep(200000);
	ioctl(*(int *)dir, FITHAW, 0);
	return NULL;
}

/* A queue stops only when storage has let go of its requests: here a file system that is frozen
 * for a while. They are answered by then. */
static void stop_waits_for_storage(struct tap *t)
{
	char image[] = "/dev/shm/avp-blk-XXXXXX", folder[] = "/var/tmp/avp-mount-XXXXXX";
	struct iovec iov[2];
	struct fixture f;
	pthread_t thread;
	int dir;

	close(mkstemp(image));
	if (!mount_ext4(folder, image)) {
		tap_skip(t, "no file system can be mounted here (needs root, the loop module and "
			    "mke2fs)");
		rmdir(folder);
		unlink(image);
		return;
	}
	REQUIRE(t, make_image(t, &f, folder));
	REQUIRE(t, !vhud_serve(&f.srv, &vdev_blk, "image", f.path, NULL));
	REQUIRE(t, start(t, &f, ALL_RINGS | ALL_BLK));
	dir = open(folder, O_RDONLY | O_CLOEXEC);
	*(struct blk_hdr *)(void *)f.mem = (struct blk_hdr){ BLK_T_OUT, 0, 0 };
	iov[0] = (struct iovec){ f.mem, 16 + 4096 };
	iov[1] = (struct iovec){ f.mem + 8192, 1 };
	CHECK_EQ(t, ioctl(dir, FIFREEZE, 0), 0);
	CHECK_EQ(t, pthread_create(&thread, NULL, thaw_soon, &dir), 0);
	CHECK_EQ(t, vhud_add(f.d, 0, iov, 1, 1, NULL), 0);
	vhud_kick(f.d, 0);
	CHECK_EQ(t, vhud_wait(f.d, 0, NULL, NULL, 20), 0);
	CHECK_EQ(t, vhud_queue_stop(f.d, 0, NULL), 0);
	CHECK_EQ(t, vhud_wait(f.d, 0, NULL, NULL, 0), 1);
	CHECK_EQ(t, f.mem[8192], OK);
	pthread_join(thread, NULL);
	tear_down(&f);
	close(dir);
	umount(folder);
	rmdir(folder);
	unlink(image);
}

/* A front-end that goes away with requests in flight leaves a device that serves the next one. */
static void front_end_vanishes(struct tap *t)
{
	struct vhud_opts o = { .features = ALL_BLK | ALL_RINGS, .nqueues = 1, .queue_size = 256 };
	struct fixture f;
	uint8_t data[512];
	struct load l;

	REQUIRE(t, make_image(t, &f, "/var/tmp"));
	REQUIRE(t, !vhud_serve(&f.srv, &vdev_blk, "image", f.path, "cache", "directsync", NULL));
	for (unsigned i = 0; i < 5; i++) {
		f.d = vhud_open(f.srv.path);
		REQUIRE(t, f.d && !vhud_start(f.d, &o));
		CHECK(t, load_init(&l, t, f.d, 1, 1024));
		load_submit(&l);
		load_finish(&l);
		vhud_close(f.d);
	}
	f.d = vhud_open(f.srv.path);
	REQUIRE(t, f.d && !vhud_start(f.d, &o) && (f.mem = vhud_alloc(f.d, MEM)));
	CHECK_EQ(t, request(&f, BLK_T_IN, 0, data, sizeof(data)), OK);
	tear_down(&f);
}

static void lifetime(struct tap *t)
{
	char folder[] = "/dev/shm/avp-life-XXXXXX", command[128];
	uint16_t v[3] = { 0 };
	struct fixture f;

	REQUIRE(t, mkdtemp(folder));
	snprintf(command, sizeof(command),
		"echo 0x03 0x04 >%s/life_time; echo 0x02 >%s/pre_eol_info", folder, folder);
	CHECK_EQ(t, system(command), 0);
	if (!set_up(t, &f, ALL_RINGS | ALL_BLK, "lifetime", folder))
		return;
	CHECK(t, vhud_features(f.d) & FEATURE(F_LIFETIME));
	CHECK_EQ(t, request(&f, T_GET_LIFETIME, 0, v, sizeof(v)), OK);
	CHECK(t, v[0] == 2 && v[1] == 3 && v[2] == 4);
	CHECK_EQ(t, request(&f, T_GET_LIFETIME, 0, v, 5), IOERR);
	tear_down(&f);
	snprintf(command, sizeof(command), "rm -r %s", folder);
	CHECK_EQ(t, system(command), 0);
}

/* Nothing is stored, every request in range succeeds, and none reaches storage. */
static void null_image(struct tap *t)
{
	struct fixture f = { .path = "" };
	uint8_t buf[4096] = { 0x11 };
	uint64_t capacity = 0;

	REQUIRE(t, !vhud_serve(&f.srv, &vdev_blk, "image", "null", NULL) &&
			   start(t, &f, ALL_RINGS | ALL_BLK));
	CHECK_EQ(t, vhud_config_read(f.d, C_CAPACITY, &capacity, 8), 0);
	CHECK_EQ(t, capacity, DISK_NULL_SIZE / 512);
	CHECK_EQ(t, request(&f, BLK_T_OUT, 0, buf, sizeof(buf)), OK);
	CHECK_EQ(t, request(&f, BLK_T_IN, capacity - 8, buf, sizeof(buf)), OK);
	CHECK_EQ(t, buf[0], CANARY); /* not even touched */
	CHECK_EQ(t, request(&f, BLK_T_FLUSH, 0, NULL, 0), OK);
	CHECK_EQ(
		t, request(&f, BLK_T_WRITE_ZEROES, 0, (struct blk_range[]){ { 0, 8, 0 } }, 16), OK);
	CHECK_EQ(t, request(&f, T_DISCARD, 0, (struct blk_range[]){ { 0, 8, 0 } }, 16), UNSUPP);
	CHECK_EQ(t, request(&f, BLK_T_IN, capacity - 7, buf, sizeof(buf)), IOERR);
	CHECK_EQ(t, vhud_serve_metric(&f.srv, "storage_queued"), 0);
	vhud_close(f.d);
	vhud_serve_end(&f.srv);
}

static void bad_keys(struct tap *t)
{
	static const char *const cases[][3] = {
		{ "block-size", "1000", "power of two" },
		{ "queue-size", "100", "a power of two from 4 to 1024" },
		{ "serial", "012345678901234567890", "20 characters" },
		{ "secure-erase", "device", "no block device" },
		{ "lifetime", "/nonexistent", "/nonexistent/life_time" },
	};
	struct ev_loop *loop = NULL;
	struct fixture f;

	REQUIRE(t, make_image(t, &f, "/dev/shm") && !ev_loop_create(&loop));
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct vdev *dev = NULL;
		struct err e = { 0 };

		CHECK_EQ(t, vdev_new(&dev, &vdev_blk, &e), 0);
		CHECK_EQ(t, opt_set(vdev_blk.opts, dev, "image", f.path, &e), 0);
		CHECK_EQ(t, opt_set(vdev_blk.opts, dev, cases[i][0], cases[i][1], &e), 0);
		CHECK(t, vdev_init(dev, loop, NULL, &e) < 0);
		if (!CHECK(t, strstr(e.msg, cases[i][2])))
			printf("# %s\n", e.msg);
		vdev_destroy(dev);
	}
	ev_loop_destroy(loop);
	unlink(f.path);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, every_request);
	TAP_RUN(&t, every_error);
	TAP_RUN(&t, bad_segments);
	TAP_RUN(&t, any_layout);
	TAP_RUN(&t, short_header);
	TAP_RUN(&t, wrong_direction);
	TAP_RUN(&t, no_status_byte);
	TAP_RUN(&t, longest_chains);
	TAP_RUN(&t, configuration);
	TAP_RUN(&t, write_cache);
	TAP_RUN(&t, write_cache_negotiation);
	TAP_RUN(&t, storage_errors);
	TAP_RUN(&t, read_only);
	TAP_RUN(&t, discard_frees_blocks);
	TAP_RUN(&t, load_on_every_ring);
	TAP_RUN(&t, load_on_many_queues);
	TAP_RUN(&t, reset_in_flight);
	TAP_RUN(&t, stop_waits_for_storage);
	TAP_RUN(&t, front_end_vanishes);
	TAP_RUN(&t, lifetime);
	TAP_RUN(&t, null_image);
	TAP_RUN(&t, bad_keys);
	return tap_done(&t);
}
