/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtqueues whose driver breaks the rules: each is found and named, nothing outside is touched. */
#include <errno.h>
#include <string.h>

#include "rig.h"
#include "tap.h"

#define V1     RIG_BIT(VIRTIO_F_VERSION_1)
#define PACKED RIG_BIT(VIRTIO_F_RING_PACKED)
#define EVENT  RIG_BIT(VIRTIO_F_EVENT_IDX)
#define INDIR  RIG_BIT(VIRTIO_F_INDIRECT_DESC)
#define ORDER  RIG_BIT(VIRTIO_F_IN_ORDER)

#define NEXT	 VIRTQ_DESC_F_NEXT
#define WRITE	 VIRTQ_DESC_F_WRITE
#define INDIRECT VIRTQ_DESC_F_INDIRECT

#define SIZE 8
/* Where tests put their tables. */
#define TABLE (RIG_BUF + 0x10000u)

/* A descriptor in terms of both layouts; `next` counts only in split ones. */
struct entry {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* What a driver puts into the ring and, from TABLE on, into a table; and what the device says. */
struct rule {
	const char *name;
	uint64_t features;
	struct entry ring[4], table[4];
	const char *says; /* NULL: that is allowed */
};

#define OK_OUT                                                                                     \
	{                                                                                          \
		RIG_BUF, 16, 0, 0                                                                  \
	}

static const struct rule split_rules[] = {
	{ "write before read", V1, { { RIG_BUF, 8, WRITE | NEXT, 1 }, OK_OUT }, { { 0 } },
		"a device-readable buffer follows" },
	{ "next out of table", V1, { { RIG_BUF, 8, NEXT, SIZE } }, { { 0 } },
		"next leads out of the descriptor table" },
	{ "next far out", V1, { { RIG_BUF, 8, NEXT, 65535 } }, { { 0 } },
		"next leads out of the descriptor table" },
	{ "loop of one", V1, { { RIG_BUF, 8, NEXT, 0 } }, { { 0 } }, "a chain loops" },
	{ "loop of two", V1, { { RIG_BUF, 8, NEXT, 1 }, { RIG_BUF, 8, NEXT, 0 } }, { { 0 } },
		"a chain loops" },
	{ "below memory", V1, { { RIG_GPA - 1, 8, 0, 0 } }, { { 0 } }, "outside guest memory" },
	{ "beyond memory", V1, { { RIG_END - 7, 8, 0, 0 } }, { { 0 } }, "outside guest memory" },
	{ "address wraps", V1, { { UINT64_MAX - 3, 8, 0, 0 } }, { { 0 } }, "outside guest memory" },
	{ "length wraps", V1, { { RIG_BUF, UINT32_MAX, 0, 0 } }, { { 0 } },
		"outside guest memory" },
	{ "empty buffer", V1, { { 0, 0, NEXT, 1 }, OK_OUT }, { { 0 } }, NULL },
	{ "only empty", V1, { { 0, 0, 0, 0 } }, { { 0 } }, NULL },
	{ "indirect not negotiated", V1, { { TABLE, 16, INDIRECT, 0 } }, { OK_OUT },
		"INDIRECT_DESC was not negotiated" },
	{ "indirect with next", V1 | INDIR, { { TABLE, 16, INDIRECT | NEXT, 1 }, OK_OUT },
		{ OK_OUT }, "an indirect descriptor with NEXT" },
	{ "nested", V1 | INDIR, { { TABLE, 16, INDIRECT, 0 } }, { { TABLE, 16, INDIRECT, 0 } },
		"inside an indirect table" },
	{ "odd table", V1 | INDIR, { { TABLE, 24, INDIRECT, 0 } }, { OK_OUT },
		"not a multiple of 16" },
	{ "empty table", V1 | INDIR, { { TABLE, 0, INDIRECT, 0 } }, { { 0 } },
		"not a multiple of 16" },
	{ "table outside", V1 | INDIR, { { RIG_END - 16, 32, INDIRECT, 0 } }, { { 0 } },
		"table lies outside" },
	{ "long table misaligned", V1 | INDIR, { { TABLE + 1, 16 * 1025, INDIRECT, 0 } }, { { 0 } },
		"too long" },
	{ "next out of the table", V1 | INDIR, { { TABLE, 16, INDIRECT, 0 } },
		{ { RIG_BUF, 8, NEXT, 1 } }, "out of the indirect table" },
	{ "loop in the table", V1 | INDIR, { { TABLE, 32, INDIRECT, 0 } },
		{ { RIG_BUF, 8, NEXT, 1 }, { RIG_BUF, 8, NEXT, 0 } }, "loops or is too long" },
	{ "write flag on a table", V1 | INDIR, { { TABLE, 32, INDIRECT | WRITE, 0 } },
		{ { RIG_BUF, 8, NEXT, 1 }, { RIG_BUF, 8, WRITE, 0 } }, NULL },
	{ "chain, then table", V1 | INDIR, { { RIG_BUF, 8, NEXT, 1 }, { TABLE, 32, INDIRECT, 0 } },
		{ { RIG_BUF, 8, NEXT, 1 }, { RIG_BUF, 8, WRITE, 0 } }, NULL },
	{ "read in a table after write", V1 | INDIR,
		{ { RIG_BUF, 8, NEXT | WRITE, 1 }, { TABLE, 16, INDIRECT, 0 } }, { OK_OUT },
		"a device-readable buffer follows" },
};

static const struct rule packed_rules[] = {
	{ "write before read", V1, { { RIG_BUF, 8, WRITE | NEXT, 0 }, OK_OUT }, { { 0 } },
		"a device-readable buffer follows" },
	{ "beyond memory", V1, { { RIG_END - 7, 8, 0, 0 } }, { { 0 } }, "outside guest memory" },
	{ "address wraps", V1, { { UINT64_MAX - 3, 8, 0, 0 } }, { { 0 } }, "outside guest memory" },
	{ "empty buffer", V1, { { 0, 0, NEXT, 0 }, OK_OUT }, { { 0 } }, NULL },
	{ "indirect not negotiated", V1, { { TABLE, 16, INDIRECT, 0 } }, { OK_OUT },
		"INDIRECT_DESC was not negotiated" },
	{ "indirect with next", V1 | INDIR, { { TABLE, 16, INDIRECT | NEXT, 0 }, OK_OUT },
		{ OK_OUT }, "an indirect descriptor with NEXT" },
	{ "chain, then table", V1 | INDIR, { { RIG_BUF, 8, NEXT, 0 }, { TABLE, 16, INDIRECT, 0 } },
		{ OK_OUT }, "inside a descriptor list" },
	{ "odd table", V1 | INDIR, { { TABLE, 24, INDIRECT, 0 } }, { OK_OUT },
		"not a multiple of 16" },
	{ "empty table", V1 | INDIR, { { TABLE, 0, INDIRECT, 0 } }, { { 0 } },
		"not a multiple of 16" },
	{ "table outside", V1 | INDIR, { { RIG_END - 16, 32, INDIRECT, 0 } }, { { 0 } },
		"table lies outside" },
	{ "huge table", V1 | INDIR, { { TABLE, 16 * 2000, INDIRECT, 0 } }, { { 0 } }, "too long" },
	/* Only WRITE means something in a table (2.8.7). */
	{ "other flags in a table", V1 | INDIR, { { TABLE, 32, INDIRECT | WRITE, 0 } },
		{ { RIG_BUF, 8, NEXT | INDIRECT, 9 }, { RIG_BUF, 8, WRITE | NEXT, 9 } }, NULL },
};

static void put(void *at, const struct entry *e, bool packed, uint16_t more_flags)
{
	struct drv_packed_desc p = { e->addr, e->len, 1, (uint16_t)(e->flags | more_flags) };
	struct drv_split_desc s = { e->addr, e->len, e->flags, e->next };

	if (packed)
		memcpy(at, &p, sizeof(p));
	else
		memcpy(at, &s, sizeof(s));
}

static void try_rule(struct tap *t, const struct rule *rule, uint64_t layout)
{
	bool packed = layout & PACKED;
	struct vq_chain *c = NULL;
	struct rig r;
	const char *says;
	int n;

	REQUIRE(t, rig_init(&r, SIZE, rule->features | layout, NULL));
	for (unsigned i = 0; i < 4; i++) {
		put(drv_raw_split(&r.drv, i), &rule->ring[i], packed,
			rule->ring[i].len || rule->ring[i].flags ? drv_raw_avail_flags(true) : 0);
		put(rig_ptr(&r, TABLE + 16 * i), &rule->table[i], packed, 0);
	}
	if (!packed) {
		drv_raw_offer(&r.drv, 0);
		drv_raw_publish(&r.drv, 1);
	} else if (!rule->ring[0].len && !rule->ring[0].flags) {
		drv_raw_packed(&r.drv, 0)->flags = drv_raw_avail_flags(true);
	}
	n = vq_pop(r.vq, &c);
	says = vq_broken(r.vq);
	if (n != (rule->says ? -EPROTO : 1) || !says != !rule->says ||
		(says && !strstr(says, rule->says))) {
		printf("# %s, %s: %d, %s\n", packed ? "packed" : "split", rule->name, n,
			says ? says : "no rule");
		CHECK(t, !"the rule is found");
	}
	if (rule->says) {
		CHECK_EQ(t, vq_pop(r.vq, &c), -EPROTO); /* once and for all */
		CHECK(t, !vq_pending(r.vq));
		CHECK(t, !vq_enable_kick(r.vq));
		CHECK_EQ(t, vq_outstanding(r.vq), 0);
	}
	rig_finish(&r);
}

static void split_rules_are_found(struct tap *t)
{
	for (unsigned i = 0; i < sizeof(split_rules) / sizeof(split_rules[0]); i++)
		try_rule(t, &split_rules[i], 0);
}

static void packed_rules_are_found(struct tap *t)
{
	for (unsigned i = 0; i < sizeof(packed_rules) / sizeof(packed_rules[0]); i++)
		try_rule(t, &packed_rules[i], PACKED);
}

/* Pops until nothing more comes; returns the rule, or "". */
static const char *drain(struct rig *r)
{
	struct vq_chain *c;

	for (unsigned i = 0; i < 2 * SIZE && vq_pop(r->vq, &c) == 1; i++)
		;
	return vq_broken(r->vq) ? vq_broken(r->vq) : "";
}

static void put_ok(struct rig *r, unsigned i, uint16_t id, uint16_t flags)
{
	if (r->drv.packed)
		*drv_raw_packed(&r->drv, i) = (struct drv_packed_desc){ RIG_BUF, 8, id,
			(uint16_t)(flags | drv_raw_avail_flags(true)) };
	else
		*drv_raw_split(&r->drv, i) = (struct drv_split_desc){ RIG_BUF, 8, flags, 0 };
}

static void available_ring_is_checked(struct tap *t)
{
	struct vq_chain *c;
	struct rig r;

	/* A head out of range. */
	REQUIRE(t, rig_init(&r, SIZE, V1, NULL));
	drv_raw_offer(&r.drv, SIZE);
	drv_raw_publish(&r.drv, 1);
	CHECK(t, strstr(drain(&r), "head in the available ring"));
	rig_finish(&r);

	/* An index too far ahead, and one behind. */
	REQUIRE(t, rig_init(&r, SIZE, V1, NULL));
	drv_raw_publish(&r.drv, SIZE + 1);
	CHECK(t, strstr(drain(&r), "index jumps"));
	rig_finish(&r);
	REQUIRE(t, rig_init(&r, SIZE, V1, NULL));
	drv_raw_publish(&r.drv, 65535);
	CHECK(t, strstr(drain(&r), "index jumps"));
	rig_finish(&r);

	/* The same head twice, before its use was published and after. */
	REQUIRE(t, rig_init(&r, SIZE, V1, NULL));
	put_ok(&r, 3, 0, 0);
	drv_raw_offer(&r.drv, 3);
	drv_raw_publish(&r.drv, 1);
	CHECK_EQ(t, vq_pop(r.vq, &c), 1);
	vq_push(r.vq, c, 0);
	vq_flush(r.vq);
	drv_raw_offer(&r.drv, 3);
	drv_raw_offer(&r.drv, 3);
	drv_raw_publish(&r.drv, 3);
	CHECK(t, strstr(drain(&r), "in flight"));
	CHECK_EQ(t, vq_outstanding(r.vq), 1);
	rig_finish(&r);

	/* More made available than the ring has entries, while their use is not published. */
	REQUIRE(t, rig_init(&r, SIZE, V1, NULL));
	for (unsigned i = 0; i < SIZE; i++) {
		put_ok(&r, i, 0, 0);
		drv_raw_offer(&r.drv, (uint16_t)i);
	}
	drv_raw_publish(&r.drv, SIZE);
	CHECK_EQ(t, vq_pop(r.vq, &c), 1);
	vq_push(r.vq, c, 0);
	drv_raw_publish(&r.drv, SIZE + 1);
	CHECK(t, strstr(drain(&r), "index jumps"));
	rig_finish(&r);
}

static void packed_ring_is_checked(struct tap *t)
{
	struct vq_chain *c;
	struct rig r;

	/* A list whose second descriptor is not available. */
	REQUIRE(t, rig_init(&r, SIZE, V1 | PACKED, NULL));
	put_ok(&r, 0, 0, NEXT);
	CHECK(t, strstr(drain(&r), "inside a list is not available"));
	rig_finish(&r);

	/* A list without end. */
	REQUIRE(t, rig_init(&r, SIZE, V1 | PACKED, NULL));
	for (unsigned i = 0; i < SIZE; i++)
		put_ok(&r, i, 0, NEXT);
	CHECK(t, strstr(drain(&r), "runs into descriptors in flight"));
	rig_finish(&r);

	/* The same id twice. */
	REQUIRE(t, rig_init(&r, SIZE, V1 | PACKED, NULL));
	put_ok(&r, 0, 5, 0);
	put_ok(&r, 1, 5, 0);
	CHECK(t, strstr(drain(&r), "buffer id that is in flight"));
	rig_finish(&r);

	/* Descriptors that are in flight made available again. */
	REQUIRE(t, rig_init(&r, SIZE, V1 | PACKED, NULL));
	for (unsigned i = 0; i < SIZE; i++)
		put_ok(&r, i, (uint16_t)i, 0);
	for (unsigned i = 0; i < SIZE; i++)
		CHECK_EQ(t, vq_pop(r.vq, &c), 1);
	CHECK_EQ(t, vq_pop(r.vq, &c), 0);
	drv_raw_packed(&r.drv, 0)->flags = drv_raw_avail_flags(false);
	CHECK(t, strstr(drain(&r), "in flight was made available again"));
	rig_finish(&r);

	/* Any id is the driver's to choose. */
	REQUIRE(t, rig_init(&r, SIZE, V1 | PACKED, NULL));
	put_ok(&r, 0, 65535, 0);
	CHECK_EQ(t, vq_pop(r.vq, &c), 1);
	vq_push(r.vq, c, 0);
	vq_flush(r.vq);
	CHECK_EQ(t, drv_raw_packed(&r.drv, 0)->id, 65535);
	rig_finish(&r);
}

/* 2^32 bytes and one: a list over the same megabyte again and again. */
static void chains_have_a_length_limit(struct tap *t)
{
	for (unsigned packed = 0; packed < 2; packed++) {
		const uint32_t n = RIG_REGION / 16 / 16; /* of 1 MiB each */
		struct vq_chain *c = NULL;
		struct rig r;

		REQUIRE(t, rig_init(&r, 8192, V1 | (packed ? PACKED : 0), NULL));
		for (unsigned i = 0; i <= n; i++) {
			uint32_t len = i == n ? 1 : RIG_REGION;
			uint16_t flags = i == n ? 0 : NEXT;

			if (packed)
				*drv_raw_packed(&r.drv, i) = (struct drv_packed_desc){ RIG_GPA, len,
					0, (uint16_t)(flags | drv_raw_avail_flags(true)) };
			else
				*drv_raw_split(&r.drv, i) = (struct drv_split_desc){ RIG_GPA, len,
					flags, (uint16_t)(i + 1) };
		}
		if (!packed) {
			drv_raw_offer(&r.drv, 0);
			drv_raw_publish(&r.drv, 1);
		}
		CHECK_EQ(t, vq_pop(r.vq, &c), -EPROTO);
		CHECK(t, vq_broken(r.vq) && strstr(vq_broken(r.vq), "2^32"));
		rig_finish(&r);
	}
}

/* A table may be longer than a small queue, as Linux makes them, but not without limit. */
static void tables_have_a_length_limit(struct tap *t)
{
	for (unsigned n = 1024; n <= 1025; n++) {
		struct drv_split_desc *table;
		struct vq_chain *c = NULL;
		struct rig r;

		REQUIRE(t, rig_init(&r, SIZE, V1 | INDIR, NULL));
		table = (struct drv_split_desc *)(void *)rig_ptr(&r, TABLE);
		for (unsigned i = 0; i < n; i++)
			table[i] = (struct drv_split_desc){ RIG_BUF, 8, i + 1 < n ? NEXT : 0,
				(uint16_t)(i + 1) };
		*drv_raw_split(&r.drv, 0) = (struct drv_split_desc){ TABLE, 16 * n, INDIRECT, 0 };
		drv_raw_offer(&r.drv, 0);
		drv_raw_publish(&r.drv, 1);
		CHECK_EQ(t, vq_pop(r.vq, &c), n == 1024 ? 1 : -EPROTO);
		if (n == 1024)
			CHECK_EQ(t, c->n_out, 1024);
		rig_finish(&r);
	}
}

/* At no particular address, and where two ranges of memory meet. */
static void tables_can_be_anywhere(struct tap *t)
{
	static const uint64_t addr[] = { TABLE + 1, TABLE + 4, RIG_GPA + RIG_REGION - 16,
		RIG_GPA + RIG_REGION - 13 };
	static const struct entry entries[] = { { RIG_BUF, 8, NEXT, 1 },
		{ RIG_BUF, 24, WRITE, 0 } };

	for (unsigned i = 0; i < 2 * sizeof(addr) / sizeof(*addr); i++) {
		bool packed = i % 2;
		const struct entry ref = { addr[i / 2], 32, INDIRECT, 0 };
		struct vq_chain *c = NULL;
		uint8_t table[32];
		struct rig r;

		REQUIRE(t, rig_init(&r, SIZE, V1 | INDIR | (packed ? PACKED : 0), NULL));
		for (unsigned k = 0; k < 2; k++)
			put(table + 16 * k, &entries[k], packed, 0);
		for (unsigned k = 0; k < sizeof(table); k++)
			*rig_ptr(&r, ref.addr + k) = table[k];
		put(drv_raw_split(&r.drv, 0), &ref, packed, drv_raw_avail_flags(true));
		if (!packed) {
			drv_raw_offer(&r.drv, 0);
			drv_raw_publish(&r.drv, 1);
		}
		REQUIRE(t, vq_pop(r.vq, &c) == 1);
		CHECK_EQ(t, c->out_len, 8);
		CHECK_EQ(t, c->in_len, 24);
		vq_push(r.vq, c, 0);
		rig_finish(&r);
	}
}

/* Everything handed out must be inside guest memory, and not more than there can be. */
static bool chain_is_inside(const struct rig *r, const struct vq_chain *c)
{
	uint64_t out = 0, in = 0;

	for (uint32_t i = 0; i < c->n_out + c->n_in; i++) {
		const uint8_t *p = c->iov[i].iov_base;
		size_t len = c->iov[i].iov_len;
		bool inside = false;

		for (unsigned k = 0; k < 2; k++)
			inside |= p >= r->host[k] && p + len <= r->host[k] + RIG_REGION;
		if (!inside || !len)
			return false;
		*(i < c->n_out ? &out : &in) += len;
	}
	return out == c->out_len && in == c->in_len;
}

/* Spoils one field of the ring, or several bytes anywhere in it. */
static void mutate(struct rig *r)
{
	uint8_t *areas[] = { (uint8_t *)drv_raw_split(&r->drv, rig_rand(r, r->drv.size)),
		r->setup.driver, r->setup.device, rig_ptr(r, RIG_TABLES) };
	const uint32_t lens[] = { 16, 6 + 2 * (uint32_t)r->drv.size, 4, 4096 };
	unsigned a = rig_rand(r, 4);

	for (unsigned n = rig_rand(r, 3); n--;) {
		uint8_t *p = &areas[a][rig_rand(r, lens[a])];

		*p = rig_rand(r, 2) ? (uint8_t)rig_rand(r, 256)
				    : (uint8_t)(*p ^ 1u << rig_rand(r, 8));
	}
}

static void add_random(struct rig *r)
{
	struct drv_sg sg[8];
	unsigned n_out = rig_rand(r, 4), n_in = rig_rand(r, 4) + !n_out;

	for (unsigned i = 0; i < n_out + n_in; i++)
		sg[i] = (struct drv_sg){ RIG_BUF + rig_rand(r, 0x100000), rig_rand(r, 5000) };
	drv_ring_add(&r->drv, sg, n_out, n_in, NULL);
}

static bool fuzz_one(uint64_t features, uint64_t seed)
{
	struct vq_chain *c[16];
	void *cookie;
	uint32_t len;
	struct rig r;
	bool ok = rig_init(&r, 16, features, NULL);

	r.rnd = seed;
	for (unsigned step = 0; ok && step < 200; step++) {
		int n;

		add_random(&r);
		if (rig_rand(&r, 2))
			drv_ring_publish(&r.drv);
		if (!rig_rand(&r, 4))
			mutate(&r);
		n = vq_pop_batch(r.vq, c, 1 + rig_rand(&r, 16));
		ok = n >= 0 || (n == -EPROTO && vq_broken(r.vq));
		for (int i = 0; i < n; i++) {
			ok = ok && chain_is_inside(&r, c[i]);
			vq_push(r.vq, c[i], 0);
		}
		ok = ok && vq_outstanding(r.vq) == 0;
		if (rig_rand(&r, 2))
			vq_flush(r.vq);
		while (drv_ring_get(&r.drv, &cookie, &len) == 1)
			;
		vq_enable_kick(r.vq);
	}
	rig_finish(&r);
	return ok;
}

static void random_damage_stays_inside(struct tap *t)
{
	const uint64_t variants[] = { V1, V1 | INDIR, V1 | EVENT, V1 | ORDER | INDIR };

	for (uint64_t seed = 1; seed <= 400; seed++)
		for (unsigned v = 0; v < 8; v++)
			if (!fuzz_one(variants[v / 2] | (v % 2 ? PACKED : 0), seed)) {
				printf("# variant %u seed %llu\n", v, (unsigned long long)seed);
				CHECK(t, !"damage stays inside");
			}
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, split_rules_are_found);
	TAP_RUN(&t, packed_rules_are_found);
	TAP_RUN(&t, available_ring_is_checked);
	TAP_RUN(&t, packed_ring_is_checked);
	TAP_RUN(&t, chains_have_a_length_limit);
	TAP_RUN(&t, tables_have_a_length_limit);
	TAP_RUN(&t, tables_can_be_anywhere);
	TAP_RUN(&t, random_damage_stays_inside);
	return tap_done(&t);
}
