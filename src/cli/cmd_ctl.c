/* SPDX-License-Identifier: BSD-3-Clause */
/* avp ps, stop, start, pause, logs, stats, ...: clients of a running system's control socket. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "system/client.h"
#include "system/jsonl.h"

#define TELL_WORDS_MAX 24

struct ctl_args {
	char *system;
	bool json, force, follow;
	uint32_t lines;
};

#define CTL(f) offsetof(struct ctl_args, f)
#define OPT_SYSTEM                                                                                 \
	{                                                                                          \
		.name = "system", .type = OPT_STR, .offset = CTL(system),                          \
		.help = "which system, if several run"                                             \
	}
#define OPT_JSON                                                                                   \
	{                                                                                          \
		.name = "json", .type = OPT_BOOL, .offset = CTL(json), .help = "as JSON"           \
	}

static const struct opt plain_opts[] = { OPT_SYSTEM, OPT_END };
static const struct opt json_opts[] = { OPT_SYSTEM, OPT_JSON, OPT_END };
static const struct opt stop_opts[] = {
	OPT_SYSTEM,
	{ .name = "force",
		.type = OPT_BOOL,
		.offset = CTL(force),
		.help = "at once, without grace" },
	OPT_END,
};
static const struct opt logs_opts[] = {
	OPT_SYSTEM,
	{ .name = "follow", .type = OPT_BOOL, .offset = CTL(follow), .help = "and what comes" },
	{ .name = "lines",
		.type = OPT_U32,
		.offset = CTL(lines),
		.def = "100",
		.max = 5000,
		.help = "at most so many of each process" },
	OPT_END,
};

static int fault(struct client_conn *c, const struct err *e)
{
	fprintf(stderr, "avp: %s\n", e->msg);
	client_close(c);
	return e->code == -ENOENT || e->code == -EINVAL ? EXIT_USAGE : EXIT_FAULT;
}

/* One question, one answer, which `show` prints. */
static int ask(const struct ctl_args *a, cJSON *request, void (*show)(const cJSON *result))
{
	struct client_conn c = { .fd = -1 };
	cJSON *result = NULL;
	struct err e = { 0 };

	if (client_open(&c, a->system, &e)) {
		cJSON_Delete(request);
		return fault(&c, &e);
	}
	if (client_request(&c, request, &result, &e))
		return fault(&c, &e);
	if (show)
		show(result);
	cJSON_Delete(result);
	client_close(&c);
	return EXIT_OK;
}

static void show_json(const cJSON *result)
{
	char *text = cJSON_Print(result);

	puts(text ? text : "");
	cJSON_free(text);
}

static double number(const cJSON *o, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, name);

	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* What a VM waits for, or that it is not ready. */
static void show_note(const cJSON *o)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "waits_for"), *item;
	const char *before = "  waits for ", *state = jsonl_str(o, "state");

	cJSON_ArrayForEach(item, list)
	{
		if (cJSON_IsString(item))
			printf("%s%s", before, item->valuestring);
		before = ", ";
	}
	if (state && !strcmp(state, "running") &&
		cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(o, "ready")))
		fputs("  not ready", stdout);
}

static void show_process(const cJSON *o, const char *kind)
{
	const char *name = jsonl_str(o, "name"), *state = jsonl_str(o, "state");
	double again = !strcmp(kind, "vm") ? number(o, "boots") - 1 : number(o, "restarts");
	char uptime[32] = "-", pid[16] = "-";

	if (number(o, "pid") > 0) {
		snprintf(pid, sizeof(pid), "%.0f", number(o, "pid"));
		snprintf(uptime, sizeof(uptime), "%.1f s", number(o, "uptime_ms") / 1e3);
	}
	printf("%-20s %-8s %-11s %8s %12s %9.0f", name ? name : "?", kind, state ? state : "?", pid,
		uptime, again > 0 ? again : 0);
	show_note(o);
	putchar('\n');
}

static void show_ps(const cJSON *result)
{
	const cJSON *o;

	printf("%-20s %-8s %-11s %8s %12s %9s\n", "NAME", "KIND", "STATE", "PID", "UP", "RESTARTS");
	cJSON_ArrayForEach(o, cJSON_GetObjectItemCaseSensitive(result, "vms"))
		show_process(o, "vm");
	cJSON_ArrayForEach(o, cJSON_GetObjectItemCaseSensitive(result, "devices"))
	{
		const char *type = jsonl_str(o, "type");

		show_process(o, type ? type : "device");
	}
	cJSON_ArrayForEach(o, cJSON_GetObjectItemCaseSensitive(result, "media"))
	{
		const char *type = jsonl_str(o, "type");

		show_process(o, type ? type : "medium");
	}
}

