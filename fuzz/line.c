/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing of the supervisor's line to the processes that serve devices.
 *
 *     again and again   length u16, bytes of a request
 */
#include "cli/line.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "fuzz.h"

static int command(void *arg, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	for (unsigned i = 0; i < argc; i++)
		fprintf(answer, "%s\n", argv[i]);
	return 0;
}

static void stats(void *arg, FILE *f)
{
	fputs("\"requests\":1", f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct line_ops ops = { .stats = stats, .command = command };
	struct fuzz_in in = { data, size };
	struct line l = { .out = -1 };
	struct ev_loop *loop;
	char drop[8192];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return 0;
	if (ev_loop_create(&loop) ||
		line_open(&l, loop, pair[0], pair[0], &ops, NULL, fuzz_log(), NULL))
		abort();
	while (in.left) {
		size_t n = fuzz_u16(&in) % (LINE_REQUEST_MAX + 16);

		n = min_u64(n, in.left);
		if (n && send(pair[1], in.p, n, 0) < 0)
			break;
		in.p += n;
		in.left -= n;
		ev_run_once(loop, 0);
		while (recv(pair[1], drop, sizeof(drop), 0) > 0)
			;
	}
	close(pair[1]);
	ev_run_once(loop, 0);
	line_close(&l);
	close(pair[0]);
	ev_loop_destroy(loop);
	return 0;
}
