/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs that belong to avp but are not in it. */
#pragma once

#include <limits.h>

#include "base/err.h"

/*
 * Finds the program `name`: beside the running program, in ../libexec/avp from there, or in the
 * folder that it was configured to be installed in. -ENOENT with a message that says where it was
 * looked for.
 */
int exe_find(const char *name, char path[static PATH_MAX], struct err *e);
