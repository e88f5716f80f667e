/* SPDX-License-Identifier: BSD-3-Clause */
/* The loads there are; load_classes[] lists them. */
#pragma once

#include "load.h"

extern const struct load_class load_blk, load_blk_direct;
extern const struct load_class load_net, load_can, load_link;
extern const struct load_class load_tap, load_can_own;
extern const struct load_class load_console, load_vsock;
extern const struct load_class load_rng, load_rtc, load_input;
extern const struct load_class load_gpio, load_wires, load_i2c, load_spi;
extern const struct load_class load_scmi, load_platform;
