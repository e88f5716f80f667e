/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing of the control socket's lines: objects that arrive in pieces.
 *
 *     again and again   length u8, bytes of a piece
 */
#include "system/jsonl.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "fuzz.h"

struct bed {
	struct jsonl *j;
	bool closed;
};

/* What control.c asks of a message; the answer goes the way back. */
static void message(void *arg, const cJSON *msg)
{
	struct bed *b = arg;

	if (!msg) {
		b->closed = true;
		return;
	}
	jsonl_str(msg, "cmd");
	jsonl_str(msg, "name");
	jsonl_num(msg, "lines", 1000, 10);
	jsonl_send(b->j, msg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct bed b = { NULL, false };
	struct ev_loop *loop;
	char drop[4096];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return 0;
	if (ev_loop_create(&loop))
		abort();
	if (jsonl_open(&b.j, loop, pair[0], message, &b))
		abort();
	while (in.left && !b.closed) {
		size_t n = fuzz_u8(&in);

		n = min_u64(n, in.left);
		if (n && write(pair[1], in.p, n) < 0)
			break;
		in.p += n;
		in.left -= n;
		ev_run_once(loop, 0);
		while (read(pair[1], drop, sizeof(drop)) > 0)
			;
	}
	close(pair[1]);
	for (unsigned i = 0; i < 4; i++)
		ev_run_once(loop, 0);
	jsonl_close(b.j);
	ev_loop_destroy(loop);
	return 0;
}
