/* SPDX-License-Identifier: BSD-3-Clause */
/* The entropy device (VIRTIO 1.4, 5.4). */
#include "drivers/rng.h"
#include "conformance/cases/cases.h"

#define FRESH  0xa5
#define FLIGHT 16u /* requests at once */

/* One request for `len` bytes into `buf`. The used length says what the driver may use; it must
 * have been written, and nothing behind it. */
static bool ask(struct cf *c, struct drv_queue *q, uint8_t *buf, uint32_t len, uint32_t *used)
{
	cf_fill(buf, FRESH, len);
	return cf_do_len(c, q, NULL, 0, buf, len, used) &&
	       cf_check(c, *used >= 1 && *used <= len, "the used length is %u, must be 1 to %u",
		       *used, len) &&
	       cf_check(c, cf_filled(buf + *used, FRESH, len - *used),
		       "the device wrote behind the %u bytes that it reports", *used);
}

/* Asks until `len` bytes have come. */
static bool collect(struct cf *c, struct drv_queue *q, uint8_t *buf, uint32_t len)
{
	uint32_t used;

	for (; len; buf += used, len -= used)
		if (!ask(c, q, buf, len, &used))
			return false;
	return true;
}

static void no_features(struct cf *c)
{
	for (unsigned bit = 0; bit < 24; bit++)
		cf_check(c, !cf_offered(c, bit), "feature bit %u is offered, none is defined", bit);
}

static void sizes(struct cf *c)
{
	static const uint32_t len[] = { 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 64, 100, 255, 256, 257,
		511, 512, 1000, 4095, 4096, 4097, 65535, 65536 };
	struct drv_queue *q = cf_up(c, 0, 1);
	uint8_t *buf = cf_buf(c, 65536);
	uint32_t used;

	for (unsigned i = 0; q && buf && i < sizeof(len) / sizeof(*len); i++)
		if (!ask(c, q, buf, len[i], &used))
			return;
}

/* What is reported was written: 32 bytes do not keep their contents by chance, nor does a half. */
static void written(struct cf *c)
{
	struct drv_queue *q = cf_up(c, 0, 1);
	uint8_t *buf = cf_buf(c, 256);
	uint32_t used;

	for (unsigned i = 0; q && buf && i < 16; i++) {
		if (!ask(c, q, buf, 256, &used))
			return;
		for (uint32_t at = 0; at + 16 <= used; at += 16)
			if (!cf_check(c, !cf_filled(buf + at, FRESH, 16),
				    "the used length is %u, but bytes %u to %u were not written",
				    used, at, at + 16))
				return;
	}
}

/* A buffer of many elements is filled from its start. */
static void pieces(struct cf *c)
{
	static const uint16_t lens[] = { 1, 2, 30, 64, 5, 200, 1 };
	enum { N = sizeof(lens) / sizeof(*lens) };
	struct drv_queue *q = cf_up(c, 0, 1);
	struct drv_sg sg[N];
	uint8_t *buf[N];
	uint32_t used, at = 0;

	if (!q)
		return;
	for (unsigned i = 0; i < N; i++) {
		if (!(buf[i] = cf_buf(c, lens[i])))
			return;
		sg[i] = cf_sg(c, buf[i], lens[i]);
	}
	if (!cf_submit(c, q, sg, 0, N, sg) || !cf_used(c, q, NULL, &used))
		return;
	cf_check(c, used >= 1 && used <= 303, "the used length is %u, must be 1 to 303", used);
	for (unsigned i = 0; i < N; at += lens[i++]) {
		uint32_t filled = used <= at ? 0 : used - at < lens[i] ? used - at : lens[i];

		cf_check(c, cf_filled(buf[i] + filled, FRESH, lens[i] - filled),
			"the device wrote behind the %u bytes that it reports", used);
		cf_check(c, filled < 16 || !cf_filled(buf[i], FRESH, filled),
			"element %u was not written", i);
	}
}

/* 16 bytes each of `n` requests: no two are the same. */
static bool all_differ(struct cf *c, const uint8_t *bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = i + 1; k < n; k++)
			if (!cf_check(c, !cf_same(bytes + i * 16, bytes + k * 16, 16),
				    "requests %u and %u got the same bytes", i, k))
				return false;
	return true;
}

