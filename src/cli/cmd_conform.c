/* SPDX-License-Identifier: BSD-3-Clause */
/* avp conform and avp spec: another program, beside this one, so that this one stays small. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cli/cli.h"

#define PROGRAM "avp-conform"

/* The path of PROGRAM in the folder of this program; 0 or -errno. */
static int sibling(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (n < 0)
		return -errno;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash || (size_t)(slash + 1 - path) + sizeof(PROGRAM) > PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(slash + 1, PROGRAM);
	return 0;
}

int cmd_conform(int argc, char **argv)
{
	autofree char **args = calloc((size_t)argc + 2, sizeof(*args));
	char path[PATH_MAX] = PROGRAM;
	int ret = args ? sibling(path) : -ENOMEM;

	if (!ret) {
		args[0] = path;
		memcpy(args + 1, argv, (size_t)argc * sizeof(*args));
		execv(path, args);
		ret = -errno;
	}
	fprintf(stderr, "avp %s is a part of %s, which cannot be started: %s\n", argv[0], path,
		strerror(-ret));
	return EXIT_FAULT;
}
