/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"

#define BATCH 64
/* Rounds of asking between two looks at the descriptors: a look costs as much as 10 rounds, and is
 * not to come later than a few milliseconds. */
#define POLL_ROUNDS 64

/* A call from another thread; lives on the caller's stack until it is done. */
struct call {
	ev_fn fn;
	void *arg;
	struct call *next; /* links loop->calls */
	int result;
	bool done;
};

struct ev_loop {
	int epoll;
	struct ev_fd wake;
	struct ev_timer *timers; /* by deadline */
	struct ev_task *tasks;	 /* in the order of posting */
	struct ev_task **tasks_end;
	struct ev_poll *polls;
	struct ev_poll *next_poll; /* to be asked next, so that any may be removed meanwhile */
	uint64_t poll_ns;
	uint64_t idle_since_ns; /* when asking found nothing first; 0: it last found work */
	/* The batch being dispatched, so that ev_fd_del() can take a watch out of it. */
	struct epoll_event batch[BATCH];
	int batch_len;
	int batch_pos;
	atomic_bool stopping;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t called;
	struct call *calls;
	struct call **calls_end;
	pthread_t thread;
	bool running;
	bool ended;
};

uint64_t ev_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Runs what other threads asked for. */
static void run_calls(void *arg, uint32_t events)
{
	struct ev_loop *loop = arg;
	struct call *c;

	fd_event_clear(loop->wake.fd);
	pthread_mutex_lock(&loop->lock);
	while ((c = loop->calls)) {
		loop->calls = c->next;
		if (!loop->calls)
			loop->calls_end = &loop->calls;
		pthread_mutex_unlock(&loop->lock);
		c->fn(c->arg);
		pthread_mutex_lock(&loop->lock);
		c->done = true;
		pthread_cond_broadcast(&loop->called);
	}
	pthread_mutex_unlock(&loop->lock);
}

int ev_loop_create(struct ev_loop **out)
{
	struct ev_loop *loop = calloc(1, sizeof(*loop));
	int ret;

	if (!loop)
		return -ENOMEM;
	loop->wake.fd = -1;
	loop->tasks_end = &loop->tasks;
	loop->calls_end = &loop->calls;
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->called, NULL);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	ret = loop->epoll < 0 ? -errno : fd_event();
	if (ret >= 0)
		ret = ev_fd_add(loop, &loop->wake, ret, EPOLLIN, run_calls, loop);
	if (ret < 0) {
		ev_loop_destroy(loop);
		return ret;
	}
	*out = loop;
	return 0;
}

