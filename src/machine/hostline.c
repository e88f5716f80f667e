/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes between a serial port and the host's descriptors. */
#include "machine/hostline.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define PATIENCE_MS 1000

int hostline_init(struct hostline *l, struct ev_loop *loop, int in_fd, int out_fd,
	ev_fd_fn on_input, void *arg, const char *name, struct err *e)
{
	int rc;

	*l = (struct hostline){
		.loop = loop, .in_fd = in_fd, .out_fd = out_fd, .on_input = on_input, .arg = arg
	};
	if (in_fd < 0)
		return 0;
	rc = ev_fd_add(loop, &l->watch, in_fd, EPOLLIN, on_input, arg);
	/* A regular file cannot be watched, and says nothing by itself. */
	return rc && rc != -EPERM ? err_sys(e, rc, "cannot watch the input of %s", name) : 0;
}

void hostline_finish(struct hostline *l)
{
	ev_fd_del(&l->watch);
}

static bool reader_ready(struct hostline *l)
{
	struct pollfd p = { .fd = l->out_fd, .events = POLLOUT };

	l->stuck = poll(&p, 1, l->stuck ? 0 : PATIENCE_MS) != 1;
	return !l->stuck;
}

void hostline_put(struct hostline *l, uint8_t byte)
{
	ssize_t n;

	if (l->out_fd < 0 || !reader_ready(l))
		return;
	do
		n = write(l->out_fd, &byte, 1);
	while (n < 0 && errno == EINTR);
}

unsigned hostline_get(struct hostline *l, uint8_t *buf, unsigned room)
{
	ssize_t n = room ? read(l->in_fd, buf, room) : 0;
	/* The end of the input, or EIO: all who had the PTY open are gone. */
	bool ended = room && (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR));

	n = n < 0 ? 0 : n;
	l->paused = (unsigned)n == room;
	/* Not watched for nothing either: a line that hung up would be reported all the time. */
	if (ended || l->paused)
		ev_fd_del(&l->watch);
	return (unsigned)n;
}

bool hostline_resumes(struct hostline *l)
{
	bool was = l->paused;

	l->paused = false;
	return was;
}

static void listen_again(void *arg)
{
	struct hostline *l = arg;

	ev_fd_add(l->loop, &l->watch, l->in_fd, EPOLLIN, l->on_input, l->arg);
}

void hostline_listen(struct hostline *l)
{
	ev_call(l->loop, listen_again, l);
}
