/* SPDX-License-Identifier: BSD-3-Clause */
/* The clock device: keys, readings on all scales, alarms with clocks that jump, what is kept. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "devices/devices.h"
#include "devices/rtc_priv.h"
#include "lib/vhud_server.h"
#include "tap.h"

#define NS	UINT64_C(1000000000)
#define MS	UINT64_C(1000000)
#define SPLIT	(FEATURE(VIRTIO_F_EVENT_IDX) | FEATURE(VIRTIO_F_INDIRECT_DESC))
#define PACKED	(SPLIT | FEATURE(VIRTIO_F_RING_PACKED))
#define ALARM	FEATURE(VIRTIO_RTC_F_ALARM)
#define NOTHING 100 /* ms in which nothing shall come */

/* A table with one more second before July 2035. */
#define LEAP_UTC  UINT64_C(2066860800)
#define LEAP_FILE "2272060800 10\n4275849600 11\n"

struct rig {
	struct vhud_server srv;
	struct vhud *d;
	uint8_t *alarms; /* a buffer in the alarmq */
};

static uint64_t ring; /* layout of this run of the cases */

static void rig_start(struct tap *t, struct rig *r, uint64_t features)
{
	const struct vhud_opts opts = {
		.features = ring | features,
		.nqueues = features & ALARM ? 2 : 1,
	};

	CHECK_EQ(t, vhud_start(r->d, &opts), 0);
}

static void rig_open(struct tap *t, struct rig *r, const char *clocks, const char *key,
	const char *value, const char *key2, const char *value2)
{
	memset(r, 0, sizeof(*r));
	CHECK_EQ(t,
		vhud_serve(&r->srv, &vdev_rtc, "clocks", clocks, key, value, key2, value2, NULL),
		0);
	r->d = vhud_open(r->srv.path);
	rig_start(t, r, ALARM);
}

static void rig_close(struct rig *r)
{
	vhud_close(r->d);
	vhud_serve_end(&r->srv);
}

