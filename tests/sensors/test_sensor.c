/* SPDX-License-Identifier: BSD-3-Clause */
/* Sensors: values as text, scripts, recordings, other processes, the host's sysfs. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "host/sensor.h"
#include "host/sensor_sysfs.h"
#include "tap.h"

#define MS	   UINT64_C(1000000)
#define SENSORS	   4u
#define EVENTS_MAX 2048u

/* A set with a few sensors, in a folder of its own. */
struct bench {
	struct ev_loop *loop;
	struct sensors *set;
	struct sensors_config config;
	struct sensor_config conf[SENSORS];
	struct sensor sensor[SENSORS];
	unsigned n, changes;
	struct err e;
	char dir[64], path[PATH_MAX], events[EVENTS_MAX];
	int client;
};

/* Values. */

struct text {
	const char *text;
	int exponent, ret;
	int64_t v;
	const char *rest;
};

static void test_parse_value(struct tap *t)
{
	static const struct text good[] = {
		{ "21.5", -1, 0, 215, "" },
		{ "21.55x", -1, 0, 216, "x" },
		{ "-0.25", -2, 0, -25, "" },
		{ "-0.25", -1, 0, -3, "" },
		{ "+7", 0, 0, 7, "" },
		{ "1234", 2, 0, 12, "" },
		{ "1250", 2, 0, 13, "" },
		{ "50", 2, 0, 1, "" },
		{ "49", 2, 0, 0, "" },
		{ "0.0004", -3, 0, 0, "" },
		{ "3", -3, 0, 3000, "" },
		{ "000000000000000000000000000000000003.5", 0, 0, 4, "" },
		{ "9223372036854775807", 0, 0, INT64_MAX, "" },
		{ "-9223372036854775807", 0, 0, -INT64_MAX, "" },
		{ "5.", 0, 0, 5, "" },
		{ ".5", -1, 0, 5, "" },
		{ "1e3", 0, 0, 1, "e3" },
		{ "0", -16, 0, 0, "" },
		{ "9223372036854775808", 0, -ERANGE, 0, "" },
		{ "99999999999999999999", 0, -ERANGE, 0, "" },
		{ "1000", -16, -ERANGE, 0, "" },
		{ "", 0, -EINVAL, 0, NULL },
		{ "-", 0, -EINVAL, 0, NULL },
		{ ".", 0, -EINVAL, 0, NULL },
		{ "x", 0, -EINVAL, 0, NULL },
		{ "--1", 0, -EINVAL, 0, NULL },
		{ " 1", 0, -EINVAL, 0, NULL },
		{ "nan", 0, -EINVAL, 0, NULL },
	};

	for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
		const char *end = NULL;
		int64_t v = 0;

		CHECK_EQ(t, sensor_parse_value(good[i].text, good[i].exponent, &v, &end),
			good[i].ret);
		CHECK_EQ(t, v, good[i].v);
		CHECK(t, good[i].ret || !strcmp(end, good[i].rest));
	}
}

static void test_parse_values(struct tap *t)
{
	int64_t v[3];

	CHECK(t, !sensor_parse_values("1/-2.5/3", -1, 3, v));
	CHECK(t, v[0] == 10 && v[1] == -25 && v[2] == 30);
	CHECK_EQ(t, sensor_parse_values("1/2", 0, 3, v), -EINVAL);
	CHECK_EQ(t, sensor_parse_values("1/2/3/4", 0, 3, v), -EINVAL);
	CHECK_EQ(t, sensor_parse_values("1/2/3", 0, 1, v), -EINVAL);
	CHECK_EQ(t, sensor_parse_values("1//3", 0, 3, v), -EINVAL);
}

