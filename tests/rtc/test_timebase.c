/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several device processes are one time base: what one of them says fits between two readings of
 * another, and cross-timestamps of both put the processor's counter at the same time of their
 * clocks. The figures are printed; docs/devices/rtc.md states them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "devices/rtc_priv.h"
#include "lib/vhud_server.h"
#include "tap.h"

#define ROUNDS	400u
#define DEVICES 3u
/* What cross-timestamps may differ by at the median: far above what is measured, so that a busy
 * machine passes, and far below what log lines are apart. */
#define APART_MAX 20000 /* ns */

#if defined(__x86_64__)
#define COUNTER	   "x86-tsc"
#define COUNTER_ID VIRTIO_RTC_COUNTER_X86_TSC
#else
#define COUNTER	   "arm-vct"
#define COUNTER_ID VIRTIO_RTC_COUNTER_ARM_VCT
#endif

struct device {
	struct vhud_proc proc;
	struct vhud *d;
};

static struct device devices[DEVICES];

static void open_all(struct tap *t)
{
	const struct vhud_opts opts = { .nqueues = 1 };

	for (unsigned i = 0; i < DEVICES; i++) {
		REQUIRE(t, !vhud_spawn(&devices[i].proc, "rtc", "--clocks", "monotonic,utc",
				   "--counter", COUNTER, NULL));
		REQUIRE(t, (devices[i].d = vhud_open(devices[i].proc.path)));
		REQUIRE(t, !vhud_start(devices[i].d, &opts));
	}
}

static void close_all(struct tap *t)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		vhud_close(devices[i].d);
		CHECK_EQ(t, vhud_spawn_end(&devices[i].proc), 0);
	}
}

static uint64_t read_clock(const struct device *d, uint16_t id)
{
	const struct rtc_req_clock req = { { VIRTIO_RTC_REQ_READ }, id };
	struct rtc_resp_read resp = { 0 };

	if (vhud_do(d->d, 0, &req, sizeof(req), &resp, sizeof(resp)) != sizeof(resp))
		return 0;
	return resp.head.status ? 0 : resp.clock_reading;
}

static void cross(const struct device *d, uint16_t id, struct rtc_resp_read_cross *resp)
{
	const struct rtc_req_cross req = { { VIRTIO_RTC_REQ_READ_CROSS }, id, COUNTER_ID };

	memset(resp, 0xff, sizeof(*resp));
	vhud_do(d->d, 0, &req, sizeof(req), resp, sizeof(*resp));
}

/* Readings in turn never go back, whoever gives them. */
static void one_after_the_other(struct tap *t)
{
	uint64_t last = 0, back = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t now = read_clock(&devices[i % DEVICES], 0);

		back += now < last;
		last = now;
	}
	CHECK_EQ(t, back, 0);
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Ticks per nanosecond, from two readings of one device far apart. */
static double tick_rate(const struct rtc_resp_read_cross *a, const struct rtc_resp_read_cross *b)
{
	return (double)(b->counter_cycles - a->counter_cycles) /
	       (double)(b->clock_reading - a->clock_reading);
}

/* Where device 0 puts the counter, and where the others do, at the same time of the clock. */
static void counters_agree(struct tap *t)
{
	static struct rtc_resp_read_cross r[ROUNDS][DEVICES];
	static double apart[ROUNDS * (DEVICES - 1)];
	unsigned n = 0;
	double rate;

	for (unsigned i = 0; i < ROUNDS; i++)
		for (unsigned k = 0; k < DEVICES; k++) {
			cross(&devices[k], 0, &r[i][k]);
			REQUIRE(t, !r[i][k].head.status);
		}
	rate = tick_rate(&r[0][0], &r[ROUNDS - 1][0]);
	CHECK(t, rate > 0.001 && rate < 20);
	for (unsigned i = 0; i < ROUNDS; i++)
		for (unsigned k = 1; k < DEVICES; k++) {
			double ns = (double)(r[i][k].clock_reading - r[i][0].clock_reading);
			double ticks = (double)(r[i][k].counter_cycles - r[i][0].counter_cycles);
			double d = ticks / rate - ns;

			apart[n++] = d < 0 ? -d : d;
		}
	qsort(apart, n, sizeof(*apart), by_size);
	printf("# %u devices, %.4f ticks per ns: apart by %.0f ns (median), %.0f (p99), %.0f "
	       "(max)\n",
		DEVICES, rate, apart[n / 2], apart[n * 99 / 100], apart[n - 1]);
	CHECK(t, apart[n / 2] <= APART_MAX);
}

/* UTC and the monotonic clock of two devices belong to each other in the same way: by the counter,
 * a log with one of them can be merged with a log that has the other. */
static void scales_agree(struct tap *t)
{
	static double apart[ROUNDS];
	double rate = 0;
	struct rtc_resp_read_cross first;

	cross(&devices[0], 0, &first);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct rtc_resp_read_cross mono[2], utc[2];
		int64_t offset[2];

		for (unsigned k = 0; k < 2; k++) {
			cross(&devices[k], 0, &mono[k]);
			cross(&devices[k], 1, &utc[k]);
			rate = tick_rate(&first, &mono[k]);
			/* UTC at the moment of the monotonic reading, minus it. */
			offset[k] =
				(int64_t)(utc[k].clock_reading - mono[k].clock_reading) -
				(int64_t)((double)(utc[k].counter_cycles - mono[k].counter_cycles) /
					  rate);
		}
		apart[i] = offset[0] > offset[1] ? (double)(offset[0] - offset[1])
						 : (double)(offset[1] - offset[0]);
	}
	qsort(apart, ROUNDS, sizeof(*apart), by_size);
	printf("# UTC - monotonic of two devices differs by %.0f ns (median), %.0f (p99)\n",
		apart[ROUNDS / 2], apart[ROUNDS * 99 / 100]);
	CHECK(t, apart[ROUNDS / 2] <= APART_MAX);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, open_all);
	TAP_RUN(&t, one_after_the_other);
	TAP_RUN(&t, counters_agree);
	TAP_RUN(&t, scales_agree);
	TAP_RUN(&t, close_all);
	return tap_done(&t);
}
