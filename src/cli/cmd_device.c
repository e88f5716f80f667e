/* SPDX-License-Identifier: BSD-3-Clause */
/* avp device: one device as a vhost-user process, for our monitor or any other. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"
#include "cli/cli.h"
#include "cli/line.h"
#include "system/jail.h"
#include "transport/vhost_user_backend.h"
#include "virtio/device.h"

/* A device process. */
struct process {
	/* From the command line. */
	const char *socket;
	const char *name;
	int fd;		/* of a socket that was opened for us, or -1 */
	int control_fd; /* to the supervisor, or -1 */
	uint32_t poll;
	enum jail_mode jail;

	struct log log;
	struct ev_loop *loop;
	struct vdev *dev;
	struct vhu_backend *backend;
	int signal_fd;
	struct ev_fd signals;
	struct line line;
};

/* Of the process, whatever it serves. */
static const struct opt process_opts[] = {
	VDEV_POLL_OPT(offsetof(struct process, poll)),
	OPT_END,
};

static void list_types(FILE *f)
{
	fputs("usage: avp device TYPE (--socket PATH | --fd N) [OPTIONS] [--KEY VALUE]...\n\n"
	      "Serves a device over vhost-user. avp device TYPE --help lists its keys.\n\n",
		f);
	for (unsigned i = 0; vdev_classes[i]; i++)
		fprintf(f, "  %-10s %s\n", vdev_classes[i]->name, vdev_classes[i]->summary);
}

static void type_help(const struct vdev_class *cls)
{
	printf("usage: avp device %s (--socket PATH | --fd N) [OPTIONS] [--KEY VALUE]...\n\n"
	       "%s (VIRTIO device id %u)\n\n"
	       "options:\n"
	       "  --socket PATH              listen on this Unix socket\n"
	       "  --fd N                     serve this inherited socket, listening or connected\n"
	       "  --name NAME                name in log messages (default: %s)\n"
	       "  --control-fd N             SOCK_SEQPACKET: \"stats\" in, events out\n"
	       "  --jail MODE                best-effort, required or off (default: best-effort)\n"
	       "  --no-jail                  --jail off\n",
		cls->name, cls->summary, cls->id, cls->name);
	opt_help(process_opts, stdout);
	if (!cls->opts)
		return;
	puts("\nkeys:");
	opt_help(cls->opts, stdout);
}

static const struct vdev_class *find_type(const char *name)
{
	const struct vdev_class *cls = vdev_class_find(name);
	const char *names[64];
	const char *near;
	unsigned n = 0;

	if (cls)
		return cls;
	while (n < ARRAY_LEN(names) && vdev_classes[n]) {
		names[n] = vdev_classes[n]->name;
		n++;
	}
	near = opt_nearest(name, names, n);
	fprintf(stderr, "avp device: no device type '%s'%s%s%s; avp device lists them\n", name,
		near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
	return NULL;
}

static int parse_fd(const char *key, const char *value, int *fd, struct err *e)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(value, &end, 10);
	if (errno || *end || end == value || n < 0 || n > INT32_MAX)
		return err_set(e, -EINVAL, "--%s '%s' is not a descriptor number", key, value);
	*fd = (int)n;
	/* It is for this process, not for those that a device may start. */
	return fd_cloexec(*fd, 1) ? err_set(e, -EBADF, "--%s %d is not open", key, *fd) : 0;
}

static int parse_jail(const char *value, enum jail_mode *mode, struct err *e)
{
	for (int i = JAIL_BEST_EFFORT; i <= JAIL_OFF; i++)
		if (!strcmp(value, jail_mode_words[i])) {
			*mode = (enum jail_mode)i;
			return 0;
		}
	return err_set(e, -EINVAL, "--jail '%s': %s, %s or %s", value, jail_mode_words[0],
		jail_mode_words[1], jail_mode_words[2]);
}

