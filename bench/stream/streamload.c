/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes between a program of a guest and one of the host, which is a process of its own.
 *
 *     streamload out|in|ping unix N                    a pair of unix sockets: the limit
 *     streamload out|in|ping pty N                     a PTY: the limit
 *     streamload out|in|ping vsock SOCKET UDS ROOM N   a connection to the host; receive buffers of
 * ROOM streamload out|in|ping console SOCKET PATH N     port 0, which is a unix socket at PATH
 *     streamload out|in|ping tty SOCKET PATH N         port 0, which is a PTY with a link at PATH
 *     streamload random SIZE N [SOCKET]                getrandom(), or requests to the entropy
 * device
 *
 * `out` and `in` are N messages of 64 KiB from and to the guest, `ping` N messages of 64 bytes that
 * come back. What arrives is checked: in every 4 KiB its number, in the first messages every byte.
 * Prints nanoseconds (in all; of ping and random: median and 99th percentile), the processor time
 * of the guest's side in nanoseconds, and how often both processes went to sleep.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#include "base/fd.h"
#include "base/loop.h"
#include "base/util.h"
#include "ends.h"
#include "vhud.h"

#define BLOCK	  4096u
#define WINDOW	  4u /* messages on their way out */
#define CHECKED	  (16u * END_MESSAGE)
#define PING	  64u
#define PORT	  1000u
#define TIMES_MAX 1000000u
#define PATIENCE  60 /* seconds for the whole */

/* How to get at both ends. The host's is opened by its own process. */
struct kind {
	const char *name;
	int args; /* besides N */
	void (*prepare)(char **args);
	struct end *(*guest)(char **args);
	int (*host)(char **args);
};

static uint64_t times[TIMES_MAX];
static int pair[2];

/* Unix sockets. */

static void unix_prepare(char **args)
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		die("making sockets", -errno);
}

static struct end *pair_guest(char **args)
{
	close(pair[1]);
	return end_fd(pair[0]);
}

static int unix_host(char **args)
{
	close(pair[0]);
	return pair[1];
}

/* PTYs. */

static int open_tty(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY);
	struct termios t;

	if (fd < 0 || tcgetattr(fd, &t))
		die(path, -errno);
	cfmakeraw(&t);
	if (tcsetattr(fd, TCSANOW, &t))
		die(path, -errno);
	return fd;
}

/* Kept open on this side, too, so that there is no hangup before the other process is there. */
static void pty_prepare(char **args)
{
	pair[0] = posix_openpt(O_RDWR | O_NOCTTY);
	if (pair[0] < 0 || grantpt(pair[0]) || unlockpt(pair[0]))
		die("making a PTY", -errno);
	pair[1] = open_tty(ptsname(pair[0]));
}

static struct end *pty_guest(char **args)
{
	return end_fd(pair[0]);
}

static int pty_host(char **args)
{
	return pair[1];
}

/* Devices. */

static void vsock_prepare(char **args)
{
	struct err e = { 0 };
	char path[128];

	snprintf(path, sizeof(path), "%s_%u", args[1], PORT);
	pair[1] = fd_unix_listen(path, SOCK_STREAM, &e);
	if (pair[1] < 0)
		die(e.msg, 0);
}

static struct end *vsock_guest(char **args)
{
	return end_vsock(args[0], PORT, (uint32_t)strtoul(args[2], NULL, 10));
}

/* fd_unix_listen() makes a listener that does not wait. */
static int vsock_host(char **args)
{
	int fd;

	fcntl(pair[1], F_SETFL, 0);
	fd = accept(pair[1], NULL, NULL);
	if (fd < 0)
		die("accepting", -errno);
	return fd;
}

static void no_prepare(char **args)
{
}

static struct end *console_guest(char **args)
{
	return end_console(args[0]);
}

static int console_host(char **args)
{
	struct err e = { 0 };
	int fd = fd_unix_connect(args[1], SOCK_STREAM, &e);

	if (fd < 0)
		die(e.msg, 0);
	return fd;
}

static int tty_host(char **args)
{
	return open_tty(args[1]);
}

static const struct kind kinds[] = {
	{ "unix", 0, unix_prepare, pair_guest, unix_host },
	{ "pty", 0, pty_prepare, pty_guest, pty_host },
	{ "vsock", 3, vsock_prepare, vsock_guest, vsock_host },
	{ "console", 2, no_prepare, console_guest, console_host },
	{ "tty", 2, no_prepare, console_guest, tty_host },
};

/* Content: every 4 KiB begin with their number, and the rest is a pattern. */

static uint8_t pattern(uint64_t at)
{
	return (uint8_t)(at * 31 >> 2);
}

