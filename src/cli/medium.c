/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/medium.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"
#include "cli/cli.h"

#define STATS_MAX 14000u /* of all ports; those that do not fit are left out */

/* --port: keys that are not the device's. */
static const struct opt port_opts[] = {
	{ .name = "name",
		.type = OPT_STR,
		.offset = offsetof(struct medium_port, name),
		.flags = OPT_REQUIRED,
		.help = "name of the port" },
	{ .name = "socket",
		.type = OPT_PATH,
		.offset = offsetof(struct medium_port, socket),
		.help = "vhost-user socket to make and listen on" },
	{ .name = "fd",
		.type = OPT_U32,
		.offset = offsetof(struct medium_port, fd),
		.min = 3,
		.max = INT32_MAX,
		.help = "vhost-user socket that is listening already" },
	OPT_END,
};

static const struct opt own_opts[] = {
	{ .name = "name",
		.type = OPT_STR,
		.offset = offsetof(struct medium, name),
		.help = "its name in messages" },
	{ .name = "control-fd",
		.type = OPT_U32,
		.offset = offsetof(struct medium, control_fd),
		.min = 3,
		.max = INT32_MAX,
		.help = "socket of the supervisor" },
	{ .name = "jail",
		.type = OPT_ENUM,
		.offset = offsetof(struct medium, jail),
		.words = jail_mode_words,
		.help = "what to do without a layer of the jail" },
	VDEV_POLL_OPT(offsetof(struct medium, poll)),
	OPT_END,
};

static void help(const struct medium_spec *spec)
{
	printf("usage: avp %s [OPTIONS] --port KEY=VALUE,... [--port ...]\n\n%s\n", spec->command,
		spec->about);
	opt_help(own_opts, stdout);
	opt_help(spec->opts, stdout);
	puts("\nkeys of --port, separated by commas (a comma in a value is doubled):");
	opt_help(port_opts, stdout);
	if (spec->cls->opts)
		opt_help(spec->cls->opts, stdout);
}

/* Arguments. */

static int set_port_key(struct medium_port *p, char *word, struct err *e)
{
	char *value = strchr(word, '=');

	if (!value)
		return err_set(e, -EINVAL, "--port: '%.64s' is no KEY=VALUE", word);
	*value++ = '\0';
	if (opt_find(port_opts, word))
		return opt_set(port_opts, p, word, value, e);
	if (!p->dev->cls->opts)
		return err_set(e, -ENOENT, "--port: there is no key '%.64s'", word);
	return opt_set(p->dev->cls->opts, p->dev, word, value, e);
}

/* Ends the first word of `text` at its comma, taking doubled ones as part of it. Returns the rest,
 * or NULL. */
static char *split(char *text)
{
	char *to = text;

	for (char *from = text; *from; from++) {
		if (*from == ',' && from[1] != ',') {
			*to = '\0';
			return from + 1;
		}
		from += *from == ',';
		*to++ = *from;
	}
	*to = '\0';
	return NULL;
}

static int add_port(struct medium *m, const char *text, struct err *e)
{
	autofree char *copy = strdup(text);
	struct medium_port *p;
	int ret;

	if (m->nports == m->spec->ports_max)
		return err_set(
			e, -EINVAL, "--port: there are at most %u ports", m->spec->ports_max);
	if (!copy)
		return err_set(e, -ENOMEM, "--port: out of memory");
	p = &m->ports[m->nports++];
	ret = vdev_new(&p->dev, m->spec->cls, e);
	for (char *word = copy, *rest; !ret && word; word = rest) {
		rest = split(word);
		ret = set_port_key(p, word, e);
	}
	if (!ret)
		ret = opt_check(port_opts, p, e);
	if (!ret && !p->fd == !p->socket)
		ret = err_set(e, -EINVAL, "port %s: it needs socket=PATH or fd=N", p->name);
	return ret;
}

static int set_option(struct medium *m, const char *key, const char *value, struct err *e)
{
	if (!strcmp(key, "port"))
		return add_port(m, value, e);
	if (opt_find(own_opts, key))
		return opt_set(own_opts, m, key, value, e);
	return opt_set(m->spec->opts, m->config, key, value, e);
}

