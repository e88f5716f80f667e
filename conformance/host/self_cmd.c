/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * avp conform self: all cases on each of our own back-ends. Every configuration is judged by a
 * process of its own, `avp-conform vhost-user`, two at a time; one report has all verdicts.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "conformance/host/child.h"
#include "conformance/host/conform.h"

#define WORDS_MAX 32u
#define ARGS_MAX  1024u
#define TARGET_MS UINT64_C(600000) /* for all cases of one configuration */
#define POLL_NS	  5000000
/* Sparse, and larger than the 2 GiB that avp's blk takes in one discard. */
#define IMAGE_BYTES (INT64_C(3) << 30)

/* The beginning, and the end up to now, of the list of leap seconds: NTP seconds, TAI - UTC. */
static const char leap_seconds[] = "2272060800 10 # 1 Jan 1972\n"
				   "2287785600 11\n2303683200 12\n2335219200 13\n"
				   "2366755200 14\n2398291200 15\n2429913600 16\n"
				   "2461449600 17\n2492985600 18\n2524521600 19\n"
				   "2571782400 20\n2603318400 21\n2634854400 22\n"
				   "2698012800 23\n2776982400 24\n2840140800 25\n"
				   "2871676800 26\n2918937600 27\n2950473600 28\n"
				   "2982009600 29\n3029443200 30\n3076704000 31\n"
				   "3124137600 32\n3345062400 33\n3439756800 34\n"
				   "3550089600 35\n3644697600 36\n"
				   "3692217600 37 # 1 Jan 2017\n";
/* Updates of five events each, SYN_REPORT included, again and again. */
#define INPUT_SCRIPT                                                                               \
	"0.000 set KEY_A 1 KEY_B 1 KEY_C 1 KEY_D 1\n"                                              \
	"0.001 set KEY_A 0 KEY_B 0 KEY_C 0 KEY_D 0\n"

/* What is judged. In the words {avp} and {dir} become paths; {socket} and {peer} are left to
 * `avp conform vhost-user`. */
struct config {
	const char *name, *type;
	const char *options[WORDS_MAX]; /* of avp conform vhost-user */
	const char *command[WORDS_MAX];
	const char *peer_command[WORDS_MAX];
};

#define SCMI_SENSOR "cabin unit=celsius exponent=-1 value=21.5 async=1ms"
#define SCMI_ACCEL  "accel axes=3 value=0.1/-0.2/9.81 min=-20 max=20 interval=5ms"
#define SCMI_WAVE   "wave source=sine from=-1 to=1 min=-1 max=1 period=100ms interval=1ms"

