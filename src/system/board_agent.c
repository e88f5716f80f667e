/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first process of the emulated board: mounts what the host shares, runs avp with output and
 * status going to the host, and carries connections to its control socket.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* After sys/socket.h, which it needs. */
#include <linux/vm_sockets.h>

#include "base/fd.h"
#include "base/util.h"
#include "system/board.h"
#include "system/board_wire.h"
#include "system/relay.h"

#define ARGS_MAX	64u
#define CONTROL_POLL_NS 50000000u
#define DIAL_TRIES	200u /* of 50 ms: the vsock device may take a moment */

struct agent {
	struct ev_loop *loop;
	int job, out, err;
	int listener;
	struct ev_fd job_watch, listener_watch, child_watch;
	struct ev_timer control_poll;
	struct board_words words;
	char *control, *program;
	char *args[ARGS_MAX + 2];
	unsigned nargs;
	pid_t child;
	struct relays relays;
};

static int dial(unsigned port)
{
	struct sockaddr_vm a = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port
	};

	for (unsigned i = 0; i < DIAL_TRIES; i++) {
		int s = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (s >= 0 && !connect(s, (struct sockaddr *)&a, sizeof(a)))
			return s;
		if (s >= 0)
			close(s);
		usleep(50000);
	}
	return -1;
}

static int listen_control(void)
{
	struct sockaddr_vm a = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = BOARD_PORT_CONTROL
	};
	autoclose int s = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 16))
		return -errno;
	return steal_fd(&s);
}

/* mkdir -p. A folder that is there already, shared by its parent, is as good. */
static void make_folders(const char *path)
{
	char part[BOARD_WORD_MAX];

	for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
		mkdir(part, 0755);
	}
	mkdir(path, 0755);
}

/* Nothing is cached here: images are to be as durable as the guest's flush says. */
static int mount_share(const char *rest)
{
	autofree char *tag = strdup(rest);
	char *path = tag ? strchr(tag, ' ') : NULL;

	if (!path)
		return -EPROTO;
	*path++ = '\0';
	make_folders(path);
	if (mount(tag, path, "9p", 0, "trans=virtio,version=9p2000.L,msize=512000,cache=none"))
		return -errno;
	return 0;
}

/* Starts the job: avp, if no program is named. Its standard output and error are the vsock
 * connections themselves. */
static int start(struct agent *a)
{
	sigset_t none;

	a->args[0] = a->program ? a->program : (char[]){ "avp" };
	a->child = fork();
	if (a->child < 0)
		return -errno;
	if (a->child) {
		if (a->control)
			ev_timer_set(&a->control_poll, CONTROL_POLL_NS);
		return 0;
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (dup2(a->out, STDOUT_FILENO) >= 0 && dup2(a->err, STDERR_FILENO) >= 0)
		execvp(a->program ? a->program : "/proc/self/exe", a->args);
	dprintf(STDERR_FILENO, "board: cannot start %s: %s\n", a->args[0], strerror(errno));
	_exit(127);
}

static int add_arg(struct agent *a, const char *text)
{
	if (a->nargs == ARGS_MAX)
		return -E2BIG;
	a->args[1 + a->nargs] = strdup(text);
	return a->args[1 + a->nargs++] ? 0 : -ENOMEM;
}

static int set_text(char **to, const char *text)
{
	free(*to);
	*to = strdup(text);
	return *to ? 0 : -ENOMEM;
}

static int do_word(struct agent *a, const char *verb, const char *rest)
{
	if (!strcmp(verb, "share"))
		return mount_share(rest);
	if (!strcmp(verb, "chdir"))
		return chdir(rest) ? -errno : 0;
	if (!strcmp(verb, "arg"))
		return add_arg(a, rest);
	if (!strcmp(verb, "log"))
		return setenv("AVP_LOG", rest, 1) ? -errno : 0;
	if (!strcmp(verb, "control"))
		return set_text(&a->control, rest);
	if (!strcmp(verb, "program"))
		return set_text(&a->program, rest);
	if (!strcmp(verb, "run"))
		return a->child ? -EPROTO : start(a);
	if (!strcmp(verb, "signal"))
		return a->child > 0 ? kill(a->child, atoi(rest)) : 0;
	return -EPROTO;
}

static int on_word(void *arg, const char *verb, const char *rest)
{
	struct agent *a = arg;
	int ret = do_word(a, verb, rest);

	if (ret)
		board_word_send(a->job, "fail %s %s: %s", verb, rest, strerror(-ret));
	return ret;
}

/* The host hanging up ends the board, whatever still runs. */
static void on_job(void *arg, uint32_t events)
{
	struct agent *a = arg;

	if (board_words_read(&a->words, a->job, on_word, a) == -EPIPE)
		ev_stop(a->loop);
}

/* As first process, we inherit and bury everybody's children. */
static void on_child(void *arg, uint32_t events)
{
	struct agent *a = arg;
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	if (read(a->child_watch.fd, &info, sizeof(info)) < 0)
		return;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != a->child)
			continue;
		a->child = -1;
		ev_timer_stop(&a->control_poll);
		close_fd(&a->out);
		close_fd(&a->err);
		board_word_send(a->job, "exit %d",
			WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	}
}

static void on_control(void *arg, uint32_t events)
{
	struct agent *a = arg;
	int client = accept4(a->listener, NULL, NULL, SOCK_CLOEXEC), fd;

	if (client < 0)
		return;
	fd = a->control ? fd_unix_connect(a->control, SOCK_STREAM, NULL) : -ENOENT;
	if (fd < 0)
		close(client);
	else
		relay_open(&a->relays, a->loop, client, fd);
}

/* Tells the host when avp's control socket answers. */
static void poll_control(void *arg)
{
	struct agent *a = arg;
	int fd = fd_unix_connect(a->control, SOCK_STREAM, NULL);

	if (fd < 0) {
		ev_timer_set(&a->control_poll, CONTROL_POLL_NS);
		return;
	}
	close(fd);
	board_word_send(a->job, "ready");
}

static int watch_all(struct agent *a)
{
	sigset_t set;
	int sig, ret;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sig = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sig < 0)
		return -errno;
	ev_timer_init(a->loop, &a->control_poll, poll_control, a);
	ret = ev_fd_add(a->loop, &a->child_watch, sig, EPOLLIN, on_child, a);
	if (!ret)
		ret = ev_fd_add(a->loop, &a->job_watch, a->job, EPOLLIN, on_job, a);
	if (!ret)
		ret = ev_fd_add(a->loop, &a->listener_watch, a->listener, EPOLLIN, on_control, a);
	return ret;
}

static int serve(struct agent *a)
{
	int ret;

	a->job = dial(BOARD_PORT_JOB);
	a->out = dial(BOARD_PORT_STDOUT);
	a->err = dial(BOARD_PORT_STDERR);
	if (a->job < 0 || a->out < 0 || a->err < 0)
		return -ECONNREFUSED;
	a->listener = listen_control();
	if (a->listener < 0)
		return a->listener;
	ret = ev_loop_create(&a->loop);
	if (!ret)
		ret = watch_all(a);
	return ret ? ret : ev_run(a->loop);
}

int board_agent(int argc, char **argv)
{
	struct agent agent = { .job = -1, .out = -1, .err = -1, .listener = -1 };
	int ret;

	if (getpid() != 1) {
		fputs("avp board-agent: only for the first process of the board\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	ret = serve(&agent);
	if (ret)
		fprintf(stderr, "avp board-agent: %s\n", strerror(-ret));
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
