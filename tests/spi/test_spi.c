/* SPDX-License-Identifier: BSD-3-Clause */
/* The SPI controller device with simulated chips: parameters, transfers, chip select, flash. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "base/words.h"
#include "bus.h"
#include "devices/devices.h"
#include "lib/device_test.h"
#include "lib/ring_cases.h"

static uint64_t ring; /* layout of this run of the cases */

/* A loopback at 0, a flash at 1, nothing at 2; everything is supported. */
static void open_all(struct tap *t, struct bus *r)
{
	static const char *const keys[20] = { "devices", "0 loopback", "devices",
		"1 flash size=64K", "chip-selects", "3", "bits-per-word", "any", "functions",
		"cs-high,lsb-first,loop" };

	bus_open(t, r, ring, keys);
}

/* The plainest: a loopback and nothing besides. */
static void open_plain(struct tap *t, struct bus *r)
{
	static const char *const keys[20] = { "devices", "0 loopback", "cs-change", "false",
		"max-frequency", "1000000" };

	bus_open(t, r, ring, keys);
}

/* Parameters. */

static void configuration(struct tap *t)
{
	static const char *const keys[20] = { "devices", "4 loopback", "tx-nbits", "2,8",
		"bits-per-word", "8,16,32", "max-frequency", "25000000", "max-word-delay", "1000",
		"max-cs-hold", "3000" };
	struct spi_config c;
	struct bus r;

	bus_open(t, &r, ring, keys);
	CHECK_EQ(t, vhud_config_read(r.d, 0, &c, sizeof(c)), 0);
	CHECK(t, c.cs_max_number == 5 && c.cs_change_supported == 1);
	CHECK(t, c.tx_nbits_supported == 5 && c.rx_nbits_supported == 0);
	CHECK_EQ(t, c.bits_per_word_mask, 0x80008080u);
	CHECK_EQ(t, c.mode_func_supported, 0x0f);
	CHECK_EQ(t, c.max_freq_hz, 25000000);
	CHECK(t, c.max_word_delay_ns == 1000 && c.max_cs_hold_ns == 3000);
	CHECK(t, c.max_cs_setup_ns == 0 && c.max_cs_inactive_ns == 0);
	bus_close(&r);
	open_all(t, &r);
	CHECK_EQ(t, vhud_config_read(r.d, 0, &c, sizeof(c)), 0);
	CHECK(t,
		c.cs_max_number == 3 && c.bits_per_word_mask == 0 && c.mode_func_supported == 0x7f);
	bus_close(&r);
}

/* What is not supported is a parameter error, whatever it is. */
static void unsupported_parameters(struct tap *t)
{
	static const struct spi_transfer_head bad[] = {
		{ .bits_per_word = 8, .chip_select_id = 1 },
		{ .bits_per_word = 8, .chip_select_id = 255 },
		{ .bits_per_word = 0 },
		{ .bits_per_word = 7 },
		{ .bits_per_word = 9 },
		{ .bits_per_word = 16 },
		{ .bits_per_word = 33 },
		{ .bits_per_word = 255 },
		{ .bits_per_word = 8, .cs_change = 1 },
		{ .bits_per_word = 8, .tx_nbits = 2 },
		{ .bits_per_word = 8, .tx_nbits = 3 },
		{ .bits_per_word = 8, .rx_nbits = 4 },
		{ .bits_per_word = 8, .rx_nbits = 16 },
		{ .bits_per_word = 8, .reserved = { 1 } },
		{ .bits_per_word = 8, .reserved = { 0, 0, 0x80 } },
		{ .bits_per_word = 8, .mode = SPI_MODE_CS_HIGH },
		{ .bits_per_word = 8, .mode = SPI_MODE_LSB_FIRST },
		{ .bits_per_word = 8, .mode = SPI_MODE_LOOP },
		{ .bits_per_word = 8, .mode = 0x20 },
		{ .bits_per_word = 8, .mode = 0x80000000 },
		{ .bits_per_word = 8, .freq = 1000001 },
		{ .bits_per_word = 8, .word_delay_ns = 1 },
		{ .bits_per_word = 8, .cs_setup_ns = 1 },
		{ .bits_per_word = 8, .cs_delay_hold_ns = 1 },
		{ .bits_per_word = 8, .cs_change_delay_inactive_ns = UINT32_MAX },
	};
	uint8_t in[4];
	struct bus r;

	open_plain(t, &r);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		r.head = bad[i];
		memset(in, 1, sizeof(in));
		CHECK_EQ(t, bus_transfer(&r, "abcd", in, 4), SPI_PARAM_ERR);
		CHECK(t, in[0] == 0 && in[3] == 0);
	}
	r.head = (struct spi_transfer_head){
		.bits_per_word = 8, .mode = 3, .freq = 1000000, .tx_nbits = 1, .rx_nbits = 1
	};
	CHECK_EQ(t, bus_transfer(&r, "abcd", in, 4), SPI_TRANS_OK);
	CHECK(t, !memcmp(in, "abcd", 4));
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "param_errors"), ARRAY_LEN(bad));
	bus_close(&r);
}

