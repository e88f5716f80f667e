/* SPDX-License-Identifier: BSD-3-Clause */
/* avp-guest: the checks that a guest of the demo and the tests runs. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Each returns 0, or 1 after saying on standard error what was wrong. */
int cmd_disk(int argc, char **argv);
int cmd_soak(int argc, char **argv);
int cmd_echo(int argc, char **argv);
int cmd_echo_serve(int argc, char **argv);
int cmd_meet(int argc, char **argv);
int cmd_rng(int argc, char **argv);

/* Milliseconds since the guest's boot. */
uint64_t now_ms(void);

/* A reproducible byte stream: fills buf with the bytes of stream `seed` from `offset` (a multiple
 * of 8) on; `len` is a multiple of 8. */
void pattern_fill(uint64_t seed, uint64_t offset, void *buf, size_t len);

/* Says what failed, with errno; returns 1. */
int fail(const char *what);
