/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Leap seconds: a table of when TAI - UTC changed, and time on the scales that follow from it.
 * Times are nanoseconds since the beginning of 1970 on their own scale; UTC counts as POSIX's
 * seconds since the epoch, which has no number for a leap second.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

#define LEAPS_MAX 128u

/* TAI - UTC is `offset` seconds from the UTC second `utc` on. */
struct leap {
	int64_t utc;
	int32_t offset;
};

/* By time; the first entry is where UTC with leap seconds begins (1972). */
struct leap_table {
	unsigned n; /* 0: none is known */
	struct leap leaps[LEAPS_MAX];
};

/* How a leap second is spread (VIRTIO 1.4, 5.23.6.3.2). */
enum leap_smear {
	LEAP_SMEAR_NOON, /* from the noon before to the noon after */
	LEAP_SMEAR_SLS,	 /* over the last 1000 seconds of the day */
};

/* Reads a file in the format of the IERS's leap-seconds.list. A bad line is an error with its
 * number. */
int leap_read(struct leap_table *t, const char *path, struct err *e);

/* The scales, from TAI. A leap second steps UTC at its start. */
int64_t leap_utc(const struct leap_table *t, int64_t tai);
int64_t leap_smeared(const struct leap_table *t, int64_t tai, enum leap_smear how);
/* TAI from UTC; the later one of the two for a time that a leap second repeats. */
int64_t leap_tai(const struct leap_table *t, int64_t utc);