/* Full duplex of two lengths, no data at all, part of a word, part of a head. */
static void wrong_lengths(struct tap *t)
{
	uint8_t out[64] = { [1] = 8 }, in[8];
	struct bus r;

	open_all(t, &r);
	for (unsigned tx = 1; tx < 8; tx++)
		for (unsigned rx = 1; rx < 7; rx++) {
			in[rx] = SPI_NONE;
			CHECK_EQ(t, vhud_do(r.d, 0, out, 32 + tx, in, rx + 1), rx + 1);
			CHECK_EQ(t, in[rx], tx == rx ? SPI_TRANS_OK : SPI_PARAM_ERR);
		}
	CHECK_EQ(t, vhud_do(r.d, 0, out, 32, in, 1), 1);
	CHECK_EQ(t, in[0], SPI_PARAM_ERR);
	for (unsigned len = 0; len < 32; len++) {
		in[0] = SPI_NONE;
		CHECK_EQ(t, vhud_do(r.d, 0, out, len, in, 1), 1);
		CHECK_EQ(t, in[0], SPI_PARAM_ERR);
	}
	r.head.bits_per_word = 12;
	CHECK_EQ(t, bus_transfer(&r, out, NULL, 3), SPI_PARAM_ERR);
	CHECK_EQ(t, bus_transfer(&r, out, NULL, 4), SPI_TRANS_OK);
	r.head.bits_per_word = 17;
	CHECK_EQ(t, bus_transfer(&r, out, NULL, 6), SPI_PARAM_ERR);
	CHECK_EQ(t, bus_transfer(&r, out, NULL, 8), SPI_TRANS_OK);
	bus_close(&r);
}

static void no_room_for_a_result_needs_a_reset(struct tap *t)
{
	uint8_t in[4];
	struct bus r;

	open_all(t, &r);
	struct iovec iov = { vhud_alloc(r.d, 64), 40 };

	CHECK_EQ(t, vhud_add(r.d, 0, &iov, 1, 0, NULL), 0);
	vhud_kick(r.d, 0);
	CHECK(t, vhud_needs_reset(r.d));
	CHECK_EQ(t, vhud_reset(r.d), 0);
	bus_start(t, &r, ring);
	CHECK_EQ(t, bus_transfer(&r, "abcd", in, 4), SPI_TRANS_OK);
	bus_close(&r);
}

static void nothing_at_a_chip_select(struct tap *t)
{
	struct bus r;

	open_all(t, &r);
	r.head.chip_select_id = 2;
	CHECK_EQ(t, bus_transfer(&r, "abcd", NULL, 4), SPI_TRANS_ERR);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "denied"), 1);
	bus_close(&r);
}

/* Transfers. */

