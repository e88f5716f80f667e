/* SPDX-License-Identifier: BSD-3-Clause */
/* avp sensors: reads the host's sensors and writes a line for each sample. An SCMI platform starts
 * it for its sensors of IIO and hwmon, so that a slow bus holds up nobody. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/util.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "devices/scmi_sensor.h"
#include "host/sensor_sysfs.h"

#define NS_PER_S UINT64_C(1000000000)
/* How soon to look again for one that is gone. */
#define RETRY_NS     NS_PER_S
#define LINE_MAX_LEN 256u

struct sensors_args {
	char *sysfs;
	uint32_t fd;
	int clock;
	struct opt_list sensors;
};

static const struct opt sensors_opts[] = {
	{ .name = "sensor",
		.type = OPT_LIST,
		.offset = offsetof(struct sensors_args, sensors),
		.help = "what to read, as \"cpu source=hwmon device=coretemp channel=temp1\"" },
	{ .name = "sysfs",
		.type = OPT_PATH,
		.offset = offsetof(struct sensors_args, sysfs),
		.def = "/sys",
		.help = "where the sensors are" },
	{ .name = "clock",
		.type = OPT_ENUM,
		.offset = offsetof(struct sensors_args, clock),
		.words = sensor_clock_words,
		.def = "monotonic",
		.help = "clock of the time stamps" },
	{ .name = "fd",
		.type = OPT_U32,
		.offset = offsetof(struct sensors_args, fd),
		.help = "inherited socket that gets the lines; 0: standard output" },
	OPT_END,
};

struct reader {
	const struct sensors_args *args;
	struct ev_loop *loop;
	struct log log;
	struct ev_fd gone; /* whoever reads the lines has ended */
	int out;
	struct probe *probes;
	unsigned n;
	bool failed;
};

/* One sensor. */
struct probe {
	struct reader *reader;
	struct scmi_sensor_desc desc;
	struct sysfs_sensor files;
	struct ev_timer timer;
	bool lost; /* and it was said */
};