/* What is printed is parsed to the same value again. */
static void test_print_value(struct tap *t)
{
	static const int64_t values[] = { 0, 5, -5, 215, -1050, INT64_MAX, -INT64_MAX };
	static const struct {
		int64_t v;
		int exponent;
		const char *text;
	} looks[] = { { 215, -1, "21.5" }, { -5, -2, "-0.05" }, { 12, 3, "12000" }, { 0, 2, "0" },
		{ 100, -2, "1.00" } };

	for (unsigned i = 0; i < ARRAY_LEN(values) + ARRAY_LEN(looks); i++) {
		bool look = i >= ARRAY_LEN(values);
		unsigned k = look ? i - (unsigned)ARRAY_LEN(values) : i;

		for (int exponent = -16; exponent <= (look ? -16 : 0); exponent++) {
			int x = look ? looks[k].exponent : exponent;
			int64_t v = look ? looks[k].v : values[k], again = 1;
			char text[64] = "";
			const char *end;
			FILE *f = fmemopen(text, sizeof(text), "w");

			REQUIRE(t, f);
			sensor_print_value(f, v, x);
			fclose(f);
			CHECK(t, !look || !strcmp(text, looks[k].text));
			CHECK(t, !sensor_parse_value(text, x, &again, &end) && !*end);
			CHECK_EQ(t, again, v);
		}
	}
}

static void test_units(struct tap *t)
{
	uint8_t unit = 0;

	CHECK(t, !sensor_parse_unit("celsius", &unit) && unit == 2);
	CHECK(t, !sensor_parse_unit("meter-per-second", &unit) && unit == 90);
	CHECK(t, !sensor_parse_unit("91", &unit) && unit == 91);
	CHECK_EQ(t, sensor_parse_unit("256", &unit), -EINVAL);
	CHECK_EQ(t, sensor_parse_unit("", &unit), -EINVAL);
	CHECK_EQ(t, sensor_parse_unit("2x", &unit), -EINVAL);
	CHECK(t, !strcmp(sensor_unit_name(89), "meter-per-second-squared"));
	CHECK(t, !sensor_unit_name(200));
	for (unsigned i = 0; sensor_unit_word(i); i++)
		CHECK(t, !sensor_parse_unit(sensor_unit_word(i), &unit) &&
				 !strcmp(sensor_unit_name(unit), sensor_unit_word(i)));
}

static void test_scale(struct tap *t)
{
	int64_t v;

	CHECK(t, !sensor_scale(9.81, -2, &v) && v == 981);
	CHECK(t, !sensor_scale(-1500, 3, &v) && v == -2);
	CHECK_EQ(t, sensor_scale(1e19, 0, &v), -ERANGE);
	CHECK_EQ(t, sensor_scale(0.0 / 0.0, 0, &v), -ERANGE);
}

/* Sets. */

static void on_event(void *arg, const char *event, const char *detail)
{
	struct bench *b = arg;
	size_t used = strlen(b->events);

	snprintf(b->events + used, sizeof(b->events) - used, "%s: %s\n", event, detail);
}

/* All sensors of a bench count together. */
static void on_change(struct sensor *s)
{
	struct bench *b = container_of(s->config, struct bench, conf[s->config->interval_ns - 1]);

	b->changes++;
}

static struct sensor_config *add(struct bench *b, const char *name, enum sensor_source source)
{
	struct sensor_config *c = &b->conf[b->n++];

	*c = (struct sensor_config){ .name = name,
		.unit = 2,
		.exponent = -1,
		.axes = 1,
		.min = -INT64_MAX,
		.max = INT64_MAX,
		.source = source,
		/* Which one it is, for on_change(). */
		.interval_ns = b->n,
		.period_ns = 100 * MS };
	return c;
}

static void set_up(struct bench *b)
{
	*b = (struct bench){ .client = -1 };
	snprintf(b->dir, sizeof(b->dir), "/tmp/avp-sensors-XXXXXX");
	if (!mkdtemp(b->dir) || ev_loop_create(&b->loop))
		abort();
}

static int start(struct bench *b)
{
	int ret = sensors_open(&b->set, &b->config, b->loop, NULL, on_event, b, &b->e);

	for (unsigned i = 0; !ret && i < b->n; i++) {
		b->sensor[i] = (struct sensor){ .config = &b->conf[i], .changed = on_change };
		sensors_add(b->set, &b->sensor[i]);
	}
	return ret ? ret : sensors_start(b->set, &b->e);
}

static char *in_dir(struct bench *b, const char *name)
{
	snprintf(b->path, sizeof(b->path), "%s/%s", b->dir, name);
	return b->path;
}

static void write_file(struct bench *b, const char *name, const char *text)
{
	FILE *f = fopen(in_dir(b, name), "w");

	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
}

