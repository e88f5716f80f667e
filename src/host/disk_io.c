/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations of a disk. Each is a short sequence of steps (a write, then a sync; a hole, or zeroes
 * where holes are not possible). A step runs at once if its data is in memory, else through
 * io_uring or the helper thread; its result decides about the next one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "host/disk_priv.h"

#define IOV_MAX_KERNEL 1024u
#define CQE_BATCH      64u
#define SQE_BATCH      8u
#define RETRY_NS       1000000u

static enum disk_step zero_step(const struct disk *d)
{
	return d->zero_range ? STEP_ZERO_RANGE : STEP_WRITE_ZEROS;
}

static enum disk_step first_step(const struct disk *d, enum disk_op op)
{
	switch (op) {
	case DISK_READ:
		return STEP_READ;
	case DISK_WRITE:
		return STEP_WRITE;
	case DISK_FLUSH:
		return STEP_SYNC;
	case DISK_DISCARD:
		return d->blockdev ? STEP_IOCTL : STEP_PUNCH;
	case DISK_ZERO:
		return zero_step(d);
	case DISK_ZERO_UNMAP:
		return d->punch ? STEP_PUNCH : zero_step(d);
	case DISK_ERASE:
		return d->erase == DISK_ERASE_DEVICE ? STEP_IOCTL : STEP_WRITE_ZEROS;
	default:
		return STEP_END;
	}
}

/* What follows a step that succeeded. */
static enum disk_step next_step(const struct disk *d, const struct disk_io *io)
{
	bool overwrite = io->op == DISK_ERASE && d->erase == DISK_ERASE_OVERWRITE;

	switch (io->step) {
	case STEP_READ:
	case STEP_WRITE: /* stable ones are written with RWF_DSYNC */
		return STEP_END;
	case STEP_SYNC:
		/* Erased blocks are given back only once the zeroes have reached them. */
		return overwrite && d->punch ? STEP_PUNCH : STEP_END;
	case STEP_PUNCH:
		return io->stable && !overwrite ? STEP_SYNC : STEP_END;
	case STEP_WRITE_ZEROS:
		return io->stable || overwrite ? STEP_SYNC : STEP_END;
	case STEP_ZERO_RANGE:
	case STEP_IOCTL:
		return io->stable ? STEP_SYNC : STEP_END;
	case STEP_END:
	default:
		return STEP_END;
	}
}

/* The step that does the same in another way, where the backing cannot do this one. */
static enum disk_step other_step(struct disk *d, const struct disk_io *io)
{
	if (io->step == STEP_ZERO_RANGE) {
		d->zero_range = false;
		return STEP_WRITE_ZEROS;
	}
	if (io->step == STEP_PUNCH && io->op == DISK_ZERO_UNMAP)
		return zero_step(d);
	return STEP_END;
}

/* Drops the first `len` bytes of the buffers. */
static void consume(struct disk_io *io, size_t len)
{
	while (io->niov && len >= io->iov->iov_len) {
		len -= io->iov->iov_len;
		io->iov++;
		io->niov--;
	}
	if (io->niov) {
		io->iov->iov_base = (uint8_t *)io->iov->iov_base + len;
		io->iov->iov_len -= len;
	}
}

static bool finish(struct disk_io *io, int result)
{
	io->result = result;
	io->step = STEP_END;
	return true;
}

static void sync_failed(struct disk *d, int code)
{
	/* The kernel forgets the data it could not write, so a later sync would wrongly succeed. */
	if (d->direct_fd < 0 && !d->lost_write) {
		d->lost_write = true;
		log_error(d->log,
			"sync of the image failed (%s): written data is lost, every flush fails "
			"from now on",
			strerror(-code));
	}
}

/* Takes in the result of the current step. True: the operation is done. */
static bool advance(struct disk *d, struct disk_io *io, int result)
{
	bool moves =
		io->step == STEP_READ || io->step == STEP_WRITE || io->step == STEP_WRITE_ZEROS;

	if (result == -EINTR || result == -EAGAIN)
		return false;
	if (result == -EOPNOTSUPP && other_step(d, io) != STEP_END) {
		io->step = other_step(d, io);
		return false;
	}
	if (result < 0) {
		if (io->step == STEP_SYNC)
			sync_failed(d, result);
		return finish(io, result);
	}
	if (moves) {
		if (!result && io->len) /* somebody made the image shorter */
			return finish(io, -EIO);
		io->moved += (unsigned)result;
		if (io->step != STEP_WRITE_ZEROS)
			consume(io, (unsigned)result);
		if (io->moved < io->len)
			return false;
	}
	io->step = next_step(d, io);
	return io->step == STEP_END && finish(io, 0);
}

