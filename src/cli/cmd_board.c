/* SPDX-License-Identifier: BSD-3-Clause */
/* avp board: runs any program in the emulated board. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "system/board.h"
#include "system/rundir.h"

struct board_args {
	int arch;
	uint64_t memory;
	struct opt_list shares;
};

/* The first word is BOARD_AUTO's place; a board is what this command is for. */
static const char *const arch_words[] = { "host", "x86-64", "arm64", NULL };

static const struct opt board_opts[] = {
	{ .name = "arch",
		.type = OPT_ENUM,
		.offset = offsetof(struct board_args, arch),
		.def = "host",
		.words = arch_words,
		.help = "what to emulate" },
	{ .name = "memory",
		.type = OPT_SIZE,
		.offset = offsetof(struct board_args, memory),
		.def = "512M",
		.max = UINT64_C(1) << 40,
		.help = "memory for the program and its guests" },
	{ .name = "share",
		.type = OPT_LIST,
		.offset = offsetof(struct board_args, shares),
		.help = "one more folder to share, under the same path" },
	OPT_END,
};

static const struct cli_spec board_spec = {
	.usage = "avp board [--arch host|x86-64|arm64] [--memory SIZE] [--share DIR]... -- "
		 "PROGRAM [ARGUMENTS]",
	.about = "Runs a program in the emulated board, as root and with this folder as its\n"
		 "working folder. PROGRAM is a path in the board or a name: /usr is this\n"
		 "computer's, or holds a few programs of the other architecture; /avp is the\n"
		 "folder of the board's avp. Exit status: the program's.\n",
	.opts = board_opts,
};

static int run_in(const char *run_dir, const struct board_args *args, char **command, struct err *e)
{
	autofree char *here = getcwd(NULL, 0);
	const char *arch = args->arch ? arch_words[args->arch] : NULL;
	const struct board_job job = {
		.arch = board_named(arch),
		.program = command[0],
		.args = (const char *const *)command + 1,
		.dir = here,
		.paths = (const char *const *)args->shares.v,
		.n_paths = args->shares.n,
		.guest_memory = args->memory,
		.run_dir = run_dir,
	};

	if (!here)
		return err_sys(e, -errno, "the working folder");
	if (!job.arch)
		return err_set(e, -ENOTSUP, "there is no board for this computer's architecture");
	return board_run(&job, e);
}

static int run(const struct board_args *args, char **command)
{
	autofree char *run_dir = NULL;
	char name[32];
	struct err e = { 0 };
	int lock, r;

	/* The commands for running systems do not look at folders with a dot. */
	snprintf(name, sizeof(name), ".board-%d", getpid());
	run_dir = rundir_path(name);
	lock = run_dir ? rundir_create(run_dir, &e) : -ENOMEM;
	if (lock < 0) {
		fprintf(stderr, "avp board: %s\n", e.msg);
		return EXIT_FAULT;
	}
	r = run_in(run_dir, args, command, &e);
	rundir_remove(run_dir, lock);
	if (r >= 0)
		return r;
	fprintf(stderr, "avp board: %s\n", e.msg);
	return EXIT_FAULT;
}

int cmd_board(int argc, char **argv)
{
	struct board_args args = { 0 };
	char **command = NULL, *none;
	int r;

	for (int i = 1; i < argc && !command; i++)
		if (!strcmp(argv[i], "--")) {
			command = argv + i + 1;
			argc = i;
		}
	r = cli_parse(&board_spec, argc, argv, &args, &none);
	if (r != CLI_GO)
		return r;
	if (command && command[0]) {
		r = run(&args, command);
	} else {
		fprintf(stderr, "usage: %s\n", board_spec.usage);
		r = EXIT_USAGE;
	}
	opt_free(board_opts, &args);
	return r;
}
