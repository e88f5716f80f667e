/* SPDX-License-Identifier: BSD-3-Clause */
/* avp device as a process: jailed, served over its socket, killed and started again. */
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "base/util.h"
#include "tap.h"
#include "vhud_server.h"

static bool random_bytes(struct vhud *d, uint8_t buf[64])
{
	static const uint8_t zeroes[64];

	memset(buf, 0, 64);
	return vhud_do(d, 0, NULL, 0, buf, 64) == 64 && memcmp(buf, zeroes, 64) != 0;
}

static void serves_rings_of_all_kinds(struct tap *t)
{
	static const uint64_t features[] = { 0, FEATURE(VIRTIO_F_EVENT_IDX),
		FEATURE(VIRTIO_F_RING_PACKED),
		FEATURE(VIRTIO_F_RING_PACKED) | FEATURE(VIRTIO_F_IN_ORDER) };
	struct vhud_proc p;
	uint8_t a[64], b[64];

	REQUIRE(t, !vhud_spawn(&p, "rng", NULL));
	for (unsigned i = 0; i < ARRAY_LEN(features); i++) {
		const struct vhud_opts opts = { .nqueues = 1, .features = features[i] };
		struct vhud *d = vhud_open(p.path);

		REQUIRE(t, d && !vhud_start(d, &opts));
		CHECK(t, random_bytes(d, a) && random_bytes(d, b));
		CHECK(t, memcmp(a, b, 64) != 0);
		vhud_close(d);
	}
	CHECK_EQ(t, vhud_spawn_end(&p), 0);
}

static void goes_on_after_kill(struct tap *t)
{
	const struct vhud_opts opts = { .nqueues = 1 };
	struct vhud_proc p;
	struct vhud *d;
	uint8_t buf[64];

	REQUIRE(t, !vhud_spawn(&p, "rng", "--rate", "1M", NULL));
	d = vhud_open(p.path);
	REQUIRE(t, d && !vhud_start(d, &opts));
	for (unsigned i = 0; i < 5; i++) {
		uint8_t *in = vhud_alloc(d, 64);
		uint32_t len = 0;

		CHECK(t, random_bytes(d, buf));
		vhud_kill(&p);
		CHECK(t, vhud_closed(d, VHUD_TIMEOUT_MS));
		/* Made available while nobody was there. */
		CHECK(t, !vhud_add(d, 0, &(struct iovec){ in, 64 }, 0, 1, in));
		vhud_kick(d, 0);
		CHECK(t, !vhud_respawn(&p));
		REQUIRE(t, !vhud_reconnect(d));
		CHECK_EQ(t, vhud_wait(d, 0, NULL, &len, VHUD_TIMEOUT_MS), 1);
		CHECK_EQ(t, len, 64);
	}
	vhud_close(d);
	CHECK_EQ(t, vhud_spawn_end(&p), 0);
}

/* A second front-end, and one that sends rubbish, leave the process serving. */
static void outlives_bad_frontends(struct tap *t)
{
	const struct vhud_opts opts = { .nqueues = 1 };
	struct vhud_proc p;
	uint8_t buf[64];

	REQUIRE(t, !vhud_spawn(&p, "rng", NULL));
	for (unsigned i = 0; i < 10; i++) {
		struct vhud *d = vhud_open(p.path);

		REQUIRE(t, d);
		CHECK(t, !vhud_send(d, i * 37, i % 2 ? VHOST_USER_NEED_REPLY : 0, buf, i * 3, NULL,
				 0));
		CHECK(t, vhud_closed(d, VHUD_TIMEOUT_MS));
		vhud_close(d);
		d = vhud_open(p.path);
		REQUIRE(t, d && !vhud_start(d, &opts));
		CHECK(t, random_bytes(d, buf));
		vhud_close(d);
	}
	CHECK_EQ(t, vhud_spawn_end(&p), 0);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, serves_rings_of_all_kinds);
	TAP_RUN(&t, goes_on_after_kill);
	TAP_RUN(&t, outlives_bad_frontends);
	return tap_done(&t);
}
