/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtqueues: what a well-behaved driver sees, on split and packed rings. */
#include <errno.h>
#include <string.h>

#include "rig.h"
#include "tap.h"

#define V1     RIG_BIT(VIRTIO_F_VERSION_1)
#define PACKED RIG_BIT(VIRTIO_F_RING_PACKED)
#define EVENT  RIG_BIT(VIRTIO_F_EVENT_IDX)
#define INDIR  RIG_BIT(VIRTIO_F_INDIRECT_DESC)
#define ORDER  RIG_BIT(VIRTIO_F_IN_ORDER)

static const uint64_t layouts[] = { V1, V1 | PACKED };

/* One request of 16 bytes out and 32 in, number `i`. */
static int add(struct rig *r, unsigned i)
{
	struct drv_sg sg[2] = { { RIG_BUF + 64 * i, 16 }, { RIG_BUF + 64 * i + 16, 32 } };

	return drv_ring_add(&r->drv, sg, 1, 1, (void *)(uintptr_t)(i + 1));
}

/* Completes everything that is there; returns how many. */
static int echo(struct rig *r)
{
	struct vq_chain *c;
	int n = 0;

	for (; vq_pop(r->vq, &c) == 1; n++)
		vq_push(r->vq, c, 4);
	vq_flush(r->vq);
	return n;
}

static int reap(struct rig *r)
{
	void *cookie;
	uint32_t len;
	int n = 0;

	while (drv_ring_get(&r->drv, &cookie, &len) == 1)
		n++;
	return n;
}

static void round_trip(struct tap *t, uint64_t features)
{
	struct rig r;
	struct vq_chain *c = NULL;
	void *cookie = NULL;
	uint32_t len = 0;

	REQUIRE(t, rig_init(&r, 8, features, NULL));
	CHECK_EQ(t, vq_pop(r.vq, &c), 0);
	CHECK(t, !vq_pending(r.vq));
	memcpy(rig_ptr(&r, RIG_BUF), "0123456789abcdef", 16);
	CHECK_EQ(t, add(&r, 0), 0);
	CHECK_EQ(t, vq_pop(r.vq, &c), 0); /* not published */
	CHECK(t, drv_ring_publish(&r.drv));
	CHECK(t, vq_pending(r.vq));
	if (!CHECK_EQ(t, vq_pop(r.vq, &c), 1))
		return;
	CHECK_EQ(t, c->n_out, 1);
	CHECK_EQ(t, c->n_in, 1);
	CHECK_EQ(t, c->out_len, 16);
	CHECK_EQ(t, c->in_len, 32);
	CHECK(t, !memcmp(c->iov[0].iov_base, "0123456789abcdef", 16));
	CHECK(t, vq_in(c)->iov_base == rig_ptr(&r, RIG_BUF + 16));
	CHECK_EQ(t, vq_outstanding(r.vq), 1);
	vq_push(r.vq, c, 5);
	CHECK_EQ(t, vq_outstanding(r.vq), 0);
	CHECK_EQ(t, drv_ring_get(&r.drv, &cookie, &len), 0); /* not flushed */
	CHECK_EQ(t, rig_interrupts(&r), 0);
	vq_flush(r.vq);
	CHECK_EQ(t, rig_interrupts(&r), 1);
	vq_flush(r.vq);
	CHECK_EQ(t, rig_interrupts(&r), 0);
	CHECK_EQ(t, drv_ring_get(&r.drv, &cookie, &len), 1);
	CHECK_EQ(t, len, 5);
	CHECK_EQ(t, (uintptr_t)cookie, 1);
	CHECK_EQ(t, drv_ring_get(&r.drv, &cookie, &len), 0);
	rig_finish(&r);
}

static void a_request_goes_there_and_back(struct tap *t)
{
	const uint64_t extra[] = { 0, EVENT, INDIR, ORDER, EVENT | INDIR | ORDER };

	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k < sizeof(extra) / sizeof(extra[0]); k++)
			round_trip(t, layouts[i] | extra[k]);
}

