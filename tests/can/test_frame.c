/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames: their length on the wire against figures worked out by hand, arbitration, and text. */
#include <string.h>

#include "host/can_frame.h"
#include "tap.h"

static struct canfd_frame frame(const char *text)
{
	struct canfd_frame f;
	const char *end;
	struct err e = { 0 };

	if (can_frame_parse(text, &end, &f, &e))
		printf("# %s\n", e.msg);
	return f;
}

static unsigned bits(const char *text)
{
	const struct canfd_frame f = frame(text);
	struct can_bits b = can_frame_bits(&f);

	return b.nominal + b.data;
}

/*
 * A second way to count: the whole stuffed region as a text of bits, with a table-free CRC, then
 * stuffed in a pass of its own.
 */
static unsigned reference(const struct canfd_frame *f)
{
	char s[256];
	unsigned n = 0, crc = 0, stuffed = 0, run = 0, eff = !!(f->can_id & CAN_EFF_FLAG);
	unsigned rtr = !!(f->can_id & CAN_RTR_FLAG);
	char last = 1;

	s[n++] = 0;
	for (int i = eff ? 28 : 10; i >= (eff ? 18 : 0); i--)
		s[n++] = f->can_id >> i & 1;
	if (eff) {
		s[n++] = 1;
		s[n++] = 1;
		for (int i = 17; i >= 0; i--)
			s[n++] = f->can_id >> i & 1;
		s[n++] = (char)rtr;
		s[n++] = 0;
		s[n++] = 0;
	} else {
		s[n++] = (char)rtr;
		s[n++] = 0;
		s[n++] = 0;
	}
	for (int i = 3; i >= 0; i--)
		s[n++] = f->len >> i & 1;
	for (unsigned i = 0; i < (rtr ? 0u : f->len) * 8; i++)
		s[n++] = f->data[i / 8] >> (7 - i % 8) & 1;
	for (unsigned i = 0; i < n; i++) {
		unsigned x = (unsigned)s[i] ^ (crc >> 14);

		crc = (crc << 1 & 0x7fff) ^ (x & 1 ? 0x4599 : 0);
	}
	for (int i = 14; i >= 0; i--)
		s[n++] = crc >> i & 1;
	for (unsigned i = 0; i < n; i++) {
		run = s[i] == last ? run + 1 : 1;
		last = s[i];
		if (run == 5) {
			stuffed++;
			last = !last;
			run = 1;
		}
	}
	return n + stuffed + 10;
}

static void classic_lengths(struct tap *t)
{
	/* Without stuff bits a data frame has 44 + 8n bits, extended 64 + 8n. */
	CHECK(t, bits("555#") >= 44 && bits("555#") <= 44 + 8);
	/* All bits equal in the data: one stuff bit for five, then for each four. */
	CHECK(t, bits("000#0000000000000000") > 44 + 64 + 15);
	/* The worst case of n stuffed bits is (n - 1) / 4 more. */
	for (unsigned i = 0; i < 5000; i++) {
		struct canfd_frame f = { .can_id = (i * 2654435761u) & CAN_SFF_MASK, .len = i % 9 };
		struct can_bits b;

		if (i & 1)
			f.can_id = ((i * 2654435761u) & CAN_EFF_MASK) | CAN_EFF_FLAG;
		if (i % 7 == 3)
			f.can_id |= CAN_RTR_FLAG;
		for (unsigned k = 0; k < f.len; k++)
			f.data[k] = (uint8_t)(i % 3 ? (i * 31 + k * 77) >> (i % 5)
						    : (i & 4 ? 0xff : 0));
		b = can_frame_bits(&f);
		CHECK_EQ(t, b.nominal, reference(&f));
		CHECK_EQ(t, b.data, 0);
	}
}

static void fd_lengths(struct tap *t)
{
	struct canfd_frame f = frame("555##1");
	struct can_bits b = can_frame_bits(&f);

	/* Start, identifier, RRS, IDE, FDF, reserved, BRS: 17 bits, with no run of five in them
	 * (0 10101010101 0 0 1 0 1); and the last 9. */
	CHECK_EQ(t, b.nominal, 17 + 9);
	/* ESI and DLC: 1 0 | 0 0 0 0 ends in a run of five, which the fixed stuff bit ends; then 4
	 * bits of stuff count, CRC-17, six fixed stuff bits, the delimiter. */
	CHECK_EQ(t, b.data, 5 + 27 + 1);
	/* CRC-21 from 20 bytes on. */
	f = frame("555##155AA55AA55AA55AA55AA55AA55AA55AA");
	b = can_frame_bits(&f);
	CHECK_EQ(t, f.len, 16);
	CHECK_EQ(t, b.data, 5 + 128 + 27 + 1);
	f = frame("555##155AA55AA55AA55AA55AA55AA55AA55AA55AA55AA");
	b = can_frame_bits(&f);
	CHECK_EQ(t, b.data, 5 + 160 + 32 + 1);
	/* Without the switch all is at one rate. */
	f = frame("555##0");
	b = can_frame_bits(&f);
	CHECK_EQ(t, b.data, 0);
	CHECK(t, b.nominal >= 17 + 9 + 33);
}

