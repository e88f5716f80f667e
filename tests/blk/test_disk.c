/* SPDX-License-Identifier: BSD-3-Clause */
/* host/disk: every operation on files in memory, files on storage and block devices. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/util.h"
#include "host/disk.h"
#include "loopdev.h"
#include "tap.h"

#define MIB  (UINT64_C(1) << 20)
#define SIZE (16 * MIB)

/* The program is linked with --wrap=fdatasync. */
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
static unsigned syncs;
static int sync_error;

int __wrap_fdatasync(int fd)
{
	syncs++;
	if (!sync_error)
		return __real_fdatasync(fd);
	errno = sync_error;
	return -1;
}

/* One disk with its loop. */
struct fixture {
	char path[64];
	struct ev_loop *loop;
	struct disk *disk;
	struct disk_stats stats;
	struct log log;
	struct err err;
	unsigned done, batches;
};

static void on_done(void *arg, struct disk_io *io)
{
	((struct fixture *)arg)->done++;
}

static void on_batch(void *arg)
{
	((struct fixture *)arg)->batches++;
}

static int open_path(struct fixture *f, struct disk_options o)
{
	struct disk_events ev = { on_done, on_batch, f };
	int rc;

	o.path = f->path;
	o.stats = &f->stats;
	o.depth = 64;
	log_init(&f->log, 2, "test");
	rc = ev_loop_create(&f->loop);
	if (!rc)
		rc = disk_open(&f->disk, &o, &f->log, &f->err);
	return rc ? rc : disk_start(f->disk, f->loop, &ev, &f->err);
}

static bool set_up(struct tap *t, struct fixture *f, const char *folder, struct disk_options o)
{
	int fd;

	memset(f, 0, sizeof(*f));
	snprintf(f->path, sizeof(f->path), "%s/avp-disk-XXXXXX", folder);
	fd = mkstemp(f->path);
	if (!CHECK(t, fd >= 0) || !CHECK_EQ(t, ftruncate(fd, SIZE), 0))
		return false;
	close(fd);
	if (!CHECK_EQ(t, open_path(f, o), 0)) {
		printf("# %s\n", f->err.msg);
		return false;
	}
	return true;
}

static void tear_down(struct fixture *f)
{
	disk_close(f->disk);
	ev_loop_destroy(f->loop);
	unlink(f->path);
}

/* Runs one operation to its end; returns its result. */
static int run(struct fixture *f, struct disk_io *io)
{
	unsigned before = f->done;

	if (disk_submit(f->disk, io))
		return io->result;
	disk_commit(f->disk);
	while (f->done == before)
		if (ev_run_once(f->loop, 10000) < 0)
			return -EIO;
	return io->result;
}

static int move(
	struct fixture *f, enum disk_op op, uint64_t offset, void *buf, size_t len, bool stable)
{
	struct iovec iov = { buf, len };
	struct disk_io io = {
		.op = op, .offset = offset, .len = len, .iov = &iov, .niov = 1, .stable = stable
	};
	int rc = run(f, &io);

	return rc ? rc : io.moved == len ? 0 : -ERANGE;
}

static int range(struct fixture *f, enum disk_op op, uint64_t offset, uint64_t len)
{
	struct disk_io io = { .op = op, .offset = offset, .len = len };

	return run(f, &io);
}

static void pattern(uint8_t *p, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)((i * 7 + i / 512 + seed) | 1);
}

static bool is_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

static uint64_t blocks(const struct fixture *f)
{
	struct stat st;

	return stat(f->path, &st) ? 0 : (uint64_t)st.st_blocks;
}

