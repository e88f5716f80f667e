/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest for tests of I2C and SPI. At its start it counts up a byte of the EEPROM, programs a page
 * of the flash and reads both back; from then on it copies the temperature. What it sees is put
 * into the register file, where the operator can look. Switches off when its power button is
 * pressed.
 */
#include "drivers/i2c.h"
#include "drivers/spi.h"
#include "guests/bare/virtio.h"

#define MS	      UINT64_C(1000000)
#define TIMEOUT	      (20000 * MS)
#define DEVICE_MEMORY (64u << 10)
#define REGISTERS     0x20
#define SENSOR	      0x48
#define EEPROM	      0x50
#define FLASH	      1 /* chip select */

/* Where it puts what it sees. */
enum { AT_TEMP = 0x00, AT_FLASH_ID = 0x10, AT_FLASH_DATA = 0x20, AT_STARTS = 0x30 };

static struct bare_virtio_list devices;
static struct drv_i2c i2c;
static struct drv_spi spi;

static int show(uint8_t at, const uint8_t *bytes, uint16_t n)
{
	uint8_t out[17] = { at };

	__builtin_memcpy(out + 1, bytes, n);
	return drv_i2c_write_read(&i2c, REGISTERS, out, (uint16_t)(n + 1), NULL, 0);
}

/* A chip that is writing does not acknowledge. */
static int eeprom_ready(void)
{
	uint64_t until = bare_time() + 1000 * MS;
	int r;

	do
		r = drv_i2c_write_read(&i2c, EEPROM, NULL, 0, NULL, 0);
	while (r == DRV_ERROR && bare_time() < until);
	return r;
}

static int count_start(void)
{
	uint8_t at[3] = { 0 }, starts = 0;
	int r = drv_i2c_write_read(&i2c, EEPROM, at, 2, &starts, 1);

	at[2] = (uint8_t)(starts + 1); /* a new chip has 0xff */
	if (!r)
		r = drv_i2c_write_read(&i2c, EEPROM, at, 3, NULL, 0);
	if (!r)
		r = eeprom_ready();
	if (!r)
		r = drv_i2c_write_read(&i2c, EEPROM, at, 2, &starts, 1);
	return r ? r : show(AT_STARTS, &starts, 1);
}

/* A command, and what it answers. */
static int flash(const void *out, uint32_t out_len, void *in, uint32_t in_len)
{
	struct drv_spi_head head = {
		.chip_select_id = FLASH, .bits_per_word = 8, .cs_change = !in_len
	};
	int r = drv_spi_transfer(&spi, &head, out, NULL, out_len);

	head.cs_change = 1;
	return r || !in_len ? r : drv_spi_transfer(&spi, &head, NULL, in, in_len);
}

static int use_flash(void)
{
	uint8_t in[4];
	int r = flash("\x9f", 1, in, 3);

	if (!r)
		r = show(AT_FLASH_ID, in, 3);
	if (!r)
		r = flash("\x06", 1, NULL, 0);
	if (!r)
		r = flash("\x02\x00\x01\x00ok!", 7, NULL, 0);
	if (!r)
		r = flash("\x03\x00\x01\x00", 4, in, 4);
	return r ? r : show(AT_FLASH_DATA, in, 4);
}

static int set_up(struct bare_info *info)
{
	struct bare_virtio *i, *s;
	int r;

	bare_virtio_find(&devices, info, DEVICE_MEMORY);
	i = bare_virtio_get(&devices, DRV_ID_I2C, 0);
	s = bare_virtio_get(&devices, DRV_ID_SPI, 0);
	if (!i || !s)
		return DRV_GONE;
	r = drv_i2c_open(&i2c, i->dev);
	if (!r)
		r = drv_spi_open(&spi, s->dev);
	i2c.timeout = spi.timeout = TIMEOUT;
	if (!r)
		r = use_flash();
	return r ? r : count_start();
}

int bare_main(struct bare_info *info)
{
	int r = set_up(info);

	while (!r && !bare_button()) {
		uint8_t temp[2] = { 0 };

		r = drv_i2c_write_read(&i2c, SENSOR, "", 1, temp, 2);
		if (!r)
			r = show(AT_TEMP, temp, 2);
		bare_wait(bare_time() + 20 * MS);
	}
	return r;
}
