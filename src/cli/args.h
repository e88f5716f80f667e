/* SPDX-License-Identifier: BSD-3-Clause */
/* Command lines: options from a table of keys, then words. */
#pragma once

#include "base/opt.h"
#include "system/config.h"

/* What a command takes. */
struct cli_spec {
	const char *usage;	/* "avp run FILE [OPTIONS]" */
	const char *about;	/* for --help: what it does, whole lines */
	const struct opt *opts; /* "--name value" or "--name=value"; a bool needs no value */
	unsigned min_words, max_words;
};

/* cli_parse() says that the command is to go on. */
#define CLI_GO (-1)

/*
 * Sets options in `base`, which was zeroed, and collects words in `words` (max_words entries, the
 * rest NULL). Returns CLI_GO, or the exit status after --help or an error, which was printed;
 * `base` was freed then.
 */
int cli_parse(const struct cli_spec *spec, int argc, char **argv, void *base, char **words);

/* cli_parse() for a command whose only word is a system file, and reads that file: `*conf` is the
 * caller's. The file's errors are printed. */
int cli_parse_system(
	const struct cli_spec *spec, int argc, char **argv, void *base, struct conf **conf);

/* The VM of that name; NULL with a message that names the nearest. */
const struct conf_vm *cli_find_vm(const struct conf *conf, const char *name, struct err *e);
