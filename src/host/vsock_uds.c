/* SPDX-License-Identifier: BSD-3-Clause */
/* Unix sockets of the vsock device: paths, first lines. */
#include "host/vsock_uds.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/util.h"

#define PATH_MAX_UNIX sizeof(((struct sockaddr_un *)0)->sun_path)

static int sock_type(unsigned type)
{
	return type == VIRTIO_VSOCK_TYPE_SEQPACKET ? SOCK_SEQPACKET : SOCK_STREAM;
}

static int format_path(char *path, unsigned size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int format_path(char *path, unsigned size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(path, size, fmt, ap);
	va_end(ap);
	return n < 0 || (unsigned)n >= size ? -ENAMETOOLONG : 0;
}

static int listen_path(char *path, unsigned size, const char *base, unsigned type)
{
	return format_path(
		path, size, "%s%s", base, type == VIRTIO_VSOCK_TYPE_SEQPACKET ? ".seqpacket" : "");
}

int vsock_uds_listen(const char *base, unsigned type, struct err *e)
{
	char path[PATH_MAX_UNIX];
	int r = listen_path(path, sizeof(path), base, type);

	if (r < 0)
		return err_sys(e, r, "listening at %s", base);
	return fd_unix_listen(path, sock_type(type), e);
}

void vsock_uds_unlink(const char *base, unsigned type)
{
	char path[PATH_MAX_UNIX];

	if (listen_path(path, sizeof(path), base, type) == 0)
		unlink(path);
}

/* Never waits: a listener whose backlog is full is an error, since the device serves others too. */
static int connect_nowait(const char *path, unsigned type, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	autoclose int fd = socket(AF_UNIX, sock_type(type) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(e, -errno, "creating a socket for %s", path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(e, -errno, "connecting to %s", path);
	return steal_fd(&fd);
}

int vsock_uds_connect_port(const char *base, uint32_t port, unsigned type, struct err *e)
{
	char path[PATH_MAX_UNIX];
	int r = format_path(path, sizeof(path), "%s_%" PRIu32, base, port);

	if (r < 0)
		return err_sys(e, r, "connecting to port %" PRIu32 " of %s", port, base);
	return connect_nowait(path, type, e);
}

int vsock_uds_peer_path(char *path, unsigned size, const char *base, uint64_t cid)
{
	return format_path(path, size, "%s.%" PRIu64, base, cid);
}

int vsock_uds_connect_peer(const char *base, uint64_t cid, unsigned type, struct err *e)
{
	char peer[PATH_MAX_UNIX], path[PATH_MAX_UNIX];
	int r = vsock_uds_peer_path(peer, sizeof(peer), base, cid);

	if (!r)
		r = listen_path(path, sizeof(path), peer, type);
	if (r < 0)
		return err_sys(e, r, "connecting to guest %" PRIu64 " at %s", cid, base);
	return connect_nowait(path, type, e);
}

/* The bytes of a stream that belong to the line: up to the newline, as far as they are there. */
static ssize_t read_line_piece(int fd, char *buf, size_t room)
{
	ssize_t n = recv(fd, buf, room, MSG_PEEK | MSG_DONTWAIT);
	char *end;

	if (n <= 0)
		return n;
	end = memchr(buf, '\n', (size_t)n);
	return recv(fd, buf, end ? (size_t)(end - buf) + 1 : (size_t)n, MSG_DONTWAIT);
}

/* Takes what is there of the line. 1: complete; 0: more was taken; -EAGAIN: nothing there; -errno.
 */
static int line_step(struct vsock_line *line, int fd, unsigned type)
{
	size_t room = sizeof(line->text) - 1 - line->len;
	char *at = line->text + line->len;
	ssize_t n;

	if (!room)
		return -EPROTO;
	if (type == VIRTIO_VSOCK_TYPE_SEQPACKET)
		n = recv(fd, at, room, MSG_DONTWAIT);
	else
		n = read_line_piece(fd, at, room);
	if (n <= 0)
		return n < 0 ? -errno : -EPIPE;
	line->len += (unsigned)n;
	if (line->text[line->len - 1] != '\n')
		return type == VIRTIO_VSOCK_TYPE_SEQPACKET ? -EPROTO : 0;
	line->text[--line->len] = '\0';
	return memchr(line->text, '\0', line->len) ? -EPROTO : 1;
}

int vsock_line_read(struct vsock_line *line, int fd, unsigned type)
{
	int r;

	do
		r = line_step(line, fd, type);
	while (r == 0);
	return r == -EAGAIN || r == -EINTR ? 0 : r;
}

/* One decimal number of at most `max` after one blank. */
static int parse_number(const char **p, uint64_t max, uint64_t *out)
{
	char *end;

	if (**p != ' ' || (*p)[1] < '0' || (*p)[1] > '9')
		return -EPROTO;
	errno = 0;
	*out = strtoull(*p + 1, &end, 10);
	if (errno || *out > max)
		return -EPROTO;
	*p = end;
	return 0;
}

int vsock_ask_parse(const char *line, bool peer, struct vsock_ask *ask)
{
	static const char word[] = "CONNECT";
	const char *p = line + sizeof(word) - 1;
	uint64_t port, cid = 0, src_port = 0;

	if (strncmp(line, word, sizeof(word) - 1) || parse_number(&p, UINT32_MAX, &port))
		return -EPROTO;
	if (peer && (parse_number(&p, UINT32_MAX, &cid) || parse_number(&p, UINT32_MAX, &src_port)))
		return -EPROTO;
	if (*p)
		return -EPROTO;
	*ask = (struct vsock_ask){ (uint32_t)port, cid, (uint32_t)src_port };
	return 0;
}

int vsock_line_send(int fd, const char *fmt, ...)
{
	char text[VSOCK_LINE_MAX];
	va_list ap;
	ssize_t sent;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text) - 1)
		return -EMSGSIZE;
	text[n++] = '\n';
	sent = send(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return -errno;
	return sent == n ? 0 : -EAGAIN;
}
