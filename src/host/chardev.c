/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's end of a character stream. */
#include "host/chardev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>

#include "base/fd.h"
#include "base/fifo.h"
#include "base/iov.h"
#include "base/util.h"
#include "host/hostdev.h"
#include "host/pty.h"

/* Input that waits for the guest, and output that waits for a terminal device. */
#define INPUT_MAX 16384u
#define TTY_RING  1024u
/* Output kept for a program that does not read, where nothing is shown again. */
#define RING_MIN 65536u
/* Output that a program has not read yet, apart from what can be shown again. */
#define SEND_BUFFER 262144

const char *const chardev_kinds[] = { "socket", "pty", "file", "stdio", "null", "tty", NULL };

/* One attached program: it reads the scrollback from `pos`, and its input goes to the guest. */
struct end {
	struct chardev *cd;
	struct ev_fd watch;
	int in, out; /* the same unless it is this process's terminal */
	struct ev_fd watch_out;
	uint64_t pos; /* position in the output, free-running */
	bool blocked; /* takes nothing now */
	bool in_over; /* sends no more */
	bool failed;  /* reading from it failed, or it ended */
	bool owned;   /* the descriptors are closed with it */
	struct end *next;
};

/* The last bytes of the output: those before position `end`. */
struct ring {
	uint8_t *buf;
	size_t size; /* power of two */
	uint64_t end;
};

struct chardev {
	struct ev_loop *loop;
	const struct log *log;
	struct chardev_events events;
	enum chardev_kind kind;
	struct ring ring;
	struct fifo input;
	struct end *ends;
	unsigned nends;
	struct end *direct; /* has input, which the owner reads into his own buffers */
	bool in_place;	    /* and which may stay in its socket until he does */
	int files[2];	    /* what all output is appended to, -1: unused */
	struct log_limit file_failed;
	int listener, size_sock;
	struct ev_fd watch, watch_size;
	char *path;
	struct pty pty;
	struct tty_line line;
	struct hostdev hostdev; /* the terminal device */
	const struct chardev_carrier *carrier;
	bool no_scrollback;
	struct termios cooked; /* of standard input, to be restored */
	bool is_tty;
	uint16_t cols, rows; /* as last reported */
	struct ev_task task; /* reports what happened */
	bool was_attached;
	struct chardev_stats *stats;
};

/* The ring. */

static int ring_init(struct ring *r, size_t want)
{
	r->size = 256;
	while (r->size < want)
		r->size *= 2;
	r->buf = malloc(r->size);
	return r->buf ? 0 : -ENOMEM;
}

static void ring_put(struct ring *r, const uint8_t *src, size_t len)
{
	/* Of more than it holds, the first part would be overwritten at once. */
	if (len > r->size) {
		r->end += len - r->size;
		src += len - r->size;
		len = r->size;
	}
	while (len) {
		size_t at = r->end & (r->size - 1);
		size_t n = min_u64(len, r->size - at);

		memcpy(r->buf + at, src, n);
		r->end += n;
		src += n;
		len -= n;
	}
}

static uint64_t ring_start(const struct ring *r)
{
	return r->end > r->size ? r->end - r->size : 0;
}

/* The bytes from `pos` to the end, in one or two pieces. */
static unsigned ring_iov(const struct ring *r, uint64_t pos, struct iovec iov[2])
{
	size_t at = pos & (r->size - 1);
	size_t len = r->end - pos;
	size_t n = min_u64(len, r->size - at);

	iov[0] = (struct iovec){ r->buf + at, n };
	iov[1] = (struct iovec){ r->buf, len - n };
	return len > n ? 2 : 1;
}

/* Attached programs. */

static void end_event(void *arg, uint32_t events);
static void end_out_event(void *arg, uint32_t events);

static void watch_set(struct end *d, struct ev_fd *w, int fd, uint32_t events, ev_fd_fn fn)
{
	if (w->loop)
		ev_fd_mod(w, events);
	else
		ev_fd_add(d->cd->loop, w, fd, events, fn, d);
}

/* Input that waits for the owner needs no further notice, unless it is the last. */
static uint32_t wait_for(const struct end *d)
{
	return d->cd->direct == d ? EPOLLRDHUP : EPOLLIN;
}

