/* SPDX-License-Identifier: BSD-3-Clause */
#include "conformance/host/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"

#define STOP_MS	    2000
#define RETRY_MS    5
#define ECHO_BUFFER 65536
#define FOLDER_MAX  40 /* bytes of the path of a folder of sockets */

static void pause_ms(unsigned ms)
{
	const struct timespec t = { .tv_nsec = (long)ms * 1000000 };

	nanosleep(&t, NULL);
}

/* In the new process, before anything else: not to outlive the runner. */
static void bind_to_runner(pid_t runner)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != runner)
		_exit(1);
}

static int open_output(const char *path)
{
	return path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
}

/* What it writes must not get between the lines of a report on our standard output. */
static void redirect(const struct child *c)
{
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int log = open_output(c->log), out = open_output(c->out);

	if (in >= 0)
		dup2(in, STDIN_FILENO);
	if (log >= 0)
		dup2(log, STDERR_FILENO);
	dup2(out >= 0 ? out : STDERR_FILENO, STDOUT_FILENO);
}

int child_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int child_folder(char path[64], const char *otherwise, struct err *e)
{
	const char *dir = getenv("TMPDIR");

	snprintf(path, 64, "%s/avp-conform-XXXXXX",
		dir && *dir && strlen(dir) < FOLDER_MAX ? dir : otherwise);
	return mkdtemp(path) ? 0 : err_sys(e, -errno, "making the folder '%s'", path);
}

int child_start(struct child *c, struct err *e)
{
	pid_t runner = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(e, -errno, "starting '%s'", c->argv[0]);
	if (!pid) {
		bind_to_runner(runner);
		redirect(c);
		execvp(c->argv[0], c->argv);
		fprintf(stderr, "'%s' cannot be started: %s\n", c->argv[0], strerror(errno));
		_exit(127);
	}
	c->pid = pid;
	c->status = 0;
	return 0;
}

bool child_ended(struct child *c)
{
	if (c->pid && waitpid(c->pid, &c->status, WNOHANG) == c->pid)
		c->pid = 0;
	return !c->pid;
}

void child_fate(const struct child *c, char *text, size_t size)
{
	if (WIFSIGNALED(c->status))
		snprintf(text, size, "was killed by signal %d (%s)", WTERMSIG(c->status),
			strsignal(WTERMSIG(c->status)));
	else
		snprintf(text, size, "exited with status %d", WEXITSTATUS(c->status));
}

static void signal_group(const struct child *c, int sig)
{
	/* Before its setpgid() there is no group, but nobody else is in it, either. */
	if (kill(-c->pid, sig) < 0)
		kill(c->pid, sig);
}

void child_kill(struct child *c)
{
	if (child_ended(c))
		return;
	signal_group(c, SIGKILL);
	while (waitpid(c->pid, &c->status, 0) < 0 && errno == EINTR)
		continue;
	c->pid = 0;
}

void child_stop(struct child *c)
{
	uint64_t deadline = ev_now_ns() + STOP_MS * UINT64_C(1000000);

	if (child_ended(c))
		return;
	signal_group(c, SIGTERM);
	while (!child_ended(c) && ev_now_ns() < deadline)
		pause_ms(RETRY_MS);
	child_kill(c);
}

int child_connect(struct child *c, const char *path, int timeout_ms, struct err *e)
{
	uint64_t deadline = ev_now_ns() + (uint64_t)timeout_ms * 1000000;
	char fate[80];

	for (;;) {
		/* Who listens but accepts nobody would let us wait for ever. */
		int sock = fd_unix_connect(path, SOCK_STREAM | SOCK_NONBLOCK, e);

		if (sock >= 0)
			return sock;
		if (c && child_ended(c)) {
			child_fate(c, fate, sizeof(fate));
			return err_set(e, -ECHILD, "'%s' %s before it listened on '%s'", c->argv[0],
				fate, path);
		}
		if (ev_now_ns() >= deadline)
			return e ? e->code : -ETIMEDOUT;
		pause_ms(RETRY_MS);
	}
}

/* Until the other side closes. */
static void echo(int sock)
{
	static char buf[ECHO_BUFFER];
	ssize_t n;

	while ((n = read(sock, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno != EINTR)
			return;
		if (n > 0 && fd_write_full(sock, buf, (size_t)n))
			return;
	}
}

static int blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -errno : fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

int child_echo(pid_t *pid, const char *path, int timeout_ms, struct err *e)
{
	autoclose int sock = child_connect(NULL, path, timeout_ms, e);
	pid_t runner = getpid();

	if (sock < 0)
		return sock;
	*pid = fork();
	if (*pid < 0)
		return err_sys(e, -errno, "starting the echo on '%s'", path);
	if (*pid)
		return 0;
	bind_to_runner(runner);
	for (;;) {
		if (sock >= 0 && !blocking(sock))
			echo(sock);
		close_fd(&sock);
		sock = fd_unix_connect(path, SOCK_STREAM, NULL);
		if (sock < 0)
			pause_ms(RETRY_MS);
	}
}
