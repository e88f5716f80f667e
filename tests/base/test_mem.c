/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest memory map: bounds, overlaps, buffers across ranges, files that are too short. */
#include <errno.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/util.h"
#include "tap.h"

static uint8_t store[0x4000];

/* Two adjacent ranges, a hole, and one that ends at the top of the address space. */
static void build(struct tap *t, struct gm *gm)
{
	const struct gm_region r[] = {
		{ .gpa = 0x2000, .size = 0x1000, .uva = 0x70002000, .hva = store + 0x3000 },
		{ .gpa = 0x1000, .size = 0x1000, .uva = 0x70001000, .hva = store },
		{ .gpa = UINT64_MAX - 0xfff,
			.size = 0x1000,
			.uva = 0x10000,
			.hva = store + 0x1000 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(r); i++)
		CHECK_EQ(t, gm_add(gm, &r[i], NULL), 0);
}

static void test_lookup(struct tap *t)
{
	struct gm gm = { 0 };

	build(t, &gm);
	CHECK(t, gm_ptr(&gm, 0x1000, 0x1000) == store);
	CHECK(t, gm_ptr(&gm, 0x2fff, 1) == store + 0x3fff);
	CHECK(t, !gm_ptr(&gm, 0x2fff, 2));
	CHECK(t, !gm_ptr(&gm, 0xfff, 1));
	CHECK(t, !gm_ptr(&gm, 0xfff, 2));
	CHECK(t, !gm_ptr(&gm, 0x1000, 0));
	CHECK(t, !gm_ptr(&gm, 0x1000, UINT64_MAX));
	CHECK(t, !gm_ptr(&gm, 0x1800, 0x1000)); /* adjacent here, not in the host */
	CHECK(t, gm_ptr(&gm, UINT64_MAX, 1) == store + 0x1fff);
	CHECK(t, !gm_ptr(&gm, UINT64_MAX, 2));
	CHECK(t, gm_ptr_uva(&gm, 0x70001010, 0xff0) == store + 0x10);
	CHECK(t, !gm_ptr_uva(&gm, 0x70001010, 0xff1));
	CHECK(t, !gm_ptr_uva(&gm, 0x1000, 1));
}

static void test_iov(struct tap *t)
{
	struct gm gm = { 0 };
	struct iovec iov[4];

	build(t, &gm);
	CHECK_EQ(t, gm_iov(&gm, 0x1ff0, 0x20, iov, 4), 2);
	CHECK(t, iov[0].iov_base == store + 0xff0 && iov[0].iov_len == 0x10);
	CHECK(t, iov[1].iov_base == store + 0x3000 && iov[1].iov_len == 0x10);
	CHECK_EQ(t, gm_iov(&gm, 0x1ff0, 0x20, iov, 1), -E2BIG);
	CHECK_EQ(t, gm_iov(&gm, 0x2ff0, 0x11, iov, 4), -EFAULT);
	CHECK_EQ(t, gm_iov(&gm, 0x1000, 0, iov, 4), -EFAULT);
	CHECK_EQ(t, gm_iov(&gm, 0, 0x10, iov, 4), -EFAULT);
	CHECK_EQ(t, gm_iov(&gm, UINT64_MAX - 3, 8, iov, 4), -EFAULT);
}

static void test_add_and_delete(struct tap *t)
{
	struct gm gm = { 0 };
	struct gm_region r = { .gpa = 0x1fff, .size = 2, .hva = store };

	build(t, &gm);
	CHECK_EQ(t, gm_add(&gm, &r, NULL), -EINVAL);
	r.gpa = 0;
	r.size = UINT64_MAX;
	CHECK_EQ(t, gm_add(&gm, &r, NULL), -EINVAL);
	r.size = 0;
	CHECK_EQ(t, gm_add(&gm, &r, NULL), -EINVAL);
	r.gpa = UINT64_MAX - 1;
	r.size = 4;
	CHECK_EQ(t, gm_add(&gm, &r, NULL), -EINVAL);
	CHECK_EQ(t, gm_del(&gm, 0x1000, 0x1000, 0), -ENOENT);
	CHECK_EQ(t, gm_del(&gm, 0x1000, 0x1000, 0x70001000), 0);
	CHECK(t, !gm_ptr(&gm, 0x1000, 1));
	CHECK(t, gm_ptr(&gm, 0x2000, 1) == store + 0x3000);
}

static void test_map_checks_the_file(struct tap *t)
{
	struct gm gm = { 0 };
	struct err e = { 0 };
	autoclose int fd = fd_memfd("test", 0x4000, 0, &e);
	struct gm_region r = { .gpa = 0, .size = 0x2000, .fd = fd, .fd_offset = 0x1800 };

	REQUIRE(t, fd >= 0);
	CHECK_EQ(t, gm_map(&gm, &r, &e), 0);
	CHECK_EQ(t, pwrite(fd, "x", 1, 0x1800), 1);
	CHECK_EQ(t, *(char *)gm_ptr(&gm, 0, 1), 'x');
	r.gpa = 0x10000;
	r.fd_offset = 0x3000;
	CHECK_EQ(t, gm_map(&gm, &r, &e), -EINVAL);
	CHECK(t, strstr(e.msg, "does not fit"));
	r.fd_offset = UINT64_MAX - 0x800;
	CHECK_EQ(t, gm_map(&gm, &r, &e), -EINVAL);
	gm_clear(&gm);
	CHECK_EQ(t, gm.n, 0);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, test_lookup);
	TAP_RUN(&t, test_iov);
	TAP_RUN(&t, test_add_and_delete);
	TAP_RUN(&t, test_map_checks_the_file);
	return tap_done(&t);
}