static bool use_direct(const struct disk *d, const struct disk_io *io)
{
	uint64_t bits = io->offset + io->moved;

	if (d->direct_fd < 0)
		return false;
	for (unsigned i = 0; i < io->niov; i++)
		bits |= (uintptr_t)io->iov[i].iov_base | io->iov[i].iov_len;
	return !(bits & (d->direct_align - 1));
}

/* One attempt that does not wait for storage. -EAGAIN: it would have to. */
static int attempt(struct disk *d, struct disk_io *io, int flags)
{
	int n = (int)min_u64(io->niov, IOV_MAX_KERNEL);
	off_t offset = (off_t)(io->offset + io->moved);
	ssize_t rc;

	if (io->step == STEP_WRITE)
		rc = pwritev2(d->fd, io->iov, n, offset, flags);
	else if (n == 1 && !flags)
		rc = pread(d->fd, io->iov->iov_base, io->iov->iov_len, offset);
	else
		rc = preadv2(d->fd, io->iov, n, offset, flags);
	return rc < 0 ? -errno : (int)rc;
}

/* Reads and writes what needs no waiting. True: the operation is done. */
static bool move_now(struct disk *d, struct disk_io *io)
{
	bool *nowait = io->step == STEP_READ ? &d->nowait_read : &d->nowait_write;
	int flags = d->in_memory ? 0 : RWF_NOWAIT;
	int rc;

	if (!d->in_memory && (!*nowait || io->stable || use_direct(d, io)))
		return false;
	if (io->stable)
		flags |= RWF_DSYNC;
	do {
		rc = attempt(d, io, flags);
		if (rc == -EAGAIN)
			return false;
		if (rc == -EOPNOTSUPP && !d->in_memory) {
			*nowait = false;
			return false;
		}
	} while (!advance(d, io, rc));
	d->stats->immediate++;
	return true;
}

static struct io_uring_sqe *get_sqe(struct disk *d)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&d->ring);

	if (!sqe) {
		io_uring_submit(&d->ring);
		sqe = io_uring_get_sqe(&d->ring);
	}
	return sqe;
}

static void prep_zeros(const struct disk *d, struct io_uring_sqe *sqe, const struct disk_io *io)
{
	uint64_t left = io->len - io->moved;
	uint64_t offset = io->offset + io->moved;
	unsigned n = (unsigned)min_u64(left / DISK_ZERO_LEN, DISK_ZERO_IOVS);

	if (n)
		io_uring_prep_writev(sqe, d->fd, d->zeros, n, offset);
	else
		io_uring_prep_write(sqe, d->fd, d->zeros[0].iov_base, (unsigned)left, offset);
}

static void prep(struct disk *d, struct io_uring_sqe *sqe, const struct disk_io *io)
{
	int file = use_direct(d, io) ? d->direct_fd : d->fd;
	unsigned n = (unsigned)min_u64(io->niov, IOV_MAX_KERNEL);
	uint64_t offset = io->offset + io->moved;

	switch (io->step) {
	case STEP_READ:
		io_uring_prep_readv(sqe, file, io->iov, n, offset);
		break;
	case STEP_WRITE:
		io_uring_prep_writev2(sqe, file, io->iov, n, offset, io->stable ? RWF_DSYNC : 0);
		break;
	case STEP_WRITE_ZEROS:
		prep_zeros(d, sqe, io);
		break;
	case STEP_PUNCH:
		io_uring_prep_fallocate(sqe, d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)io->offset, (off_t)io->len);
		break;
	case STEP_ZERO_RANGE:
		io_uring_prep_fallocate(sqe, d->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
			(off_t)io->offset, (off_t)io->len);
		break;
	case STEP_SYNC:
	case STEP_IOCTL:
	case STEP_END:
	default:
		io_uring_prep_fsync(sqe, d->fd, IORING_FSYNC_DATASYNC);
		break;
	}
}

