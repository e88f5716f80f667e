/* SPDX-License-Identifier: BSD-3-Clause */
/* The I2C adapter device with simulated chips: requests, groups, and each type of chip. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "bus.h"
#include "devices/devices.h"
#include "lib/device_test.h"
#include "lib/ring_cases.h"

#define CHIPS                                                                                      \
	"devices", "0x50 eeprom size=4K page=32 write-time=0ms", "devices", "0x48 lm75 temp=21.5", \
		"devices", "0x20 registers"

static uint64_t ring; /* layout of this run of the cases */

static void open_chips(struct tap *t, struct bus *b)
{
	static const char *const keys[8] = { CHIPS };

	bus_open(t, b, ring, keys);
}

static void open_one(struct tap *t, struct bus *b, const char *line)
{
	const char *const keys[8] = { "devices", line };

	bus_open(t, b, ring, keys);
}

/* Requests. */

static void only_chips_acknowledge(struct tap *t)
{
	struct bus b;
	uint8_t byte;

	open_chips(t, &b);
	for (uint8_t a = 0; a < 128; a++) {
		bool there = a == 0x50 || a == 0x48 || a == 0x20;

		CHECK_EQ(t, bus_write(&b, a, NULL, 0), there ? I2C_OK : I2C_ERR);
		CHECK_EQ(t, bus_read(&b, a, &byte, 0), there ? I2C_OK : I2C_ERR);
		CHECK_EQ(t, bus_read(&b, a, &byte, 1), there ? I2C_OK : I2C_ERR);
	}
	bus_close(&b);
}

/* Only A6 to A0 in bits 7 to 1 are a 7-bit address; ten bits reach nobody. */
static void odd_addresses_are_not_acknowledged(struct tap *t)
{
	static const uint16_t odd[] = { 0x41, 0x140, 0x8040, 0xffff, 0xf040, 0x20f0, 0x40f6, 0x01 };
	struct bus b;

	open_chips(t, &b);
	for (unsigned i = 0; i < ARRAY_LEN(odd); i++) {
		uint8_t status = I2C_NONE;

		CHECK_EQ(t, bus_raw(&b, odd[i], 0, "\1\2", 2, &status, 1), 1);
		CHECK_EQ(t, status, I2C_ERR);
	}
	CHECK_EQ(t, bus_write(&b, 0x20, "\0", 1), I2C_OK);
	bus_close(&b);
}

static void wrong_requests_get_an_error(struct tap *t)
{
	static uint8_t big[8200];
	uint8_t in[4];
	struct bus b;

	open_chips(t, &b);
	/* Reserved flags. */
	for (unsigned bit = 2; bit < 32; bit++) {
		in[0] = I2C_NONE;
		CHECK_EQ(t, bus_raw(&b, 0x40, 1u << bit, "\0", 1, in, 1), 1);
		CHECK_EQ(t, in[0], I2C_ERR);
	}
	/* A write with a buffer to read into, a read with one to write from. */
	memset(in, 0xa5, sizeof(in));
	CHECK_EQ(t, bus_raw(&b, 0x40, 0, "\0", 1, in, 3), 3);
	CHECK_EQ(t, in[2], I2C_ERR);
	memset(in, 0xa5, sizeof(in));
	CHECK_EQ(t, bus_raw(&b, 0x40, I2C_M_READ, "\0", 1, in, 3), 3);
	CHECK(t, in[0] == 0 && in[1] == 0 && in[2] == I2C_ERR);
	/* Longer than a segment may be. */
	CHECK_EQ(t, bus_write(&b, 0x20, big, 8192), I2C_OK);
	CHECK_EQ(t, bus_write(&b, 0x20, big, 8193), I2C_ERR);
	CHECK_EQ(t, bus_read(&b, 0x20, big, 8192), I2C_OK);
	CHECK_EQ(t, bus_read(&b, 0x20, big, 8193), I2C_ERR);
	CHECK_EQ(t, vhud_serve_metric(&b.srv, "failures"), 34);
	bus_close(&b);
}