static void loopback(struct tap *t)
{
	static uint8_t out[70000], in[70000];
	struct bus r;

	open_all(t, &r);
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + i / 255);
	CHECK_EQ(t, bus_transfer(&r, out, in, sizeof(out)), SPI_TRANS_OK);
	CHECK(t, !memcmp(out, in, sizeof(out)));
	CHECK_EQ(t, bus_transfer(&r, out, NULL, 10), SPI_TRANS_OK);
	CHECK_EQ(t, bus_transfer(&r, NULL, in, 10), SPI_TRANS_OK);
	for (unsigned i = 0; i < 10; i++)
		CHECK_EQ(t, in[i], 0);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "tx_bytes"), sizeof(out) + 10);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "rx_bytes"), sizeof(out) + 10);
	bus_close(&r);
}

/* Bits that a word does not have are not sent. */
static void loopback_of_words(struct tap *t)
{
	static const struct {
		uint8_t bits;
		uint32_t mask;
	} words[] = { { 1, 0x01010101 }, { 7, 0x7f7f7f7f }, { 8, 0xffffffff }, { 9, 0x01ff01ff },
		{ 12, 0x0fff0fff }, { 16, 0xffffffff }, { 17, 0x0001ffff }, { 24, 0x00ffffff },
		{ 31, 0x7fffffff }, { 32, 0xffffffff } };
	struct bus r;

	open_all(t, &r);
	for (unsigned i = 0; i < ARRAY_LEN(words); i++)
		for (uint32_t lsb = 0; lsb < 2; lsb++) {
			uint32_t out[2] = { 0xffffffff, 0xffffffff }, in[2] = { 0 };

			r.head.bits_per_word = words[i].bits;
			r.head.mode = lsb * SPI_MODE_LSB_FIRST;
			CHECK_EQ(t, bus_transfer(&r, out, in, 8), SPI_TRANS_OK);
			CHECK(t, in[0] == words[i].mask && in[1] == words[i].mask);
		}
	bus_close(&r);
}

/* The controller's own loop, with any chip. */
static void loop_mode(struct tap *t)
{
	uint8_t in[4];
	struct bus r;

	open_all(t, &r);
	r.head.chip_select_id = 1;
	r.head.mode = SPI_MODE_LOOP;
	CHECK_EQ(t, bus_transfer(&r, "\x9f\0\0\0", in, 4), SPI_TRANS_OK);
	CHECK(t, !memcmp(in, "\x9f\0\0\0", 4));
	bus_close(&r);
}

static void delays_take_their_time(struct tap *t)
{
	static const char *const keys[20] = { "devices", "0 loopback", "max-word-delay", "1000000",
		"max-cs-setup", "1000000000", "max-cs-hold", "1000000000", "max-cs-inactive",
		"1000000000" };
	const uint64_t ms = 1000000;
	uint64_t began;
	uint8_t in[11];
	struct bus r;

	bus_open(t, &r, ring, keys);
	r.head.cs_setup_ns = 20 * ms;
	r.head.word_delay_ns = ms;
	r.head.cs_delay_hold_ns = 15 * ms;
	r.head.cs_change_delay_inactive_ns = 25 * ms;
	r.head.cs_change = 1;
	began = ev_now_ns();
	CHECK_EQ(t, bus_transfer(&r, "abcdefghijk", in, 11), SPI_TRANS_OK);
	CHECK(t, !memcmp(in, "abcdefghijk", 11));
	CHECK(t, ev_now_ns() - began >= (20 + 10 + 15 + 25) * ms);
	/* A reset does not wait for them. */
	r.head.cs_delay_hold_ns = r.head.cs_change_delay_inactive_ns = 1000 * ms;
	struct iovec iov[2] = { { vhud_alloc(r.d, 64), 33 }, { vhud_alloc(r.d, 64), 1 } };

	memcpy(iov[0].iov_base, &r.head, sizeof(r.head));
	CHECK_EQ(t, vhud_add(r.d, 0, iov, 1, 1, NULL), 0);
	vhud_kick(r.d, 0);
	CHECK_EQ(t, vhud_reset(r.d), 0);
	bus_start(t, &r, ring);
	CHECK_EQ(t, bus_transfer(&r, "a", in, 1), SPI_TRANS_OK);
	bus_close(&r);
}