/* 0, 1: help was asked for, -errno. */
static int parse(struct medium *m, int argc, char **argv, struct err *e)
{
	int ret = opt_defaults(own_opts, m, e);

	if (!ret)
		ret = opt_defaults(m->spec->opts, m->config, e);
	for (int i = 1; !ret && i < argc; i++) {
		char key[64];
		const char *value;

		if (!strcmp(argv[i], "--help"))
			return 1;
		if (strncmp(argv[i], "--", 2) != 0)
			return err_set(
				e, -EINVAL, "unexpected '%s'; --help lists the options", argv[i]);
		if (!strcmp(argv[i], "--no-jail")) {
			m->jail = JAIL_OFF;
			continue;
		}
		snprintf(key, sizeof(key), "%.*s", (int)strcspn(argv[i] + 2, "="), argv[i] + 2);
		value = strchr(argv[i], '=');
		value = value ? value + 1 : argv[++i];
		if (!value)
			return err_set(e, -EINVAL, "--%s needs a value", key);
		ret = set_option(m, key, value, e);
	}
	if (!ret)
		ret = opt_check(m->spec->opts, m->config, e);
	if (!ret && !m->nports)
		ret = err_set(e, -EINVAL, "no --port: at least one is needed");
	return ret;
}

/* The supervisor's line. */

struct medium_port *medium_find_port(struct medium *m, const char *name)
{
	for (unsigned i = 0; i < m->nports; i++)
		if (!strcmp(m->ports[i].name, name))
			return &m->ports[i];
	return NULL;
}

