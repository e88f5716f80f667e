/* SPDX-License-Identifier: BSD-3-Clause */
/* avp spec: the catalogue, and what speaks for each of its entries. */
#include <cJSON.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "conformance/cf.h"
#include "conformance/host/spec.h"

#define WORDS_MAX 32u
#define AREAS_MAX 64u

static const char *const states[] = { "any", "case", "test", "why", "open", NULL };
static const char *const strengths[] = { "any", "M", "C", "S", "O", "W", "-", NULL };
static const char *const binders[] = { "any", "device", "driver", "platform", NULL };
#define STATES 4u

struct spec_args {
	char *area;
	int strength, state, binds; /* 0: any */
	bool json;
};

static const struct opt spec_opts[] = {
	{ .name = "area",
		.type = OPT_STR,
		.offset = offsetof(struct spec_args, area),
		.help = "only this area (the summary names them)" },
	{ .name = "strength",
		.type = OPT_ENUM,
		.offset = offsetof(struct spec_args, strength),
		.def = "any",
		.words = strengths,
		.help = "mandatory, conditional, should, optional, wish, no requirement" },
	{ .name = "state",
		.type = OPT_ENUM,
		.offset = offsetof(struct spec_args, state),
		.def = "any",
		.words = states,
		.help = "what speaks for it: a case, a test, a reason why not, nothing" },
	{ .name = "binds",
		.type = OPT_ENUM,
		.offset = offsetof(struct spec_args, binds),
		.def = "any",
		.words = binders,
		.help = "whom it obliges" },
	{ .name = "json",
		.type = OPT_BOOL,
		.offset = offsetof(struct spec_args, json),
		.help = "as JSON" },
	OPT_END,
};

static const struct cli_spec spec_usage = {
	.usage = "avp spec [list [WORD]... | show ID...] [OPTIONS]",
	.about =
		"The catalogue of requirements: VIRTIO 1.4 statement by statement, the Automotive\n"
		"Virtual Platform Specification, and rules of this project. Without a word a\n"
		"summary by area; with `list` a line per entry that has all WORDs in ID, source\n"
		"or text; with `show` all about an entry.\n",
	.opts = spec_opts,
	.max_words = WORDS_MAX,
};

static const char *state_name(const struct spec_entry *e)
{
	return states[1 + spec_state(e)];
}

/* True if ID, source or text contain the word, in letters of either case. */
static bool mentions(const struct spec_entry *e, const char *word)
{
	return strcasestr(e->id, word) || strcasestr(e->source, word) || strcasestr(e->text, word);
}

static bool wanted(const struct spec_args *args, const struct spec_entry *e)
{
	return (!args->area || !strcmp(args->area, e->area)) &&
	       (!args->strength || !strcmp(strengths[args->strength], e->strength)) &&
	       (!args->binds || !strcmp(binders[args->binds], e->binds)) &&
	       (!args->state || !strcmp(states[args->state], state_name(e)));
}

static void print_json(cJSON *o)
{
	char *text = cJSON_Print(o);

	puts(text ? text : "");
	cJSON_free(text);
	cJSON_Delete(o);
}

static cJSON *json_entry(const struct spec_entry *e)
{
	cJSON *o = cJSON_CreateObject(), *list;
	const char *tests = e->tests, *word;
	struct spec_cases it = { 0 };
	char buf[128];

	cJSON_AddStringToObject(o, "id", e->id);
	cJSON_AddStringToObject(o, "area", e->area);
	cJSON_AddStringToObject(o, "strength", e->strength);
	cJSON_AddStringToObject(o, "binds", e->binds);
	cJSON_AddStringToObject(o, "source", e->source);
	cJSON_AddStringToObject(o, "text", e->text);
	cJSON_AddStringToObject(o, "state", state_name(e));
	list = cJSON_AddArrayToObject(o, "cases");
	for (const struct cf_case *c; (c = spec_next_claim(&it, e->id));)
		cJSON_AddItemToArray(list, cJSON_CreateString(c->name));
	list = cJSON_AddArrayToObject(o, "tests");
	while ((word = spec_word(&tests, buf, sizeof(buf))))
		cJSON_AddItemToArray(list, cJSON_CreateString(word));
	cJSON_AddStringToObject(o, "why", e->why);
	return o;
}

/* Summary. */

struct area {
	const char *name;
	unsigned entries, states[STATES];
};

static struct area *area_of(struct area *areas, unsigned *n, const char *name)
{
	for (unsigned i = 0; i < *n; i++)
		if (!strcmp(areas[i].name, name))
			return &areas[i];
	if (*n == AREAS_MAX)
		return NULL;
	areas[*n] = (struct area){ .name = name };
	return &areas[(*n)++];
}

static void count(struct area *a, const struct spec_entry *e)
{
	a->entries++;
	a->states[spec_state(e)]++;
}

static void print_area(const struct area *a)
{
	printf("%-12s %7u", a->name, a->entries);
	for (unsigned s = 0; s < STATES; s++)
		printf(" %7u", a->states[s]);
	putchar('\n');
}

static cJSON *json_area(const struct area *a)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddStringToObject(o, "area", a->name);
	cJSON_AddNumberToObject(o, "entries", a->entries);
	for (unsigned s = 0; s < STATES; s++)
		cJSON_AddNumberToObject(o, states[1 + s], a->states[s]);
	return o;
}

/* Claims of cases, each as {"case", "id"}; those of IDs that do not exist are what the test of the
 * catalogue looks for. */
