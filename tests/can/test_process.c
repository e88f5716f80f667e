/* SPDX-License-Identifier: BSD-3-Clause */
/* The bus as a process ($AVP can-bus): killed and started again under its guests, its log in the
 * jail, its counters, and the operator's words. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/util.h"
#include "guest.h"

#define ARGS_MAX 12u

/* The listening sockets are ours, as the supervisor's are, so that guests only reconnect. */
struct process {
	char dir[64];
	int listen[2];
	int control;
	pid_t pid;
	const char *extra[ARGS_MAX]; /* further arguments */
};

static bool start(struct process *p)
{
	const char *argv[ARGS_MAX + 9] = { "avp", "can-bus" };
	char port[2][64], control[16];
	unsigned n = 2;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(port[i], sizeof(port[i]), "name=g%u,fd=%d", i, p->listen[i]);
		argv[n++] = "--port";
		argv[n++] = port[i];
	}
	snprintf(control, sizeof(control), "%d", pair[1]);
	argv[n++] = "--control-fd";
	argv[n++] = control;
	for (unsigned i = 0; i < ARGS_MAX && p->extra[i]; i++)
		argv[n++] = p->extra[i];
	p->pid = fork();
	if (!p->pid) {
		fd_cloexec(p->listen[0], 0);
		fd_cloexec(p->listen[1], 0);
		fd_cloexec(pair[1], 0);
		execv(getenv("AVP"), (char **)(uintptr_t)argv);
		_exit(127);
	}
	close(pair[1]);
	p->control = pair[0];
	return p->pid > 0;
}

/* The next message of the control descriptor that has this word. */
static bool hear(struct process *p, const char *word, char *buf, size_t len)
{
	struct pollfd wait = { .fd = p->control, .events = POLLIN };

	while (poll(&wait, 1, LONG_MS) == 1) {
		ssize_t n = recv(p->control, buf, len - 1, 0);

		buf[n > 0 ? n : 0] = '\0';
		if (n <= 0)
			return false;
		if (strstr(buf, word))
			return true;
	}
	return false;
}

static bool begin(struct tap *t, struct process *p)
{
	char path[128], msg[4096];

	strcpy(p->dir, "/tmp/avp-canbus-XXXXXX");
	if (!CHECK(t, mkdtemp(p->dir)))
		return false;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/g%u", p->dir, i);
		p->listen[i] = fd_unix_listen(path, SOCK_STREAM, NULL);
		if (!CHECK(t, p->listen[i] >= 0))
			return false;
	}
	return CHECK(t, start(p)) && CHECK(t, hear(p, "ready", msg, sizeof(msg)));
}

/* The exit status, or 128 + signal. */
static int end(struct process *p, int sig)
{
	int status = 0;

	kill(p->pid, sig);
	waitpid(p->pid, &status, 0);
	close_fd(&p->control);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void remove_all(struct process *p)
{
	char command[80];

	for (unsigned i = 0; i < 2; i++)
		close(p->listen[i]);
	snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	if (system(command))
		printf("# cannot remove %s\n", p->dir);
}

static int dial(const struct process *p, unsigned i)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/g%u", p->dir, i);
	return fd_unix_connect(path, SOCK_STREAM, NULL);
}

/* Both guests up and started. */
static bool guests(struct tap *t, const struct process *p, struct vhud **g)
{
	for (unsigned i = 0; i < 2; i++) {
		uint64_t ring = i ? FEATURE(VIRTIO_F_RING_PACKED) : 0;

		g[i] = vhud_open_fd(dial(p, i));
		if (!guest_up(t, g[i], LATE | ring) || !CHECK_EQ(t, guest_start(g[i]), 0))
			return false;
	}
	return true;
}

static bool passes(struct tap *t, struct vhud *from, struct vhud *to, uint32_t id)
{
	struct can_message *m;

	guest_offer(to);
	if (!CHECK(t, guest_send(from, id)) || !CHECK_EQ(t, guest_result(from, LONG_MS), 0))
		return false;
	m = guest_recv(to, LONG_MS);
	return CHECK(t, m) && CHECK_EQ(t, m->can_id, id);
}

/* Sends a command of the operator; the answer is in `msg`. */
static bool tell(struct process *p, const char *words, size_t len, char *msg, size_t size)
{
	return send(p->control, words, len, 0) == (ssize_t)len && hear(p, "told", msg, size);
}
#define TELL(p, words, msg) tell((p), words, sizeof(words), (msg), sizeof(msg))

