/* SPDX-License-Identifier: BSD-3-Clause */
/* Pseudo terminals. */
#include "host/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "base/util.h"

#define NAME_MAX_PTS 64

/* Raw mode stays with the pair. The other end is closed again, so that "nobody has it open" shows
 * as a hangup of the master. */
static int set_raw(const char *name)
{
	autoclose int fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios tio;

	if (fd < 0 || tcgetattr(fd, &tio) < 0)
		return -errno;
	cfmakeraw(&tio);
	return tcsetattr(fd, TCSANOW, &tio) < 0 ? -errno : 0;
}

static int make_link(const char *target, const char *link, struct err *e)
{
	struct stat st;

	if (!lstat(link, &st)) {
		if (!S_ISLNK(st.st_mode))
			return err_set(
				e, -EEXIST, "%s exists and is no symbolic link to a PTY", link);
		unlink(link);
	}
	return symlink(target, link) < 0 ? err_sys(e, -errno, "linking %s to %s", link, target) : 0;
}

static int open_master(char name[NAME_MAX_PTS], struct err *e)
{
	autoclose int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	int r;

	if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0)
		return err_sys(e, -errno, "opening a PTY");
	r = ptsname_r(fd, name, NAME_MAX_PTS);
	if (!r)
		r = set_raw(name);
	return r ? err_sys(e, r > 0 ? -r : r, "setting up a PTY") : steal_fd(&fd);
}

int pty_open(struct pty *pty, const char *link, struct err *e)
{
	char name[NAME_MAX_PTS];
	autoclose int master = open_master(name, e);
	autoclose int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	autofree char *copy = strdup(link);
	int r;

	if (master < 0)
		return master;
	if (!copy)
		return err_set(e, -ENOMEM, "out of memory");
	if (watch < 0 || inotify_add_watch(watch, name, IN_OPEN | IN_CLOSE) < 0)
		return err_sys(e, -errno, "watching %s", name);
	r = make_link(name, link, e);
	if (r < 0)
		return r;
	*pty = (struct pty){ steal_fd(&master), steal_fd(&watch), steal_ptr(&copy), false };
	return 0;
}

void pty_close(struct pty *pty)
{
	unlink(pty->link);
	free(pty->link);
	close_fd(&pty->master);
	close_fd(&pty->watch);
}

/* Takes the events. True if after a close somebody opened it. The close may have been seen by an
 * earlier call: it is reported before the master shows the hangup. */
static bool reopened(struct pty *pty)
{
	_Alignas(struct inotify_event) char buf[1024];
	bool again = false;
	ssize_t n;

	while ((n = read(pty->watch, buf, sizeof(buf))) > 0) {
		const struct inotify_event *ev;

		for (char *p = buf; p < buf + n; p += sizeof(*ev) + ev->len) {
			ev = (const struct inotify_event *)(const void *)p;
			again |= pty->closed && (ev->mask & IN_OPEN);
			pty->closed = !!(ev->mask & IN_CLOSE);
		}
	}
	return again;
}

bool pty_attached(struct pty *pty, bool *anew)
{
	struct pollfd p = { .fd = pty->master };

	*anew = reopened(pty);
	return poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

bool pty_size(const struct pty *pty, uint16_t *cols, uint16_t *rows)
{
	struct winsize ws;

	if (ioctl(pty->master, TIOCGWINSZ, &ws) < 0 || !ws.ws_col || !ws.ws_row)
		return false;
	*cols = ws.ws_col;
	*rows = ws.ws_row;
	return true;
}