/* clang-format off */
static const struct config configs[] = {
	{ "blk", "blk",
		{ "--fact", "serial=avp-conformance-1", "--fact", "capacity=6291456",
			"--fact", "read-only=0" },
		{ "{avp}", "device", "blk", "--socket", "{socket}", "--image", "{dir}/blk.img",
			"--serial", "avp-conformance-1", "--queues", "2",
			"--secure-erase", "overwrite", "--lifetime", "{dir}" } },
	{ "blk-readonly", "blk",
		{ "--fact", "serial=avp-conformance-2", "--fact", "capacity=6291456",
			"--fact", "read-only=1" },
		{ "{avp}", "device", "blk", "--socket", "{socket}", "--image", "{dir}/ro.img",
			"--serial", "avp-conformance-2", "--readonly", "true" } },
	{ "can", "can",
		{ NULL },
		{ "{avp}", "can-bus", "--bitrate", "1000000", "--data-bitrate", "8000000",
			"--port", "name=device,socket={socket}", "--port", "name=peer,socket={peer}" } },
	{ "can-classic", "can",
		{ NULL },
		{ "{avp}", "device", "can", "--socket", "{socket}", "--can-fd", "false",
			"--bitrate", "0" } },
	{ "console", "console",
		{ "--fact", "cols=80", "--fact", "rows=25", "--echo", "{dir}/console" },
		{ "{avp}", "device", "console", "--socket", "{socket}", "--path", "{dir}/console" } },
	{ "console-link", "console",
		{ "--fact", "cols=80", "--fact", "rows=25", "--echo", "{dir}/link" },
		{ "{avp}", "link", "--baud", "4000000", "--host", "socket", "--path", "{dir}/link",
			"--port", "name=device,socket={socket}" } },
	{ "console-ports", "console",
		{ "--fact", "ports=3", "--fact", "port.1=gps", "--fact", "port.2=log", "--fact",
			"echoes=3", "--echo", "{dir}/ports", "--echo", "{dir}/ports.gps",
			"--echo", "{dir}/ports.log" },
		{ "{avp}", "device", "console", "--socket", "{socket}", "--path", "{dir}/ports",
			"--ports", "gps,log" } },
	{ "gpio", "gpio",
		{ "--fact", "ngpio=9", "--fact", "name.0=lamp", "--fact", "name.1=", "--fact",
			"name.4=Red LED Vdd", "--fact", "loop=0:5" },
		{ "{avp}", "device", "gpio", "--socket", "{socket}", "--lines", "lamp wire:w",
			"--lines", "gap 3", "--lines", "'Red LED Vdd' sim", "--lines", "see wire:w",
			"--lines", "gap 2", "--lines", "last sim", "--state", "{dir}/gpio" } },
	{ "gpio-plain", "gpio",
		{ "--fact", "ngpio=2", "--fact", "loop=1:0" },
		{ "{avp}", "device", "gpio", "--socket", "{socket}", "--lines", "- wire:w",
			"--lines", "- wire:w", "--state", "{dir}/gpio-plain" } },
	{ "i2c", "i2c",
		{ "--fact", "registers=0x20", "--fact", "absent=0x33" },
		{ "{avp}", "device", "i2c", "--socket", "{socket}", "--devices", "0x20 registers",
			"--devices", "0x50 eeprom size=4K" } },
	{ "input", "input",
		{ "--fact", "name=panel", "--fact", "serial=avp-conformance-3", "--fact",
			"update=5" },
		{ "{avp}", "device", "input", "--socket", "{socket}", "--id-name", "panel",
			"--serial", "avp-conformance-3", "--codes",
			"ABS_X max=1000,ABS_Y min=-5 max=5", "--replay", "{dir}/input",
			"--replay-loop", "true" } },
	{ "net", "net",
		{ "--fact", "mac=52:54:00:a5:00:01", "--fact", "peer_mac=52:54:00:a5:00:02",
			"--fact", "mtu=1500", "--fact", "vlans=10 20" },
		{ "{avp}", "switch", "--port",
			"name=device,socket={socket},mac=52:54:00:a5:00:01,queues=2,vlan=1,trunk=10,,20",
			"--port",
			"name=peer,socket={peer},mac=52:54:00:a5:00:02,queues=2,vlan=1,trunk=10,,20" } },
	{ "rng", "rng",
		{ NULL },
		{ "{avp}", "device", "rng", "--socket", "{socket}" } },
	{ "rtc", "rtc",
		{ NULL },
		{ "{avp}", "device", "rtc", "--socket", "{socket}", "--clocks",
			"utc,tai,monotonic,utc-maybe-smeared,smeared-noon,smeared-sls",
			"--leap-seconds", "{dir}/leap-seconds.list", "--counter", CONFORM_COUNTER } },
	{ "rtc-kept", "rtc",
		{ NULL },
		{ "{avp}", "device", "rtc", "--socket", "{socket}", "--clocks", "monotonic,utc",
			"--state", "{dir}/rtc.state" } },
	{ "scmi", "scmi",
		{ NULL },
		{ "{avp}", "device", "scmi", "--socket", "{socket}", "--clocks",
			"uart rates=1000000/2000000/24000000/48000000 latency=1ms",
			"--clocks", "camera range=1000000/9000000/500000", "--power-domains",
			"gpu state=on", "--perf", "cpu levels=400:50:20/800:210:20/1200:400:20",
			"--resets", "camera", "--voltages", "a-name-that-is-rather-long levels=1/2",
			"--powercaps", "soc caps=1000/15000/100", "--sensors", SCMI_SENSOR,
			"--sensors", SCMI_ACCEL, "--sensors", SCMI_WAVE,
			"--system-power", "true" } },
	{ "spi", "spi",
		{ "--fact", "loopback=1" },
		{ "{avp}", "device", "spi", "--socket", "{socket}", "--devices", "0 flash",
			"--devices", "1 loopback", "--bits-per-word", "any", "--functions",
			"cs-high,lsb-first,loop", "--tx-nbits", "2,4,8", "--rx-nbits", "2,4",
			"--max-frequency", "50000000", "--max-word-delay", "1000000",
			"--max-cs-setup", "1000000", "--max-cs-hold", "1000000" } },
	{ "spi-plain", "spi",
		{ "--fact", "loopback=0" },
		{ "{avp}", "device", "spi", "--socket", "{socket}", "--devices", "0 loopback",
			"--cs-change", "false", "--bits-per-word", "8,16" } },
	{ "vsock", "vsock",
		{ "--fact", "cid=3", "--fact", "peer_cid=4" },
		{ "{avp}", "device", "vsock", "--socket", "{socket}", "--cid", "3", "--peers", "4",
			"--peer-uds", "{dir}/vsock", "--buffer", "16K" },
		{ "{avp}", "device", "vsock", "--socket", "{peer}", "--cid", "4", "--peers", "3",
			"--peer-uds", "{dir}/vsock", "--buffer", "16K" } },
};
/* clang-format on */

