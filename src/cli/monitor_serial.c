/* SPDX-License-Identifier: BSD-3-Clause */
/* Where COM1 of a guest goes: this terminal, a PTY or a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"
#include "cli/monitor.h"

/* The terminal hands over every key at once, but Ctrl-C still stops the monitor. */
static void make_raw(struct monitor_serial *s)
{
	struct termios t;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &s->saved) < 0)
		return;
	t = s->saved;
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	t.c_iflag &= ~(tcflag_t)ICRNL;
	s->raw = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
}

static int open_pty(struct monitor_serial *s, const struct log *log, struct err *e)
{
	char path[64];
	struct termios t;

	s->in_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	s->out_fd = s->in_fd;
	if (s->in_fd < 0 || grantpt(s->in_fd) < 0 || unlockpt(s->in_fd) < 0 ||
		ptsname_r(s->in_fd, path, sizeof(path)) != 0)
		return err_sys(e, -errno, "cannot create a PTY for COM1");
	s->other_fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s->other_fd < 0 || tcgetattr(s->other_fd, &t) < 0)
		return err_sys(e, -errno, "cannot open %s for COM1", path);
	cfmakeraw(&t);
	tcsetattr(s->other_fd, TCSANOW, &t);
	log_info(log, "COM1 is at %s", path);
	return 0;
}

int monitor_serial_open(
	struct monitor_serial *s, const char *where, const struct log *log, struct err *e)
{
	*s = (struct monitor_serial){ .in_fd = -1, .out_fd = -1, .other_fd = -1 };
	if (!where)
		return 0;
	if (!strcmp(where, "-")) {
		s->in_fd = STDIN_FILENO;
		s->out_fd = STDOUT_FILENO;
		make_raw(s);
		return 0;
	}
	if (!strcmp(where, "pty"))
		return open_pty(s, log, e);
	s->out_fd = open(where, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
	return s->out_fd < 0 ? err_sys(e, -errno, "cannot open %s for COM1", where) : 0;
}

void monitor_serial_close(struct monitor_serial *s)
{
	if (s->raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &s->saved);
	s->raw = false;
	if (s->out_fd > STDERR_FILENO)
		close(s->out_fd);
	close_fd(&s->other_fd);
	s->in_fd = s->out_fd = -1;
}
