/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The block device as a process of its own, in its jail. kill -9 under a verified load: every
 * request is answered exactly once, with the right data. The program is $AVP.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"
#include "loopdev.h"
#include "vhud_server.h"

static void killed_under_load(
	struct tap *t, const char *folder, const char *poll, uint64_t features)
{
	struct vhud_opts o = {
		.features = features | UINT64_C(0x1fffe), .nqueues = 2, .queue_size = 256
	};
	struct vhud_proc p;
	struct vhud *d;
	struct load l;
	unsigned long interrupted = 0;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/avp-crash-XXXXXX", folder);
	fd = mkstemp(path);
	REQUIRE(t, fd >= 0 && !ftruncate(fd, 8 << 20));
	close(fd);
	REQUIRE(t, !vhud_spawn(&p, "blk", "--image", path, "--queues", "2", "--poll", poll, NULL));
	REQUIRE(t, (d = vhud_open(p.path)));
	REQUIRE(t, !vhud_start(d, &o));
	CHECK(t, load_init(&l, t, d, 2, 2048));
	for (unsigned i = 0; i < 6; i++) {
		if (!load_run(&l, 300))
			break;
		/* Every other time in the midst of a batch. */
		load_submit(&l);
		if (i % 2 && !load_run(&l, 1))
			break;
		vhud_kill(&p);
		/* What it answered before it died counts. */
		if (!load_reap(&l, 0))
			break;
		interrupted += l.pending;
		if (!CHECK_EQ(t, vhud_respawn(&p), 0) || !CHECK_EQ(t, vhud_reconnect(d), 0))
			break;
	}
	CHECK(t, load_settle(&l) && load_run(&l, 500) && load_settle(&l) && load_verify(&l, path));
	printf("# %lu requests were in flight at the kills\n", interrupted);
	load_finish(&l);
	vhud_close(d);
	CHECK_EQ(t, vhud_spawn_end(&p), 0);
	unlink(path);
}

static void split_in_memory(struct tap *t)
{
	killed_under_load(
		t, "/dev/shm", "0", FEATURE(VIRTIO_F_INDIRECT_DESC) | FEATURE(VIRTIO_F_EVENT_IDX));
}

static void split_on_storage(struct tap *t)
{
	killed_under_load(
		t, "/var/tmp", "0", FEATURE(VIRTIO_F_INDIRECT_DESC) | FEATURE(VIRTIO_F_EVENT_IDX));
}

static void packed_in_memory(struct tap *t)
{
	killed_under_load(t, "/dev/shm", "0",
		FEATURE(VIRTIO_F_RING_PACKED) | FEATURE(VIRTIO_F_INDIRECT_DESC) |
			FEATURE(VIRTIO_F_EVENT_IDX));
}

static void packed_on_storage(struct tap *t)
{
	killed_under_load(t, "/var/tmp", "0", FEATURE(VIRTIO_F_RING_PACKED));
}

/* Polled, with sleeps between requests in the first, and without any in the second. */
static void split_polled(struct tap *t)
{
	killed_under_load(
		t, "/var/tmp", "20", FEATURE(VIRTIO_F_INDIRECT_DESC) | FEATURE(VIRTIO_F_EVENT_IDX));
}

static void packed_polled(struct tap *t)
{
	killed_under_load(t, "/dev/shm", "always",
		FEATURE(VIRTIO_F_RING_PACKED) | FEATURE(VIRTIO_F_EVENT_IDX));
}

/* Discards of a block device are ioctls on a thread that starts when the jail has closed. */
static void discard_in_the_jail(struct tap *t)
{
	struct vhud_opts o = { .features = UINT64_C(0x1fffe), .nqueues = 1 };
	struct {
		struct blk_hdr hdr;
		struct blk_range range;
	} discard = { { .type = 11 }, { .num_sectors = 2048 } };
	char backing[] = "/dev/shm/avp-disk-XXXXXX", dev[32];
	static uint8_t zeros[1 << 20];
	int fd = mkstemp(backing), loop_fd = -1, n;
	struct vhud_proc p;
	struct stat st;
	uint8_t status = 0xff;
	struct vhud *d;

	unlink(backing);
	CHECK_EQ(t, pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
	snprintf(dev, sizeof(dev), "/proc/self/fd/%d", fd);
	n = loop_attach(dev, &loop_fd);
	if (n < 0) {
		tap_skip(t, "no loop device can be set up here (needs root and the loop module)");
		close(fd);
		return;
	}
	snprintf(dev, sizeof(dev), "/dev/loop%d", n);
	REQUIRE(t, !vhud_spawn(&p, "blk", "--image", dev, NULL));
	REQUIRE(t, (d = vhud_open(p.path)));
	REQUIRE(t, !vhud_start(d, &o));
	CHECK(t, !fstat(fd, &st) && st.st_blocks == 2048);
	CHECK_EQ(t, vhud_do(d, 0, &discard, sizeof(discard), &status, 1), 1);
	CHECK_EQ(t, status, 0);
	CHECK(t, !fstat(fd, &st) && st.st_blocks == 0);
	vhud_close(d);
	CHECK_EQ(t, vhud_spawn_end(&p), 0);
	close(loop_fd);
	close(fd);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, split_in_memory);
	TAP_RUN(&t, split_on_storage);
	TAP_RUN(&t, packed_in_memory);
	TAP_RUN(&t, packed_on_storage);
	TAP_RUN(&t, split_polled);
	TAP_RUN(&t, packed_polled);
	TAP_RUN(&t, discard_in_the_jail);
	return tap_done(&t);
}
