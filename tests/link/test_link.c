/* SPDX-License-Identifier: BSD-3-Clause */
/* A serial link: who hears what and when, collisions, faults, the log, the end on the host. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "host/link.h"
#include "tap.h"

#define ENDS	 3u
#define LIMIT_NS UINT64_C(10000000000)

struct ear {
	uint8_t bytes[4096];
	size_t n, room_calls;
	size_t max; /* bytes it has room for */
};

struct rig {
	struct ev_loop *loop;
	struct log log;
	struct link_config config;
	struct link_owner owner;
	struct link *link;
	struct link_end *ends[ENDS];
	struct ear ears[ENDS];
	char event[32], detail[160];
	unsigned events;
};

static size_t heard(void *arg, const uint8_t *bytes, size_t len)
{
	struct ear *ear = arg;
	size_t n = min_u64(len, ear->max - ear->n);

	memcpy(ear->bytes + ear->n, bytes, n);
	ear->n += n;
	return n;
}

static void room(void *arg)
{
	((struct ear *)arg)->room_calls++;
}

static void on_event(void *arg, const char *event, const char *detail)
{
	struct rig *r = arg;

	snprintf(r->event, sizeof(r->event), "%s", event);
	snprintf(r->detail, sizeof(r->detail), "%s", detail);
	r->events++;
}

/* A link with `n` ends; further arguments are keys and values, ending with NULL. */
static int rig_open(struct tap *t, struct rig *r, unsigned n, ...)
{
	static const char *const names[] = { "one", "two", "three" };
	struct err e = { 0 };
	const char *key;
	va_list ap;
	int ret;

	memset(r, 0, sizeof(*r));
	log_init(&r->log, STDERR_FILENO, "link");
	r->owner = (struct link_owner){ r, on_event };
	CHECK_EQ(t, ev_loop_create(&r->loop), 0);
	CHECK_EQ(t, opt_defaults(link_opts, &r->config, &e), 0);
	va_start(ap, n);
	while ((key = va_arg(ap, const char *)))
		CHECK_EQ(t, opt_set(link_opts, &r->config, key, va_arg(ap, const char *), &e), 0);
	va_end(ap);
	ret = link_create(&r->link, "lin1", &r->config, &r->owner, r->loop, &r->log, &e);
	for (unsigned i = 0; i < n && !ret; i++) {
		const struct link_end_ops ops = { heard, room, &r->ears[i] };

		r->ears[i].max = sizeof(r->ears[i].bytes);
		ret = link_add(r->link, names[i], &ops, &r->ends[i], &e);
	}
	if (ret)
		printf("# %s\n", e.msg);
	return ret;
}

static void rig_close(struct rig *r)
{
	link_destroy(r->link);
	ev_loop_destroy(r->loop);
	opt_free(link_opts, &r->config);
}

/* Runs until an end has heard `n` bytes, or the limit. */
static bool hears(struct rig *r, unsigned end, size_t n)
{
	uint64_t until = ev_now_ns() + LIMIT_NS;

	while (r->ears[end].n < n && ev_now_ns() < until)
		ev_run_once(r->loop, 10);
	return r->ears[end].n >= n;
}

static void run_for(struct rig *r, int ms)
{
	uint64_t until = ev_now_ns() + (uint64_t)ms * 1000000;

	while (ev_now_ns() < until)
		ev_run_once(r->loop, 1);
}

/* Sends all, as its buffer takes them. */
static void send_all(struct rig *r, unsigned end, const uint8_t *bytes, size_t len)
{
	uint64_t until = ev_now_ns() + LIMIT_NS;

	while (len && ev_now_ns() < until) {
		size_t n = link_send(r->ends[end], bytes, len);

		bytes += n;
		len -= n;
		if (!n)
			ev_run_once(r->loop, 10);
	}
}

