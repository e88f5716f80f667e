/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of the keys of I2C devices. */
#include "keys.h"

const char fuzz_keys_type[] = "i2c";
