/* SPDX-License-Identifier: BSD-3-Clause */
/* The disk that fails. See faultfs.h, and linux/fuse.h for the protocol. */
#include "faultfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

#include "base/fd.h"
#include "base/util.h"

#define NODE	  2u /* of the file */
#define WRITE_MAX (128u << 10)
#define BUF_LEN	  (WRITE_MAX + 8192u)
#define FOREVER	  3600u

static void reply(struct faultfs *f, uint64_t unique, int error, const void *data, size_t len)
{
	struct fuse_out_header h = { .error = -error, .unique = unique };
	struct iovec v[2] = { { &h, sizeof(h) }, { (void *)(uintptr_t)data, error ? 0 : len } };

	h.len = (uint32_t)(v[0].iov_len + v[1].iov_len);
	/* ENOENT: the request was interrupted meanwhile. */
	if (writev(f->fuse, v, 2) < 0 && errno != ENOENT)
		perror("# faultfs");
}

static struct fuse_attr attr(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.size = node == NODE ? FAULTFS_SIZE : 0,
		.blocks = node == NODE ? FAULTFS_SIZE / 512 : 0,
		.mode = node == NODE ? S_IFREG | 0666 : S_IFDIR | 0755,
		.nlink = 1,
		.blksize = 4096,
	};
}

static void lookup(struct faultfs *f, uint64_t unique, const char *name)
{
	struct fuse_entry_out out = {
		.nodeid = NODE, .entry_valid = FOREVER, .attr_valid = FOREVER, .attr = attr(NODE)
	};

	reply(f, unique, strcmp(name, "disk") ? ENOENT : 0, &out, sizeof(out));
}

static void record(struct faultfs *f, struct faultfs_entry entry, const uint8_t *data)
{
	if (!f->recording)
		return;
	if (f->nentries == f->room) {
		f->room = f->room ? 2 * f->room : 1024;
		f->entry = realloc(f->entry, f->room * sizeof(*f->entry));
	}
	if (data) {
		entry.data = malloc(entry.len);
		memcpy(entry.data, data, entry.len);
	}
	f->entry[f->nentries++] = entry;
}

/* Whether this request is one of those that fail. */
static int fails(struct faultfs *f, int error)
{
	f->count++;
	if (!error || (f->faults.n > 1 && f->count % f->faults.n))
		return 0;
	f->failed++;
	return error;
}

static uint32_t part(struct faultfs *f, uint32_t len)
{
	if (!f->faults.most || len <= f->faults.most)
		return len;
	f->cut++;
	return f->faults.most;
}

static void do_read(struct faultfs *f, uint64_t unique, const struct fuse_read_in *in)
{
	int error = fails(f, f->faults.read);
	uint32_t len = in->size;

	if (in->offset >= FAULTFS_SIZE)
		len = 0;
	else if (len > FAULTFS_SIZE - in->offset)
		len = (uint32_t)(FAULTFS_SIZE - in->offset);
	reply(f, unique, error, f->data + in->offset, len);
}

static void do_write(struct faultfs *f, uint64_t unique, const struct fuse_write_in *in)
{
	struct fuse_write_out out = { .size = part(f, in->size) };
	const uint8_t *data = (const uint8_t *)(in + 1);
	int error = fails(f, f->faults.write);

	if (!range_in(in->offset, in->size, FAULTFS_SIZE))
		error = ENOSPC;
	if (!error) {
		memcpy(f->data + in->offset, data, out.size);
		record(f,
			(struct faultfs_entry){
				FAULTFS_WRITE, in->flags & O_DSYNC, in->offset, out.size, NULL },
			data);
	}
	reply(f, unique, error, &out, sizeof(out));
}

static void do_sync(struct faultfs *f, uint64_t unique)
{
	int error = fails(f, f->faults.sync);

	if (!error)
		record(f, (struct faultfs_entry){ .event = FAULTFS_SYNC }, NULL);
	reply(f, unique, error, NULL, 0);
}

static void do_init(struct faultfs *f, uint64_t unique, const struct fuse_init_in *in)
{
	uint32_t known = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_PARALLEL_DIROPS;
	struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = in->max_readahead,
		.flags = in->flags & (known | (f->async ? FUSE_ASYNC_DIO : 0)),
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = WRITE_MAX,
		.time_gran = 1,
		.max_pages = WRITE_MAX / 4096 };

	reply(f, unique, 0, &out, sizeof(out));
}

