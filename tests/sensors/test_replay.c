/* SPDX-License-Identifier: BSD-3-Clause */
/* Replay of recordings: what is read and refused, and when records are played. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "base/util.h"
#include "host/replay.h"
#include "tap.h"

#define PLAYED_MAX 64
#define MS	   UINT64_C(1000000)
/* What a busy machine may add to a point in time. */
#define LATE_MS 20000

/* A recording of lines "SECONDS NUMBER", and what was played of it. */
struct player {
	struct ev_loop *loop;
	struct replay *r;
	struct err e;
	char path[64];
	uint64_t start_ns, at_ns[PLAYED_MAX];
	int value[PLAYED_MAX], n, ended;
	int stop_at, restart_at; /* values at which due() stops or restarts; 0: never */
};

struct record {
	int value;
};

static int parse(
	void *arg, char *line, unsigned number, void *record, uint64_t *time_ns, struct err *e)
{
	struct record *rec = record;
	const char *end;

	if (!*line || *line == '#')
		return 0;
	if (replay_parse_seconds(line, &end, time_ns) || *end != ' ')
		return err_set(e, -EINVAL, "'%s' is not 'SECONDS NUMBER'", line);
	rec->value += atoi(end);
	return 1;
}

static void due(void *arg, const void *record)
{
	struct player *p = arg;
	const struct record *rec = record;

	if (p->n < PLAYED_MAX) {
		p->at_ns[p->n] = ev_now_ns() - p->start_ns;
		p->value[p->n++] = rec->value;
	}
	if (rec->value == p->stop_at)
		replay_stop(p->r);
	if (rec->value == p->restart_at) {
		p->restart_at = 0;
		replay_start(p->r);
	}
}

static void ended(void *arg)
{
	struct player *p = arg;

	p->ended++;
}

static const struct replay_ops ops = { sizeof(struct record), parse, due, ended };

