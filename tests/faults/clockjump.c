/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For LD_PRELOAD: a wall clock that jumps up to a day ahead and back each time it is read, as if
 * somebody set it all the time. Real clocks are everybody's, so they are left alone.
 */
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DAY 86400

int clock_gettime(clockid_t id, struct timespec *t)
{
	static atomic_uint reads;
	int ret = (int)syscall(SYS_clock_gettime, id, t);

	if (!ret && (id == CLOCK_REALTIME || id == CLOCK_TAI))
		t->tv_sec += (time_t)(atomic_fetch_add(&reads, 1) * 2654435761u % (2 * DAY)) - DAY;
	return ret;
}
