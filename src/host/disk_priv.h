/* SPDX-License-Identifier: BSD-3-Clause */
/* What disk.c (opening), disk_io.c (operations) and disk_ioctl.c (helper thread) share. */
#pragma once

#include <liburing.h>
#include <pthread.h>

#include "host/disk.h"

#define DISK_ZERO_LEN  (64u << 10)
#define DISK_ZERO_IOVS 16u

/* A thread for operations that exist only as ioctls (disk_ioctl.c). */
struct disk_helper {
	pthread_t thread;
	bool ready;   /* initialised */
	bool running; /* the thread exists */
	bool quit;    /* under `lock` */
	int fd;	      /* of the block device; not owned */
	int event_fd; /* signalled when `done` got something */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct disk_io *todo, *done; /* under `lock` */
};

struct disk {
	struct disk_info info;
	struct disk_stats *stats; /* not owned */
	const struct log *log;
	struct disk_events events;
	enum disk_erase erase;

	int fd;		       /* through the page cache */
	int direct_fd;	       /* with O_DIRECT, or -1 */
	uint32_t direct_align; /* of memory, offset and length for direct_fd */
	bool blockdev;
	bool null;			/* stores nothing: no descriptors, no ring */
	bool in_memory;			/* tmpfs and the like: nothing ever waits for storage */
	bool nowait_read, nowait_write; /* RWF_NOWAIT has not been refused yet */
	bool zero_range, punch;		/* likewise fallocate() modes */
	bool stuck;			/* operations were given up on */
	bool lost_write;    /* a sync failed: data in the page cache is not what is on storage */
	int lifetime_fd[2]; /* life_time, pre_eol_info */
	struct iovec zeros[DISK_ZERO_IOVS]; /* all the same DISK_ZERO_LEN bytes, read-only */

	struct ev_loop *loop;
	struct io_uring ring;
	bool has_ring;
	struct ev_fd ring_watch, helper_watch;
	struct ev_poll poll; /* while operations are in flight on a loop that polls */
	struct ev_timer retry;
	unsigned in_flight;
	struct disk_helper helper;
};

int disk_ring_init(struct disk *d, unsigned depth, struct err *e);

int disk_helper_init(struct disk_helper *h, int fd, struct err *e);
void disk_helper_finish(struct disk_helper *h);
/* 0, or -errno if the thread cannot be started. */
int disk_helper_submit(struct disk_helper *h, struct disk_io *io);
/* Takes the finished ones off, a list linked by `next`. */
struct disk_io *disk_helper_reap(struct disk_helper *h);
