/* SPDX-License-Identifier: BSD-3-Clause */
/* Relays and the words between host and board, over socket pairs. */
#include <errno.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"
#include "system/board_wire.h"
#include "system/relay.h"
#include "tap.h"

#define BULK (1u << 20)

/* outer[0] | outer[1] = relay = inner[0] | inner[1]: the test holds both ends. */
struct rig {
	struct ev_loop *loop;
	struct relays relays;
	int a, b;
};

static int rig_open(struct rig *r)
{
	int outer[2], inner[2];

	*r = (struct rig){ .a = -1, .b = -1 };
	if (ev_loop_create(&r->loop) || socketpair(AF_UNIX, SOCK_STREAM, 0, outer) ||
		socketpair(AF_UNIX, SOCK_STREAM, 0, inner))
		return -1;
	r->a = outer[0];
	r->b = inner[1];
	fd_nonblock(r->a);
	fd_nonblock(r->b);
	return relay_open(&r->relays, r->loop, outer[1], inner[0]);
}

static void rig_close(struct rig *r)
{
	relays_close(&r->relays);
	close_fd(&r->a);
	close_fd(&r->b);
	ev_loop_destroy(r->loop);
}

static void settle(struct rig *r)
{
	while (ev_run_once(r->loop, 0) > 0)
		;
}

static void test_both_ways(struct tap *t)
{
	struct rig r;
	char buf[8] = "";

	REQUIRE(t, !rig_open(&r));
	CHECK_EQ(t, send(r.a, "ping", 4, 0), 4);
	CHECK_EQ(t, send(r.b, "pong!", 5, 0), 5);
	settle(&r);
	CHECK_EQ(t, recv(r.b, buf, sizeof(buf), 0), 4);
	CHECK(t, !memcmp(buf, "ping", 4));
	CHECK_EQ(t, recv(r.a, buf, sizeof(buf), 0), 5);
	CHECK(t, !memcmp(buf, "pong!", 5));
	rig_close(&r);
}

/* More than all buffers hold: the relay waits for the reader and loses nothing. */
static void test_slow_reader(struct tap *t)
{
	static uint8_t out[BULK], in[BULK];
	size_t sent = 0, received = 0;
	struct rig r;

	REQUIRE(t, !rig_open(&r));
	for (size_t i = 0; i < BULK; i++)
		out[i] = (uint8_t)(i * 7 + i / 251);
	while (received < BULK) {
		ssize_t n = send(r.a, out + sent, BULK - sent, 0);

		sent += n > 0 ? (size_t)n : 0;
		settle(&r);
		n = recv(r.b, in + received, 40000, 0);
		if (n == 0)
			break;
		received += n > 0 ? (size_t)n : 0;
	}
	CHECK_EQ(t, received, BULK);
	CHECK(t, !memcmp(out, in, BULK));
	rig_close(&r);
}

static void test_half_close(struct tap *t)
{
	struct rig r;
	char buf[8];

	REQUIRE(t, !rig_open(&r));
	CHECK_EQ(t, send(r.a, "last", 4, 0), 4);
	shutdown(r.a, SHUT_WR);
	settle(&r);
	CHECK_EQ(t, recv(r.b, buf, sizeof(buf), 0), 4);
	CHECK_EQ(t, recv(r.b, buf, sizeof(buf), 0), 0);
	CHECK(t, r.relays.first != NULL);
	CHECK_EQ(t, send(r.b, "answer", 6, 0), 6);
	settle(&r);
	CHECK_EQ(t, recv(r.a, buf, sizeof(buf), 0), 6);
	shutdown(r.b, SHUT_WR);
	settle(&r);
	CHECK_EQ(t, recv(r.a, buf, sizeof(buf), 0), 0);
	CHECK(t, r.relays.first == NULL);
	rig_close(&r);
}

static void test_vanished_peer(struct tap *t)
{
	struct rig r;
	char buf[8];

	REQUIRE(t, !rig_open(&r));
	close_fd(&r.b);
	settle(&r);
	CHECK_EQ(t, recv(r.a, buf, sizeof(buf), 0), 0);
	CHECK_EQ(t, send(r.a, "lost", 4, MSG_NOSIGNAL), 4);
	settle(&r);
	CHECK(t, r.relays.first == NULL);
	rig_close(&r);
}

/* What came, one word per line. */
struct heard {
	char text[256];
	int refuse_at; /* the word to refuse, from 1 on */
	int n;
};

static int on_word(void *arg, const char *verb, const char *rest)
{
	struct heard *h = arg;
	size_t len = strlen(h->text);

	snprintf(h->text + len, sizeof(h->text) - len, "%s(%s)\n", verb, rest);
	return ++h->n == h->refuse_at ? -EPROTO : 0;
}

static void test_words(struct tap *t)
{
	struct heard h = { 0 };
	struct board_words w = { 0 };
	int s[2];

	REQUIRE(t, !socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CHECK_EQ(t, board_word_send(s[0], "share s0 %s", "/a b"), 0);
	CHECK_EQ(t, board_word_send(s[0], "run"), 0);
	CHECK_EQ(t, send(s[0], "exi", 3, 0), 3);
	CHECK_EQ(t, board_words_read(&w, s[1], on_word, &h), 0);
	CHECK(t, !strcmp(h.text, "share(s0 /a b)\nrun()\n"));
	CHECK_EQ(t, send(s[0], "t 7", 4, 0), 4);
	CHECK_EQ(t, board_words_read(&w, s[1], on_word, &h), 0);
	CHECK(t, strstr(h.text, "exit(7)\n") != NULL);
	close(s[0]);
	CHECK_EQ(t, board_words_read(&w, s[1], on_word, &h), -EPIPE);
	close(s[1]);
}

static void test_bad_words(struct tap *t)
{
	static const char endless[BOARD_WORD_MAX] = { [0 ... BOARD_WORD_MAX - 1] = 'x' };
	struct heard h = { .refuse_at = 1 };
	struct board_words w = { 0 };
	int s[2];

	REQUIRE(t, !socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CHECK_EQ(t, board_word_send(s[0], "bad"), 0);
	CHECK_EQ(t, board_word_send(s[0], "not heard"), 0);
	CHECK_EQ(t, board_words_read(&w, s[1], on_word, &h), -EPROTO);
	CHECK_EQ(t, h.n, 1);
	w.len = 0;
	CHECK_EQ(t, send(s[0], endless, sizeof(endless), 0), sizeof(endless));
	CHECK_EQ(t, board_words_read(&w, s[1], on_word, &h), -EPROTO);
	CHECK_EQ(t, board_word_send(s[0], "%.*s", (int)sizeof(endless), endless), -E2BIG);
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	struct tap t = { 0 };

	tap_run(&t, "relay: both ways", test_both_ways);
	tap_run(&t, "relay: a slow reader loses nothing", test_slow_reader);
	tap_run(&t, "relay: half-closed connections", test_half_close);
	tap_run(&t, "relay: a peer that vanished", test_vanished_peer);
	tap_run(&t, "words arrive in pieces", test_words);
	tap_run(&t, "words: too long, refused", test_bad_words);
	return tap_done(&t);
}