static int open_bytes(struct player *p, const char *text, size_t len, const char *speed, bool loop)
{
	struct replay_config c = { .file = p->path, .speed = (char *)speed, .loop = loop };
	int fd, ret;

	snprintf(p->path, sizeof(p->path), "/tmp/avp-replay-%d", (int)getpid());
	fd = open(p->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ret = fd >= 0 && write(fd, text, len) == (ssize_t)len ? ev_loop_create(&p->loop) : -EIO;
	if (fd >= 0)
		close(fd);
	return ret ? ret : replay_open(&p->r, &c, &ops, p, p->loop, NULL, &p->e);
}

static int open_text(struct player *p, const char *text, const char *speed, bool loop)
{
	return open_bytes(p, text, strlen(text), speed, loop);
}

static void done(struct player *p)
{
	replay_close(p->r);
	ev_loop_destroy(p->loop);
	unlink(p->path);
}

static void start(struct player *p)
{
	p->start_ns = ev_now_ns();
	replay_start(p->r);
}

/* Runs until `n` records were played or `ms` are over. */
static void run(struct player *p, int n, unsigned ms)
{
	uint64_t until = ev_now_ns() + ms * MS;

	while (p->n < n && ev_now_ns() < until)
		ev_run_once(p->loop, 10);
}

static void test_in_time(struct tap *t)
{
	struct player p = { .n = 0 };

	REQUIRE(t, !open_text(&p, "# a comment\n1000.5 1\n\n1000.52 2\r\n1000.52 3\n1000.550 4",
			   "1", 0));
	CHECK_EQ(t, replay_count(p.r), 4);
	CHECK_EQ(t, replay_length_ns(p.r), 50 * MS);
	CHECK(t, !replay_playing(p.r));
	start(&p);
	CHECK(t, replay_playing(p.r));
	run(&p, 4, LATE_MS);
	CHECK_EQ(t, p.n, 4);
	for (int i = 0; i < p.n; i++)
		CHECK_EQ(t, p.value[i], i + 1);
	CHECK(t, p.at_ns[0] < LATE_MS * MS);
	CHECK(t, p.at_ns[1] >= 20 * MS && p.at_ns[2] >= 20 * MS);
	CHECK(t, p.at_ns[3] >= 50 * MS && p.at_ns[3] < LATE_MS * MS);
	CHECK_EQ(t, p.ended, 1);
	CHECK(t, !replay_playing(p.r));
	start(&p);
	run(&p, 8, LATE_MS);
	CHECK_EQ(t, p.n, 8);
	CHECK_EQ(t, p.ended, 2);
	done(&p);
}

static void test_speed(struct tap *t)
{
	struct player fast = { .n = 0 }, slow = { .n = 0 };

	REQUIRE(t, !open_text(&fast, "0 1\n100 2\n", "1000", 0));
	start(&fast);
	run(&fast, 2, 20000);
	CHECK_EQ(t, fast.n, 2);
	CHECK(t, fast.at_ns[1] >= 100 * MS && fast.at_ns[1] < 20000 * MS);
	done(&fast);
	REQUIRE(t, !open_text(&slow, "0 1\n0.005 2\n", "0.1", 0));
	start(&slow);
	run(&slow, 2, 20000);
	CHECK(t, slow.n == 2 && slow.at_ns[1] >= 50 * MS);
	done(&slow);
}

/* Rounds follow each other as far apart as the records; many at the same time do not stop the loop.
 */
static void test_loop(struct tap *t)
{
	struct player p = { .n = 0 }, burst = { .n = 0 };

	REQUIRE(t, !open_text(&p, "0 1\n0.01 2\n0.02 3\n", "1", true));
	start(&p);
	run(&p, 7, LATE_MS);
	CHECK(t, p.n >= 7);
	CHECK(t, p.value[3] == 1 && p.value[5] == 3 && p.value[6] == 1);
	CHECK(t, p.at_ns[3] >= 30 * MS && p.at_ns[6] >= 60 * MS);
	CHECK_EQ(t, p.ended, 0);
	done(&p);
	REQUIRE(t, !open_text(&burst, "5 1\n5 2\n5 3\n", NULL, true));
	start(&burst);
	run(&burst, PLAYED_MAX, LATE_MS);
	CHECK(t, burst.n >= 6 && burst.at_ns[5] >= 1 * MS);
	done(&burst);
}

static void test_stop_and_restart_when_due(struct tap *t)
{
	struct player p = { .stop_at = 2 }, q = { .restart_at = 2 };

	REQUIRE(t, !open_text(&p, "0 1\n0 2\n0 3\n", "1", 0));
	start(&p);
	run(&p, 3, 100);
	CHECK_EQ(t, p.n, 2);
	CHECK_EQ(t, p.ended, 0);
	CHECK_EQ(t, replay_position(p.r), 2);
	done(&p);
	REQUIRE(t, !open_text(&q, "0 1\n0 2\n", "1", 0));
	start(&q);
	run(&q, 4, LATE_MS);
	CHECK_EQ(t, q.n, 4);
	CHECK(t, q.value[2] == 1 && q.value[3] == 2);
	CHECK_EQ(t, q.ended, 1);
	done(&q);
}

struct bad {
	const char *text, *speed, *says;
};

static void test_refused(struct tap *t)
{
	static const struct bad bad[] = {
		{ "", "1", "has nothing to replay" },
		{ "# only\n", "1", "has nothing to replay" },
		{ "0 1\nx 2\n", "1", ":2: 'x 2' is not" },
		{ "0 1\n-1 2\n", "1", ":2: '-1 2' is not" },
		{ "3 1\n\n2.5 2\n", "1",
			":3: the time goes back from 3.000000000 s to 2.500000000 s" },
		{ "0 1\n1436509052 2\n", "1", ":2: it is more than 100 days after" },
		{ "99999999999999999999 1\n", "1", ":1: " },
		{ "0 1\n", "0", "speed '0' is not a factor" },
		{ "0 1\n", "2x", "speed '2x' is not a factor" },
		{ "0 1\n", "1001", "speed '1001' is not a factor" },
		{ "0 1\n", "0.0001", "speed '0.0001' is not a factor" },
		{ "0 1\n", "", "speed '' is not a factor" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct player p = { .n = 0 };

		CHECK_EQ(t, open_text(&p, bad[i].text, bad[i].speed, false), -EINVAL);
		if (!CHECK(t, strstr(p.e.msg, bad[i].says)))
			printf("# '%s' lacks '%s'\n", p.e.msg, bad[i].says);
		CHECK(t, !p.r);
		done(&p);
	}
}

static void test_refused_files(struct tap *t)
{
	struct player p = { .n = 0 }, nul = { .n = 0 }, longest = { .n = 0 }, longer = { .n = 0 };
	struct replay_config dir = { .file = (char *)"/tmp" },
			     none = { .file = (char *)"/tmp/no/x" };
	char line[REPLAY_LINE_MAX + 3];

	CHECK_EQ(t, replay_open(&p.r, &dir, &ops, &p, NULL, NULL, &p.e), -EINVAL);
	CHECK(t, strstr(p.e.msg, "/tmp is not a regular file"));
	CHECK_EQ(t, replay_open(&p.r, &none, &ops, &p, NULL, NULL, &p.e), -ENOENT);
	CHECK_EQ(t, open_bytes(&nul, "0 1\n1 \0 2\n2 3\n", 14, "1", false), -EINVAL);
	CHECK(t, strstr(nul.e.msg, ":2: ") && strstr(nul.e.msg, "NUL"));
	done(&nul);
	memset(line, '0', sizeof(line));
	line[1] = ' ';
	line[REPLAY_LINE_MAX] = '\n';
	CHECK_EQ(t, open_bytes(&longest, line, REPLAY_LINE_MAX + 1, "1", false), 0);
	done(&longest);
	line[REPLAY_LINE_MAX] = '0';
	line[REPLAY_LINE_MAX + 1] = '\n';
	CHECK_EQ(t, open_bytes(&longer, line, REPLAY_LINE_MAX + 2, "1", false), -EINVAL);
	CHECK(t, strstr(longer.e.msg, ":1: the line has more than 4095 bytes"));
	done(&longer);
}

/* Records are zeroed before parse() and survive the growth of the array. */
static void test_many(struct tap *t)
{
	struct player p = { .n = 0 };
	char *text = malloc(100000);
	size_t len = 0;

	REQUIRE(t, text);
	for (int i = 0; i < 5000; i++)
		len += (size_t)sprintf(text + len, "%d.%03d %d\n", i / 1000, i % 1000, i + 1);
	REQUIRE(t, !open_bytes(&p, text, len, "1000", false));
	CHECK_EQ(t, replay_count(p.r), 5000);
	p.stop_at = 5000;
	start(&p);
	while (replay_playing(p.r) && ev_now_ns() - p.start_ns < 20000 * MS)
		ev_run_once(p.loop, 10);
	CHECK_EQ(t, replay_position(p.r), 5000);
	CHECK_EQ(t, p.value[PLAYED_MAX - 1], PLAYED_MAX);
	done(&p);
	free(text);
}

static void test_seconds(struct tap *t)
{
	const char *end;
	uint64_t ns;

	CHECK(t, !replay_parse_seconds("1436509052.249713)", &end, &ns) && *end == ')');
	CHECK_EQ(t, ns, UINT64_C(1436509052249713000));
	CHECK(t, !replay_parse_seconds("0.1234567899,x", &end, &ns) && *end == ',');
	CHECK_EQ(t, ns, 123456789);
	CHECK(t, !replay_parse_seconds("7.", &end, &ns) && *end == '.');
	CHECK_EQ(t, replay_parse_seconds(".5", &end, &ns), -EINVAL);
	CHECK_EQ(t, replay_parse_seconds("+1", &end, &ns), -EINVAL);
	CHECK_EQ(t, replay_parse_seconds("18446744073.709551616", &end, &ns), -EINVAL);
	CHECK_EQ(t, replay_parse_seconds("18446744072.9", &end, &ns), 0);
}

int main(void)
{
	struct tap t = { .n = 0 };

	TAP_RUN(&t, test_in_time);
	TAP_RUN(&t, test_speed);
	TAP_RUN(&t, test_loop);
	TAP_RUN(&t, test_stop_and_restart_when_due);
	TAP_RUN(&t, test_refused);
	TAP_RUN(&t, test_refused_files);
	TAP_RUN(&t, test_many);
	TAP_RUN(&t, test_seconds);
	return tap_done(&t);
}
