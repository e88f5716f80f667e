/* SPDX-License-Identifier: BSD-3-Clause */
/* Programs of the host for fuzzing devices with sockets. See device.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/util.h"
#include "device.h"

void fuzz_clients_init(struct fuzz_clients *c)
{
	*c = (struct fuzz_clients){ .listener = -1 };
	for (unsigned i = 0; i < FUZZ_CLIENTS; i++)
		c->fd[i] = -1;
}

static int connect_to(const char *path, int type)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	autoclose int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -1;
	return steal_fd(&fd);
}

static void read_some(int fd)
{
	char buf[65536];

	if (read(fd, buf, sizeof(buf)) < 0)
		return;
}

static void write_some(int fd, const struct fuzz_in *in)
{
	if (send(fd, in->p, in->left, MSG_NOSIGNAL) < 0)
		return;
}

void fuzz_clients_act(struct fuzz_clients *c, const char *name, struct fuzz_in *in)
{
	unsigned what = fuzz_u8(in) % 7;
	int *fd = &c->fd[fuzz_u8(in) % FUZZ_CLIENTS];
	autofree char *path = fuzz_path(name);

	if ((what <= 1 || what == 6) && *fd >= 0)
		return;
	if (what <= 1)
		*fd = path ? connect_to(path, what ? SOCK_SEQPACKET : SOCK_STREAM) : -1;
	else if (what == 2)
		write_some(*fd, in);
	else if (what == 3)
		read_some(*fd);
	else if (what == 4)
		shutdown(*fd, SHUT_WR);
	else if (what == 5)
		close_fd(fd);
	else
		*fd = accept4(c->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int fuzz_clients_listen(struct fuzz_clients *c, const char *path)
{
	c->listens = fuzz_path(path);
	c->listener = c->listens ? fd_unix_listen(c->listens, SOCK_STREAM, NULL) : -ENOMEM;
	return c->listener < 0 ? c->listener : 0;
}

void fuzz_clients_close(struct fuzz_clients *c)
{
	for (unsigned i = 0; i < FUZZ_CLIENTS; i++)
		close_fd(&c->fd[i]);
	close_fd(&c->listener);
	if (c->listens)
		unlink(c->listens);
	free(c->listens);
	c->listens = NULL;
}
