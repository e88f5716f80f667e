/* SPDX-License-Identifier: BSD-3-Clause */
/* avp conform, avp spec: commands of a program of their own, avp-conform, so that what judges is no
 * part of what is trusted. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/exe.h"
#include "base/util.h"
#include "cli/cli.h"

int cmd_conform(int argc, char **argv)
{
	autofree char **args = calloc((size_t)argc + 2, sizeof(*args));
	char path[PATH_MAX];
	struct err e = { 0 };

	if (!args || exe_find("avp-conform", path, &e)) {
		fprintf(stderr, "avp %s: %s\n", argv[0], args ? e.msg : "out of memory");
		return EXIT_FAULT;
	}
	args[0] = path;
	memcpy(args + 1, argv, (size_t)argc * sizeof(*argv));
	execv(path, args);
	fprintf(stderr, "avp %s: cannot run %s: %s\n", argv[0], path, strerror(errno));
	return EXIT_FAULT;
}