/* The file of leap seconds of these tests, in `path`. */
static void leap_file(struct tap *t, char path[32], const char *text)
{
	int fd;

	strcpy(path, "/tmp/avp-rtc-XXXXXX");
	fd = mkstemp(path);
	CHECK(t, fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* Requests. */

static uint8_t ask(struct rig *r, const void *req, size_t len, union rtc_resp *resp)
{
	memset(resp, 0, sizeof(*resp));
	return vhud_do(r->d, RTC_REQUESTQ, req, len, resp, sizeof(*resp)) > 0 ? resp->head.status
									      : 0xff;
}

static uint64_t read_clock(struct rig *r, uint16_t id)
{
	const struct rtc_req_clock req = { { VIRTIO_RTC_REQ_READ }, id };
	union rtc_resp resp;

	return ask(r, &req, sizeof(req), &resp) ? 0 : resp.read.clock_reading;
}

static uint8_t set_alarm(struct rig *r, uint16_t id, uint64_t time, uint8_t flags)
{
	const struct rtc_req_set_alarm req = { { VIRTIO_RTC_REQ_SET_ALARM }, time, id, flags };
	union rtc_resp resp;

	return ask(r, &req, sizeof(req), &resp);
}

static uint64_t alarm_time(struct rig *r, uint16_t id, bool *enabled)
{
	const struct rtc_req_clock req = { { VIRTIO_RTC_REQ_READ_ALARM }, id };
	union rtc_resp resp;

	if (ask(r, &req, sizeof(req), &resp))
		return 0xbad;
	*enabled = resp.read_alarm.flags;
	return resp.read_alarm.alarm_time;
}

static void give(struct rig *r)
{
	struct iovec iov;

	if (!r->alarms)
		r->alarms = vhud_alloc(r->d, sizeof(struct rtc_notif_alarm));
	iov = (struct iovec){ r->alarms, sizeof(struct rtc_notif_alarm) };
	vhud_add(r->d, RTC_ALARMQ, &iov, 0, 1, r->alarms);
	vhud_kick(r->d, RTC_ALARMQ);
}

/* The clock whose alarm came, -1 if none did within `ms`. */
static int expired(struct rig *r, int ms)
{
	const struct rtc_notif_alarm *n = (const void *)r->alarms;
	uint32_t len;

	if (vhud_wait(r->d, RTC_ALARMQ, NULL, &len, ms) != 1)
		return -1;
	return len == sizeof(*n) && n->msg_type == VIRTIO_RTC_NOTIF_ALARM ? n->clock_id : -2;
}

/* The operator. */

struct told {
	struct vdev *dev;
	char words[80];
	char answer[600];
	int ret;
};

static void tell_there(void *arg)
{
	struct told *told = arg;
	char *argv[8], *save = NULL;
	struct err e = { 0 };
	unsigned argc = 0;
	FILE *f = fmemopen(told->answer, sizeof(told->answer), "w");

	for (char *w = strtok_r(told->words, " ", &save); w && argc < 8;
		w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	told->ret = told->dev->cls->command(told->dev, argc, argv, f, &e);
	fclose(f);
	if (told->ret)
		snprintf(told->answer, sizeof(told->answer), "%s", e.msg);
}

static int tell(struct rig *r, const char *words, char *answer)
{
	struct told told = { .dev = r->srv.dev };

	snprintf(told.words, sizeof(told.words), "%s", words);
	vhud_serve_call(&r->srv, tell_there, &told);
	if (answer)
		strcpy(answer, told.answer);
	return told.ret;
}

static uint64_t host(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
}

static bool near(uint64_t a, uint64_t b, uint64_t by)
{
	return (a > b ? a - b : b - a) <= by;
}

/* Cases. */

static void default_clocks(struct tap *t)
{
	struct rig r = { 0 };
	uint64_t before, utc;

	CHECK_EQ(t, vhud_serve(&r.srv, &vdev_rtc, NULL), 0);
	r.d = vhud_open(r.srv.path);
	rig_start(t, &r, ALARM);
	before = host(CLOCK_REALTIME);
	utc = read_clock(&r, 0);
	CHECK(t, utc >= before && utc <= host(CLOCK_REALTIME));
	before = host(CLOCK_BOOTTIME);
	utc = read_clock(&r, 1);
	CHECK(t, utc >= before && utc <= host(CLOCK_BOOTTIME));
	CHECK_EQ(t, read_clock(&r, 2), 0);
	rig_close(&r);
}

static int serve(const char *key, const char *value, const char *key2, const char *value2)
{
	struct vhud_server s;
	int r = vhud_serve(&s, &vdev_rtc, key, value, key2, value2, NULL);

	if (!r)
		vhud_serve_end(&s);
	return r;
}

static void wrong_keys(struct tap *t)
{
	CHECK(t, serve("clocks", "utc,gps", NULL, NULL) < 0);
	CHECK(t, serve("clocks", "utc,utc", NULL, NULL) < 0);
	CHECK(t, serve("clocks", "smeared-noon", NULL, NULL) < 0);
	CHECK(t, serve("leap-seconds", "/nonexistent", NULL, NULL) < 0);
	CHECK(t, serve("state", "/nonexistent/state", NULL, NULL) < 0);
	CHECK(t, serve("state", "/dev/null", NULL, NULL) < 0);
	CHECK(t, serve("counter", "hpet", NULL, NULL) < 0);
#if defined(__x86_64__)
	CHECK(t, serve("counter", "arm-vct", NULL, NULL) < 0);
	CHECK(t, serve("counter", "x86-tsc", "counter-offset", "1e3") < 0);
	CHECK(t, serve("counter", "x86-tsc", "counter-offset", "") < 0);
	CHECK_EQ(t, serve("counter", "x86-tsc", "counter-offset", "-123456789012345"), 0);
#else
	CHECK(t, serve("counter", "x86-tsc", NULL, NULL) < 0);
	CHECK_EQ(t, serve("counter", "arm-vct", "counter-offset", "-123456789012345"), 0);
#endif
}

/* What the counter is ahead of this processor's. */
static void counter_offset(struct tap *t)
{
#if defined(__x86_64__)
	const char *counter = "x86-tsc";
	const uint8_t hw = VIRTIO_RTC_COUNTER_X86_TSC;
#else
	const char *counter = "arm-vct";
	const uint8_t hw = VIRTIO_RTC_COUNTER_ARM_VCT;
#endif
	const struct rtc_req_cross req = { { VIRTIO_RTC_REQ_READ_CROSS }, 0, hw };
	const uint64_t offset = (uint64_t)-1000000000000;
	uint64_t before, after;
	union rtc_resp resp;
	struct rig r;

	rig_open(t, &r, "utc", "counter", counter, "counter-offset", "-1000000000000");
	before = hostclock_counter();
	CHECK_EQ(t, ask(&r, &req, sizeof(req), &resp), VIRTIO_RTC_S_OK);
	after = hostclock_counter();
	CHECK(t, resp.read_cross.counter_cycles - offset >= before);
	CHECK(t, resp.read_cross.counter_cycles - offset <= after);
	rig_close(&r);
}

static void alarm_by_running(struct tap *t)
{
	struct rig r;
	uint64_t at;

	rig_open(t, &r, "monotonic,utc", NULL, NULL, NULL, NULL);
	for (uint16_t id = 0; id < 2; id++) {
		give(&r);
		at = read_clock(&r, id) + 30 * MS;
		CHECK_EQ(t, set_alarm(&r, id, at, 1), 0);
		CHECK_EQ(t, expired(&r, VHUD_TIMEOUT_MS), id);
		CHECK(t, read_clock(&r, id) >= at);
	}
	rig_close(&r);
}

/* A clock that is set past the alarm; then back before it, where the alarm holds again. */
static void alarm_by_jumps(struct tap *t)
{
	struct rig r;
	uint64_t at;

	rig_open(t, &r, "utc,monotonic", NULL, NULL, NULL, NULL);
	at = read_clock(&r, 0) + 3600 * NS;
	CHECK_EQ(t, set_alarm(&r, 0, at, 1), 0);
	give(&r);
	CHECK_EQ(t, expired(&r, NOTHING), -1);
	CHECK_EQ(t, tell(&r, "step 3599.5", NULL), 0);
	CHECK_EQ(t, expired(&r, VHUD_TIMEOUT_MS), 0);
	CHECK(t, near(read_clock(&r, 0), at, 30 * NS));
	give(&r);
	CHECK_EQ(t, tell(&r, "step -100", NULL), 0);
	CHECK_EQ(t, expired(&r, NOTHING), -1);
	CHECK_EQ(t, tell(&r, "step +200", NULL), 0);
	CHECK_EQ(t, expired(&r, VHUD_TIMEOUT_MS), 0);
	/* Back on the host's time, an hour early. */
	give(&r);
	CHECK_EQ(t, tell(&r, "host", NULL), 0);
	CHECK(t, near(read_clock(&r, 0), host(CLOCK_REALTIME), 10 * NS));
	CHECK_EQ(t, expired(&r, NOTHING), -1);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "alarms"), 2);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "notifications"), 2);
	rig_close(&r);
}

