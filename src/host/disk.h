/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A disk image: a raw file or a block device, read and written without ever blocking the loop for
 * storage. What is in memory is moved at once by the calling thread; what must wait goes to
 * io_uring, and operations that exist only as ioctls to a helper thread.
 *
 * One thread (that of the loop given to disk_start) uses a disk.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"

#define DISK_SECTOR 512u

/* How a secure erase is done. */
enum disk_erase {
	DISK_ERASE_NONE,      /* not at all */
	DISK_ERASE_DEVICE,    /* by the block device (BLKSECDISCARD) */
	DISK_ERASE_OVERWRITE, /* zeroes written in place, synced, then deallocated */
};

/* Counters, owned by the user of the disk. */
struct disk_stats {
	uint64_t immediate; /* reads and writes done at once by the calling thread */
	uint64_t queued;    /* operations that had to wait */
	uint64_t syncs;	    /* fdatasync() calls and synchronous writes */
};

struct disk_options {
	const char *path; /* NULL: a disk that stores nothing, for measuring */
	bool readonly;
	bool direct;  /* O_DIRECT: past the host's page cache */
	bool discard; /* offer deallocation if the backing can */
	enum disk_erase erase;
	const char
		*lifetime; /* folder with life_time and pre_eol_info, or NULL: the device's own */
	unsigned depth;	   /* most operations in flight, for sizing only */
	struct disk_stats *stats; /* counted here; outlives the disk */
};

/* What the backing is. Sizes in bytes. */
struct disk_info {
	uint64_t size;		 /* a multiple of DISK_SECTOR */
	uint32_t block_size;	 /* logical: smallest unit it likes to be addressed by */
	uint32_t physical_size;	 /* smallest unit written without read-modify-write */
	uint32_t align_offset;	 /* of the first physical block */
	uint32_t min_io, opt_io; /* preferred sizes, 0: unknown */
	uint32_t discard_unit;	 /* granularity of deallocation */
	bool discard;		 /* deallocates on DISK_DISCARD and DISK_ZERO_UNMAP */
	bool lifetime;		 /* disk_lifetime() works */
};

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH,   /* all operations done before this one was submitted are stable when it is */
	DISK_DISCARD, /* deallocate; later reads are undefined */
	DISK_ZERO,    /* zeroes, without deallocating */
	DISK_ZERO_UNMAP, /* zeroes, deallocated if possible */
	DISK_ERASE,	 /* disk_options.erase */
};

/* The elementary operations an enum disk_op is made of. Private to the disk. */
enum disk_step {
	STEP_END,
	STEP_READ,
	STEP_WRITE,
	STEP_SYNC,
	STEP_PUNCH,	 /* fallocate(PUNCH_HOLE) */
	STEP_ZERO_RANGE, /* fallocate(ZERO_RANGE) */
	STEP_WRITE_ZEROS,
	STEP_IOCTL,
};

/*
 * One operation, owned by the caller and untouched by it from disk_submit() until done. The caller
 * has checked that [offset, offset + len) is inside the disk. For reads and writes the buffers sum
 * up to `len`; the list is consumed, so its contents are undefined afterwards.
 */
struct disk_io {
	enum disk_op op;
	bool stable;	 /* a write, discard or zeroing is on stable storage when done */
	uint64_t offset; /* bytes */
	uint64_t len;	 /* bytes */
	struct iovec *iov;
	unsigned niov;
	int result;	/* when done: 0 or -errno */
	uint64_t moved; /* when done: bytes moved, also after an error */

	enum disk_step step;
	struct disk_io *next; /* links the helper thread's lists */
};

/* Called on the loop's thread. `done` for each operation that disk_submit() left in flight, and
 * `batch_done` after a group of them. */
struct disk_events {
	void (*done)(void *arg, struct disk_io *io);
	void (*batch_done)(void *arg);
	void *arg;
};

struct disk;

/* The size of a disk that stores nothing. */
#define DISK_NULL_SIZE (UINT64_C(64) << 30)

/* Opens and locks the image: exclusively, or shared when read-only, so that no two guests write one
 * image (open file description locks, which QEMU honours as well). A lock still held by a process
 * that just died is waited for, at most a second: until its last write has ended. */
int disk_open(struct disk **disk, const struct disk_options *options, const struct log *log,
	struct err *e);
/* Nothing may be in flight but what disk_drain() gave up on. Accepts NULL. */
void disk_close(struct disk *disk);

/* Connects to the loop; once, before any operation. */
int disk_start(
	struct disk *disk, struct ev_loop *loop, const struct disk_events *events, struct err *e);

const struct disk_info *disk_info(const struct disk *disk);

/* Starts an operation. True: it is done already, `result` is set and events.done is not called. */
bool disk_submit(struct disk *disk, struct disk_io *io);
/* Hands everything submitted to the kernel; after a batch of disk_submit(), which may have begun
 * with it. */
void disk_commit(struct disk *disk);
/* Waits until nothing is in flight, calling events.done as usual. After `limit_ms` cancels what can
 * be cancelled and waits once more as long. Returns 0, or -ETIMEDOUT if storage still holds
 * operations; until they end, the disk answers all others with -EIO. */
int disk_drain(struct disk *disk, unsigned limit_ms);

/* Health in the terms of VIRTIO 1.4, 5.2.6: pre_eol_info, wear of SLC and of MLC cells; 0 where
 * unknown. -ENOTSUP if there is none. */
int disk_lifetime(const struct disk *disk, uint16_t values[3]);