static int tell(struct rig *r, const char *text, char answer[600])
{
	char words[80], *argv[8], *save = NULL;
	struct err e = { 0 };
	unsigned argc = 0;
	FILE *f = fmemopen(answer, 600, "w");
	int ret;

	snprintf(words, sizeof(words), "%s", text);
	for (char *w = strtok_r(words, " ", &save); w && argc < 8; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	ret = link_command(r->link, argc, argv, f, &e);
	fclose(f);
	if (ret)
		snprintf(answer, 600, "%s", e.msg);
	return ret;
}

static int order(struct rig *r, const char *text)
{
	char answer[600];

	return tell(r, text, answer);
}

/* Cases. */

static void pattern(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 37 + 1);
}

/* Both ways at once, in the time of one. */
static void pair(struct tap *t)
{
	uint8_t bytes[200];
	uint64_t start, took;
	struct rig r;

	REQUIRE(t, !rig_open(t, &r, 2, "baud", "38400", "fifo", "256", NULL));
	CHECK_EQ(t, link_char_ns(r.link), 260416);
	pattern(bytes, sizeof(bytes));
	start = ev_now_ns();
	CHECK_EQ(t, link_send(r.ends[0], bytes, 200), 200);
	CHECK_EQ(t, link_send(r.ends[1], bytes + 100, 100), 100);
	CHECK(t, hears(&r, 1, 200) && hears(&r, 0, 100));
	took = ev_now_ns() - start;
	CHECK(t, took >= 200 * link_char_ns(r.link));
	printf("# 200 bytes of %llu us each took %llu us\n",
		(unsigned long long)link_char_ns(r.link) / 1000, (unsigned long long)took / 1000);
	CHECK(t, !memcmp(r.ears[1].bytes, bytes, 200));
	CHECK(t, !memcmp(r.ears[0].bytes, bytes + 100, 100));
	run_for(&r, 5);
	CHECK_EQ(t, r.ears[0].n, 100);
	CHECK_EQ(t, r.ears[1].n, 200);
	CHECK_EQ(t, link_end_counters(r.ends[0])->sent, 200);
	CHECK_EQ(t, link_end_counters(r.ends[0])->heard, 100);
	CHECK_EQ(t, link_counters(r.link)->bytes, 300);
	rig_close(&r);
}

/* No byte is heard before its time. */
static void not_before_its_time(struct tap *t)
{
	uint64_t start;
	struct rig r;

	REQUIRE(t, !rig_open(t, &r, 2, "baud", "300", "stop", "2", "parity", "even", NULL));
	CHECK_EQ(t, link_char_ns(r.link), UINT64_C(12000000000) / 300);
	start = ev_now_ns();
	link_send(r.ends[0], (const uint8_t *)"ab", 2);
	for (size_t n = 1; n <= 2; n++) {
		CHECK(t, hears(&r, 1, n));
		CHECK(t, ev_now_ns() - start >= n * 40000000);
	}
	rig_close(&r);
}

static void bus(struct tap *t)
{
	uint8_t bytes[100];
	struct rig r;

	REQUIRE(t, !rig_open(t, &r, 3, "mode", "bus", "baud", "115200", NULL));
	pattern(bytes, sizeof(bytes));
	send_all(&r, 1, bytes, sizeof(bytes));
	for (unsigned i = 0; i < 3; i++) {
		CHECK(t, hears(&r, i, sizeof(bytes)));
		CHECK(t, !memcmp(r.ears[i].bytes, bytes, sizeof(bytes)));
	}
	CHECK_EQ(t, link_counters(r.link)->collisions, 0);
	CHECK_EQ(t, link_counters(r.link)->bytes, sizeof(bytes));
	rig_close(&r);
}

static void collision(struct tap *t)
{
	struct rig r;

	REQUIRE(t, !rig_open(t, &r, 3, "mode", "bus", "baud", "9600", NULL));
	link_send(r.ends[0], (const uint8_t *)"\xf0\x11", 2);
	link_send(r.ends[2], (const uint8_t *)"\xcc", 1);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(t, hears(&r, i, 2));
		CHECK(t, !memcmp(r.ears[i].bytes, "\xc0\x11", 2));
	}
	CHECK_EQ(t, link_counters(r.link)->collisions, 1);
	CHECK(t, !strcmp(r.event, "collision") && strstr(r.detail, "one and three"));
	/* Whole messages into each other. */
	link_send(r.ends[0], (const uint8_t *)"\x0f\x0f\x0f", 3);
	link_send(r.ends[1], (const uint8_t *)"\x55\x55", 2);
	CHECK(t, hears(&r, 2, 5));
	CHECK(t, !memcmp(r.ears[2].bytes + 2, "\x05\x05\x0f", 3));
	CHECK_EQ(t, link_counters(r.link)->collisions, 3);
	rig_close(&r);
}