/* MONOTONIC is not what an operator sets. */
static void monotonic_stays(struct tap *t)
{
	struct rig r;

	rig_open(t, &r, "monotonic,utc", NULL, NULL, NULL, NULL);
	CHECK_EQ(t, tell(&r, "set 2038-01-19T03:14:07Z", NULL), 0);
	CHECK(t, near(read_clock(&r, 1), 2147483647 * NS, 30 * NS));
	CHECK(t, near(read_clock(&r, 0), host(CLOCK_BOOTTIME), 30 * NS));
	rig_close(&r);
}

static void operator(struct tap *t)
{
	static const char *const wrong[] = { "", "step", "step x", "step 1 2", "set", "set never",
		"set 2038-01-19T03:14", "set 1969-12-31T23:59:59", "step 1e3",
		"step 99999999999999", "step 0x10", "show me", "hosts",
		"set 2038-01-19T03:14:07+01:00", "set 2619-12-31T00:00:00" };
	char answer[600];
	struct rig r;

	rig_open(t, &r, "utc,monotonic", NULL, NULL, NULL, NULL);
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
		if (!CHECK(t, tell(&r, wrong[i], answer) < 0 && strstr(answer, "there are: show")))
			printf("# %s: %s\n", wrong[i], answer);
	CHECK_EQ(t, tell(&r, "step 5999999999", NULL), 0);
	CHECK(t, tell(&r, "step 5999999999", answer) < 0 && strstr(answer, "190 years"));
	CHECK_EQ(t, tell(&r, "set 0", NULL), 0);
	CHECK(t, read_clock(&r, 0) < 30 * NS);
	/* Nothing is before 1970. */
	CHECK_EQ(t, tell(&r, "step -1000", NULL), 0);
	CHECK_EQ(t, read_clock(&r, 0), 0);
	CHECK_EQ(t, tell(&r, "set 1.5", NULL), 0);
	CHECK_EQ(t, set_alarm(&r, 0, 77 * NS, 1), 0);
	CHECK_EQ(t, tell(&r, "show", answer), 0);
	CHECK(t, strstr(answer, "0 utc ") && strstr(answer, "1970-01-01T00:00:0"));
	CHECK(t, strstr(answer, "1 monotonic ") && strstr(answer, "alarm at 77.000000000"));
	rig_close(&r);
}