static void stamp(uint8_t *message, uint64_t number)
{
	for (uint64_t i = 0; i < END_MESSAGE / BLOCK; i++) {
		uint64_t block = number * (END_MESSAGE / BLOCK) + i;

		memcpy(message + i * BLOCK, &block, sizeof(block));
	}
}

static void fill(uint8_t *message, uint64_t number)
{
	for (uint64_t i = 0; number < CHECKED / END_MESSAGE && i < END_MESSAGE; i++)
		message[i] = pattern(number * END_MESSAGE + i);
	stamp(message, number);
}

/* A piece of one block, whose first byte is byte `at` of the stream. */
static bool block_ok(const uint8_t *p, uint64_t at, size_t len)
{
	uint64_t number = at / BLOCK;
	size_t in = at % BLOCK, n = in < 8 ? min_u64(8 - in, len) : 0;

	if (memcmp(p, (const uint8_t *)&number + (n ? in : 0), n) != 0)
		return false;
	for (size_t i = n; at < CHECKED && i < len; i++)
		if (p[i] != pattern(at + i))
			return false;
	return true;
}

static void check(uint64_t at, const uint8_t *p, size_t len)
{
	for (size_t done = 0, n; done < len; done += n) {
		n = min_u64(BLOCK - (at + done) % BLOCK, len - done);
		if (!block_ok(p + done, at + done, n))
			die("bytes are lost, out of order or damaged", 0);
	}
}

/* What each side does. The host's process signals `news` once for every message that it has got. */

static uint64_t take_news(int news)
{
	uint64_t n;

	if (read(news, &n, sizeof(n)) != sizeof(n))
		die("waiting for the other process", -errno);
	return n;
}

static void tell(int news, uint64_t n)
{
	if (write(news, &n, sizeof(n)) != sizeof(n))
		die("telling the other process", -errno);
}

static void send_all(struct end *e, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		fill(e->room(e), i);
		e->put(e, END_MESSAGE);
	}
}

static void send_window(struct end *e, int news, uint64_t n)
{
	uint64_t acked = 0;

	for (uint64_t i = 0; i < n; i++) {
		if (i - acked == WINDOW)
			acked += take_news(news);
		fill(e->room(e), i);
		e->put(e, END_MESSAGE);
	}
	while (acked < n)
		acked += take_news(news);
}

static void receive_all(struct end *e, int news, uint64_t n)
{
	uint64_t told = 0;

	for (uint64_t at = 0; at < n * END_MESSAGE;) {
		uint8_t *data;
		size_t len = e->get(e, &data);

		check(at, data, len);
		at += len;
		if (news < 0 || (at / END_MESSAGE - told < WINDOW / 2 && at < n * END_MESSAGE))
			continue;
		tell(news, at / END_MESSAGE - told);
		told = at / END_MESSAGE;
	}
}

static void get_ping(struct end *e, uint8_t ping[PING])
{
	uint8_t *data;

	for (size_t at = 0, len; at < PING; at += len) {
		len = e->get(e, &data);
		if (len > PING - at)
			die("too many bytes arrive", 0);
		memcpy(ping + at, data, len);
	}
}

static void echo(struct end *e, uint64_t n)
{
	uint8_t ping[PING];

	while (n--) {
		get_ping(e, ping);
		memcpy(e->room(e), ping, PING);
		e->put(e, PING);
	}
}

static void ping_all(struct end *e, uint64_t n)
{
	uint8_t ping[PING], pong[PING];

	for (uint64_t i = 0; i < n; i++) {
		uint64_t start = ev_now_ns();

		memset(ping, (int)i, PING);
		memcpy(ping, &i, sizeof(i));
		memcpy(e->room(e), ping, PING);
		e->put(e, PING);
		get_ping(e, pong);
		times[i] = ev_now_ns() - start;
		if (memcmp(ping, pong, PING) != 0)
			die("another message came back", 0);
	}
}

/* The whole. */

struct run {
	char what; /* o, i or p */
	const struct kind *kind;
	char **args;
	uint64_t n;
	int news, go;
};

