/* SPDX-License-Identifier: BSD-3-Clause */
/* Fuzzing of the keys of GPIO devices. */
#include "keys.h"

const char fuzz_keys_type[] = "gpio";
