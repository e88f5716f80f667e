/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of `avp monitor`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/monitor.h"

static void help(void)
{
	fputs("usage: avp monitor --kernel FILE [OPTIONS]\n"
	      "\n"
	      "Runs one virtual machine on KVM. Exit status: 0 power-off, 1 failure, 2 usage,\n"
	      "10 reset, 11 guest crash, 12 stopped by force, 14 boot refused.\n"
	      "\n"
	      "  --name NAME        name in messages (default: vm)\n"
	      "  --device KEYS      attach a device, may be repeated:\n"
	      "                     type=TYPE,socket=PATH          served by a vhost-user process\n"
	      "                     type=TYPE,isolate=false,KEY=VALUE,...   served by a thread "
	      "here\n"
	      "                     id=N,queues=N,config=BYTES,socket=PATH  of a type not known "
	      "here\n"
	      "                     and transport=pci or mmio\n"
	      "  --jail MODE        best-effort, required or off (default: best-effort)\n"
	      "  --control-fd N     SOCK_SEQPACKET: commands in, events out (docs/monitor.md)\n",
		stdout);
	opt_help(vm_opts, stdout);
}

static int parse_control(struct monitor_args *args, const char *value, struct err *e)
{
	char *end;
	unsigned long fd = strtoul(value, &end, 10);

	if (end == value || *end || fd > 1u << 20)
		return err_set(e, -EINVAL, "--control-fd '%s' is not a descriptor number", value);
	args->control_fd = (int)fd;
	return 0;
}

static int parse_jail(const char *value, enum jail_mode *mode, struct err *e)
{
	for (int i = JAIL_BEST_EFFORT; i <= JAIL_OFF; i++)
		if (!strcmp(value, jail_mode_words[i])) {
			*mode = (enum jail_mode)i;
			return 0;
		}
	return err_set(e, -EINVAL, "--jail '%s': %s, %s or %s", value, jail_mode_words[0],
		jail_mode_words[1], jail_mode_words[2]);
}

static int set_option(struct monitor_args *args, const char *key, const char *value, struct err *e)
{
	if (!strcmp(key, "name")) {
		args->name = value;
		return 0;
	}
	if (!strcmp(key, "control-fd"))
		return parse_control(args, value, e);
	if (!strcmp(key, "jail"))
		return parse_jail(value, &args->jail, e);
	if (!strcmp(key, "device")) {
		if (args->ndevices == VM_DEVICES_MAX)
			return err_set(e, -EINVAL, "more than %u devices", VM_DEVICES_MAX);
		args->devices[args->ndevices++] = value;
		return 0;
	}
	return opt_set(vm_opts, &args->conf, key, value, e);
}

/* One option with its value, "--key value", "--key=value" or, for switches, "--key". Returns the
 * number of words taken, or -errno. */
static int parse_one(struct monitor_args *args, int argc, char **argv, struct err *e)
{
	autofree char *key = NULL;
	const struct opt *opt;
	const char *value;
	char *eq;
	int rc;

	if (strncmp(argv[0], "--", 2) != 0)
		return err_set(e, -EINVAL, "unexpected '%s'; --help lists the options", argv[0]);
	key = strdup(argv[0] + 2);
	if (!key)
		return err_set(e, -ENOMEM, "no memory");
	eq = strchr(key, '=');
	if (eq) {
		*eq = '\0';
		return (rc = set_option(args, key, eq + 1 - key + argv[0] + 2, e)) ? rc : 1;
	}
	opt = opt_find(vm_opts, key);
	if (opt && opt->type == OPT_BOOL && (argc < 2 || !strncmp(argv[1], "--", 2)))
		return (rc = set_option(args, key, "true", e)) ? rc : 1;
	if (argc < 2)
		return err_set(e, -EINVAL, "--%s needs a value", key);
	value = argv[1];
	return (rc = set_option(args, key, value, e)) ? rc : 2;
}

int monitor_parse(struct monitor_args *args, int argc, char **argv, struct err *e)
{
	const char *key;
	int rc;

	*args = (struct monitor_args){ .name = "vm", .control_fd = -1 };
	rc = opt_defaults(vm_opts, &args->conf, e);
	for (int i = 1; rc >= 0 && i < argc; i += rc) {
		if (!strcmp(argv[i], "--help")) {
			help();
			return 1;
		}
		rc = parse_one(args, argc - i, argv + i, e);
	}
	if (rc >= 0)
		rc = opt_check(vm_opts, &args->conf, e);
	return rc < 0 ? rc : vm_conf_check(&args->conf, &key, e);
}

void monitor_args_free(struct monitor_args *args)
{
	opt_free(vm_opts, &args->conf);
}
