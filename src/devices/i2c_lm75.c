/* SPDX-License-Identifier: BSD-3-Clause */
/* A temperature sensor with the registers of the LM75: temperature, configuration, and the two
 * limits of its overtemperature output. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "devices/i2c_chip.h"

enum { REG_TEMP, REG_CONF, REG_HYST, REG_OS, REGS };

#define CONF_SHUTDOWN 0x01u
#define TEMP_MIN      (-55.0)
#define TEMP_MAX      127.9375
/* 75 and 80 degrees, the values after power-up. */
#define HYST_DEFAULT 0x4b00
#define OS_DEFAULT   0x5000

struct lm75 {
	struct i2c_chip chip;
	/* Keys. */
	char *temp;
	uint32_t resolution;

	double degrees;	     /* what it is where the chip is */
	uint16_t regs[REGS]; /* CONF in the upper byte */
	uint8_t pointer;
	uint8_t at; /* the next byte of the register */
	bool got_pointer;
	bool over; /* the output, in comparator mode */
};

static struct lm75 *to_lm75(struct i2c_chip *chip)
{
	return container_of(chip, struct lm75, chip);
}

/* The bits of a temperature that exist. */
static uint16_t mask(const struct lm75 *m)
{
	return (uint16_t)(0xffffu << (16 - m->resolution));
}

/* In units of 1/256 degree, rounded down; the sum keeps the cast away from negative numbers. */
static uint16_t units(double degrees)
{
	return (uint16_t)((int)(degrees * 256 + 32768) - 32768);
}

/* A conversion: the sensor takes the temperature over, unless it is shut down. */
static void convert(struct lm75 *m)
{
	int16_t t;

	if (!(m->regs[REG_CONF] >> 8 & CONF_SHUTDOWN))
		m->regs[REG_TEMP] = units(m->degrees) & mask(m);
	t = (int16_t)m->regs[REG_TEMP];
	if (t >= (int16_t)m->regs[REG_OS])
		m->over = true;
	else if (t < (int16_t)m->regs[REG_HYST])
		m->over = false;
}

static bool lm75_start(struct i2c_chip *chip, unsigned which, bool read)
{
	struct lm75 *m = to_lm75(chip);

	m->got_pointer = false;
	m->at = 0;
	convert(m);
	return true;
}

static void put(struct lm75 *m, uint8_t byte)
{
	uint16_t *reg = &m->regs[m->pointer];

	if (m->pointer == REG_CONF)
		*reg = (uint16_t)(byte << 8);
	else if (m->pointer != REG_TEMP)
		*reg = (m->at ? (*reg & 0xff00) | byte : (*reg & 0x00ff) | byte << 8) & mask(m);
	m->at ^= m->pointer != REG_CONF;
}

static bool lm75_write(struct i2c_chip *chip, const uint8_t *buf, unsigned len)
{
	struct lm75 *m = to_lm75(chip);

	for (unsigned i = 0; i < len; i++) {
		if (m->got_pointer) {
			put(m, buf[i]);
			continue;
		}
		m->pointer = buf[i] & (REGS - 1);
		m->got_pointer = true;
	}
	convert(m);
	return true;
}

/* The register, over and over. */
static void lm75_read(struct i2c_chip *chip, uint8_t *buf, unsigned len)
{
	struct lm75 *m = to_lm75(chip);

	for (unsigned i = 0; i < len; i++) {
		buf[i] = (uint8_t)(m->regs[m->pointer] >> (m->at ? 0 : 8));
		m->at ^= m->pointer != REG_CONF;
	}
}

/* The four registers as words of two bytes. */
static int lm75_peek(void *chip, uint64_t at, uint8_t *buf, unsigned len)
{
	struct lm75 *m = to_lm75(chip);

	convert(m);
	for (unsigned i = 0; i < len; i++, at++)
		buf[i] = (uint8_t)(m->regs[at / 2] >> (at % 2 ? 0 : 8));
	return 0;
}

static int lm75_poke(void *chip, uint64_t at, const uint8_t *buf, unsigned len)
{
	struct lm75 *m = to_lm75(chip);

	for (unsigned i = 0; i < len; i++, at++) {
		uint16_t *reg = &m->regs[at / 2];

		*reg = at % 2 ? (uint16_t)((*reg & 0xff00) | buf[i])
			      : (uint16_t)((*reg & 0x00ff) | buf[i] << 8);
	}
	convert(m);
	return 0;
}

static int set_temp(struct lm75 *m, const char *text, struct err *e)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= TEMP_MIN && v <= TEMP_MAX))
		return err_set(
			e, -EINVAL, "temp: '%.32s' is no temperature from -55 to 127.9375", text);
	m->degrees = v;
	convert(m);
	return 0;
}

static int lm75_command(struct i2c_chip *chip, unsigned argc, char **argv, struct err *e)
{
	if (strcmp(argv[0], "temp") != 0)
		return -ENOENT;
	if (argc != 2)
		return err_set(e, -EINVAL, "temp DEGREES");
	return set_temp(to_lm75(chip), argv[1], e);
}

static void lm75_show(const struct i2c_chip *chip, FILE *answer)
{
	const struct lm75 *m = container_of(chip, const struct lm75, chip);

	fprintf(answer, "temp=%g reads=%g limit=%g hysteresis=%g conf=0x%02x%s", m->degrees,
		(int16_t)m->regs[REG_TEMP] / 256.0, (int16_t)m->regs[REG_OS] / 256.0,
		(int16_t)m->regs[REG_HYST] / 256.0, m->regs[REG_CONF] >> 8,
		m->over ? " overtemperature" : "");
}

static int lm75_init(struct i2c_chip *chip, struct err *e)
{
	struct lm75 *m = to_lm75(chip);

	m->regs[REG_HYST] = HYST_DEFAULT;
	m->regs[REG_OS] = OS_DEFAULT;
	chip->bytes = (struct chip_bytes){ sizeof(m->regs), lm75_peek, lm75_poke };
	return set_temp(m, m->temp, e);
}

static void lm75_finish(struct i2c_chip *chip)
{
}

static const struct opt lm75_opts[] = {
	{ "temp", OPT_STR, offsetof(struct lm75, temp), .def = "25",
		.help = "temperature at first, degrees Celsius" },
	{ "resolution", OPT_U32, offsetof(struct lm75, resolution), .def = "9", .min = 9, .max = 12,
		.help = "bits of a temperature" },
	OPT_END,
};

const struct i2c_chip_class i2c_lm75 = {
	.name = "lm75",
	.size = sizeof(struct lm75),
	.opts = lm75_opts,
	.init = lm75_init,
	.finish = lm75_finish,
	.start = lm75_start,
	.write = lm75_write,
	.read = lm75_read,
	.command = lm75_command,
	.show = lm75_show,
	.commands = "temp DEGREES",
};
