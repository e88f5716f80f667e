/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of the entropy device. */
#include "device.h"
#include "devices/devices.h"

static const char *const *const setups[] = {
	(const char *const[]){ NULL },
	(const char *const[]){ "rate", "100", "period", "10", NULL },
	NULL,
};

const struct fuzz_device fuzz_device = { .cls = &vdev_rng, .guests = 1, .setups = setups };
