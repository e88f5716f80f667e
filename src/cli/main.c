/* SPDX-License-Identifier: BSD-3-Clause */
/* avp: picks the command. */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/opt.h"
#include "base/util.h"
#include "cli/cli.h"
#include "system/board.h"

/* In the order of the help text. */
static const struct cli_command commands[] = {
	{ "run", cmd_run, "start a system and stay with it" },
	{ "check", cmd_check, "check a system file and print what it means" },
	{ "sign", cmd_sign, "sign what a VM is booted from" },
	{ "ps", cmd_ps, "list the processes of a running system" },
	{ "console", cmd_console, "attach to a guest's console" },
	{ "connect", cmd_connect, "connect to a vsock port of a guest" },
	{ "stop", cmd_stop, "power guests off" },
	{ "start", cmd_start, "start a guest that is off" },
	{ "restart", cmd_restart, "power a guest off and start it again" },
	{ "pause", cmd_pause, "stop the processors of a guest" },
	{ "resume", cmd_resume, "let them go on" },
	{ "suspend", cmd_suspend, "have a guest suspend itself to RAM" },
	{ "wakeup", cmd_wakeup, "wake a suspended guest" },
	{ "logs", cmd_logs, "show what the processes of a system wrote" },
	{ "events", cmd_events, "show what happened in a system, and when" },
	{ "stats", cmd_stats, "show the counters of a system" },
	{ "tell", cmd_tell, "give a device or a medium a command" },
	{ "dtb", cmd_dtb, "write the device tree of an arm64 guest" },
	{ "device", cmd_device, "serve one device over vhost-user" },
	{ "scmi-platform", cmd_scmi_platform,
		"serve the SCMI devices of several guests, agents of one platform" },
	{ "can-bus", cmd_canbus,
		"serve the CAN controllers of several guests, connected by a bus" },
	{ "switch", cmd_switch,
		"serve the network cards of several guests, connected by a switch" },
	{ "link", cmd_link, "serve the consoles of several guests, connected by a serial link" },
	{ "wires", cmd_wires, "serve the GPIO devices of several guests, connected by wires" },
	{ "sensors", cmd_sensors, "read this computer's sensors, a line for each sample" },
	{ "efivar", cmd_efivar, "read and write the UEFI variables of a VM that is off" },
	{ "monitor", cmd_monitor, "run one virtual machine on KVM" },
	{ "conform", cmd_conform, "judge a device, or a whole platform, by VIRTIO and AVPS" },
	{ "spec", cmd_conform, "list requirements, and what proves them" },
	{ "board", cmd_board, "run a program in the emulated board" },
	{ "version", cmd_version, "print the version" },
	{ "board-agent", board_agent, NULL },
	{ NULL, NULL, NULL },
};

static void usage(FILE *f)
{
	fputs("usage: avp COMMAND [ARGUMENTS]   (avp COMMAND --help explains one)\n\n", f);
	for (unsigned i = 0; commands[i].name; i++)
		if (commands[i].summary)
			fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].summary);
}

static int unknown_command(const char *word)
{
	const char *names[ARRAY_LEN(commands)], *near;
	unsigned n = 0;

	for (unsigned i = 0; commands[i].name; i++)
		if (commands[i].summary)
			names[n++] = commands[i].name;
	near = opt_nearest(word, names, n);
	if (near)
		fprintf(stderr, "avp: no command '%s' (did you mean '%s'?)\n", word, near);
	else
		fprintf(stderr, "avp: no command '%s'; avp --help lists them\n", word);
	return EXIT_USAGE;
}

/* ps(1) shows what a process is for; one started through /proc/self/exe would be called "exe". */
static int run_command(const struct cli_command *c, int argc, char **argv)
{
	char name[16];

	snprintf(name, sizeof(name), "avp-%s", c->name);
	prctl(PR_SET_NAME, name);
	return c->run(argc, argv);
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
	if (!strcmp(argv[1], "--version"))
		return cmd_version(1, argv);
	for (unsigned i = 0; commands[i].name; i++)
		if (!strcmp(argv[1], commands[i].name))
			return run_command(&commands[i], argc - 1, argv + 1);
	return unknown_command(argv[1]);
}