/* Events of collisions are few, however many there are. */
static void many_collisions(struct tap *t)
{
	uint8_t bytes[16] = { 0 };
	struct rig r;

	REQUIRE(t, !rig_open(t, &r, 2, "mode", "bus", "baud", "1000000", NULL));
	for (unsigned i = 0; i < 40; i++) {
		send_all(&r, 0, bytes, sizeof(bytes));
		send_all(&r, 1, bytes, sizeof(bytes));
	}
	CHECK(t, hears(&r, 0, 640));
	CHECK(t, link_counters(r.link)->collisions > 10);
	CHECK(t, r.events <= 6);
	rig_close(&r);
}

static void buffer_and_room(struct tap *t)
{
	uint8_t bytes[64];
	struct rig r;

	REQUIRE(t, !rig_open(t, &r, 2, "baud", "115200", "fifo", "16", NULL));
	pattern(bytes, sizeof(bytes));
	CHECK_EQ(t, link_room(r.ends[0]), 16);
	/* One is on the wire at once. */
	CHECK_EQ(t, link_send(r.ends[0], bytes, 64), 16);
	CHECK_EQ(t, link_room(r.ends[0]), 1);
	CHECK_EQ(t, link_send(r.ends[0], bytes + 16, 48), 1);
	CHECK_EQ(t, link_room(r.ends[0]), 0);
	CHECK_EQ(t, link_send(r.ends[0], bytes + 17, 47), 0);
	CHECK(t, hears(&r, 1, 1));
	CHECK(t, r.ears[0].room_calls >= 1);
	send_all(&r, 0, bytes + 17, 47);
	CHECK(t, hears(&r, 1, 64));
	CHECK(t, !memcmp(r.ears[1].bytes, bytes, 64));
	rig_close(&r);
}

/* A sender that refills it every 2 ms keeps the line busy. */
static void buffer_by_rate(struct tap *t)
{
	static const struct {
		const char *baud;
		size_t fifo;
	} lines[] = { { "9600", 16 }, { "115200", 23 }, { "1000000", 200 }, { "4000000", 800 } };
	struct rig r;

	for (unsigned i = 0; i < ARRAY_LEN(lines); i++) {
		REQUIRE(t, !rig_open(t, &r, 2, "baud", lines[i].baud, NULL));
		CHECK_EQ(t, link_room(r.ends[0]), lines[i].fifo);
		rig_close(&r);
	}
}

static void no_room_to_hear(struct tap *t)
{
	struct rig r;

	REQUIRE(t, !rig_open(t, &r, 2, NULL));
	r.ears[1].max = 3;
	link_send(r.ends[0], (const uint8_t *)"abcde", 5);
	CHECK(t, hears(&r, 1, 3));
	run_for(&r, 5);
	CHECK_EQ(t, link_end_counters(r.ends[1])->heard, 3);
	CHECK_EQ(t, link_end_counters(r.ends[1])->lost, 2);
	rig_close(&r);
}

static void data_bits(struct tap *t)
{
	struct rig r;

	REQUIRE(t, !rig_open(t, &r, 2, "bits", "7", "parity", "odd", NULL));
	link_send(r.ends[0], (const uint8_t *)"\xff\x80\x41", 3);
	CHECK(t, hears(&r, 1, 3));
	CHECK(t, !memcmp(r.ears[1].bytes, "\x7f\x00\x41", 3));
	rig_close(&r);
}

