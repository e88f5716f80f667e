/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk that fails when it is told to: a file system of one file, served from memory by a thread
 * of the test over the kernel's FUSE interface, so that device processes use it as any storage,
 * jail and io_uring included. It keeps a record of all writes and syncs, from which what a power
 * cut would leave can be made.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define FAULTFS_SIZE (1u << 20) /* bytes of the file */

enum faultfs_event { FAULTFS_WRITE, FAULTFS_SYNC, FAULTFS_NOTE };

/* An entry of the record. Of a note, `offset` and `len` are what the test put there. */
struct faultfs_entry {
	enum faultfs_event event;
	bool stable; /* a write that was to be on stable storage before it was answered */
	uint64_t offset;
	uint32_t len;
	uint8_t *data;
};

/* What goes wrong; all zero: nothing. Set under the lock, by faultfs_set(). */
struct faultfs_faults {
	int read, write, sync; /* errno for a request of that kind, and how many get it: */
	unsigned n;	       /* every n-th; 0 or 1: all */
	uint32_t most; /* bytes taken by one write, 0: all. (The kernel takes a short read for the
			* end of the file.) */
	bool hold;     /* no answer to anything until this is false */
};

struct faultfs {
	char dir[64], path[80]; /* where it is, and the file */
	int fuse;
	bool async, mounted, running;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t released;
	struct faultfs_faults faults;
	unsigned long count;  /* requests that a fault could have met */
	unsigned long failed; /* and that it did */
	unsigned long cut;    /* writes taken in part */
	bool recording;
	struct faultfs_entry *entry;
	unsigned nentries, room;
	uint8_t *data;
	uint8_t *buf; /* of the thread */
};

/* Mounts it in a mount namespace of this process, once. -EPERM, -ENOENT or -ENODEV: cannot be done
 * here; the message says what is missing. `async`: O_DIRECT accesses do not wait in io_uring's
 * submission, as on a disk; but then Linux makes an error of a short write. */
int faultfs_open(struct faultfs *f, bool async, struct err *e);
void faultfs_close(struct faultfs *f);
void faultfs_set(struct faultfs *f, const struct faultfs_faults *faults);
/* Adds a note to the record, after all requests that were answered. */
void faultfs_note(struct faultfs *f, uint64_t what, uint32_t more);
