/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * avp switch: a learning switch as a process. Every port is a virtio-net device of its own behind a
 * vhost-user socket; all of them live on one loop, so that a frame is copied once from guest to
 * guest.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"
#include "cli/cli.h"
#include "devices/devices.h"
#include "devices/net.h"
#include "host/uplink.h"
#include "system/jail.h"
#include "transport/vhost_user_backend.h"

#define REPLY_MAX 16000u /* what the supervisor reads as one message */

/* --port: keys that are not the net device's. */
struct port_keys {
	char *name;
	char *socket;
	uint32_t fd;
};

static const struct opt port_opts[] = {
	{ .name = "name",
		.type = OPT_STR,
		.offset = offsetof(struct port_keys, name),
		.flags = OPT_REQUIRED,
		.help = "name of the port" },
	{ .name = "socket",
		.type = OPT_PATH,
		.offset = offsetof(struct port_keys, socket),
		.help = "vhost-user socket to make and listen on" },
	{ .name = "fd",
		.type = OPT_U32,
		.offset = offsetof(struct port_keys, fd),
		.min = 3,
		.max = INT32_MAX,
		.help = "vhost-user socket that is listening already" },
	OPT_END,
};

struct port {
	struct port_keys keys;
	struct vdev *dev;
	struct vhu_backend *backend;
	struct log log;
};

struct command {
	/* Keys of our own; then the switch's. */
	char *name;
	int jail;
	uint32_t control_fd; /* 0: none */
	struct switch_config config;

	struct log log;
	struct ev_loop *loop;
	struct netswitch *sw;
	struct uplink uplink;
	struct ev_fd control, signals;
	int signal_fd;
	unsigned nports;
	struct port ports[SWITCH_PORTS_MAX];
};

static const struct opt own_opts[] = {
	{ .name = "name",
		.type = OPT_STR,
		.offset = offsetof(struct command, name),
		.def = "switch",
		.help = "name of the switch" },
	{ .name = "control-fd",
		.type = OPT_U32,
		.offset = offsetof(struct command, control_fd),
		.min = 3,
		.max = INT32_MAX,
		.help = "socket of the supervisor" },
	{ .name = "jail",
		.type = OPT_ENUM,
		.offset = offsetof(struct command, jail),
		.words = jail_mode_words,
		.help = "what to do without a layer of the jail" },
	OPT_END,
};

static void help(void)
{
	puts("usage: avp switch [OPTIONS] --port KEY=VALUE,... [--port ...]\n");
	opt_help(own_opts, stdout);
	opt_help(switch_opts, stdout);
	puts("\nkeys of --port, separated by commas (a comma in a value is doubled):");
	opt_help(port_opts, stdout);
	opt_help(vdev_net.opts, stdout);
}

/* Arguments. */

