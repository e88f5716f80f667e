/* SPDX-License-Identifier: BSD-3-Clause */
/* CAN controllers that lie: the driver notices, and touches nothing outside its memory. */
#include "drivers/can.h"
#include "tap.h"
#include "toy.h"

#define FEATURES (DRV_FEATURE(VIRTIO_F_VERSION_1) | UINT64_C(15))
#define SECOND	 UINT64_C(1000000000)
#define ROUNDS	 2000u

/* What comes back on one queue; the others answer with zeroes, reception not at all. */
struct answer {
	unsigned queue;
	uint8_t data[16 + DRV_CAN_DATA_MAX];
	uint32_t len, used;
};

static void lie(struct toy *toy, const struct toy_chain *c)
{
	static const uint8_t zeroes[80];
	const struct answer *a = toy->ctx;

	if (c->q != a->queue && c->q == 1)
		return;
	if (c->q != a->queue) {
		toy_put(toy, c->q, c->id, c->ndesc, toy_fill(c, zeroes, sizeof(zeroes)));
		return;
	}
	toy_fill(c, a->data, a->len);
	toy_put(toy, c->q, c->id, c->ndesc, a->used);
}

static bool begin(struct toy *toy, struct drv_can *can, struct answer *a)
{
	toy_open(toy, DRV_ID_CAN, FEATURES);
	toy->serve = lie;
	toy->ctx = a;
	return !drv_can_open(can, toy->dev);
}

/* A result is one byte, and only 0 is good. */
static void results(struct tap *t)
{
	static const struct {
		uint8_t result;
		uint32_t used;
		int control, frame;
	} cases[] = { { 0, 1, 0, 0 }, { 1, 1, DRV_ERROR, DRV_ERROR },
		{ 2, 1, DRV_ERROR, DRV_ERROR }, { 0xff, 1, DRV_ERROR, DRV_ERROR },
		{ 0, 0, DRV_BROKEN, DRV_ERROR }, { 0, 2, DRV_BROKEN, DRV_BROKEN },
		{ 0, UINT32_MAX, DRV_BROKEN, DRV_BROKEN } };
	const struct drv_can_frame f = { .id = 5, .len = 8 };

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct answer a = { .data = { cases[i].result }, .len = 1, .used = cases[i].used };
		struct drv_can can;
		struct toy toy;

		a.queue = 2;
		REQUIRE(t, begin(&toy, &can, &a));
		CHECK_EQ(t, drv_can_start(&can), cases[i].control);
		toy_close(&toy);
		a.queue = 0;
		REQUIRE(t, begin(&toy, &can, &a));
		CHECK_EQ(t, drv_can_start(&can), 0);
		CHECK_EQ(t, drv_can_send(&can, &f, toy.now + SECOND), 0);
		CHECK_EQ(t, drv_can_sync(&can, toy.now + SECOND), cases[i].frame);
		CHECK_EQ(t, can.sent, !cases[i].frame);
		toy_close(&toy);
	}
}

static void messages(struct tap *t)
{
	/* msg_type, length, flags (2 bytes), id; used length, result. */
	static const struct {
		uint16_t type, length, flags;
		uint32_t used;
		int result;
	} cases[] = { { 0x101, 8, 0, 24, 0 }, { 0x101, 64, 0x4000, 80, 0 },
		{ 0x101, 8, 0x2000, 16, 0 }, { 0x001, 8, 0, 24, DRV_BROKEN },
		{ 0x101, 9, 0, 25, DRV_BROKEN }, { 0x101, 65, 0x4000, 80, DRV_BROKEN },
		{ 0x101, 0xffff, 0x4000, 80, DRV_BROKEN }, { 0x101, 8, 0, 23, DRV_BROKEN },
		{ 0x101, 8, 0, 15, DRV_BROKEN }, { 0x101, 8, 0, 0, DRV_BROKEN },
		{ 0x101, 8, 0, 81, DRV_BROKEN }, { 0x101, 8, 0x1000, 24, DRV_BROKEN } };

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct answer a = { .queue = 1, .len = 80, .used = cases[i].used };
		struct drv_can_frame f;
		struct drv_can can;
		struct toy toy;

		memcpy(a.data, &cases[i].type, 2);
		memcpy(a.data + 2, &cases[i].length, 2);
		memcpy(a.data + 8, &cases[i].flags, 2);
		a.data[12] = 0x55;
		REQUIRE(t, begin(&toy, &can, &a));
		if (!CHECK_EQ(t, drv_can_recv(&can, &f, toy.now + SECOND), cases[i].result))
			printf("# case %u\n", i);
		CHECK(t, cases[i].result || (f.id == 0x55 && f.len == cases[i].length));
		toy_close(&toy);
	}
}

/* Any bytes, any lengths, some ids that were never offered. */
static void wild(struct toy *toy, const struct toy_chain *c)
{
	uint8_t noise[80];

	for (unsigned i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)toy_rand(toy, toy_rand(toy, 2) ? 2 : 256);
	if (toy_rand(toy, 8) == 0)
		return;
	toy_put(toy, c->q, toy_rand(toy, 20) ? c->id : (uint16_t)toy_rand(toy, 65536), c->ndesc,
		toy_rand(toy, 4) ? toy_fill(c, noise, toy_rand(toy, 81)) : toy_rand(toy, 200));
}

static void fuzz(struct tap *t)
{
	struct drv_can_frame f = { .id = 1, .len = 8 };
	unsigned done = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct drv_can can;
		struct toy toy;
		bool off;

		toy_open(&toy, DRV_ID_CAN,
			FEATURES | (i & 1 ? DRV_FEATURE(VIRTIO_F_RING_PACKED) : 0));
		toy.rnd = i;
		toy.serve = wild;
		if (!drv_can_open(&can, toy.dev)) {
			can.timeout = SECOND / 100;
			drv_can_start(&can);
			for (unsigned k = 0; k < 20; k++) {
				f.id = f.len = 8;
				drv_can_send(&can, &f, toy.now + SECOND / 100);
				drv_can_recv(&can, &f, toy.now + SECOND / 100);
			}
			drv_can_sync(&can, toy.now + SECOND / 100);
			drv_can_bus_off(&can, &off);
			done++;
		}
		toy_close(&toy);
	}
	CHECK(t, done > ROUNDS / 2);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, results);
	TAP_RUN(&t, messages);
	TAP_RUN(&t, fuzz);
	return tap_done(&t);
}