static void rings_wrap_around(struct tap *t)
{
	for (unsigned l = 0; l < 2; l++) {
		struct rig r;

		/* 7 does not divide 65536, and chains of two do not fit evenly. */
		REQUIRE(t, rig_init(&r, l ? 7 : 8, layouts[l], NULL));
		for (unsigned i = 0; i < 70000; i++) {
			if (add(&r, 0) || add(&r, 1) || add(&r, 2)) {
				CHECK(t, !"room for three requests");
				break;
			}
			CHECK_EQ(t, drv_ring_publish(&r.drv), true);
			if (!CHECK_EQ(t, echo(&r), 3) || !CHECK_EQ(t, reap(&r), 3))
				break;
		}
		rig_finish(&r);
	}
}

/* `n` requests, one after the other, each shown to a driver that looks. */
static void show_one_by_one(struct tap *t, struct rig *r, unsigned n)
{
	struct vq_chain *c = NULL;

	for (unsigned i = 0; i < n; i++) {
		CHECK_EQ(t, add(r, 0), 0);
		drv_ring_publish(&r->drv);
		REQUIRE(t, vq_pop(r->vq, &c) == 1);
		vq_push(r->vq, c, 4);
		CHECK_EQ(t, reap(r), 0);
		vq_show(r->vq);
		CHECK_EQ(t, reap(r), 1);
	}
}

/* The driver asked once, before the first: whatever it saw meanwhile, it is told. */
static void what_is_shown_is_told_later(struct tap *t)
{
	for (unsigned l = 0; l < 4; l++) {
		struct rig r;

		REQUIRE(t, rig_init(&r, 8, layouts[l % 2] | (l / 2 ? EVENT : 0), NULL));
		for (unsigned n = 1; n < 40; n++) {
			uint64_t told;

			drv_ring_enable_interrupts(&r.drv, 0);
			show_one_by_one(t, &r, n);
			told = rig_interrupts(&r);
			CHECK(t, n > 2 || !told); /* packed: before half of the ring is shown */
			vq_flush(r.vq);
			told += rig_interrupts(&r);
			CHECK(t, told >= 1);
			CHECK(t, l % 2 || told == 1);
			vq_flush(r.vq);
			CHECK_EQ(t, rig_interrupts(&r), 0);
		}
		rig_finish(&r);
	}
}

static void batches_interrupt_once(struct tap *t)
{
	for (unsigned l = 0; l < 2; l++) {
		struct vq_chain *c[16];
		struct rig r;

		REQUIRE(t, rig_init(&r, 32, layouts[l], NULL));
		for (unsigned i = 0; i < 12; i++)
			CHECK_EQ(t, add(&r, i), 0);
		drv_ring_publish(&r.drv);
		CHECK_EQ(t, vq_pop_batch(r.vq, c, 5), 5);
		CHECK_EQ(t, vq_pop_batch(r.vq, c + 5, 11), 7);
		for (unsigned i = 12; i--;)
			vq_push(r.vq, c[i], i);
		CHECK_EQ(t, reap(&r), 0);
		vq_flush(r.vq);
		CHECK_EQ(t, rig_interrupts(&r), 1);
		CHECK_EQ(t, reap(&r), 12);
		rig_finish(&r);
	}
}

static void rewound_requests_come_again(struct tap *t)
{
	for (unsigned l = 0; l < 2; l++) {
		struct vq_chain *c[4];
		struct rig r;

		REQUIRE(t, rig_init(&r, l ? 7 : 8, layouts[l], NULL));
		for (unsigned i = 0; i < 20; i++) {
			for (unsigned k = 0; k < 3; k++)
				CHECK_EQ(t, add(&r, k), 0);
			drv_ring_publish(&r.drv);
			CHECK_EQ(t, vq_pop_batch(r.vq, c, 4), 3);
			vq_rewind(r.vq, c[2]);
			vq_rewind(r.vq, c[1]);
			CHECK_EQ(t, vq_outstanding(r.vq), 1);
			vq_push(r.vq, c[0], 0);
			CHECK_EQ(t, vq_pop_batch(r.vq, c, 4), 2);
			CHECK(t, c[0]->iov[0].iov_base == rig_ptr(&r, RIG_BUF + 64));
			CHECK(t, c[1]->iov[0].iov_base == rig_ptr(&r, RIG_BUF + 128));
			vq_push(r.vq, c[0], 0);
			vq_push(r.vq, c[1], 0);
			vq_flush(r.vq);
			CHECK_EQ(t, reap(&r), 3);
		}
		rig_finish(&r);
	}
}

