/* SPDX-License-Identifier: BSD-3-Clause */
/* The entropy device and its sources. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rate.h"
#include "base/util.h"
#include "devices/devices.h"
#include "host/entropy.h"
#include "lib/ring_cases.h"
#include "lib/vhud_server.h"
#include "tap.h"

#define COUNT_STEP 4u /* bytes per number in a FIFO of numbers */

struct rig {
	struct vhud_server srv;
	struct vhud *d;
};

static uint64_t ring; /* layout of this run of the cases */

static void rig_open(struct tap *t, struct rig *r, const char *key, const char *value,
	const char *key2, const char *value2)
{
	memset(r, 0, sizeof(*r));
	CHECK_EQ(t, vhud_serve(&r->srv, &vdev_rng, key, value, key2, value2, NULL), 0);
	r->d = vhud_open(r->srv.path);
	CHECK_EQ(t, vhud_start(r->d, &(struct vhud_opts){ .features = ring, .nqueues = 1 }), 0);
}

static void rig_close(struct rig *r)
{
	vhud_close(r->d);
	vhud_serve_end(&r->srv);
}

static bool all_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

static void fills_a_request(struct tap *t)
{
	uint8_t a[256] = { 0 }, b[256] = { 0 };
	struct rig r;

	rig_open(t, &r, NULL, NULL, NULL, NULL);
	CHECK_EQ(t, vhud_do(r.d, 0, NULL, 0, a, sizeof(a)), sizeof(a));
	CHECK_EQ(t, vhud_do(r.d, 0, NULL, 0, b, sizeof(b)), sizeof(b));
	CHECK(t, !all_zero(a, sizeof(a)) && !all_zero(a + 128, 128));
	CHECK(t, memcmp(a, b, sizeof(a)) != 0);
	rig_close(&r);
}

/* One after the other, as the Linux driver asks, far beyond the size of the ring. */
static void serves_many_single_requests(struct tap *t)
{
	uint8_t a[64];
	struct rig r;
	unsigned ok = 0;

	rig_open(t, &r, NULL, NULL, NULL, NULL);
	for (unsigned i = 0; i < 1000; i++)
		ok += vhud_do(r.d, 0, NULL, 0, a, sizeof(a)) == sizeof(a);
	CHECK_EQ(t, ok, 1000);
	rig_close(&r);
}

static void odd_buffers(struct tap *t)
{
	static const size_t lens[] = { 1, 2, 3, 4095, 4097, 65535, 65536, 100000 };
	static uint8_t buf[100000];
	struct rig r;

	rig_open(t, &r, NULL, NULL, NULL, NULL);
	for (unsigned i = 0; i < ARRAY_LEN(lens); i++) {
		ssize_t n = vhud_do(r.d, 0, NULL, 0, buf, lens[i]);

		CHECK_EQ(t, n, min_u64(lens[i], 65536));
	}
	rig_close(&r);
}

/* The used length is what was written, and nothing behind it was touched. */
static void many_buffers_in_one_request(struct tap *t)
{
	struct iovec iov[16];
	uint32_t len = 0;
	struct rig r;

	rig_open(t, &r, NULL, NULL, NULL, NULL);
	uint8_t *mem = vhud_alloc(r.d, 16 * 128);

	for (unsigned i = 0; i < 16; i++)
		iov[i] = (struct iovec){ mem + i * 128, 64 };
	CHECK_EQ(t, vhud_add(r.d, 0, iov, 0, 16, NULL), 0);
	vhud_kick(r.d, 0);
	CHECK_EQ(t, vhud_wait(r.d, 0, NULL, &len, VHUD_TIMEOUT_MS), 1);
	CHECK_EQ(t, len, 16 * 64);
	for (unsigned i = 0; i < 16; i++) {
		CHECK(t, !all_zero(mem + i * 128, 64));
		CHECK(t, all_zero(mem + i * 128 + 64, 64));
	}
	rig_close(&r);
}

static void readable_buffer_needs_reset(struct tap *t)
{
	uint8_t buf[64];
	struct rig r;

	for (unsigned n_in = 0; n_in < 2; n_in++) {
		rig_open(t, &r, NULL, NULL, NULL, NULL);
		uint8_t *mem = vhud_alloc(r.d, 128);
		struct iovec iov[] = { { mem, 64 }, { mem + 64, 64 } };

		CHECK_EQ(t, vhud_add(r.d, 0, iov, 1, n_in, NULL), 0);
		vhud_kick(r.d, 0);
		CHECK(t, vhud_needs_reset(r.d));
		CHECK(t, all_zero(mem, 128));
		CHECK_EQ(t, vhud_reset(r.d), 0);
		CHECK_EQ(t, vhud_start(r.d, &(struct vhud_opts){ .features = ring, .nqueues = 1 }),
			0);
		CHECK_EQ(t, vhud_do(r.d, 0, NULL, 0, buf, sizeof(buf)), sizeof(buf));
		rig_close(&r);
	}
}