/* Flash. */

#define CS_END	1
#define CS_KEEP 0

/* A command's transfers; `change` of the last one. */
static void command(struct tap *t, struct bus *r, const void *out, uint32_t out_len, void *in,
	uint32_t in_len, uint8_t change)
{
	r->head.chip_select_id = 1;
	r->head.cs_change = in_len ? CS_KEEP : change;
	CHECK_EQ(t, bus_transfer(r, out, NULL, out_len), SPI_TRANS_OK);
	r->head.cs_change = change;
	if (in_len)
		CHECK_EQ(t, bus_transfer(r, NULL, in, in_len), SPI_TRANS_OK);
}

static uint8_t status(struct tap *t, struct bus *r, uint8_t change)
{
	uint8_t sr = 0xff;

	command(t, r, "\x05", 1, &sr, 1, change);
	return sr;
}

/* All that a driver does with a flash, with the end of each command said or not. */
static void use_flash(struct tap *t, uint8_t change)
{
	uint8_t in[300], page[4 + 256] = { 0x02, 0x00, 0x12, 0x00 };
	struct bus r;

	open_all(t, &r);
	command(t, &r, "\x9f", 1, in, 3, change);
	CHECK(t, in[0] == 0xef && in[1] == 0x40 && in[2] == 16);
	CHECK_EQ(t, status(t, &r, change), 0);
	for (unsigned i = 0; i < 256; i++)
		page[4 + i] = (uint8_t)i;
	/* Without write enable nothing happens. */
	command(t, &r, page, sizeof(page), NULL, 0, change);
	command(t, &r, "\x03\x00\x12\x00", 4, in, 2, change);
	CHECK(t, in[0] == 0xff && in[1] == 0xff);
	command(t, &r, "\x06", 1, NULL, 0, change);
	CHECK_EQ(t, status(t, &r, change), 2);
	command(t, &r, page, sizeof(page), NULL, 0, change);
	CHECK_EQ(t, status(t, &r, change), 0);
	command(t, &r, "\x03\x00\x11\xff", 4, in, 258, change);
	CHECK(t, in[0] == 0xff && !memcmp(in + 1, page + 4, 256) && in[257] == 0xff);
	command(t, &r, "\x0b\x00\x12\x10\x00", 5, in, 4, change);
	CHECK(t, in[0] == 0x10 && in[3] == 0x13);
	/* Programming clears bits only, and wraps in its page. */
	command(t, &r, "\x06", 1, NULL, 0, change);
	command(t, &r, "\x02\x00\x12\xfe\x0f\x0f\xf0", 7, NULL, 0, change);
	command(t, &r, "\x03\x00\x12\xfe", 4, in, 2, change);
	CHECK(t, in[0] == (0xfe & 0x0f) && in[1] == (0xff & 0x0f));
	command(t, &r, "\x03\x00\x12\x00", 4, in, 1, change);
	CHECK_EQ(t, in[0], 0x00 & 0xf0);
	/* Erasing the sector and what is around it. */
	command(t, &r, "\x06", 1, NULL, 0, change);
	command(t, &r, "\x20\x00\x13\x45", 4, NULL, 0, change);
	command(t, &r, "\x03\x00\x12\x00", 4, in, 256, change);
	for (unsigned i = 0; i < 256; i++)
		CHECK_EQ(t, in[i], 0xff);
	/* Reading goes on from the first byte behind the last one. */
	command(t, &r, "\x06", 1, NULL, 0, change);
	command(t, &r, "\x02\x00\x00\x00\x5a", 5, NULL, 0, change);
	command(t, &r, "\x03\x00\xff\xff", 4, in, 2, change);
	CHECK(t, in[0] == 0xff && in[1] == 0x5a);
	command(t, &r, "\x06", 1, NULL, 0, change);
	command(t, &r, "\xc7", 1, NULL, 0, change);
	command(t, &r, "\x03\x00\x00\x00", 4, in, 1, change);
	CHECK_EQ(t, in[0], 0xff);
	command(t, &r, "\x06", 1, NULL, 0, change);
	command(t, &r, "\x04", 1, NULL, 0, change);
	CHECK_EQ(t, status(t, &r, change), 0);
	bus_close(&r);
}