static void a_header_that_is_cut_gets_an_error(struct tap *t)
{
	uint8_t status;
	struct bus b;

	open_chips(t, &b);
	for (unsigned len = 0; len < 8; len++) {
		status = I2C_NONE;
		CHECK_EQ(t, vhud_do(b.d, 0, "\x40\0\0\0\0\0\0\0", len, &status, 1), 1);
		CHECK_EQ(t, status, I2C_ERR);
	}
	bus_close(&b);
}

static void no_room_for_a_status_needs_a_reset(struct tap *t)
{
	struct bus b;

	open_chips(t, &b);
	struct iovec iov = { vhud_alloc(b.d, 16), 9 };

	CHECK_EQ(t, vhud_add(b.d, 0, &iov, 1, 0, NULL), 0);
	vhud_kick(b.d, 0);
	CHECK(t, vhud_needs_reset(b.d));
	CHECK_EQ(t, vhud_reset(b.d), 0);
	CHECK_EQ(t,
		vhud_start(b.d, &(struct vhud_opts){ .features = ring | FEATURE(0), .nqueues = 1 }),
		0);
	CHECK_EQ(t, bus_write(&b, 0x20, "\0", 1), I2C_OK);
	bus_close(&b);
}

/* 5.16.6.4: a driver without ZERO_LENGTH_REQUEST is rejected. */
static void the_feature_is_mandatory(struct tap *t)
{
	struct vhud_server srv;
	struct vhud *d;

	CHECK_EQ(t, vhud_serve(&srv, &vdev_i2c, CHIPS, NULL), 0);
	d = vhud_open(srv.path);
	CHECK(t, vhud_hello(d) == 0 && vhud_features(d) & FEATURE(0));
	CHECK_EQ(t, vhud_accept(d, ring | FEATURE(VIRTIO_F_VERSION_1)), -EREMOTEIO);
	vhud_close(d);
	vhud_serve_end(&srv);
}

/* Groups. */

static void a_group_is_one_transfer(struct tap *t)
{
	uint8_t reg = 0x10, in[3] = { 0 }, out[] = { 0x10, 1, 2, 3 };
	struct bus b;

	open_chips(t, &b);
	CHECK_EQ(t, bus_write(&b, 0x20, out, sizeof(out)), I2C_OK);
	struct bus_segment s[] = { { 0x20, false, &reg, 1, 0 }, { 0x20, true, in, 3, 0 } };

	CHECK(t, bus_group(&b, s, 2));
	CHECK(t, s[0].status == I2C_OK && s[1].status == I2C_OK);
	CHECK(t, in[0] == 1 && in[1] == 2 && in[2] == 3);
	CHECK_EQ(t, vhud_serve_metric(&b.srv, "transfers"), 2);
	bus_close(&b);
}

/* What follows a failed request of its group is not executed; the next group is. */
static void a_failure_fails_the_rest_of_its_group(struct tap *t)
{
	uint8_t w[] = { 5, 0x55 }, in[2] = { 7, 7 };
	struct bus b;

	open_chips(t, &b);
	struct bus_segment s[] = { { 0x20, false, w, 2, 0 }, { 0x33, false, w, 2, 0 },
		{ 0x20, false, (uint8_t[]){ 6, 0x66 }, 2, 0 }, { 0x48, true, in, 2, 0 } };

	CHECK(t, bus_group(&b, s, 4));
	CHECK(t, s[0].status == I2C_OK && s[1].status == I2C_ERR && s[2].status == I2C_ERR &&
			 s[3].status == I2C_ERR);
	CHECK(t, in[0] == 0 && in[1] == 0);
	CHECK_EQ(t, bus_get(&b, 0x20, 5, 1, in, 2), I2C_OK);
	CHECK(t, in[0] == 0x55 && in[1] == 0);
	bus_close(&b);
}

