/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs in the guest of interop.py, static: messages over an AF_VSOCK SOCK_SEQPACKET socket to an
 * echo server and back, with their boundaries; the socket is polled together with a pipe.
 * usage: interop-seq CID PORT
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define MESSAGES 200
#define LEN_MAX	 40000

static char out[LEN_MAX], in[LEN_MAX];

static int fail(const char *what)
{
	perror(what);
	return 1;
}

/* True if the socket and nothing else becomes readable. */
static int wait_both(int sock, int pipe_fd)
{
	struct pollfd p[] = { { .fd = sock, .events = POLLIN },
		{ .fd = pipe_fd, .events = POLLIN } };

	return poll(p, 2, 20000) == 1 && p[0].revents && !p[1].revents;
}

int main(int argc, char **argv)
{
	struct sockaddr_vm sa = { .svm_family = AF_VSOCK };
	int fd = socket(AF_VSOCK, SOCK_SEQPACKET, 0), pipes[2];

	if (argc != 3 || fd < 0 || pipe(pipes))
		return fail("setting up");
	sa.svm_cid = (unsigned)strtoul(argv[1], NULL, 10);
	sa.svm_port = (unsigned)strtoul(argv[2], NULL, 10);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		return fail("connect");
	for (unsigned i = 0; i < MESSAGES; i++) {
		size_t len = 1 + (i * 7919u) % LEN_MAX;

		memset(out, (int)('a' + i % 26), len);
		if (send(fd, out, len, 0) != (ssize_t)len)
			return fail("send");
		if (!wait_both(fd, pipes[0]))
			return fail("poll");
		if (recv(fd, in, sizeof(in), 0) != (ssize_t)len || memcmp(in, out, len))
			return fail("a message came back different");
	}
	printf("%d messages\n", MESSAGES);
	return 0;
}
