/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event loop: one per thread, epoll underneath. All callbacks of a loop run on the thread that
 * is in ev_run(); everything here is to be called on that thread, unless it says otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct ev_loop;

/* `events` is the EPOLL* set that is ready. */
typedef void (*ev_fd_fn)(void *arg, uint32_t events);
typedef void (*ev_fn)(void *arg);
/* True: there was work. */
typedef bool (*ev_poll_fn)(void *arg);

/* A watched descriptor. Embedded in its owner and zero-initialised; private fields. */
struct ev_fd {
	struct ev_loop *loop;
	int fd;
	uint32_t events;
	ev_fd_fn fn;
	void *arg;
};

/* A one-shot timer. Embedded in its owner. Private fields. */
struct ev_timer {
	struct ev_loop *loop;
	uint64_t deadline_ns;
	ev_fn fn;
	void *arg;
	struct ev_timer *next; /* links loop->timers, by deadline */
	bool armed;
};

/* Work to be done once before the loop sleeps again. Embedded in its owner. Private fields. */
struct ev_task {
	struct ev_loop *loop;
	ev_fn fn;
	void *arg;
	struct ev_task *next; /* links loop->tasks */
	bool queued;
};

/*
 * Work that shows in memory, with no descriptor to wait for: found by asking. Embedded in its
 * owner. Private fields.
 */
struct ev_poll {
	struct ev_loop *loop;
	ev_poll_fn ask, arm;
	void *arg;
	struct ev_poll *next; /* links loop->polls */
};

int ev_loop_create(struct ev_loop **loop);
/* Accepts NULL. Watches and timers must have been removed by their owners before. */
void ev_loop_destroy(struct ev_loop *loop);

/* Runs until ev_stop(); returns 0 or -errno. */
int ev_run(struct ev_loop *loop);
/* One round: waits at most `timeout_ms` (-1: for ever; shorter while it polls) and dispatches. For
 * tests and for owners of an outer loop. Returns the number of descriptors that were ready, or
 * -errno. */
int ev_run_once(struct ev_loop *loop, int timeout_ms);
/* Makes ev_run() return after the current round. Any thread. */
void ev_stop(struct ev_loop *loop);

/* Watches `fd` (not owned) for `events`. Returns 0 or -errno. */
int ev_fd_add(
	struct ev_loop *loop, struct ev_fd *w, int fd, uint32_t events, ev_fd_fn fn, void *arg);
int ev_fd_mod(struct ev_fd *w, uint32_t events);
/* Idempotent; safe in any callback, also for a watch that is ready in the same round. Call it
 * before closing the descriptor. */
void ev_fd_del(struct ev_fd *w);

void ev_timer_init(struct ev_loop *loop, struct ev_timer *t, ev_fn fn, void *arg);
/* (Re)arms for `delay_ns` from now. */
void ev_timer_set(struct ev_timer *t, uint64_t delay_ns);
/* Idempotent. */
void ev_timer_stop(struct ev_timer *t);

void ev_task_init(struct ev_loop *loop, struct ev_task *t, ev_fn fn, void *arg);
/* Queues the task unless it is queued. */
void ev_task_post(struct ev_task *t);
/* Idempotent. */
void ev_task_cancel(struct ev_task *t);

/*
 * Busy polling. For `ns` after the last work, the loop does not sleep but asks in turn all that was
 * added with ev_poll_add(), and looks at its descriptors and timers every now and then. 0, the
 * default: it never asks; EV_POLL_ALWAYS: it never sleeps while there is somebody to ask. To be set
 * before anything is added.
 */
#define EV_POLL_ALWAYS UINT64_MAX
void ev_set_poll(struct ev_loop *loop, uint64_t ns);
/* True if whoever has work that can be found by asking had better suppress notifications of it. */
bool ev_polls(const struct ev_loop *loop);
/* `ask` looks for work and does it. `arm` comes before the loop sleeps: it turns notifications on,
 * which have to make a descriptor of the loop ready, and says whether work arrived before that;
 * then the loop asks again. */
void ev_poll_add(
	struct ev_loop *loop, struct ev_poll *p, ev_poll_fn ask, ev_poll_fn arm, void *arg);
/* Idempotent; safe in any callback. */
void ev_poll_del(struct ev_poll *p);

/* Runs fn(arg) on the loop's thread and waits until it has returned. Any thread; on the loop's own
 * thread, and before ev_run() first runs, it is a plain call: until then one thread has the loop,
 * so whoever starts another for it waits until it runs. Returns 0, or -ESHUTDOWN when the loop has
 * stopped and fn was not run. */
int ev_call(struct ev_loop *loop, ev_fn fn, void *arg);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t ev_now_ns(void);