static cJSON *json_claims(void)
{
	cJSON *list = cJSON_CreateArray();
	struct spec_cases it = { 0 };
	char id[SPEC_ID_MAX];

	for (const struct cf_case *c; (c = spec_next_case(&it));) {
		const char *words = c->proves ? c->proves : "";

		while (spec_word(&words, id, sizeof(id))) {
			cJSON *o = cJSON_CreateObject();

			cJSON_AddStringToObject(o, "case", c->name);
			cJSON_AddStringToObject(o, "id", id);
			cJSON_AddItemToArray(list, o);
		}
	}
	return list;
}

static void json_summary(const struct area *areas, unsigned n)
{
	cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "areas");

	for (unsigned i = 0; i < n; i++)
		cJSON_AddItemToArray(list, json_area(&areas[i]));
	cJSON_AddItemToObject(o, "claims", json_claims());
	print_json(o);
}

static int summary(const struct spec_args *args)
{
	struct area areas[AREAS_MAX], all = { .name = "all" };
	unsigned n = 0;

	for (unsigned i = 0; i < spec_count; i++) {
		struct area *a;

		if (!wanted(args, &spec_entries[i]))
			continue;
		a = area_of(areas, &n, spec_entries[i].area);
		if (a)
			count(a, &spec_entries[i]);
		count(&all, &spec_entries[i]);
	}
	if (args->json) {
		json_summary(areas, n);
		return EXIT_OK;
	}
	printf("%-12s %7s %7s %7s %7s %7s\n", "area", "entries", "case", "test", "why", "open");
	for (unsigned i = 0; i < n; i++)
		print_area(&areas[i]);
	print_area(&all);
	return EXIT_OK;
}

/* Lists and single entries. */

static int list(const struct spec_args *args, char **words)
{
	cJSON *array = args->json ? cJSON_CreateArray() : NULL;

	for (unsigned i = 0; i < spec_count; i++) {
		const struct spec_entry *e = &spec_entries[i];
		bool good = wanted(args, e);

		for (char **w = words; good && *w; w++)
			good = mentions(e, *w);
		if (!good)
			continue;
		if (array)
			cJSON_AddItemToArray(array, json_entry(e));
		else
			printf("%-17s %s %-8s %-4s  %s\n", e->id, e->strength, e->binds,
				state_name(e), e->text);
	}
	if (array)
		print_json(array);
	return EXIT_OK;
}

/* "name   text", the text in lines of at most the terminal's width. */
static void print_field(const char *name, const char *text)
{
	struct winsize w;
	size_t width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) || w.ws_col < 40 ? 90 : w.ws_col;
	size_t column = 0;

	printf("  %-9s", name);
	for (const char *word = text; *word;) {
		size_t len = strcspn(word, " ");

		if (column && column + len > width - 13) {
			printf("\n%11s", "");
			column = 0;
		}
		printf(" %.*s", (int)len, word);
		column += len + 1;
		word += len;
		word += strspn(word, " ");
	}
	putchar('\n');
}

static void show_entry(const struct spec_entry *e)
{
	static const char *const meaning[] = { "", "mandatory", "conditional", "should", "optional",
		"wish", "no requirement" };
	struct spec_cases it = { 0 };
	unsigned s = 1;

	while (strengths[s + 1] && strcmp(strengths[s], e->strength))
		s++;
	printf("%s\n", e->id);
	print_field("text", e->text);
	print_field("strength", meaning[s]);
	print_field("binds", e->binds);
	print_field("source", e->source);
	print_field("area", e->area);
	for (const struct cf_case *c; (c = spec_next_claim(&it, e->id));)
		print_field("case", c->name);
	if (*e->tests)
		print_field("tests", e->tests);
	if (*e->why)
		print_field("why", e->why);
	if (spec_state(e) == SPEC_OPEN)
		print_field("open", "nothing proves it yet");
}

static void unknown_id(const char *id)
{
	autofree const char **names = calloc(spec_count, sizeof(*names));
	const char *near = NULL;

	for (unsigned i = 0; names && i < spec_count; i++)
		names[i] = spec_entries[i].id;
	if (names)
		near = opt_nearest(id, names, spec_count);
	fprintf(stderr, "avp spec: no entry '%s'", id);
	if (near)
		fprintf(stderr, " (did you mean '%s'?)", near);
	fputs("; avp spec list has them all\n", stderr);
}

static int show(const struct spec_args *args, char **ids)
{
	cJSON *array = args->json ? cJSON_CreateArray() : NULL;
	int status = EXIT_OK;

	for (; *ids; ids++) {
		const struct spec_entry *e = spec_find(*ids);

		if (!e) {
			unknown_id(*ids);
			status = EXIT_USAGE;
		} else if (array) {
			cJSON_AddItemToArray(array, json_entry(e));
		} else {
			show_entry(e);
		}
	}
	if (array)
		print_json(array);
	return status;
}

static bool area_exists(const char *name)
{
	for (unsigned i = 0; i < spec_count; i++)
		if (!strcmp(spec_entries[i].area, name))
			return true;
	fprintf(stderr, "avp spec: no area '%s'; avp spec lists them\n", name);
	return false;
}

static int run(const struct spec_args *args, char **words)
{
	if (args->area && !area_exists(args->area))
		return EXIT_USAGE;
	if (!words[0])
		return summary(args);
	if (!strcmp(words[0], "list"))
		return list(args, words + 1);
	if (!strcmp(words[0], "show") && words[1])
		return show(args, words + 1);
	fprintf(stderr, "usage: %s\n", spec_usage.usage);
	return EXIT_USAGE;
}

int spec_cmd(int argc, char **argv)
{
	char *words[WORDS_MAX + 1] = { NULL };
	struct spec_args args = { 0 };
	int r = cli_parse(&spec_usage, argc, argv, &args, words);

	if (r != CLI_GO)
		return r;
	r = run(&args, words);
	opt_free(spec_opts, &args);
	return r;
}
