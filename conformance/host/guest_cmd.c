/* SPDX-License-Identifier: BSD-3-Clause */
/* avp conform guest: runs the cases in a guest, on our own platform or on any other. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "conformance/host/conform.h"
#include "conformance/host/guest_suite.h"

#define OWN(member) offsetof(struct guest_args, member)

enum { TRANSPORT_ALL };

struct guest_args {
	struct opt_list types, facts;
	struct conform_choice choice;
	struct report_opts report;
	char *qemu, *image, *format;
	int on, transport;
	uint32_t limit_ms, silence_s, time_s;
	bool hostile, list, verbose, isolate;
};

static const char *const platform_words[] = { "avp", "microvm", "q35", "virt", NULL };
static const char *const transport_words[] = { "all", "pci", "mmio", NULL };
#define TYPES "platform, blk, can, console, gpio, i2c, input, net, rng, rtc, scmi, spi, vsock"
static const char *const type_words[] = { "platform", "blk", "can", "console", "gpio", "i2c",
	"input", "net", "rng", "rtc", "scmi", "spi", "vsock", NULL };

/* clang-format off */
static const struct opt options[] = {
	{ .name = "on", .type = OPT_ENUM, .offset = OWN(on), .def = "avp", .words = platform_words,
		.help = "avp: ours; the others are machines of QEMU with QEMU's own devices" },
	{ .name = "transport", .type = OPT_ENUM, .offset = OWN(transport), .def = "all",
		.words = transport_words, .help = "how devices are attached; all: one run for each" },
	{ .name = "type", .type = OPT_LIST, .offset = OWN(types),
		.help = "only devices of these types: " TYPES },
	{ .name = "only", .type = OPT_LIST, .offset = OWN(choice.only),
		.help = "only cases whose names fit this pattern, as vq.*" },
	{ .name = "skip", .type = OPT_LIST, .offset = OWN(choice.skip),
		.help = "no cases whose names fit this pattern" },
	{ .name = "fact", .type = OPT_LIST, .offset = OWN(facts),
		.help = "TYPE.KEY=VALUE, what is known of a device: blk.serial=A, net0.mac=..." },
	{ .name = "hostile", .type = OPT_BOOL, .offset = OWN(hostile),
		.help = "only cases that break rules on purpose; with avp beside a neighbour that is watched" },
	{ .name = "isolate", .type = OPT_BOOL, .offset = OWN(isolate), .def = "true",
		.help = "avp: devices in processes of their own; false: on threads of the monitor" },
	{ .name = "list", .type = OPT_BOOL, .offset = OWN(list),
		.help = "list the cases, and what they claim; run nothing" },
	{ .name = "qemu", .type = OPT_STR, .offset = OWN(qemu),
		.help = "QEMU program in place of the usual one" },
	{ .name = "image", .type = OPT_STR, .offset = OWN(image),
		.help = "file in place of the image of the test guest that is built in" },
	{ .name = "format", .type = OPT_STR, .offset = OWN(format), .def = "pvh",
		.help = "with COMMAND: image for {image}; pvh, efi, arm64, arm64-efi" },
	{ .name = "limit", .type = OPT_U32, .offset = OWN(limit_ms), .def = "3000", .min = 1,
		.max = 600000, .help = "time that a device has for an answer, milliseconds" },
	{ .name = "silence", .type = OPT_U32, .offset = OWN(silence_s), .def = "60", .min = 1,
		.max = 3600, .help = "seconds without a sign of life after which the guest hangs" },
	{ .name = "time", .type = OPT_U32, .offset = OWN(time_s), .def = "1200", .min = 1,
		.max = 86400, .help = "seconds for a whole run" },
	{ .name = "verbose", .type = OPT_BOOL, .offset = OWN(verbose),
		.help = "show what the guests print" },
	REPORT_OPTS(struct guest_args, report),
	OPT_END,
};
/* clang-format on */

static const struct cli_spec spec = {
	.usage = "avp conform guest [--on PLATFORM | -- COMMAND] [OPTIONS]",
	.about = "Judges a platform from inside a guest: boots a small test guest and runs the "
		 "cases on all its\ndevices. COMMAND starts any other hypervisor with the guest's "
		 "serial port on its standard output;\n{image} in it becomes the image's path, "
		 "{cmdline} the guest's command line. Exit status: 0 if\nnothing failed, 1 if "
		 "something did.\n",
	.opts = options,
};

/* The guest's command line. */

/* A word goes through a YAML string and the guest's own parser. */
static bool is_word(const char *text)
{
	if (strlen(text) != strcspn(text, " \"\\'"))
		return false;
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f)
			return false;
	return true;
}

/* " KEY=A,B,C" */
static int put_list(FILE *f, const char *key, const struct opt_list *list, struct err *e)
{
	for (unsigned i = 0; i < list->n; i++) {
		if (!is_word(list->v[i]))
			return err_set(
				e, -EINVAL, "'%s' cannot be a word of a command line", list->v[i]);
		fprintf(f, "%s%s%s", i ? "," : " ", i ? "" : key, list->v[i]);
	}
	return 0;
}

static int put_facts(FILE *f, const struct opt_list *facts, struct err *e)
{
	for (unsigned i = 0; i < facts->n; i++) {
		if (!is_word(facts->v[i]) || !strchr(facts->v[i], '='))
			return err_set(e, -EINVAL, "fact '%s' is not TYPE.KEY=VALUE", facts->v[i]);
		fprintf(f, " %s", facts->v[i]);
	}
	return 0;
}