/* Everything on one kind of file. */
static void all_operations(struct tap *t, const char *folder, struct disk_options o)
{
	autofree uint8_t *a = aligned_alloc(4096, MIB), *b = aligned_alloc(4096, MIB);
	struct fixture f;
	uint64_t before;

	if (!set_up(t, &f, folder, o))
		return;
	CHECK_EQ(t, disk_info(f.disk)->size, SIZE);
	pattern(a, MIB, 1);
	CHECK_EQ(t, move(&f, DISK_WRITE, MIB, a, MIB, false), 0);
	CHECK_EQ(t, move(&f, DISK_WRITE, 2 * MIB, a, MIB, true), 0);
	CHECK_EQ(t, move(&f, DISK_WRITE, SIZE - 512, a, 512, false), 0);
	CHECK_EQ(t, range(&f, DISK_FLUSH, 0, 0), 0);
	CHECK_EQ(t, move(&f, DISK_READ, MIB, b, MIB, false), 0);
	CHECK(t, !memcmp(a, b, MIB));
	CHECK_EQ(t, move(&f, DISK_READ, SIZE - 512, b, 512, false), 0);
	CHECK(t, !memcmp(a, b, 512));
	/* Nothing of it aligned for O_DIRECT. */
	CHECK_EQ(t, move(&f, DISK_WRITE, 4 * MIB + 512, a + 3, 1536, false), 0);
	CHECK_EQ(t, move(&f, DISK_READ, 4 * MIB + 512, b + 1, 1536, false), 0);
	CHECK(t, !memcmp(a + 3, b + 1, 1536));

	CHECK(t, disk_info(f.disk)->discard);
	before = blocks(&f);
	CHECK_EQ(t, range(&f, DISK_DISCARD, MIB, MIB), 0);
	CHECK_EQ(t, before - blocks(&f), MIB / 512);
	CHECK_EQ(t, range(&f, DISK_ZERO, 2 * MIB, MIB / 2), 0);
	CHECK(t, blocks(&f) >= before - MIB / 512); /* allocated as before */
	CHECK_EQ(t, move(&f, DISK_READ, 2 * MIB, b, MIB, false), 0);
	CHECK(t, is_zero(b, MIB / 2) && !memcmp(a + MIB / 2, b + MIB / 2, MIB / 2));
	before = blocks(&f);
	CHECK_EQ(t, range(&f, DISK_ZERO_UNMAP, 2 * MIB, MIB), 0);
	CHECK_EQ(t, before - blocks(&f), MIB / 512);
	CHECK_EQ(t, move(&f, DISK_READ, 2 * MIB, b, MIB, false), 0);
	CHECK(t, is_zero(b, MIB));
	CHECK_EQ(t, range(&f, DISK_ZERO, 8 * MIB + 512, 70144), 0);
	tear_down(&f);
}

static void file_in_memory(struct tap *t)
{
	all_operations(t, "/dev/shm", (struct disk_options){ .discard = true });
}

static void file_on_storage(struct tap *t)
{
	all_operations(t, "/var/tmp", (struct disk_options){ .discard = true });
}

static void file_direct(struct tap *t)
{
	all_operations(t, "/var/tmp", (struct disk_options){ .discard = true, .direct = true });
}

