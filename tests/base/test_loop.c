/* SPDX-License-Identifier: BSD-3-Clause */
/* The event loop: watches, timers, tasks, calls from other threads. */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "tap.h"

struct pair {
	struct ev_fd a, b;
	int fired;
};

/* Whoever fires first removes both watches, as a connection that dies in a callback does. */
static void remove_both(void *arg, uint32_t events)
{
	struct pair *p = arg;

	p->fired++;
	ev_fd_del(&p->a);
	ev_fd_del(&p->b);
}

static void test_delete_in_batch(struct tap *t)
{
	struct ev_loop *loop = NULL;
	struct pair p = { 0 };
	autoclose int fa = fd_event(), fb = fd_event();

	REQUIRE(t, !ev_loop_create(&loop));
	CHECK(t, !ev_fd_add(loop, &p.a, fa, EPOLLIN, remove_both, &p));
	CHECK(t, !ev_fd_add(loop, &p.b, fb, EPOLLIN, remove_both, &p));
	fd_event_signal(fa);
	fd_event_signal(fb);
	CHECK_EQ(t, ev_run_once(loop, 0), 2);
	CHECK_EQ(t, p.fired, 1);
	CHECK_EQ(t, ev_run_once(loop, 0), 0);
	ev_loop_destroy(loop);
}

struct order {
	char seen[8];
	int n;
	struct ev_task again;
};

static void note_a(void *arg)
{
	struct order *o = arg;

	o->seen[o->n++] = 'a';
}

static void note_b(void *arg)
{
	struct order *o = arg;

	o->seen[o->n++] = 'b';
}

static void test_timers_in_order(struct tap *t)
{
	struct ev_loop *loop = NULL;
	struct ev_timer early, late, cancelled;
	struct order o = { .n = 0 };

	REQUIRE(t, !ev_loop_create(&loop));
	ev_timer_init(loop, &early, note_a, &o);
	ev_timer_init(loop, &late, note_b, &o);
	ev_timer_init(loop, &cancelled, note_b, &o);
	ev_timer_set(&late, 3000000);
	ev_timer_set(&cancelled, 2000000);
	ev_timer_set(&early, 1000000);
	ev_timer_stop(&cancelled);
	while (o.n < 2)
		ev_run_once(loop, -1);
	CHECK(t, !strcmp(o.seen, "ab"));
	ev_loop_destroy(loop);
}

static void post_again(void *arg)
{
	struct order *o = arg;

	o->n++;
	ev_task_post(&o->again);
}

static void test_task_that_reposts_does_not_starve(struct tap *t)
{
	struct ev_loop *loop = NULL;
	struct order o = { .n = 0 };

	REQUIRE(t, !ev_loop_create(&loop));
	ev_task_init(loop, &o.again, post_again, &o);
	ev_task_post(&o.again);
	ev_task_post(&o.again);
	ev_run_once(loop, -1);
	CHECK_EQ(t, o.n, 1);
	ev_run_once(loop, -1);
	CHECK_EQ(t, o.n, 2);
	ev_task_cancel(&o.again);
	ev_run_once(loop, 0);
	CHECK_EQ(t, o.n, 2);
	ev_loop_destroy(loop);
}

static void *run_loop(void *arg)
{
	ev_run(arg);
	return NULL;
}

struct thread_note {
	pthread_t thread;
	int n;
};

static void note_thread(void *arg)
{
	struct thread_note *note = arg;

	note->thread = pthread_self();
	note->n++;
}

static void test_call_runs_on_the_loop(struct tap *t)
{
	struct ev_loop *loop = NULL;
	struct thread_note note = { 0 };
	pthread_t thread;

	REQUIRE(t, !ev_loop_create(&loop));
	REQUIRE(t, !pthread_create(&thread, NULL, run_loop, loop));
	/* Until the loop runs, a call is a plain one on this thread. */
	do
		CHECK_EQ(t, ev_call(loop, note_thread, &note), 0);
	while (!pthread_equal(note.thread, thread));
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(t, ev_call(loop, note_thread, &note), 0);
	CHECK(t, pthread_equal(note.thread, thread));
	ev_stop(loop);
	pthread_join(thread, NULL);
	note.n = 0;
	CHECK_EQ(t, ev_call(loop, note_thread, &note), -ESHUTDOWN);
	CHECK_EQ(t, note.n, 0);
	ev_loop_destroy(loop);
}

/* Somebody with work in memory, and a descriptor that announces it once armed. */
struct asked {
	struct ev_poll poll;
	struct ev_fd watch;
	int work, done, asked, armed, woken, event;
	struct ev_poll *remove; /* when asked */
};