/* UTC steps back where a leap second begins, and TAI does not. */
static void leap_second(struct tap *t)
{
	uint64_t last, utc, tai, smeared;
	char path[32], when[40];
	struct rig r;

	leap_file(t, path, LEAP_FILE);
	rig_open(t, &r, "utc,tai,smeared-sls", "leap-seconds", path, NULL, NULL);
	unlink(path);
	snprintf(when, sizeof(when), "set %llu.7", (unsigned long long)LEAP_UTC - 1);
	CHECK_EQ(t, tell(&r, when, NULL), 0);
	last = utc = read_clock(&r, 0);
	smeared = read_clock(&r, 2);
	if (!near(last, LEAP_UTC * NS - NS * 3 / 10, NS / 4)) {
		tap_skip(t, "this machine is too slow, or its kernel has another TAI - UTC");
		rig_close(&r);
		return;
	}
	for (unsigned i = 0; i < 100000 && utc >= last; i++) {
		last = utc;
		utc = read_clock(&r, 0);
	}
	CHECK(t, utc < last);
	/* The smeared clock did not step, but goes to where UTC is; TAI is 11 s ahead now. */
	CHECK(t, read_clock(&r, 2) > smeared);
	utc = read_clock(&r, 0);
	tai = read_clock(&r, 1);
	CHECK(t, tai - utc >= 11 * NS && tai - read_clock(&r, 0) <= 11 * NS);
	rig_close(&r);
}

/* Alarms of a device without the key are forgotten by a reset; with it they outlive the process. */
static void kept(struct tap *t)
{
	char path[32] = "/tmp/avp-rtc-XXXXXX";
	bool enabled = true;
	struct stat st;
	struct rig r;
	uint64_t at;

	rig_open(t, &r, "utc", NULL, NULL, NULL, NULL);
	CHECK_EQ(t, set_alarm(&r, 0, UINT64_MAX, 1), 0);
	CHECK_EQ(t, vhud_reset(r.d), 0);
	rig_start(t, &r, ALARM);
	CHECK_EQ(t, alarm_time(&r, 0, &enabled), 0);
	CHECK(t, !enabled);
	rig_close(&r);

	close(mkstemp(path));
	rig_open(t, &r, "utc,monotonic", "state", path, NULL, NULL);
	at = read_clock(&r, 0) + 3600 * NS;
	CHECK_EQ(t, set_alarm(&r, 0, at, 1), 0);
	CHECK_EQ(t, vhud_reset(r.d), 0);
	rig_start(t, &r, ALARM);
	CHECK_EQ(t, alarm_time(&r, 0, &enabled), at);
	CHECK(t, enabled);
	CHECK_EQ(t, set_alarm(&r, 1, 1, 1), 0);
	rig_close(&r);
	CHECK(t, !stat(path, &st) && st.st_size > 0 && (st.st_mode & 0777) == 0600);

	/* The next process: one is still ahead, the other has passed. */
	rig_open(t, &r, "utc,monotonic", "state", path, NULL, NULL);
	CHECK_EQ(t, alarm_time(&r, 0, &enabled), at);
	CHECK(t, enabled);
	give(&r);
	CHECK_EQ(t, expired(&r, VHUD_TIMEOUT_MS), 1);
	rig_close(&r);

	CHECK_EQ(t, truncate(path, 5), 0);
	CHECK(t, serve("state", path, NULL, NULL) < 0);
	unlink(path);
}

