/* SPDX-License-Identifier: BSD-3-Clause */
#include "jails/place.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/util.h"

static int listen_on(int family, const void *addr, size_t len)
{
	int sock = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sock >= 0 && !bind(sock, addr, (socklen_t)len) && !listen(sock, 8))
		return sock;
	close(sock);
	return -1;
}

int listen_unix(const char *path, bool abstract)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t room = sizeof(addr.sun_path) - 1, len = sizeof(addr);

	snprintf(addr.sun_path + abstract, room, "%s", path);
	if (abstract)
		len = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(path);
	return listen_on(AF_UNIX, &addr, len);
}

static int listen_tcp(unsigned short *port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int sock = listen_on(AF_INET, &addr, sizeof(addr));

	if (sock >= 0 && !getsockname(sock, (void *)&addr, &len))
		*port = addr.sin_port;
	return sock;
}

static bool make_file(const char *path, mode_t mode, off_t size)
{
	autoclose int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);

	return fd >= 0 && !fchmod(fd, mode) && !ftruncate(fd, size);
}

static bool copy_file(const char *from, const char *to, mode_t mode)
{
	autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
	autoclose int out = open(to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
	char buf[65536];
	ssize_t n;

	if (in < 0 || out < 0 || fchmod(out, mode))
		return false;
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			return false;
	return !n;
}

bool place_init(struct place *p)
{
	snprintf(p->top, sizeof(p->top), "/tmp/avp-jails-XXXXXX");
	if (!mkdtemp(p->top) || chmod(p->top, 0777))
		return false;
	snprintf(p->folder, sizeof(p->folder), "%s/in", p->top);
	snprintf(p->file, sizeof(p->file), "%s/file", p->top);
	snprintf(p->program, sizeof(p->program), "%s/program", p->top);
	snprintf(p->socket, sizeof(p->socket), "%s/socket", p->top);
	snprintf(p->abstract, sizeof(p->abstract), "avp-jails-%d", getpid());
	p->world = (struct outside){ .parent = getpid(),
		.file = p->file,
		.program = p->program,
		.socket = p->socket,
		.abstract = p->abstract,
		.link = "link",
		.node = "node" };
	p->listeners[0] = listen_unix(p->socket, false);
	p->listeners[1] = listen_unix(p->abstract, true);
	p->listeners[2] = listen_tcp(&p->world.port);
	return p->listeners[0] >= 0 && p->listeners[1] >= 0 && p->listeners[2] >= 0 &&
	       !chmod(p->socket, 0777) && make_file(p->file, 0666, 1) &&
	       copy_file("/proc/self/exe", p->program, 0777);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void place_finish(struct place *p)
{
	for (unsigned i = 0; i < ARRAY_LEN(p->listeners); i++)
		close_fd(&p->listeners[i]);
	remove_tree(p->top);
}

bool place_fill(const struct place *p, const char *guest, uid_t owner)
{
	char path[96];

	remove_tree(p->folder);
	if (mkdir(p->folder, 0755) || chdir(p->folder) || symlink(p->file, "link") ||
		!make_file("disk", 0644, 1 << 20))
		return false;
	snprintf(path, sizeof(path), "%s/guest", p->folder);
	if (guest && !copy_file(guest, path, 0644))
		return false;
	if (geteuid())
		return true;
	return !mknod("node", S_IFCHR | 0666, makedev(1, 3)) && !chmod("node", 0666) &&
	       !chown("disk", owner, owner) && !chown(p->folder, owner, owner);
}