static void in_order_holds_back(struct tap *t)
{
	for (unsigned l = 0; l < 2; l++) {
		struct vq_chain *c[3];
		struct rig r;

		REQUIRE(t, rig_init(&r, 8, layouts[l] | ORDER, NULL));
		for (unsigned i = 0; i < 3; i++)
			CHECK_EQ(t, add(&r, i), 0);
		drv_ring_publish(&r.drv);
		CHECK_EQ(t, vq_pop_batch(r.vq, c, 3), 3);
		vq_push(r.vq, c[2], 1);
		vq_push(r.vq, c[1], 1);
		vq_flush(r.vq);
		CHECK_EQ(t, reap(&r), 0);
		CHECK_EQ(t, rig_interrupts(&r), 0);
		vq_push(r.vq, c[0], 1);
		vq_flush(r.vq);
		CHECK_EQ(t, rig_interrupts(&r), 1);
		for (uintptr_t i = 1; i <= 3; i++) {
			void *cookie = NULL;
			uint32_t len = 0;

			CHECK_EQ(t, drv_ring_get(&r.drv, &cookie, &len), 1);
			CHECK_EQ(t, (uintptr_t)cookie, i);
			CHECK_EQ(t, len, 1);
		}
		rig_finish(&r);
	}
}

static void drivers_take_in_order_batches(struct tap *t)
{
	struct rig r;
	void *cookie = NULL;
	uint32_t len = 0;

	/* A device that writes one used entry for three buffers. */
	REQUIRE(t, rig_init(&r, 8, V1 | ORDER, NULL));
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(t, add(&r, i), 0);
	drv_ring_publish(&r.drv);
	drv_raw_used(&r.drv)->ring[0] = (struct drv_used_elem){ 4, 7 };
	drv_raw_used(&r.drv)->idx = 3;
	for (uintptr_t i = 1; i <= 3; i++) {
		CHECK_EQ(t, drv_ring_get(&r.drv, &cookie, &len), 1);
		CHECK_EQ(t, (uintptr_t)cookie, i);
		CHECK_EQ(t, len, i == 3 ? 7 : 32);
	}
	CHECK_EQ(t, drv_ring_get(&r.drv, &cookie, &len), 0);
	rig_finish(&r);

	REQUIRE(t, rig_init(&r, 8, V1 | ORDER | PACKED, NULL));
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(t, add(&r, i), 0);
	drv_ring_publish(&r.drv);
	*drv_raw_packed(&r.drv, 0) = (struct drv_packed_desc){ .len = 7,
		.id = 2,
		.flags = VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED | VIRTQ_DESC_F_WRITE };
	for (uintptr_t i = 1; i <= 3; i++) {
		CHECK_EQ(t, drv_ring_get(&r.drv, &cookie, &len), 1);
		CHECK_EQ(t, (uintptr_t)cookie, i);
		CHECK_EQ(t, len, i == 3 ? 7 : 32);
	}
	CHECK_EQ(t, drv_ring_get(&r.drv, &cookie, &len), 0);
	rig_finish(&r);
}

static void drivers_refuse_wrong_used_entries(struct tap *t)
{
	for (unsigned l = 0; l < 2; l++) {
		struct rig r;
		void *cookie;
		uint32_t len;

		REQUIRE(t, rig_init(&r, 8, layouts[l], NULL));
		CHECK_EQ(t, add(&r, 0), 0);
		drv_ring_publish(&r.drv);
		if (l) {
			*drv_raw_packed(&r.drv, 0) = (struct drv_packed_desc){ .id = 5,
				.flags = VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED };
		} else {
			drv_raw_used(&r.drv)->ring[0].id = 5;
			drv_raw_used(&r.drv)->idx = 1;
		}
		CHECK_EQ(t, drv_ring_get(&r.drv, &cookie, &len), DRV_BROKEN);
		CHECK(t, r.drv.broken);
		CHECK_EQ(t, add(&r, 1), DRV_BROKEN);
		rig_finish(&r);
	}
}