static bool ask(void *arg)
{
	struct asked *a = arg;

	a->asked++;
	if (a->remove)
		ev_poll_del(a->remove);
	if (!a->work)
		return false;
	a->work--;
	a->done++;
	return true;
}

static bool arm(void *arg)
{
	struct asked *a = arg;

	a->armed++;
	return a->work;
}

/* As a device would be: work came while nobody asked. */
static void woken(void *arg, uint32_t events)
{
	struct asked *a = arg;

	fd_event_clear(a->event);
	a->woken++;
	a->work = 3;
}

static void test_polling_finds_work_and_then_sleeps(struct tap *t)
{
	struct ev_loop *loop = NULL;
	struct asked a = { .work = 100, .event = fd_event() };

	REQUIRE(t, !ev_loop_create(&loop));
	CHECK(t, !ev_polls(loop));
	ev_set_poll(loop, 1000);
	CHECK(t, ev_polls(loop));
	CHECK(t, !ev_fd_add(loop, &a.watch, a.event, EPOLLIN, woken, &a));
	ev_poll_add(loop, &a.poll, ask, arm, &a);
	while (a.done < 100)
		CHECK_EQ(t, ev_run_once(loop, -1), 0);
	CHECK_EQ(t, a.armed, 0);
	fd_event_signal(a.event);
	/* Nothing else would end this sleep. */
	while (!a.woken)
		ev_run_once(loop, -1);
	while (a.done < 103)
		ev_run_once(loop, -1);
	while (!a.armed)
		ev_run_once(loop, 0);
	CHECK_EQ(t, a.done, 103);
	ev_poll_del(&a.poll);
	a.asked = 0;
	ev_run_once(loop, 0);
	CHECK_EQ(t, a.asked, 0);
	ev_fd_del(&a.watch);
	close(a.event);
	ev_loop_destroy(loop);
}

static void test_polling_does_not_starve_the_rest(struct tap *t)
{
	struct ev_loop *loop = NULL;
	struct asked busy = { .work = INT32_MAX, .event = fd_event() };
	struct order o = { .n = 0 };
	struct ev_timer timer;

	REQUIRE(t, !ev_loop_create(&loop));
	ev_set_poll(loop, EV_POLL_ALWAYS);
	ev_poll_add(loop, &busy.poll, ask, arm, &busy);
	CHECK(t, !ev_fd_add(loop, &busy.watch, busy.event, EPOLLIN, woken, &busy));
	ev_timer_init(loop, &timer, note_a, &o);
	ev_timer_set(&timer, 1000);
	ev_task_init(loop, &o.again, note_b, &o);
	ev_task_post(&o.again);
	fd_event_signal(busy.event);
	while (o.n < 2 || !busy.woken)
		ev_run_once(loop, -1);
	CHECK(t, busy.done > 0);
	while (busy.asked < 10000)
		ev_run_once(loop, -1);
	CHECK_EQ(t, busy.armed, 0);
	ev_poll_del(&busy.poll);
	ev_fd_del(&busy.watch);
	close(busy.event);
	ev_loop_destroy(loop);
}

static void test_pollers_may_go_when_asked(struct tap *t)
{
	struct ev_loop *loop = NULL;
	struct asked a[3] = { 0 };

	REQUIRE(t, !ev_loop_create(&loop));
	ev_set_poll(loop, EV_POLL_ALWAYS);
	for (unsigned i = 0; i < 3; i++)
		ev_poll_add(loop, &a[i].poll, ask, arm, &a[i]);
	a[2].remove = &a[1].poll; /* the next one */
	a[0].remove = &a[0].poll;
	ev_run_once(loop, 0);
	CHECK_EQ(t, a[1].asked, 0);
	CHECK_EQ(t, a[0].asked, 1);
	CHECK(t, a[2].asked > 1);
	ev_poll_del(&a[1].poll);
	ev_poll_del(&a[2].poll);
	ev_loop_destroy(loop);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, test_delete_in_batch);
	TAP_RUN(&t, test_timers_in_order);
	TAP_RUN(&t, test_task_that_reposts_does_not_starve);
	TAP_RUN(&t, test_call_runs_on_the_loop);
	TAP_RUN(&t, test_polling_finds_work_and_then_sleeps);
	TAP_RUN(&t, test_polling_does_not_starve_the_rest);
	TAP_RUN(&t, test_pollers_may_go_when_asked);
	return tap_done(&t);
}
