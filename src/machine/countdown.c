/* SPDX-License-Identifier: BSD-3-Clause */
/* A timerfd that can be held. */
#include "machine/countdown.h"

#include <errno.h>
#include <sys/timerfd.h>

#include "base/fd.h"
#include "base/util.h"

#define NS_PER_S 1000000000u

/* Makes the descriptor ready at `end_ns`; 0: never. */
static void arm(struct countdown *c, uint64_t end_ns)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = (time_t)(end_ns / NS_PER_S),
			.tv_nsec = (long)(end_ns % NS_PER_S) },
	};

	timerfd_settime(c->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

int countdown_init(
	struct countdown *c, struct ev_loop *loop, ev_fd_fn on_end, void *arg, struct err *e)
{
	int rc;

	*c = (struct countdown){ .fd = timerfd_create(
					 CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK) };
	if (c->fd < 0)
		return err_sys(e, -errno, "cannot create the timer of a watchdog");
	rc = ev_fd_add(loop, &c->watch, c->fd, EPOLLIN, on_end, arg);
	if (!rc)
		return 0;
	close_fd(&c->fd);
	return err_sys(e, rc, "cannot watch the timer of a watchdog");
}

void countdown_finish(struct countdown *c)
{
	if (!c->watch.loop)
		return;
	ev_fd_del(&c->watch);
	close_fd(&c->fd);
}

void countdown_start(struct countdown *c, uint64_t ns)
{
	c->running = true;
	c->left_ns = ns;
	c->end_ns = ev_now_ns() + ns;
	arm(c, c->held ? 0 : c->end_ns);
}

void countdown_stop(struct countdown *c)
{
	c->running = false;
	arm(c, 0);
}

uint64_t countdown_left(const struct countdown *c)
{
	uint64_t now;

	if (!c->running)
		return 0;
	if (c->held)
		return c->left_ns;
	now = ev_now_ns();
	return c->end_ns > now ? c->end_ns - now : 0;
}

bool countdown_ended(struct countdown *c)
{
	fd_event_clear(c->fd);
	if (!c->running || countdown_left(c))
		return false;
	c->running = false;
	return true;
}

void countdown_hold(struct countdown *c, bool hold)
{
	uint64_t left = countdown_left(c);

	if (hold == c->held)
		return;
	c->held = hold;
	if (c->running)
		countdown_start(c, left);
}