/* Watches for what is wanted now: input while there is room, output while it is blocked. */
static void end_watch(struct end *d)
{
	bool room = fifo_free(&d->cd->input);
	uint32_t in = room && !d->in_over ? wait_for(d) : 0;
	uint32_t out = d->blocked ? EPOLLOUT : 0;

	if (d->in != d->out) {
		if (out)
			watch_set(d, &d->watch_out, d->out, out, end_out_event);
		else
			ev_fd_del(&d->watch_out);
		out = 0;
	}
	/* A hangup cannot be masked. It counts after the input, which waits for room. */
	if (!in && !out && (!room || d->in != d->out))
		ev_fd_del(&d->watch);
	else
		watch_set(d, &d->watch, d->in, in | out, end_event);
}

static void end_remove(struct end *d)
{
	struct end **p = &d->cd->ends;

	while (*p != d)
		p = &(*p)->next;
	*p = d->next;
	if (d->cd->direct == d)
		d->cd->direct = NULL;
	d->cd->nends--;
	ev_fd_del(&d->watch);
	ev_fd_del(&d->watch_out);
	if (d->owned) {
		close(d->in);
		if (d->out != d->in)
			close(d->out);
	}
	ev_task_post(&d->cd->task);
	free(d);
}

/* Sends as much as the program takes. False: it is gone. */
static bool end_flush(struct end *d)
{
	struct ring *r = &d->cd->ring;

	if (d->pos < ring_start(r)) {
		d->cd->stats->dropped += ring_start(r) - d->pos;
		d->pos = ring_start(r);
	}
	while (!d->blocked && d->pos < r->end) {
		struct iovec iov[2];
		ssize_t n = writev(d->out, iov, (int)ring_iov(r, d->pos, iov));

		if (n >= 0)
			d->pos += (uint64_t)n;
		else if (errno == EAGAIN)
			d->blocked = true;
		else if (errno != EINTR)
			return false;
	}
	return true;
}

static void tty_lost(struct chardev *cd, const char *why);

/* The other side has ended. */
static void end_over(struct end *d)
{
	if (d->cd->kind == CHARDEV_TTY)
		tty_lost(d->cd, "it was hung up");
	else
		end_remove(d);
}

/* Sends, and settles what to wait for. May remove it. */
static void end_service(struct end *d)
{
	if (end_flush(d))
		end_watch(d);
	else
		end_over(d);
}

/* Sends output that is not in the ring yet, to a program that has all the output before it. */
static void end_send(struct end *d, const struct iovec *iov, unsigned n)
{
	ssize_t sent;

	if (d->blocked || d->pos != d->cd->ring.end)
		return;
	sent = writev(d->out, iov, (int)n);
	if (sent > 0)
		d->pos += (uint64_t)sent;
	if (sent < 0 && errno == EAGAIN) {
		d->blocked = true;
		end_watch(d);
	}
}

/* Lets the owner read into the guest's buffers at once, which saves a copy. False: there may be
 * more, and it is to be read here. */
static bool end_offer(struct end *d)
{
	struct chardev *cd = d->cd;

	cd->direct = d;
	d->failed = false;
	cd->events.input(cd->events.arg);
	if (!cd->direct || cd->in_place)
		return true;
	cd->direct = NULL;
	return false;
}

/* What is at hand, as read(2) says. */
static size_t direct_read(struct chardev *cd, const struct iovec *iov, unsigned n)
{
	struct end *d = cd->direct;
	ssize_t got = readv(d->in, iov, (int)n);

	d->failed = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
	if (got <= 0 || (size_t)got < iov_len(iov, n)) {
		cd->direct = NULL;
		if (d->watch.events != EPOLLIN)
			end_watch(d);
	}
	return got > 0 ? (size_t)got : 0;
}