static void no_repeats(struct cf *c)
{
	struct drv_queue *q = cf_up(c, 0, 1);
	uint8_t *buf = cf_buf(c, 100 * 16);

	for (unsigned i = 0; q && buf && i < 100; i++)
		if (!collect(c, q, buf + i * 16, 16))
			return;
	if (q && buf)
		all_differ(c, buf, 100);
}

static void no_repeats_over_resets(struct cf *c)
{
	uint8_t *buf = cf_buf(c, 10 * 16);
	struct drv_queue *q;

	if (!buf)
		return;
	for (unsigned i = 0; i < 10; i++)
		if (!(q = cf_up(c, 0, 1)) || !collect(c, q, buf + i * 16, 16))
			return;
	all_differ(c, buf, 10);
}

/* How many requests go at once. */
static unsigned flight(const struct drv_queue *q)
{
	return q->ring.size < FLIGHT ? q->ring.size : FLIGHT;
}

/* Sends requests of 64 bytes each; their cookies are their buffers. */
static bool launch(struct cf *c, struct drv_queue *q, uint8_t *buf)
{
	for (unsigned i = 0; i < flight(q); i++) {
		struct drv_sg sg = cf_sg(c, buf + i * 64, 64);

		if (!cf_submit(c, q, &sg, 0, 1, buf + i * 64))
			return false;
	}
	return true;
}

static bool land(struct cf *c, struct drv_queue *q)
{
	for (unsigned i = 0; i < flight(q); i++) {
		uint8_t *buf;
		void *cookie;
		uint32_t used;

		if (!cf_used(c, q, &cookie, &used))
			return false;
		buf = cookie;
		if (!cf_check(c, used >= 1 && used <= 64, "the used length is %u, must be 1 to 64",
			    used) ||
			!cf_check(c, cf_filled(buf + used, FRESH, 64 - used),
				"the device wrote behind the %u bytes that it reports", used))
			return false;
	}
	return true;
}

static void in_flight(struct cf *c)
{
	struct drv_queue *q = cf_up(c, 0, 1);
	uint8_t *buf = cf_buf(c, FLIGHT * 64);

	if (!q || !buf || !launch(c, q, buf) || !land(c, q))
		return;
	for (unsigned i = 0; i < flight(q); i++)
		for (unsigned k = i + 1; k < flight(q); k++)
			cf_check(c,
				cf_filled(buf + i * 64, FRESH, 16) ||
					!cf_same(buf + i * 64, buf + k * 64, 16),
				"requests %u and %u got the same bytes", i, k);
}

/*
 * Ones and zeroes are as frequent as each other in each bit of a byte, and every value comes up.
 * For 65536 bytes a bit's count is 32768 with a standard deviation of 128; a good source misses by
 * 1000 once in 10^14 runs, and leaves a value out once in 10^108.
 */
static void balance(struct cf *c)
{
	enum { N = 65536, SLACK = 1000 };
	struct drv_queue *q = cf_up(c, 0, 1);
	uint8_t *buf = cf_buf(c, N), *seen = cf_buf(c, 256);
	uint32_t ones[8] = { 0 };

	if (!q || !buf || !seen || !collect(c, q, buf, N))
		return;
	cf_fill(seen, 0, 256);
	for (uint32_t i = 0; i < N; i++) {
		seen[buf[i]] = 1;
		for (unsigned bit = 0; bit < 8; bit++)
			ones[bit] += buf[i] >> bit & 1;
	}
	for (unsigned bit = 0; bit < 8; bit++)
		cf_check(c, ones[bit] > N / 2 - SLACK && ones[bit] < N / 2 + SLACK,
			"bit %u is set in %u of %u bytes", bit, ones[bit], (unsigned)N);
	for (unsigned v = 0; v < 256; v++)
		cf_check(c, seen[v], "no byte of %u has the value %u", (unsigned)N, v);
}