static void suppression(struct tap *t, uint64_t features)
{
	struct vq_chain *c;
	struct rig r;

	REQUIRE(t, rig_init(&r, 16, features, NULL));
	/* Interrupts. */
	drv_ring_disable_interrupts(&r.drv);
	CHECK_EQ(t, add(&r, 0), 0);
	drv_ring_publish(&r.drv);
	CHECK_EQ(t, echo(&r), 1);
	CHECK_EQ(t, rig_interrupts(&r), 0);
	CHECK(t, drv_ring_enable_interrupts(&r.drv, 0)); /* there is one already */
	CHECK_EQ(t, reap(&r), 1);
	CHECK(t, !drv_ring_enable_interrupts(&r.drv, 0));
	CHECK_EQ(t, add(&r, 0), 0);
	drv_ring_publish(&r.drv);
	CHECK_EQ(t, echo(&r), 1);
	CHECK_EQ(t, rig_interrupts(&r), 1);
	CHECK_EQ(t, reap(&r), 1);

	/* Kicks. */
	vq_disable_kick(r.vq);
	CHECK_EQ(t, add(&r, 0), 0);
	CHECK(t, !drv_ring_publish(&r.drv));
	CHECK(t, vq_enable_kick(r.vq)); /* there is one already */
	CHECK_EQ(t, vq_pop(r.vq, &c), 1);
	CHECK(t, !vq_enable_kick(r.vq));
	CHECK_EQ(t, add(&r, 1), 0);
	CHECK(t, drv_ring_publish(&r.drv));
	rig_finish(&r);
}

static void notifications_are_suppressed(struct tap *t)
{
	for (unsigned l = 0; l < 2; l++) {
		suppression(t, layouts[l]);
		suppression(t, layouts[l] | EVENT);
	}
}

/* A device that needs two requests at once finds one and puts it back: the next one must kick. */
static void more_than_there_is(struct tap *t, uint64_t features)
{
	struct vq_chain *c[3];
	struct rig r;

	REQUIRE(t, rig_init(&r, 16, features, NULL));
	for (unsigned round = 0; round < 20; round++) {
		vq_disable_kick(r.vq);
		CHECK_EQ(t, add(&r, 0), 0);
		drv_ring_publish(&r.drv);
		REQUIRE(t, vq_pop_batch(r.vq, c, 2) == 1);
		vq_rewind(r.vq, c[0]);
		CHECK(t, !vq_enable_kick_beyond(r.vq));
		CHECK_EQ(t, add(&r, 1), 0);
		CHECK(t, drv_ring_publish(&r.drv));
		/* One more came between looking and asking. */
		REQUIRE(t, vq_pop_batch(r.vq, c, 3) == 2);
		vq_rewind(r.vq, c[1]);
		vq_rewind(r.vq, c[0]);
		CHECK_EQ(t, add(&r, 2), 0);
		drv_ring_publish(&r.drv);
		CHECK(t, vq_enable_kick_beyond(r.vq));
		CHECK_EQ(t, echo(&r), 3);
		CHECK_EQ(t, reap(&r), 3);
	}
	rig_finish(&r);
}

static void waiting_for_more_gets_a_kick(struct tap *t)
{
	for (unsigned l = 0; l < 2; l++) {
		more_than_there_is(t, layouts[l]);
		more_than_there_is(t, layouts[l] | EVENT);
		more_than_there_is(t, layouts[l] | EVENT | INDIR);
	}
}