/* Takes input as far as there is room. False: the program is gone. */
static bool end_receive(struct end *d, bool last)
{
	struct chardev *cd = d->cd;
	struct fifo *f = &cd->input;
	struct iovec iov[2];
	ssize_t n;

	if (last && cd->direct == d)
		cd->direct = NULL;
	else if (!fifo_used(f) && cd->events.input && !cd->direct && end_offer(d))
		return !d->failed;
	if (!fifo_free(f))
		return true;
	n = readv(d->in, iov, (int)fifo_writable(f, iov));
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	fifo_filled(f, (size_t)n);
	ev_task_post(&cd->task);
	return n > 0;
}

static void pty_check(struct chardev *cd);

static void end_event(void *arg, uint32_t events)
{
	struct end *d = arg;
	bool hup = events & (EPOLLHUP | EPOLLERR), last = hup || (events & EPOLLRDHUP);

	if (events & EPOLLOUT) {
		d->blocked = false;
		ev_task_post(&d->cd->task);
	}
	if ((last || (events & EPOLLIN)) && !d->in_over && !end_receive(d, last)) {
		if (d->cd->kind == CHARDEV_PTY) {
			pty_check(d->cd);
			return;
		}
		if (d->cd->kind == CHARDEV_TTY) {
			end_over(d);
			return;
		}
		/* It may have closed one way only, to read on. */
		d->in_over = true;
	}
	if (hup && d->in_over && d->in == d->out)
		end_over(d);
	else
		end_service(d);
}

static void end_out_event(void *arg, uint32_t events)
{
	struct end *d = arg;

	d->blocked = false;
	if (events & (EPOLLERR | EPOLLHUP))
		end_remove(d);
	else
		end_service(d);
}

/* Attaches a program; it gets the scrollback first. */
static int end_add(struct chardev *cd, int in, int out, bool owned)
{
	struct end *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	*d = (struct end){ .cd = cd, .in = in, .out = out, .owned = owned };
	d->pos = cd->no_scrollback ? cd->ring.end : ring_start(&cd->ring);
	r = ev_fd_add(cd->loop, &d->watch, in, EPOLLIN, end_event, d);
	/* A regular file or /dev/null as standard input cannot be watched: no input then. */
	d->in_over = r == -EPERM && in != out;
	if (r < 0 && !d->in_over) {
		free(d);
		return r;
	}
	d->next = cd->ends;
	cd->ends = d;
	cd->nends++;
	ev_task_post(&cd->task);
	end_service(d);
	return 0;
}

/* Reports to the owner: in a task, so that it is never called from inside its own call. */

static void report(void *arg)
{
	struct chardev *cd = arg;
	bool attached = chardev_attached(cd);

	if (attached != cd->was_attached && cd->events.attached)
		cd->events.attached(cd->events.arg, attached);
	cd->was_attached = attached;
	if (chardev_has_input(cd) && cd->events.input)
		cd->events.input(cd->events.arg);
	if (cd->events.room && chardev_room(cd) && chardev_room(cd) < SIZE_MAX)
		cd->events.room(cd->events.arg);
}

static void report_size(struct chardev *cd, uint16_t cols, uint16_t rows)
{
	if (cols == cd->cols && rows == cd->rows)
		return;
	cd->cols = cols;
	cd->rows = rows;
	if (cd->events.resized)
		cd->events.resized(cd->events.arg, cols, rows);
}

/* Sockets. */

