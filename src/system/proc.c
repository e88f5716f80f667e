/* SPDX-License-Identifier: BSD-3-Clause */
/* Starting, hearing and ending one process. */
#include "system/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/util.h"
#include "system/plan.h"

#define FDS_MAX 64u
/* Above all numbers that a process is handed, so that they can be put in order without clashes. */
#define FD_PARK 512

#define SELF "/proc/self/exe"

/* Its ends of what connects us. */
struct ends {
	int control, log;
};

/* Between fork and exec: puts descriptors where the process expects them. */
static int arrange_fds(const struct proc_spec *spec, const struct ends *ends)
{
	int from[FDS_MAX + PLAN_FD_SOCKETS];
	unsigned n = 0;

	from[n++] = open("/dev/null", O_RDWR | O_CLOEXEC);
	from[n++] = ends->log;
	from[n++] = ends->log;
	from[n++] = ends->control;
	for (unsigned i = 0; i < spec->nfds; i++)
		from[n++] = spec->fds[i];
	for (unsigned i = 0; i < n; i++) {
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FD_PARK);
		if (from[i] < 0)
			return -errno;
	}
	for (unsigned i = 0; i < n; i++)
		if (dup2(from[i], (int)i) < 0)
			return -errno;
	return close_range(n, ~0u, 0) ? -errno : 0;
}

static int put_in_place(const struct proc_place *place)
{
	struct sched_param param = { .sched_priority = place->priority };
	int r = 0;

	for (unsigned i = 0; i < place->njoin; i++)
		if (write(place->join[i], "0", 1) != 1)
			r = -errno;
	if (place->priority && sched_setscheduler(0, place->policy, &param))
		r = -errno;
	return r;
}

/* Does not return. What goes wrong here is said on the log. */
static void run_child(const struct proc_spec *spec, const struct ends *ends, pid_t parent)
{
	int placed = put_in_place(&spec->place);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* A session of its own: Ctrl-C at the terminal is for the supervisor to act on. */
	setsid();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	if (arrange_fds(spec, ends) || chdir(spec->dir)) {
		dprintf(STDERR_FILENO, "cannot start %s: %s\n", spec->argv[1], strerror(errno));
		_exit(1);
	}
	if (placed) {
		dprintf(STDERR_FILENO, "cannot join control group, cache share or policy: %s\n",
			strerror(-placed));
		if (spec->place.required)
			_exit(2);
	}
	execv(SELF, spec->argv);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", SELF, strerror(errno));
	_exit(1);
}

static void end_line(struct proc *p)
{
	if (p->line_len) {
		p->line[p->line_len] = 0;
		p->events->line(p->events->arg, p->line);
	}
	p->line_len = 0;
	p->line_cut = false;
}

static void add_text(struct proc *p, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\n') {
			end_line(p);
		} else if (p->line_len + 1 < sizeof(p->line) && !p->line_cut) {
			p->line[p->line_len++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
		} else if (!p->line_cut) {
			end_line(p);
			p->line_cut = true;
		}
	}
}

/* Reads once; false if there is nothing (more). */
static bool read_log(struct proc *p)
{
	char buf[4096];
	ssize_t n = read(p->log, buf, sizeof(buf));

	if (n > 0)
		add_text(p, buf, (size_t)n);
	if (n == 0)
		ev_fd_del(&p->log_watch);
	return n > 0 || (n < 0 && errno == EINTR);
}

static void on_log(void *arg, uint32_t events)
{
	read_log(arg);
}

/* One message; false if there is none. */
static bool read_message(struct proc *p)
{
	char buf[PROC_MESSAGE_MAX];
	ssize_t n = recv(p->control, buf, sizeof(buf) - 1, MSG_DONTWAIT);
	cJSON *msg;

	if (n <= 0)
		return false;
	buf[n] = 0;
	msg = cJSON_Parse(buf);
	if (cJSON_IsObject(msg))
		p->events->message(p->events->arg, msg);
	cJSON_Delete(msg);
	return true;
}

static void on_control(void *arg, uint32_t events)
{
	struct proc *p = arg;

	if (!read_message(p) && events & (EPOLLHUP | EPOLLERR))
		ev_fd_del(&p->control_watch);
}

static void release(struct proc *p)
{
	ev_fd_del(&p->pid_watch);
	ev_fd_del(&p->control_watch);
	ev_fd_del(&p->log_watch);
	close_fd(&p->pidfd);
	close_fd(&p->control);
	close_fd(&p->log);
	p->pid = 0;
}

static void on_end(void *arg, uint32_t events)
{
	struct proc *p = arg;
	siginfo_t info = { 0 };

	if (waitid((idtype_t)P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG) || !info.si_pid)
		return;
	/* It is dead, so both are finite: at most what the socket and the pipe hold. */
	while (read_message(p))
		;
	while (read_log(p))
		;
	end_line(p);
	release(p);
	p->events->ended(
		p->events->arg, info.si_code == CLD_EXITED ? info.si_status : -info.si_status);
}

static int watch(struct proc *p, struct ev_loop *loop)
{
	int r = ev_fd_add(loop, &p->pid_watch, p->pidfd, EPOLLIN, on_end, p);

	if (!r)
		r = ev_fd_add(loop, &p->control_watch, p->control, EPOLLIN, on_control, p);
	if (!r)
		r = ev_fd_add(loop, &p->log_watch, p->log, EPOLLIN, on_log, p);
	return r;
}

static int spawn(
	struct proc *p, const struct proc_spec *spec, const struct ends *ends, struct err *e)
{
	pid_t parent = getpid();

	fflush(NULL);
	p->pid = fork();
	if (p->pid == 0)
		run_child(spec, ends, parent);
	if (p->pid < 0)
		return err_sys(e, -errno, "cannot create a process");
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	return p->pidfd < 0 ? err_sys(e, -errno, "cannot watch process %d", (int)p->pid) : 0;
}

int proc_start(struct proc *p, struct ev_loop *loop, const struct proc_spec *spec,
	const struct proc_events *events, struct err *e)
{
	int sv[2], pipefd[2], r;

	*p = (struct proc){ .pidfd = -1, .control = -1, .log = -1, .events = events };
	if (spec->nfds > FDS_MAX)
		return err_set(e, -E2BIG, "more than %u sockets for one process", FDS_MAX);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv))
		return err_sys(e, -errno, "cannot create a socket pair");
	p->control = sv[0];
	if (pipe2(pipefd, O_CLOEXEC)) {
		r = err_sys(e, -errno, "cannot create a pipe");
		close(sv[1]);
		release(p);
		return r;
	}
	p->log = pipefd[0];
	r = spawn(p, spec, &(struct ends){ .control = sv[1], .log = pipefd[1] }, e);
	close(sv[1]);
	close(pipefd[1]);
	if (!r)
		r = fd_nonblock(p->log);
	if (!r) {
		r = watch(p, loop);
		if (r)
			err_sys(e, r, "cannot watch process %d", (int)p->pid);
	}
	if (!r)
		return 0;
	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
	}
	release(p);
	return r;
}

void proc_signal(struct proc *p, int sig)
{
	if (p->pid > 0)
		syscall(SYS_pidfd_send_signal, p->pidfd, sig, NULL, 0);
}

int proc_send_bytes(struct proc *p, const char *msg, size_t len)
{
	if (p->pid <= 0)
		return -ESRCH;
	return send(p->control, msg, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int proc_send(struct proc *p, const char *word)
{
	return proc_send_bytes(p, word, strlen(word));
}