static void event_index_counts_exactly(struct tap *t)
{
	for (unsigned l = 0; l < 2; l++) {
		struct rig r;

		REQUIRE(t, rig_init(&r, l ? 15 : 16, layouts[l] | EVENT | INDIR, NULL));
		for (unsigned round = 0; round < 50; round++) {
			/* Wants to hear of the fourth; they come one by one. */
			CHECK(t, !drv_ring_enable_interrupts(&r.drv, 3));
			for (unsigned i = 0; i < 7; i++) {
				CHECK_EQ(t, add(&r, i), 0);
				CHECK(t, drv_ring_publish(&r.drv));
				CHECK_EQ(t, echo(&r), 1);
				CHECK_EQ(t, rig_interrupts(&r), i == 3);
				vq_enable_kick(r.vq);
			}
			CHECK_EQ(t, reap(&r), 7);
		}
		rig_finish(&r);
	}
}

/* What is reserved counts as "enabled": a notification too many is allowed, one too few is not. */
static void reserved_event_flags_enable(struct tap *t)
{
	for (unsigned event = 0; event < 2; event++) {
		struct rig r;

		REQUIRE(t, rig_init(&r, 8, V1 | PACKED | (event ? EVENT : 0), NULL));
		for (uint16_t flags = 2 + (uint16_t)event; flags < 4; flags++) {
			drv_raw_driver_event(&r.drv)->flags = flags;
			drv_raw_device_event(&r.drv)->flags = flags;
			CHECK_EQ(t, add(&r, 0), 0);
			CHECK(t, drv_ring_publish(&r.drv));
			CHECK_EQ(t, echo(&r), 1);
			CHECK_EQ(t, rig_interrupts(&r), 1);
			CHECK_EQ(t, reap(&r), 1);
		}
		/* A position that is not in the ring: no notification, no harm. */
		drv_raw_driver_event(&r.drv)->flags = RING_EVENT_FLAGS_DESC;
		drv_raw_driver_event(&r.drv)->off_wrap = 0x7fff;
		CHECK_EQ(t, add(&r, 0), 0);
		drv_ring_publish(&r.drv);
		CHECK_EQ(t, echo(&r), 1);
		CHECK_EQ(t, rig_interrupts(&r), !event);
		rig_finish(&r);
	}
}

static void disabled_and_stopped_queues_give_nothing(struct tap *t)
{
	for (unsigned l = 0; l < 2; l++) {
		uint16_t avail = 0, used = 0;
		struct vq_chain *c;
		struct rig r;

		REQUIRE(t, rig_init(&r, 8, layouts[l], NULL));
		CHECK_EQ(t, add(&r, 0), 0);
		CHECK_EQ(t, add(&r, 1), 0);
		drv_ring_publish(&r.drv);
		vq_set_enabled(r.vq, false);
		CHECK_EQ(t, vq_pop(r.vq, &c), 0);
		CHECK(t, !vq_enable_kick(r.vq));
		vq_set_enabled(r.vq, true);
		CHECK_EQ(t, vq_pop(r.vq, &c), 1);
		vq_push(r.vq, c, 0);
		vq_stop(r.vq, &avail, &used);
		CHECK(t, !vq_running(r.vq));
		CHECK_EQ(t, avail & 0x7fff, l ? 2 : 1);
		CHECK_EQ(t, used & 0x7fff, l ? 2 : 1);
		CHECK_EQ(t, reap(&r), 1); /* vq_stop() publishes what was pushed */
		CHECK_EQ(t, vq_pop(r.vq, &c), 0);
		CHECK_EQ(t, rig_start(&r, avail, used), 0);
		CHECK_EQ(t, echo(&r), 1);
		CHECK_EQ(t, reap(&r), 1);
		rig_finish(&r);
	}
}

static void buffers_may_cross_ranges(struct tap *t)
{
	for (unsigned l = 0; l < 2; l++) {
		struct drv_sg sg = { RIG_GPA + RIG_REGION - 10, 30 };
		struct vq_chain *c = NULL;
		struct rig r;

		REQUIRE(t, rig_init(&r, 8, layouts[l], NULL));
		CHECK_EQ(t, drv_ring_add(&r.drv, &sg, 0, 1, NULL), 0);
		drv_ring_publish(&r.drv);
		if (CHECK_EQ(t, vq_pop(r.vq, &c), 1)) {
			CHECK_EQ(t, c->n_in, 2);
			CHECK_EQ(t, c->in_len, 30);
			CHECK_EQ(t, c->iov[0].iov_len, 10);
			CHECK(t, c->iov[1].iov_base == r.host[1]);
		}
		rig_finish(&r);
	}
}

