/* SPDX-License-Identifier: BSD-3-Clause */
#include "zygote.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/util.h"
#include "echo.h"
#include "transport/vhost_user_backend.h"

#define CMD_KILL  'k'
#define CMD_SPAWN 's'

/* In the back-end process. */
static int serve(int listener, const char *hold)
{
	struct vhu_backend *b;
	struct ev_loop *loop;
	struct vdev *dev;
	struct err e = { 0 };
	struct log log;
	int ret = ev_loop_create(&loop);

	log_init(&log, STDERR_FILENO, "echo");
	if (!ret)
		ret = vdev_new(&dev, &echo_class, &e);
	if (!ret)
		ret = opt_set(echo_class.opts, dev, "hold", hold, &e);
	if (!ret)
		ret = vdev_init(dev, loop, &log, &e);
	if (!ret)
		ret = vhu_backend_create(&b, dev, listener, NULL, &e);
	if (!ret)
		ret = ev_run(loop);
	fprintf(stderr, "# back-end process: %s\n", e.msg);
	return ret ? 1 : 0;
}

static pid_t spawn(int listener, int sock, const char *hold)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	close(sock);
	_exit(serve(listener, hold));
}

static void stop(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

/* In the helper process: one command byte, one answer byte. */
static void helper(int sock, int listener, const char *hold)
{
	pid_t pid = spawn(listener, sock, hold);
	char cmd;

	while (read(sock, &cmd, 1) == 1) {
		if (cmd == CMD_KILL)
			stop(&pid);
		else if (cmd == CMD_SPAWN)
			pid = spawn(listener, sock, hold);
		if (write(sock, &cmd, 1) != 1)
			break;
	}
	stop(&pid);
}

int zygote_start(struct zygote *z, const char *hold)
{
	static unsigned serial;
	struct err e = { 0 };
	int listener, pair[2];

	snprintf(z->path, sizeof(z->path), "/tmp/vhu-zygote-%d-%u.sock", (int)getpid(), serial++);
	listener = fd_unix_listen(z->path, SOCK_STREAM, &e);
	if (listener < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	z->pid = fork();
	if (!z->pid) {
		close(pair[0]);
		signal(SIGPIPE, SIG_IGN);
		helper(pair[1], listener, hold);
		_exit(0);
	}
	close(pair[1]);
	close(listener);
	z->sock = pair[0];
	return z->pid < 0 ? -1 : 0;
}

static int command(struct zygote *z, char cmd)
{
	return write(z->sock, &cmd, 1) == 1 && read(z->sock, &cmd, 1) == 1 ? 0 : -EPIPE;
}

int zygote_kill(struct zygote *z)
{
	return command(z, CMD_KILL);
}

int zygote_respawn(struct zygote *z)
{
	return command(z, CMD_SPAWN);
}

void zygote_end(struct zygote *z)
{
	close(z->sock);
	waitpid(z->pid, NULL, 0);
	unlink(z->path);
}
