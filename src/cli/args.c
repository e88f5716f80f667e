/* SPDX-License-Identifier: BSD-3-Clause */
/* Command lines. */
#include "cli/args.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "cli/cli.h"

#define NAME_MAX_LEN 64u
#define OPTIONS_MAX  64u

static int usage_error(const struct cli_spec *spec, const char *what, const char *word)
{
	fprintf(stderr, "%s '%s'\nusage: %s\n", what, word, spec->usage);
	return EXIT_USAGE;
}

static void help(const struct cli_spec *spec)
{
	printf("usage: %s\n\n%s\n", spec->usage, spec->about);
	opt_help(spec->opts, stdout);
	printf("  %-26s %s\n", "--help", "this text");
}

static int unknown_option(const struct cli_spec *spec, const char *word, const char *name)
{
	const char *names[OPTIONS_MAX] = { "help" }, *near;
	unsigned n = 1;

	for (const struct opt *o = spec->opts; o->name && n < OPTIONS_MAX; o++)
		names[n++] = o->name;
	near = opt_nearest(name, names, n);
	if (!near)
		return usage_error(spec, "unknown option", word);
	fprintf(stderr, "unknown option '%s' (did you mean '--%s'?)\nusage: %s\n", word, near,
		spec->usage);
	return EXIT_USAGE;
}

/* argv[*i] is an option; moves on by its value. CLI_GO or an exit status. */
static int set_option(const struct cli_spec *spec, int argc, char **argv, int *i, void *base)
{
	const char *word = argv[*i], *value = strchr(word, '=');
	char name[NAME_MAX_LEN];
	struct err e = { 0 };
	const struct opt *o;

	snprintf(name, sizeof(name), "%.*s",
		(int)(value ? (size_t)(value - word - 2) : strlen(word) - 2), word + 2);
	o = opt_find(spec->opts, name);
	if (!o)
		return unknown_option(spec, word, name);
	if (value)
		value++;
	else if (o->type == OPT_BOOL)
		value = "true";
	else if (*i + 1 < argc)
		value = argv[++*i];
	else
		return usage_error(spec, "a value is missing after", word);
	if (!opt_set(spec->opts, base, name, value, &e))
		return CLI_GO;
	fprintf(stderr, "%s\n", e.msg);
	return EXIT_USAGE;
}

static int parse(const struct cli_spec *spec, int argc, char **argv, void *base, char **words)
{
	struct err e = { 0 };
	unsigned n = 0;
	int r = CLI_GO;

	if (spec->max_words)
		memset(words, 0, spec->max_words * sizeof(*words));
	if (opt_defaults(spec->opts, base, &e))
		return fprintf(stderr, "%s\n", e.msg), EXIT_FAULT;
	for (int i = 1; i < argc && r == CLI_GO; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			help(spec);
			return EXIT_OK;
		}
		if (!strncmp(argv[i], "--", 2))
			r = set_option(spec, argc, argv, &i, base);
		else if (n < spec->max_words)
			words[n++] = argv[i];
		else
			r = usage_error(spec, "unexpected", argv[i]);
	}
	if (r == CLI_GO && n < spec->min_words) {
		fprintf(stderr, "usage: %s\n", spec->usage);
		return EXIT_USAGE;
	}
	return r;
}

int cli_parse(const struct cli_spec *spec, int argc, char **argv, void *base, char **words)
{
	int r = parse(spec, argc, argv, base, words);

	if (r != CLI_GO)
		opt_free(spec->opts, base);
	return r;
}

int cli_parse_system(
	const struct cli_spec *spec, int argc, char **argv, void *base, struct conf **conf)
{
	struct conf_errors errors = { .n = 0 };
	char *file;
	int r = cli_parse(spec, argc, argv, base, &file);

	if (r != CLI_GO || !conf_read(conf, file, &errors))
		return r;
	conf_errors_print(&errors, stderr);
	conf_errors_free(&errors);
	return EXIT_USAGE;
}

const struct conf_vm *cli_find_vm(const struct conf *conf, const char *name, struct err *e)
{
	const char *names[CONF_VMS_MAX], *near;

	for (unsigned v = 0; v < conf->nvms; v++) {
		names[v] = conf->vms[v].name;
		if (!strcmp(names[v], name))
			return &conf->vms[v];
	}
	near = opt_nearest(name, names, conf->nvms);
	err_set(e, -EINVAL, "%s has no VM '%.64s'%s%s%s", conf->path, name,
		near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
	return NULL;
}