#define CONFIGS	    ARRAY_LEN(configs)
#define OWN(member) offsetof(struct self_args, member)

struct self_args {
	char *avp;
	struct opt_list types;
	struct conform_choice choice;
	struct report_opts report;
	uint32_t limit_ms, jobs;
	bool hostile;
};

/* clang-format off */
static const struct opt options[] = {
	{ .name = "type", .type = OPT_LIST, .offset = OWN(types),
		.help = "only these, by their names in a report: blk, blk-readonly, console, ..." },
	{ .name = "avp", .type = OPT_STR, .offset = OWN(avp),
		.help = "the avp that starts the back-ends (default: beside avp-conform)" },
	{ .name = "only", .type = OPT_LIST, .offset = OWN(choice.only),
		.help = "only cases whose names fit this pattern, as vq.*" },
	{ .name = "skip", .type = OPT_LIST, .offset = OWN(choice.skip),
		.help = "no cases whose names fit this pattern" },
	{ .name = "hostile", .type = OPT_BOOL, .offset = OWN(hostile),
		.help = "only cases that break rules on purpose" },
	{ .name = "limit", .type = OPT_U32, .offset = OWN(limit_ms), .def = "2000", .min = 1,
		.max = 600000, .help = "time that a device has for an answer, milliseconds" },
	{ .name = "jobs", .type = OPT_U32, .offset = OWN(jobs), .def = "2", .min = 1, .max = 64,
		.help = "configurations that are judged at a time" },
	REPORT_OPTS(struct self_args, report),
	OPT_END,
};
/* clang-format on */

static const struct cli_spec spec = {
	.usage = "avp conform self [OPTIONS]",
	.about = "Judges avp's own back-ends: each device, in the configurations that --type "
		 "names. Exit status: 0\nif nothing failed, 1 if something did.\n",
	.opts = options,
};

/* One configuration on its way. */
struct job {
	const struct config *config;
	bool wanted, started, done, added;
	uint64_t deadline;
	char *argv[ARGS_MAX + 1];
	unsigned argc;
	char json[PATH_MAX], log[PATH_MAX];
	struct child child;
};

struct self {
	const struct self_args *args;
	char avp[PATH_MAX], runner[PATH_MAX], dir[64];
	struct report *report;
	struct job jobs[CONFIGS];
};

static void remove_folder(const struct self *s)
{
	DIR *d = opendir(s->dir);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(d), entry->d_name, 0);
	if (d)
		closedir(d);
	rmdir(s->dir);
}

static int write_file(
	const struct self *s, const char *name, const char *text, off_t size, struct err *e)
{
	char path[PATH_MAX + 32];
	autofclose FILE *f = NULL;

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	f = fopen(path, "we");
	if (!f || fputs(text, f) < 0 || fflush(f) || (size && ftruncate(fileno(f), size) < 0))
		return err_sys(e, -errno, "writing '%s'", path);
	return 0;
}

/* Images, what a storage says of its age (VIRTIO_BLK_F_LIFETIME), leap seconds. */
static int write_files(const struct self *s, struct err *e)
{
	int ret = write_file(s, "blk.img", "", IMAGE_BYTES, e);

	if (!ret)
		ret = write_file(s, "ro.img", "read-only image", IMAGE_BYTES, e);
	if (!ret)
		ret = write_file(s, "input", INPUT_SCRIPT, 0, e);
	if (!ret)
		ret = write_file(s, "life_time", "0x02 0x03\n", 0, e);
	if (!ret)
		ret = write_file(s, "pre_eol_info", "0x01\n", 0, e);
	return ret ? ret : write_file(s, "leap-seconds.list", leap_seconds, 0, e);
}

