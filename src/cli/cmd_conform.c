/* SPDX-License-Identifier: BSD-3-Clause */
/* avp conform, avp spec: commands of a program of their own, avp-conform, so that what judges is no
 * part of what is trusted. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/cli.h"

/* Where avp-conform may be, from the folder of avp: beside it, or where it is installed. */
static const char *const places[] = { "avp-conform", "../libexec/avp/avp-conform", NULL };

/* The folder of this program, with its slash. */
static int own_folder(char folder[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", folder, PATH_MAX - 1);

	if (n < 0)
		return -errno;
	folder[n] = 0;
	strrchr(folder, '/')[1] = 0;
	return 0;
}

int cmd_conform(int argc, char **argv)
{
	char folder[PATH_MAX], path[PATH_MAX + 32];
	autofree char **args = calloc((size_t)argc + 2, sizeof(*args));

	if (!args || own_folder(folder)) {
		fprintf(stderr, "avp %s: /proc/self/exe cannot be read\n", argv[0]);
		return EXIT_FAULT;
	}
	args[0] = path;
	memcpy(args + 1, argv, (size_t)argc * sizeof(*argv));
	for (unsigned i = 0; places[i]; i++) {
		snprintf(path, sizeof(path), "%s%s", folder, places[i]);
		execv(path, args);
	}
	fprintf(stderr,
		"avp %s: it needs avp-conform beside avp in %s or in %s../libexec/avp/: %s\n",
		argv[0], folder, folder, strerror(errno));
	return EXIT_FAULT;
}
