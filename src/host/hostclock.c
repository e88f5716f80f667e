/* SPDX-License-Identifier: BSD-3-Clause */
/* The clocks of this computer. */
#include "host/hostclock.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>

#include "base/fd.h"
#include "base/util.h"

#define NS INT64_C(1000000000)
/* Readings between two looks at the counter; interruptions make most of a bad one. */
#define CROSS_TRIES 5u

static int64_t read_clock(clockid_t id)
{
	struct timespec ts = { 0 };

	clock_gettime(id, &ts);
	return ts.tv_sec * NS + ts.tv_nsec;
}

/* Being told. */

static void set_event(void *arg, uint32_t events)
{
	struct hostclock *hc = arg;
	uint64_t n;

	/* The timer itself is far away: what comes is ECANCELED, and it goes on. */
	if (read(hc->set_fd, &n, sizeof(n)) < 0 && errno == ECANCELED)
		hc->was_set(hc->arg);
}

static int watch_sets(struct hostclock *hc, struct ev_loop *loop, struct err *e)
{
	const struct itimerspec far = { .it_value.tv_sec = INT64_C(1) << 40 };
	int r;

	hc->set_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (hc->set_fd < 0 || timerfd_settime(hc->set_fd,
				      TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL) < 0)
		return err_sys(e, -errno, "watching the host's clock");
	r = ev_fd_add(loop, &hc->watch, hc->set_fd, EPOLLIN, set_event, hc);
	return r < 0 ? err_sys(e, r, "watching the host's clock") : 0;
}

int hostclock_open(struct hostclock *hc, struct ev_loop *loop, const char *leaps,
	void (*was_set)(void *arg), void *arg, struct err *e)
{
	int r;

	*hc = (struct hostclock){ .set_fd = -1, .was_set = was_set, .arg = arg };
	/* Both clocks within a second of each other: the kernel was never told. */
	hc->kernel_tai = read_clock(CLOCK_TAI) - read_clock(CLOCK_REALTIME) > NS;
	r = leaps ? leap_read(&hc->leaps, leaps, e) : 0;
	if (!r)
		r = watch_sets(hc, loop, e);
	if (r < 0)
		hostclock_close(hc);
	return r;
}

void hostclock_close(struct hostclock *hc)
{
	ev_fd_del(&hc->watch);
	close_fd(&hc->set_fd);
}

/* Reading. */

bool hostclock_has(const struct hostclock *hc, enum hostclock_scale scale, const char **why)
{
	switch (scale) {
	case HOSTCLOCK_TAI:
		*why = "this host's kernel was not told TAI - UTC (time daemons do it, as chrony "
		       "with leapsectz), and there is no leap seconds file";
		return hc->kernel_tai || hc->leaps.n;
	case HOSTCLOCK_SMEAR_NOON:
	case HOSTCLOCK_SMEAR_SLS:
		*why = "smearing takes a leap seconds file";
		return hc->leaps.n;
	case HOSTCLOCK_UTC:
	case HOSTCLOCK_MONOTONIC:
	default:
		return true;
	}
}

static int64_t read_tai(const struct hostclock *hc)
{
	if (hc->kernel_tai)
		return read_clock(CLOCK_TAI) + hc->shift;
	return leap_tai(&hc->leaps, read_clock(CLOCK_REALTIME)) + hc->shift;
}

static int64_t read_scale(const struct hostclock *hc, enum hostclock_scale scale)
{
	switch (scale) {
	case HOSTCLOCK_TAI:
		return read_tai(hc);
	case HOSTCLOCK_MONOTONIC:
		return read_clock(CLOCK_BOOTTIME);
	case HOSTCLOCK_SMEAR_NOON:
		return leap_smeared(&hc->leaps, read_tai(hc), LEAP_SMEAR_NOON);
	case HOSTCLOCK_SMEAR_SLS:
		return leap_smeared(&hc->leaps, read_tai(hc), LEAP_SMEAR_SLS);
	case HOSTCLOCK_UTC:
	default:
		/* The host's kernel steps its own clock. A shifted one has leap seconds where the
		 * table has them. */
		if (hc->shift && hc->leaps.n)
			return leap_utc(&hc->leaps, read_tai(hc));
		return read_clock(CLOCK_REALTIME) + hc->shift;
	}
}

uint64_t hostclock_read(const struct hostclock *hc, enum hostclock_scale scale)
{
	int64_t t = read_scale(hc, scale);

	return t > 0 ? (uint64_t)t : 0;
}

/* The counter. */

uint64_t hostclock_counter(void)
{
#if defined(__x86_64__)
	uint32_t lo, hi;

	/* The fences keep the reading between what is written before and behind it. */
	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
#elif defined(__aarch64__)
	uint64_t v;

	__asm__ volatile("isb; mrs %0, cntvct_el0; isb" : "=r"(v) : : "memory");
	return v;
#else
#error "which counter do guests of this architecture read?"
#endif
}

uint64_t hostclock_cross(struct hostclock *hc, enum hostclock_scale scale, uint64_t *counter)
{
	uint64_t best = UINT64_MAX, at = 0, reading = 0;

	for (unsigned i = 0; i < CROSS_TRIES; i++) {
		uint64_t before = hostclock_counter();
		uint64_t t = hostclock_read(hc, scale);
		uint64_t width = hostclock_counter() - before;

		if (width >= best)
			continue;
		best = width;
		at = before + width / 2;
		reading = t;
	}
	/* Another processor's counter may be a little behind. */
	hc->last_counter = max_u64(at, hc->last_counter);
	*counter = hc->last_counter;
	return reading;
}