/* Programs: this one, and avp beside it or where it is installed. */
static int find_programs(struct self *s, struct err *e)
{
	ssize_t n = readlink("/proc/self/exe", s->runner, sizeof(s->runner) - 1);
	char *slash;

	if (n < 0)
		return err_sys(e, -errno, "reading /proc/self/exe");
	s->runner[n] = 0;
	slash = strrchr(s->runner, '/');
	if (s->args->avp)
		snprintf(s->avp, sizeof(s->avp), "%s", s->args->avp);
	else
		snprintf(s->avp, sizeof(s->avp), "%.*s/avp", (int)(slash - s->runner), s->runner);
	if (!s->args->avp && access(s->avp, X_OK))
		snprintf(s->avp, sizeof(s->avp), "%.*s/../../bin/avp", (int)(slash - s->runner),
			s->runner);
	return access(s->avp, X_OK) ? err_sys(e, -errno, "the avp to judge, '%s'", s->avp) : 0;
}

/* Command lines. */

/* `word` with {avp} and {dir} filled in, which stand at its beginning if at all. */
static int add_word(const struct self *s, struct job *job, const char *word)
{
	const char *path = !strncmp(word, "{avp}", 5)	? s->avp
			   : !strncmp(word, "{dir}", 5) ? s->dir
							: NULL;
	char **out = &job->argv[job->argc];

	if (job->argc == ARGS_MAX)
		return -E2BIG;
	if (asprintf(out, "%s%s", path ? path : "", path ? word + 5 : word) < 0) {
		*out = NULL;
		return -ENOMEM;
	}
	job->argc++;
	return 0;
}

static int add_words(const struct self *s, struct job *job, const char *const *words)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < WORDS_MAX && words[i]; i++)
		ret = add_word(s, job, words[i]);
	return ret;
}

static int add_list(
	const struct self *s, struct job *job, const char *option, const struct opt_list *l)
{
	int ret = 0;

	for (unsigned i = 0; !ret && i < l->n; i++) {
		ret = add_word(s, job, option);
		if (!ret)
			ret = add_word(s, job, l->v[i]);
	}
	return ret;
}

static int make_command(const struct self *s, struct job *job)
{
	const struct config *c = job->config;
	char limit[16];
	const char *const first[WORDS_MAX] = { s->runner, "conform", "vhost-user", "--name",
		c->name, "--type", c->type, "--json", "-", "--limit", limit,
		s->args->hostile ? "--hostile" : NULL };
	int ret;

	snprintf(limit, sizeof(limit), "%u", s->args->limit_ms);
	ret = add_words(s, job, first);
	if (!ret)
		ret = add_words(s, job, c->options);
	if (!ret)
		ret = add_list(s, job, "--only", &s->args->choice.only);
	if (!ret)
		ret = add_list(s, job, "--skip", &s->args->choice.skip);
	if (!ret)
		ret = add_word(s, job, "--");
	if (!ret)
		ret = add_words(s, job, c->command);
	if (!ret && c->peer_command[0])
		ret = add_word(s, job, "--");
	return ret ? ret : add_words(s, job, c->peer_command);
}

/* Runs. */

static void start(struct self *s, struct job *job)
{
	struct err e = { 0 };
	int ret;

	snprintf(job->json, sizeof(job->json), "%s/%s.json", s->dir, job->config->name);
	snprintf(job->log, sizeof(job->log), "%s/%s.log", s->dir, job->config->name);
	job->started = true;
	job->deadline = ev_now_ns() + TARGET_MS * 1000000;
	job->child = (struct child){ .argv = job->argv, .log = job->log, .out = job->json };
	ret = make_command(s, job);
	if (ret)
		err_sys(&e, ret, "making the command line");
	else
		ret = child_start(&job->child, &e);
	if (ret) {
		report_broken(s->report, job->config->name, e.msg);
		job->done = job->added = true;
	}
}

static void look(struct job *job)
{
	if (ev_now_ns() > job->deadline)
		child_kill(&job->child);
	job->done = child_ended(&job->child);
}

/* Hands on the verdicts that it wrote; true if it came to its end. */
static bool take_verdicts(struct self *s, const struct job *job)
{
	autofclose FILE *f = fopen(job->json, "re");
	autofree char *line = NULL;
	enum report_line kind = REPORT_BAD;
	struct report_result r;
	struct cJSON *doc;
	size_t room = 0;

	while (f && getline(&line, &room, f) > 0) {
		kind = report_from_json(line, &r, &doc);
		if (kind != REPORT_VERDICT)
			continue;
		report_add(s->report, &r);
		report_json_free(doc);
	}
	return kind == REPORT_END;
}