/* A wrong request fails its group as a missing chip does. */
static void a_group_with_a_wrong_request(struct tap *t)
{
	uint8_t data[8200] = { 0 };
	struct bus b;

	open_chips(t, &b);
	struct bus_segment s[] = { { 0x20, false, data, 8193, 0 },
		{ 0x20, false, (uint8_t[]){ 6, 0x66 }, 2, 0 } };

	CHECK(t, bus_group(&b, s, 2));
	CHECK(t, s[0].status == I2C_ERR && s[1].status == I2C_ERR);
	CHECK_EQ(t, bus_get(&b, 0x20, 6, 1, data, 1), I2C_OK);
	CHECK_EQ(t, data[0], 0);
	bus_close(&b);
}

static void long_groups_and_many(struct tap *t)
{
	uint8_t reg[20], in[20];
	struct bus_segment s[40];
	struct bus b;

	open_chips(t, &b);
	for (unsigned i = 0; i < 256; i++)
		CHECK_EQ(t, bus_write(&b, 0x20, (uint8_t[]){ (uint8_t)i, (uint8_t)~i }, 2), I2C_OK);
	for (unsigned round = 0; round < 30; round++) {
		for (unsigned i = 0; i < 20; i++) {
			reg[i] = (uint8_t)(round * 20 + i);
			in[i] = 0;
			s[2 * i] = (struct bus_segment){ 0x20, false, &reg[i], 1, 0 };
			s[2 * i + 1] = (struct bus_segment){ 0x20, true, &in[i], 1, 0 };
		}
		REQUIRE(t, bus_group(&b, s, 2 * (ring ? 20 : 10)));
		for (unsigned i = 0; i < (ring ? 20 : 10); i++)
			CHECK(t, s[2 * i + 1].status == I2C_OK && in[i] + reg[i] == 0xff);
	}
	bus_close(&b);
}

/* A reset in the middle of a group leaves nothing of it. */
static void a_reset_ends_a_group(struct tap *t)
{
	struct bus b;
	void *mem;

	open_chips(t, &b);
	struct bus_segment s[] = { { 0x33, false, (uint8_t[]){ 1 }, 1, 0 } };

	CHECK(t, bus_send(&b, s, 1, true, &mem) && bus_wait(&b, s, 1, mem, VHUD_TIMEOUT_MS));
	CHECK_EQ(t, s[0].status, I2C_ERR);
	CHECK_EQ(t, vhud_reset(b.d), 0);
	CHECK_EQ(t,
		vhud_start(b.d, &(struct vhud_opts){ .features = ring | FEATURE(0), .nqueues = 1 }),
		0);
	CHECK_EQ(t, bus_write(&b, 0x20, "\0", 1), I2C_OK);
	bus_close(&b);
}

/* Chips. */

static void eeprom_keeps_bytes(struct tap *t)
{
	uint8_t out[34] = { 0x01, 0x20 }, in[64];
	struct bus b;

	open_chips(t, &b);
	for (unsigned i = 0; i < 32; i++)
		out[2 + i] = (uint8_t)(i + 1);
	CHECK_EQ(t, bus_write(&b, 0x50, out, 34), I2C_OK);
	CHECK_EQ(t, bus_get(&b, 0x50, 0x011f, 2, in, 34), I2C_OK);
	CHECK(t, in[0] == 0xff && !memcmp(in + 1, out + 2, 32) && in[33] == 0xff);
	/* The current address goes on, and begins again behind the last byte. */
	CHECK_EQ(t, bus_get(&b, 0x50, 0x0fff, 2, in, 1), I2C_OK);
	CHECK_EQ(t, bus_write(&b, 0x50, (uint8_t[]){ 0, 0, 0x77 }, 3), I2C_OK);
	CHECK_EQ(t, bus_get(&b, 0x50, 0x0ffe, 2, in, 3), I2C_OK);
	CHECK(t, in[0] == 0xff && in[1] == 0xff && in[2] == 0x77);
	CHECK_EQ(t, bus_read(&b, 0x50, in, 1), I2C_OK);
	CHECK_EQ(t, in[0], 0xff);
	bus_close(&b);
}