static int check_types(const struct opt_list *types, struct err *e)
{
	for (unsigned i = 0; i < types->n; i++) {
		const char *const *word = type_words;

		while (*word && strcmp(*word, types->v[i]) != 0)
			word++;
		if (!*word)
			return err_set(e, -EINVAL, "no type '%s'; there are " TYPES, types->v[i]);
	}
	return 0;
}

/* All words that come from options, owned by the caller. */
static int make_words(const struct guest_args *a, char **words, struct err *e)
{
	size_t size;
	FILE *f = open_memstream(words, &size);
	int ret;

	if (!f)
		return err_set(e, -ENOMEM, "no memory");
	fprintf(f, "limit=%u%s", a->limit_ms, a->hostile ? " hostile=1" : "");
	ret = check_types(&a->types, e);
	if (!ret)
		ret = put_list(f, "types=", &a->types, e);
	if (!ret)
		ret = put_list(f, "only=", &a->choice.only, e);
	if (!ret)
		ret = put_list(f, "skip=", &a->choice.skip, e);
	if (!ret)
		ret = put_facts(f, &a->facts, e);
	return fclose(f) && !ret ? err_set(e, -ENOMEM, "no memory") : ret;
}

/* Runs. */

static bool has_transport(const char *platform, const char *transport)
{
	if (!strcmp(platform, "microvm"))
		return !strcmp(transport, "mmio");
	if (!strcmp(platform, "q35"))
		return !strcmp(transport, "pci");
	return true;
}

static bool wants_disks(const struct guest_args *a)
{
	for (unsigned i = 0; i < a->types.n; i++)
		if (!strcmp(a->types.v[i], "blk"))
			return true;
	return !a->types.n;
}

static int run_once(const struct guest_args *a, const struct guest_suite *s, struct err *e)
{
	static const struct cf_case power = { .name = "blk.power.flushed" };
	int ret;

	if (a->hostile && s->vm.neighbour)
		return guest_suite_hostile(s, e);
	ret = guest_suite_run(s, e);
	if (ret || a->hostile || !s->vm.platform || !wants_disks(a) ||
		!conform_wanted(&a->choice, &power))
		return ret;
	return guest_suite_power_cut(s, e);
}

/* On a platform that is known: once for each transport. */
static int run_platform(const struct guest_args *a, struct guest_suite *s, struct err *e)
{
	const char *platform = platform_words[a->on];
	unsigned runs = 0;

	s->vm.platform = platform;
	s->vm.neighbour = a->hostile && !strcmp(platform, "avp");
	for (int t = TRANSPORT_ALL + 1; transport_words[t]; t++) {
		int ret;

		if ((a->transport != TRANSPORT_ALL && a->transport != t) ||
			!has_transport(platform, transport_words[t]))
			continue;
		s->vm.transport = transport_words[t];
		ret = run_once(a, s, e);
		if (ret)
			return ret;
		runs++;
	}
	return runs ? 0
		    : err_set(e, -EINVAL, "%s has no devices on %s", platform,
			      transport_words[a->transport]);
}

static int run(const struct guest_args *a, char *const *command, const char *words)
{
	autoclose int signals = child_signals();
	struct guest_suite s = {
		.vm = { .format = a->format,
			.image = a->image,
			.qemu = a->qemu,
			.command = command,
			.isolate = a->isolate,
			.verbose = a->verbose,
			.signals = signals },
		.words = words,
		.silence_s = a->silence_s,
		.time_s = a->time_s,
	};
	struct err e = { 0 }, closing = { 0 };
	unsigned failed = 0;
	int ret = report_open(&s.report, &a->report, &e);

	if (!ret) {
		ret = command ? run_once(a, &s, &e) : run_platform(a, &s, &e);
		if (ret)
			report_broken(s.report, "guest", e.msg);
		if (report_close(s.report, &failed, &closing) && !ret) {
			e = closing;
			ret = closing.code;
		}
	}
	if (!ret)
		return failed ? EXIT_FAULT : EXIT_OK;
	fprintf(stderr, "avp conform: %s\n", e.msg);
	return ret == -EINVAL ? EXIT_USAGE : EXIT_FAULT;
}

/* Without {cmdline} a guest of somebody else cannot be told what to do, and does everything. */
static int check_command(const struct guest_args *a, char *const *command, struct err *e)
{
	bool told = a->types.n || a->choice.only.n || a->choice.skip.n || a->facts.n || a->hostile;

	if (!command || !told || vm_command_has(command, "{cmdline}"))
		return 0;
	return err_set(e, -EINVAL,
		"--type, --only, --skip, --fact and --hostile reach the guest by its command line: "
		"COMMAND needs {cmdline} where that belongs");
}

static int judge(const struct guest_args *a, char *const *command)
{
	autofree char *words = NULL;
	struct err e = { 0 };

	if (!conform_check(&a->choice, &e) && !check_command(a, command, &e) &&
		!make_words(a, &words, &e))
		return run(a, command, words);
	fprintf(stderr, "avp conform: %s\n", e.msg);
	return EXIT_USAGE;
}

int conform_guest(int argc, char **argv)
{
	struct guest_args a = { 0 };
	char **command = conform_command(&argc, argv), *none;
	int ret = cli_parse(&spec, argc, argv, &a, &none);

	if (ret != CLI_GO)
		return ret;
	if (a.list) {
		conform_list(&a.choice, 0);
		ret = EXIT_OK;
	} else {
		ret = judge(&a, command);
	}
	opt_free(options, &a);
	return ret;
}