/* Its status says nothing that its verdicts do not say, unless it broke off. */
static void add(struct self *s, struct job *job)
{
	autofclose FILE *log = fopen(job->log, "re");
	char fate[80], line[300] = "", first[300] = "", why[500];

	job->added = true;
	while (log && fgets(line, sizeof(line), log)) {
		fputs(line, stderr);
		if (!*first)
			snprintf(first, sizeof(first), "%s", line);
	}
	if (take_verdicts(s, job))
		return;
	child_fate(&job->child, fate, sizeof(fate));
	snprintf(why, sizeof(why), "the runner %s before it was done: %s", fate, first);
	report_broken(s->report, job->config->name, why);
}

/* One look at a job; true if it may still have something to say. */
static bool turn(struct self *s, struct job *job, unsigned *running, bool first)
{
	if (!job->wanted || job->added)
		return false;
	if (job->started && !job->done)
		look(job);
	else if (!job->started && *running < s->args->jobs)
		start(s, job);
	*running += job->started && !job->done;
	/* In the order of the table, whoever is first. */
	if (job->done && !job->added && first)
		add(s, job);
	return !job->added;
}

/* Each cleans up behind itself. */
static void stop_all(struct self *s)
{
	for (unsigned i = 0; i < CONFIGS; i++)
		child_stop(&s->jobs[i].child);
	report_broken(s->report, "self", "stopped by a signal");
}

static void run(struct self *s)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	autoclose int signals = child_signals();
	struct signalfd_siginfo info;
	unsigned left, running;

	do {
		left = running = 0;
		for (unsigned i = 0; i < CONFIGS; i++)
			left += turn(s, &s->jobs[i], &running, !left);
		if (read(signals, &info, sizeof(info)) == sizeof(info)) {
			stop_all(s);
			return;
		}
		nanosleep(&pause, NULL);
	} while (left);
}

/* Set-up. */

static int choose(struct self *s, struct err *e)
{
	const struct opt_list *types = &s->args->types;
	const char *names[CONFIGS], *near;

	for (unsigned i = 0; i < CONFIGS; i++) {
		names[i] = configs[i].name;
		s->jobs[i] = (struct job){ .config = &configs[i], .wanted = !types->n };
	}
	for (unsigned t = 0; t < types->n; t++) {
		bool found = false;

		for (unsigned i = 0; i < CONFIGS; i++) {
			if (strcmp(types->v[t], names[i]) != 0)
				continue;
			s->jobs[i].wanted = found = true;
		}
		if (found)
			continue;
		near = opt_nearest(types->v[t], names, CONFIGS);
		return err_set(e, -EINVAL, "no configuration '%s'%s%s%s; see --help", types->v[t],
			near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
	}
	return 0;
}

static int judge(struct self *s, struct err *e)
{
	unsigned failed = 0;
	int ret = report_open(&s->report, &s->args->report, e);

	if (ret)
		return ret;
	run(s);
	ret = report_close(s->report, &failed, e);
	return ret ? ret : failed ? 1 : 0;
}

static int with_folder(struct self *s, struct err *e)
{
	/* In memory, if there is such a place. */
	int ret = child_folder(s->dir, access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", e);

	if (ret)
		return ret;
	ret = write_files(s, e);
	if (!ret)
		ret = judge(s, e);
	for (unsigned i = 0; i < CONFIGS; i++)
		for (unsigned j = 0; j < s->jobs[i].argc; j++)
			free(s->jobs[i].argv[j]);
	remove_folder(s);
	return ret;
}

int conform_self(int argc, char **argv)
{
	autofree struct self *s = calloc(1, sizeof(*s));
	struct self_args args = { 0 };
	struct err e = { 0 };
	char *none;
	int ret = cli_parse(&spec, argc, argv, &args, &none);

	if (ret != CLI_GO)
		return ret;
	if (s) {
		s->args = &args;
		ret = conform_check(&args.choice, &e);
	} else {
		ret = err_set(&e, -ENOMEM, "no memory");
	}
	if (!ret)
		ret = choose(s, &e);
	if (!ret)
		ret = find_programs(s, &e);
	if (!ret)
		ret = with_folder(s, &e);
	opt_free(options, &args);
	if (ret >= 0)
		return ret ? EXIT_FAULT : EXIT_OK;
	fprintf(stderr, "avp conform self: %s\n", e.msg);
	return ret == -EINVAL ? EXIT_USAGE : EXIT_FAULT;
}