static void flash_with_cs_change(struct tap *t)
{
	use_flash(t, CS_END);
}

/* Linux never asks for the chip to be deselected. */
static void flash_without_cs_change(struct tap *t)
{
	use_flash(t, CS_KEEP);
}

/* Linux sends opcode, address and data as transfers of their own. */
static void flash_in_many_transfers(struct tap *t)
{
	uint8_t in[4];
	struct bus r;

	open_all(t, &r);
	r.head.chip_select_id = 1;
	CHECK_EQ(t, bus_transfer(&r, "\x06", NULL, 1), SPI_TRANS_OK);
	CHECK_EQ(t, bus_transfer(&r, "\x02", NULL, 1), SPI_TRANS_OK);
	CHECK_EQ(t, bus_transfer(&r, "\0\1\0", NULL, 3), SPI_TRANS_OK);
	CHECK_EQ(t, bus_transfer(&r, "wxyz", NULL, 4), SPI_TRANS_OK);
	CHECK_EQ(t, bus_transfer(&r, "\x0b", NULL, 1), SPI_TRANS_OK);
	CHECK_EQ(t, bus_transfer(&r, "\0\1\0", NULL, 3), SPI_TRANS_OK);
	CHECK_EQ(t, bus_transfer(&r, "\0", NULL, 1), SPI_TRANS_OK);
	CHECK_EQ(t, bus_transfer(&r, NULL, in, 4), SPI_TRANS_OK);
	CHECK(t, !memcmp(in, "wxyz", 4));
	/* In full duplex, the answer behind the command. */
	CHECK_EQ(t, bus_transfer(&r, "\x9f\0\0\0", in, 4), SPI_TRANS_OK);
	CHECK(t, in[1] == 0xef && in[2] == 0x40 && in[3] == 16);
	CHECK_EQ(t, bus_transfer(&r, "\x05\0", in, 2), SPI_TRANS_OK);
	CHECK_EQ(t, in[1], 0);
	bus_close(&r);
}

/* Once it has been used, only cs_change ends a command: data may come in several transfers. */
static void flash_data_in_parts(struct tap *t)
{
	uint8_t in[8];
	struct bus r;

	open_all(t, &r);
	command(t, &r, "\x06", 1, NULL, 0, CS_END);
	r.head.cs_change = CS_KEEP;
	CHECK_EQ(t, bus_transfer(&r, "\x02\0\0\0ab", NULL, 6), SPI_TRANS_OK);
	CHECK_EQ(t, bus_transfer(&r, "cd", NULL, 2), SPI_TRANS_OK);
	r.head.cs_change = CS_END;
	CHECK_EQ(t, bus_transfer(&r, "efgh", NULL, 4), SPI_TRANS_OK);
	command(t, &r, "\x03\0\0\0", 4, in, 8, CS_END);
	CHECK(t, !memcmp(in, "abcdefgh", 8));
	/* Another chip ends it, too. */
	command(t, &r, "\x06", 1, NULL, 0, CS_KEEP);
	r.head.chip_select_id = 0;
	CHECK_EQ(t, bus_transfer(&r, "x", NULL, 1), SPI_TRANS_OK);
	CHECK_EQ(t, status(t, &r, CS_END), 2);
	bus_close(&r);
}