static void listener_event(void *arg, uint32_t events)
{
	struct chardev *cd = arg;
	int fd = accept4(cd->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	fd_raise_send_buffer(fd, SEND_BUFFER);
	if (cd->nends >= CHARDEV_ATTACHED_MAX) {
		log_warn(cd->log, "%s: refused, %u programs are attached already", cd->path,
			CHARDEV_ATTACHED_MAX);
		close(fd);
	} else if (end_add(cd, fd, fd, true) < 0) {
		close(fd);
	}
}

static void size_event(void *arg, uint32_t events)
{
	struct chardev *cd = arg;
	unsigned cols, rows;
	char text[32];
	ssize_t n = recv(cd->size_sock, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n <= 0)
		return;
	text[n] = '\0';
	if (sscanf(text, "%5ux%5u", &cols, &rows) == 2 && cols - 1 < UINT16_MAX &&
		rows - 1 < UINT16_MAX)
		report_size(cd, (uint16_t)cols, (uint16_t)rows);
}

/* The datagram socket for window sizes. */
static int bind_size(const char *path, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s.size", path);

	if (n < 0 || (size_t)n >= sizeof(sa.sun_path))
		return err_set(e, -ENAMETOOLONG, "path %s is longer than a socket's may be", path);
	if (fd < 0)
		return err_sys(e, -errno, "creating a socket");
	unlink(sa.sun_path);
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(e, -errno, "binding %s", sa.sun_path);
	return steal_fd(&fd);
}

static int open_socket(struct chardev *cd, struct err *e)
{
	int r;

	cd->listener = fd_unix_listen(cd->path, SOCK_STREAM, e);
	if (cd->listener < 0)
		return cd->listener;
	cd->size_sock = bind_size(cd->path, e);
	if (cd->size_sock < 0)
		return cd->size_sock;
	r = ev_fd_add(cd->loop, &cd->watch, cd->listener, EPOLLIN, listener_event, cd);
	if (!r)
		r = ev_fd_add(cd->loop, &cd->watch_size, cd->size_sock, EPOLLIN, size_event, cd);
	return r < 0 ? err_sys(e, r, "listening at %s", cd->path) : 0;
}

static void close_socket(struct chardev *cd)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];

	ev_fd_del(&cd->watch);
	ev_fd_del(&cd->watch_size);
	if (cd->listener >= 0)
		unlink(cd->path);
	if (cd->size_sock >= 0 && snprintf(path, sizeof(path), "%s.size", cd->path) > 0)
		unlink(path);
	close_fd(&cd->listener);
	close_fd(&cd->size_sock);
}

/* PTY: while nobody has the other end open, the master shows a hangup for ever, so it is not
 * watched then. */

static void pty_check(struct chardev *cd)
{
	bool anew, attached = pty_attached(&cd->pty, &anew);
	uint16_t cols, rows;

	if (cd->ends && (!attached || anew))
		end_remove(cd->ends);
	if (attached && !cd->ends)
		end_add(cd, cd->pty.master, cd->pty.master, false);
	if (attached && pty_size(&cd->pty, &cols, &rows))
		report_size(cd, cols, rows);
}

static void pty_event(void *arg, uint32_t events)
{
	pty_check(arg);
}

static int open_pty(struct chardev *cd, struct err *e)
{
	int r = pty_open(&cd->pty, cd->path, e);

	if (r < 0)
		return r;
	r = ev_fd_add(cd->loop, &cd->watch, cd->pty.watch, EPOLLIN, pty_event, cd);
	return r < 0 ? err_sys(e, r, "watching the PTY") : 0;
}

/* A terminal device. */

static void tty_report(struct chardev *cd, bool there, const char *why)
{
	if (there)
		log_info(cd->log, "%s is back", cd->path);
	else
		log_warn(cd->log, "%s is gone: %s", cd->path, why);
	if (cd->events.host)
		cd->events.host(cd->events.arg, there, there ? cd->path : why);
}

static void tty_drop(struct chardev *cd, const char *why)
{
	if (!cd->ends)
		return;
	end_remove(cd->ends);
	tty_report(cd, false, why);
}

/* What it read or wrote failed. */
static void tty_lost(struct chardev *cd, const char *why)
{
	hostdev_lost(&cd->hostdev, 0);
	tty_drop(cd, why);
}

static void tty_gone(void *arg, unsigned i)
{
	tty_drop(arg, "its device file is another one or none");
}

static void tty_back(void *arg, unsigned i, int fd)
{
	struct chardev *cd = arg;
	struct err e = { 0 };
	int r = cd->ends ? -EEXIST : tty_setup(fd, cd->path, &cd->line, &e);

	if (!r)
		r = end_add(cd, fd, fd, true);
	if (!r) {
		tty_report(cd, true, NULL);
		return;
	}
	close(fd);
	if (log_allowed(&cd->file_failed, 1))
		log_warn(cd->log, "%s is there, but cannot be used: %s", cd->path,
			e.code ? e.msg : strerror(-r));
	hostdev_lost(&cd->hostdev, 0);
}

