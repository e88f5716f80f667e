/* SPDX-License-Identifier: BSD-3-Clause */
/* avp conform vhost-user: runs the cases on a back-end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/util.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "conformance/host/child.h"
#include "conformance/host/conform.h"
#include "conformance/host/target_vhu.h"

#define OWN(member) offsetof(struct vhu_args, member)

struct vhu_args {
	char *type, *name, *socket, *peer;
	struct opt_list facts, echo;
	struct conform_choice choice;
	struct report_opts report;
	uint32_t limit_ms;
	bool hostile, list, verbose;
};

/* clang-format off */
static const struct opt options[] = {
	{ .name = "type", .type = OPT_STR, .offset = OWN(type),
		.help = "device type (blk, net, console, rng, vsock, ...) or device ID" },
	{ .name = "socket", .type = OPT_STR, .offset = OWN(socket),
		.help = "the back-end's Unix socket" },
	{ .name = "peer", .type = OPT_STR, .offset = OWN(peer),
		.help = "socket of a second device, connected to the first: a port of the same switch" },
	{ .name = "echo", .type = OPT_LIST, .offset = OWN(echo),
		.help = "console: Unix sockets at its other end on which to send back what comes" },
	{ .name = "fact", .type = OPT_LIST, .offset = OWN(facts),
		.help = "KEY=VALUE, what is known of the device: serial, mac, mtu, cid, ..." },
	{ .name = "name", .type = OPT_STR, .offset = OWN(name),
		.help = "name of the target in reports (default: the type)" },
	{ .name = "only", .type = OPT_LIST, .offset = OWN(choice.only),
		.help = "only cases whose names fit this pattern, as vq.*" },
	{ .name = "skip", .type = OPT_LIST, .offset = OWN(choice.skip),
		.help = "no cases whose names fit this pattern" },
	{ .name = "hostile", .type = OPT_BOOL, .offset = OWN(hostile),
		.help = "only cases that break rules on purpose" },
	{ .name = "list", .type = OPT_BOOL, .offset = OWN(list),
		.help = "list the cases, and what they claim; run nothing" },
	{ .name = "limit", .type = OPT_U32, .offset = OWN(limit_ms), .def = "2000", .min = 1,
		.max = 600000, .help = "time that the device has for an answer, milliseconds" },
	{ .name = "verbose", .type = OPT_BOOL, .offset = OWN(verbose),
		.help = "show what the back-end writes" },
	REPORT_OPTS(struct vhu_args, report),
	OPT_END,
};
/* clang-format on */

static const struct cli_spec spec = {
	.usage = "avp conform vhost-user --type TYPE (--socket PATH | -- COMMAND [-- COMMAND]) "
		 "[OPTIONS]",
	.about = "Judges a vhost-user back-end by VIRTIO and the requirements, without a VM. "
		 "COMMAND "
		 "starts it (and\nagain after it died); {socket} and {peer} in it become the paths "
		 "of its sockets. A second COMMAND\nstarts the peer's back-end, if that is another "
		 "process. Exit status: 0 if nothing failed, 1 if\nsomething did.\n",
	.opts = options,
};

struct job {
	const struct vhu_args *args;
	const struct vhu_target *target;
	struct report *report;
	int signals;
	bool stopped;
};

static bool wanted(void *ctx, const struct cf_case *c)
{
	struct job *job = ctx;
	struct signalfd_siginfo info;

	job->stopped |= read(job->signals, &info, sizeof(info)) == sizeof(info);
	return !job->stopped && !vhu_target_lost(job->target) &&
	       conform_wanted(&job->args->choice, c);
}

static void add(void *ctx, const struct cf_result *r)
{
	const struct job *job = ctx;
	const struct vhu_args *a = job->args;
	const struct report_result v = {
		.target = a->name ? a->name : a->type,
		.transport = "vhost-user",
		.name = r->c->name,
		.proves = r->c->proves ? r->c->proves : "",
		.rings = !(r->c->flags & CF_RINGS) ? REPORT_NO_RINGS
			 : r->packed		   ? REPORT_PACKED
						   : REPORT_SPLIT,
		.verdict = r->verdict,
		.ns = r->ns,
		.evidence = r->evidence ? r->evidence : "",
	};

	report_add(job->report, &v);
}

static void run_cases(struct vhu_target *target, const struct vhu_args *a, struct job *job)
{
	autofree struct cf *c = malloc(cf_size());
	const struct cf_run run = { vhu_target_cf(target), wanted, add, job };
	const char *name = a->name ? a->name : a->type;

	if (!c) {
		report_broken(job->report, name, "no memory");
		return;
	}
	job->target = target;
	run.target->hostile = a->hostile;
	cf_run(c, &run);
	if (job->stopped)
		report_broken(job->report, name, "stopped by a signal");
	else if (vhu_target_lost(target))
		report_broken(job->report, name,
			"the back-end does not come back: not all cases have run");
}

/* A back-end that does not start is a failure like any other, and in the reports. */
static int run_target(const struct vhu_args *a, const struct vhu_target_opts *opts, struct job *job)
{
	struct vhu_target *target = NULL;
	struct err e = { 0 };
	unsigned failed = 0;

	if (vhu_target_open(&target, opts, &e))
		report_broken(job->report, a->name ? a->name : a->type, e.msg);
	else
		run_cases(target, a, job);
	vhu_target_close(target);
	if (report_close(job->report, &failed, &e)) {
		fprintf(stderr, "avp conform: %s\n", e.msg);
		return EXIT_FAULT;
	}
	return failed ? EXIT_FAULT : EXIT_OK;
}

static int judge(const struct vhu_args *a, char *const *command, char *const *peer_command)
{
	const struct vhu_target_opts opts = {
		.type = a->type,
		.socket = a->socket,
		.peer = a->peer,
		.command = command,
		.peer_command = peer_command,
		.facts = a->facts,
		.echo = a->echo,
		.limit_ms = a->limit_ms,
		.verbose = a->verbose,
	};
	autoclose int signals = child_signals();
	struct job job = { .args = a, .signals = signals };
	struct err e = { 0 };

	if (vhu_target_check(&opts, &e) || report_open(&job.report, &a->report, &e)) {
		fprintf(stderr, "avp conform: %s\n", e.msg);
		return EXIT_USAGE;
	}
	return run_target(a, &opts, &job);
}

static int check(const struct vhu_args *a, char *const *command)
{
	struct err e = { 0 };
	const char *wrong = NULL;

	if (conform_check(&a->choice, &e))
		wrong = e.msg;
	else if (!a->type)
		wrong = "--type is missing";
	else if (!a->socket && !command)
		wrong = "either --socket PATH or -- COMMAND is needed";
	if (!wrong)
		return CLI_GO;
	fprintf(stderr, "avp conform vhost-user: %s\nusage: %s\n", wrong, spec.usage);
	return EXIT_USAGE;
}

int conform_vhost_user(int argc, char **argv)
{
	struct vhu_args a = { 0 };
	int rest = argc, ret;
	char **command = conform_command(&argc, argv), **peer = NULL, *none;

	if (command) {
		rest -= argc + 1;
		peer = conform_command(&rest, command);
	}
	ret = cli_parse(&spec, argc, argv, &a, &none);
	if (ret != CLI_GO)
		return ret;
	if (a.list) {
		conform_list(&a.choice, vhu_target_id(a.type));
		ret = EXIT_OK;
	} else {
		ret = check(&a, command);
	}
	if (ret == CLI_GO)
		ret = judge(&a, command, peer);
	opt_free(options, &a);
	return ret;
}
