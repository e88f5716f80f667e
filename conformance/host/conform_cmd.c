/* SPDX-License-Identifier: BSD-3-Clause */
/* avp conform: picks the command; which cases to run. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "conformance/host/conform.h"

static const struct cli_command commands[] = {
	{ "self", conform_self, "judge avp's own back-ends" },
	{ "diff", conform_diff, "compare two runs" },
	{ "guest", conform_guest, "judge a platform from inside a guest" },
	{ "image", conform_image, "write the image of the test guest" },
	{ "vhost-user", conform_vhost_user, "judge a vhost-user back-end, without a VM" },
	{ NULL, NULL, NULL },
};

static int usage(FILE *f, int status)
{
	fputs("usage: avp conform COMMAND [ARGUMENTS]   (avp conform COMMAND --help explains "
	      "one)\n\n",
		f);
	for (unsigned i = 0; commands[i].name; i++)
		fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].summary);
	return status;
}

int conform_cmd(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr, EXIT_USAGE);
	if (!strcmp(argv[1], "--help"))
		return usage(stdout, EXIT_OK);
	for (unsigned i = 0; commands[i].name; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "avp conform: no command '%s'; avp conform --help lists them\n", argv[1]);
	return EXIT_USAGE;
}

static bool any_fits(const struct opt_list *patterns, const char *name)
{
	for (unsigned i = 0; i < patterns->n; i++)
		if (!fnmatch(patterns->v[i], name, 0))
			return true;
	return false;
}

bool conform_wanted(const struct conform_choice *choice, const struct cf_case *c)
{
	if (choice->only.n && !any_fits(&choice->only, c->name))
		return false;
	return !any_fits(&choice->skip, c->name);
}

static bool fits_any_case(const char *pattern)
{
	for (unsigned t = 0; cf_case_tables[t]; t++)
		for (const struct cf_case *k = cf_case_tables[t]; k->name; k++)
			if (!fnmatch(pattern, k->name, 0))
				return true;
	return false;
}

int conform_check(const struct conform_choice *choice, struct err *e)
{
	for (unsigned i = 0; i < choice->only.n; i++)
		if (!fits_any_case(choice->only.v[i]))
			return err_set(e, -EINVAL,
				"--only '%s' fits no case; avp conform vhost-user --list has all",
				choice->only.v[i]);
	return 0;
}

void conform_list(const struct conform_choice *choice, uint16_t device)
{
	for (unsigned t = 0; cf_case_tables[t]; t++)
		for (const struct cf_case *k = cf_case_tables[t]; k->name; k++)
			if ((!device || !k->device || k->device == device) &&
				conform_wanted(choice, k))
				printf("%-48s %s\n", k->name, k->proves);
}

char **conform_command(int *argc, char **argv)
{
	for (int i = 0; i < *argc; i++) {
		if (strcmp(argv[i], "--") != 0)
			continue;
		argv[i] = NULL;
		*argc = i;
		return argv + i + 1;
	}
	return NULL;
}