static void show_counters(const cJSON *o, const char *prefix)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, o)
	{
		char name[128];

		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "." : "",
			item->string ? item->string : "");
		if (cJSON_IsObject(item))
			show_counters(item, name);
		else if (cJSON_IsNumber(item))
			printf("  %-32s %.0f\n", name, item->valuedouble);
		else if (cJSON_IsString(item))
			printf("  %-32s %s\n", name, item->valuestring);
	}
}

static void show_stats(const cJSON *result)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, result)
	{
		printf("%s%s\n", item->string, cJSON_IsNull(item) ? "  (no answer)" : "");
		show_counters(item, "");
	}
}

int cmd_ps(int argc, char **argv)
{
	static const struct cli_spec spec = {
		.usage = "avp ps [--json] [--system NAME]",
		.about = "Lists the processes of a running system.\n",
		.opts = json_opts,
	};
	struct ctl_args a = { 0 };
	char *none[1];
	int r = cli_parse(&spec, argc, argv, &a, none);

	if (r != CLI_GO)
		return r;
	r = ask(&a, client_command("ps"), a.json ? show_json : show_ps);
	opt_free(json_opts, &a);
	return r;
}

int cmd_stats(int argc, char **argv)
{
	static const struct cli_spec spec = {
		.usage = "avp stats [NAME] [--json] [--system NAME]",
		.about = "Shows the counters of the processes of a running system, or of one of "
			 "them.\n",
		.opts = json_opts,
		.max_words = 1,
	};
	cJSON *request = client_command("stats");
	struct ctl_args a = { 0 };
	char *name;
	int r = cli_parse(&spec, argc, argv, &a, &name);

	if (r != CLI_GO) {
		cJSON_Delete(request);
		return r;
	}
	if (name)
		cJSON_AddStringToObject(request, "name", name);
	r = ask(&a, request, a.json ? show_json : show_stats);
	opt_free(json_opts, &a);
	return r;
}

/* A command that takes a VM. */
static int control_vm(const struct cli_spec *spec, int argc, char **argv, const char *cmd)
{
	struct ctl_args a = { 0 };
	cJSON *request;
	char *vm;
	int r = cli_parse(spec, argc, argv, &a, &vm);

	if (r != CLI_GO)
		return r;
	request = client_command(cmd);
	if (vm)
		cJSON_AddStringToObject(request, "vm", vm);
	if (a.force)
		cJSON_AddTrueToObject(request, "force");
	r = ask(&a, request, NULL);
	opt_free(spec->opts, &a);
	return r;
}

int cmd_stop(int argc, char **argv)
{
	static const struct cli_spec spec = {
		.usage = "avp stop [VM] [--force] [--system NAME]",
		.about = "Presses the power button of a guest, or of all, and waits until it has "
			 "ended;\n"
			 "after the grace period it is ended by force. With the last guest the "
			 "system ends.\n",
		.opts = stop_opts,
		.max_words = 1,
	};

	return control_vm(&spec, argc, argv, "stop");
}

int cmd_restart(int argc, char **argv)
{
	static const struct cli_spec spec = {
		.usage = "avp restart VM [--system NAME]",
		.about = "Powers a guest off, starts it again, and waits until it runs.\n",
		.opts = plain_opts,
		.min_words = 1,
		.max_words = 1,
	};

	return control_vm(&spec, argc, argv, "restart");
}

int cmd_start(int argc, char **argv)
{
	static const struct cli_spec spec = {
		.usage = "avp start VM [--system NAME]",
		.about = "Starts a guest that is off, has failed or was not started with the "
			 "system, and waits\n"
			 "until it runs; those that it comes after and that were not started are "
			 "started, too.\n",
		.opts = plain_opts,
		.min_words = 1,
		.max_words = 1,
	};

	return control_vm(&spec, argc, argv, "start");
}

int cmd_pause(int argc, char **argv)
{
	static const struct cli_spec spec = {
		.usage = "avp pause VM [--system NAME]",
		.about = "Stops the processors of a guest where they are. Its watchdog stands "
			 "still.\n",
		.opts = plain_opts,
		.min_words = 1,
		.max_words = 1,
	};

	return control_vm(&spec, argc, argv, "pause");
}

