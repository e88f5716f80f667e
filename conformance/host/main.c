/* SPDX-License-Identifier: BSD-3-Clause */
/* avp-conform: what is behind `avp conform` and `avp spec`, apart from the trusted program. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "conformance/host/conform.h"
#include "conformance/host/spec.h"

/* In the order of the help text. */
static const struct cli_command commands[] = {
	{ "conform", conform_cmd, "judge devices by VIRTIO and the requirements" },
	{ "spec", spec_cmd, "list requirements, and what proves them" },
	{ NULL, NULL, NULL },
};

static int usage(FILE *f, int status)
{
	fputs("usage: avp COMMAND [ARGUMENTS]   (avp COMMAND --help explains one)\n\n", f);
	for (unsigned i = 0; commands[i].name; i++)
		fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].summary);
	return status;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr, EXIT_USAGE);
	if (!strcmp(argv[1], "--help"))
		return usage(stdout, EXIT_OK);
	for (unsigned i = 0; commands[i].name; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "avp-conform: no command '%s'; avp-conform --help lists them\n", argv[1]);
	return EXIT_USAGE;
}
