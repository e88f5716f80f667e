/* SPDX-License-Identifier: BSD-3-Clause */
/* avp console and avp connect: a stream of a guest on standard input and output. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "host/console_client.h"
#include "system/client.h"

struct console_args {
	char *system;
};

static const struct opt console_opts[] = {
	{ .name = "system",
		.type = OPT_STR,
		.offset = offsetof(struct console_args, system),
		.help = "which system, if several run" },
	OPT_END,
};

/* What is attached to. */
struct target {
	const char *system, *vm, *device;
};

static cJSON *request_for(const char *cmd, const struct target *t)
{
	cJSON *o = client_command(cmd);

	cJSON_AddStringToObject(o, "vm", t->vm);
	if (t->device)
		cJSON_AddStringToObject(o, "device", t->device);
	return o;
}

/* Another connection, because the first one is the console by now. A console that takes no size
 * does without. */
static void on_resized(void *arg, unsigned cols, unsigned rows)
{
	const struct target *t = arg;
	struct client_conn c = { .fd = -1 };
	cJSON *request, *result = NULL;

	if (client_open(&c, t->system, NULL))
		return;
	request = request_for("console-size", t);
	cJSON_AddNumberToObject(request, "cols", cols);
	cJSON_AddNumberToObject(request, "rows", rows);
	client_request(&c, request, &result, NULL);
	cJSON_Delete(result);
	client_close(&c);
}

/* Sends the request that turns the connection into a stream, and carries the stream. */
static int attach(const struct target *t, cJSON *request, bool terminal)
{
	struct console_client client = {
		.in = STDIN_FILENO, .out = STDOUT_FILENO, .terminal = terminal, .arg = (void *)t
	};
	struct client_conn c = { .fd = -1 };
	cJSON *result = NULL;
	struct err e = { 0 };
	int r = client_open(&c, t->system, &e);

	if (r)
		cJSON_Delete(request);
	else
		r = client_request(&c, request, &result, &e);
	cJSON_Delete(result);
	if (!r)
		r = fd_write_full(STDOUT_FILENO, c.buf, c.len);
	if (!r) {
		client.sock = c.fd;
		if (terminal)
			client.resized = on_resized;
		if (terminal && isatty(STDIN_FILENO))
			fprintf(stderr, "attached to %s; Ctrl-] detaches\r\n", t->vm);
		r = console_client_run(&client, &e);
		if (terminal && isatty(STDIN_FILENO))
			fprintf(stderr, "\r\n%s\n", r == CONSOLE_DETACHED ? "detached" : "closed");
	}
	client_close(&c);
	if (r >= 0)
		return EXIT_OK;
	fprintf(stderr, "avp: %s\n", e.msg);
	return EXIT_FAULT;
}

int cmd_console(int argc, char **argv)
{
	static const struct cli_spec spec = {
		.usage = "avp console VM [DEVICE] [--system NAME]",
		.about = "Attaches the terminal to the console of a guest: first what it printed "
			 "lately,\n"
			 "then both ways. Ctrl-] detaches. Works in pipes, too.\n",
		.opts = console_opts,
		.min_words = 1,
		.max_words = 2,
	};
	struct console_args a = { 0 };
	char *words[2];
	int r = cli_parse(&spec, argc, argv, &a, words);

	if (r != CLI_GO)
		return r;
	struct target t = { a.system, words[0], words[1] };

	r = attach(&t, request_for("console", &t), true);
	opt_free(console_opts, &a);
	return r;
}

int cmd_connect(int argc, char **argv)
{
	static const struct cli_spec spec = {
		.usage = "avp connect VM PORT [--system NAME]",
		.about = "Connects standard input and output to a vsock port on which a program in "
			 "the\n"
			 "guest listens.\n",
		.opts = console_opts,
		.min_words = 2,
		.max_words = 2,
	};
	struct console_args a = { 0 };
	char *words[2], *end;
	cJSON *request;
	double port;
	int r = cli_parse(&spec, argc, argv, &a, words);

	if (r != CLI_GO)
		return r;
	port = (double)strtoul(words[1], &end, 0);
	if (*end || end == words[1]) {
		fprintf(stderr, "'%s' is no port: a number up to 4294967295\n", words[1]);
		opt_free(console_opts, &a);
		return EXIT_USAGE;
	}
	struct target t = { a.system, words[0], NULL };

	request = request_for("connect", &t);
	cJSON_AddNumberToObject(request, "port", port);
	r = attach(&t, request, false);
	opt_free(console_opts, &a);
	return r;
}
