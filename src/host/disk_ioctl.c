/* SPDX-License-Identifier: BSD-3-Clause */
/* The helper thread of a disk on a block device: discard and secure erase are ioctls that may take
 * seconds, and io_uring has no such operation in the kernels we run on. */
#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "base/fd.h"
#include "base/util.h"
#include "host/disk_priv.h"

static int run(const struct disk_helper *h, const struct disk_io *io)
{
	uint64_t range[2] = { io->offset, io->len };
	unsigned long request = io->op == DISK_ERASE ? BLKSECDISCARD : BLKDISCARD;

	return ioctl(h->fd, request, range) < 0 ? -errno : 0;
}

static void *helper_main(void *arg)
{
	struct disk_helper *h = arg;

	pthread_mutex_lock(&h->lock);
	while (!h->quit) {
		struct disk_io *io = h->todo;

		if (!io) {
			pthread_cond_wait(&h->wake, &h->lock);
			continue;
		}
		h->todo = io->next;
		pthread_mutex_unlock(&h->lock);
		io->result = run(h, io);
		pthread_mutex_lock(&h->lock);
		io->next = h->done;
		h->done = io;
		fd_event_signal(h->event_fd);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

int disk_helper_init(struct disk_helper *h, int fd, struct err *e)
{
	h->fd = fd;
	h->event_fd = fd_event();
	if (h->event_fd < 0)
		return err_sys(e, h->event_fd, "cannot create an eventfd");
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->wake, NULL);
	h->ready = true;
	return 0;
}

void disk_helper_finish(struct disk_helper *h)
{
	if (!h->ready)
		return;
	if (h->running) {
		pthread_mutex_lock(&h->lock);
		h->quit = true;
		pthread_cond_signal(&h->wake);
		pthread_mutex_unlock(&h->lock);
		pthread_join(h->thread, NULL);
	}
	pthread_cond_destroy(&h->wake);
	pthread_mutex_destroy(&h->lock);
	close_fd(&h->event_fd);
	h->ready = h->running = false;
}

int disk_helper_submit(struct disk_helper *h, struct disk_io *io)
{
	struct disk_io **tail;
	int rc;

	if (!h->running) {
		rc = -pthread_create(&h->thread, NULL, helper_main, h);
		if (rc)
			return rc;
		h->running = true;
	}
	io->next = NULL;
	pthread_mutex_lock(&h->lock);
	for (tail = &h->todo; *tail; tail = &(*tail)->next)
		;
	*tail = io;
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->lock);
	return 0;
}

struct disk_io *disk_helper_reap(struct disk_helper *h)
{
	struct disk_io *list;

	fd_event_clear(h->event_fd);
	pthread_mutex_lock(&h->lock);
	list = h->done;
	h->done = NULL;
	pthread_mutex_unlock(&h->lock);
	return list;
}
