/* SPDX-License-Identifier: BSD-3-Clause */
#include "system/relay.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"

#define RELAY_BUF 16384u

/* What goes one way; `head` and `tail` bound the bytes that wait for the other side. */
struct relay_way {
	size_t head, tail;
	bool read_ended, passed_on;
	char buf[RELAY_BUF];
};

struct relay {
	struct relay *next; /* links owner->first */
	struct relays *owner;
	struct ev_loop *loop;
	struct ev_fd watch[2];
	int fd[2];
	struct relay_way from[2]; /* from[i]: read from fd[i], written to the other one */
};

static void relay_close(struct relay *r)
{
	struct relay **p;

	for (p = &r->owner->first; *p && *p != r; p = &(*p)->next)
		;
	if (*p)
		*p = r->next;
	for (unsigned i = 0; i < 2; i++) {
		ev_fd_del(&r->watch[i]);
		close_fd(&r->fd[i]);
	}
	free(r);
}

void relays_close(struct relays *relays)
{
	while (relays->first)
		relay_close(relays->first);
}

static bool would_block(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* Reads once when the buffer is empty. Returns false when the connection is broken. */
static bool way_fill(struct relay_way *way, int from)
{
	ssize_t n;

	if (way->read_ended || way->head < way->tail)
		return true;
	n = recv(from, way->buf, sizeof(way->buf), 0);
	if (n < 0)
		return would_block();
	way->head = 0;
	way->tail = (size_t)n;
	way->read_ended = n == 0;
	return true;
}

static bool way_drain(struct relay_way *way, int to)
{
	while (way->head < way->tail) {
		ssize_t n = send(to, way->buf + way->head, way->tail - way->head, MSG_NOSIGNAL);

		if (n < 0)
			return would_block();
		way->head += (size_t)n;
	}
	if (way->read_ended && !way->passed_on) {
		way->passed_on = true;
		shutdown(to, SHUT_WR);
	}
	return true;
}

static void relay_ready(void *arg, uint32_t events);

/* Reads only what has room and waits for room only with something to write. A socket that has
 * nothing to do is not watched at all, since it would report its hang-up for ever. */
static int relay_wait(struct relay *r)
{
	int ret = 0;

	for (unsigned i = 0; i < 2 && !ret; i++) {
		const struct relay_way *in = &r->from[i], *out = &r->from[!i];
		struct ev_fd *w = &r->watch[i];
		uint32_t events = 0;

		if (!in->read_ended && in->head == in->tail)
			events |= EPOLLIN;
		if (out->head < out->tail)
			events |= EPOLLOUT;
		if (!events)
			ev_fd_del(w);
		else if (w->loop)
			ret = ev_fd_mod(w, events);
		else
			ret = ev_fd_add(r->loop, w, r->fd[i], events, relay_ready, r);
	}
	return ret;
}

static void relay_ready(void *arg, uint32_t events)
{
	struct relay *r = arg;
	bool alive = true;

	for (unsigned i = 0; i < 2 && alive; i++)
		alive = way_fill(&r->from[i], r->fd[i]) && way_drain(&r->from[i], r->fd[!i]);
	if (!alive || (r->from[0].passed_on && r->from[1].passed_on) || relay_wait(r))
		relay_close(r);
}

int relay_open(struct relays *relays, struct ev_loop *loop, int a, int b)
{
	struct relay *r = calloc(1, sizeof(*r));
	int ret;

	if (!r) {
		close(a);
		close(b);
		return -ENOMEM;
	}
	*r = (struct relay){ .owner = relays, .loop = loop, .fd = { a, b }, .next = relays->first };
	relays->first = r;
	ret = fd_nonblock(a);
	if (!ret)
		ret = fd_nonblock(b);
	if (!ret)
		ret = relay_wait(r);
	if (ret)
		relay_close(r);
	return ret;
}
