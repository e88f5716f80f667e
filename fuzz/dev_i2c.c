/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of the I2C adapter with all kinds of simulated chips. */
#include "device.h"
#include "devices/devices.h"

static const char *const *const setups[] = {
	(const char *const[]){ "devices", "0x50 eeprom size=512 page=16 write-time=5ms", "devices",
		"0x48 lm75 temp=21.5", "devices", "0x20 registers size=300", NULL },
	(const char *const[]){ "devices", "0x50 eeprom size=4K file=@rom", "devices",
		"0x49 lm75 resolution=12", "devices", "0x21 registers size=16", NULL },
	NULL,
};

const struct fuzz_device fuzz_device = { .cls = &vdev_i2c, .guests = 1, .setups = setups };
