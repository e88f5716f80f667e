/* SPDX-License-Identifier: BSD-3-Clause */
/* The board's host side: starts it, carries output, signals, status and the control socket. */
#include "system/board.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "host/vsock_uds.h"
#include "system/board_host.h"
#include "system/board_wire.h"
#include "system/relay.h"

#define UP_LIMIT_NS   (120 * UINT64_C(1000000000))
#define DONE_LIMIT_NS (10 * UINT64_C(1000000000))
#define LOG_TAIL      2048

/* A stream that the board's agent opens to us: job, standard output or standard error. */
struct board_stream {
	struct board *board;
	unsigned port;
	int to; /* descriptor here that gets it, or -1: the job */
	int listener, fd;
	struct ev_fd watch;
	bool ended;
};

/* A client of the control socket that waits for its connection into the board. */
struct board_caller {
	struct board *board;
	struct board_caller *next; /* links board->callers */
	int client, fd;
	struct ev_fd watch;
	struct vsock_line line;
};

enum { STREAM_JOB, STREAM_STDOUT, STREAM_STDERR, STREAMS };

struct board {
	const struct board_job *job;
	struct err *e;
	struct board_plan plan;
	struct ev_loop *loop;
	int log;
	pid_t vsock, qemu;
	struct ev_fd signals;
	sigset_t old_mask;
	struct board_stream streams[STREAMS];
	struct board_words words;
	struct ev_timer limit;
	int control;
	struct ev_fd control_watch;
	struct board_caller *callers;
	struct relays relays;
	uint64_t started_ns;
	int status; /* of the job; -1: none yet */
	int signals_seen;
};

/* A fault that ends the board; the first one counts. */
static void board_fail(struct board *b, const char *text)
{
	if (b->status < 0 && b->e && !b->e->code)
		err_set(b->e, -EIO, "board: %s", text);
	ev_stop(b->loop);
}

/* The job is over when its status is known and its output has arrived. */
static void check_done(struct board *b)
{
	if (b->status < 0)
		return;
	if (b->streams[STREAM_STDOUT].ended && b->streams[STREAM_STDERR].ended)
		ev_stop(b->loop);
	else
		ev_timer_set(&b->limit, DONE_LIMIT_NS);
}

static void on_limit(void *arg)
{
	struct board *b = arg;

	board_fail(b, "it does not come up");
}

static void caller_free(struct board_caller *c)
{
	struct board_caller **p;

	for (p = &c->board->callers; *p && *p != c; p = &(*p)->next)
		;
	if (*p)
		*p = c->next;
	ev_fd_del(&c->watch);
	close_fd(&c->client);
	close_fd(&c->fd);
	free(c);
}

/* The vsock device answers "OK PORT" when the agent has accepted. */
static void on_caller(void *arg, uint32_t events)
{
	struct board_caller *c = arg;
	int ret = vsock_line_read(&c->line, c->fd, VIRTIO_VSOCK_TYPE_STREAM);

	if (!ret)
		return;
	if (ret > 0 && !strncmp(c->line.text, "OK ", 3)) {
		ev_fd_del(&c->watch);
		relay_open(
			&c->board->relays, c->board->loop, steal_fd(&c->client), steal_fd(&c->fd));
	}
	caller_free(c);
}

/* Only the user himself and root: in the board everybody would be root. */
static bool may_control(int client)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &len))
		return false;
	return who.uid == geteuid() || who.uid == 0;
}

static void on_control(void *arg, uint32_t events)
{
	struct board *b = arg;
	char path[BOARD_PATH_MAX];
	struct board_caller *c = calloc(1, sizeof(*c));

	if (!c)
		return;
	c->board = b;
	c->fd = -1;
	c->client = accept4(b->control, NULL, NULL, SOCK_CLOEXEC);
	c->next = b->callers;
	b->callers = c;
	board_path(&b->plan, "vsock", path);
	if (c->client >= 0 && may_control(c->client))
		c->fd = fd_unix_connect(path, SOCK_STREAM, NULL);
	if (c->fd < 0 || fd_nonblock(c->fd) ||
		vsock_line_send(c->fd, "CONNECT %u", BOARD_PORT_CONTROL) ||
		ev_fd_add(b->loop, &c->watch, c->fd, EPOLLIN, on_caller, c))
		caller_free(c);
}

static int open_control(struct board *b)
{
	b->control = fd_unix_listen(b->job->control, SOCK_STREAM, b->e);
	if (b->control < 0)
		return b->control;
	return ev_fd_add(b->loop, &b->control_watch, b->control, EPOLLIN, on_control, b);
}