/* What cannot be kept is refused, and the alarm stays as it was. */
static void keeping_fails(struct tap *t)
{
	int fd = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bool enabled = false;
	char path[32];
	struct rig r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rig_open(t, &r, "utc", "state", path, NULL, NULL);
	CHECK_EQ(t, set_alarm(&r, 0, UINT64_MAX, 1), VIRTIO_RTC_S_OK);
	CHECK_EQ(t, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	CHECK_EQ(t, set_alarm(&r, 0, 5, 0), VIRTIO_RTC_S_EIO);
	CHECK_EQ(t, alarm_time(&r, 0, &enabled), UINT64_MAX);
	CHECK(t, enabled);
	rig_close(&r);
	close(fd);
}

static void without_alarms(struct tap *t)
{
	struct rig r = { 0 };

	CHECK_EQ(t, vhud_serve(&r.srv, &vdev_rtc, "alarm", "false", NULL), 0);
	r.d = vhud_open(r.srv.path);
	rig_start(t, &r, 0);
	CHECK(t, !(vhud_features(r.d) & ALARM));
	CHECK_EQ(t, set_alarm(&r, 0, 1, 1), VIRTIO_RTC_S_ENODEV);
	rig_close(&r);
}

/* Requests of every length and type with every status of the response: none does harm. */
static void any_request(struct tap *t)
{
	static const uint16_t types[] = { 0, 1, 2, 3, 0x0fff, 0x1000, 0x1001, 0x1002, 0x1003,
		0x1004, 0x1005, 0x1006, 0x2000, 0xffff };
	uint8_t req[40], resp[40];
	unsigned answered = 0;
	struct rig r;

	rig_open(t, &r, "utc,monotonic", NULL, NULL, NULL, NULL);
	for (unsigned i = 0; i < ARRAY_LEN(types); i++)
		for (size_t len = 0; len < sizeof(req); len += 3)
			for (size_t room = 1; room < sizeof(resp); room += 5) {
				memset(req, (int)(len * 7), sizeof(req));
				memcpy(req, &types[i], 2);
				answered += vhud_do(r.d, 0, req, len, resp, room) > 0;
			}
	CHECK_EQ(t, answered, ARRAY_LEN(types) * 14 * 8);
	CHECK(t, read_clock(&r, 0));
	rig_close(&r);
}

static void run(struct tap *t)
{
	TAP_RUN(t, default_clocks);
	TAP_RUN(t, wrong_keys);
	TAP_RUN(t, counter_offset);
	TAP_RUN(t, alarm_by_running);
	TAP_RUN(t, alarm_by_jumps);
	TAP_RUN(t, monotonic_stays);
	TAP_RUN(t, operator);
	TAP_RUN(t, leap_second);
	TAP_RUN(t, kept);
	TAP_RUN(t, keeping_fails);
	TAP_RUN(t, without_alarms);
	TAP_RUN(t, any_request);
}

int main(void)
{
	struct tap t = { 0 };

	ring = SPLIT;
	run(&t);
	ring = PACKED;
	run(&t);
	return tap_done(&t);
}
