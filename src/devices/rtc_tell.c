/* SPDX-License-Identifier: BSD-3-Clause */
/* What the operator may say to the clock device: look at its clocks, and set them for tests. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "devices/rtc_priv.h"

#define NS INT64_C(1000000000)
/* About 200 years: sums with the time of day stay far from the end of 64 bits. */
#define SHIFT_MAX (INT64_C(6000000000) * NS)

/* "[+-]SECONDS[.FRACTION]", up to nine digits behind the point. False if it is none. */
static bool parse_seconds(const char *text, int64_t *ns)
{
	bool minus = *text == '-';
	int64_t whole, part = 0, unit = NS;
	char *end;

	text += minus || *text == '+';
	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	whole = strtoll(text, &end, 10);
	if (errno || whole > SHIFT_MAX / NS)
		return false;
	if (*end == '.')
		for (end++; isdigit((unsigned char)*end) && unit > 1; end++) {
			unit /= 10;
			part += (*end - '0') * unit;
		}
	*ns = (whole * NS + part) * (minus ? -1 : 1);
	return !*end;
}

/* Seconds since 1970, or a date and time of UTC: 2038-01-19T03:14:00. */
static bool parse_time(const char *text, int64_t *ns)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	time_t s;

	if (!end)
		return parse_seconds(text, ns);
	if (*end == 'Z')
		end++;
	s = timegm(&tm);
	if (*end || s < 0 || s > SHIFT_MAX / NS)
		return false;
	*ns = s * NS;
	return true;
}

/* Shifts the clocks by `by` more. */
static int step(struct rtc *rtc, int64_t by, struct err *e)
{
	int64_t shift;

	if (__builtin_add_overflow(rtc->host.shift, by, &shift) || shift > SHIFT_MAX ||
		shift < -SHIFT_MAX)
		return err_set(e, -EINVAL, "the clocks can be 190 years from the host's at most");
	rtc->host.shift = shift;
	vdev_event(&rtc->dev, "clock-stepped", "by %+.9f s, now %+.9f s from the host's",
		(double)by / NS, (double)shift / NS);
	rtc_alarm_look(rtc);
	return 0;
}

static void show_clock(const struct rtc *rtc, unsigned id, FILE *f)
{
	const struct rtc_clock *c = &rtc->clocks[id];
	uint64_t now = rtc_read_clock(rtc, c);
	time_t s = (time_t)(now / (uint64_t)NS);
	char date[32] = "";
	struct tm tm;

	if (c->kind->type != VIRTIO_RTC_CLOCK_MONOTONIC && gmtime_r(&s, &tm))
		strftime(date, sizeof(date), "  %Y-%m-%dT%H:%M:%S", &tm);
	fprintf(f, "%u %-17s %10" PRIu64 ".%09" PRIu64 "%s", id, c->kind->name, now / (uint64_t)NS,
		now % (uint64_t)NS, date);
	if (c->enabled)
		fprintf(f, "  alarm at %" PRIu64 ".%09" PRIu64, c->alarm_time / (uint64_t)NS,
			c->alarm_time % (uint64_t)NS);
	fputc('\n', f);
}

static void show(const struct rtc *rtc, FILE *f)
{
	for (unsigned i = 0; i < rtc->nclocks; i++)
		show_clock(rtc, i, f);
	fprintf(f, "shifted by %+.9f s\n", (double)rtc->host.shift / NS);
}

int rtc_command(struct vdev *dev, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);
	const char *verb = argc ? argv[0] : "";
	int64_t ns;
	int ret;

	if (argc == 1 && !strcmp(verb, "show")) {
		show(rtc, answer);
		return 0;
	}
	if (argc == 2 && !strcmp(verb, "step") && parse_seconds(argv[1], &ns))
		ret = step(rtc, ns, e);
	else if (argc == 2 && !strcmp(verb, "set") && parse_time(argv[1], &ns))
		ret = step(rtc, ns - (int64_t)hostclock_read(&rtc->host, HOSTCLOCK_UTC), e);
	else if (argc == 1 && !strcmp(verb, "host"))
		ret = step(rtc, -rtc->host.shift, e);
	else
		return err_set(e, -EINVAL,
			"there are: show; step SECONDS (as -0.5); set SECONDS or "
			"YYYY-MM-DDThh:mm:ss; host");
	if (!ret)
		show(rtc, answer);
	return ret;
}
