/* SPDX-License-Identifier: BSD-3-Clause */
/* avp: picks the command. */
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cli/cli.h"
#include "system/board.h"

/* In the order of the help text. */
static const struct cli_command commands[] = {
	{ "device", cmd_device, "serve one device over vhost-user" },
	{ "monitor", cmd_monitor, "run one virtual machine on KVM" },
	{ "board-agent", board_agent, NULL },
	{ "switch", cmd_switch, "serve the network cards of several guests, connected by a switch" },
	{ NULL, NULL, NULL },
};

static void usage(FILE *f)
{
	fputs("usage: avp COMMAND [ARGUMENTS]   (avp COMMAND --help explains one)\n\n", f);
	for (unsigned i = 0; commands[i].name; i++)
		if (commands[i].summary)
			fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].summary);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return EXIT_OK;
	}
	for (unsigned i = 0; commands[i].name; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "avp: no command '%s'; avp --help lists them\n", argv[1]);
	return EXIT_USAGE;
}
