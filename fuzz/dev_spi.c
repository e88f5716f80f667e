/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of the SPI controller with all kinds of simulated chips. */
#include "device.h"
#include "devices/devices.h"

static const char *const *const setups[] = {
	(const char *const[]){ "devices", "0 loopback", "devices", "1 flash size=64K",
		"chip-selects", "3", "bits-per-word", "any", "functions", "cs-high,lsb-first,loop",
		"tx-nbits", "2,4,8", "rx-nbits", "2,4,8", "max-frequency", "1000000", NULL },
	(const char *const[]){ "devices", "0 flash size=64K erase-time=60ms program-time=3ms",
		"cs-change", "false", "max-word-delay", "1000", "max-cs-setup", "1000",
		"max-cs-hold", "1000", "max-cs-inactive", "1000", NULL },
	NULL,
};

const struct fuzz_device fuzz_device = { .cls = &vdev_spi, .guests = 1, .setups = setups };
