/* SPDX-License-Identifier: BSD-3-Clause */
/* avp version. */
#include <stdio.h>

#include "cli/cli.h"

int cmd_version(int argc, char **argv)
{
	puts("avp " AVP_VERSION);
	return EXIT_OK;
}