static uint32_t key(const char *text)
{
	const struct canfd_frame f = frame(text);

	return can_arbitration(&f);
}

/* In the order in which they win. */
static void arbitration(struct tap *t)
{
	static const char *const order[] = { "000#11", "001#R", "0FF#00", "0FF#R", "03FC0000#00",
		"03FC0001#00", "100#00", "7FF#R", "1FFFFFFF#00", "1FFFFFFF#R" };

	for (unsigned i = 1; i < sizeof(order) / sizeof(*order); i++) {
		if (!CHECK(t, key(order[i - 1]) < key(order[i])))
			printf("# %s against %s\n", order[i - 1], order[i]);
	}
	CHECK_EQ(t, key("123#00"), key("123##0"));
}

static void text_round_trip(struct tap *t)
{
	static const char *const texts[] = { "123#", "123#DEADBEEF", "7FF#R", "001#R8",
		"1FFFFFFF#0102030405060708", "00000123#AA", "123##1",
		"12345678##3AABBCCDDEEFF001122334455", "123##0AABB" };
	char buf[256];

	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		const struct canfd_frame f = frame(texts[i]);

		CHECK(t, can_frame_valid(&f));
		CHECK_EQ(t, can_frame_text(buf, sizeof(buf), &f), strlen(texts[i]));
		if (!CHECK(t, !strcmp(buf, texts[i])))
			printf("# %s became %s\n", texts[i], buf);
	}
	/* As cansend writes it: points; a DLC above 8; lengths that CAN FD does not have. */
	CHECK_EQ(t, frame("123#11.22.33").len, 3);
	CHECK_EQ(t, frame("123#1122334455667788_F").len, 8);
	CHECK_EQ(t, frame("123##0112233445566778899").len, 12);
}

static void bad_text(struct tap *t)
{
	static const char *const texts[] = { "", "#", "12#11", "1234#11", "800#11", "123", "123#1",
		"123#112233445566778899", "123#GG", "123##", "FFFFFFFF#00", "123456789#00",
		"123#R9", "123#11x", "xyz#11" };
	struct canfd_frame f;
	const char *end;
	char buf[256], longest[200] = "123##0";
	struct err e = { 0 };

	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (!CHECK(t, can_frame_parse(texts[i], &end, &f, &e) < 0))
			printf("# '%s' was accepted\n", texts[i]);
	}
	memset(longest + 6, 'A', 128);
	CHECK_EQ(t, can_frame_parse(longest, &end, &f, NULL), 0);
	CHECK_EQ(t, f.len, 64);
	CHECK(t, can_log_line(buf, 1436509052249713000u, "vcan0", &f) < CAN_LOG_LINE_MAX);
	strcat(longest, "AA");
	CHECK(t, can_frame_parse(longest, &end, &f, NULL) < 0);
}

static void log_line(struct tap *t)
{
	const struct canfd_frame f = frame("044#2A366C2BBA");
	char buf[CAN_LOG_LINE_MAX];
	size_t n = can_log_line(buf, 1436509052249713999u, "vcan0", &f);

	buf[n] = 0;
	CHECK(t, !strcmp(buf, "(1436509052.249713) vcan0 044#2A366C2BBA\n"));
}

static bool passes(const char *const *words, unsigned n, const char *text)
{
	const struct opt_list list = { (char **)(uintptr_t)words, n };
	const struct canfd_frame f = frame(text);
	struct can_filters set;

	if (can_filters_parse(&set, &list, "filters", NULL))
		return false;
	return can_filters_pass(&set, f.can_id);
}

static void filters(struct tap *t)
{
	static const char *const one[] = { "123:7FF" }, *const two[] = { "123:7FF", "200:700" };
	static const char *const not [] = { "123~7FF" }, *const eff[] = { "00000123:DFFFFFFF" };
	static const char *const sff[] = { "123:C00007FF" };
	static const char *const bad[] = { "", "123", "123:", ":7FF", "123:7FFx", "1234567890:7",
		"123:123456789", "20000000:7FF", "xyz:7FF" };

	CHECK(t, passes(NULL, 0, "123#"));
	CHECK(t, passes(one, 1, "123#") && !passes(one, 1, "124#"));
	/* As in candump: only the bits of the mask count. */
	CHECK(t, passes(one, 1, "00000923#") && !passes(sff, 1, "00000923#"));
	CHECK(t, passes(sff, 1, "123#") && !passes(sff, 1, "123#R"));
	CHECK(t, passes(eff, 1, "00000123#") && !passes(eff, 1, "123#"));
	CHECK(t, passes(two, 2, "2FF#") && passes(two, 2, "123#") && !passes(two, 2, "300#"));
	CHECK(t, !passes(not, 1, "123#") && passes(not, 1, "124#"));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const struct opt_list list = { (char **)(uintptr_t)&bad[i], 1 };
		struct can_filters set;

		CHECK(t, can_filters_parse(&set, &list, "filters", NULL) < 0);
	}
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, classic_lengths);
	TAP_RUN(&t, fd_lengths);
	TAP_RUN(&t, arbitration);
	TAP_RUN(&t, text_round_trip);
	TAP_RUN(&t, bad_text);
	TAP_RUN(&t, log_line);
	TAP_RUN(&t, filters);
	return tap_done(&t);
}
