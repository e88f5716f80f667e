/* SPDX-License-Identifier: BSD-3-Clause */
/* Leap seconds: the file, and the scales around an inserted and a removed second. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "host/leap.h"
#include "tap.h"

#define NS   INT64_C(1000000000)
#define HALF INT64_C(43200)
#define DAY  INT64_C(86400)

/* 1972, one second more in 2017 (B0), one less in 2030 (B1). */
#define B0 INT64_C(1483228800)
#define B1 INT64_C(1893456000)

static struct leap_table table = {
	.n = 3,
	.leaps = { { 63072000, 10 }, { B0, 11 }, { B1, 10 } },
};

/* Reads a file with this text. */
static int read_text(struct leap_table *t, const char *text, struct err *e)
{
	char path[] = "/tmp/avp-leap-XXXXXX";
	int fd = mkstemp(path), r;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f)
		return -1;
	fputs(text, f);
	fclose(f);
	r = leap_read(t, path, e);
	unlink(path);
	return r;
}

static void file(struct tap *t)
{
	struct err e = { 0 };
	struct leap_table l;

	CHECK_EQ(t,
		read_text(&l,
			"# comment\n#$ 3676924800\n#@ 3928521600\n\n2272060800 10 # 1 Jan 1972\n"
			"  2287785600\t11\t# 1 Jul 1972\n2303683200 12",
			&e),
		0);
	CHECK_EQ(t, l.n, 3);
	CHECK_EQ(t, l.leaps[0].utc, 63072000);
	CHECK_EQ(t, l.leaps[1].utc, 78796800);
	CHECK_EQ(t, l.leaps[2].offset, 12);
}

static void bad_files(struct tap *t)
{
	static const struct {
		const char *text, *where;
	} bad[] = {
		{ "2272060800 10\nnonsense\n", ":2:" },
		{ "2272060800\n", ":1:" },
		{ "2272060800 10 11\n", ":1:" },
		{ "2272060800 10\n2287785600 13\n", ":2:" },
		{ "2272060800 10\n2272060801 11\n", ":2:" },
		{ "2272060800 10\n2262060800 11\n", ":2:" },
		{ "1000 10\n", ":1:" },
		{ "99999999999999999999999 10\n", ":1:" },
		{ "2272060800 100000\n", ":1:" },
		{ "# nothing\n", "has no leap seconds" },
		{ "", "has no leap seconds" },
	};
	struct leap_table l;

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };

		CHECK(t, read_text(&l, bad[i].text, &e) < 0);
		if (!CHECK(t, strstr(e.msg, bad[i].where)))
			printf("# %s\n", e.msg);
	}
	CHECK(t, leap_read(&l, "/nonexistent/leap", NULL) < 0);
}

/* The debian package's file, where it is. */
static void real_file(struct tap *t)
{
	static const char path[] = "/usr/share/zoneinfo/leap-seconds.list";
	struct err e = { 0 };
	struct leap_table l;

	if (access(path, R_OK)) {
		tap_skip(t, "tzdata has no leap-seconds.list here");
		return;
	}
	CHECK_EQ(t, leap_read(&l, path, &e), 0);
	CHECK(t, l.n >= 28);
	CHECK_EQ(t, leap_utc(&l, (B0 + 36) * NS + NS / 2), (B0 - 1) * NS + NS / 2);
	CHECK_EQ(t, leap_utc(&l, (B0 + 37) * NS), B0 * NS);
}

static void utc_steps(struct tap *t)
{
	/* Inserted: the second before B0 comes twice. */
	CHECK_EQ(t, leap_utc(&table, (B0 + 10) * NS - 1), B0 * NS - 1);
	CHECK_EQ(t, leap_utc(&table, (B0 + 10) * NS), (B0 - 1) * NS);
	CHECK_EQ(t, leap_utc(&table, (B0 + 11) * NS - 1), B0 * NS - 1);
	CHECK_EQ(t, leap_utc(&table, (B0 + 11) * NS), B0 * NS);
	/* Removed: the second before B1 does not come. */
	CHECK_EQ(t, leap_utc(&table, (B1 + 10) * NS - 1), (B1 - 1) * NS - 1);
	CHECK_EQ(t, leap_utc(&table, (B1 + 10) * NS), B1 * NS);
	/* Before the first entry it is as at its beginning. */
	CHECK_EQ(t, leap_utc(&table, 1000 * NS), 990 * NS);
}