/* One option of the process, or one key of the device. */
static int set_key(struct process *p, const char *key, const char *value, struct err *e)
{
	const struct opt *opts = p->dev->cls->opts;

	if (!strcmp(key, "socket")) {
		p->socket = value;
		return 0;
	}
	if (!strcmp(key, "name")) {
		p->name = value;
		return 0;
	}
	if (!strcmp(key, "fd"))
		return parse_fd(key, value, &p->fd, e);
	if (!strcmp(key, "control-fd"))
		return parse_fd(key, value, &p->control_fd, e);
	if (!strcmp(key, "jail"))
		return parse_jail(value, &p->jail, e);
	if (opt_find(process_opts, key))
		return opt_set(process_opts, p, key, value, e);
	if (!opts)
		return err_set(e, -ENOENT, "device %s has no key '%s'", p->dev->cls->name, key);
	return opt_set(opts, p->dev, key, value, e);
}

/* True if the key can stand alone: "--readonly" is "--readonly true". */
static bool is_flag(const struct process *p, const char *key)
{
	const struct opt *o = p->dev->cls->opts ? opt_find(p->dev->cls->opts, key) : NULL;

	return o && o->type == OPT_BOOL;
}

/* Takes the option at argv[0], "--key=value" or "--key value". Returns the words used, or -errno.
 */
static int parse_one(struct process *p, int argc, char **argv, struct err *e)
{
	const char *value = argc > 1 ? argv[1] : NULL;
	const char *eq = strchr(argv[0], '=');
	char key[64];
	size_t len;
	int words = 2;
	int ret;

	if (strncmp(argv[0], "--", 2) != 0)
		return err_set(e, -EINVAL, "'%s' is not an option; options begin with --", argv[0]);
	len = min_u64(eq ? (size_t)(eq - argv[0]) - 2 : strlen(argv[0] + 2), sizeof(key) - 1);
	memcpy(key, argv[0] + 2, len);
	key[len] = '\0';
	if (!strcmp(key, "no-jail") && !eq) {
		p->jail = JAIL_OFF;
		return 1;
	}
	if (eq) {
		value = eq + 1;
		words = 1;
	} else if (is_flag(p, key) && (!value || !strncmp(value, "--", 2))) {
		value = "true";
		words = 1;
	}
	if (!value)
		return err_set(e, -EINVAL, "--%s needs a value", key);
	ret = set_key(p, key, value, e);
	return ret ? ret : words;
}

static int parse(struct process *p, int argc, char **argv, struct err *e)
{
	while (argc) {
		int words = parse_one(p, argc, argv, e);

		if (words < 0)
			return words;
		argc -= words;
		argv += words;
	}
	if (!p->socket == (p->fd < 0))
		return err_set(e, -EINVAL, "exactly one of --socket PATH and --fd N is needed");
	return p->dev->cls->opts ? opt_check(p->dev->cls->opts, p->dev, e) : 0;
}

static void write_stats(void *arg, FILE *f)
{
	line_device_stats(((struct process *)arg)->dev, f);
}

static int obey(void *arg, unsigned argc, char **argv, FILE *answer, struct err *e)
{
	return line_device_command(((struct process *)arg)->dev, argc, argv, answer, e);
}

static void on_closed(void *arg)
{
	ev_stop(((struct process *)arg)->loop);
}

static const struct line_ops line_ops = {
	.stats = write_stats, .command = obey, .closed = on_closed
};

static void log_stats(struct process *p)
{
	autofree char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (f)
		write_stats(p, f);
	if (f && !fclose(f))
		log_info(&p->log, "{\"event\":\"stats\",\"counters\":{%s}}", text);
}

static void on_signal(void *arg, uint32_t events)
{
	struct process *p = arg;
	struct signalfd_siginfo info;

	if (read(p->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGUSR1) {
		ev_stop(p->loop);
		return;
	}
	log_stats(p);
}

/* Before any thread exists, so that all inherit the mask and signals arrive at the descriptor. */
static int watch_signals(struct process *p, struct err *e)
{
	sigset_t set;
	int ret;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->signal_fd < 0)
		return err_sys(e, -errno, "watching signals");
	ret = ev_fd_add(p->loop, &p->signals, p->signal_fd, EPOLLIN, on_signal, p);
	return ret ? err_sys(e, ret, "watching signals") : 0;
}