/* What is not in the page cache goes through io_uring, and comes back right. */
static void cold_read(struct tap *t)
{
	autofree uint8_t *a = malloc(MIB), *b = malloc(MIB);
	struct fixture f;
	uint64_t queued;
	int fd;

	if (!set_up(t, &f, "/var/tmp", (struct disk_options){ .discard = true }))
		return;
	pattern(a, MIB, 5);
	CHECK_EQ(t, move(&f, DISK_WRITE, 0, a, MIB, true), 0);
	fd = open(f.path, O_RDONLY | O_CLOEXEC);
	CHECK_EQ(t, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
	queued = f.stats.queued;
	CHECK_EQ(t, move(&f, DISK_READ, 0, b, MIB, false), 0);
	CHECK(t, !memcmp(a, b, MIB));
	CHECK(t, f.stats.queued > queued && f.batches);
	tear_down(&f);
}

/* More buffers than one system call takes. */
static void many_buffers(struct tap *t)
{
	enum { N = 2500 };
	autofree uint8_t *a = malloc(N * 512), *b = malloc(N * 512);
	autofree struct iovec *iov = malloc(N * sizeof(*iov));
	const char *const folders[] = { "/dev/shm", "/var/tmp" };

	pattern(a, N * 512, 9);
	for (unsigned k = 0; k < ARRAY_LEN(folders); k++) {
		struct disk_io io = { .op = DISK_WRITE, .len = N * 512, .iov = iov, .niov = N };
		struct fixture f;

		if (!set_up(t, &f, folders[k], (struct disk_options){ .discard = true }))
			return;
		for (unsigned i = 0; i < N; i++)
			iov[i] = (struct iovec){ a + i * 512, 512 };
		CHECK_EQ(t, run(&f, &io), 0);
		CHECK_EQ(t, io.moved, N * 512);
		for (unsigned i = 0; i < N; i++)
			iov[i] = (struct iovec){ b + i * 512, 512 };
		io = (struct disk_io){ .op = DISK_READ, .len = N * 512, .iov = iov, .niov = N };
		CHECK_EQ(t, run(&f, &io), 0);
		CHECK(t, !memcmp(a, b, N * 512));
		memset(b, 0, N * 512);
		tear_down(&f);
	}
}

/* Sectors are overwritten, synced, and only then deallocated. */
static void erase_overwrites(struct tap *t)
{
	autofree uint8_t *a = malloc(MIB), *b = malloc(MIB);
	struct fixture f;
	uint64_t before;

	if (!set_up(t, &f, "/var/tmp",
		    (struct disk_options){ .discard = true, .erase = DISK_ERASE_OVERWRITE }))
		return;
	pattern(a, MIB, 3);
	CHECK_EQ(t, move(&f, DISK_WRITE, 0, a, MIB, true), 0);
	before = blocks(&f);
	CHECK_EQ(t, range(&f, DISK_ERASE, 0, MIB / 2), 0);
	CHECK_EQ(t, before - blocks(&f), MIB / 2 / 512);
	CHECK_EQ(t, move(&f, DISK_READ, 0, b, MIB, false), 0);
	CHECK(t, is_zero(b, MIB / 2) && !memcmp(a + MIB / 2, b + MIB / 2, MIB / 2));
	tear_down(&f);
}

/* A sync that failed has lost data: no later flush may claim otherwise. */
static void failed_sync_sticks(struct tap *t)
{
	uint8_t a[512] = { 1 };
	struct fixture f;

	if (!set_up(t, &f, "/dev/shm", (struct disk_options){ .discard = true }))
		return;
	CHECK_EQ(t, move(&f, DISK_WRITE, 0, a, sizeof(a), false), 0);
	sync_error = EIO;
	CHECK_EQ(t, range(&f, DISK_FLUSH, 0, 0), -EIO);
	sync_error = 0;
	CHECK_EQ(t, range(&f, DISK_FLUSH, 0, 0), -EIO);
	CHECK_EQ(t, move(&f, DISK_WRITE, 0, a, sizeof(a), true), -EIO);
	CHECK_EQ(t, move(&f, DISK_READ, 0, a, sizeof(a), false), 0);
	tear_down(&f);
}

static void shrunk_image(struct tap *t)
{
	uint8_t a[1024];
	struct fixture f;

	if (!set_up(t, &f, "/dev/shm", (struct disk_options){ .discard = true }))
		return;
	CHECK_EQ(t, truncate(f.path, 4096), 0);
	CHECK_EQ(t, move(&f, DISK_READ, 8192, a, sizeof(a), false), -EIO);
	CHECK_EQ(t, move(&f, DISK_READ, 4096 - 512, a, sizeof(a), false), -EIO);
	tear_down(&f);
}

static void one_writer(struct tap *t)
{
	struct fixture f, g = { 0 };
	struct disk_options ro = { .readonly = true }, rw = { .discard = true };
	struct disk *second = NULL;

	if (!set_up(t, &f, "/dev/shm", rw))
		return;
	ro.path = rw.path = f.path;
	ro.stats = rw.stats = &g.stats;
	ro.depth = rw.depth = 8;
	CHECK_EQ(t, disk_open(&second, &rw, NULL, &g.err), -EBUSY);
	CHECK(t, strstr(g.err.msg, f.path) && strstr(g.err.msg, "in use"));
	CHECK_EQ(t, disk_open(&second, &ro, NULL, NULL), -EBUSY);
	disk_close(f.disk);
	f.disk = NULL;
	CHECK_EQ(t, disk_open(&f.disk, &ro, NULL, NULL), 0);
	CHECK_EQ(t, disk_open(&second, &ro, NULL, NULL), 0);
	disk_close(second);
	tear_down(&f);
}

static void bad_images(struct tap *t)
{
	struct disk_stats stats;
	struct disk_options o = { .path = "/nonexistent/image", .depth = 8, .stats = &stats };
	struct disk *d = NULL;
	struct err e = { 0 };
	char empty[] = "/dev/shm/avp-disk-XXXXXX";
	int fd = mkstemp(empty);

	CHECK_EQ(t, disk_open(&d, &o, NULL, &e), -ENOENT);
	CHECK(t, strstr(e.msg, o.path));
	o.path = "/tmp";
	CHECK(t, disk_open(&d, &o, NULL, &e) < 0);
	o.path = "/dev/null";
	CHECK_EQ(t, disk_open(&d, &o, NULL, &e), -EINVAL);
	o.path = empty;
	CHECK_EQ(t, disk_open(&d, &o, NULL, &e), -EINVAL);
	CHECK_EQ(t, ftruncate(fd, 4096), 0);
	o.erase = DISK_ERASE_DEVICE;
	CHECK_EQ(t, disk_open(&d, &o, NULL, &e), -EINVAL);
	CHECK(t, strstr(e.msg, "secure-erase"));
	close(fd);
	unlink(empty);
}

static void drain_finishes(struct tap *t)
{
	enum { N = 40 };
	static uint8_t a[N][4096];
	static struct iovec iov[N];
	static struct disk_io io[N];
	struct fixture f;
	unsigned at_once = 0;

	if (!set_up(t, &f, "/var/tmp", (struct disk_options){ .discard = true }))
		return;
	for (unsigned i = 0; i < N; i++) {
		iov[i] = (struct iovec){ a[i], sizeof(a[i]) };
		io[i] = (struct disk_io){ .op = DISK_WRITE,
			.offset = i * 8192,
			.len = 4096,
			.iov = &iov[i],
			.niov = 1,
			.stable = i % 2 };
		at_once += disk_submit(f.disk, &io[i]);
	}
	CHECK_EQ(t, disk_drain(f.disk, 20000), 0);
	CHECK_EQ(t, f.done + at_once, N);
	for (unsigned i = 0; i < N; i++)
		CHECK_EQ(t, io[i].result, 0);
	tear_down(&f);
}

static void write_text(const char *folder, const char *name, const char *text)
{
	char path[128];
	autofclose FILE *file = NULL;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "we");
	if (file)
		fputs(text, file);
}