static bool ask_ring(void *arg);

/* Before a sleep: the ring's descriptor tells of what comes. */
static bool arm_ring(void *arg)
{
	struct disk *d = arg;

	return io_uring_cq_ready(&d->ring);
}

/* Starts the current step elsewhere. True: that failed, and the operation is done. */
static bool start_step(struct disk *d, struct disk_io *io)
{
	struct io_uring_sqe *sqe;

	if (io->step == STEP_IOCTL) {
		int rc = d->helper.ready ? disk_helper_submit(&d->helper, io) : -EOPNOTSUPP;

		if (rc)
			return finish(io, rc);
	} else {
		sqe = get_sqe(d);
		if (!sqe)
			return finish(io, -EIO);
		prep(d, sqe, io);
		io_uring_sqe_set_data(sqe, io);
	}
	if (!d->in_flight++ && ev_polls(d->loop))
		ev_poll_add(d->loop, &d->poll, ask_ring, arm_ring, d);
	/* Storage begins while more is read from the queue; who polls has time for a call each. */
	if (d->has_ring && io_uring_sq_ready(&d->ring) >= (ev_polls(d->loop) ? 1 : SQE_BATCH))
		disk_commit(d);
	return false;
}

bool disk_submit(struct disk *d, struct disk_io *io)
{
	io->moved = 0;
	io->step = first_step(d, io->op);
	d->stuck = d->stuck && d->in_flight;
	if (d->stuck || io->step == STEP_END)
		return finish(io, -EIO);
	if (io->op == DISK_FLUSH || io->stable) {
		d->stats->syncs++;
		if (d->lost_write)
			return finish(io, -EIO);
	}
	if (d->null)
		io->moved = io->len;
	if (d->null || (!io->len && io->op != DISK_FLUSH))
		return finish(io, 0);
	if ((io->step == STEP_READ || io->step == STEP_WRITE) && move_now(d, io))
		return true;
	if (io->op == DISK_FLUSH && d->in_memory)
		return advance(d, io, fdatasync(d->fd) < 0 ? -errno : 0);
	d->stats->queued++;
	return start_step(d, io);
}

void disk_commit(struct disk *d)
{
	if (!d->has_ring || !io_uring_sq_ready(&d->ring))
		return;
	/* A kernel short of memory takes fewer entries or none. */
	if (io_uring_submit(&d->ring) < 0 || io_uring_sq_ready(&d->ring))
		ev_timer_set(&d->retry, RETRY_NS);
}

static void on_retry(void *arg)
{
	disk_commit(arg);
}

static void step_ended(struct disk *d, struct disk_io *io, int result)
{
	bool ended = advance(d, io, result);

	if (!--d->in_flight)
		ev_poll_del(&d->poll);
	if (!ended && d->stuck) /* given up: its buffers may be gone */
		ended = finish(io, -EIO);
	if (ended || start_step(d, io))
		d->events.done(d->events.arg, io);
}

static unsigned reap_ring(struct disk *d)
{
	struct io_uring_cqe *cqes[CQE_BATCH];
	unsigned n = io_uring_peek_batch_cqe(&d->ring, cqes, CQE_BATCH);

	for (unsigned i = 0; i < n; i++) {
		struct disk_io *io = io_uring_cqe_get_data(cqes[i]);

		if (io) /* else the answer to a cancel */
			step_ended(d, io, cqes[i]->res);
	}
	io_uring_cq_advance(&d->ring, n);
	return n;
}

static void reap_helper(struct disk *d)
{
	struct disk_io *next;

	for (struct disk_io *io = disk_helper_reap(&d->helper); io; io = next) {
		next = io->next;
		step_ended(d, io, io->result);
	}
}

static void on_ring(void *arg, uint32_t events)
{
	struct disk *d = arg;

	/* What is left after this batch makes the ring's descriptor ready again at once. */
	reap_ring(d);
	disk_commit(d);
	d->events.batch_done(d->events.arg);
}

static bool ask_ring(void *arg)
{
	struct disk *d = arg;

	if (!reap_ring(d))
		return false;
	disk_commit(d);
	d->events.batch_done(d->events.arg);
	return true;
}