/* Words of 16 and 32 bits go over the wire with their upper byte first; or bits in reverse. */
static void flash_and_words(struct tap *t)
{
	uint16_t out16[2] = { 0x9f00, 0 }, in16[2] = { 0 };
	uint32_t out32 = 0x9f000000, in32 = 0;
	uint8_t out[4] = { 0xf9, 0, 0, 0 }, in[4] = { 0 };
	struct bus r;

	open_all(t, &r);
	r.head.chip_select_id = 1;
	r.head.cs_change = CS_END;
	r.head.bits_per_word = 16;
	CHECK_EQ(t, bus_transfer(&r, out16, in16, 4), SPI_TRANS_OK);
	CHECK(t, (in16[0] & 0xff) == 0xef && in16[1] == 0x4010);
	r.head.bits_per_word = 32;
	CHECK_EQ(t, bus_transfer(&r, &out32, &in32, 4), SPI_TRANS_OK);
	CHECK_EQ(t, in32 & 0xffffff, 0xef4010);
	r.head.bits_per_word = 8;
	r.head.mode = SPI_MODE_LSB_FIRST;
	CHECK_EQ(t, bus_transfer(&r, out, in, 4), SPI_TRANS_OK);
	CHECK(t, in[1] == 0xf7 && in[2] == 0x02 && in[3] == 0x08);
	/* To other words it has no answer. */
	r.head.mode = 0;
	r.head.bits_per_word = 12;
	CHECK_EQ(t, bus_transfer(&r, out, in, 4), SPI_TRANS_ERR);
	bus_close(&r);
}

static void flash_tells_its_parameters(struct tap *t)
{
	uint8_t in[80], id[2];
	struct bus r;

	open_all(t, &r);
	command(t, &r, "\x5a\0\0\0\0", 5, in, 80, CS_END);
	CHECK(t, !memcmp(in, "SFDP\x06\x01\0\xff\0\x06\x01\x10\x10\0\0\xff", 16));
	CHECK(t, !memcmp(in + 16, "\xe5\x20\x80\xff\xff\xff\x07\0", 8)); /* 512 Kibit */
	CHECK(t, !memcmp(in + 44, "\x0c\x20\x0f\x52\x10\xd8\0\0", 8));
	command(t, &r, "\x5a\0\0\x50\0", 5, in, 2, CS_END);
	CHECK(t, in[0] == 0xff && in[1] == 0xff);
	command(t, &r, "\x90\0\0\0", 4, id, 2, CS_END);
	CHECK(t, id[0] == 0xef && id[1] == 15);
	command(t, &r, "\xab\0\0\0", 4, id, 1, CS_END);
	CHECK_EQ(t, id[0], 15);
	/* No bit of the status registers can be set. */
	command(t, &r, "\x06", 1, NULL, 0, CS_END);
	command(t, &r, "\x01\xff\xff", 3, NULL, 0, CS_END);
	CHECK_EQ(t, status(t, &r, CS_END), 0);
	command(t, &r, "\x35", 1, id, 1, CS_END);
	CHECK_EQ(t, id[0], 0);
	/* A command that it does not know. */
	command(t, &r, "\x3c\1\2", 3, id, 2, CS_END);
	CHECK(t, id[0] == 0xff && id[1] == 0xff);
	bus_close(&r);
}

static void flash_is_busy(struct tap *t)
{
	static const char *const keys[20] = { "devices", "1 flash size=64K erase-time=60ms" };
	uint64_t began;
	uint8_t in[3];
	struct bus r;

	bus_open(t, &r, ring, keys);
	command(t, &r, "\x06", 1, NULL, 0, CS_END);
	began = ev_now_ns();
	command(t, &r, "\x20\0\0\0", 4, NULL, 0, CS_END);
	if (status(t, &r, CS_END) & 1) {
		command(t, &r, "\x9f", 1, in, 3, CS_END);
		CHECK(t, in[0] == 0xff || ev_now_ns() - began > 60000000);
	}
	while (status(t, &r, CS_END) & 1)
		;
	CHECK(t, ev_now_ns() - began >= 60000000);
	command(t, &r, "\x9f", 1, in, 3, CS_END);
	CHECK_EQ(t, in[0], 0xef);
	bus_close(&r);
}