/* A write that goes over the end of its page begins again at the page's start. */
static void eeprom_pages_wrap(struct tap *t)
{
	uint8_t out[2 + 40] = { 0x00, 0x30 }, in[32];
	struct bus b;

	open_chips(t, &b);
	for (unsigned i = 0; i < 40; i++)
		out[2 + i] = (uint8_t)(i + 1);
	CHECK_EQ(t, bus_write(&b, 0x50, out, sizeof(out)), I2C_OK);
	CHECK_EQ(t, bus_get(&b, 0x50, 0x20, 2, in, 32), I2C_OK);
	/* Bytes 1 to 8 were overwritten by 33 to 40; the page begins with the 17th. */
	for (unsigned i = 0; i < 16; i++) {
		CHECK_EQ(t, in[i], 17 + i);
		CHECK_EQ(t, in[16 + i], i < 8 ? 33 + i : 1 + i);
	}
	bus_close(&b);
}

/* Data that a repeated start follows, and not the stop, are not written. */
static void eeprom_needs_the_stop(struct tap *t)
{
	uint8_t w[] = { 0, 0x40, 0x12 }, in[1];
	struct bus b;

	open_chips(t, &b);
	struct bus_segment s[] = { { 0x50, false, w, 3, 0 }, { 0x50, true, in, 1, 0 } };

	CHECK(t, bus_group(&b, s, 2) && s[1].status == I2C_OK);
	CHECK_EQ(t, bus_get(&b, 0x50, 0x40, 2, in, 1), I2C_OK);
	CHECK_EQ(t, in[0], 0xff);
	bus_close(&b);
}

static void eeprom_does_not_answer_while_it_writes(struct tap *t)
{
	uint64_t start;
	struct bus b;

	open_one(t, &b, "0x50 eeprom size=256 write-time=60ms");
	start = ev_now_ns();
	CHECK_EQ(t, bus_write(&b, 0x50, "\1\2", 2), I2C_OK);
	while (bus_write(&b, 0x50, NULL, 0) == I2C_ERR)
		;
	CHECK(t, ev_now_ns() - start >= 60 * UINT64_C(1000000));
	CHECK(t, vhud_serve_metric(&b.srv, "failures") > 0);
	bus_close(&b);
}

/* 24c16: eight device addresses, and the upper bits of an address among them. */
static void eeprom_with_several_addresses(struct tap *t)
{
	uint8_t in[2];
	struct bus b;

	open_one(t, &b, "0x50 eeprom size=2K page=16 write-time=0ms");
	for (uint8_t k = 0; k < 8; k++)
		CHECK_EQ(t, bus_write(&b, 0x50 + k, (uint8_t[]){ 0xff, k }, 2), I2C_OK);
	CHECK_EQ(t, bus_write(&b, 0x58, NULL, 0), I2C_ERR);
	for (uint8_t k = 0; k < 8; k++) {
		CHECK_EQ(t, bus_get(&b, 0x50 + k, 0xff, 1, in, 2), I2C_OK);
		CHECK(t, in[0] == k && in[1] == 0xff);
	}
	bus_close(&b);
	open_one(t, &b, "0x50 eeprom size=128K page=256 write-time=0ms");
	CHECK_EQ(t, bus_write(&b, 0x51, (uint8_t[]){ 0xff, 0xff, 0x31 }, 3), I2C_OK);
	CHECK_EQ(t, bus_get(&b, 0x50, 0xffff, 2, in, 1), I2C_OK);
	CHECK_EQ(t, in[0], 0xff);
	CHECK_EQ(t, bus_get(&b, 0x51, 0xffff, 2, in, 1), I2C_OK);
	CHECK_EQ(t, in[0], 0x31);
	bus_close(&b);
}

static void eeprom_protected(struct tap *t)
{
	uint8_t in;
	struct bus b;

	open_one(t, &b, "0x50 eeprom size=256 readonly");
	CHECK_EQ(t, bus_write(&b, 0x50, "\0\1", 2), I2C_OK);
	CHECK_EQ(t, bus_get(&b, 0x50, 0, 1, &in, 1), I2C_OK);
	CHECK_EQ(t, in, 0xff);
	bus_close(&b);
}