static void on_helper(void *arg, uint32_t events)
{
	struct disk *d = arg;

	reap_helper(d);
	disk_commit(d);
	d->events.batch_done(d->events.arg);
}

/* Waits until nothing is in flight or the time is up. */
static void wait_idle(struct disk *d, unsigned limit_ms)
{
	uint64_t end = ev_now_ns() + limit_ms * UINT64_C(1000000);
	struct pollfd p[2] = {
		{ .fd = d->ring.ring_fd, .events = POLLIN },
		{ .fd = d->helper.ready ? d->helper.event_fd : -1, .events = POLLIN },
	};

	while (d->in_flight) {
		uint64_t now = ev_now_ns();

		disk_commit(d);
		if (now >= end)
			return;
		if (poll(p, ARRAY_LEN(p), (int)((end - now) / 1000000 + 1)) <= 0)
			continue;
		reap_ring(d);
		if (d->helper.ready)
			reap_helper(d);
	}
}

int disk_drain(struct disk *d, unsigned limit_ms)
{
	struct io_uring_sqe *sqe;

	if (!d->in_flight)
		return 0;
	wait_idle(d, limit_ms);
	if (d->in_flight) {
		log_warn(d->log, "%u disk operations unfinished after %u ms, cancelling",
			d->in_flight, limit_ms);
		sqe = get_sqe(d);
		if (sqe) {
			io_uring_prep_cancel(
				sqe, NULL, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
			io_uring_sqe_set_data(sqe, NULL);
		}
		wait_idle(d, limit_ms);
	}
	d->events.batch_done(d->events.arg);
	if (!d->in_flight)
		return 0;
	d->stuck = true;
	log_error(d->log,
		"storage does not answer: %u operations given up, requests fail until they end",
		d->in_flight);
	return -ETIMEDOUT;
}

/* What the ring is opened for is all that it will ever do: the kernel carries out its operations
 * where no system call filter looks. */
static int restrict_ring(struct io_uring *ring)
{
	static const uint8_t ops[] = { IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_WRITE,
		IORING_OP_FALLOCATE, IORING_OP_FSYNC, IORING_OP_ASYNC_CANCEL };
	struct io_uring_restriction allowed[ARRAY_LEN(ops)] = { 0 };

	for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
		allowed[i].opcode = IORING_RESTRICTION_SQE_OP;
		allowed[i].sqe_op = ops[i];
	}
	/* liburing 2.3 declares functions for both, and has none. */
	if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, allowed,
		    ARRAY_LEN(ops)) ||
		syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
			0))
		return -errno;
	return 0;
}

int disk_ring_init(struct disk *d, unsigned depth, struct err *e)
{
	unsigned entries = depth > 128 ? 128 : depth < 8 ? 8 : depth;
	struct io_uring_params p = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED,
		.cq_entries = depth < 4096 ? depth + 16 : 4096,
	};
	int rc;

	if (p.cq_entries < 2 * entries)
		p.cq_entries = 2 * entries;
	rc = io_uring_queue_init_params(entries, &d->ring, &p);
	if (rc < 0)
		return err_sys(e, rc,
			"cannot create an io_uring (needs Linux 5.19, "
			"/proc/sys/kernel/io_uring_disabled 0)");
	d->has_ring = true;
	rc = restrict_ring(&d->ring);
	if (rc < 0)
		return err_sys(e, rc, "cannot restrict the io_uring");
	/* The image is not registered with the ring: the kernel takes the ring of a killed process
	 * apart seconds later, and its files, and their lock, would live as long. */
	return 0;
}

int disk_start(
	struct disk *d, struct ev_loop *loop, const struct disk_events *events, struct err *e)
{
	int rc;

	d->loop = loop;
	d->events = *events;
	ev_timer_init(loop, &d->retry, on_retry, d);
	if (d->null)
		return 0;
	rc = ev_fd_add(loop, &d->ring_watch, d->ring.ring_fd, EPOLLIN, on_ring, d);
	if (!rc && d->helper.ready)
		rc = ev_fd_add(loop, &d->helper_watch, d->helper.event_fd, EPOLLIN, on_helper, d);
	return rc ? err_sys(e, rc, "cannot watch the disk's completions") : 0;
}