static void there_and_back(struct tap *t)
{
	static const int64_t around[] = { 63072000, B0, B1, 1000, 2000000000 };

	for (unsigned i = 0; i < ARRAY_LEN(around); i++)
		for (int64_t d = -3 * NS; d <= 3 * NS; d += NS / 4) {
			int64_t tai = around[i] * NS + 10 * NS + d;
			int64_t utc = leap_utc(&table, tai), back = leap_tai(&table, utc);

			/* In the second that comes twice the later one is taken. */
			CHECK(t,
				back == tai || (back == tai + NS && leap_utc(&table, back) == utc));
		}
}

/* Between its ends the smeared clock runs at one rate, meets UTC at both, and never steps. */
static void smear_is_linear(struct tap *t, int64_t from, int64_t to, int64_t utc_from,
	int64_t utc_to, enum leap_smear how)
{
	int64_t last = leap_smeared(&table, from * NS - 1, how);

	CHECK_EQ(t, last, utc_from * NS - 1);
	CHECK_EQ(t, leap_smeared(&table, from * NS, how), utc_from * NS);
	CHECK_EQ(t, leap_smeared(&table, to * NS, how), utc_to * NS);
	for (int64_t i = 0; i <= 1000; i++) {
		int64_t tai = from * NS + (to - from) * NS / 1000 * i;
		int64_t got = leap_smeared(&table, tai, how);
		__int128 want = (__int128)(tai - from * NS) * (utc_to - utc_from) / (to - from);

		CHECK(t, got > last);
		CHECK(t, got - utc_from * NS - (int64_t)want <= 1 &&
				 (int64_t)want - (got - utc_from * NS) <= 1);
		last = got;
	}
}

static void smear_noon(struct tap *t)
{
	smear_is_linear(t, B0 - HALF + 10, B0 + HALF + 11, B0 - HALF, B0 + HALF, LEAP_SMEAR_NOON);
	smear_is_linear(t, B1 - HALF + 11, B1 + HALF + 10, B1 - HALF, B1 + HALF, LEAP_SMEAR_NOON);
}

static void smear_sls(struct tap *t)
{
	/* 1000 s that the clock shows as 999, and as 1001. */
	smear_is_linear(t, B0 + 11 - 1000, B0 + 11, B0 - 999, B0, LEAP_SMEAR_SLS);
	smear_is_linear(t, B1 + 10 - 1000, B1 + 10, B1 - 1001, B1, LEAP_SMEAR_SLS);
}

static void far_from_leaps_all_agree(struct tap *t)
{
	static const int64_t far[] = { 63072000, B0 + DAY, B1 - DAY, B1 + DAY, 4000000000 };

	for (unsigned i = 0; i < ARRAY_LEN(far); i++) {
		int64_t tai = far[i] * NS + 123456789;

		CHECK_EQ(t, leap_smeared(&table, tai, LEAP_SMEAR_NOON), leap_utc(&table, tai));
		CHECK_EQ(t, leap_smeared(&table, tai, LEAP_SMEAR_SLS), leap_utc(&table, tai));
	}
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, file);
	TAP_RUN(&t, bad_files);
	TAP_RUN(&t, real_file);
	TAP_RUN(&t, utc_steps);
	TAP_RUN(&t, there_and_back);
	TAP_RUN(&t, smear_noon);
	TAP_RUN(&t, smear_sls);
	TAP_RUN(&t, far_from_leaps_all_agree);
	return tap_done(&t);
}
