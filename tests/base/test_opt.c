/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration keys: parsing, defaults, and what the messages say. */
#include <errno.h>

#include "base/opt.h"
#include "base/util.h"
#include "tap.h"

struct conf {
	bool on;
	uint32_t cpus;
	uint64_t memory;
	char *image;
	int cache;
	struct opt_mac mac;
	struct opt_list ports;
	uint32_t limit;
};

static const char *const cache_words[] = { "writeback", "writethrough", NULL };

static const struct opt table[] = {
	{ "on", OPT_BOOL, offsetof(struct conf, on), .def = "yes", .help = "a switch" },
	{ "cpus", OPT_U32, offsetof(struct conf, cpus), .def = "1", .min = 1, .max = 64,
		.help = "processors" },
	{ "memory", OPT_SIZE, offsetof(struct conf, memory), .def = "64M", .min = 1 << 20,
		.help = "bytes" },
	{ "image", OPT_PATH, offsetof(struct conf, image), .help = "a file",
		.flags = OPT_REQUIRED },
	{ "cache", OPT_ENUM, offsetof(struct conf, cache), .words = cache_words, .help = "a mode" },
	{ "mac", OPT_MAC, offsetof(struct conf, mac), .help = "an address" },
	{ "ports", OPT_LIST, offsetof(struct conf, ports), .help = "names" },
	{ "limit", OPT_TIME, offsetof(struct conf, limit), .def = "2", .min = 10, .max = 60000,
		.help = "a time" },
	OPT_END,
};

static void test_values(struct tap *t)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 0xab, 0xcd, 0xef };
	struct conf c = { 0 };

	CHECK_EQ(t, opt_defaults(table, &c, NULL), 0);
	CHECK(t, c.on && c.cpus == 1 && c.memory == 64 << 20 && !c.image);
	CHECK_EQ(t, c.limit, 2000);
	CHECK_EQ(t, opt_check(table, &c, NULL), -EINVAL);
	CHECK_EQ(t, opt_set(table, &c, "limit", "1m", NULL), 0);
	CHECK_EQ(t, c.limit, 60000);
	CHECK_EQ(t, opt_set(table, &c, "limit", "250ms", NULL), 0);
	CHECK_EQ(t, c.limit, 250);
	CHECK_EQ(t, opt_set(table, &c, "on", "off", NULL), 0);
	CHECK_EQ(t, opt_set(table, &c, "cpus", "0x10", NULL), 0);
	CHECK_EQ(t, opt_set(table, &c, "memory", "2g", NULL), 0);
	CHECK_EQ(t, opt_set(table, &c, "image", "a.img", NULL), 0);
	CHECK_EQ(t, opt_set(table, &c, "image", "b.img", NULL), 0);
	CHECK_EQ(t, opt_set(table, &c, "cache", "writethrough", NULL), 0);
	CHECK_EQ(t, opt_set(table, &c, "mac", "52:54:00:ab:CD:ef", NULL), 0);
	CHECK_EQ(t, opt_set(table, &c, "ports", "one,two", NULL), 0);
	CHECK_EQ(t, opt_set(table, &c, "ports", "three", NULL), 0);
	CHECK(t, !c.on && c.cpus == 16 && c.memory == UINT64_C(2) << 30 && c.cache == 1);
	CHECK(t, !strcmp(c.image, "b.img"));
	CHECK(t, c.mac.set && !memcmp(c.mac.addr, mac, 6));
	CHECK(t, c.ports.n == 3 && !strcmp(c.ports.v[2], "three"));
	CHECK_EQ(t, opt_check(table, &c, NULL), 0);
	opt_free(table, &c);
	CHECK(t, !c.image && !c.ports.n);
}

static void test_bad_values(struct tap *t)
{
	static const struct {
		const char *key, *value;
		int code;
		const char *says;
	} bad[] = {
		{ "on", "maybe", -EINVAL, "true or false" },
		{ "cpus", "0", -EINVAL, "from 1 to 64" },
		{ "cpus", "65", -EINVAL, "from 1 to 64" },
		{ "cpus", "-1", -EINVAL, "'-1'" },
		{ "cpus", "2x", -EINVAL, "'2x'" },
		{ "memory", "99999999999T", -EINVAL, "K, M, G or T" },
		{ "memory", "1MX", -EINVAL, "memory" },
		{ "cache", "wb", -EINVAL, "one of writeback, writethrough" },
		{ "mac", "52:54:00:ab:cd", -EINVAL, "six hexadecimal bytes" },
		{ "mac", "52:54:00:ab:cd:ef:01", -EINVAL, "six hexadecimal bytes" },
		{ "limit", "soon", -EINVAL, "a time from 10 to 60000 ms, as in 10s, 500ms or 2m" },
		{ "limit", "9ms", -EINVAL, "a time from 10" },
		{ "limit", "2m", -EINVAL, "to 60000 ms" },
		{ "limit", "99999999999999999999", -EINVAL, "a time" },
		{ "limit", "-1s", -EINVAL, "a time" },
		{ "memroy", "1M", -ENOENT, "did you mean 'memory'" },
		{ "zzzzzz", "1M", -ENOENT, "possible: on, cpus, memory" },
	};
	struct conf c = { 0 };

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { 0 };

		CHECK_EQ(t, opt_set(table, &c, bad[i].key, bad[i].value, &e), bad[i].code);
		if (!CHECK(t, strstr(e.msg, bad[i].says)))
			printf("# message: %s\n", e.msg);
	}
	opt_free(table, &c);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, test_values);
	TAP_RUN(&t, test_bad_values);
	return tap_done(&t);
}