int cmd_resume(int argc, char **argv)
{
	static const struct cli_spec spec = {
		.usage = "avp resume VM [--system NAME]",
		.about = "Lets the processors of a paused guest go on.\n",
		.opts = plain_opts,
		.min_words = 1,
		.max_words = 1,
	};

	return control_vm(&spec, argc, argv, "resume");
}

int cmd_suspend(int argc, char **argv)
{
	static const struct cli_spec spec = {
		.usage = "avp suspend VM [--system NAME]",
		.about = "Presses the sleep button of a guest and waits until it has suspended "
			 "itself to RAM.\n",
		.opts = plain_opts,
		.min_words = 1,
		.max_words = 1,
	};

	return control_vm(&spec, argc, argv, "suspend");
}

int cmd_wakeup(int argc, char **argv)
{
	static const struct cli_spec spec = {
		.usage = "avp wakeup VM [--system NAME]",
		.about = "Wakes a guest that has suspended itself to RAM.\n",
		.opts = plain_opts,
		.min_words = 1,
		.max_words = 1,
	};

	return control_vm(&spec, argc, argv, "wakeup");
}

static int follow_logs(struct client_conn *c, struct err *e)
{
	cJSON *msg;
	int r;

	while (!(r = client_read(c, &msg, e))) {
		const char *line = jsonl_str(msg, "line");

		if (line)
			puts(line);
		fflush(stdout);
		cJSON_Delete(msg);
	}
	return r == -EPIPE ? 0 : r; /* the system has ended */
}

static int show_logs(const struct ctl_args *a, const char *name)
{
	cJSON *request = client_command("logs"), *result = NULL;
	struct client_conn c = { .fd = -1 };
	const cJSON *line;
	struct err e = { 0 };

	if (name)
		cJSON_AddStringToObject(request, "name", name);
	cJSON_AddNumberToObject(request, "lines", a->lines);
	cJSON_AddBoolToObject(request, "follow", a->follow);
	if (client_open(&c, a->system, &e)) {
		cJSON_Delete(request);
		return fault(&c, &e);
	}
	if (client_request(&c, request, &result, &e))
		return fault(&c, &e);
	cJSON_ArrayForEach(
		line, cJSON_GetObjectItemCaseSensitive(result, "lines")) if (cJSON_IsString(line))
		puts(line->valuestring);
	fflush(stdout);
	cJSON_Delete(result);
	if (a->follow && follow_logs(&c, &e))
		return fault(&c, &e);
	client_close(&c);
	return EXIT_OK;
}

int cmd_logs(int argc, char **argv)
{
	static const struct cli_spec spec = {
		.usage = "avp logs [NAME] [--lines N] [--follow] [--system NAME]",
		.about = "Shows what the processes of a running system wrote; NAME is one of `avp "
			 "ps`.\n",
		.opts = logs_opts,
		.max_words = 1,
	};
	struct ctl_args a = { 0 };
	char *name;
	int r = cli_parse(&spec, argc, argv, &a, &name);

	if (r != CLI_GO)
		return r;
	r = show_logs(&a, name);
	opt_free(logs_opts, &a);
	return r;
}

static void show_text(const cJSON *result)
{
	const char *text = jsonl_str(result, "text");

	fputs(text ? text : "", stdout);
}

int cmd_tell(int argc, char **argv)
{
	static const struct cli_spec spec = {
		.usage = "avp tell NAME WORD... [--system NAME]",
		.about = "Gives a device (VM/DEVICE) or a medium a command; which ones it knows is "
			 "on its "
			 "page of the\n"
			 "documentation.\n",
		.opts = plain_opts,
		.min_words = 2,
		.max_words = TELL_WORDS_MAX,
	};
	struct ctl_args a = { 0 };
	char *words[TELL_WORDS_MAX + 1] = { NULL };
	cJSON *request, *list;
	int r = cli_parse(&spec, argc, argv, &a, words);

	if (r != CLI_GO)
		return r;
	request = client_command("tell");
	cJSON_AddStringToObject(request, "name", words[0]);
	list = cJSON_AddArrayToObject(request, "words");
	for (unsigned i = 1; i < TELL_WORDS_MAX && words[i]; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(words[i]));
	r = ask(&a, request, show_text);
	opt_free(plain_opts, &a);
	return r;
}
