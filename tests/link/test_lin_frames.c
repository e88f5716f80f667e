/* SPDX-License-Identifier: BSD-3-Clause */
/* LIN frames of guests/lin: identifiers and checksums as the standard has them, and the reader. */
#include <string.h>

#include "base/util.h"
#include "guests/lin/lin.h"
#include "tap.h"

static const struct lin_frame frames[] = { { 0x20, 2 }, { 0x21, 8 }, { 0x3c, 8 }, { 0x10, 0 } };

static void pids(struct tap *t)
{
	static const uint8_t known[][2] = { { 0x00, 0x80 }, { 0x01, 0xc1 }, { 0x02, 0x42 },
		{ 0x10, 0x50 }, { 0x20, 0x20 }, { 0x21, 0x61 }, { 0x22, 0xe2 }, { 0x3c, 0x3c },
		{ 0x3d, 0x7d }, { 0x3e, 0xfe }, { 0x3f, 0xbf } };

	for (unsigned i = 0; i < ARRAY_LEN(known); i++)
		CHECK_EQ(t, lin_pid(known[i][0]), known[i][1]);
}

/* The standard's example: the bytes 4a 55 93 e5 have e6, as data alone or with an identifier. */
static void checksums(struct tap *t)
{
	static const uint8_t data[] = { 0x4a, 0x55, 0x93, 0xe5 };

	CHECK_EQ(t, lin_checksum(0x4a, data + 1, 3), 0xe6);
	CHECK_EQ(t, lin_checksum(0x3c, data, 4), 0xe6);
	CHECK_EQ(t, lin_checksum(0x7d, data, 4), 0xe6);
	CHECK_EQ(t, lin_checksum(0x80, NULL, 0), 0x7f);
}

/* Feeds all; the last event that was one. */
static enum lin_event feed(struct lin_reader *r, const uint8_t *bytes, unsigned n)
{
	enum lin_event last = LIN_NOTHING, e;

	for (unsigned i = 0; i < n; i++) {
		e = lin_read(r, bytes[i]);
		last = e ? e : last;
	}
	return last;
}

static unsigned make(uint8_t *to, unsigned frame, const uint8_t *data)
{
	unsigned n = lin_header(to, frames[frame].id);

	return n + lin_response(to + n, &frames[frame], data);
}

static void whole_frames(struct tap *t)
{
	/* Data that looks like a header is data. */
	static const uint8_t data[8] = { 0x00, 0x55, 0x20, 0x00, 0x55, 0x61, 0xff, 0x00 };
	struct lin_reader r = { .frames = frames, .nframes = ARRAY_LEN(frames) };
	uint8_t bytes[16];

	for (unsigned round = 0; round < 3; round++)
		for (unsigned f = 0; f < ARRAY_LEN(frames); f++) {
			unsigned n = make(bytes, f, data);

			CHECK_EQ(t, n, 4 + frames[f].len);
			CHECK_EQ(t, feed(&r, bytes, 3), LIN_GOT_HEADER);
			CHECK_EQ(t, feed(&r, bytes + 3, n - 3), LIN_GOT_FRAME);
			CHECK(t, r.frame == &frames[f]);
			CHECK(t, !memcmp(r.data, data, frames[f].len));
		}
}

static void wrong_frames(struct tap *t)
{
	static const uint8_t data[2] = { 12, 34 };
	struct lin_reader r = { .frames = frames, .nframes = ARRAY_LEN(frames) };
	uint8_t bytes[16];

	make(bytes, 0, data);
	bytes[4] ^= 1;
	CHECK_EQ(t, feed(&r, bytes, 6), LIN_BAD_CHECKSUM);
	make(bytes, 0, data);
	bytes[2] ^= 0x80;
	CHECK_EQ(t, feed(&r, bytes, 3), LIN_BAD_PARITY);
	bytes[1] = 0x54;
	CHECK_EQ(t, feed(&r, bytes, 2), LIN_BAD_SYNC);
	lin_header(bytes, 0x05);
	CHECK_EQ(t, feed(&r, bytes, 3), LIN_UNKNOWN);
	/* Bytes outside a frame, and a frame that breaks off. */
	CHECK_EQ(t, feed(&r, (const uint8_t *)"\x12\x34\x55", 3), LIN_NOTHING);
	make(bytes, 0, data);
	feed(&r, bytes, 4);
	lin_silence(&r);
	CHECK_EQ(t, feed(&r, bytes, 6), LIN_GOT_FRAME);
}

/* Any bytes in any order. */
static void noise(struct tap *t)
{
	struct lin_reader r = { .frames = frames, .nframes = ARRAY_LEN(frames) };
	uint32_t rnd = 1;
	unsigned ended = 0;

	for (unsigned i = 0; i < 200000; i++) {
		uint8_t byte;

		rnd = rnd * 1664525 + 1013904223;
		byte = (uint8_t)(rnd >> 24);
		/* Often enough what begins a frame. */
		byte = byte < 80 ? 0x00 : byte < 160 ? 0x55 : byte < 200 ? 0x20 : byte;
		ended += lin_read(&r, byte) > LIN_GOT_HEADER;
	}
	CHECK(t, ended > 1000);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, pids);
	TAP_RUN(&t, checksums);
	TAP_RUN(&t, whole_frames);
	TAP_RUN(&t, wrong_frames);
	TAP_RUN(&t, noise);
	return tap_done(&t);
}