static void faults(struct tap *t)
{
	char answer[600];
	struct rig r;

	REQUIRE(t, !rig_open(t, &r, 3, "mode", "bus", NULL));
	CHECK_EQ(t, order(&r, "drop 2"), 0);
	link_send(r.ends[0], (const uint8_t *)"abcd", 4);
	CHECK(t, hears(&r, 1, 2));
	CHECK(t, !memcmp(r.ears[1].bytes, "cd", 2));
	CHECK_EQ(t, order(&r, "corrupt 1 0x81"), 0);
	link_send(r.ends[0], (const uint8_t *)"\x40\x41", 2);
	CHECK(t, hears(&r, 2, 4));
	CHECK(t, !memcmp(r.ears[2].bytes + 2, "\xc1\x41", 2));
	/* Cut off it neither hears nor is heard, and its sender is not held up. */
	CHECK_EQ(t, order(&r, "cut one"), 0);
	CHECK(t, !strcmp(r.event, "cut") && !strcmp(r.detail, "one"));
	send_all(&r, 0, (const uint8_t *)"0123456789abcdefghijklmnopqrstuvwxyz", 36);
	link_send(r.ends[1], (const uint8_t *)"x", 1);
	CHECK(t, hears(&r, 2, 5));
	CHECK_EQ(t, r.ears[2].bytes[4], 'x');
	CHECK_EQ(t, r.ears[0].n, 4);
	CHECK_EQ(t, order(&r, "join one"), 0);
	link_send(r.ends[1], (const uint8_t *)"y", 1);
	CHECK(t, hears(&r, 0, 5));
	CHECK_EQ(t, tell(&r, "show", answer), 0);
	CHECK(t, strstr(answer, "2 dropped, 1 corrupted") && strstr(answer, "three"));
	rig_close(&r);
}

static void wrong_orders(struct tap *t)
{
	static const char *const wrong[] = { "", "drop", "drop x", "drop -1", "drop 1 2", "corrupt",
		"corrupt 1 256", "corrupt 1 x", "cut", "cut four", "join four", "show it", "send 1",
		"drop 99999999999" };
	char answer[600];
	struct rig r;

	REQUIRE(t, !rig_open(t, &r, 2, NULL));
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
		CHECK(t, tell(&r, wrong[i], answer) == -EINVAL && *answer);
	CHECK_EQ(t, r.events, 0);
	rig_close(&r);
}

static void wrong_keys(struct tap *t)
{
	struct rig r;

	CHECK(t, rig_open(t, &r, 3, NULL) == -EINVAL); /* a pair has two ends */
	rig_close(&r);
	CHECK(t, rig_open(t, &r, 0, "path", "/tmp/x", NULL) == -EINVAL);
	rig_close(&r);
	CHECK(t, rig_open(t, &r, 0, "host", "socket", NULL) < 0);
	rig_close(&r);
	CHECK(t, rig_open(t, &r, 0, "host", "tty", "path", "/dev/null", NULL) < 0);
	rig_close(&r);
	CHECK(t, rig_open(t, &r, 0, "host", "tty", "path", "/nonexistent", NULL) < 0);
	rig_close(&r);
	CHECK(t, rig_open(t, &r, 0, "log", "/nonexistent/log", NULL) < 0);
	rig_close(&r);
}