static void lm75_registers(struct tap *t)
{
	uint8_t in[4];
	char answer[512];
	struct bus b;

	open_chips(t, &b);
	CHECK_EQ(t, bus_get(&b, 0x48, 0, 1, in, 4), I2C_OK);
	CHECK(t, in[0] == 21 && in[1] == 0x80 && in[2] == 21 && in[3] == 0x80);
	CHECK_EQ(t, bus_get(&b, 0x48, 1, 1, in, 1), I2C_OK);
	CHECK_EQ(t, in[0], 0);
	CHECK_EQ(t, bus_get(&b, 0x48, 2, 1, in, 2), I2C_OK);
	CHECK(t, in[0] == 75 && in[1] == 0);
	CHECK_EQ(t, bus_get(&b, 0x48, 3, 1, in, 2), I2C_OK);
	CHECK(t, in[0] == 80 && in[1] == 0);
	/* Limits take nine bits, the temperature none. */
	CHECK_EQ(t, bus_write(&b, 0x48, (uint8_t[]){ 3, 30, 0xff }, 3), I2C_OK);
	CHECK_EQ(t, bus_get(&b, 0x48, 3, 1, in, 2), I2C_OK);
	CHECK(t, in[0] == 30 && in[1] == 0x80);
	CHECK_EQ(t, bus_write(&b, 0x48, (uint8_t[]){ 0, 99, 99 }, 3), I2C_OK);
	CHECK_EQ(t, bus_read(&b, 0x48, in, 2), I2C_OK);
	CHECK(t, in[0] == 21 && in[1] == 0x80);
	/* Temperatures that the operator sets, below zero rounded down. */
	CHECK_EQ(t, bus_tell(&b, "0x48 temp -10.3", answer), 0);
	CHECK_EQ(t, bus_read(&b, 0x48, in, 2), I2C_OK);
	CHECK(t, (int8_t)in[0] == -11 && in[1] == 0x80);
	/* Shut down, it keeps the last one. */
	CHECK_EQ(t, bus_write(&b, 0x48, (uint8_t[]){ 1, 1 }, 2), I2C_OK);
	CHECK_EQ(t, bus_tell(&b, "0x48 temp 50", answer), 0);
	CHECK_EQ(t, bus_get(&b, 0x48, 0, 1, in, 2), I2C_OK);
	CHECK_EQ(t, (int8_t)in[0], -11);
	CHECK_EQ(t, bus_write(&b, 0x48, (uint8_t[]){ 1, 0 }, 2), I2C_OK);
	CHECK_EQ(t, bus_get(&b, 0x48, 0, 1, in, 2), I2C_OK);
	CHECK_EQ(t, in[0], 50);
	bus_close(&b);
}

/* The output comes on at the limit and goes off below the hysteresis. */
static void lm75_watches_its_limits(struct tap *t)
{
	static const struct {
		const char *words;
		bool over;
	} steps[] = { { "0x48 temp 79.5", false }, { "0x48 temp 80", true },
		{ "0x48 temp 75", true }, { "0x48 temp 74.5", false },
		{ "0x48 temp 79.5", false } };
	char answer[512];
	struct bus b;

	open_chips(t, &b);
	for (unsigned i = 0; i < ARRAY_LEN(steps); i++) {
		CHECK_EQ(t, bus_tell(&b, steps[i].words, answer), 0);
		CHECK_EQ(t, bus_tell(&b, "0x48", answer), 0);
		CHECK_EQ(t, !!strstr(answer, "overtemperature"), steps[i].over);
	}
	bus_close(&b);
}

static void lm75_resolution(struct tap *t)
{
	uint8_t in[2];
	struct bus b;

	open_one(t, &b, "0x49 lm75 temp=25.0625 resolution=12");
	CHECK_EQ(t, bus_get(&b, 0x49, 0, 1, in, 2), I2C_OK);
	CHECK(t, in[0] == 25 && in[1] == 0x10);
	bus_close(&b);
}