/* A chain that fills the ring, and tables longer than the ring. */
static void long_chains_are_whole(struct tap *t)
{
	for (unsigned l = 0; l < 2; l++) {
		struct drv_sg sg[RIG_TABLE_LEN];
		struct vq_chain *c = NULL;
		struct rig r;

		for (unsigned i = 0; i < RIG_TABLE_LEN; i++)
			sg[i] = (struct drv_sg){ RIG_BUF + 16 * i, 16 };
		REQUIRE(t, rig_init(&r, 8, layouts[l], NULL));
		CHECK_EQ(t, drv_ring_add(&r.drv, sg, 3, 6, NULL), DRV_INVALID);
		CHECK_EQ(t, drv_ring_add(&r.drv, sg, 3, 5, NULL), 0);
		CHECK_EQ(t, add(&r, 0), DRV_FULL);
		drv_ring_publish(&r.drv);
		if (CHECK_EQ(t, vq_pop(r.vq, &c), 1)) {
			CHECK_EQ(t, c->n_out, 3);
			CHECK_EQ(t, c->n_in, 5);
			CHECK(t, c->iov[7].iov_base == rig_ptr(&r, RIG_BUF + 16 * 7));
		}
		rig_finish(&r);

		REQUIRE(t, rig_init(&r, 8, layouts[l] | INDIR, NULL));
		CHECK_EQ(t, drv_ring_add(&r.drv, sg, 8, 8, NULL), 0);
		drv_ring_publish(&r.drv);
		if (CHECK_EQ(t, vq_pop(r.vq, &c), 1)) {
			CHECK_EQ(t, c->n_out, 8);
			CHECK_EQ(t, c->in_len, 128);
		}
		rig_finish(&r);
	}
}

static void bad_setups_are_refused(struct tap *t)
{
	struct err e = { 0 };
	struct rig r;

	REQUIRE(t, rig_init(&r, 8, V1, NULL));
	CHECK_EQ(t, vq_start(r.vq, &r.setup, &e), -EBUSY);
	vq_stop(r.vq, NULL, NULL);
	r.setup.size = 7;
	CHECK_EQ(t, vq_start(r.vq, &r.setup, &e), -EINVAL);
	CHECK(t, strstr(e.msg, "power of two"));
	r.setup.size = 0;
	CHECK_EQ(t, vq_start(r.vq, &r.setup, &e), -EINVAL);
	r.setup.size = 8;
	r.setup.desc = r.host[0] + 8;
	CHECK_EQ(t, vq_start(r.vq, &r.setup, &e), -EINVAL);
	r.setup.desc = r.host[0];
	CHECK_EQ(t, rig_start(&r, 9, 0), -EINVAL);
	r.setup.features |= PACKED;
	CHECK_EQ(t, rig_start(&r, 8, 0), -EINVAL);
	CHECK_EQ(t, rig_start(&r, 1, 2), -EINVAL);
	CHECK_EQ(t, rig_start(&r, 0x8001, 0), -EINVAL);
	r.setup.size = 7;
	CHECK_EQ(t, rig_start(&r, 0x8000, 0x8000), 0);
	rig_finish(&r);
}

static void sizes_are_the_standards(struct tap *t)
{
	uint32_t desc, driver, device;

	vq_ring_sizes(256, false, &desc, &driver, &device);
	CHECK_EQ(t, desc, 4096);
	CHECK_EQ(t, driver, 6 + 2 * 256);
	CHECK_EQ(t, device, 6 + 8 * 256);
	vq_ring_sizes(32768, true, &desc, &driver, &device);
	CHECK_EQ(t, desc, 524288);
	CHECK_EQ(t, driver, 4);
	CHECK_EQ(t, device, 4);
	CHECK_EQ(t, vq_inflight_size(128, false), 2112); /* 16 + 128 * 16, in lines of 64 */
	CHECK_EQ(t, vq_inflight_size(128, true), 4160);
}