static int open_tty(struct chardev *cd, struct err *e)
{
	static const struct hostdev_events events = { tty_gone, tty_back };
	const char *path = cd->path;
	autoclose int fd = -1;
	int r = hostdev_open(&cd->hostdev, &path, 1, &fd, e);

	if (!r)
		r = tty_setup(fd, path, &cd->line, e);
	if (!r)
		r = hostdev_watch(&cd->hostdev, cd->loop, &events, cd, e);
	if (r)
		return r;
	r = end_add(cd, fd, fd, true);
	if (r < 0)
		return err_sys(e, r, "watching %s", path);
	steal_fd(&fd);
	return 0;
}

/* This process's terminal. */

/* A non-blocking description of our own where that can be had: the flag of the one we inherited is
 * shared with our parent. */
static int reopen(int fd, int flags)
{
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (r >= 0)
		return r;
	r = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (r < 0)
		return -errno;
	fd_nonblock(r);
	return r;
}

static int open_stdio(struct chardev *cd, struct err *e)
{
	autoclose int in = reopen(STDIN_FILENO, O_RDONLY);
	autoclose int out = reopen(STDOUT_FILENO, O_WRONLY);
	struct termios raw;
	int r;

	if (in < 0 || out < 0)
		return err_sys(e, in < 0 ? in : out, "opening standard input and output");
	if (!tcgetattr(in, &cd->cooked)) {
		raw = cd->cooked;
		cfmakeraw(&raw);
		raw.c_lflag |= ISIG; /* Ctrl-C is ours */
		raw.c_oflag |= OPOST;
		cd->is_tty = !tcsetattr(in, TCSANOW, &raw);
	}
	r = end_add(cd, in, out, true);
	if (r < 0)
		return err_sys(e, r, "watching standard input");
	steal_fd(&in);
	steal_fd(&out);
	return 0;
}

/* Files. */

static int open_append(const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);

	return fd < 0 ? err_sys(e, -errno, "opening %s to append to it", path) : fd;
}

static void files_write(struct chardev *cd, const struct iovec *iov, unsigned n, size_t len)
{
	for (unsigned i = 0; i < ARRAY_LEN(cd->files); i++) {
		ssize_t done;

		if (cd->files[i] < 0)
			continue;
		done = writev(cd->files[i], iov, (int)n);
		if (done >= 0 && (size_t)done == len)
			continue;
		cd->stats->lost += len - (done > 0 ? (size_t)done : 0);
		if (log_allowed(&cd->file_failed, 1))
			log_warn(cd->log, "output was not written to its file: %s",
				done < 0 ? strerror(errno) : "short write");
	}
}

/* The whole. */

static int open_kind(struct chardev *cd, struct err *e)
{
	bool has_path =
		cd->kind != CHARDEV_STDIO && cd->kind != CHARDEV_NULL && cd->kind != CHARDEV_LINK;

	if (has_path && !cd->path)
		return err_set(e, -EINVAL, "host %s needs a path", chardev_kinds[cd->kind]);
	switch (cd->kind) {
	case CHARDEV_SOCKET:
		return open_socket(cd, e);
	case CHARDEV_PTY:
		return open_pty(cd, e);
	case CHARDEV_FILE:
		cd->files[0] = open_append(cd->path, e);
		return cd->files[0] < 0 ? cd->files[0] : 0;
	case CHARDEV_STDIO:
		return open_stdio(cd, e);
	case CHARDEV_TTY:
		return open_tty(cd, e);
	case CHARDEV_NULL:
	case CHARDEV_LINK:
	default:
		return 0;
	}
}

static int open_parts(struct chardev *cd, const struct chardev_config *config, struct err *e)
{
	size_t size;
	int r;

	if (config->path)
		cd->path = strdup(config->path);
	size = cd->kind == CHARDEV_TTY ? TTY_RING : config->scrollback;
	if (!size)
		size = RING_MIN;
	if (ring_init(&cd->ring, size) < 0 || fifo_init(&cd->input, INPUT_MAX) < 0 ||
		(config->path && !cd->path))
		return err_set(e, -ENOMEM, "out of memory");
	if (config->log) {
		cd->files[1] = open_append(config->log, e);
		if (cd->files[1] < 0)
			return cd->files[1];
	}
	r = open_kind(cd, e);
	cd->was_attached = chardev_attached(cd);
	return r;
}