/* A period of an hour: what the first one allows is all there is. */
static void rate_limit_holds(struct tap *t)
{
	uint8_t buf[256];
	struct rig r;
	uint32_t len;

	rig_open(t, &r, "rate", "1000", "period", "3600000");
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(t, vhud_do(r.d, 0, NULL, 0, buf, sizeof(buf)), 256);
	CHECK_EQ(t, vhud_do(r.d, 0, NULL, 0, buf, sizeof(buf)), 1000 - 3 * 256);
	struct iovec iov = { vhud_alloc(r.d, 64), 64 };

	CHECK_EQ(t, vhud_add(r.d, 0, &iov, 0, 1, NULL), 0);
	vhud_kick(r.d, 0);
	CHECK_EQ(t, vhud_wait(r.d, 0, NULL, &len, 100), 0);
	CHECK(t, all_zero(iov.iov_base, 64));
	rig_close(&r);
}

static void rate_limit_gives_more_in_the_next_period(struct tap *t)
{
	uint8_t buf[64];
	struct rig r;
	uint64_t start = ev_now_ns();

	rig_open(t, &r, "rate", "64", "period", "50");
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(t, vhud_do(r.d, 0, NULL, 0, buf, sizeof(buf)), 64);
	/* Five periods are begun, four of them whole, of which the first may have been under way.
	 */
	CHECK(t, ev_now_ns() - start >= 3 * 50 * UINT64_C(1000000));
	rig_close(&r);
}

static void rate_counts_with_a_clock_of_its_own(struct tap *t)
{
	struct rate r;

	rate_init(&r, 100, 1000, 5000);
	CHECK_EQ(t, rate_take(&r, 5000, 60), 60);
	CHECK_EQ(t, rate_take(&r, 5999, 60), 40);
	CHECK_EQ(t, rate_take(&r, 5999, 1), 0);
	CHECK_EQ(t, rate_wait_ns(&r, 5999), 1);
	CHECK_EQ(t, rate_wait_ns(&r, 5400), 600);
	CHECK_EQ(t, rate_take(&r, 6000, 1000), 100);
	rate_return(&r, 30);
	CHECK_EQ(t, rate_take(&r, 6001, 1000), 30);
	/* What periods without use would have allowed is not saved up, and they keep their beat. */
	CHECK_EQ(t, rate_take(&r, 9500, 1000), 100);
	CHECK_EQ(t, rate_wait_ns(&r, 9500), 500);
	rate_init(&r, 0, 1000, 0);
	CHECK_EQ(t, rate_take(&r, 0, 12345), 12345);
}

/* Numbers in a FIFO as the source of two guests: each byte is given once, to one of them. */
static void no_byte_is_given_twice(struct tap *t)
{
	enum { NUMBERS = 4096 };
	static uint8_t seen[NUMBERS];
	char path[64];
	struct rig r[2];
	unsigned total = 0;

	snprintf(path, sizeof(path), "/tmp/avp-rng-%d", (int)getpid());
	CHECK_EQ(t, mkfifo(path, 0600), 0);
	rig_open(t, &r[0], "source", path, NULL, NULL);
	rig_open(t, &r[1], "source", path, NULL, NULL);
	autoclose int fd = open(path, O_WRONLY);

	memset(seen, 0, sizeof(seen));
	for (uint32_t i = 0; i < NUMBERS; i++)
		CHECK_EQ(t, write(fd, &i, COUNT_STEP), COUNT_STEP);
	for (unsigned i = 0; total < NUMBERS; i++) {
		uint32_t got[16];

		REQUIRE(t, vhud_do(r[i % 2].d, 0, NULL, 0, got, sizeof(got)) == sizeof(got));
		for (unsigned k = 0; k < ARRAY_LEN(got); k++) {
			REQUIRE(t, got[k] < NUMBERS && !seen[got[k]]);
			seen[got[k]] = 1;
			total++;
		}
	}
	rig_close(&r[0]);
	rig_close(&r[1]);
	unlink(path);
}

