/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON lines: framing, limits, and connections that close in the middle of things. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "base/util.h"
#include "system/jsonl.h"
#include "tap.h"

/* One connection under test; `peer` is the other end. */
struct link {
	struct ev_loop *loop;
	struct jsonl *j;
	int peer;
	int messages, ended;
	double last;
	bool close_at_once;
};

static void on_message(void *arg, const cJSON *msg)
{
	struct link *l = arg;

	if (!msg) {
		l->ended++;
		return;
	}
	l->messages++;
	l->last = jsonl_num(msg, "n", 1e6, -1);
	if (l->close_at_once) {
		jsonl_close(l->j);
		l->j = NULL;
	}
}

static int open_link(struct link *l)
{
	int sv[2];

	*l = (struct link){ .peer = -1 };
	if (ev_loop_create(&l->loop) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		return -1;
	l->peer = sv[1];
	return jsonl_open(&l->j, l->loop, sv[0], on_message, l);
}

static void close_link(struct link *l)
{
	jsonl_close(l->j);
	close_fd(&l->peer);
	ev_loop_destroy(l->loop);
}

static void feed(struct link *l, const char *text)
{
	if (write(l->peer, text, strlen(text)) < 0)
		perror("write");
	ev_run_once(l->loop, 0);
}

static void messages_come_whole(struct tap *t)
{
	struct link l;

	REQUIRE(t, open_link(&l) == 0);
	feed(&l, "{\"n\":");
	CHECK_EQ(t, l.messages, 0);
	feed(&l, "1}\n{\"n\":2}\n{\"n\"");
	CHECK_EQ(t, l.messages, 2);
	CHECK_EQ(t, (int)l.last, 2);
	feed(&l, ":3}\n");
	CHECK_EQ(t, l.messages, 3);
	CHECK_EQ(t, l.ended, 0);
	close_fd(&l.peer);
	ev_run_once(l.loop, 0);
	CHECK_EQ(t, l.ended, 1);
	close_link(&l);
}

static void nonsense_ends_the_connection(struct tap *t)
{
	static const char *const texts[] = { "hello\n", "[1]\n", "7\n", "\n", "{\"n\":1\n",
		"{}{}\n", "{} x\n" };

	for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
		struct link l;

		REQUIRE(t, open_link(&l) == 0);
		feed(&l, texts[i]);
		CHECK_EQ(t, l.messages, 0);
		CHECK_EQ(t, l.ended, 1);
		close_link(&l);
	}
}

static void endless_line_ends_the_connection(struct tap *t)
{
	char block[4097];
	struct link l;

	memset(block, 'x', sizeof(block) - 1);
	block[sizeof(block) - 1] = 0;
	REQUIRE(t, open_link(&l) == 0);
	for (unsigned i = 0; i < JSONL_LINE_MAX / 4096 + 2 && !l.ended; i++)
		feed(&l, block);
	CHECK_EQ(t, l.ended, 1);
	close_link(&l);
}

static void peer_that_does_not_read_is_cut_off(struct tap *t)
{
	cJSON *msg = cJSON_CreateObject();
	struct link l;
	char text[1000];
	int r = 0;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	cJSON_AddStringToObject(msg, "text", text);
	REQUIRE(t, open_link(&l) == 0);
	for (unsigned i = 0; i < 4 * JSONL_OUT_MAX / sizeof(text) && !r; i++)
		r = jsonl_send(l.j, msg);
	CHECK_EQ(t, r, -ENOBUFS);
	ev_run_once(l.loop, 0);
	CHECK_EQ(t, l.ended, 1);
	cJSON_Delete(msg);
	close_link(&l);
}

static void may_be_closed_in_its_function(struct tap *t)
{
	struct link l;
	char c;

	REQUIRE(t, open_link(&l) == 0);
	l.close_at_once = true;
	feed(&l, "{\"n\":1}\n{\"n\":2}\n");
	CHECK_EQ(t, l.messages, 1);
	CHECK(t, l.j == NULL);
	CHECK_EQ(t, read(l.peer, &c, 1), 0);
	close_link(&l);
}

static void detach_keeps_what_came_after(struct tap *t)
{
	static char rest[JSONL_LINE_MAX];
	struct link l;
	size_t len = 0;
	int fd;

	REQUIRE(t, open_link(&l) == 0);
	feed(&l, "{\"n\":1}\nraw bytes");
	fd = jsonl_detach(l.j, rest, &len);
	l.j = NULL;
	CHECK_EQ(t, len, 9);
	CHECK(t, !memcmp(rest, "raw bytes", 9));
	CHECK(t, fcntl(fd, F_GETFD) >= 0);
	close(fd);
	close_link(&l);
}

static void numbers_are_checked(struct tap *t)
{
	cJSON *msg = cJSON_Parse("{\"a\":5,\"b\":-1,\"c\":1.5,\"d\":\"5\",\"e\":1e300}");

	CHECK_EQ(t, (int)jsonl_num(msg, "a", 10, -7), 5);
	CHECK_EQ(t, (int)jsonl_num(msg, "a", 4, -7), -7);
	CHECK_EQ(t, (int)jsonl_num(msg, "b", 10, -7), -7);
	CHECK_EQ(t, (int)jsonl_num(msg, "c", 10, -7), -7);
	CHECK_EQ(t, (int)jsonl_num(msg, "d", 10, -7), -7);
	CHECK_EQ(t, (int)jsonl_num(msg, "e", 10, -7), -7);
	CHECK_EQ(t, (int)jsonl_num(msg, "f", 10, -7), -7);
	cJSON_Delete(msg);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, messages_come_whole);
	TAP_RUN(&t, nonsense_ends_the_connection);
	TAP_RUN(&t, endless_line_ends_the_connection);
	TAP_RUN(&t, peer_that_does_not_read_is_cut_off);
	TAP_RUN(&t, may_be_closed_in_its_function);
	TAP_RUN(&t, detach_keeps_what_came_after);
	TAP_RUN(&t, numbers_are_checked);
	return tap_done(&t);
}
