/* SPDX-License-Identifier: BSD-3-Clause */
/* Leap seconds. */
#include "host/leap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define NS	      INT64_C(1000000000)
#define NTP_TO_UNIX   INT64_C(2208988800) /* from 1900 to 1970, seconds */
#define OFFSET_MAX    1000
#define HALF_DAY      INT64_C(43200)
#define SLS_SECONDS   INT64_C(1000)
#define OFFSET_BEFORE 10 /* TAI - UTC when leap seconds began */

/* Reading. */

/* One line: NTP seconds and TAI - UTC. 1: taken, 0: a comment or empty, -EINVAL. */
static int parse_line(const char *line, struct leap *leap)
{
	char rest[2];
	int64_t ntp;

	line += strspn(line, " \t");
	if (*line == '#' || *line == '\n' || *line == '\r' || !*line)
		return 0;
	if (sscanf(line, "%" SCNd64 " %" SCNd32 " %1s", &ntp, &leap->offset, rest) < 2 ||
		(sscanf(line, "%*d %*d %1s", rest) == 1 && *rest != '#'))
		return -EINVAL;
	if (ntp < NTP_TO_UNIX || ntp > INT64_C(1) << 34 || abs(leap->offset) > OFFSET_MAX)
		return -EINVAL;
	leap->utc = ntp - NTP_TO_UNIX;
	return 1;
}

/* Entries are in order, each changes the offset by one second. */
static bool follows(const struct leap_table *t, const struct leap *leap)
{
	const struct leap *last = t->n ? &t->leaps[t->n - 1] : NULL;

	return !last ||
	       (leap->utc > last->utc + 2 * HALF_DAY && abs(leap->offset - last->offset) == 1);
}

int leap_read(struct leap_table *t, const char *path, struct err *e)
{
	autofclose FILE *f = fopen(path, "re");
	char line[256];

	t->n = 0;
	if (!f)
		return err_sys(e, -errno, "opening the leap seconds file %s", path);
	for (unsigned n = 1; fgets(line, sizeof(line), f); n++) {
		struct leap leap;
		int r = parse_line(line, &leap);

		if (r < 0 || (r && (t->n == LEAPS_MAX || !follows(t, &leap))))
			return err_set(e, -EINVAL,
				"%s:%u: no leap second; seconds since 1900 and TAI - UTC are "
				"wanted, each one more or less than the one before, at most %u",
				path, n, LEAPS_MAX);
		if (r)
			t->leaps[t->n++] = leap;
	}
	return t->n ? 0 : err_set(e, -EINVAL, "%s has no leap seconds", path);
}

/* Scales. */

static int32_t offset_before(const struct leap_table *t, unsigned i)
{
	return i ? t->leaps[i - 1].offset : OFFSET_BEFORE;
}

/* Where UTC goes over to the offset of entry i: an inserted second begins with the step back, and a
 * removed one is jumped over. */
static int64_t step_at(const struct leap_table *t, unsigned i)
{
	int32_t before = offset_before(t, i), after = t->leaps[i].offset;

	return (t->leaps[i].utc + (before < after ? before : after)) * NS;
}

int64_t leap_utc(const struct leap_table *t, int64_t tai)
{
	unsigned i = t->n;

	while (i && tai < step_at(t, i - 1))
		i--;
	return tai - (i ? t->leaps[i - 1].offset : OFFSET_BEFORE) * NS;
}

int64_t leap_tai(const struct leap_table *t, int64_t utc)
{
	unsigned i = t->n;

	while (i && utc + t->leaps[i - 1].offset * NS < step_at(t, i - 1))
		i--;
	return utc + (i ? t->leaps[i - 1].offset : OFFSET_BEFORE) * NS;
}

/* The stretch of TAI in which entry i is smeared. It is one second longer or shorter than what UTC
 * counts meanwhile. */
static void smear_window(
	const struct leap_table *t, unsigned i, enum leap_smear how, int64_t *from, int64_t *to)
{
	const struct leap *l = &t->leaps[i];

	if (how == LEAP_SMEAR_NOON) {
		*from = (l->utc - HALF_DAY + offset_before(t, i)) * NS;
		*to = (l->utc + HALF_DAY + l->offset) * NS;
	} else {
		*to = (l->utc + l->offset) * NS;
		*from = *to - SLS_SECONDS * NS;
	}
}

int64_t leap_smeared(const struct leap_table *t, int64_t tai, enum leap_smear how)
{
	/* The first entry begins the table and is no leap second. */
	for (unsigned i = 1; i < t->n; i++) {
		int32_t before = offset_before(t, i), change = t->leaps[i].offset - before;
		int64_t from, to;

		smear_window(t, i, how, &from, &to);
		if (tai >= from && tai < to)
			return tai - before * NS -
			       (int64_t)((__int128)(tai - from) * change * NS / (to - from));
	}
	return leap_utc(t, tai);
}
