/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of a VM that boots through firmware. */
#pragma once

#include "base/err.h"
#include "engine/firmware.h"

/* Makes an empty file of variables if there is none at `path`; -ENOENT with a message if it is not
 * known which kind the firmware would understand. */
int firmware_make_vars(const char *path, enum firmware_vars kind, struct err *e);