/* A line of the log for each sender's turn, and after a silence. */
static void log_file(struct tap *t)
{
	char path[] = "/tmp/avp-link-XXXXXX", text[1000] = "", who[4][8];
	unsigned bytes[8];
	double first, second;
	struct rig r;
	int fd;

	close(mkstemp(path));
	REQUIRE(t, !rig_open(t, &r, 3, "mode", "bus", "log", path, NULL));
	link_send(r.ends[0], (const uint8_t *)"\x00\x55\xc1", 3);
	CHECK(t, hears(&r, 1, 3));
	link_send(r.ends[1], (const uint8_t *)"\x01\x02", 2);
	CHECK(t, hears(&r, 1, 5));
	run_for(&r, 20);
	link_send(r.ends[1], (const uint8_t *)"\x03", 1);
	CHECK(t, hears(&r, 1, 6));
	rig_close(&r);
	fd = open(path, O_RDONLY);
	CHECK(t, read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	unlink(path);
	CHECK_EQ(t,
		sscanf(text, "(%lf) lin1 %7s %x %x %x\n(%*f) lin1 %7s %x %x\n(%lf) lin1 %7s %x\n",
			&first, who[0], &bytes[0], &bytes[1], &bytes[2], who[1], &bytes[3],
			&bytes[4], &second, who[2], &bytes[5]),
		11);
	CHECK(t, !strcmp(who[0], "one") && !strcmp(who[1], "two") && !strcmp(who[2], "two"));
	CHECK(t, bytes[0] == 0 && bytes[1] == 0x55 && bytes[2] == 0xc1 && bytes[5] == 3);
	CHECK(t, second - first >= 0.02 && second - first < 10);
}

/* A program at the end on the host: it hears from when it attaches, and sends at the line's pace.
 */
static void host_socket(struct tap *t)
{
	char path[] = "/tmp/avp-link-host-XXXXXX", buf[16];
	struct pollfd p = { .events = POLLIN };
	uint64_t start;
	struct rig r;

	close(mkstemp(path));
	unlink(path);
	REQUIRE(t, !rig_open(t, &r, 1, "host", "socket", "path", path, "baud", "1200", NULL));
	link_send(r.ends[0], (const uint8_t *)"?", 1);
	run_for(&r, 20);
	p.fd = fd_unix_connect(path, SOCK_STREAM, NULL);
	run_for(&r, 20);
	link_send(r.ends[0], (const uint8_t *)"!", 1);
	for (unsigned i = 0; i < 1000 && poll(&p, 1, 0) != 1; i++)
		run_for(&r, 5);
	CHECK_EQ(t, read(p.fd, buf, sizeof(buf)), 1);
	CHECK_EQ(t, buf[0], '!');
	start = ev_now_ns();
	CHECK_EQ(t, write(p.fd, "0123456789", 10), 10);
	CHECK(t, hears(&r, 0, 10));
	CHECK(t, ev_now_ns() - start >= 10 * link_char_ns(r.link));
	CHECK(t, !memcmp(r.ears[0].bytes, "0123456789", 10));
	close(p.fd);
	rig_close(&r);
}

/* A program that reads late gets everything, though each byte comes by itself. */
static void host_reads_late(struct tap *t)
{
	char path[] = "/tmp/avp-link-host-XXXXXX";
	uint8_t sent[16384], got[sizeof(sent)];
	size_t n = 0;
	struct rig r;
	int fd;

	close(mkstemp(path));
	unlink(path);
	REQUIRE(t, !rig_open(t, &r, 1, "host", "socket", "path", path, "baud", "4000000", NULL));
	fd = fd_unix_connect(path, SOCK_STREAM, NULL);
	run_for(&r, 20);
	pattern(sent, sizeof(sent));
	send_all(&r, 0, sent, sizeof(sent));
	for (unsigned i = 0; i < 1000 && link_counters(r.link)->bytes < sizeof(sent); i++)
		run_for(&r, 5);
	for (unsigned i = 0; i < 1000 && n < sizeof(got); i++) {
		ssize_t some = recv(fd, got + n, sizeof(got) - n, MSG_DONTWAIT);

		n += some > 0 ? (size_t)some : 0;
		run_for(&r, 1);
	}
	CHECK_EQ(t, n, sizeof(sent));
	CHECK(t, !memcmp(got, sent, sizeof(sent)));
	close(fd);
	rig_close(&r);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, pair);
	TAP_RUN(&t, not_before_its_time);
	TAP_RUN(&t, bus);
	TAP_RUN(&t, collision);
	TAP_RUN(&t, many_collisions);
	TAP_RUN(&t, buffer_and_room);
	TAP_RUN(&t, buffer_by_rate);
	TAP_RUN(&t, no_room_to_hear);
	TAP_RUN(&t, data_bits);
	TAP_RUN(&t, faults);
	TAP_RUN(&t, wrong_orders);
	TAP_RUN(&t, wrong_keys);
	TAP_RUN(&t, log_file);
	TAP_RUN(&t, host_socket);
	TAP_RUN(&t, host_reads_late);
	return tap_done(&t);
}
