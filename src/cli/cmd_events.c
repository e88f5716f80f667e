/* SPDX-License-Identifier: BSD-3-Clause */
/* avp events: what happened in a running system, and when. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "system/client.h"
#include "system/events.h"
#include "system/jsonl.h"

struct events_args {
	char *system, *since, *file;
	bool json, follow;
	uint32_t lines;
};

#define ARG(f) offsetof(struct events_args, f)

static const struct opt events_opts[] = {
	{ .name = "system",
		.type = OPT_STR,
		.offset = ARG(system),
		.help = "which system, if several run" },
	{ .name = "since",
		.type = OPT_STR,
		.offset = ARG(since),
		.help = "not what was before: 30s, 10m, 2h, 1d ago, or a time (UTC), as in "
			"2026-03-01T12:30" },
	{ .name = "lines",
		.type = OPT_U32,
		.offset = ARG(lines),
		.def = "10000",
		.max = 10000,
		.help = "at most so many, the newest" },
	{ .name = "follow", .type = OPT_BOOL, .offset = ARG(follow), .help = "and what comes" },
	{ .name = "file",
		.type = OPT_PATH,
		.offset = ARG(file),
		.help = "of this file, an 'event-log', and not of a system that runs" },
	{ .name = "json",
		.type = OPT_BOOL,
		.offset = ARG(json),
		.help = "one JSON object per line" },
	OPT_END,
};

static const struct cli_spec events_spec = {
	.usage = "avp events [NAME] [--follow] [--since WHEN] [--lines N] [--json]\n"
		 "                         [--system NAME | --file EVENT-LOG]",
	.about =
		"Shows what happened in a running system, with the time; NAME is one of `avp ps`,\n"
		"a VM's includes its devices (docs/events.md).\n",
	.opts = events_opts,
	.max_words = 1,
};

/* "10m" to seconds; 0: it is none of these. */
static uint64_t parse_ago(const char *text)
{
	static const struct {
		char unit;
		uint32_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	for (unsigned i = 0; i < ARRAY_LEN(units); i++)
		if (*end == units[i].unit && !end[1] && n <= UINT32_MAX)
			return (uint64_t)n * units[i].seconds;
	return 0;
}

/* Year, month and day, and what follows of a time stamp. */
static bool is_time(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++) {
		static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddddddddZ";

		if (i >= sizeof(shape) - 1)
			return false;
		if (shape[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
			return false;
	}
	return len >= strlen("2026-03-01");
}

/* What --since says as a time stamp, which texts in the log are compared with. */
static int parse_since(const char *text, char out[static 40], struct err *e)
{
	uint64_t ago = parse_ago(text);
	time_t when = time(NULL) - (time_t)ago;
	struct tm tm;

	if (!ago && is_time(text)) {
		snprintf(out, 40, "%.39s", text);
		out[strcspn(out, "Z")] = 0;
		return 0;
	}
	if (!ago || !gmtime_r(&when, &tm))
		return err_set(e, -EINVAL,
			"--since '%.64s': neither a time ago (30s, 10m, 2h, 1d) nor a time stamp "
			"(2026-03-01, 2026-03-01T12:30:00)",
			text);
	strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	return 0;
}

/* A text from elsewhere must not reach a terminal as an escape sequence. */
static void show_text(const char *text)
{
	for (; *text; text++)
		putchar(iscntrl((unsigned char)*text) ? '?' : *text);
}

static void show_value(const cJSON *item)
{
	char *text = cJSON_IsString(item) ? NULL : cJSON_PrintUnformatted(item);

	putchar(' ');
	show_text(item->string);
	putchar('=');
	show_text(cJSON_IsString(item) ? item->valuestring : text ? text : "");
	cJSON_free(text);
}

/* "2026-03-01T12:30:00.123456789Z ivi state state=running": for the eye; programs take --json. */
static void show_event(const cJSON *event)
{
	static const char *const shown[] = { "time", "mono_ns", "name", "event" };
	const char *when = jsonl_str(event, "time"), *name = jsonl_str(event, "name");
	const char *what = jsonl_str(event, "event");
	const cJSON *item;

	printf("%s %-16s %s", when ? when : "?", name ? name : "-", what ? what : "?");
	cJSON_ArrayForEach(item, event)
	{
		bool is_shown = false;

		for (unsigned i = 0; i < ARRAY_LEN(shown); i++)
			is_shown |= !strcmp(item->string, shown[i]);
		if (!is_shown)
			show_value(item);
	}
	putchar('\n');
}

static void print_event(const struct events_args *a, const cJSON *event)
{
	char *text;

	if (!a->json) {
		show_event(event);
		return;
	}
	text = cJSON_PrintUnformatted(event);
	puts(text ? text : "{}");
	cJSON_free(text);
}

static int follow(const struct events_args *a, struct client_conn *c, struct err *e)
{
	cJSON *msg;
	int r;

	while (!(r = client_read(c, &msg, e))) {
		const cJSON *entry = cJSON_GetObjectItemCaseSensitive(msg, "entry");

		if (entry)
			print_event(a, entry);
		fflush(stdout);
		cJSON_Delete(msg);
	}
	return r == -EPIPE ? 0 : r; /* the system has ended */
}

static int show(const struct events_args *a, cJSON *request, struct err *e)
{
	struct client_conn c = { .fd = -1 };
	cJSON *result = NULL;
	const cJSON *event;
	int r = client_open(&c, a->system, e);

	if (r)
		cJSON_Delete(request);
	else
		r = client_request(&c, request, &result, e);
	cJSON_ArrayForEach(event, cJSON_GetObjectItemCaseSensitive(result, "events"))
		print_event(a, event);
	cJSON_Delete(result);
	fflush(stdout);
	if (!r && a->follow)
		r = follow(a, &c, e);
	client_close(&c);
	return r;
}

static int show_file(const struct events_args *a, const struct events_filter *f, struct err *e)
{
	const cJSON *event;
	cJSON *list;

	if (a->follow)
		return err_set(e, -EINVAL, "--follow is for a system that runs, not for a file");
	if (access(a->file, R_OK))
		return err_sys(e, -errno, "cannot read %s", a->file);
	list = events_read_file(a->file, f);
	cJSON_ArrayForEach(event, list) print_event(a, event);
	cJSON_Delete(list);
	return 0;
}

static int run(const struct events_args *a, const char *name, struct err *e)
{
	struct events_filter f = { .name = name, .max = a->lines };
	cJSON *request;
	char since[40];

	if (a->since && parse_since(a->since, since, e))
		return e->code;
	f.since = a->since ? since : NULL;
	if (a->file)
		return show_file(a, &f, e);
	request = client_command("events");
	if (f.name)
		cJSON_AddStringToObject(request, "name", f.name);
	if (f.since)
		cJSON_AddStringToObject(request, "since", f.since);
	cJSON_AddNumberToObject(request, "max", f.max);
	cJSON_AddBoolToObject(request, "follow", a->follow);
	return show(a, request, e);
}

int cmd_events(int argc, char **argv)
{
	struct events_args a = { 0 };
	struct err e = { 0 };
	char *name;
	int r = cli_parse(&events_spec, argc, argv, &a, &name);

	if (r != CLI_GO)
		return r;
	r = run(&a, name, &e);
	opt_free(events_opts, &a);
	if (!r)
		return EXIT_OK;
	fprintf(stderr, "avp: %s\n", e.msg);
	return r == -ENOENT || r == -EINVAL ? EXIT_USAGE : EXIT_FAULT;
}