void ev_loop_destroy(struct ev_loop *loop)
{
	int wake;

	if (!loop)
		return;
	wake = loop->wake.fd;
	ev_fd_del(&loop->wake);
	close_fd(&wake);
	close_fd(&loop->epoll);
	pthread_cond_destroy(&loop->called);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

/* Takes at most the tasks that are queued now: a task may post itself again for the next round. */
static void run_tasks(struct ev_loop *loop)
{
	struct ev_task *last = NULL;

	for (struct ev_task *t = loop->tasks; t; t = t->next)
		last = t;
	while (last && loop->tasks) {
		struct ev_task *t = loop->tasks;
		bool was_last = t == last;

		ev_task_cancel(t);
		t->fn(t->arg);
		if (was_last)
			break;
	}
}

static void run_timers(struct ev_loop *loop)
{
	uint64_t now = loop->timers ? ev_now_ns() : 0;

	while (loop->timers && loop->timers->deadline_ns <= now) {
		struct ev_timer *t = loop->timers;

		ev_timer_stop(t);
		t->fn(t->arg);
	}
}

static int wait_ms(const struct ev_loop *loop, int timeout_ms)
{
	uint64_t now, ms;

	if (loop->tasks)
		return 0;
	if (!loop->timers)
		return timeout_ms;
	now = ev_now_ns();
	if (loop->timers->deadline_ns <= now)
		return 0;
	ms = (loop->timers->deadline_ns - now + 999999) / 1000000;
	if (timeout_ms >= 0 && (uint64_t)timeout_ms < ms)
		return timeout_ms;
	return ms > 1000000 ? 1000000 : (int)ms;
}

static bool ask_all(struct ev_loop *loop)
{
	bool worked = false;

	for (struct ev_poll *p = loop->polls; p; p = loop->next_poll) {
		loop->next_poll = p->next;
		worked |= p->ask(p->arg);
	}
	return worked;
}

static bool arm_all(struct ev_loop *loop)
{
	bool worked = false;

	for (struct ev_poll *p = loop->polls; p && !worked; p = loop->next_poll) {
		loop->next_poll = p->next;
		worked = p->arm(p->arg);
	}
	return worked;
}

/* A turn of busy polling. True: the loop may sleep. */
static bool poll_turn(struct ev_loop *loop)
{
	bool worked = false;
	unsigned rounds = 0;
	uint64_t now;

	do {
		if (ask_all(loop))
			worked = true;
		else
			cpu_relax();
	} while (++rounds < POLL_ROUNDS && !loop->tasks);
	if (worked)
		loop->idle_since_ns = 0;
	if (worked || loop->tasks || loop->poll_ns == EV_POLL_ALWAYS)
		return false;
	now = ev_now_ns();
	if (!loop->idle_since_ns)
		loop->idle_since_ns = now;
	if (now - loop->idle_since_ns < loop->poll_ns)
		return false;
	loop->idle_since_ns = 0;
	return !arm_all(loop);
}

int ev_run_once(struct ev_loop *loop, int timeout_ms)
{
	bool sleep = !loop->polls || poll_turn(loop);
	int n = epoll_wait(loop->epoll, loop->batch, BATCH, sleep ? wait_ms(loop, timeout_ms) : 0);

	if (n < 0 && errno != EINTR)
		return -errno;
	if (n > 0)
		loop->idle_since_ns = 0;
	loop->batch_len = n < 0 ? 0 : n;
	for (loop->batch_pos = 0; loop->batch_pos < loop->batch_len; loop->batch_pos++) {
		struct ev_fd *w = loop->batch[loop->batch_pos].data.ptr;

		if (w)
			w->fn(w->arg, loop->batch[loop->batch_pos].events);
	}
	loop->batch_len = 0;
	run_timers(loop);
	run_tasks(loop);
	return n < 0 ? 0 : n;
}

/* Those who still wait are told that nobody will come. */
static void end(struct ev_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->running = false;
	loop->ended = true;
	for (struct call *c = loop->calls; c; c = c->next) {
		c->result = -ESHUTDOWN;
		c->done = true;
	}
	loop->calls = NULL;
	loop->calls_end = &loop->calls;
	pthread_cond_broadcast(&loop->called);
	pthread_mutex_unlock(&loop->lock);
}

int ev_run(struct ev_loop *loop)
{
	int ret = 0;

	pthread_mutex_lock(&loop->lock);
	loop->thread = pthread_self();
	loop->running = true;
	loop->ended = false;
	pthread_mutex_unlock(&loop->lock);
	while (ret >= 0 && !atomic_load(&loop->stopping))
		ret = ev_run_once(loop, -1);
	atomic_store(&loop->stopping, false);
	end(loop);
	return ret < 0 ? ret : 0;
}

void ev_stop(struct ev_loop *loop)
{
	atomic_store(&loop->stopping, true);
	fd_event_signal(loop->wake.fd);
}

int ev_call(struct ev_loop *loop, ev_fn fn, void *arg)
{
	struct call c = { .fn = fn, .arg = arg };

	pthread_mutex_lock(&loop->lock);
	if (loop->ended) {
		pthread_mutex_unlock(&loop->lock);
		return -ESHUTDOWN;
	}
	if (!loop->running || pthread_equal(loop->thread, pthread_self())) {
		pthread_mutex_unlock(&loop->lock);
		fn(arg);
		return 0;
	}
	*loop->calls_end = &c;
	loop->calls_end = &c.next;
	fd_event_signal(loop->wake.fd);
	while (!c.done)
		pthread_cond_wait(&loop->called, &loop->lock);
	pthread_mutex_unlock(&loop->lock);
	return c.result;
}

int ev_fd_add(
	struct ev_loop *loop, struct ev_fd *w, int fd, uint32_t events, ev_fd_fn fn, void *arg)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	*w = (struct ev_fd){ .loop = loop, .fd = fd, .events = events, .fn = fn, .arg = arg };
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		w->loop = NULL;
		return -errno;
	}
	return 0;
}

