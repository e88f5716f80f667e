/* SPDX-License-Identifier: BSD-3-Clause */
/* Simulated chips on an I2C bus: what a chip is to the bus, and the bus that has several. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/opt.h"
#include "devices/chip_tell.h"
#include "host/i2cdev.h"

/* Addresses that the I2C specification (UM10204, 3.1.12) reserves are below and above. */
#define I2C_ADDR_MIN  0x08u
#define I2C_ADDR_MAX  0x77u
#define I2C_CHIPS_MAX 32u

struct i2c_chip;

/* A type of chip. Constant data. */
struct i2c_chip_class {
	const char *name; /* as in the system file: "eeprom" */
	size_t size;	  /* of its structure, which begins with struct i2c_chip */
	const struct opt *opts;

	/* Checks the keys; sets naddrs and bytes.size if they are not as in the class. On failure
	 * nothing is left open. */
	int (*init)(struct i2c_chip *chip, struct err *e);
	void (*finish)(struct i2c_chip *chip);
	/* A (repeated) start with its address number `which`. False: no acknowledgement. */
	bool (*start)(struct i2c_chip *chip, unsigned which, bool read);
	/* Bytes to and from it until the next start or stop. False: a byte was not acknowledged. */
	bool (*write)(struct i2c_chip *chip, const uint8_t *buf, unsigned len);
	void (*read)(struct i2c_chip *chip, uint8_t *buf, unsigned len);
	/* [opt] The transfer is over. */
	void (*stop)(struct i2c_chip *chip);
	/* [opt] A command of the operator besides peek and poke; -ENOENT if it has no such one. */
	int (*command)(struct i2c_chip *chip, unsigned argc, char **argv, struct err *e);
	/* A line for the operator, without an end of line. */
	void (*show)(const struct i2c_chip *chip, FILE *answer);
	const char *commands; /* what `command` takes, for messages; NULL: nothing */
};

extern const struct i2c_chip_class i2c_eeprom;
extern const struct i2c_chip_class i2c_lm75;
extern const struct i2c_chip_class i2c_registers;

/* A chip. */
struct i2c_chip {
	const struct i2c_chip_class *cls;
	uint8_t addr;	/* the first of its addresses */
	uint8_t naddrs; /* that it answers to; 1 unless init says otherwise */
	bool active;	/* addressed since the last stop */
	struct chip_bytes bytes;
};

/* Zero-initialise. */
struct i2c_bus {
	struct i2c_chip *chips[I2C_CHIPS_MAX];
	unsigned n;
};

/* Adds a chip from a line "ADDRESS TYPE KEY=VALUE...". Errors name the line. */
int i2c_bus_add(struct i2c_bus *bus, const char *line, struct err *e);
void i2c_bus_finish(struct i2c_bus *bus);
struct i2c_chip *i2c_bus_find(const struct i2c_bus *bus, uint8_t addr);
/* A segment of a transfer to a chip; false: no acknowledgement. */
bool i2c_bus_segment(struct i2c_bus *bus, const struct i2cdev_segment *segment);
/* The stop condition. */
void i2c_bus_stop(struct i2c_bus *bus);
/* A command of the operator, at least one word: "list", or ADDRESS and what to do. */
int i2c_bus_command(struct i2c_bus *bus, unsigned argc, char **argv, FILE *answer, struct err *e);