/* Once a reset is complete, no buffer of before is written. */
static void reset_under_load(struct cf *c)
{
	uint8_t *buf = cf_buf(c, FLIGHT * 64);
	struct drv_queue *q = cf_up(c, 0, 1);

	for (unsigned round = 0; q && buf && round < 8; round++) {
		if (!launch(c, q, buf) ||
			!cf_check(c, !drv_reset(cf_dev(c)), "the device cannot be reset"))
			return;
		cf_fill(buf, 0x77, FLIGHT * 64);
		q = cf_up(c, 0, 1);
		if (!q || !cf_probe_works(c, q) ||
			!cf_check(c, cf_filled(buf, 0x77, FLIGHT * 64),
				"a buffer of before the reset was written after it"))
			return;
	}
}

static void killed(struct cf *c)
{
	struct drv_queue *q = cf_up(c, 0, 1);
	uint8_t *buf = cf_buf(c, FLIGHT * 64);
	struct cf_target *t = cf_target(c);

	if (!t->kill) {
		cf_skip(c, "the back-end cannot be killed here");
		return;
	}
	for (unsigned round = 0; q && buf && round < 4; round++) {
		cf_fill(buf, FRESH, FLIGHT * 64);
		if (!launch(c, q, buf) ||
			!cf_check(c, t->kill(t), "the back-end cannot be replaced") || !land(c, q))
			return;
	}
}

/* Device-readable elements do not belong here (5.4.6.1). */

static void readable(struct cf *c)
{
	struct drv_queue *q = cf_up(c, 0, 1);
	uint8_t *buf = cf_buf(c, 64);
	struct drv_sg sg;

	if (!q || !buf)
		return;
	sg = cf_sg(c, buf, 64);
	if (!cf_submit(c, q, &sg, 1, 0, buf))
		return;
	cf_must_break(c, q);
	cf_check(c, cf_filled(buf, FRESH, 64), "the device wrote to what it may only read");
}

static void readable_first(struct cf *c)
{
	struct drv_queue *q = cf_up(c, 0, 1);
	uint8_t *out = cf_buf(c, 64), *in = cf_buf(c, 64);
	struct drv_sg sg[2];

	if (!q || !out || !in)
		return;
	sg[0] = cf_sg(c, out, 64);
	sg[1] = cf_sg(c, in, 64);
	if (!cf_submit(c, q, sg, 1, 1, in))
		return;
	cf_must_break(c, q);
	cf_check(c, cf_filled(out, FRESH, 64), "the device wrote to what it may only read");
	cf_check(c, cf_filled(in, FRESH, 64), "the device gave bytes to a broken request");
}

const struct cf_case cf_cases_rng[] = {
	{ "rng.features.none", "RNG-3", no_features, DRV_ID_RNG },
	{ "rng.request.sizes", "RNG-1 RNG-3 V5.4.6.2-1 ROB-8", sizes, DRV_ID_RNG,
		.flags = CF_RINGS },
	{ "rng.request.written", "V5.4.6.2-1 V2.7.8.2-2", written, DRV_ID_RNG },
	{ "rng.request.pieces", "V5.4.6.2-1 V2.7.4.1-1", pieces, DRV_ID_RNG, .flags = CF_RINGS },
	{ "rng.request.in_flight", "RNG-3", in_flight, DRV_ID_RNG, .flags = CF_RINGS },
	{ "rng.output.no_repeats", "RNG-7 PLAT-4", no_repeats, DRV_ID_RNG },
	{ "rng.output.no_repeats_over_resets", "RNG-7", no_repeats_over_resets, DRV_ID_RNG },
	{ "rng.output.balance", "RNG-1 PLAT-4", balance, DRV_ID_RNG },
	{ "rng.load.reset", "ROB-18", reset_under_load, DRV_ID_RNG, .flags = CF_RINGS },
	{ "rng.kill.in_flight", "ROB-7", killed, DRV_ID_RNG, .flags = CF_RINGS },
	{ "rng.direction.readable", "ROB-25", readable, DRV_ID_RNG,
		.flags = CF_HOSTILE | CF_RINGS },
	{ "rng.direction.readable_first", "ROB-25", readable_first, DRV_ID_RNG,
		.flags = CF_HOSTILE | CF_RINGS },
	{ 0 },
};
