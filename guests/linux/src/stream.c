/* SPDX-License-Identifier: BSD-3-Clause */
/* Stream checks over TCP and vsock: echo with comparison, and a meeting point for two guests. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "guest.h"

#define CHUNK	    65536u
#define CONNECT_MS  60000u /* how long to wait for the other side to be there */
#define TRANSFER_MS 60000
#define MEETING_MS  120000

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_vm vm;
};

/* "tcp:HOST:PORT", "vsock:CID:PORT"; HOST and CID may be "any". Returns the length or 0. */
static socklen_t parse_address(const char *text, union address *a)
{
	char kind[8], host[32];
	unsigned port;

	memset(a, 0, sizeof(*a));
	errno = EINVAL;
	if (sscanf(text, "%7[a-z]:%31[^:]:%u", kind, host, &port) != 3)
		return 0;
	bool any = !strcmp(host, "any");

	if (!strcmp(kind, "tcp")) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons((uint16_t)port);
		return any || inet_pton(AF_INET, host, &a->in.sin_addr) == 1 ? sizeof(a->in) : 0;
	}
	a->vm.svm_family = AF_VSOCK;
	a->vm.svm_port = port;
	a->vm.svm_cid = any ? VMADDR_CID_ANY : (unsigned)atoi(host);
	return strcmp(kind, "vsock") ? 0 : sizeof(a->vm);
}

static int listen_on(const char *text)
{
	union address a;
	socklen_t len = parse_address(text, &a);
	int one = 1, s = len ? socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;

	if (s < 0)
		return -1;
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (!bind(s, &a.any, len) && !listen(s, 8))
		return s;
	close(s);
	return -1;
}

/* Connects, again and again until the other side is there. */
static int connect_to(const char *text)
{
	uint64_t end = now_ms() + CONNECT_MS;
	union address a;
	socklen_t len = parse_address(text, &a);

	while (len && now_ms() < end) {
		int s = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (s < 0 || !connect(s, &a.any, len))
			return s;
		close(s);
		poll(NULL, 0, 100);
	}
	return -1;
}

/* State of one echo: both directions advance as the socket allows. */
struct echo {
	int fd;
	uint64_t total, sent, received;
	char out[CHUNK], in[CHUNK], want[CHUNK];
};

static int echo_send(struct echo *e)
{
	uint64_t block = e->sent / CHUNK * CHUNK;
	size_t at = (size_t)(e->sent - block);
	ssize_t n;

	pattern_fill(2, block, e->out, CHUNK);
	n = send(e->fd, e->out + at, CHUNK - at, MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN)
		return fail("send");
	e->sent += n > 0 ? (uint64_t)n : 0;
	return 0;
}

static int echo_receive(struct echo *e)
{
	uint64_t block = e->received / CHUNK * CHUNK;
	size_t at = (size_t)(e->received - block);
	ssize_t n = recv(e->fd, e->in, CHUNK - at, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return fail("receive");
	pattern_fill(2, block, e->want, CHUNK);
	if (memcmp(e->in, e->want + at, (size_t)n)) {
		fprintf(stderr, "avp-guest: echo differs after %llu bytes\n",
			(unsigned long long)e->received);
		return 1;
	}
	e->received += (uint64_t)n;
	return 0;
}

static int echo_run(struct echo *e)
{
	while (e->received < e->total) {
		struct pollfd p = {.fd = e->fd, .events = POLLIN};

		if (e->sent < e->total)
			p.events |= POLLOUT;
		errno = ETIMEDOUT;
		if (poll(&p, 1, TRANSFER_MS) <= 0)
			return fail("echo");
		if ((p.revents & POLLOUT) && echo_send(e))
			return 1;
		if ((p.revents & ~POLLOUT) && echo_receive(e))
			return 1;
	}
	return 0;
}

int cmd_echo(int argc, char **argv)
{
	static struct echo e;
	uint64_t start;
	int err;

	e.total = argc == 3 ? (uint64_t)(unsigned)atoi(argv[2]) * 1024 : 0;
	e.total = (e.total + CHUNK - 1) / CHUNK * CHUNK;
	e.fd = e.total ? connect_to(argv[1]) : -1;
	if (e.fd < 0)
		return fail(argc == 3 ? argv[1] : "echo ADDRESS KIB");
	start = now_ms();
	err = echo_run(&e);
	close(e.fd);
	if (!err)
		printf("%llu KiB there and back equal, %llu KiB/s\n",
			(unsigned long long)e.total / 1024,
			(unsigned long long)(e.total * 2 * 1000 / 1024 / (now_ms() - start + 1)));
	return err;
}

/* Sends back until the other side ends; returns the bytes, or -1. */
static long long echo_back(int fd)
{
	static char buf[CHUNK];
	long long total = 0;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0) {
		for (ssize_t at = 0, k; at < n; at += k) {
			k = send(fd, buf + at, (size_t)(n - at), 0);
			if (k <= 0)
				return -1;
		}
		total += n;
	}
	return n < 0 ? -1 : total;
}

int cmd_echo_serve(int argc, char **argv)
{
	unsigned left = argc == 3 ? (unsigned)atoi(argv[2]) : ~0u;
	int s = argc >= 2 ? listen_on(argv[1]) : -1;
	long long bytes = 0;

	if (s < 0)
		return fail(argc >= 2 ? argv[1] : "echo-serve ADDRESS");
	while (left) {
		int fd = accept(s, NULL, NULL);

		if (fd < 0)
			return fail("accept");
		bytes = echo_back(fd);
		close(fd);
		left -= bytes > 0; /* a caller that said nothing only looked */
	}
	printf("%lld bytes echoed\n", bytes);
	return 0;
}

/* Calls the peer; it answers one byte when it has accepted. */
static int meet_call(const char *peer)
{
	int fd = connect_to(peer);
	char byte = 0;
	int ok = fd >= 0 && send(fd, "m", 1, 0) == 1 && recv(fd, &byte, 1, 0) == 1;

	if (fd >= 0)
		close(fd);
	return ok ? 0 : fail("meet");
}

/* Accepts the peer's call, and waits for it to hang up, so that the answer has arrived. */
static int meet_answer(int s)
{
	struct pollfd p = {.fd = s, .events = POLLIN};
	char byte;
	int fd, ok;

	errno = ETIMEDOUT;
	if (poll(&p, 1, MEETING_MS) <= 0)
		return fail("peer");
	fd = accept(s, NULL, NULL);
	if (fd < 0)
		return fail("accept");
	ok = recv(fd, &byte, 1, 0) == 1 && send(fd, "m", 1, 0) == 1;
	while (recv(fd, &byte, 1, 0) > 0)
		;
	close(fd);
	return ok ? 0 : fail("meet");
}

int cmd_meet(int argc, char **argv)
{
	int s = argc == 3 ? listen_on(argv[1]) : -1;
	pid_t child;

	if (s < 0)
		return fail(argc == 3 ? argv[1] : "meet LISTEN-ADDRESS PEER");
	child = fork();
	if (child < 0)
		return fail("fork");
	if (!child)
		_exit(meet_call(argv[2]));
	int err = meet_answer(s), status = 1;

	if (waitpid(child, &status, 0) != child || status)
		err = 1;
	return err;
}
