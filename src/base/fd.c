/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/util.h"

int fd_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int fd_cloexec(int fd, int on)
{
	if (fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0)
		return -errno;
	return 0;
}

void fd_raise_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
}

int fd_event(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int fd_event_signal(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		return -errno;
	return 0;
}

int fd_event_clear(int fd)
{
	uint64_t count;
	ssize_t n = read(fd, &count, sizeof(count));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return n > 0;
}

int fd_read_full(int fd, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = read(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EPIPE;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_write_full(int fd, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_pread_full(int fd, void *buf, size_t len, uint64_t offset)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EPIPE;
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int unix_address(const char *path, struct sockaddr_un *addr, struct err *e)
{
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	if (!*path || strlen(path) >= sizeof(addr->sun_path))
		return err_set(e, -ENAMETOOLONG,
			"socket path '%s' has %zu bytes; 1 to %zu are possible", path, strlen(path),
			sizeof(addr->sun_path) - 1);
	strcpy(addr->sun_path, path);
	return 0;
}

static int remove_stale_socket(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "socket path '%s'", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, -EEXIST, "socket path '%s' exists and is not a socket", path);
	if (unlink(path) < 0)
		return err_sys(e, -errno, "removing old socket '%s'", path);
	return 0;
}

int fd_unix_listen(const char *path, int type, struct err *e)
{
	autoclose int fd = -1;
	struct sockaddr_un addr;
	int ret = unix_address(path, &addr, e);

	if (!ret)
		ret = remove_stale_socket(path, e);
	if (ret)
		return ret;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, -errno, "creating a Unix socket");
	/* The mode is set on the socket before bind, so that the file never exists with another. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_sys(e, -errno, "binding socket '%s'", path);
	if (chmod(path, 0600) < 0 || listen(fd, 16) < 0)
		return err_sys(e, -errno, "listening on socket '%s'", path);
	return steal_fd(&fd);
}

int fd_unix_connect(const char *path, int type, struct err *e)
{
	autoclose int fd = -1;
	struct sockaddr_un addr;
	int ret = unix_address(path, &addr, e);

	if (ret)
		return ret;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, -errno, "creating a Unix socket");
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_sys(e, -errno, "connecting to socket '%s'", path);
	return steal_fd(&fd);
}

void fd_raise_send_buffer(int sock, int bytes)
{
	int has = 0;
	socklen_t len = sizeof(has);

	/* The kernel keeps twice what it is told, for its own use. */
	if (!getsockopt(sock, SOL_SOCKET, SO_SNDBUF, &has, &len) && has / 2 < bytes)
		setsockopt(sock, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

/* Room for the control message of FD_PASS_MAX descriptors, aligned as cmsghdr needs it. */
union fd_control {
	char buf[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
	struct cmsghdr align;
};

ssize_t fd_send(int sock, const void *buf, size_t len, const int *fds, unsigned nfds)
{
	union fd_control control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (nfds > FD_PASS_MAX)
		return -E2BIG;
	if (nfds) {
		struct cmsghdr *c;

		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Hands over what fits in fds[] and closes the rest. */
static void take_fds(const struct cmsghdr *c, int *fds, unsigned room, unsigned *got)
{
	unsigned n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

	for (unsigned i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
		if (*got < room)
			fds[(*got)++] = fd;
		else
			close(fd);
	}
}

ssize_t fd_recv(int sock, void *buf, size_t len, int *fds, unsigned *nfds)
{
	union fd_control control;
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	unsigned room = nfds ? *nfds : 0;
	unsigned got = 0;
	ssize_t n;

	if (nfds)
		*nfds = 0;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			take_fds(c, fds, room, &got);
	if (nfds)
		*nfds = got;
	return n;
}

int fd_memfd(const char *name, uint64_t size, unsigned memfd_flags, struct err *e)
{
	autoclose int fd = memfd_create(name, memfd_flags | MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_sys(e, -errno, "creating memory '%s'", name);
	if (ftruncate(fd, (off_t)size) < 0)
		return err_sys(e, -errno, "sizing memory '%s' to %llu bytes", name,
			(unsigned long long)size);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_sys(e, -errno, "sealing memory '%s'", name);
	return steal_fd(&fd);
}