static int on_word(void *arg, const char *verb, const char *rest)
{
	struct board *b = arg;

	if (!strcmp(verb, "ready"))
		return b->control < 0 ? open_control(b) : 0;
	if (!strcmp(verb, "exit")) {
		b->status = atoi(rest) & 0xff;
		check_done(b);
		return 0;
	}
	board_fail(b, strcmp(verb, "fail") ? "its agent speaks another language" : rest);
	return -EPROTO;
}

/* Says to the agent what to run. */
static int send_job(struct board *b, int fd)
{
	const struct board_job *job = b->job;
	const char *level = getenv("AVP_LOG");
	int ret = 0;

	for (unsigned i = 0; i < b->plan.nshares && !ret; i++)
		ret = board_word_send(fd, "share s%u %s", i, b->plan.share[i]);
	if (!ret)
		ret = board_word_send(fd, "chdir %s", job->dir);
	if (job->control && !ret)
		ret = board_word_send(fd, "control %s", job->control_inside);
	if (job->program && !ret)
		ret = board_word_send(fd, "program %s", job->program);
	for (unsigned i = 0; job->args[i] && !ret; i++)
		ret = board_word_send(fd, "arg %s", job->args[i]);
	if (level && !ret)
		ret = board_word_send(fd, "log %s", level);
	return ret ? ret : board_word_send(fd, "run");
}

static void on_job(struct board_stream *s)
{
	int ret = board_words_read(&s->board->words, s->fd, on_word, s->board);

	if (ret == -EPIPE)
		board_fail(s->board, "its agent has gone");
	else if (ret)
		board_fail(s->board, "its agent sends what is no word");
}

static void on_stream(void *arg, uint32_t events)
{
	struct board_stream *s = arg;
	char buf[8192];
	ssize_t n;

	if (s->to < 0) {
		on_job(s);
		return;
	}
	n = read(s->fd, buf, sizeof(buf));
	/* Output that nobody takes is lost, as the job's own would be. */
	if (n > 0)
		fd_write_full(s->to, buf, (size_t)n);
	else if (!n || (errno != EAGAIN && errno != EINTR)) {
		ev_fd_del(&s->watch);
		s->ended = true;
		check_done(s->board);
	}
}

static void on_agent(void *arg, uint32_t events)
{
	struct board_stream *s = arg;
	struct board *b = s->board;

	s->fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	if (s->fd < 0)
		return;
	ev_fd_del(&s->watch);
	close_fd(&s->listener);
	if (ev_fd_add(b->loop, &s->watch, s->fd, EPOLLIN, on_stream, s)) {
		board_fail(b, "cannot watch its agent");
		return;
	}
	if (s->port != BOARD_PORT_STDERR)
		return;
	/* That was the last of the three. */
	ev_timer_stop(&b->limit);
	dprintf(STDERR_FILENO, "avp: the board is up after %.1f s\n",
		(double)(ev_now_ns() - b->started_ns) / 1e9);
	if (send_job(b, b->streams[STREAM_JOB].fd))
		board_fail(b, "cannot send the job to its agent");
}

static void on_death(struct board *b)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == b->qemu) {
			b->qemu = -1;
			board_fail(b, "the emulated computer has stopped");
		} else if (pid == b->vsock) {
			b->vsock = -1;
			board_fail(b, "its vsock device has stopped");
		}
	}
}

/* The job gets the signals that were meant for it; one that does not even mind three of them is
 * left with its board. */
static void on_signal(void *arg, uint32_t events)
{
	struct board *b = arg;
	struct signalfd_siginfo info;

	if (read(b->signals.fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		on_death(b);
		return;
	}
	b->signals_seen++;
	if (b->streams[STREAM_STDERR].fd < 0 || b->signals_seen > 3)
		board_fail(b, "stopped by a signal");
	else
		board_word_send(b->streams[STREAM_JOB].fd, "signal %u", info.ssi_signo);
}

static int watch_signals(struct board *b)
{
	static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD };
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_LEN(caught); i++)
		sigaddset(&set, caught[i]);
	sigprocmask(SIG_BLOCK, &set, &b->old_mask);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	return ev_fd_add(b->loop, &b->signals, fd, EPOLLIN, on_signal, b);
}

static int open_streams(struct board *b)
{
	static const unsigned ports[] = { BOARD_PORT_JOB, BOARD_PORT_STDOUT, BOARD_PORT_STDERR };
	static const int to[] = { -1, STDOUT_FILENO, STDERR_FILENO };
	char name[32], path[BOARD_PATH_MAX];
	int ret = 0;

	for (unsigned i = 0; i < STREAMS && !ret; i++) {
		struct board_stream *s = &b->streams[i];

		*s = (struct board_stream){ .board = b, .port = ports[i], .to = to[i], .fd = -1 };
		snprintf(name, sizeof(name), "vsock_%u", s->port);
		board_path(&b->plan, name, path);
		s->listener = ret = fd_unix_listen(path, SOCK_STREAM, b->e);
		if (ret >= 0)
			ret = ev_fd_add(b->loop, &s->watch, s->listener, EPOLLIN, on_agent, s);
	}
	return ret;
}