static void tear_down(struct bench *b)
{
	char command[128];

	sensors_close(b->set);
	ev_loop_destroy(b->loop);
	close_fd(&b->client);
	snprintf(command, sizeof(command), "rm -rf %s", b->dir);
	if (system(command))
		printf("# cannot remove %s\n", b->dir);
}

/* Runs until there were `changes`, at most for a while. */
static void run_until(struct bench *b, unsigned changes)
{
	uint64_t until = ev_now_ns() + 5000 * MS;

	while (b->changes < changes && ev_now_ns() < until)
		ev_run_once(b->loop, 10);
}

static void test_scripts(struct tap *t)
{
	struct bench b;
	struct sensor_config *c;
	struct sensor_sample s, before;
	int64_t low = 2000, high = 0, last = -1;
	bool fell = false;
	uint64_t until;

	set_up(&b);
	c = add(&b, "fixed", SENSOR_VALUE);
	c->axes = 3;
	memcpy(c->from, (int64_t[]){ 1, -2, 3 }, sizeof(c->from));
	c = add(&b, "sine", SENSOR_SINE);
	c->from[0] = 700;
	c->to[0] = 950;
	c = add(&b, "ramp", SENSOR_RAMP);
	c->to[0] = 1000;
	REQUIRE(t, !start(&b));
	CHECK(t, !sensor_read(&b.sensor[0], &before) && before.value[1] == -2);
	until = ev_now_ns() + 5000 * MS;
	while (ev_now_ns() < until && (low >= 750 || high <= 900 || !fell)) {
		CHECK(t, !sensor_read(&b.sensor[1], &s));
		low = s.value[0] < low ? s.value[0] : low;
		high = s.value[0] > high ? s.value[0] : high;
		CHECK(t, !sensor_read(&b.sensor[2], &s));
		CHECK(t, s.value[0] >= 0 && s.value[0] <= 1000);
		fell |= s.value[0] < last;
		last = s.value[0];
	}
	CHECK(t, low >= 700 && low < 750 && high > 900 && high <= 950);
	CHECK(t, fell);
	CHECK(t, s.time_ns > before.time_ns);
	CHECK(t, !sensor_pushes(&b.sensor[1]));
	tear_down(&b);
}

static void test_clocks(struct tap *t)
{
	struct bench b;
	struct sensor_sample s;

	set_up(&b);
	add(&b, "fixed", SENSOR_VALUE);
	b.config.time_stamps = SENSOR_CLOCK_REALTIME;
	REQUIRE(t, !start(&b));
	CHECK(t, !sensor_read(&b.sensor[0], &s));
	CHECK(t, s.time_ns / 1000000000 - (uint64_t)time(NULL) + 10 <= 20);
	tear_down(&b);
}

/* The operator's word counts until it is taken back. */
static void test_hold(struct tap *t)
{
	struct bench b;
	struct sensor_sample s;
	int64_t v = 55, out = 500;

	set_up(&b);
	add(&b, "a", SENSOR_SOCKET)->max = 100;
	b.config.socket = strdup(in_dir(&b, "s"));
	REQUIRE(t, !start(&b));
	CHECK_EQ(t, sensor_read(&b.sensor[0], &s), -ENODATA);
	sensor_hold(&b.sensor[0], &v);
	CHECK(t, !sensor_read(&b.sensor[0], &s) && s.value[0] == 55 && s.time_ns);
	CHECK(t, !sensor_pushes(&b.sensor[0]));
	sensor_hold(&b.sensor[0], &out);
	CHECK(t, !sensor_read(&b.sensor[0], &s) && s.value[0] == 100);
	sensor_hold_gone(&b.sensor[0]);
	CHECK_EQ(t, sensor_read(&b.sensor[0], &s), -EIO);
	CHECK_EQ(t, b.changes, 3);
	v = 7;
	sensor_push(&b.sensor[0], &v, 0, NULL);
	CHECK_EQ(t, sensor_read(&b.sensor[0], &s), -EIO);
	sensor_release(&b.sensor[0]);
	CHECK(t, !sensor_read(&b.sensor[0], &s) && s.value[0] == 7);
	sensor_lost(&b.sensor[0], "x");
	CHECK_EQ(t, sensor_read(&b.sensor[0], &s), -EIO);
	sensor_push(&b.sensor[0], &v, 77, NULL);
	CHECK(t, !sensor_read(&b.sensor[0], &s) && s.time_ns == 77);
	CHECK(t, !strcmp(b.events, "host-gone: sensor a: x\nhost-back: sensor a\n"));
	free(b.config.socket);
	tear_down(&b);
}