static void killed_and_back(struct tap *t)
{
	struct process p = { 0 };
	struct vhud *g[2];
	char msg[4096];

	REQUIRE(t, begin(t, &p) && guests(t, &p, g));
	for (unsigned round = 0; round < 5; round++) {
		REQUIRE(t, passes(t, g[0], g[1], 0x100 + round) &&
				   passes(t, g[1], g[0], 0x200 + round));
		CHECK_EQ(t, end(&p, SIGKILL), 128 + SIGKILL);
		REQUIRE(t, start(&p) && hear(&p, "ready", msg, sizeof(msg)));
		for (unsigned i = 0; i < 2; i++)
			REQUIRE(t, !vhud_reconnect_fd(g[i], dial(&p, i)));
	}
	passes(t, g[0], g[1], 0x300);
	vhud_close(g[0]);
	vhud_close(g[1]);
	CHECK_EQ(t, end(&p, SIGTERM), 0);
	remove_all(&p);
}

/* The log's files move up although the process is in a jail. */
static void log_in_the_jail(struct tap *t)
{
	char log[128], old[140], line[128];
	struct process p = { .extra = { "--name", "body", "--log", log, "--log-size", "4K",
				     "--log-files", "2", "--bitrate", "0" } };
	struct stat st = { 0 };
	struct vhud *g[2];
	FILE *f;

	snprintf(log, sizeof(log), "/tmp/avp-canlog-%d", (int)getpid());
	REQUIRE(t, !mkdir(log, 0700));
	strcat(log, "/drive.log");
	snprintf(old, sizeof(old), "%s.1", log);
	REQUIRE(t, begin(t, &p) && guests(t, &p, g));
	for (unsigned i = 0; i < 150; i++)
		REQUIRE(t, passes(t, g[0], g[1], 0x123));
	vhud_close(g[0]);
	vhud_close(g[1]);
	CHECK_EQ(t, end(&p, SIGTERM), 0);
	CHECK(t, !stat(old, &st) && st.st_size > 3900 && st.st_size <= 4096);
	f = fopen(log, "r");
	REQUIRE(t, f && fgets(line, sizeof(line), f));
	CHECK(t, strstr(line, ") body 123#0102030000000000\n"));
	fclose(f);
	unlink(log);
	unlink(old);
	*strrchr(log, '/') = 0;
	rmdir(log);
	remove_all(&p);
}

static void operator_words(struct tap *t)
{
	struct process p = { 0 };
	struct vhud *g[2];
	char msg[4096];

	REQUIRE(t, begin(t, &p) && guests(t, &p, g));
	CHECK(t, TELL(&p,
			 "tell\0"
			 "1\0show",
			 msg));
	CHECK(t, strstr(msg, "500000 bit/s") && strstr(msg, "g0") && strstr(msg, "error-active"));
	guest_offer(g[0]);
	CHECK(t, TELL(&p,
			 "tell\0"
			 "2\0send\0"
			 "7A1#00FF",
			 msg));
	REQUIRE(t, guest_recv(g[0], LONG_MS));
	CHECK(t, TELL(&p,
			 "tell\0"
			 "3\0port\0g1\0bus-off",
			 msg));
	CHECK(t, strstr(msg, "bus-off until"));
	CHECK_EQ(t, vhud_config_changed(g[1], LONG_MS), 1);
	CHECK_EQ(t, guest_start(g[1]), 0);
	passes(t, g[1], g[0], 5);
	CHECK(t, TELL(&p,
			 "tell\0"
			 "4\0port\0g9\0bus-off",
			 msg));
	CHECK(t, strstr(msg, "g9") && strstr(msg, "error"));
	CHECK(t, TELL(&p,
			 "tell\0"
			 "5\0jump",
			 msg));
	CHECK(t, strstr(msg, "short on|off"));
	CHECK_EQ(t, send(p.control, "stats", 5, 0), 5);
	CHECK(t, hear(&p, "counters", msg, sizeof(msg)));
	CHECK(t, strstr(msg, "\"bitrate\":500000") && strstr(msg, "\"frames\":2"));
	CHECK(t, strstr(msg, "\"g1\":{") && strstr(msg, "\"bus_off\":1"));
	vhud_close(g[0]);
	vhud_close(g[1]);
	CHECK_EQ(t, end(&p, SIGTERM), 0);
	remove_all(&p);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, killed_and_back);
	TAP_RUN(&t, log_in_the_jail);
	TAP_RUN(&t, operator_words);
	return tap_done(&t);
}