static pid_t start_host(const struct run *r)
{
	struct end *e;
	pid_t pid = fork();

	if (pid < 0)
		die("fork", -errno);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	e = end_fd(r->kind->host(r->args));
	tell(r->news, 1);
	take_news(r->go);
	if (r->what == 'o')
		receive_all(e, r->news, r->n);
	else if (r->what == 'i')
		send_all(e, r->n);
	else
		echo(e, r->n);
	take_news(r->go); /* until all has been read: closing a PTY throws away what was not */
	_exit(0);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void report_times(uint64_t n)
{
	qsort(times, n, sizeof(*times), compare);
	printf("%llu %llu", (unsigned long long)times[n / 2],
		(unsigned long long)times[n - 1 - n / 100]);
}

/* What this process has used so far. */
struct use {
	uint64_t cpu; /* ns */
	long sleeps;
};

static struct use use(void)
{
	struct timespec cpu;
	struct rusage u;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	getrusage(RUSAGE_SELF, &u);
	return (struct use){ (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec,
		u.ru_nvcsw };
}

/* From `before` to now; `more`: sleeps of another process. */
static void report_use(struct use before, long more)
{
	struct use now = use();

	printf(" %llu %ld\n", (unsigned long long)(now.cpu - before.cpu),
		now.sleeps - before.sleeps + more);
}

static void transfer(const struct run *r)
{
	struct rusage host;
	struct use before;
	struct end *e;
	uint64_t start;
	pid_t pid;

	r->kind->prepare(r->args);
	pid = start_host(r);
	e = r->kind->guest(r->args);
	take_news(r->news);
	before = use();
	tell(r->go, 1);
	start = ev_now_ns();
	if (r->what == 'o')
		send_window(e, r->news, r->n);
	else if (r->what == 'i')
		receive_all(e, -1, r->n);
	else
		ping_all(e, r->n);
	start = ev_now_ns() - start;
	tell(r->go, 1);
	if (wait4(pid, NULL, 0, &host) != pid)
		die("wait", -errno);
	if (r->what == 'p')
		report_times(r->n);
	else
		printf("%llu", (unsigned long long)start);
	report_use(before, host.ru_nvcsw);
}

/* Entropy. */

static void random_direct(uint8_t *buf, uint32_t size)
{
	if (getrandom(buf, size, 0) != (ssize_t)size)
		die("getrandom", -errno);
}

static void random_device(struct vhud *d, uint8_t *buf, uint32_t size)
{
	struct iovec iov = { buf, size };
	uint32_t len;

	if (vhud_add(d, 0, &iov, 0, 1, buf))
		die("asking the device", 0);
	vhud_kick(d, 0);
	if (vhud_wait(d, 0, NULL, &len, VHUD_TIMEOUT_MS) != 1 || len != size)
		die("the device does not answer in full", 0);
}

static void draw(uint32_t size, uint64_t n, const char *path)
{
	const struct vhud_opts opts = { .features = FEATURE(VIRTIO_F_EVENT_IDX), .nqueues = 1 };
	struct vhud *d = path ? vhud_open(path) : NULL;
	uint64_t last = 0, next;
	struct use before;
	uint8_t *buf;

	if (path && (!d || vhud_start(d, &opts)))
		die("starting the device", 0);
	buf = d ? vhud_alloc(d, END_MESSAGE) : calloc(1, END_MESSAGE);
	before = use();
	for (uint64_t i = 0; i < n; i++) {
		uint64_t start = ev_now_ns();

		if (d)
			random_device(d, buf, size);
		else
			random_direct(buf, size);
		times[i] = ev_now_ns() - start;
		memcpy(&next, buf + size - sizeof(next), sizeof(next));
		if (next == last)
			die("the same bytes came twice", 0);
		last = next;
	}
	report_times(n);
	report_use(before, 0);
}

static uint64_t number(const char *text, uint64_t max)
{
	char *end;
	uint64_t v = strtoull(text, &end, 10);

	if (!v || v > max || *end)
		die("a number is not in range", 0);
	return v;
}

int main(int argc, char **argv)
{
	struct run r = { .args = argv + 3,
		.news = eventfd(0, EFD_CLOEXEC),
		.go = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE) };

	if (argc >= 4 && !strcmp(argv[1], "random")) {
		uint32_t size = (uint32_t)number(argv[2], END_MESSAGE);

		if (size < 8)
			die("at least 8 bytes are wanted", 0);
		draw(size, number(argv[3], TIMES_MAX), argc > 4 ? argv[4] : NULL);
		return 0;
	}
	for (unsigned i = 0; argc >= 4 && i < ARRAY_LEN(kinds); i++)
		if (!strcmp(argv[2], kinds[i].name) && argc == 4 + kinds[i].args)
			r.kind = &kinds[i];
	if (!r.kind || !strchr("oip", argv[1][0]))
		die("see the beginning of its source for its usage", 0);
	/* Nobody waits with a limit of his own: a timer for each sleep would be measured, too. */
	alarm(PATIENCE);
	r.what = argv[1][0];
	r.n = number(argv[argc - 1], TIMES_MAX);
	transfer(&r);
	return 0;
}
