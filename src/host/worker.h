/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A helper thread for host operations that may take long and cannot be waited for otherwise (an I2C
 * adapter, an SPI controller). Jobs run one after the other, in the order they were given; each
 * comes back on the loop's thread. The thread exists from the first job on.
 */
#pragma once

#include <pthread.h>

#include "base/err.h"
#include "base/loop.h"

/* Embedded in its owner, who leaves it alone from worker_submit() until it comes back. */
struct worker_job {
	void (*run)(struct worker_job *job);  /* on the helper thread */
	void (*done)(struct worker_job *job); /* on the loop's */
	struct worker_job *next;
};

/* Zero-initialise; private fields. */
struct worker {
	pthread_t thread;
	bool ready, running, quit;
	int event_fd;
	struct ev_fd watch;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct worker_job *todo, *finished; /* under `lock`, oldest first */
};

int worker_init(struct worker *w, struct ev_loop *loop, struct err *e);
/* 0, or -errno if the thread cannot be started; then the job does not run. */
int worker_submit(struct worker *w, struct worker_job *job);
/* Waits for the job that runs; those behind it are dropped, and none comes back. Accepts one that
 * was not initialised. */
void worker_finish(struct worker *w);