static void registers_go_on_and_wrap(struct tap *t)
{
	uint8_t in[4];
	struct bus b;

	open_one(t, &b, "0x20 registers size=300");
	CHECK_EQ(t, bus_write(&b, 0x20, (uint8_t[]){ 0x01, 0x2a, 1, 2, 3, 4 }, 6), I2C_OK);
	CHECK_EQ(t, bus_get(&b, 0x20, 298, 2, in, 4), I2C_OK);
	CHECK(t, in[0] == 1 && in[1] == 2 && in[2] == 3 && in[3] == 4);
	CHECK_EQ(t, bus_get(&b, 0x20, 0, 2, in, 2), I2C_OK);
	CHECK(t, in[0] == 3 && in[1] == 4);
	/* A number that no register has counts on from the first. */
	CHECK_EQ(t, bus_get(&b, 0x20, 600, 2, in, 1), I2C_OK);
	CHECK_EQ(t, in[0], 3);
	bus_close(&b);
}

/* Files. */

static void contents_survive(struct tap *t)
{
	char path[64], line[128];
	uint8_t in[2];
	struct stat st;
	struct bus b;

	snprintf(path, sizeof(path), "/tmp/avp-i2c-%d", (int)getpid());
	snprintf(line, sizeof(line), "0x50 eeprom size=512 write-time=0ms file=%s", path);
	for (unsigned round = 0; round < 2; round++) {
		open_one(t, &b, line);
		CHECK_EQ(t, bus_get(&b, 0x51, 7, 1, in, 2), I2C_OK);
		CHECK(t, in[0] == (round ? 0x42 : 0xff) && in[1] == 0xff);
		CHECK_EQ(t, bus_write(&b, 0x51, (uint8_t[]){ 7, 0x42 }, 2), I2C_OK);
		bus_close(&b);
	}
	CHECK(t, !stat(path, &st) && st.st_size == 512 && (st.st_mode & 0777) == 0600);
	/* A file that was cut under the chip reads as ones, and the device lives. */
	open_one(t, &b, line);
	CHECK_EQ(t, truncate(path, 100), 0);
	CHECK_EQ(t, bus_get(&b, 0x51, 7, 1, in, 1), I2C_OK);
	CHECK_EQ(t, in[0], 0xff);
	bus_close(&b);
	unlink(path);
}

/* Keys and words. */

