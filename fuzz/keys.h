/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzzing of the keys of a device type, of the descriptions of chips, lines and sensors in them,
 * and of the files that they name: scripts, recordings, contents of chips.
 *
 *     lines KEY=VALUE, an empty line, then the file
 *
 * Keys that are paths mean that file whatever they say. What would lead out of the folder of the
 * fuzzer, or start a process, is left out.
 */
#pragma once

#include "fuzz.h"

/* Of this program: the name of a device type. */
extern const char fuzz_keys_type[];