static void contents_survive(struct tap *t)
{
	char path[64], line[128];
	const char *const keys[20] = { "devices", line };
	struct stat st;
	uint8_t in;
	struct bus r;

	snprintf(path, sizeof(path), "/tmp/avp-spi-%d", (int)getpid());
	snprintf(line, sizeof(line), "1 flash size=128K file=%s", path);
	for (unsigned round = 0; round < 2; round++) {
		bus_open(t, &r, ring, keys);
		command(t, &r, "\x03\1\0\0", 4, &in, 1, CS_END);
		CHECK_EQ(t, in, round ? 0x42 : 0xff);
		command(t, &r, "\x06", 1, NULL, 0, CS_END);
		command(t, &r, "\x02\1\0\0\x42", 5, NULL, 0, CS_END);
		bus_close(&r);
	}
	CHECK(t, !stat(path, &st) && st.st_size == 128 << 10);
	snprintf(line, sizeof(line), "1 flash size=128K readonly file=%s", path);
	bus_open(t, &r, ring, keys);
	command(t, &r, "\x06", 1, NULL, 0, CS_END);
	command(t, &r, "\xd8\1\0\0", 4, NULL, 0, CS_END);
	command(t, &r, "\x03\1\0\0", 4, &in, 1, CS_END);
	CHECK_EQ(t, in, 0x42);
	bus_close(&r);
	unlink(path);
}

/* Keys and words. */