/* A source that has nothing yet: the request waits and is answered when something comes. */
static void waits_for_a_slow_source(struct tap *t)
{
	char path[64];
	uint32_t len = 0;
	struct rig r;

	snprintf(path, sizeof(path), "/tmp/avp-rng-%d", (int)getpid());
	CHECK_EQ(t, mkfifo(path, 0600), 0);
	rig_open(t, &r, "source", path, NULL, NULL);
	struct iovec iov = { vhud_alloc(r.d, 64), 64 };

	CHECK_EQ(t, vhud_add(r.d, 0, &iov, 0, 1, NULL), 0);
	vhud_kick(r.d, 0);
	CHECK_EQ(t, vhud_wait(r.d, 0, NULL, &len, 50), 0);
	autoclose int fd = open(path, O_WRONLY);

	CHECK_EQ(t, write(fd, "12345", 5), 5);
	CHECK_EQ(t, vhud_wait(r.d, 0, NULL, &len, VHUD_TIMEOUT_MS), 1);
	CHECK_EQ(t, len, 5);
	CHECK(t, !memcmp(iov.iov_base, "12345", 5));
	rig_close(&r);
	unlink(path);
}

static void sources_are_checked(struct tap *t)
{
	static const char *const bad[] = { "random", "/nonexistent/rng", "/etc/passwd", "" };
	struct entropy src;
	struct err e;

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		e = (struct err){ 0 };
		CHECK(t, entropy_open(&src, bad[i], &e) < 0);
		CHECK(t, e.msg[0] != '\0');
		entropy_close(&src);
	}
	CHECK_EQ(t, entropy_open(&src, "/dev/urandom", NULL), 0);
	entropy_close(&src);
}

/* Each source that this machine has. */
static void hardware_sources_give_bytes(struct tap *t)
{
	static const char *const names[] = { "rdseed", "hwrng" };
	uint8_t buf[24] = { 0 };
	unsigned there = 0;

	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		struct err e = { 0 };
		struct entropy src;
		ssize_t n = -EAGAIN;

		if (entropy_open(&src, names[i], &e) < 0) {
			printf("# %s\n", e.msg);
			continue;
		}
		there++;
		for (unsigned k = 0; k < 1000 && n == -EAGAIN; k++)
			n = entropy_read(&src, buf, sizeof(buf));
		CHECK(t, n > 0 && !all_zero(buf, (size_t)n));
		entropy_close(&src);
	}
	if (!there)
		tap_skip(t, "neither RDSEED nor /dev/hwrng here");
}

/* As a process in its jail, with each source. */
static void works_in_the_jail(struct tap *t)
{
	static const char *const sources[] = { "getrandom", "/dev/urandom", "rdseed", "hwrng" };
	uint8_t buf[32] = { 0 };

	for (unsigned i = 0; i < ARRAY_LEN(sources); i++) {
		struct entropy src;
		struct vhud_proc p;

		if (entropy_open(&src, sources[i], NULL) < 0)
			continue;
		entropy_close(&src);
		REQUIRE(t, !vhud_spawn(&p, "rng", "--source", sources[i], NULL));
		struct vhud *d = vhud_open(p.path);

		CHECK_EQ(t, vhud_start(d, &(struct vhud_opts){ .nqueues = 1 }), 0);
		CHECK(t, vhud_do(d, 0, NULL, 0, buf, sizeof(buf)) > 0);
		vhud_close(d);
		CHECK_EQ(t, vhud_spawn_end(&p), 0);
	}
}

int main(void)
{
	static const struct ring_case cases[] = {
		{ "fills a request", fills_a_request },
		{ "serves many single requests", serves_many_single_requests },
		{ "odd buffers", odd_buffers },
		{ "many buffers in one request", many_buffers_in_one_request },
		{ "a readable buffer needs a reset", readable_buffer_needs_reset },
		{ "the rate limit holds", rate_limit_holds },
		{ "more in the next period", rate_limit_gives_more_in_the_next_period },
		{ "no byte is given twice", no_byte_is_given_twice },
		{ "waits for a slow source", waits_for_a_slow_source },
	};
	struct tap t = { 0 };

	tap_run_rings(&t, cases, ARRAY_LEN(cases), &ring);
	TAP_RUN(&t, rate_counts_with_a_clock_of_its_own);
	TAP_RUN(&t, sources_are_checked);
	TAP_RUN(&t, hardware_sources_give_bytes);
	TAP_RUN(&t, works_in_the_jail);
	return tap_done(&t);
}