static int open_log(struct board *b)
{
	char path[BOARD_PATH_MAX];

	if (mkdir(b->plan.dir, 0700) && errno != EEXIST)
		return err_sys(b->e, -errno, "board: cannot create '%s'", b->plan.dir);
	board_path(&b->plan, "log", path);
	b->log = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	return b->log < 0 ? err_sys(b->e, -errno, "board: cannot create '%s'", path) : 0;
}

/* The socket is there before QEMU looks for it, whenever the device gets to it. */
static int start_vsock(struct board *b)
{
	char path[BOARD_PATH_MAX];
	autoclose int listener = -1;

	board_path(&b->plan, "vhost", path);
	listener = fd_unix_listen(path, SOCK_STREAM, b->e);
	if (listener < 0)
		return listener;
	b->vsock = board_start_vsock(&b->plan, listener, b->log, b->e);
	return b->vsock < 0 ? b->vsock : 0;
}

static int start(struct board *b)
{
	int ret;

	b->started_ns = ev_now_ns();
	ret = start_vsock(b);
	if (ret)
		return ret;
	b->qemu = board_start_qemu(&b->plan, b->job, b->log, b->e);
	if (b->qemu < 0)
		return b->qemu;
	ev_timer_init(b->loop, &b->limit, on_limit, b);
	ev_timer_set(&b->limit, UP_LIMIT_NS);
	return ev_run(b->loop);
}

static int run(struct board *b)
{
	int ret = board_plan_make(&b->plan, b->job, b->e);

	if (!ret)
		ret = open_log(b);
	if (!ret)
		ret = ev_loop_create(&b->loop);
	if (!ret)
		ret = open_streams(b);
	if (!ret)
		ret = watch_signals(b);
	return ret ? ret : start(b);
}

/* What the emulated computer said last, when there is nothing else to explain a failure. */
static void show_log(const struct board *b)
{
	char tail[LOG_TAIL];
	struct stat st;
	ssize_t n;

	if (b->log < 0 || fstat(b->log, &st))
		return;
	n = pread(b->log, tail, sizeof(tail), st.st_size > LOG_TAIL ? st.st_size - LOG_TAIL : 0);
	for (ssize_t i = 0; i < n; i++)
		if (tail[i] != '\n' && (tail[i] < ' ' || tail[i] > '~'))
			tail[i] = ' ';
	if (n > 0)
		dprintf(STDERR_FILENO, "avp: the end of the board's log:\n%.*s\n", (int)n, tail);
}

static void end_process(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The folder is the board's own: whatever is in it goes. */
static void remove_files(const struct board *b)
{
	DIR *dir = b->plan.dir[0] ? opendir(b->plan.dir) : NULL;
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(b->plan.dir);
}

static void finish(struct board *b)
{
	int signals = b->signals.loop ? b->signals.fd : -1;

	end_process(b->qemu);
	end_process(b->vsock);
	relays_close(&b->relays);
	while (b->callers)
		caller_free(b->callers);
	for (unsigned i = 0; i < STREAMS; i++) {
		ev_fd_del(&b->streams[i].watch);
		close_fd(&b->streams[i].fd);
		close_fd(&b->streams[i].listener);
	}
	ev_fd_del(&b->control_watch);
	if (b->control >= 0)
		unlink(b->job->control);
	close_fd(&b->control);
	ev_fd_del(&b->signals);
	if (signals >= 0) {
		close(signals);
		sigprocmask(SIG_SETMASK, &b->old_mask, NULL);
	}
	remove_files(b);
	close_fd(&b->log);
	ev_loop_destroy(b->loop);
}

int board_run(const struct board_job *job, struct err *e)
{
	struct err own = { 0 };
	autofree struct board *b = calloc(1, sizeof(*b));
	int ret, status;

	e = e ? e : &own;
	if (!b)
		return err_set(e, -ENOMEM, "board: no memory");
	b->job = job;
	b->e = e;
	b->log = b->control = b->status = -1;
	for (unsigned i = 0; i < STREAMS; i++)
		b->streams[i].fd = b->streams[i].listener = -1;
	ret = run(b);
	status = b->status;
	if (status < 0 && b->qemu)
		show_log(b);
	finish(b);
	if (status >= 0)
		return status;
	return e->code ? e->code : err_set(e, ret < 0 ? ret : -EIO, "board: it did not run");
}