int chardev_open(struct chardev **out, struct ev_loop *loop, const struct chardev_config *config,
	const struct chardev_events *events, const struct log *log, struct err *e)
{
	struct chardev *cd = calloc(1, sizeof(*cd));
	int r;

	if (!cd)
		return err_set(e, -ENOMEM, "out of memory");
	*cd = (struct chardev){
		.loop = loop,
		.log = log,
		.events = *events,
		.kind = config->kind,
		.in_place = config->in_place && config->kind == CHARDEV_SOCKET,
		.files = { -1, -1 },
		.stats = config->stats,
		.line = config->line,
		.carrier = config->carrier,
		.no_scrollback = !config->scrollback || config->kind == CHARDEV_TTY,
		.listener = -1,
		.size_sock = -1,
		.pty = { -1, -1, NULL, false },
	};
	ev_task_init(loop, &cd->task, report, cd);
	r = open_parts(cd, config, e);
	if (r < 0) {
		chardev_close(cd);
		return r;
	}
	*out = cd;
	return 0;
}

void chardev_close(struct chardev *cd)
{
	if (!cd)
		return;
	if (cd->is_tty && cd->ends)
		tcsetattr(cd->ends->in, TCSANOW, &cd->cooked);
	while (cd->ends)
		end_remove(cd->ends);
	ev_task_cancel(&cd->task);
	close_socket(cd);
	hostdev_close(&cd->hostdev);
	if (cd->pty.link)
		pty_close(&cd->pty);
	close_fd(&cd->files[0]);
	close_fd(&cd->files[1]);
	fifo_finish(&cd->input);
	free(cd->ring.buf);
	free(cd->path);
	free(cd);
}

size_t chardev_room(const struct chardev *cd)
{
	const struct end *d = cd->ends;

	if (cd->kind == CHARDEV_LINK)
		return cd->carrier->room(cd->carrier->arg);
	/* What is written while a device is gone is lost, as on an open line. */
	if (cd->kind != CHARDEV_TTY || !d)
		return SIZE_MAX;
	return cd->ring.size - (size_t)(cd->ring.end - d->pos);
}

void chardev_write(struct chardev *cd, const struct iovec *iov, unsigned n)
{
	size_t len = 0;
	struct end *next;

	if (cd->kind == CHARDEV_LINK)
		cd->carrier->send(cd->carrier->arg, iov, n);
	for (struct end *d = cd->ends; d; d = d->next)
		end_send(d, iov, n);
	for (unsigned i = 0; i < n; i++) {
		ring_put(&cd->ring, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	files_write(cd, iov, n, len);
	if (cd->kind == CHARDEV_TTY && !cd->ends)
		cd->stats->lost += len;
	for (struct end *d = cd->ends; d; d = next) {
		next = d->next;
		if (!d->blocked)
			end_service(d);
	}
}

size_t chardev_read(struct chardev *cd, const struct iovec *iov, unsigned n)
{
	bool was_full = !fifo_free(&cd->input);
	size_t done = 0;

	for (unsigned i = 0; i < n && fifo_used(&cd->input); i++)
		done += fifo_get(&cd->input, iov[i].iov_base, iov[i].iov_len);
	if (!done && cd->direct)
		return direct_read(cd, iov, n);
	for (struct end *d = was_full && done ? cd->ends : NULL; d; d = d->next)
		end_watch(d);
	return done;
}

bool chardev_has_input(const struct chardev *cd)
{
	return cd->direct || fifo_used(&cd->input) > 0;
}

size_t chardev_feed(struct chardev *cd, const void *bytes, size_t len)
{
	size_t n = fifo_put(&cd->input, bytes, len);

	ev_task_post(&cd->task);
	return n;
}

void chardev_more_room(struct chardev *cd)
{
	ev_task_post(&cd->task);
}

bool chardev_attached(const struct chardev *cd)
{
	return cd->ends || cd->kind == CHARDEV_FILE || cd->kind == CHARDEV_NULL ||
	       cd->kind == CHARDEV_LINK;
}
