/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices with a state that is set and read: lines, wires, chips, resources of a platform. What is
 * kept in a file survives a crash; the rest is known again once it was set after one.
 */
#include <string.h>

#include "base/loop.h"
#include "base/util.h"
#include "drivers/gpio.h"
#include "drivers/i2c.h"
#include "drivers/scmi.h"
#include "drivers/spi.h"
#include "load_classes.h"

#define ROM_SIZE  4096u
#define ROM_PIECE 16u

struct state {
	union {
		struct drv_gpio gpio[2];
		struct drv_i2c i2c;
		struct drv_spi spi;
		struct drv_scmi scmi[2];
	};
	uint8_t rom[ROM_SIZE]; /* what the EEPROM must contain */
};

static void *new_state(struct load *l)
{
	l->state = calloc(1, sizeof(struct state));
	return l->state;
}

static int answered(struct load *l, uint64_t begun)
{
	l->begun = begun;
	l->done++;
	return 0;
}

static uint64_t patience(void)
{
	return seat_until() - ev_now_ns();
}

/* Line 0 of the first device is an output; it is read there, or on line 0 of the second one. */
static int gpio_step(struct load *l)
{
	struct state *st = l->state;
	unsigned last = l->cls->nports - 1;
	uint64_t begun = ev_now_ns();
	bool want = load_random(l) & 1, got = !want;
	int r = drv_gpio_set(&st->gpio[0], 0, want);

	if (!r)
		r = drv_gpio_get(&st->gpio[last], 0, &got);
	if (r)
		return load_fail(l, "setting and reading a line: %d", r);
	/* A wire is let go of until the one that drives it is back. */
	if (got != want && (!last || load_calm(l, begun)))
		return load_fail(l, "the line reads %d after it was set to %d", got, want);
	return answered(l, begun);
}

static int gpio_open(struct load *l)
{
	struct state *st = new_state(l);
	int r = st ? 0 : DRV_NO_MEMORY;

	for (unsigned i = 0; !r && i < l->cls->nports; i++) {
		r = drv_gpio_open(&st->gpio[i], &l->seat[i].dev);
		st->gpio[i].timeout = patience();
	}
	if (!r)
		r = drv_gpio_output(&st->gpio[0], 0, false);
	if (!r && l->cls->nports == 2)
		r = drv_gpio_set_direction(&st->gpio[1], 0, VIRTIO_GPIO_DIRECTION_IN);
	return r ? load_fail(l, "opening the lines: %d", r) : 0;
}

/* An EEPROM: a page is written, another one is read. */
static int i2c_step(struct load *l)
{
	struct state *st = l->state;
	uint64_t begun = ev_now_ns();
	uint8_t out[2 + ROM_PIECE], in[ROM_PIECE];
	uint32_t at = load_random(l) % (ROM_SIZE / ROM_PIECE) * ROM_PIECE;
	int r;

	out[0] = (uint8_t)(at >> 8);
	out[1] = (uint8_t)at;
	for (unsigned i = 0; i < ROM_PIECE; i++)
		out[2 + i] = st->rom[at + i] = (uint8_t)load_random(l);
	r = drv_i2c_write_read(&st->i2c, 0x50, out, sizeof(out), NULL, 0);
	at = load_random(l) % (ROM_SIZE / ROM_PIECE) * ROM_PIECE;
	out[0] = (uint8_t)(at >> 8);
	out[1] = (uint8_t)at;
	if (!r)
		r = drv_i2c_write_read(&st->i2c, 0x50, out, 2, in, ROM_PIECE);
	if (r)
		return load_fail(l, "transfer: %d", r);
	if (memcmp(in, st->rom + at, ROM_PIECE))
		return load_fail(l, "bytes at %u are not those that were written", at);
	return answered(l, begun);
}

static int i2c_open(struct load *l)
{
	struct state *st = new_state(l);
	int r = st ? drv_i2c_open(&st->i2c, &l->seat[0].dev) : DRV_NO_MEMORY;

	if (r)
		return load_fail(l, "opening the adapter: %d", r);
	st->i2c.timeout = patience();
	for (uint8_t out[2 + ROM_PIECE] = { 0 }; !r && out[0] < ROM_SIZE >> 8; out[0]++)
		for (unsigned at = 0; !r && at < 256; at += ROM_PIECE) {
			out[1] = (uint8_t)at;
			r = drv_i2c_write_read(&st->i2c, 0x50, out, sizeof(out), NULL, 0);
		}
	return r ? load_fail(l, "clearing the EEPROM: %d", r) : 0;
}

