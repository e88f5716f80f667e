/* SPDX-License-Identifier: BSD-3-Clause */
/* The simulated chips of an I2C bus. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "base/words.h"
#include "devices/i2c_chip.h"

static const struct i2c_chip_class *const classes[] = { &i2c_eeprom, &i2c_lm75, &i2c_registers };

static void chip_free(struct i2c_chip *chip)
{
	opt_free(chip->cls->opts, chip);
	free(chip);
}

static const struct i2c_chip_class *find_class(const char *name)
{
	for (unsigned i = 0; i < ARRAY_LEN(classes); i++)
		if (!strcmp(classes[i]->name, name))
			return classes[i];
	return NULL;
}

/* Every address has one owner. */
static int check_addresses(const struct i2c_bus *bus, const struct i2c_chip *chip, struct err *e)
{
	if (chip->addr + chip->naddrs - 1u > I2C_ADDR_MAX)
		return err_set(e, -EINVAL, "it needs %u addresses, the last is 0x%02x",
			chip->naddrs, I2C_ADDR_MAX);
	if (chip->addr % chip->naddrs)
		return err_set(e, -EINVAL,
			"it needs %u addresses and selects among them with the lowest bits: the "
			"first must be a multiple of %u",
			chip->naddrs, chip->naddrs);
	for (unsigned i = 0; i < chip->naddrs; i++)
		if (i2c_bus_find(bus, (uint8_t)(chip->addr + i)))
			return err_set(e, -EINVAL, "address 0x%02x is taken by another chip",
				chip->addr + i);
	return 0;
}

static int make_chip(struct i2c_chip **out, const struct words *w, struct err *e)
{
	const struct i2c_chip_class *cls;
	struct i2c_chip *chip;
	uint64_t addr;
	int r;

	if (words_number(w->v[0], I2C_ADDR_MIN, I2C_ADDR_MAX, &addr))
		return err_set(e, -EINVAL, "'%.32s' is no address, 0x%02x to 0x%02x", w->v[0],
			I2C_ADDR_MIN, I2C_ADDR_MAX);
	if (w->n < 2)
		return err_set(e, -EINVAL, "what is there? eeprom, lm75 or registers");
	cls = find_class(w->v[1]);
	if (!cls)
		return err_set(e, -EINVAL,
			"there is no simulated chip '%.32s'; there are eeprom, lm75 and registers",
			w->v[1]);
	chip = calloc(1, cls->size);
	if (!chip)
		return err_set(e, -ENOMEM, "out of memory");
	*chip = (struct i2c_chip){ .cls = cls, .addr = (uint8_t)addr, .naddrs = 1 };
	r = opt_defaults(cls->opts, chip, e);
	if (!r)
		r = words_set(cls->opts, chip, w->v + 2, w->n - 2, e);
	if (!r)
		r = cls->init(chip, e);
	if (r)
		chip_free(chip);
	else
		*out = chip;
	return r;
}

static int add_words(struct i2c_bus *bus, const struct words *w, struct err *e)
{
	struct i2c_chip *chip = NULL;
	int r;

	if (bus->n == I2C_CHIPS_MAX)
		return err_set(e, -E2BIG, "a bus has at most %u chips", I2C_CHIPS_MAX);
	r = make_chip(&chip, w, e);
	if (!chip)
		return r;
	r = check_addresses(bus, chip, e);
	if (r) {
		chip->cls->finish(chip);
		chip_free(chip);
		return r;
	}
	bus->chips[bus->n++] = chip;
	return 0;
}

int i2c_bus_add(struct i2c_bus *bus, const char *line, struct err *e)
{
	struct words w;
	int r = words_split(&w, line, e);

	if (!r) {
		r = add_words(bus, &w, e);
		words_free(&w);
	}
	return r ? err_prefix(e, "devices: '%.64s'", line) : 0;
}

void i2c_bus_finish(struct i2c_bus *bus)
{
	while (bus->n) {
		struct i2c_chip *chip = bus->chips[--bus->n];

		chip->cls->finish(chip);
		chip_free(chip);
	}
}

struct i2c_chip *i2c_bus_find(const struct i2c_bus *bus, uint8_t addr)
{
	for (unsigned i = 0; i < bus->n; i++)
		if (addr >= bus->chips[i]->addr &&
			addr - bus->chips[i]->addr < bus->chips[i]->naddrs)
			return bus->chips[i];
	return NULL;
}

bool i2c_bus_segment(struct i2c_bus *bus, const struct i2cdev_segment *s)
{
	struct i2c_chip *chip = i2c_bus_find(bus, s->addr);

	if (!chip)
		return false;
	chip->active = true;
	if (!chip->cls->start(chip, s->addr - chip->addr, s->read))
		return false;
	if (!s->read)
		return chip->cls->write(chip, s->data, s->len);
	chip->cls->read(chip, s->data, s->len);
	return true;
}

void i2c_bus_stop(struct i2c_bus *bus)
{
	for (unsigned i = 0; i < bus->n; i++) {
		struct i2c_chip *chip = bus->chips[i];

		if (chip->active && chip->cls->stop)
			chip->cls->stop(chip);
		chip->active = false;
	}
}

static void show(const struct i2c_chip *chip, FILE *answer)
{
	fprintf(answer, "0x%02x %s ", chip->addr, chip->cls->name);
	chip->cls->show(chip, answer);
	fputs("\n", answer);
}

static int command(struct i2c_chip *chip, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	int r = -ENOENT;

	if (!argc) {
		show(chip, answer);
		return 0;
	}
	if (chip_tell(&chip->bytes, chip, argc, argv, answer, &r, e))
		return r;
	if (chip->cls->command)
		r = chip->cls->command(chip, argc, argv, e);
	if (r != -ENOENT)
		return r;
	return err_set(e, -EINVAL, "'%.32s': a chip '%s' takes peek, poke%s%s", argv[0],
		chip->cls->name, chip->cls->commands ? " and " : "",
		chip->cls->commands ? chip->cls->commands : "");
}

int i2c_bus_command(struct i2c_bus *bus, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct i2c_chip *chip;
	uint64_t addr;

	if (argc == 1 && !strcmp(argv[0], "list")) {
		for (unsigned i = 0; i < bus->n; i++)
			show(bus->chips[i], answer);
		return 0;
	}
	if (words_number(argv[0], 0, 127, &addr))
		return err_set(e, -EINVAL,
			"'%.32s' is no address; the words are: list, or ADDRESS [peek AT [COUNT] | "
			"poke AT BYTE... | temp DEGREES]",
			argv[0]);
	chip = i2c_bus_find(bus, (uint8_t)addr);
	if (!chip)
		return err_set(
			e, -EINVAL, "there is no simulated chip at address 0x%02x", (unsigned)addr);
	return command(chip, argc - 1, argv + 1, answer, e);
}