/* The kicks of a polled queue: not sent, but taken once for each wish. */
static void polled(struct tap *t, uint64_t features)
{
	struct vq_chain *c, *none;
	struct rig r;

	REQUIRE(t, rig_init(&r, 8, features, NULL));
	vq_set_polled(r.vq);
	CHECK(t, !vq_take_kick(r.vq));
	for (unsigned i = 0; i < 20; i++) {
		CHECK_EQ(t, add(&r, 0), 0);
		CHECK(t, !drv_ring_publish(&r.drv));
		CHECK(t, vq_take_kick(r.vq));
		CHECK(t, !vq_take_kick(r.vq)); /* the device has not said that it wants more */
		CHECK_EQ(t, echo(&r), 1);
		CHECK(t, !vq_enable_kick(r.vq));
		CHECK(t, !vq_take_kick(r.vq));
		CHECK_EQ(t, reap(&r), 1);
	}
	/* A sleep: kicks are sent until the next one was taken. */
	CHECK(t, !vq_arm_kick(r.vq));
	CHECK_EQ(t, add(&r, 0), 0);
	CHECK(t, drv_ring_publish(&r.drv));
	CHECK(t, vq_take_kick(r.vq));
	CHECK_EQ(t, add(&r, 1), 0);
	CHECK(t, !drv_ring_publish(&r.drv));
	/* No sleep when something is there. */
	CHECK(t, vq_enable_kick(r.vq));
	CHECK(t, vq_arm_kick(r.vq));
	/* Not enough: only what lies beyond counts. */
	CHECK_EQ(t, vq_pop(r.vq, &c), 1);
	vq_rewind(r.vq, c);
	CHECK_EQ(t, echo(&r), 2);
	CHECK_EQ(t, add(&r, 2), 0);
	drv_ring_publish(&r.drv);
	CHECK_EQ(t, vq_pop(r.vq, &c), 1);
	CHECK_EQ(t, vq_pop(r.vq, &none), 0);
	vq_rewind(r.vq, c);
	CHECK(t, !vq_enable_kick_beyond(r.vq));
	CHECK(t, !vq_take_kick(r.vq));
	CHECK_EQ(t, add(&r, 3), 0);
	CHECK(t, !drv_ring_publish(&r.drv));
	CHECK(t, vq_take_kick(r.vq));
	/* A device that wants none is not woken. */
	vq_disable_kick(r.vq);
	CHECK(t, !vq_take_kick(r.vq));
	CHECK(t, !vq_arm_kick(r.vq));
	rig_finish(&r);
}

static void polled_queues_take_kicks(struct tap *t)
{
	for (unsigned l = 0; l < 2; l++)
		for (unsigned event = 0; event < 2; event++)
			polled(t, layouts[l] | (event ? EVENT : 0));
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, a_request_goes_there_and_back);
	TAP_RUN(&t, rings_wrap_around);
	TAP_RUN(&t, batches_interrupt_once);
	TAP_RUN(&t, what_is_shown_is_told_later);
	TAP_RUN(&t, rewound_requests_come_again);
	TAP_RUN(&t, in_order_holds_back);
	TAP_RUN(&t, drivers_take_in_order_batches);
	TAP_RUN(&t, drivers_refuse_wrong_used_entries);
	TAP_RUN(&t, notifications_are_suppressed);
	TAP_RUN(&t, waiting_for_more_gets_a_kick);
	TAP_RUN(&t, event_index_counts_exactly);
	TAP_RUN(&t, reserved_event_flags_enable);
	TAP_RUN(&t, disabled_and_stopped_queues_give_nothing);
	TAP_RUN(&t, buffers_may_cross_ranges);
	TAP_RUN(&t, long_chains_are_whole);
	TAP_RUN(&t, bad_setups_are_refused);
	TAP_RUN(&t, sizes_are_the_standards);
	TAP_RUN(&t, polled_queues_take_kicks);
	return tap_done(&t);
}