void medium_event(struct medium *m, const char *event, const char *fmt, ...)
{
	char detail[VDEV_DETAIL_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	log_info(&m->log, "%s: %s", event, detail);
	line_event(&m->line, NULL, event, detail);
}

static void port_stats(struct medium *m, unsigned port, FILE *f)
{
	if (m->spec->port_stats)
		m->spec->port_stats(m, port, f);
	else
		line_device_stats(m->ports[port].dev, f);
}

/* {"NAME":{...},...}, as many as fit. */
static void ports_stats(struct medium *m, FILE *f)
{
	size_t used = 0;

	for (unsigned i = 0; i < m->nports; i++) {
		autofree char *text = NULL;
		size_t len = 0;
		FILE *one = open_memstream(&text, &len);

		if (one)
			port_stats(m, i, one);
		if (!one || fclose(one))
			return;
		used += len + strlen(m->ports[i].name) + 6;
		if (used > STATS_MAX)
			return;
		fprintf(f, "%s\"%s\":{%s}", i ? "," : "", m->ports[i].name, text);
	}
}

static void write_stats(void *arg, FILE *f)
{
	struct medium *m = arg;

	if (m->spec->stats) {
		m->spec->stats(m, f);
		fputc(',', f);
	}
	fputs("\"ports\":{", f);
	ports_stats(m, f);
	fputc('}', f);
}

/* "port NAME WORDS..." */
static int port_command(struct medium *m, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct medium_port *p = argc > 1 ? medium_find_port(m, argv[1]) : NULL;

	if (!p)
		return err_set(e, -EINVAL, "there is no port '%.64s'", argc > 1 ? argv[1] : "");
	if (argc < 3)
		return err_set(e, -EINVAL, "no words for port %s", p->name);
	return line_device_command(p->dev, argc - 2, argv + 2, answer, e);
}

static int obey(void *arg, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	struct medium *m = arg;

	if (!strcmp(argv[0], "port") && !m->spec->own_ports)
		return port_command(m, argc, argv, answer, e);
	if (!m->spec->obey)
		return err_set(
			e, -EOPNOTSUPP, "a %s takes no commands of its own", m->spec->command);
	return m->spec->obey(m, argc, argv, answer, e);
}

static void on_closed(void *arg)
{
	ev_stop(((struct medium *)arg)->loop);
}

static const char *port_name(void *arg, const struct vdev *dev)
{
	const struct medium *m = arg;

	for (unsigned i = 0; i < m->nports; i++)
		if (m->ports[i].dev == dev)
			return m->ports[i].name;
	return NULL;
}

static const struct line_ops line_ops = {
	.stats = write_stats, .command = obey, .closed = on_closed
};

static int open_line(struct medium *m, struct err *e)
{
	if (!m->control_fd)
		return 0;
	if (fd_cloexec((int)m->control_fd, 1))
		return err_set(e, -EBADF, "--control-fd %u is not open", m->control_fd);
	m->line.name_of = port_name;
	for (unsigned i = 0; i < m->nports; i++)
		m->ports[i].dev->watcher = &m->line.watcher;
	return line_open(&m->line, m->loop, (int)m->control_fd, (int)m->control_fd, &line_ops, m,
		&m->log, e);
}

static void on_signal(void *arg, uint32_t events)
{
	struct medium *m = arg;

	ev_stop(m->loop);
}

static int watch_signals(struct medium *m, struct err *e)
{
	sigset_t set;
	int ret;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (m->signal_fd < 0)
		return err_sys(e, -errno, "cannot watch signals");
	ret = ev_fd_add(m->loop, &m->signals, m->signal_fd, EPOLLIN, on_signal, m);
	return ret ? err_sys(e, ret, "cannot watch signals") : 0;
}

/* Start. */

static int serve_port(struct medium_port *p, struct err *e)
{
	const struct vhu_backend_opts opts = { .require_sealed = true };
	int sock, ret;

	if (p->fd && fd_cloexec((int)p->fd, 1))
		return err_set(e, -EBADF, "port %s: fd %u is not open", p->name, p->fd);
	sock = p->socket ? fd_unix_listen(p->socket, SOCK_STREAM, e) : (int)p->fd;
	if (sock < 0)
		return sock;
	ret = vhu_backend_create(&p->backend, p->dev, sock, &opts, e);
	if (ret)
		close(sock);
	return ret;
}

static int open_port(struct medium *m, struct medium_port *p, struct err *e)
{
	int ret;

	log_init(&p->log, m->log.fd, p->name);
	ret = m->spec->attach(m, p, e);
	if (ret)
		return ret;
	ret = vdev_init(p->dev, m->loop, &p->log, e);
	if (ret)
		return err_prefix(e, "port %s", p->name);
	return serve_port(p, e);
}

static int open_all(struct medium *m, struct err *e)
{
	int ret = ev_loop_create(&m->loop);

	if (ret)
		return err_sys(e, ret, "cannot make an event loop");
	vdev_set_poll(m->loop, m->poll);
	ret = watch_signals(m, e);
	if (!ret)
		ret = open_line(m, e);
	if (!ret)
		ret = m->spec->open(m, e);
	for (unsigned i = 0; !ret && i < m->nports; i++)
		ret = open_port(m, &m->ports[i], e);
	if (!ret && m->spec->complete)
		ret = m->spec->complete(m, e);
	return ret;
}

/* What the devices need, which is the same for all of a class but for their paths; what the medium
 * needs is added to it. */
static int close_jail(struct medium *m, struct err *e)
{
	struct jail_profile profile = { 0 };
	int ret = 0;

	for (unsigned i = 0; !ret && i < m->nports; i++)
		ret = jail_for_device(&profile, m->ports[i].dev, e);
	if (!ret && m->spec->jail)
		ret = m->spec->jail(m, &profile, e);
	profile.mode = (enum jail_mode)m->jail;
	if (!ret)
		ret = jail_enter(&profile, &m->log, e);
	jail_profile_free(&profile);
	return ret;
}

static void close_all(struct medium *m)
{
	ev_fd_del(&m->signals);
	close_fd(&m->signal_fd);
	for (unsigned i = 0; i < m->nports; i++) {
		vhu_backend_destroy(m->ports[i].backend);
		vdev_destroy(m->ports[i].dev);
		opt_free(port_opts, &m->ports[i]);
	}
	if (m->spec->close && m->loop)
		m->spec->close(m);
	line_close(&m->line);
	ev_loop_destroy(m->loop);
	opt_free(own_opts, m);
	opt_free(m->spec->opts, m->config);
}

static bool is_usage(int error)
{
	return error == -EINVAL || error == -ENOENT || error == -EEXIST || error == -EBADF;
}

static int run(struct medium *m, int argc, char **argv)
{
	struct err e = { 0 };
	int ret = parse(m, argc, argv, &e);

	if (ret == 1) {
		help(m->spec);
		return EXIT_OK;
	}
	log_init(&m->log, STDERR_FILENO, m->name ? m->name : m->spec->command);
	if (!ret)
		ret = open_all(m, &e);
	if (ret) {
		log_error(&m->log, "%s", e.msg);
		return is_usage(ret) ? EXIT_USAGE : EXIT_FAULT;
	}
	ret = close_jail(m, &e);
	if (ret) {
		log_error(&m->log, "%s", e.msg);
		return EXIT_FAULT;
	}
	log_info(&m->log, "serving %u port%s", m->nports, m->nports == 1 ? "" : "s");
	line_say(&m->line, "{\"event\":\"ready\"}");
	ret = ev_run(m->loop);
	if (ret)
		log_error(&m->log, "event loop: %s", strerror(-ret));
	return ret ? EXIT_FAULT : EXIT_OK;
}

int medium_main(const struct medium_spec *spec, int argc, char **argv)
{
	autofree void *config = calloc(1, spec->config_size + 1);
	autofree void *state = calloc(1, spec->state_size + 1);
	struct medium *m = calloc(1, sizeof(*m));
	int status;

	if (!m || !config || !state) {
		free(m);
		return EXIT_FAULT;
	}
	m->spec = spec;
	m->config = config;
	m->state = state;
	m->signal_fd = -1;
	m->line.out = -1;
	status = run(m, argc, argv);
	close_all(m);
	free(m);
	return status;
}
