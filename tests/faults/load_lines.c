/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Consoles: numbered lines from a guest to a program of the host, and between two guests over a
 * serial link. A crash may cost what was on its way, and say a part twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "drivers/console.h"
#include "load_classes.h"

#define PATIENCE UINT64_C(2000000) /* ns that a line may take before the next one is sent */

struct state {
	struct drv_console con[2];
	struct load_lines lines[2]; /* to the host, or to port 0; to port 1 */
	int host;		    /* the program's socket */
};

static int write_line(struct load *l, unsigned from, struct load_lines *to)
{
	struct state *st = l->state;
	char line[LOAD_LINE];
	int r;

	load_line(line, ++to->flow.sent);
	r = drv_console_write(&st->con[from], 0, line, LOAD_LINE);
	return r ? load_fail(l, "writing line %" PRIu64 ": %d", to->flow.sent, r) : 0;
}

/* What has come at the program's end, which attaches again when the process was replaced. */
static int read_host(struct load *l)
{
	struct state *st = l->state;
	char path[128], bytes[4096];
	ssize_t n;

	if (st->host < 0) {
		snprintf(path, sizeof(path), "%s/tty", l->srv.dir);
		st->host = fd_unix_connect(path, SOCK_STREAM, NULL);
		if (st->host < 0)
			return 0;
	}
	n = recv(st->host, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n > 0)
		return load_lines_got(l, &st->lines[0], bytes, (size_t)n);
	if (n == 0 || errno != EAGAIN)
		close_fd(&st->host);
	return 0;
}

static int console_step(struct load *l)
{
	struct state *st = l->state;
	uint64_t until;

	if (write_line(l, 0, &st->lines[0]))
		return -1;
	until = ev_now_ns() + PATIENCE;
	while (st->lines[0].flow.got < st->lines[0].flow.sent && ev_now_ns() < until)
		if (read_host(l))
			return -1;
	return 0;
}

static int read_port(struct load *l, unsigned at)
{
	struct state *st = l->state;
	uint64_t until = ev_now_ns() + PATIENCE;
	char bytes[DRV_CONSOLE_CHUNK];
	uint32_t len;
	int r = 0;

	while (!r && st->lines[at].flow.got < st->lines[at].flow.sent) {
		r = drv_console_read(&st->con[at], 0, bytes, sizeof(bytes), &len, until);
		if (!r)
			r = load_lines_got(l, &st->lines[at], bytes, len);
	}
	return r && r != DRV_TIMEOUT ? load_fail(l, "reading: %d", r) : 0;
}

static int link_step(struct load *l)
{
	struct state *st = l->state;

	for (unsigned at = 0; at < 2; at++)
		if (write_line(l, !at, &st->lines[at]) || read_port(l, at))
			return -1;
	return 0;
}

static int settle(struct load *l)
{
	struct state *st = l->state;
	uint64_t until = seat_until();

	for (unsigned at = 0; at < l->cls->nports; at++)
		while (st->lines[at].flow.got < st->lines[at].flow.sent) {
			if (ev_now_ns() > until)
				return load_fail(l, "lines stopped coming: %" PRIu64 " of %" PRIu64,
					st->lines[at].flow.got, st->lines[at].flow.sent);
			if (l->cls->step(l))
				return -1;
		}
	return 0;
}

static int open_drivers(struct load *l)
{
	struct state *st = l->state = calloc(1, sizeof(*st));
	int r = st ? 0 : DRV_NO_MEMORY;

	for (unsigned i = 0; !r && i < l->cls->nports; i++) {
		r = drv_console_open(&st->con[i], &l->seat[i].dev, 1);
		st->con[i].timeout = seat_until() - ev_now_ns();
	}
	if (st)
		st->host = -1;
	return r ? load_fail(l, "opening the console: %d", r) : 0;
}

static void close_host(struct load *l)
{
	struct state *st = l->state;

	if (st)
		close_fd(&st->host);
}

static const char *const console_words[] = { "device", "console", "--path", "{dir}/tty", NULL };
static const char *const link_words[] = { "link", "--baud", "4000000", NULL };
static const char *const link_keys[] = { NULL, NULL };

const struct load_class load_console = { .name = "console",
	.words = console_words,
	.nports = 1,
	.id = DRV_ID_CONSOLE,
	.nqueues = 2,
	.open = open_drivers,
	.step = console_step,
	.finish = settle,
	.close = close_host };

const struct load_class load_link = { .name = "link",
	.words = link_words,
	.keys = link_keys,
	.nports = 2,
	.id = DRV_ID_CONSOLE,
	.nqueues = 2,
	.open = open_drivers,
	.step = link_step,
	.finish = settle,
	.close = close_host };