static void bad_keys_are_explained(struct tap *t)
{
	static const char *const base[] = { "devices", "3 loopback" };
	static const struct {
		const char *key, *value, *reason;
	} bad[] = {
		{ "devices", "x loopback", "'x' is no chip select, 0 to 31" },
		{ "devices", "32 loopback", "'32' is no chip select" },
		{ "devices", "3 flash", "chip select 3 is taken" },
		{ "devices", "1", "what is there?" },
		{ "devices", "1 nand", "no simulated chip 'nand'" },
		{ "devices", "1 loopback size=1", "a loopback has no keys" },
		{ "devices", "1 flash siz=1M", "did you mean 'size'" },
		{ "devices", "1 flash size=1000", "a power of two from 64K to 16M" },
		{ "devices", "1 flash size=32M", "a power of two from 64K to 16M" },
		{ "devices", "1 flash id=0x1000000", "no JEDEC ID" },
		{ "devices", "1 flash file=/nonexistent/f", "/nonexistent/f" },
		{ "devices", "1 /dev/null", "no chip of spidev" },
		{ "devices", "1 /nonexistent/spidev", "/nonexistent/spidev" },
		{ "devices", "1 /dev/null release=never", "release" },
		{ "chip-selects", "3", "a chip is at chip select 3" },
		{ "bits-per-word", "0", "'0' is no word size" },
		{ "bits-per-word", "33", "'33' is no word size" },
		{ "bits-per-word", "8,any", "not 'any' alone" },
		{ "functions", "fast", "'fast' is none of cs-high" },
		{ "tx-nbits", "3", "'3' is none of 2, 4, 8" },
		{ "rx-nbits", "16", "'16' is none of 2, 4, 8" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		device_refused(t, &vdev_spi, base, bad[i].key, bad[i].value, bad[i].reason);
}

struct told {
	struct vdev *dev;
	struct words words;
	char answer[512];
	int result;
};

static void tell(void *arg)
{
	struct told *told = arg;
	struct err e = { 0 };
	FILE *f = fmemopen(told->answer, sizeof(told->answer) - 1, "w");

	told->result = told->dev->cls->command(told->dev, told->words.n, told->words.v, f, &e);
	fclose(f);
	if (told->result)
		snprintf(told->answer, sizeof(told->answer), "%s", e.msg);
}

/* The answer, or the reason, contains `part`. */
static void says(struct tap *t, struct bus *r, const char *words, int result, const char *part)
{
	struct told told = { .dev = r->srv.dev };

	REQUIRE(t, !words_split(&told.words, words, NULL));
	vhud_serve_call(&r->srv, tell, &told);
	words_free(&told.words);
	CHECK_EQ(t, told.result, result);
	if (!CHECK(t, strstr(told.answer, part)))
		printf("# '%s' is not in '%s'\n", part, told.answer);
}

static void the_operator_sees_and_sets(struct tap *t)
{
	uint8_t in[2];
	struct bus r;

	open_all(t, &r);
	says(t, &r, "list", 0, "0 loopback\n1 flash size=65536 id=0xef4010\n");
	says(t, &r, "1", 0, "1 flash");
	says(t, &r, "1 poke 0x100 0x12 0x34", 0, "");
	command(t, &r, "\x03\0\1\0", 4, in, 2, CS_END);
	CHECK(t, in[0] == 0x12 && in[1] == 0x34);
	says(t, &r, "1 peek 0x100 3", 0, "0x0100: 12 34 ff\n");
	says(t, &r, "3 peek 0", -EINVAL, "'3' is no chip select from 0 to 2");
	says(t, &r, "show", -EINVAL, "the words are: list");
	says(t, &r, "0 peek 0", -EINVAL, "nothing at chip select 0 has contents");
	says(t, &r, "1 wipe", -EINVAL, "takes peek and poke");
	says(t, &r, "1 peek 0x10000", -EINVAL, "AT is 0 to 0xffff");
	bus_close(&r);
}

static void works_in_the_jail(struct tap *t)
{
	char path[64], line[128];
	struct vhud_proc p;
	struct bus r = { 0 };
	uint8_t in[3];

	snprintf(path, sizeof(path), "/tmp/avp-spi-jail-%d", (int)getpid());
	snprintf(line, sizeof(line), "1 flash size=64K file=%s", path);
	REQUIRE(t, !vhud_spawn(&p, "spi", "--devices", line, NULL));
	r.d = vhud_open(p.path);
	bus_start(t, &r, ring);
	command(t, &r, "\x06", 1, NULL, 0, CS_END);
	command(t, &r, "\x02\0\0\0abc", 7, NULL, 0, CS_END);
	command(t, &r, "\x03\0\0\0", 4, in, 3, CS_END);
	CHECK(t, !memcmp(in, "abc", 3));
	vhud_close(r.d);
	CHECK_EQ(t, vhud_spawn_end(&p), 0);
	unlink(path);
}

int main(void)
{
	static const struct ring_case cases[] = {
		{ "unsupported parameters", unsupported_parameters },
		{ "wrong lengths", wrong_lengths },
		{ "no room for a result needs a reset", no_room_for_a_result_needs_a_reset },
		{ "nothing at a chip select", nothing_at_a_chip_select },
		{ "loopback", loopback },
		{ "flash with cs_change", flash_with_cs_change },
	};
	struct tap t = { 0 };

	tap_run_rings(&t, cases, ARRAY_LEN(cases), &ring);
	TAP_RUN(&t, configuration);
	TAP_RUN(&t, loopback_of_words);
	TAP_RUN(&t, loop_mode);
	TAP_RUN(&t, delays_take_their_time);
	TAP_RUN(&t, flash_without_cs_change);
	TAP_RUN(&t, flash_in_many_transfers);
	TAP_RUN(&t, flash_data_in_parts);
	TAP_RUN(&t, flash_and_words);
	TAP_RUN(&t, flash_tells_its_parameters);
	TAP_RUN(&t, flash_is_busy);
	TAP_RUN(&t, contents_survive);
	TAP_RUN(&t, bad_keys_are_explained);
	TAP_RUN(&t, the_operator_sees_and_sets);
	TAP_RUN(&t, works_in_the_jail);
	return tap_done(&t);
}
