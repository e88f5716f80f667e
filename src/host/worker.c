/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/worker.h"

#include <errno.h>

#include "base/fd.h"
#include "base/util.h"

static void append(struct worker_job **list, struct worker_job *job)
{
	while (*list)
		list = &(*list)->next;
	job->next = NULL;
	*list = job;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	pthread_mutex_lock(&w->lock);
	while (!w->quit) {
		struct worker_job *job = w->todo;

		if (!job) {
			pthread_cond_wait(&w->wake, &w->lock);
			continue;
		}
		w->todo = job->next;
		pthread_mutex_unlock(&w->lock);
		job->run(job);
		pthread_mutex_lock(&w->lock);
		append(&w->finished, job);
		fd_event_signal(w->event_fd);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void on_event(void *arg, uint32_t events)
{
	struct worker *w = arg;
	struct worker_job *list, *next;

	fd_event_clear(w->event_fd);
	pthread_mutex_lock(&w->lock);
	list = w->finished;
	w->finished = NULL;
	pthread_mutex_unlock(&w->lock);
	for (; list; list = next) {
		next = list->next;
		list->done(list);
	}
}

int worker_init(struct worker *w, struct ev_loop *loop, struct err *e)
{
	int r;

	w->event_fd = fd_event();
	if (w->event_fd < 0)
		return err_sys(e, w->event_fd, "cannot create an eventfd");
	r = ev_fd_add(loop, &w->watch, w->event_fd, EPOLLIN, on_event, w);
	if (r) {
		close_fd(&w->event_fd);
		return err_sys(e, r, "cannot watch an eventfd");
	}
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->ready = true;
	return 0;
}

int worker_submit(struct worker *w, struct worker_job *job)
{
	if (!w->running) {
		int r = -pthread_create(&w->thread, NULL, worker_main, w);

		if (r)
			return r;
		w->running = true;
	}
	pthread_mutex_lock(&w->lock);
	append(&w->todo, job);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

void worker_finish(struct worker *w)
{
	if (!w->ready)
		return;
	if (w->running) {
		pthread_mutex_lock(&w->lock);
		w->quit = true;
		pthread_cond_signal(&w->wake);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
	}
	ev_fd_del(&w->watch);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	close_fd(&w->event_fd);
	*w = (struct worker){ 0 };
}