int ev_fd_mod(struct ev_fd *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (!w->loop)
		return -EINVAL;
	if (w->events == events)
		return 0;
	w->events = events;
	return epoll_ctl(w->loop->epoll, EPOLL_CTL_MOD, w->fd, &ev) < 0 ? -errno : 0;
}

void ev_fd_del(struct ev_fd *w)
{
	struct ev_loop *loop = w->loop;

	if (!loop)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	for (int i = loop->batch_pos; i < loop->batch_len; i++)
		if (loop->batch[i].data.ptr == w)
			loop->batch[i].data.ptr = NULL;
	w->loop = NULL;
}

void ev_timer_init(struct ev_loop *loop, struct ev_timer *t, ev_fn fn, void *arg)
{
	*t = (struct ev_timer){ .loop = loop, .fn = fn, .arg = arg };
}

void ev_timer_set(struct ev_timer *t, uint64_t delay_ns)
{
	struct ev_timer **p = &t->loop->timers;

	ev_timer_stop(t);
	t->deadline_ns = ev_now_ns() + delay_ns;
	while (*p && (*p)->deadline_ns <= t->deadline_ns)
		p = &(*p)->next;
	t->next = *p;
	*p = t;
	t->armed = true;
}

void ev_timer_stop(struct ev_timer *t)
{
	struct ev_timer **p;

	if (!t->armed)
		return;
	for (p = &t->loop->timers; *p != t; p = &(*p)->next)
		;
	*p = t->next;
	t->armed = false;
}

void ev_set_poll(struct ev_loop *loop, uint64_t ns)
{
	loop->poll_ns = ns;
}

bool ev_polls(const struct ev_loop *loop)
{
	return loop->poll_ns;
}

void ev_poll_add(struct ev_loop *loop, struct ev_poll *p, ev_poll_fn ask, ev_poll_fn arm, void *arg)
{
	*p = (struct ev_poll){
		.loop = loop, .ask = ask, .arm = arm, .arg = arg, .next = loop->polls
	};
	loop->polls = p;
}

void ev_poll_del(struct ev_poll *p)
{
	struct ev_poll **at;

	if (!p->loop)
		return;
	for (at = &p->loop->polls; *at != p; at = &(*at)->next)
		;
	*at = p->next;
	if (p->loop->next_poll == p)
		p->loop->next_poll = p->next;
	p->loop = NULL;
}

void ev_task_init(struct ev_loop *loop, struct ev_task *t, ev_fn fn, void *arg)
{
	*t = (struct ev_task){ .loop = loop, .fn = fn, .arg = arg };
}

void ev_task_post(struct ev_task *t)
{
	if (t->queued)
		return;
	t->next = NULL;
	t->queued = true;
	*t->loop->tasks_end = t;
	t->loop->tasks_end = &t->next;
}

void ev_task_cancel(struct ev_task *t)
{
	struct ev_task **p;

	if (!t->queued)
		return;
	for (p = &t->loop->tasks; *p != t; p = &(*p)->next)
		;
	*p = t->next;
	if (!*p)
		t->loop->tasks_end = p;
	t->queued = false;
}
