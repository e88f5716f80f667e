/* SPDX-License-Identifier: BSD-3-Clause */
/* avp conform diff: what changed between two runs, from their JSON lines. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "conformance/host/conform.h"

struct diff_args {
	bool quiet;
};

static const struct opt options[] = {
	{ .name = "quiet",
		.type = OPT_BOOL,
		.offset = offsetof(struct diff_args, quiet),
		.help = "only what newly fails" },
	OPT_END,
};

static const struct cli_spec spec = {
	.usage = "avp conform diff OLD.json NEW.json [OPTIONS]",
	.about = "Compares two runs, as written with --json: what newly fails, what is fixed, what "
		 "has another\nverdict, what is new and what is gone. Exit status: 1 if something "
		 "newly fails, or if NEW is a\nrun that broke off.\n",
	.opts = options,
	.min_words = 2,
	.max_words = 2,
};

/* A verdict of one run. */
struct row {
	struct report_result v;
	struct cJSON *doc;
};

struct run {
	struct row *rows;
	unsigned n, room;
	bool complete; /* it came to its end */
};

enum change { SAME, NEWLY_FAILS, FIXED, OTHER, NEW, GONE, CHANGES };

static const char *const titles[CHANGES] = {
	[NEWLY_FAILS] = "newly fails",
	[FIXED] = "fixed",
	[OTHER] = "changed",
	[NEW] = "new",
	[GONE] = "gone",
};

/* The order in which runs are compared: target, transport, case, rings. */
static int compare(const void *x, const void *y)
{
	const struct report_result *a = &((const struct row *)x)->v,
				   *b = &((const struct row *)y)->v;
	int d = strcmp(a->target, b->target);

	if (!d)
		d = strcmp(a->transport, b->transport);
	if (!d)
		d = strcmp(a->name, b->name);
	return d ? d : (int)a->rings - (int)b->rings;
}

static void free_run(struct run *run)
{
	for (unsigned i = 0; i < run->n; i++)
		report_json_free(run->rows[i].doc);
	free(run->rows);
}

static int add_line(struct run *run, const char *line)
{
	unsigned room = run->room ? 2 * run->room : 256;
	enum report_line kind;
	struct row *rows;

	if (run->n == run->room) {
		rows = reallocarray(run->rows, room, sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		run->rows = rows;
		run->room = room;
	}
	kind = report_from_json(line, &run->rows[run->n].v, &run->rows[run->n].doc);
	run->n += kind == REPORT_VERDICT;
	run->complete = kind == REPORT_END;
	return kind == REPORT_BAD ? -EINVAL : 0;
}

static int read_run(struct run *run, const char *path, struct err *e)
{
	autofclose FILE *f = fopen(path, "re");
	autofree char *line = NULL;
	size_t room = 0;
	int ret = 0;

	if (!f)
		return err_sys(e, -errno, "reading '%s'", path);
	for (unsigned number = 1; !ret && getline(&line, &room, f) > 0; number++) {
		if (line[strspn(line, " \t\r\n")])
			ret = add_line(run, line);
		if (ret)
			err_set(e, ret, "%s:%u: no verdict as avp conform writes it with --json",
				path, number);
	}
	if (!ret && ferror(f))
		ret = err_set(e, -EIO, "reading '%s' failed", path);
	if (!ret && !run->complete)
		fprintf(stderr, "avp conform diff: '%s' is a run that broke off\n", path);
	if (run->n)
		qsort(run->rows, run->n, sizeof(*run->rows), compare);
	return ret;
}

/* Either may be missing. */
static enum change changed(const struct report_result *old, const struct report_result *new)
{
	if (!new)
		return GONE;
	if (new->verdict == CF_FAIL)
		return old && old->verdict == CF_FAIL ? SAME : NEWLY_FAILS;
	if (!old)
		return NEW;
	if (old->verdict == new->verdict)
		return SAME;
	return old->verdict == CF_FAIL && new->verdict == CF_PASS ? FIXED : OTHER;
}

static void print_change(const struct report_result *old, const struct report_result *new)
{
	const struct report_result *any = new ? new : old;

	printf("%-12s %s: %s", titles[changed(old, new)], any->target, any->name);
	if (any->rings != REPORT_NO_RINGS)
		printf(" [%s]", report_rings_name(any->rings));
	printf(" (%s -> %s)", old ? report_verdict_name(old->verdict) : "none",
		new ? report_verdict_name(new->verdict) : "none");
	printf("%s%s\n", new &&*new->evidence ? ": " : "", new ? new->evidence : "");
}

/* Both runs are sorted: goes through them side by side. */
static void walk(const struct run *a, const struct run *b, unsigned counts[CHANGES], bool quiet)
{
	unsigned i = 0, j = 0;

	while (i < a->n || j < b->n) {
		int d = i == a->n ? 1 : j == b->n ? -1 : compare(&a->rows[i], &b->rows[j]);
		const struct report_result *old = d <= 0 ? &a->rows[i++].v : NULL;
		const struct report_result *new = d >= 0 ? &b->rows[j++].v : NULL;
		enum change c = changed(old, new);

		counts[c]++;
		if (c == NEWLY_FAILS || (c != SAME && !quiet))
			print_change(old, new);
	}
}

int conform_diff(int argc, char **argv)
{
	struct run a = { .n = 0 }, b = { .n = 0 };
	unsigned counts[CHANGES] = { 0 };
	struct diff_args args = { 0 };
	struct err e = { 0 };
	char *words[2];
	int ret = cli_parse(&spec, argc, argv, &args, words);

	if (ret != CLI_GO)
		return ret;
	ret = read_run(&a, words[0], &e);
	if (!ret)
		ret = read_run(&b, words[1], &e);
	if (ret) {
		fprintf(stderr, "avp conform diff: %s\n", e.msg);
	} else {
		walk(&a, &b, counts, args.quiet);
		printf("%u the same, %u newly failing, %u fixed, %u changed, %u new, %u gone\n",
			counts[SAME], counts[NEWLY_FAILS], counts[FIXED], counts[OTHER],
			counts[NEW], counts[GONE]);
	}
	free_run(&a);
	free_run(&b);
	opt_free(options, &args);
	if (ret)
		return EXIT_USAGE;
	return counts[NEWLY_FAILS] || !b.complete ? EXIT_FAULT : EXIT_OK;
}
