/* SPDX-License-Identifier: BSD-3-Clause */
/* A terminal attached to a console socket. */
#include "host/console_client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>

#include "base/fd.h"
#include "base/util.h"

struct client {
	const struct console_client *config;
	int in, out, sock, signals;
	bool tty;
};

static void send_size(const struct client *c)
{
	struct winsize ws;

	if (!c->tty || !c->config->resized)
		return;
	if (ioctl(c->in, TIOCGWINSZ, &ws) == 0 && ws.ws_col && ws.ws_row)
		c->config->resized(c->config->arg, ws.ws_col, ws.ws_row);
}

/* What the functions below return to go on; else they return what ends the attachment. */
#define GO_ON (-1000)

/* Input towards the guest, up to the escape key. */
static int from_user(struct client *c)
{
	char buf[4096], *esc = NULL;
	ssize_t n = read(c->in, buf, sizeof(buf));
	int r;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return GO_ON;
	if (n <= 0) {
		shutdown(c->sock, SHUT_WR);
		c->in = -1; /* poll() passes over it */
		return GO_ON;
	}
	if (c->tty)
		esc = memchr(buf, CONSOLE_ESCAPE, (size_t)n);
	r = fd_write_full(c->sock, buf, esc ? (size_t)(esc - buf) : (size_t)n);
	if (r < 0)
		return r == -EPIPE ? CONSOLE_CLOSED : r;
	return esc ? CONSOLE_DETACHED : GO_ON;
}

static int from_guest(const struct client *c)
{
	char buf[16384];
	ssize_t n = read(c->sock, buf, sizeof(buf));
	int r;

	if (n < 0 && errno == EINTR)
		return GO_ON;
	if (n <= 0)
		return CONSOLE_CLOSED;
	r = fd_write_full(c->out, buf, (size_t)n);
	return r < 0 ? r : GO_ON;
}

static int from_signal(const struct client *c)
{
	struct signalfd_siginfo si;

	if (read(c->signals, &si, sizeof(si)) != sizeof(si))
		return GO_ON;
	if (si.ssi_signo == SIGPIPE)
		return GO_ON;
	if (si.ssi_signo != SIGWINCH)
		return CONSOLE_DETACHED;
	send_size(c);
	return GO_ON;
}

static int client_loop(struct client *c)
{
	int r = GO_ON;

	while (r == GO_ON) {
		struct pollfd p[] = {
			{ .fd = c->signals, .events = POLLIN },
			{ .fd = c->sock, .events = POLLIN },
			{ .fd = c->in, .events = POLLIN },
		};

		if (poll(p, ARRAY_LEN(p), -1) < 0) {
			if (errno != EINTR)
				return -errno;
			continue;
		}
		if (p[0].revents)
			r = from_signal(c);
		if (r == GO_ON && p[1].revents)
			r = from_guest(c);
		if (r == GO_ON && p[2].revents)
			r = from_user(c);
	}
	return r;
}

static int client_run(struct client *c)
{
	struct termios cooked, raw;
	int r;

	c->tty = c->config->terminal && !tcgetattr(c->in, &cooked);
	if (c->tty) {
		raw = cooked;
		cfmakeraw(&raw);
		tcsetattr(c->in, TCSADRAIN, &raw);
		send_size(c);
	}
	const int in = c->in;

	r = client_loop(c);
	if (c->tty)
		tcsetattr(in, TCSADRAIN, &cooked);
	return r;
}

int console_client_run(const struct console_client *config, struct err *e)
{
	sigset_t mask, old;
	int r;

	sigemptyset(&mask);
	sigaddset(&mask, SIGWINCH);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGPIPE); /* seen as EPIPE */
	sigprocmask(SIG_BLOCK, &mask, &old);

	autoclose int signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	struct client c = { config, config->in, config->out, config->sock, signals, false };

	if (signals < 0)
		r = err_sys(e, -errno, "cannot watch signals");
	else
		r = client_run(&c);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r < 0 && !(e && e->code) ? err_sys(e, r, "attached to a console") : r;
}