/* Recordings. */

static void add_replayed(struct bench *b)
{
	struct sensor_config *c = add(b, "speed", SENSOR_REPLAY);

	c->column[0] = "v";
	c->exponent = -2;
	c = add(b, "accel", SENSOR_REPLAY);
	c->axes = 3;
	memcpy(c->column, (const char *[]){ "ax", "ay", "az" }, sizeof(c->column));
}

static int start_recording(struct bench *b, const char *text, int when)
{
	int ret;

	write_file(b, "drive.csv", text);
	b->config.replay = (struct replay_config){ .file = b->path, .start_when = when };
	ret = start(b);
	b->config.replay.file = NULL;
	return ret;
}

static void test_recording(struct tap *t)
{
	struct bench b;
	struct sensor_sample s;

	set_up(&b);
	add_replayed(&b);
	b.config.replay.file = b.path;
	REQUIRE(t, !start_recording(&b,
			   "# made by hand\n time , az, v ,other, ax,ay\n"
			   "0, 9.8, 13.89 , x, 1, 2\n0.02,,,,,\n0.03,9.9,,,1.5,\n0.05,,14,,,\n",
			   REPLAY_READY));
	b.config.replay.file = b.path;
	CHECK_EQ(t, replay_count(sensors_replay(b.set)), 4);
	ev_run_once(b.loop, 5);
	CHECK_EQ(t, sensor_read(&b.sensor[0], &s), -ENODATA);
	sensors_ready(b.set);
	run_until(&b, 2);
	CHECK(t, !sensor_read(&b.sensor[0], &s) && s.value[0] == 1389);
	CHECK(t, !sensor_read(&b.sensor[1], &s));
	CHECK(t, s.value[0] == 10 && s.value[1] == 20 && s.value[2] == 98);
	CHECK(t, sensor_pushes(&b.sensor[1]));
	run_until(&b, 4);
	CHECK_EQ(t, b.changes, 4);
	CHECK(t, !sensor_read(&b.sensor[1], &s));
	CHECK(t, s.value[0] == 15 && s.value[1] == 20 && s.value[2] == 99);
	CHECK(t, !sensor_read(&b.sensor[0], &s) && s.value[0] == 1400);
	CHECK_EQ(t, b.sensor[0].samples, 2);
	CHECK(t, strstr(b.events, "replay-end: "));
	tear_down(&b);
}

struct bad {
	const char *text, *says;
};

