/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening a disk image: what it is, what it can do, and who else has it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/util.h"
#include "host/disk_priv.h"

#define LOCK_TRIES   1000
#define LOCK_WAIT_NS 1000000

static int lock(int fd, const char *path, bool readonly, struct err *e)
{
	struct flock l = { .l_type = readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };
	struct timespec wait = { .tv_nsec = LOCK_WAIT_NS };

	for (unsigned i = 0; fcntl(fd, F_OFD_SETLK, &l) < 0; i++) {
		if (errno != EAGAIN && errno != EACCES)
			return err_sys(e, -errno, "cannot lock %s", path);
		if (i == LOCK_TRIES)
			return err_set(e, -EBUSY,
				"%s is in use by another process%s; one image serves one writer, "
				"or several with readonly: true",
				path, readonly ? " that writes to it" : "");
		nanosleep(&wait, NULL);
	}
	return 0;
}

static int open_fd(const struct disk_options *o, int flags, struct err *e)
{
	struct timespec wait = { .tv_nsec = LOCK_WAIT_NS };
	int fd;

	for (unsigned i = 0;; i++) {
		fd = open(o->path, (o->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | flags);
		if (fd >= 0)
			return fd;
		if (errno != EBUSY || i == LOCK_TRIES)
			break;
		nanosleep(&wait, NULL);
	}
	if (errno == EROFS || errno == EACCES || errno == EPERM)
		return err_sys(e, -errno, "cannot open %s%s", o->path,
			o->readonly ? "" : " for writing (readonly: true would need less)");
	if (errno == EBUSY)
		return err_sys(e, -errno,
			"cannot open %s, it is mounted or otherwise used by the host", o->path);
	return err_sys(e, -errno, "cannot open %s", o->path);
}

/* Who had the lock before us may have put another file into this one's place (efistore.c does). */
static int check_current(int fd, const char *path, struct err *e)
{
	struct stat a, b;

	if (!fstat(fd, &a) && !stat(path, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return 0;
	return err_set(e, -EBUSY, "%s was replaced while it was opened", path);
}

/* What O_DIRECT wants of memory, offset and length; requests that differ go through `fd`. */
static uint32_t direct_align(const struct disk *d)
{
	struct statx sx;

#ifdef STATX_DIOALIGN
	if (!statx(d->direct_fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) &&
		(sx.stx_mask & STATX_DIOALIGN) && sx.stx_dio_offset_align)
		return (uint32_t)max_u64(sx.stx_dio_mem_align, sx.stx_dio_offset_align);
#else
	(void)sx;
#endif
	return d->blockdev ? d->info.block_size : 4096;
}

/* A number from the device's queue in sysfs, `def` if there is none. That of a partition is the
 * whole device's. */
static uint64_t queue_attr(dev_t dev, const char *attr, uint64_t def)
{
	unsigned long long v;

	for (unsigned i = 0; i < 2; i++) {
		char path[128];
		autofclose FILE *f = NULL;

		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/%s", major(dev),
			minor(dev), i ? "../" : "", attr);
		f = fopen(path, "re");
		if (f && fscanf(f, "%llu", &v) == 1)
			return v;
	}
	return def;
}

static int probe_blockdev(struct disk *d, const struct disk_options *o, dev_t dev, struct err *e)
{
	struct disk_info *i = &d->info;
	int logical = DISK_SECTOR;
	unsigned physical = DISK_SECTOR;
	int align = 0;

	if (ioctl(d->fd, BLKGETSIZE64, &i->size) < 0)
		return err_sys(e, -errno, "cannot read the size of %s", o->path);
	ioctl(d->fd, BLKSSZGET, &logical);
	ioctl(d->fd, BLKPBSZGET, &physical);
	ioctl(d->fd, BLKALIGNOFF, &align);
	i->block_size = (uint32_t)logical;
	i->physical_size = physical;
	i->align_offset = align > 0 ? (uint32_t)align : 0;
	i->min_io = (uint32_t)queue_attr(dev, "minimum_io_size", 0);
	i->opt_io = (uint32_t)queue_attr(dev, "optimal_io_size", 0);
	i->discard_unit = (uint32_t)queue_attr(dev, "discard_granularity", DISK_SECTOR);
	i->discard = o->discard && !o->readonly && queue_attr(dev, "discard_max_bytes", 0);
	d->punch = i->discard;
	d->zero_range = true;
	d->nowait_read = d->nowait_write = true;
	return 0;
}

static int probe_file(
	struct disk *d, const struct disk_options *o, const struct stat *st, struct err *e)
{
	struct disk_info *i = &d->info;
	struct statfs fs;

	if (fstatfs(d->fd, &fs) < 0)
		return err_sys(e, -errno, "cannot find out the file system of %s", o->path);
	d->in_memory = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
	i->size = (uint64_t)st->st_size;
	i->block_size = DISK_SECTOR;
	i->physical_size = (uint32_t)st->st_blksize;
	i->min_io = i->physical_size;
	i->discard_unit = i->physical_size;
	/* Past the end, where a hole changes nothing. */
	d->punch = o->discard && !o->readonly &&
		   !fallocate(d->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			   (off_t)align_up(i->size, 1 << 20), 1 << 20);
	i->discard = d->punch;
	d->zero_range = true;
	d->nowait_read = d->nowait_write = true;
	return 0;
}

static int probe(struct disk *d, const struct disk_options *o, struct err *e)
{
	struct stat st;
	int rc;

	if (fstat(d->fd, &st) < 0)
		return err_sys(e, -errno, "cannot examine %s", o->path);
	d->blockdev = S_ISBLK(st.st_mode);
	if (!d->blockdev && !S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s is neither a file nor a block device", o->path);
	rc = d->blockdev ? probe_blockdev(d, o, st.st_rdev, e) : probe_file(d, o, &st, e);
	if (rc)
		return rc;
	if (d->info.size < DISK_SECTOR)
		return err_set(e, -EINVAL,
			"%s has %llu bytes; a disk has at least one sector of %u", o->path,
			(unsigned long long)d->info.size, DISK_SECTOR);
	if (d->info.size % DISK_SECTOR)
		log_warn(d->log,
			"%s: the last %u bytes are no whole sector and not seen by the guest",
			o->path, (unsigned)(d->info.size % DISK_SECTOR));
	d->info.size -= d->info.size % DISK_SECTOR;
	if (o->erase == DISK_ERASE_DEVICE && !d->blockdev)
		return err_set(e, -EINVAL,
			"%s is no block device, so it cannot be erased by one; secure-erase: "
			"overwrite or off",
			o->path);
	if (o->discard && !o->readonly && !d->info.discard)
		log_info(d->log, "%s cannot deallocate blocks: discard is not offered", o->path);
	return 0;
}

/* The health attributes of an eMMC device, kept open because the jail hides /sys. */
static int open_lifetime(struct disk *d, const struct disk_options *o, struct err *e)
{
	static const char *const names[2] = { "life_time", "pre_eol_info" };
	struct stat st;
	char path[512];

	for (unsigned i = 0; i < 2; i++) {
		if (o->lifetime)
			snprintf(path, sizeof(path), "%s/%s", o->lifetime, names[i]);
		else if (d->blockdev && !fstat(d->fd, &st))
			snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/device/%s",
				major(st.st_rdev), minor(st.st_rdev), names[i]);
		else
			return 0;
		d->lifetime_fd[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (d->lifetime_fd[i] < 0 && o->lifetime)
			return err_sys(e, -errno, "cannot open %s", path);
	}
	d->info.lifetime = d->lifetime_fd[0] >= 0 && d->lifetime_fd[1] >= 0;
	return 0;
}

/* Zeroes to write: pages that are never written cost no memory. */
static int map_zeros(struct disk *d, struct err *e)
{
	void *p = mmap(NULL, DISK_ZERO_LEN, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return err_sys(e, -errno, "cannot map %u bytes", DISK_ZERO_LEN);
	for (unsigned i = 0; i < DISK_ZERO_IOVS; i++)
		d->zeros[i] = (struct iovec){ p, DISK_ZERO_LEN };
	return 0;
}

static void set_up_null(struct disk *d)
{
	d->null = true;
	d->info = (struct disk_info){
		.size = DISK_NULL_SIZE,
		.block_size = DISK_SECTOR,
		.physical_size = 4096,
	};
}

static int set_up(struct disk *d, const struct disk_options *o, struct err *e)
{
	struct stat st;
	int rc;

	if (!o->path) {
		set_up_null(d);
		return 0;
	}
	/* O_EXCL on a block device: not while the host has it mounted. */
	rc = !stat(o->path, &st) && S_ISBLK(st.st_mode) && !o->readonly ? O_EXCL : 0;
	d->fd = open_fd(o, rc, e);
	if (d->fd < 0)
		return d->fd;
	if (o->direct) {
		d->direct_fd = open_fd(o, O_DIRECT, e);
		if (d->direct_fd < 0)
			return err_prefix(e, "without the page cache (cache: none or directsync)");
	}
	/* Writes under way hold the descriptor they go through, and so the lock, even when this
	 * process is dead: all but direct ones end with the process. */
	rc = lock(o->direct ? d->direct_fd : d->fd, o->path, o->readonly, e);
	if (!rc)
		rc = check_current(d->fd, o->path, e);
	if (!rc)
		rc = probe(d, o, e);
	if (!rc && o->direct)
		d->direct_align = direct_align(d);
	if (!rc)
		rc = open_lifetime(d, o, e);
	if (!rc)
		rc = map_zeros(d, e);
	if (!rc)
		rc = disk_ring_init(d, o->depth, e);
	if (!rc && d->blockdev && (d->info.discard || o->erase == DISK_ERASE_DEVICE))
		rc = disk_helper_init(&d->helper, d->fd, e);
	return rc;
}

int disk_open(
	struct disk **disk, const struct disk_options *o, const struct log *log, struct err *e)
{
	struct disk *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return err_sys(e, -ENOMEM, "no memory for a disk");
	d->log = log;
	d->erase = o->erase;
	d->stats = o->stats;
	d->fd = d->direct_fd = -1;
	d->lifetime_fd[0] = d->lifetime_fd[1] = -1;
	rc = set_up(d, o, e);
	if (rc) {
		disk_close(d);
		return rc;
	}
	*disk = d;
	return 0;
}

void disk_close(struct disk *d)
{
	if (!d)
		return;
	ev_fd_del(&d->ring_watch);
	ev_fd_del(&d->helper_watch);
	ev_poll_del(&d->poll);
	ev_timer_stop(&d->retry);
	disk_helper_finish(&d->helper);
	if (d->has_ring)
		io_uring_queue_exit(&d->ring);
	if (d->zeros[0].iov_base)
		munmap(d->zeros[0].iov_base, DISK_ZERO_LEN);
	close_fd(&d->lifetime_fd[0]);
	close_fd(&d->lifetime_fd[1]);
	close_fd(&d->direct_fd);
	close_fd(&d->fd);
	free(d);
}

const struct disk_info *disk_info(const struct disk *d)
{
	return &d->info;
}

/* Up to two hexadecimal numbers, as the kernel's eMMC driver prints them. */
static void read_hex(int fd, uint16_t *v, unsigned n, unsigned max)
{
	char buf[32];
	char *p = buf;
	ssize_t len = pread(fd, buf, sizeof(buf) - 1, 0);

	buf[len > 0 ? len : 0] = 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned long x = strtoul(p, &p, 16);

		v[i] = x <= max ? (uint16_t)x
				: 0; /* never a reserved value (VIRTIO 1.4, 5.2.6.2) */
	}
}

int disk_lifetime(const struct disk *d, uint16_t values[3])
{
	if (!d->info.lifetime)
		return -ENOTSUP;
	read_hex(d->lifetime_fd[1], values, 1, 3);
	read_hex(d->lifetime_fd[0], values + 1, 2, 11);
	return 0;
}