static uint64_t now_ns(const struct reader *r)
{
	struct timespec t;

	clock_gettime(
		r->args->clock == SENSOR_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void say(struct reader *r, const char *line, size_t len)
{
	if (!fd_write_full(r->out, line, len))
		return;
	r->failed = true;
	ev_stop(r->loop);
}

static void say_lost(struct probe *p, const struct err *e)
{
	char line[LINE_MAX_LEN];
	int n;

	if (p->lost)
		return;
	p->lost = true;
	log_warn(&p->reader->log, "%s: %s", p->desc.config.name, e->msg);
	n = snprintf(line, sizeof(line) - 1, "%s gone %s", p->desc.config.name, e->msg);
	n = n < (int)sizeof(line) - 2 ? n : (int)sizeof(line) - 2;
	line[n++] = '\n';
	say(p->reader, line, (size_t)n);
}

static void say_values(struct probe *p, const int64_t *value, uint64_t at_ns)
{
	const struct sensor_config *c = &p->desc.config;
	char line[LINE_MAX_LEN];
	FILE *f = fmemopen(line, sizeof(line), "w");
	long n;

	if (!f)
		return;
	fputs(c->name, f);
	for (unsigned i = 0; i < c->axes; i++) {
		fputc(' ', f);
		sensor_print_value(f, value[i], c->exponent);
	}
	fprintf(f, " @%llu.%09llu\n", (unsigned long long)(at_ns / NS_PER_S),
		(unsigned long long)(at_ns % NS_PER_S));
	n = ftell(f);
	fclose(f);
	p->lost = false;
	say(p->reader, line, (size_t)n);
}

static void measure(void *arg)
{
	struct probe *p = arg;
	struct reader *r = p->reader;
	uint64_t wait_ns = p->desc.config.interval_ns, start_ns, at_ns, took_ns;
	int64_t value[SENSOR_AXES_MAX];
	struct err e = { 0 };
	int ret = 0;

	if (!p->files.open)
		ret = sysfs_sensor_open(&p->files, &p->desc.config, r->args->sysfs, &e);
	/* From beginning to beginning: no two samples are closer than the interval. */
	start_ns = ev_now_ns();
	at_ns = now_ns(r);
	if (!ret)
		ret = sysfs_sensor_read(&p->files, value, &e);
	if (ret) {
		sysfs_sensor_close(&p->files);
		say_lost(p, &e);
		wait_ns = max_u64(RETRY_NS, wait_ns);
	} else {
		say_values(p, value, at_ns);
	}
	took_ns = ev_now_ns() - start_ns;
	ev_timer_set(&p->timer, wait_ns > took_ns ? wait_ns - took_ns : 0);
}

static void on_gone(void *arg, uint32_t events)
{
	struct reader *r = arg;

	if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		ev_stop(r->loop);
}

static int open_probe(struct reader *r, struct probe *p, const char *text, struct err *e)
{
	const struct sensor_config *c = &p->desc.config;
	int ret = scmi_sensor_parse(&p->desc, text, e);

	p->reader = r;
	ev_timer_init(r->loop, &p->timer, measure, p);
	if (!ret && c->source != SENSOR_IIO && c->source != SENSOR_HWMON)
		ret = err_set(e, -EINVAL, "'%s': source is neither iio nor hwmon", c->name);
	return ret;
}

static int open_reader(struct reader *r, struct err *e)
{
	int ret;

	if (!r->args->sensors.n)
		return err_set(e, -EINVAL, "nothing to read; name a sensor with --sensor");
	ret = ev_loop_create(&r->loop);
	if (ret)
		return err_sys(e, ret, "cannot make an event loop");
	r->probes = calloc(r->args->sensors.n, sizeof(*r->probes));
	if (!r->probes)
		return err_set(e, -ENOMEM, "out of memory");
	for (; !ret && r->n < r->args->sensors.n; r->n++)
		ret = open_probe(r, &r->probes[r->n], r->args->sensors.v[r->n], e);
	if (ret)
		return ret;
	/* A regular file cannot be watched, and is never gone. */
	ret = ev_fd_add(r->loop, &r->gone, r->out, EPOLLRDHUP, on_gone, r);
	return ret == -EPERM || !ret ? 0 : err_sys(e, ret, "cannot watch descriptor %d", r->out);
}

static void close_reader(struct reader *r)
{
	for (unsigned i = 0; i < r->n; i++) {
		ev_timer_stop(&r->probes[i].timer);
		sysfs_sensor_close(&r->probes[i].files);
	}
	ev_fd_del(&r->gone);
	ev_loop_destroy(r->loop);
	free(r->probes);
}

static int read_sensors(const struct sensors_args *a)
{
	struct reader r = { .args = a, .out = a->fd ? (int)a->fd : STDOUT_FILENO };
	struct err e = { 0 };
	int ret;

	log_init(&r.log, STDERR_FILENO, "sensors");
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	ret = open_reader(&r, &e);
	if (ret)
		fprintf(stderr, "avp: sensors: %s\n", e.msg);
	for (unsigned i = 0; !ret && i < r.n; i++)
		ev_timer_set(&r.probes[i].timer, 0);
	if (!ret)
		ret = ev_run(r.loop);
	close_reader(&r);
	if (ret)
		return e.code ? EXIT_USAGE : EXIT_FAULT;
	return r.failed && !a->fd ? EXIT_FAULT : EXIT_OK;
}

int cmd_sensors(int argc, char **argv)
{
	static const struct cli_spec spec = {
		.usage = "avp sensors --sensor \"NAME source=iio|hwmon device=D channel=C ...\" "
			 "[OPTIONS]",
		.about =
			"Reads sensors of this computer and prints a line for each sample, in the\n"
			"form that an SCMI platform takes at its sensor-socket.\n",
		.opts = sensors_opts,
	};
	struct sensors_args a = { 0 };
	int ret = cli_parse(&spec, argc, argv, &a, NULL);

	if (ret != CLI_GO)
		return ret;
	ret = read_sensors(&a);
	opt_free(sensors_opts, &a);
	return ret;
}