static int set_port_key(struct port *p, char *word, struct err *e)
{
	char *value = strchr(word, '=');

	if (!value)
		return err_set(e, -EINVAL, "--port: '%.64s' is no KEY=VALUE", word);
	*value++ = '\0';
	if (opt_find(port_opts, word))
		return opt_set(port_opts, &p->keys, word, value, e);
	return opt_set(vdev_net.opts, p->dev, word, value, e);
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

static int add_port(struct command *c, const char *text, struct err *e)
{
	autofree char *copy = strdup(text);
	struct port *p;
	int ret;

	if (c->nports == SWITCH_PORTS_MAX)
		return err_set(
			e, -EINVAL, "--port: a switch has at most %u ports", SWITCH_PORTS_MAX);
	if (!copy)
		return err_set(e, -ENOMEM, "--port: out of memory");
	p = &c->ports[c->nports++];
	ret = vdev_new(&p->dev, &vdev_net, e);
	for (char *word = copy, *rest; !ret && word; word = rest) {
		rest = split(word);
		ret = set_port_key(p, word, e);
	}
	if (!ret)
		ret = opt_check(port_opts, &p->keys, e);
	if (!ret && !p->keys.fd == !p->keys.socket)
		ret = err_set(e, -EINVAL, "port %s: it needs socket=PATH or fd=N", p->keys.name);
	return ret;
}

static int set_option(struct command *c, const char *key, const char *value, struct err *e)
{
	if (!strcmp(key, "port"))
		return add_port(c, value, e);
	if (opt_find(own_opts, key))
		return opt_set(own_opts, c, key, value, e);
	return opt_set(switch_opts, &c->config, key, value, e);
}

/* 0, 1: help was asked for, -errno. */
static int parse(struct command *c, int argc, char **argv, struct err *e)
{
	int ret = opt_defaults(own_opts, c, e);

	if (!ret)
		ret = opt_defaults(switch_opts, &c->config, e);
	for (int i = 1; !ret && i < argc; i++) {
		char key[64];
		const char *value;

		if (!strcmp(argv[i], "--help"))
			return 1;
		if (strncmp(argv[i], "--", 2) != 0)
			return err_set(
				e, -EINVAL, "unexpected '%s'; --help lists the options", argv[i]);
		if (!strcmp(argv[i], "--no-jail")) {
			c->jail = JAIL_OFF;
			continue;
		}
		snprintf(key, sizeof(key), "%.*s", (int)strcspn(argv[i] + 2, "="), argv[i] + 2);
		value = strchr(argv[i], '=');
		value = value ? value + 1 : argv[++i];
		if (!value)
			return err_set(e, -EINVAL, "--%s needs a value", key);
		ret = set_option(c, key, value, e);
	}
	if (!ret && !c->nports)
		ret = err_set(e, -EINVAL, "no --port: a switch needs at least one");
	return ret;
}

/* The supervisor's line: one word per message, answered with one JSON object. */

/* Counters that are zero are left out. */
static size_t port_json(const struct command *c, unsigned port, char *buf, size_t len)
{
	const struct switch_counters *count = switch_port_counters(c->sw, port);
	size_t n = (size_t)snprintf(buf, len, "%s\"%s\":{\"up\":%d", port ? "," : "",
		switch_port_name(c->sw, port), switch_port_up(c->sw, port));

	for (const struct switch_counter_name *k = switch_counter_names; k->name && n < len; k++) {
		uint64_t value = *(const uint64_t *)(const void *)((const char *)count + k->offset);

		if (value)
			n += (size_t)snprintf(buf + n, len - n, ",\"%s\":%llu", k->name,
				(unsigned long long)value);
	}
	if (n < len)
		n += (size_t)snprintf(buf + n, len - n, ",\"queued\":%llu}",
			(unsigned long long)switch_port_queued(c->sw, port));
	return n;
}

static void tell(const struct command *c, const char *msg)
{
	if (c->control_fd)
		send((int)c->control_fd, msg, strlen(msg), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void send_stats(struct command *c)
{
	char buf[REPLY_MAX];
	size_t n = (size_t)snprintf(buf, sizeof(buf),
		"{\"event\":\"stats\",\"counters\":{\"macs\":%u,\"mirror_missed\":%llu,\"ports\":{",
		switch_macs(c->sw), (unsigned long long)switch_mirror_missed(c->sw));

	for (unsigned i = 0; i < switch_nports(c->sw); i++) {
		size_t room = sizeof(buf) - n - 3;
		size_t len = port_json(c, i, buf + n, room);

		if (len >= room)
			break; /* ports that do not fit are left out */
		n += len;
	}
	snprintf(buf + n, sizeof(buf) - n, "}}}");
	tell(c, buf);
}

static void on_control(void *arg, uint32_t events)
{
	struct command *c = arg;
	char word[64];
	ssize_t n = recv((int)c->control_fd, word, sizeof(word) - 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		/* The supervisor is gone. */
		ev_fd_del(&c->control);
		ev_stop(c->loop);
		return;
	}
	word[n] = '\0';
	word[strcspn(word, "\n")] = '\0';
	if (!strcmp(word, "stats")) {
		send_stats(c);
		return;
	}
	log_warn(&c->log, "unknown command on the control descriptor");
	tell(c, "{\"event\":\"error\",\"reason\":\"unknown command\"}");
}

static void on_signal(void *arg, uint32_t events)
{
	struct command *c = arg;

	ev_stop(c->loop);
}

static int watch(struct command *c, struct err *e)
{
	sigset_t set;
	int ret;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	c->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (c->signal_fd < 0)
		return err_sys(e, -errno, "cannot watch signals");
	ret = ev_fd_add(c->loop, &c->signals, c->signal_fd, EPOLLIN, on_signal, c);
	if (!ret && c->control_fd)
		ret = fd_cloexec((int)c->control_fd, 1);
	if (!ret && c->control_fd)
		ret = ev_fd_add(c->loop, &c->control, (int)c->control_fd, EPOLLIN, on_control, c);
	return ret ? err_sys(e, ret, "cannot watch --control-fd and signals") : 0;
}

/* Start. */

static int open_port(struct command *c, struct port *p, struct err *e)
{
	const struct vhu_backend_opts opts = { .require_sealed = true };
	struct netport *end;
	int sock, ret;

	log_init(&p->log, c->log.fd, p->keys.name);
	ret = switch_add_port(c->sw, p->keys.name, net_port_config(p->dev), &end, e);
	if (ret)
		return ret;
	net_attach(p->dev, end);
	ret = vdev_init(p->dev, c->loop, &p->log, e);
	if (ret)
		return err_prefix(e, "port %s", p->keys.name);
	if (p->keys.fd && fd_cloexec((int)p->keys.fd, 1))
		return err_set(e, -EBADF, "port %s: fd %u is not open", p->keys.name, p->keys.fd);
	sock = p->keys.socket ? fd_unix_listen(p->keys.socket, SOCK_STREAM, e) : (int)p->keys.fd;
	if (sock < 0)
		return sock;
	ret = vhu_backend_create(&p->backend, p->dev, sock, &opts, e);
	if (ret)
		close(sock);
	return ret;
}

static int open_uplink(struct command *c, struct err *e)
{
	struct switch_port_config port;
	struct netport *end;
	int ret = uplink_open(&c->uplink, c->config.uplink, c->loop, &c->log, e);

	if (ret || !uplink_end(&c->uplink))
		return ret;
	switch_port_defaults(&port);
	port.vlan = c->config.uplink_vlan;
	port.trunk = c->config.uplink_trunk;
	ret = switch_add_port(c->sw, "uplink", &port, &end, e);
	if (!ret)
		netport_connect(end, uplink_end(&c->uplink));
	return ret;
}

static int open_all(struct command *c, struct err *e)
{
	int ret = ev_loop_create(&c->loop);

	if (ret)
		return err_sys(e, ret, "cannot make an event loop");
	ret = switch_create(&c->sw, &c->config, c->loop, &c->log, e);
	for (unsigned i = 0; !ret && i < c->nports; i++)
		ret = open_port(c, &c->ports[i], e);
	if (!ret)
		ret = open_uplink(c, e);
	return ret ? ret : watch(c, e);
}

/* Everything is open by now, except the way to a passt that may be restarted. */
static int close_jail(struct command *c, struct err *e)
{
	static const char *const connecting[] = { "socket", "connect", NULL };
	struct jail_profile profile = { .mode = (enum jail_mode)c->jail };
	autofree char *folder = NULL;

	if (!strncmp(c->config.uplink, "passt:", 6)) {
		const char *path = c->config.uplink + 6;

		folder = strndup(path, max_u64((uint64_t)(strrchr(path, '/') - path), 1));
		if (!folder)
			return err_set(e, -ENOMEM, "out of memory");
		profile.paths[profile.npaths++] = folder;
		profile.syscalls = connecting;
	}
	return jail_enter(&profile, &c->log, e);
}

static void close_all(struct command *c)
{
	ev_fd_del(&c->control);
	ev_fd_del(&c->signals);
	close_fd(&c->signal_fd);
	for (unsigned i = 0; i < c->nports; i++) {
		vhu_backend_destroy(c->ports[i].backend);
		vdev_destroy(c->ports[i].dev);
		opt_free(port_opts, &c->ports[i].keys);
	}
	uplink_close(&c->uplink);
	switch_destroy(c->sw);
	ev_loop_destroy(c->loop);
	opt_free(own_opts, c);
	opt_free(switch_opts, &c->config);
}

static int run(struct command *c, int argc, char **argv)
{
	struct err e = { 0 };
	int ret = parse(c, argc, argv, &e);

	if (ret == 1) {
		help();
		return EXIT_OK;
	}
	log_init(&c->log, STDERR_FILENO, c->name ? c->name : "switch");
	if (!ret)
		ret = open_all(c, &e);
	if (ret) {
		log_error(&c->log, "%s", e.msg);
		return ret == -EINVAL || ret == -ENOENT || ret == -EEXIST || ret == -EBADF
			       ? EXIT_USAGE
			       : EXIT_FAULT;
	}
	ret = close_jail(c, &e);
	if (ret) {
		log_error(&c->log, "%s", e.msg);
		return EXIT_FAULT;
	}
	log_info(&c->log, "serving %u ports, uplink %s", c->nports, c->config.uplink);
	tell(c, "{\"event\":\"ready\"}");
	ret = ev_run(c->loop);
	if (ret)
		log_error(&c->log, "event loop: %s", strerror(-ret));
	return ret ? EXIT_FAULT : EXIT_OK;
}

int cmd_switch(int argc, char **argv)
{
	struct command *c = calloc(1, sizeof(*c));
	int status;

	if (!c)
		return EXIT_FAULT;
	c->signal_fd = -1;
	status = run(c, argc, argv);
	close_all(c);
	free(c);
	return status;
}