static void test_bad_recordings(struct tap *t)
{
	static const struct bad bad[] = {
		{ "", "nothing to replay" },
		{ "time,v,ax,ay,az\n", "nothing to replay" },
		{ "0,1,2,3,4\n", "csv:1: '0' is a number, but the first line names the columns" },
		{ "time,v,ax,ay\n",
			":1: there is no column 'az', which sensor accel needs; columns: "
			"time,v,ax,ay" },
		{ "time,v,ax,ay,az,v\n0,1,1,1,1,1\n", ":1: the column 'v' is there twice" },
		{ "time,v,ax,ay,az\nx,1,1,1,1\n", ":2: 'x' is not a time in seconds" },
		{ "time,v,ax,ay,az\n0,1,1,1,1x\n", ":2: '1x' in column az is not a number" },
		{ "time,v,ax,ay,az\n0,1,1,nan,1\n", ":2: 'nan' in column ay is not a number" },
		{ "time,v,ax,ay,az\n0,99999999999999999999,,,\n",
			":2: 99999999999999999999 is out of range for sensor speed at exponent "
			"-2" },
		{ "time,v,ax,ay,az\n1,,,,\n0.5,,,,\n", ":3: the time goes back" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct bench b;

		set_up(&b);
		add_replayed(&b);
		CHECK_EQ(t, start_recording(&b, bad[i].text, REPLAY_NOW), -EINVAL);
		if (!CHECK(t, strstr(b.e.msg, bad[i].says)))
			printf("# '%s' lacks '%s'\n", b.e.msg, bad[i].says);
		tear_down(&b);
	}
}

static void test_recording_and_sensors_belong_together(struct tap *t)
{
	struct bench none, unused;

	set_up(&none);
	add_replayed(&none);
	CHECK_EQ(t, start(&none), -EINVAL);
	CHECK(t, strstr(none.e.msg, "sensor speed is to be replayed, but no recording is named"));
	tear_down(&none);
	set_up(&unused);
	add(&unused, "a", SENSOR_VALUE);
	CHECK_EQ(t, start_recording(&unused, "time,a\n0,1\n", REPLAY_NOW), -EINVAL);
	CHECK(t, strstr(unused.e.msg, "is for no sensor"));
	tear_down(&unused);
}

/* Other processes. */

static void set_up_socket(struct bench *b)
{
	set_up(b);
	add(b, "speed", SENSOR_SOCKET)->exponent = -2;
	add(b, "accel", SENSOR_SOCKET)->axes = 3;
	add(b, "other", SENSOR_VALUE);
	b->config.socket = strdup(in_dir(b, "feed"));
}

static bool connect_and_greet(struct bench *b, char *buf, size_t len)
{
	uint64_t until = ev_now_ns() + 5000 * MS;
	ssize_t n = 0;

	b->client = fd_unix_connect(b->config.socket, SOCK_STREAM, &b->e);
	while (b->client >= 0 && n <= 0 && ev_now_ns() < until) {
		ev_run_once(b->loop, 10);
		n = recv(b->client, buf, len - 1, MSG_DONTWAIT);
	}
	buf[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* Sends text and gets the answer; "" if there is none. */
static const char *tell(struct bench *b, const char *text, char *buf, size_t len)
{
	ssize_t n;

	if (send(b->client, text, strlen(text), MSG_NOSIGNAL) < 0)
		return "cannot send";
	ev_run_once(b->loop, 0);
	n = recv(b->client, buf, len - 1, MSG_DONTWAIT);
	buf[n > 0 ? n : 0] = 0;
	return buf;
}

static void test_feed(struct tap *t)
{
	struct bench b;
	struct sensor_sample s;
	char buf[512];

	set_up_socket(&b);
	REQUIRE(t, !start(&b));
	REQUIRE(t, connect_and_greet(&b, buf, sizeof(buf)));
	CHECK(t, !strcmp(buf,
			 "sensor speed axes=1 unit=celsius\nsensor accel axes=3 unit=celsius\n"));
	CHECK(t, !*tell(&b, "speed 13.5", buf, sizeof(buf)));
	CHECK_EQ(t, b.changes, 0);
	CHECK(t, !*tell(&b, "6 @12.250\r\n# a comment\n\n  accel 1 -2   0.33\n", buf, sizeof(buf)));
	CHECK_EQ(t, b.changes, 2);
	CHECK(t, !sensor_read(&b.sensor[0], &s) && s.value[0] == 1356);
	CHECK_EQ(t, s.time_ns, UINT64_C(12250000000));
	CHECK(t, !sensor_read(&b.sensor[1], &s) && s.value[1] == -20 && s.value[2] == 3);
	CHECK(t, !*tell(&b, "speed gone bus off\n", buf, sizeof(buf)));
	CHECK_EQ(t, sensor_read(&b.sensor[0], &s), -EIO);
	CHECK(t, !*tell(&b, "speed 1\n", buf, sizeof(buf)));
	CHECK(t, !sensor_read(&b.sensor[0], &s));
	close_fd(&b.client);
	run_until(&b, 6);
	CHECK_EQ(t, b.changes, 6);
	CHECK_EQ(t, sensor_read(&b.sensor[0], &s), -EIO);
	CHECK_EQ(t, sensor_read(&b.sensor[1], &s), -EIO);
	REQUIRE(t, connect_and_greet(&b, buf, sizeof(buf)));
	CHECK(t, !*tell(&b, "speed 2\n", buf, sizeof(buf)));
	CHECK(t, !sensor_read(&b.sensor[0], &s) && s.value[0] == 200);
	CHECK(t, !strcmp(b.events, "host-gone: sensor speed: bus off\nhost-back: sensor speed\n"
				   "host-gone: sensor speed: its process has ended\n"
				   "host-gone: sensor accel: its process has ended\n"
				   "host-back: sensor speed\n"));
	free(b.config.socket);
	tear_down(&b);
}

static void test_bad_lines(struct tap *t)
{
	static const struct bad bad[] = {
		{ "nosuch 1\n", "error there is no sensor with such a source: nosuch\n" },
		{ "other 1\n", "error there is no sensor with such a source: other\n" },
		{ "speed\n", "error a value is missing: speed\n" },
		{ "accel 1 2\n", "error a value is missing: accel\n" },
		{ "speed x\n", "error not a value: x\n" },
		{ "speed 1e3\n", "error not a value: 1e3\n" },
		{ "speed 1 2\n", "error not a time, as in @12.5: 2\n" },
		{ "speed 1 @x\n", "error not a time, as in @12.5: @x\n" },
		{ "speed 1 @1 2\n",
			"error more words than a value for each axis and a time: speed\n" },
	};
	struct bench b;
	char buf[512], line[2000];

	set_up_socket(&b);
	REQUIRE(t, !start(&b));
	REQUIRE(t, connect_and_greet(&b, buf, sizeof(buf)));
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		if (!CHECK(t, !strcmp(tell(&b, bad[i].text, buf, sizeof(buf)), bad[i].says)))
			printf("# '%s' to '%s'\n", buf, bad[i].text);
	memset(line, 'a', sizeof(line));
	line[sizeof(line) - 2] = '\n';
	line[sizeof(line) - 1] = 0;
	CHECK(t, !strncmp(tell(&b, line, buf, sizeof(buf)), "error the line is too long: aaa", 30));
	CHECK_EQ(t, b.changes, 0);
	CHECK(t, !*tell(&b, "speed 1\n", buf, sizeof(buf)));
	CHECK_EQ(t, b.changes, 1);
	free(b.config.socket);
	tear_down(&b);
}

static void test_no_socket(struct tap *t)
{
	struct bench b;

	set_up_socket(&b);
	free(b.config.socket);
	b.config.socket = NULL;
	CHECK_EQ(t, start(&b), -EINVAL);
	CHECK(t, strstr(b.e.msg, "no socket is named"));
	tear_down(&b);
}

/* sysfs. */

static void make_device(struct bench *b, const char *folder, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "mkdir -p %s/%s", b->dir, folder);
	if (system(path))
		abort();
	snprintf(path, sizeof(path), "%s/name", folder);
	write_file(b, path, name);
}

static void make_tree(struct bench *b)
{
	make_device(b, "bus/iio/devices/iio:device0", "other\n");
	make_device(b, "bus/iio/devices/iio:device1", "bmi160\n");
	write_file(b, "bus/iio/devices/iio:device1/in_accel_x_raw", "100\n");
	write_file(b, "bus/iio/devices/iio:device1/in_accel_y_raw", "-200\n");
	write_file(b, "bus/iio/devices/iio:device1/in_accel_z_raw", "16384\n");
	write_file(b, "bus/iio/devices/iio:device1/in_accel_scale", "0.000598\n");
	write_file(b, "bus/iio/devices/iio:device1/in_temp_raw", "512\n");
	write_file(b, "bus/iio/devices/iio:device1/in_temp_scale", "1.953125\n");
	write_file(b, "bus/iio/devices/iio:device1/in_temp_offset", "11776\n");
	write_file(b, "bus/iio/devices/iio:device1/in_pressure_input", "101.325\n");
	write_file(b, "bus/iio/devices/iio:device1/in_voltage0_raw", "rubbish\n");
	make_device(b, "class/hwmon/hwmon3", "coretemp");
	write_file(b, "class/hwmon/hwmon3/temp1_input", "45500\n");
	write_file(b, "class/hwmon/hwmon3/fan1_input", "1200\n");
	write_file(b, "class/hwmon/hwmon3/power1_average", "12500000\n");
}

struct channel {
	enum sensor_source source;
	const char *device, *channel;
	unsigned axes;
	int exponent;
	int64_t value[3];
};

static void test_sysfs(struct tap *t)
{
	static const struct channel good[] = {
		{ SENSOR_IIO, "bmi160", "accel", 3, -3, { 60, -120, 9798 } },
		{ SENSOR_IIO, "iio:device1", "accel_y", 1, -3, { -120 } },
		{ SENSOR_IIO, "bmi160", "temp", 1, -3, { 24000 } },
		{ SENSOR_IIO, "bmi160", "pressure", 1, -1, { 1013 } },
		{ SENSOR_HWMON, "coretemp", "temp1", 1, -1, { 455 } },
		{ SENSOR_HWMON, "hwmon3", "fan1", 1, 0, { 1200 } },
		{ SENSOR_HWMON, "coretemp", "power1", 1, -1, { 125 } },
	};
	struct bench b;

	set_up(&b);
	make_tree(&b);
	for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
		struct sensor_config c = { .name = "a",
			.source = good[i].source,
			.device = good[i].device,
			.channel = good[i].channel,
			.axes = good[i].axes,
			.exponent = good[i].exponent };
		struct sysfs_sensor s = { .open = false };
		int64_t v[3] = { 0 };

		CHECK(t, !sysfs_sensor_open(&s, &c, b.dir, &b.e));
		CHECK(t, !sysfs_sensor_read(&s, v, &b.e));
		if (!CHECK(t, !memcmp(v, good[i].value, sizeof(v))))
			printf("# %s: %lld %lld %lld\n", c.channel, (long long)v[0],
				(long long)v[1], (long long)v[2]);
		sysfs_sensor_close(&s);
	}
	tear_down(&b);
}

static void test_sysfs_refused(struct tap *t)
{
	static const struct {
		const char *device, *channel, *says;
		unsigned axes;
	} bad[] = {
		{ "bmi", "accel", "there is no device 'bmi' in ", 3 },
		{ "other", "accel", "has no readable channel 'accel' with three axes", 3 },
		{ "bmi160", "magn", "has no readable channel 'magn'", 1 },
		{ "bmi160", "accel", "has no readable channel 'accel'", 1 },
	};
	struct bench b;
	uint8_t unit;
	int64_t v;

	set_up(&b);
	make_tree(&b);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct sensor_config c = { .source = SENSOR_IIO,
			.device = bad[i].device,
			.channel = bad[i].channel,
			.axes = bad[i].axes };
		struct sysfs_sensor s = { .open = false };
		struct err e = { 0 };

		CHECK_EQ(t, sysfs_sensor_open(&s, &c, b.dir, &e), i ? -ENOENT : -ENODEV);
		CHECK(t, strstr(e.msg, bad[i].says));
		CHECK(t, !s.open);
	}
	CHECK_EQ(t, sysfs_channel_unit(SENSOR_IIO, "fan1", &unit), -EINVAL);
	CHECK_EQ(t, sysfs_channel_unit(SENSOR_HWMON, "temp/../x", &unit), -EINVAL);
	CHECK(t, !sysfs_channel_unit(SENSOR_HWMON, "fan1", &unit) && unit == 19);
	{
		struct sensor_config c = {
			.source = SENSOR_IIO, .device = "bmi160", .channel = "voltage0", .axes = 1
		};
		struct sysfs_sensor s = { .open = false };

		REQUIRE(t, !sysfs_sensor_open(&s, &c, b.dir, &b.e));
		CHECK_EQ(t, sysfs_sensor_read(&s, &v, &b.e), -EIO);
		sysfs_sensor_close(&s);
	}
	tear_down(&b);
}

int main(void)
{
	struct tap t = { .n = 0 };

	TAP_RUN(&t, test_parse_value);
	TAP_RUN(&t, test_parse_values);
	TAP_RUN(&t, test_print_value);
	TAP_RUN(&t, test_units);
	TAP_RUN(&t, test_scale);
	TAP_RUN(&t, test_scripts);
	TAP_RUN(&t, test_clocks);
	TAP_RUN(&t, test_hold);
	TAP_RUN(&t, test_recording);
	TAP_RUN(&t, test_bad_recordings);
	TAP_RUN(&t, test_recording_and_sensors_belong_together);
	TAP_RUN(&t, test_feed);
	TAP_RUN(&t, test_bad_lines);
	TAP_RUN(&t, test_no_socket);
	TAP_RUN(&t, test_sysfs);
	TAP_RUN(&t, test_sysfs_refused);
	return tap_done(&t);
}
