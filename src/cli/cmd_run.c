/* SPDX-License-Identifier: BSD-3-Clause */
/* avp run: starts a system and stays with it to its end. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "base/words.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "system/board.h"
#include "system/rundir.h"
#include "system/supervisor.h"

#define PATHS_MAX 1024u

/* Where a system that runs in the board has its control socket: avp is root there. */
#define CONTROL_INSIDE "/run/avp/%s/" RUNDIR_CONTROL

struct run_args {
	int board;
};

static const struct opt run_opts[] = {
	{ .name = "board",
		.type = OPT_ENUM,
		.offset = offsetof(struct run_args, board),
		.def = "auto",
		.words = board_mode_words,
		.help = "emulated computer to run in; auto: if the guests cannot run here" },
	OPT_END,
};

static const struct cli_spec run_spec = {
	.usage = "avp run SYSTEM.yaml [--board auto|none|x86-64|arm64]",
	.about =
		"Starts the virtual machines of a system file and stays until they have ended.\n"
		"Ctrl-C presses their power buttons; after the grace period, or with a second\n"
		"Ctrl-C, they are ended by force. Exit status: 0 all guests powered off, 1 one of\n"
		"them did not, 2 wrong usage or configuration.\n",
	.opts = run_opts,
	.min_words = 1,
	.max_words = 1,
};

/* Paths that the processes of a system will open. */
struct paths {
	char *v[PATHS_MAX]; /* owned */
	unsigned n;
};

static void paths_free(struct paths *p)
{
	while (p->n)
		free(p->v[--p->n]);
}

/* A word in a path's place is not absolute: `firmware: edk2` is in the board's own /usr. */
static void add_path(struct paths *p, const char *path)
{
	char *copy = path[0] == '/' && p->n < PATHS_MAX ? strdup(path) : NULL;

	if (copy)
		p->v[p->n++] = copy;
}

/* The words file=PATH of a line. */
static void add_files(struct paths *p, const char *line)
{
	struct words w;

	if (words_split(&w, line, NULL))
		return;
	for (unsigned i = 0; i < w.n; i++)
		if (!strncmp(w.v[i], WORDS_FILE, strlen(WORDS_FILE)))
			add_path(p, w.v[i] + strlen(WORDS_FILE));
	words_free(&w);
}

static void add_paths(struct paths *p, const struct conf_keys *keys)
{
	for (unsigned i = 0; i < keys->n; i++)
		if (keys->v[i].opt->type == OPT_PATH)
			add_path(p, keys->v[i].value);
		else if (keys->v[i].opt->flags & OPT_FILES)
			add_files(p, keys->v[i].value);
}

/* All of them; with an error if one cannot be had in the board. */
static int find_paths(struct paths *p, const struct conf *conf, struct err *e)
{
	for (unsigned i = 0; i < conf->nmedia; i++)
		add_paths(p, &conf->media[i].keys);
	for (unsigned v = 0; v < conf->nvms; v++) {
		const struct conf_vm *vm = &conf->vms[v];

		add_paths(p, &vm->keys);
		for (unsigned i = 0; i < vm->ndevices; i++) {
			if (vm->devices[i].socket)
				return err_set(e, -ENOTSUP,
					"%s:%u: a device with 'socket' cannot be reached from the "
					"board, in which this system would have to run",
					conf->path, vm->devices[i].line);
			add_paths(p, &vm->devices[i].keys);
		}
	}
	return 0;
}

/* What the guests are for; one computer cannot run guests of two architectures. */
static int guests_arch(const struct conf *conf, const char **arch, struct err *e)
{
	*arch = NULL;
	for (unsigned v = 0; v < conf->nvms; v++) {
		const char *own = vm_arch_words[vm_conf_arch(&conf->vms[v].machine)];

		if (*arch && strcmp(*arch, own) != 0)
			return err_set(e, -EINVAL,
				"VM '%s' is for %s, VM '%s' for %s: a system runs on one computer",
				conf->vms[0].name, *arch, conf->vms[v].name, own);
		*arch = own;
	}
	return 0;
}

static int run_in_board(
	const struct conf *conf, const struct board_arch *arch, const char *run_dir, struct err *e)
{
	autofree char *file = realpath(conf->path, NULL), *dir = file ? strdup(file) : NULL;
	autofree char *control = NULL, *inside = NULL;
	const char *args[] = { "run", file, "--board", "none", NULL };
	struct board_job job = { .arch = arch, .args = args, .run_dir = run_dir };
	struct paths paths __attribute__((cleanup(paths_free))) = { .n = 0 };
	int r = find_paths(&paths, conf, e);

	if (r)
		return r;
	if (asprintf(&control, "%s/" RUNDIR_CONTROL, run_dir) < 0)
		control = NULL;
	if (asprintf(&inside, CONTROL_INSIDE, conf->name) < 0)
		inside = NULL;
	if (!file || !dir || !control || !inside)
		return err_set(e, -ENOMEM, "out of memory");
	job.dir = dirname(dir);
	job.paths = (const char *const *)paths.v;
	job.n_paths = paths.n;
	job.control = control;
	job.control_inside = inside;
	for (unsigned v = 0; v < conf->nvms; v++)
		job.guest_memory += conf->vms[v].machine.memory;
	return board_run(&job, e);
}

/* Runs it in the board, or here. */
static int run_somewhere(const struct conf *conf, int mode, const char *run_dir, struct err *e)
{
	const struct board_arch *board;
	const char *guests;
	char why[256];
	int r = guests_arch(conf, &guests, e);

	if (r)
		return r;
	board = board_choose(mode, guests, why, sizeof(why));
	if (why[0])
		printf("%s: running in the emulated board instead (--board none: try anyway)\n",
			why);
	fflush(stdout);
	return board ? run_in_board(conf, board, run_dir, e) : supervisor_run(conf, run_dir, e);
}

static int run(const struct conf *conf, int mode)
{
	autofree char *run_dir = rundir_path(conf->name);
	struct err e = { 0 };
	int lock, r;

	if (!run_dir)
		return EXIT_FAULT;
	lock = rundir_create(run_dir, &e);
	if (lock < 0) {
		fprintf(stderr, "%s: %s\n", conf->name, e.msg);
		return EXIT_FAULT;
	}
	r = run_somewhere(conf, mode, run_dir, &e);
	rundir_remove(run_dir, lock);
	if (r >= 0)
		return r;
	fprintf(stderr, "%s: %s\n", conf->name, e.msg);
	return EXIT_FAULT;
}

int cmd_run(int argc, char **argv)
{
	struct run_args args = { 0 };
	struct conf *conf = NULL;
	int r = cli_parse_system(&run_spec, argc, argv, &args, &conf);

	if (r != CLI_GO)
		return r;
	r = run(conf, args.board);
	conf_free(conf);
	return r;
}