static void serve(struct faultfs *f, const struct fuse_in_header *h)
{
	struct fuse_attr_out attrs = { .attr_valid = FOREVER, .attr = attr(h->nodeid) };
	/* Every access is seen here: nothing is kept in the page cache. */
	struct fuse_open_out opened = { .open_flags = FOPEN_DIRECT_IO };
	struct fuse_statfs_out space = { .st = { .bsize = 4096, .frsize = 4096 } };
	const void *in = h + 1;

	switch (h->opcode) {
	case FUSE_INIT:
		do_init(f, h->unique, in);
		return;
	case FUSE_LOOKUP:
		lookup(f, h->unique, in);
		return;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		reply(f, h->unique, 0, &attrs, sizeof(attrs));
		return;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		reply(f, h->unique, 0, &opened, sizeof(opened));
		return;
	case FUSE_STATFS:
		reply(f, h->unique, 0, &space, sizeof(space));
		return;
	case FUSE_READ:
		do_read(f, h->unique, in);
		return;
	case FUSE_WRITE:
		do_write(f, h->unique, in);
		return;
	case FUSE_FSYNC:
		do_sync(f, h->unique);
		return;
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FLUSH:
		reply(f, h->unique, 0, NULL, 0);
		return;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	default:
		reply(f, h->unique, ENOSYS, NULL, 0);
		return;
	}
}

static bool is_storage(uint32_t opcode)
{
	return opcode == FUSE_READ || opcode == FUSE_WRITE || opcode == FUSE_FSYNC;
}

static void *run(void *arg)
{
	struct faultfs *f = arg;
	const struct fuse_in_header *h = (const void *)f->buf;

	for (;;) {
		ssize_t n = read(f->fuse, f->buf, BUF_LEN);

		if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (n < (ssize_t)sizeof(*h)) /* unmounted */
			return NULL;
		pthread_mutex_lock(&f->lock);
		while (f->faults.hold && is_storage(h->opcode))
			pthread_cond_wait(&f->released, &f->lock);
		serve(f, h);
		pthread_mutex_unlock(&f->lock);
	}
}

/* Unmounted by the kernel when this process ends, however it does. */
static int own_mounts(struct err *e)
{
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(e, -errno, "a mount namespace (needs root)");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, -errno, "making mounts private");
	return 0;
}

static int mount_it(struct faultfs *f, struct err *e)
{
	char options[80];

	f->fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (f->fuse < 0)
		return err_sys(e, -errno, "/dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
		f->fuse);
	if (mount("faultfs", f->dir, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
		return err_sys(e, -errno, "mounting FUSE at %s", f->dir);
	f->mounted = true;
	return 0;
}

int faultfs_open(struct faultfs *f, bool async, struct err *e)
{
	int ret;

	*f = (struct faultfs){ .dir = "/tmp/avp-faultfs-XXXXXX", .fuse = -1, .async = async };
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->released, NULL);
	if (!mkdtemp(f->dir))
		return err_sys(e, -errno, "folder %s", f->dir);
	snprintf(f->path, sizeof(f->path), "%.60s/disk", f->dir);
	f->data = calloc(1, FAULTFS_SIZE);
	f->buf = malloc(BUF_LEN);
	if (!f->data || !f->buf)
		return err_set(e, -ENOMEM, "out of memory");
	ret = own_mounts(e);
	if (!ret)
		ret = mount_it(f, e);
	if (!ret)
		ret = -pthread_create(&f->thread, NULL, run, f);
	f->running = !ret;
	return ret;
}

void faultfs_close(struct faultfs *f)
{
	if (f->mounted)
		umount2(f->dir, MNT_DETACH);
	if (f->running)
		pthread_join(f->thread, NULL);
	close_fd(&f->fuse);
	rmdir(f->dir);
	for (unsigned i = 0; i < f->nentries; i++)
		free(f->entry[i].data);
	free(f->entry);
	free(f->data);
	free(f->buf);
}

void faultfs_set(struct faultfs *f, const struct faultfs_faults *faults)
{
	pthread_mutex_lock(&f->lock);
	f->faults = *faults;
	pthread_cond_broadcast(&f->released);
	pthread_mutex_unlock(&f->lock);
}

void faultfs_note(struct faultfs *f, uint64_t what, uint32_t more)
{
	pthread_mutex_lock(&f->lock);
	record(f, (struct faultfs_entry){ FAULTFS_NOTE, false, what, more, NULL }, NULL);
	pthread_mutex_unlock(&f->lock);
}