static int open_line(struct process *p, struct err *e)
{
	if (p->control_fd < 0)
		return 0;
	p->dev->watcher = &p->line.watcher;
	return line_open(&p->line, p->loop, p->control_fd, p->control_fd, &line_ops, p, &p->log, e);
}

static int enter_jail(struct process *p, struct err *e)
{
	struct jail_profile profile = { 0 };
	int ret = jail_for_device(&profile, p->dev, e);

	if (!ret) {
		profile.mode = p->jail;
		ret = jail_enter(&profile, &p->log, e);
	}
	jail_profile_free(&profile);
	return ret;
}

static int set_up(struct process *p, struct err *e)
{
	int ret = ev_loop_create(&p->loop);

	if (ret)
		return err_sys(e, ret, "creating the event loop");
	vdev_set_poll(p->loop, p->poll);
	ret = watch_signals(p, e);
	if (!ret)
		ret = open_line(p, e);
	if (!ret)
		ret = vdev_init(p->dev, p->loop, &p->log, e);
	if (!ret && p->fd < 0) {
		p->fd = fd_unix_listen(p->socket, SOCK_STREAM, e);
		ret = p->fd < 0 ? p->fd : 0;
	}
	return ret ? ret : enter_jail(p, e);
}

/* The peer of a connection that was handed to us is gone, and there will be no other. */
static void on_disconnected(void *arg)
{
	ev_stop(((struct process *)arg)->loop);
}

static int serve(struct process *p, struct err *e)
{
	struct vhu_backend_opts opts = { .arg = p };
	int listens = 0;
	socklen_t len = sizeof(listens);
	int ret;

	if (!getsockopt(p->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) && !listens)
		opts.disconnected = on_disconnected;
	ret = vhu_backend_create(&p->backend, p->dev, p->fd, &opts, e);
	if (ret)
		return ret;
	p->fd = -1;
	log_info(&p->log, "serving");
	line_say(&p->line, "{\"event\":\"ready\"}");
	ret = ev_run(p->loop);
	return ret ? err_sys(e, ret, "the event loop") : 0;
}

static void tear_down(struct process *p)
{
	vhu_backend_destroy(p->backend);
	vdev_destroy(p->dev);
	ev_fd_del(&p->signals);
	line_close(&p->line);
	close_fd(&p->signal_fd);
	close_fd(&p->fd);
	ev_loop_destroy(p->loop);
}

static int run(struct process *p, int argc, char **argv)
{
	struct err e = { 0 };
	int ret = parse(p, argc, argv, &e);

	if (ret) {
		fprintf(stderr, "avp device %s: %s\n", p->dev->cls->name, e.msg);
		return EXIT_USAGE;
	}
	log_init(&p->log, STDERR_FILENO, p->name ? p->name : p->dev->cls->name);
	ret = set_up(p, &e);
	if (!ret)
		ret = serve(p, &e);
	if (ret)
		log_error(&p->log, "%s", e.msg);
	return ret ? EXIT_FAULT : EXIT_OK;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], "--help"))
			return true;
	return false;
}

int cmd_device(int argc, char **argv)
{
	struct process p = { .fd = -1, .control_fd = -1, .signal_fd = -1, .line = { .out = -1 } };
	const struct vdev_class *cls;
	struct err e = { 0 };
	int status;

	if (argc < 2 || !strcmp(argv[1], "--help")) {
		list_types(argc < 2 ? stderr : stdout);
		return argc < 2 ? EXIT_USAGE : EXIT_OK;
	}
	cls = find_type(argv[1]);
	if (!cls)
		return EXIT_USAGE;
	if (wants_help(argc - 2, argv + 2)) {
		type_help(cls);
		return EXIT_OK;
	}
	if (vdev_new(&p.dev, cls, &e)) {
		fprintf(stderr, "avp device %s: %s\n", cls->name, e.msg);
		return EXIT_FAULT;
	}
	status = run(&p, argc - 2, argv + 2);
	tear_down(&p);
	return status;
}
