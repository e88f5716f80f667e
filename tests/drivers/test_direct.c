/* SPDX-License-Identifier: BSD-3-Clause */
/* Direct rings with a device that keeps the rules, and requests over them. */
#include "drivers/req.h"
#include "tap.h"
#include "toy.h"

#define PACKED (DRV_FEATURE(VIRTIO_F_RING_PACKED) | DRV_FEATURE(VIRTIO_F_EVENT_IDX))

/* Answers with what it got, each byte plus one. */
static void increment(struct toy *toy, const struct toy_chain *c)
{
	uint8_t data[256];
	uint32_t n = c->e[0].write ? 0 : c->e[0].len;

	for (uint32_t i = 0; i < n; i++)
		data[i] = (uint8_t)(c->e[0].p[i] + 1);
	toy_put(toy, c->q, c->id, c->ndesc, toy_fill(c, data, n));
}

static void requests(struct tap *t, uint64_t features)
{
	struct toy toy;
	struct drv_req r;
	uint8_t out[100], in[100];
	uint32_t used = 0;

	toy_open(&toy, 42, features);
	toy.serve = increment;
	REQUIRE(t, !drv_req_open(&r, toy.dev, 0, 200));
	CHECK_EQ(t, toy.area->status, 15);
	CHECK_EQ(t, drv_has(toy.dev, VIRTIO_F_RING_PACKED), features != 0);
	for (unsigned k = 0; k < 50; k++) {
		memset(out, (int)k, sizeof(out));
		memset(in, 0xa5, sizeof(in));
		REQUIRE(t, !drv_req_do(&r, out, k + 1, in, 100, &used, toy.now + 1000000000));
		CHECK_EQ(t, used, k + 1);
		for (unsigned i = 0; i < sizeof(in); i++)
			CHECK_EQ(t, in[i], i <= k ? k + 1 : 0xa5);
	}
	CHECK_EQ(t, drv_req_do(&r, out, 100, in, 101, &used, 0), DRV_INVALID);
	CHECK_EQ(t, drv_req_do(&r, out, 201, in, 0, &used, 0), DRV_INVALID);
	CHECK_EQ(t, drv_req_do(&r, out, 0, in, 0, &used, 0), DRV_INVALID);
	CHECK_EQ(t, drv_req_do(&r, out, 1, in, 1, &used, toy.now + 1000000000), 0);
	toy_close(&toy);
}

static void split(struct tap *t)
{
	requests(t, 0);
}

static void packed(struct tap *t)
{
	requests(t, PACKED);
}

/* The answer to a request that was given up must not be taken for that to the next one. */
static void late_answer(struct tap *t)
{
	struct toy toy;
	struct drv_req r;
	struct toy_chain c;
	uint8_t in = 0;

	toy_open(&toy, 42, 0);
	REQUIRE(t, !drv_req_open(&r, toy.dev, 0, 2));
	CHECK_EQ(t, drv_req_do(&r, "a", 1, &in, 1, NULL, toy.now + 1000000000), DRV_TIMEOUT);
	CHECK_EQ(t, drv_req_do(&r, "b", 1, &in, 1, NULL, toy.now + 1000000000), DRV_TIMEOUT);
	REQUIRE(t, toy_take(&toy, 0, &c));
	CHECK_EQ(t, *c.e[0].p, 'a');
	increment(&toy, &c);
	toy.serve = increment;
	CHECK_EQ(t, drv_req_do(&r, "c", 1, &in, 1, NULL, toy.now + 1000000000), 0);
	CHECK_EQ(t, in, 'd');
	toy_close(&toy);
}

static void queue_reset(struct tap *t)
{
	struct toy toy;
	struct drv_req r;
	uint8_t in = 0;

	toy_open(&toy, 42, DRV_FEATURE(VIRTIO_F_RING_RESET));
	toy.serve = increment;
	REQUIRE(t, !drv_req_open(&r, toy.dev, 0, 2));
	CHECK_EQ(t, drv_req_do(&r, "c", 1, &in, 1, NULL, toy.now + 1000000000), 0);
	CHECK_EQ(t, drv_queue_restart(&r.pool.q), 0);
	CHECK_EQ(t, drv_req_do(&r, "d", 1, &in, 1, NULL, toy.now + 1000000000), 0);
	CHECK_EQ(t, in, 'e');
	toy_close(&toy);
}

static void area(struct tap *t)
{
	struct toy toy;
	struct drv_direct d;
	uint32_t v = 7;
	uint16_t max = 9;

	toy_open(&toy, 42, 0);
	toy.config[4] = 3;
	CHECK_EQ(t, drv_config(toy.dev, 4, &v, 4), 0);
	CHECK_EQ(t, v, 3);
	CHECK_EQ(t, drv_config(toy.dev, TOY_CONFIG - 4, &v, 4), 0);
	CHECK_EQ(t, drv_config(toy.dev, TOY_CONFIG - 3, &v, 4), DRV_INVALID);
	CHECK_EQ(t, drv_config(toy.dev, UINT32_MAX, &v, 4), DRV_INVALID);
	CHECK_EQ(t, toy.dev->ops->config_write(toy.dev, 8, &v, 4), 0);
	CHECK_EQ(t, toy.config[8], v & 0xff);
	CHECK_EQ(t, toy.dev->ops->queue_max(toy.dev, TOY_QUEUES, &max), 0);
	CHECK_EQ(t, max, 0);
	/* Areas that lie about themselves. */
	toy.area->config_len = TOY_CONFIG + 1;
	CHECK_EQ(t,
		drv_direct_open(&d, &toy.platform, toy.area, 48 + 12 * 32 + TOY_CONFIG, NULL, 0),
		DRV_INVALID);
	toy.area->config_len = TOY_CONFIG;
	CHECK_EQ(t,
		drv_direct_open(&d, &toy.platform, toy.area, 48 + 12 * 32 + TOY_CONFIG, NULL, 0),
		0);
	toy.area->nqueues = 17;
	CHECK_EQ(t,
		drv_direct_open(&d, &toy.platform, toy.area, 48 + 12 * 32 + TOY_CONFIG, NULL, 0),
		DRV_INVALID);
	toy.area->magic = 0;
	CHECK_EQ(t, drv_direct_open(&d, &toy.platform, toy.area, 4096, NULL, 0), DRV_GONE);
	CHECK_EQ(t, drv_direct_open(&d, &toy.platform, toy.area, 47, NULL, 0), DRV_INVALID);
	toy_close(&toy);
}

/* Too little memory is told, not run over. */
static void little_memory(struct tap *t)
{
	struct toy toy;
	struct drv_req r;

	toy_open(&toy, 42, 0);
	toy.serve = increment;
	for (size_t len = 0; len < 400; len++) {
		toy.dev->mem_len = len;
		toy.dev->priv_len = 2 * len;
		int rc = drv_req_open(&r, toy.dev, 0, 32);

		CHECK(t, rc == DRV_NO_MEMORY || (!rc && len > 100));
		CHECK(t, toy.dev->mem_used <= len);
	}
	CHECK_EQ(t, drv_req_open(&r, toy.dev, 0, 32), 0);
	toy_close(&toy);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, split);
	TAP_RUN(&t, packed);
	TAP_RUN(&t, late_answer);
	TAP_RUN(&t, queue_reset);
	TAP_RUN(&t, area);
	TAP_RUN(&t, little_memory);
	return tap_done(&t);
}