static void lifetime(struct tap *t)
{
	char folder[] = "/dev/shm/avp-life-XXXXXX", path[64];
	struct fixture f;
	uint16_t v[3];

	REQUIRE(t, mkdtemp(folder));
	write_text(folder, "life_time", "0x02 0x0b\n");
	write_text(folder, "pre_eol_info", "0x01\n");
	if (!set_up(t, &f, "/dev/shm", (struct disk_options){ .lifetime = folder }))
		return;
	CHECK(t, disk_info(f.disk)->lifetime);
	CHECK_EQ(t, disk_lifetime(f.disk, v), 0);
	CHECK(t, v[0] == 1 && v[1] == 2 && v[2] == 11);
	/* Reserved values are not passed on. */
	write_text(folder, "life_time", "0x0c nonsense\n");
	write_text(folder, "pre_eol_info", "0x04\n");
	CHECK_EQ(t, disk_lifetime(f.disk, v), 0);
	CHECK(t, !v[0] && !v[1] && !v[2]);
	tear_down(&f);
	snprintf(path, sizeof(path), "%s/life_time", folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/pre_eol_info", folder);
	unlink(path);
	rmdir(folder);
	if (!set_up(t, &f, "/dev/shm", (struct disk_options){ .discard = true }))
		return;
	CHECK_EQ(t, disk_lifetime(f.disk, v), -ENOTSUP);
	tear_down(&f);
}

static void block_device(struct tap *t)
{
	autofree uint8_t *a = aligned_alloc(4096, MIB), *b = aligned_alloc(4096, MIB);
	char backing[] = "/dev/shm/avp-disk-XXXXXX";
	struct fixture f = { 0 };
	struct stat st;
	int fd = mkstemp(backing), loop_fd = -1, n;

	CHECK_EQ(t, ftruncate(fd, SIZE), 0);
	n = loop_attach(backing, &loop_fd);
	if (n < 0) {
		tap_skip(t, "no loop device can be set up here (needs root and the loop module)");
		unlink(backing);
		return;
	}
	snprintf(f.path, sizeof(f.path), "/dev/loop%d", n);
	CHECK_EQ(t, open_path(&f, (struct disk_options){ .discard = true }), 0);
	pattern(a, MIB, 4);
	CHECK_EQ(t, disk_info(f.disk)->size, SIZE);
	CHECK_EQ(t, move(&f, DISK_WRITE, MIB, a, MIB, false), 0);
	CHECK_EQ(t, range(&f, DISK_FLUSH, 0, 0), 0);
	CHECK_EQ(t, move(&f, DISK_READ, MIB, b, MIB, false), 0);
	CHECK(t, !memcmp(a, b, MIB));
	CHECK(t, disk_info(f.disk)->discard);
	CHECK(t, !fstat(fd, &st) && st.st_blocks == MIB / 512);
	CHECK_EQ(t, range(&f, DISK_DISCARD, MIB, MIB / 2), 0); /* on the helper thread */
	CHECK(t, !fstat(fd, &st) && st.st_blocks == MIB / 2 / 512);
	CHECK_EQ(t, range(&f, DISK_ZERO, MIB + MIB / 2, MIB / 4), 0);
	CHECK_EQ(t, move(&f, DISK_READ, MIB + MIB / 2, b, MIB / 2, false), 0);
	CHECK(t, is_zero(b, MIB / 4) && !memcmp(a + 3 * MIB / 4, b + MIB / 4, MIB / 4));
	f.path[0] = 0; /* tear_down() removes a file */
	tear_down(&f);
	close(loop_fd);
	close(fd);
	unlink(backing);
}

/* Storage that does not answer (a frozen file system) stops neither a drain nor, when it is back,
 * the disk. */
static void storage_that_hangs(struct tap *t)
{
	char image[] = "/dev/shm/avp-disk-XXXXXX", folder[] = "/var/tmp/avp-mount-XXXXXX";
	uint8_t a[4096] = { 1 };
	struct iovec iov = { a, sizeof(a) };
	struct disk_io io = {
		.op = DISK_WRITE, .len = sizeof(a), .iov = &iov, .niov = 1, .stable = true
	};
	struct fixture f;
	int dir;

	close(mkstemp(image));
	if (!mount_ext4(folder, image)) {
		tap_skip(t, "no file system can be mounted here (needs root, the loop module and "
			    "mke2fs)");
		unlink(image);
		rmdir(folder);
		return;
	}
	dir = open(folder, O_RDONLY | O_CLOEXEC);
	if (!set_up(t, &f, folder, (struct disk_options){ .discard = true }))
		return;
	CHECK_EQ(t, ioctl(dir, FIFREEZE, 0), 0);
	CHECK(t, !disk_submit(f.disk, &io));
	CHECK_EQ(t, disk_drain(f.disk, 50), -ETIMEDOUT);
	CHECK_EQ(t, f.done, 0);
	CHECK_EQ(t, move(&f, DISK_READ, 0, a, sizeof(a), false), -EIO);
	CHECK_EQ(t, ioctl(dir, FITHAW, 0), 0);
	CHECK_EQ(t, disk_drain(f.disk, 20000), 0);
	CHECK_EQ(t, f.done, 1);
	CHECK_EQ(t, move(&f, DISK_READ, 0, a, sizeof(a), false), 0);
	tear_down(&f);
	close(dir);
	umount(folder);
	rmdir(folder);
	unlink(image);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, file_in_memory);
	TAP_RUN(&t, file_on_storage);
	TAP_RUN(&t, file_direct);
	TAP_RUN(&t, cold_read);
	TAP_RUN(&t, many_buffers);
	TAP_RUN(&t, erase_overwrites);
	TAP_RUN(&t, failed_sync_sticks);
	TAP_RUN(&t, shrunk_image);
	TAP_RUN(&t, one_writer);
	TAP_RUN(&t, bad_images);
	TAP_RUN(&t, drain_finishes);
	TAP_RUN(&t, lifetime);
	TAP_RUN(&t, block_device);
	TAP_RUN(&t, storage_that_hangs);
	return tap_done(&t);
}