static int spi_step(struct load *l)
{
	static const struct drv_spi_head head = { .bits_per_word = 8 };
	struct state *st = l->state;
	uint64_t begun = ev_now_ns();
	uint8_t out[DRV_SPI_DATA], in[DRV_SPI_DATA] = { 0 };
	uint32_t len = 1 + load_random(l) % DRV_SPI_DATA;
	int r;

	for (unsigned i = 0; i < len; i++)
		out[i] = (uint8_t)load_random(l);
	r = drv_spi_transfer(&st->spi, &head, out, in, len);
	if (r)
		return load_fail(l, "transfer: %d", r);
	if (memcmp(in, out, len))
		return load_fail(l, "%u bytes came back changed", len);
	return answered(l, begun);
}

static int spi_open(struct load *l)
{
	struct state *st = new_state(l);
	int r = st ? drv_spi_open(&st->spi, &l->seat[0].dev) : DRV_NO_MEMORY;

	if (r)
		return load_fail(l, "opening the controller: %d", r);
	st->spi.timeout = patience();
	return 0;
}

/* A clock of the platform: the first agent sets it, the last one reads it. */
static int scmi_step(struct load *l)
{
	static const uint64_t rates[] = { 24000000, 48000000 };
	struct state *st = l->state;
	uint64_t begun = ev_now_ns(), want = rates[load_random(l) & 1], got = 0;
	int r = drv_scmi_clock_set(&st->scmi[0], 0, want, seat_until());

	if (!r)
		r = drv_scmi_clock_rate(&st->scmi[l->cls->nports - 1], 0, &got, seat_until());
	if (r)
		return load_fail(l, "setting and reading a clock: %d", r);
	if (got != want && load_calm(l, begun))
		return load_fail(l, "the clock has %llu Hz after %llu were set",
			(unsigned long long)got, (unsigned long long)want);
	return answered(l, begun);
}

static int scmi_open(struct load *l)
{
	struct state *st = new_state(l);
	int r = st ? 0 : DRV_NO_MEMORY;

	for (unsigned i = 0; !r && i < l->cls->nports; i++)
		r = drv_scmi_open(&st->scmi[i], &l->seat[i].dev);
	return r ? load_fail(l, "opening the agent: %d", r) : 0;
}

static const char *const gpio_words[] = { "device", "gpio", "--lines", "lamp sim", "--state",
	"{dir}/lines", NULL };
static const char *const wires_words[] = { "wires", "--nets", "brake", NULL };
static const char *const wires_keys[] = { "lines=brake wire:brake,state={dir}/a",
	"lines=brake wire:brake in,state={dir}/b" };
static const char *const i2c_words[] = { "device", "i2c", "--devices",
	"0x50 eeprom size=4K page=32 write-time=0ms file={dir}/rom", NULL };
static const char *const spi_words[] = { "device", "spi", "--devices", "0 loopback", NULL };
static const char *const scmi_words[] = { "device", "scmi", "--clocks",
	"uart rates=24000000/48000000", NULL };
static const char *const platform_words[] = { "scmi-platform", "--clocks",
	"uart rates=24000000/48000000", NULL };
static const char *const platform_keys[] = { "grants=*", "grants=*" };

const struct load_class load_gpio = { .name = "gpio",
	.words = gpio_words,
	.nports = 1,
	.id = DRV_ID_GPIO,
	.nqueues = 2,
	.open = gpio_open,
	.step = gpio_step };

const struct load_class load_wires = { .name = "wires",
	.words = wires_words,
	.keys = wires_keys,
	.nports = 2,
	.id = DRV_ID_GPIO,
	.nqueues = 2,
	.open = gpio_open,
	.step = gpio_step };

const struct load_class load_i2c = { .name = "i2c",
	.words = i2c_words,
	.nports = 1,
	.id = DRV_ID_I2C,
	.nqueues = 1,
	.open = i2c_open,
	.step = i2c_step };

const struct load_class load_spi = { .name = "spi",
	.words = spi_words,
	.nports = 1,
	.id = DRV_ID_SPI,
	.nqueues = 1,
	.open = spi_open,
	.step = spi_step };

const struct load_class load_scmi = { .name = "scmi",
	.words = scmi_words,
	.nports = 1,
	.id = DRV_ID_SCMI,
	.nqueues = 2,
	.open = scmi_open,
	.step = scmi_step };

const struct load_class load_platform = { .name = "scmi-platform",
	.words = platform_words,
	.keys = platform_keys,
	.nports = 2,
	.id = DRV_ID_SCMI,
	.nqueues = 2,
	.open = scmi_open,
	.step = scmi_step };
