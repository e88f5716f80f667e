/* SPDX-License-Identifier: BSD-3-Clause */
/* kill -9 of the block device's process under a verified load: every request is answered exactly
 * once, with the right data. The program is $AVP. */
#include <fcntl.h>
#include <unistd.h>

#include "load.h"

static void killed_under_load(struct tap *t, const char *folder, uint64_t features)
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
	REQUIRE(t, !vhud_spawn(&p, "blk", "--image", path, "--queues", "2", NULL));
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
		t, "/dev/shm", FEATURE(VIRTIO_F_INDIRECT_DESC) | FEATURE(VIRTIO_F_EVENT_IDX));
}

static void split_on_storage(struct tap *t)
{
	killed_under_load(
		t, "/var/tmp", FEATURE(VIRTIO_F_INDIRECT_DESC) | FEATURE(VIRTIO_F_EVENT_IDX));
}

static void packed_in_memory(struct tap *t)
{
	killed_under_load(t, "/dev/shm",
		FEATURE(VIRTIO_F_RING_PACKED) | FEATURE(VIRTIO_F_INDIRECT_DESC) |
			FEATURE(VIRTIO_F_EVENT_IDX));
}

static void packed_on_storage(struct tap *t)
{
	killed_under_load(t, "/var/tmp", FEATURE(VIRTIO_F_RING_PACKED));
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, split_in_memory);
	TAP_RUN(&t, split_on_storage);
	TAP_RUN(&t, packed_in_memory);
	TAP_RUN(&t, packed_on_storage);
	return tap_done(&t);
}