static void bad_keys_are_explained(struct tap *t)
{
	static const struct {
		const char *key, *value, *reason;
	} bad[] = {
		{ "devices", "eeprom", "'eeprom' is no address, 0x08 to 0x77" },
		{ "devices", "0x07 lm75", "'0x07' is no address" },
		{ "devices", "0x78 lm75", "'0x78' is no address" },
		{ "devices", "0x50", "what is there?" },
		{ "devices", " ", "empty" },
		{ "devices", "0x50 rom", "no simulated chip 'rom'; there are eeprom, lm75" },
		{ "devices", "0x50 eeprom sise=1K", "did you mean 'size'" },
		{ "devices", "0x50 eeprom size=3K", "size: a power of two from 128" },
		{ "devices", "0x50 eeprom size=64", "size: a power of two from 128" },
		{ "devices", "0x50 eeprom size=256K", "size: a power of two from 128" },
		{ "devices", "0x50 eeprom size=4K width=8",
			"size: a power of two from 128 to 2048" },
		{ "devices", "0x50 eeprom page=24", "page: a power of two" },
		{ "devices", "0x50 eeprom size=128 page=256", "page: a power of two" },
		{ "devices", "0x50 eeprom =1", "no KEY=VALUE" },
		{ "devices", "0x51 eeprom size=2K", "multiple of 8" },
		{ "devices", "0x76 eeprom size=1K", "the last is 0x77" },
		{ "devices", "0x50 eeprom file=/nonexistent/e", "/nonexistent/e" },
		{ "devices", "0x50 eeprom file=/dev/null", "no regular file" },
		{ "devices", "0x48 lm75 temp=hot", "no temperature" },
		{ "devices", "0x48 lm75 temp=128", "no temperature" },
		{ "devices", "0x48 lm75 temp=nan", "no temperature" },
		{ "devices", "0x48 lm75 resolution=8", "resolution" },
		{ "devices", "0x20 registers size=0", "1 to 65536" },
		{ "devices", "0x20 registers size=65537", "1 to 65536" },
		{ "allow", "0x50", "needs an 'adapter'" },
		{ "allow", "0x78", "'0x78' is no address" },
		{ "allow", "0x51-0x50", "'0x51-0x50' is no address" },
		{ "adapter", "/dev/null", "allow: is empty" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		device_refused(t, &vdev_i2c, NULL, bad[i].key, bad[i].value, bad[i].reason);
}

static void addresses_are_unique(struct tap *t)
{
	struct err e = { 0 };
	struct vdev *dev = NULL;

	CHECK_EQ(t, vdev_new(&dev, &vdev_i2c, &e), 0);
	CHECK_EQ(t, opt_set(vdev_i2c.opts, dev, "devices", "0x50 eeprom size=2K", &e), 0);
	CHECK_EQ(t, opt_set(vdev_i2c.opts, dev, "devices", "0x57 lm75", &e), 0);
	CHECK_EQ(t, vdev_init(dev, NULL, NULL, &e), -EINVAL);
	CHECK(t, strstr(e.msg, "address 0x57 is taken"));
	vdev_destroy(dev);
}

static void the_operator_sees_and_sets(struct tap *t)
{
	uint8_t in[2];
	char a[512];
	struct bus b;

	open_chips(t, &b);
	CHECK_EQ(t, bus_tell(&b, "list", a), 0);
	CHECK(t, strstr(a, "0x50 eeprom size=4096 page=32 width=16\n"));
	CHECK(t, strstr(a, "0x48 lm75 temp=21.5 reads=21.5 limit=80 hysteresis=75 conf=0x00\n"));
	CHECK(t, strstr(a, "0x20 registers size=256 pointer=0x0\n"));
	CHECK_EQ(t, bus_tell(&b, "0x20 poke 0x10 0xab 0xcd", a), 0);
	CHECK_EQ(t, bus_get(&b, 0x20, 0x10, 1, in, 2), I2C_OK);
	CHECK(t, in[0] == 0xab && in[1] == 0xcd);
	CHECK_EQ(t, bus_tell(&b, "0x20 peek 0xf 18", a), 0);
	CHECK(t, !strcmp(a, "0x000f: 00 ab cd 00 00 00 00 00 00 00 00 00 00 00 00 00\n0x001f: 00 "
			    "00\n"));
	CHECK_EQ(t, bus_tell(&b, "0x48 poke 4 0x46 0x80", a), 0);
	CHECK_EQ(t, bus_get(&b, 0x48, 2, 1, in, 2), I2C_OK);
	CHECK(t, in[0] == 0x46 && in[1] == 0x80);
	CHECK_EQ(t, bus_tell(&b, "0x50 peek 0xfff", a), 0);
	CHECK(t, !strcmp(a, "0x0fff: ff\n"));
	bus_close(&b);
}

static void the_operator_is_told_what_is_wrong(struct tap *t)
{
	static const struct {
		const char *words, *reason;
	} bad[] = {
		{ "lst", "no address; the words are: list" },
		{ "0x33 peek 0", "no simulated chip at address 0x33" },
		{ "0x80 peek 0", "no address" },
		{ "0x20 reset", "takes peek, poke" },
		{ "0x48 heat", "takes peek, poke and temp DEGREES" },
		{ "0x48 temp", "temp DEGREES" },
		{ "0x48 temp 1000", "no temperature" },
		{ "0x20 peek", "peek AT [COUNT]: AT is 0 to 0xff" },
		{ "0x20 peek 256", "peek AT" },
		{ "0x20 peek 255 2", "peek AT" },
		{ "0x20 peek 0 0", "peek AT" },
		{ "0x50 peek 0 257", "at most 256" },
		{ "0x20 peek 0 1 2", "peek AT" },
		{ "0x20 poke 0", "poke AT BYTE" },
		{ "0x20 poke 255 1 2", "poke AT BYTE" },
		{ "0x20 poke 0 256", "'256' is no byte" },
		{ "0x20 poke 0 x", "'x' is no byte" },
	};
	char a[512];
	struct bus b;

	open_chips(t, &b);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		CHECK_EQ(t, bus_tell(&b, bad[i].words, a), -EINVAL);
		if (!CHECK(t, strstr(a, bad[i].reason)))
			printf("# '%s' is not in '%s'\n", bad[i].reason, a);
	}
	bus_close(&b);
}

/* As a process in its jail, with a file. */
static void works_in_the_jail(struct tap *t)
{
	char path[64], line[128];
	struct vhud_proc p;
	struct bus b = { 0 };
	uint8_t in = 0;

	snprintf(path, sizeof(path), "/tmp/avp-i2c-jail-%d", (int)getpid());
	snprintf(line, sizeof(line), "0x50 eeprom size=512 write-time=0ms file=%s", path);
	REQUIRE(t, !vhud_spawn(&p, "i2c", "--devices", line, "--devices", "0x48 lm75", NULL));
	b.d = vhud_open(p.path);
	CHECK_EQ(
		t, vhud_start(b.d, &(struct vhud_opts){ .features = FEATURE(0), .nqueues = 1 }), 0);
	CHECK_EQ(t, bus_write(&b, 0x51, (uint8_t[]){ 7, 0x42 }, 2), I2C_OK);
	CHECK_EQ(t, bus_get(&b, 0x51, 7, 1, &in, 1), I2C_OK);
	CHECK_EQ(t, in, 0x42);
	/* One writer to a file. */
	device_refused(t, &vdev_i2c, NULL, "devices", line, "is in use by another process");
	vhud_close(b.d);
	CHECK_EQ(t, vhud_spawn_end(&p), 0);
	unlink(path);
}

int main(void)
{
	static const struct ring_case cases[] = {
		{ "only chips acknowledge", only_chips_acknowledge },
		{ "odd addresses are not acknowledged", odd_addresses_are_not_acknowledged },
		{ "wrong requests get an error", wrong_requests_get_an_error },
		{ "a header that is cut gets an error", a_header_that_is_cut_gets_an_error },
		{ "no room for a status needs a reset", no_room_for_a_status_needs_a_reset },
		{ "the feature is mandatory", the_feature_is_mandatory },
		{ "a group is one transfer", a_group_is_one_transfer },
		{ "a failure fails the rest of its group", a_failure_fails_the_rest_of_its_group },
		{ "a group with a wrong request", a_group_with_a_wrong_request },
		{ "long groups, and many", long_groups_and_many },
		{ "a reset ends a group", a_reset_ends_a_group },
	};
	struct tap t = { 0 };

	tap_run_rings(&t, cases, ARRAY_LEN(cases), &ring);
	TAP_RUN(&t, eeprom_keeps_bytes);
	TAP_RUN(&t, eeprom_pages_wrap);
	TAP_RUN(&t, eeprom_needs_the_stop);
	TAP_RUN(&t, eeprom_does_not_answer_while_it_writes);
	TAP_RUN(&t, eeprom_with_several_addresses);
	TAP_RUN(&t, eeprom_protected);
	TAP_RUN(&t, lm75_registers);
	TAP_RUN(&t, lm75_watches_its_limits);
	TAP_RUN(&t, lm75_resolution);
	TAP_RUN(&t, registers_go_on_and_wrap);
	TAP_RUN(&t, contents_survive);
	TAP_RUN(&t, bad_keys_are_explained);
	TAP_RUN(&t, addresses_are_unique);
	TAP_RUN(&t, the_operator_sees_and_sets);
	TAP_RUN(&t, the_operator_is_told_what_is_wrong);
	TAP_RUN(&t, works_in_the_jail);
	return tap_done(&t);
}
