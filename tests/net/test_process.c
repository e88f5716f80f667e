/* SPDX-License-Identifier: BSD-3-Clause */
/* The switch as a process ($AVP switch): killed and started again under its guests, asked for its
 * counters, and its capture file read back. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/util.h"
#include "ends.h"
#include "guests.h"

#define LONG_MS 10000

/* The listening sockets are ours, as the supervisor's are, so that guests only reconnect. */
struct process {
	char dir[64];
	int listen[2];
	int control;
	pid_t pid;
	const char *extra[4]; /* further arguments */
};

static bool process_start(struct process *p)
{
	char port[2][64], control[16];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	for (unsigned i = 0; i < 2; i++)
		snprintf(port[i], sizeof(port[i]), "name=g%u,fd=%d", i, p->listen[i]);
	snprintf(control, sizeof(control), "%d", pair[1]);
	p->pid = fork();
	if (!p->pid) {
		fd_cloexec(p->listen[0], 0);
		fd_cloexec(p->listen[1], 0);
		fd_cloexec(pair[1], 0);
		execl(getenv("AVP"), "avp", "switch", "--port", port[0], "--port", port[1],
			"--control-fd", control, p->extra[0], p->extra[1], p->extra[2], p->extra[3],
			NULL);
		_exit(127);
	}
	close(pair[1]);
	p->control = pair[0];
	return p->pid > 0;
}

/* The next message of the control descriptor. */
static bool hear(struct process *p, char *buf, size_t len)
{
	ssize_t n = recv(p->control, buf, len - 1, 0);

	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static bool process_open(struct tap *t, struct process *p)
{
	char path[128], msg[256];

	strcpy(p->dir, "/tmp/avp-net-XXXXXX");
	if (!CHECK(t, mkdtemp(p->dir)))
		return false;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/g%u", p->dir, i);
		p->listen[i] = fd_unix_listen(path, SOCK_STREAM, NULL);
		if (!CHECK(t, p->listen[i] >= 0))
			return false;
	}
	return CHECK(t, process_start(p)) && CHECK(t, hear(p, msg, sizeof(msg))) &&
	       CHECK(t, strstr(msg, "ready"));
}

/* The exit status, or 128 + signal. */
static int process_end(struct process *p, int sig)
{
	int status = 0;

	kill(p->pid, sig);
	waitpid(p->pid, &status, 0);
	close_fd(&p->control);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void process_close(struct process *p)
{
	char path[128];

	for (unsigned i = 0; i < 2; i++) {
		close(p->listen[i]);
		snprintf(path, sizeof(path), "%s/g%u", p->dir, i);
		unlink(path);
	}
	rmdir(p->dir);
}

static int dial(const struct process *p, unsigned i)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/g%u", p->dir, i);
	return fd_unix_connect(path, SOCK_STREAM, NULL);
}

static bool ping(struct tap *t, struct guest *g, uint8_t mark)
{
	uint8_t f[200];

	for (unsigned i = 0; i < 2; i++) {
		make_frame(f, sizeof(f), 0xff, 1 + i, -1, 0, mark);
		if (!CHECK_EQ(t, guest_send(&g[i], 0, f, sizeof(f), NULL), 0) ||
			!CHECK(t, guest_recv(&g[!i], LONG_MS)))
			return false;
		if (!CHECK(t, !memcmp(g[!i].got->data, f, sizeof(f))))
			return false;
	}
	return true;
}

static void killed_and_back(struct tap *t)
{
	struct process p = { 0 };
	struct guest g[2];
	char msg[256];

	REQUIRE(t, process_open(t, &p));
	for (unsigned i = 0; i < 2; i++)
		REQUIRE(t, !guest_start(&g[i], dial(&p, i),
				   &(struct guest_opts){
					   .with = i ? FEATURE(VIRTIO_F_RING_PACKED) : 0 }));
	for (uint8_t round = 0; round < 5 && ping(t, g, round); round++) {
		CHECK_EQ(t, process_end(&p, SIGKILL), 128 + SIGKILL);
		REQUIRE(t, process_start(&p) && hear(&p, msg, sizeof(msg)));
		for (unsigned i = 0; i < 2; i++)
			REQUIRE(t, !vhud_reconnect_fd(g[i].d, dial(&p, i)));
	}
	ping(t, g, 99);
	for (unsigned i = 0; i < 2; i++)
		guest_stop(&g[i]);
	CHECK_EQ(t, process_end(&p, SIGTERM), 0);
	process_close(&p);
}

/* The filters that a guest set are lost with the process: rather too many frames than too few. */
static void filters_after_restart(struct tap *t)
{
	uint8_t tables[14] = { 0 }, f[60];
	struct process p = { 0 };
	struct guest g[2];
	char msg[256];

	REQUIRE(t, process_open(t, &p));
	for (unsigned i = 0; i < 2; i++)
		REQUIRE(t, !guest_start(&g[i], dial(&p, i), &(struct guest_opts){ 0 }));
	tables[4] = 1;
	memcpy(tables + 8, "\x33\x33\xff\0\0\1", 6);
	CHECK_EQ(t, guest_ctrl(&g[1], 1, 0, tables, sizeof(tables)), 0);
	make_frame(f, sizeof(f), 0xff, 1, -1, 0, 1);
	memcpy(f, tables + 8, 6);
	CHECK_EQ(t, guest_send(&g[0], 0, f, sizeof(f), NULL), 0);
	CHECK(t, guest_recv(&g[1], LONG_MS));
	CHECK_EQ(t, process_end(&p, SIGKILL), 128 + SIGKILL);
	REQUIRE(t, process_start(&p) && hear(&p, msg, sizeof(msg)));
	for (unsigned i = 0; i < 2; i++)
		REQUIRE(t, !vhud_reconnect_fd(g[i].d, dial(&p, i)));
	CHECK_EQ(t, guest_send(&g[0], 0, f, sizeof(f), NULL), 0);
	CHECK(t, guest_recv(&g[1], LONG_MS));
	/* Set again, they hold. */
	tables[13] = 2;
	CHECK_EQ(t, guest_ctrl(&g[1], 1, 0, tables, sizeof(tables)), 0);
	CHECK_EQ(t, guest_send(&g[0], 0, f, sizeof(f), NULL), 0);
	make_frame(f, sizeof(f), 0xff, 1, -1, 0, 9);
	CHECK_EQ(t, guest_send(&g[0], 0, f, sizeof(f), NULL), 0);
	CHECK(t, guest_recv(&g[1], LONG_MS));
	CHECK_EQ(t, g[1].got->data[14], 9);
	for (unsigned i = 0; i < 2; i++)
		guest_stop(&g[i]);
	CHECK_EQ(t, process_end(&p, SIGTERM), 0);
	process_close(&p);
}

static void counters(struct tap *t)
{
	struct process p = { 0 };
	struct guest g[2];
	char msg[4096];

	REQUIRE(t, process_open(t, &p));
	for (unsigned i = 0; i < 2; i++)
		REQUIRE(t, !guest_start(&g[i], dial(&p, i), &(struct guest_opts){ 0 }));
	for (uint8_t i = 0; i < 3; i++)
		ping(t, g, i);
	CHECK_EQ(t, send(p.control, "stats", 5, 0), 5);
	REQUIRE(t, hear(&p, msg, sizeof(msg)));
	CHECK(t, strstr(msg, "{\"event\":\"stats\",\"counters\":{\"macs\":2,"));
	CHECK(t, strstr(msg, "\"g0\":{\"up\":1,\"rx_frames\":3,\"rx_bytes\":600,\"tx_frames\":3"));
	CHECK(t, strstr(msg, "\"g1\":{\"up\":1,\"rx_frames\":3,"));
	CHECK_EQ(t, send(p.control, "dance", 5, 0), 5);
	REQUIRE(t, hear(&p, msg, sizeof(msg)));
	CHECK(t, strstr(msg, "error"));
	for (unsigned i = 0; i < 2; i++)
		guest_stop(&g[i]);
	close_fd(&p.control); /* without its supervisor it ends */
	CHECK_EQ(t, process_end(&p, 0), 0);
	process_close(&p);
}

/* Reads a capture file block by block; frames are to be 200 bytes. */
static void check_capture(struct tap *t, const uint8_t *p, size_t len, unsigned frames)
{
	unsigned ifaces = 0, packets = 0;
	uint64_t last = 0;
	size_t at = 0;
	uint32_t w[7];

	while (at + 12 <= len) {
		memcpy(w, p + at, sizeof(w));
		if (!CHECK(t, w[1] % 4 == 0 && w[1] >= 12 && w[1] <= len - at))
			return;
		CHECK(t, !memcmp(p + at + w[1] - 4, &w[1], 4));
		if (!at) {
			CHECK_EQ(t, w[0], 0x0a0d0d0a);
			CHECK_EQ(t, w[2], 0x1a2b3c4d);
			CHECK_EQ(t, w[3], 1);
		} else if (w[0] == 1) {
			CHECK_EQ(t, w[2] & 0xffff, 1); /* Ethernet */
			CHECK(t, !memcmp(p + at + 16, "\2\0\2\0g", 5));
			CHECK_EQ(t, p[at + 20 + 1], '0' + ifaces);
			CHECK(t, !memcmp(p + at + 24, "\x09\0\1\0\x09", 5)); /* nanoseconds */
			ifaces++;
		} else {
			uint64_t ns = (uint64_t)w[3] << 32 | w[4];

			CHECK_EQ(t, w[0], 6);
			CHECK_EQ(t, w[2], packets & 1);
			CHECK_EQ(t, w[5], 200);
			CHECK_EQ(t, w[6], 200);
			CHECK(t, ns >= last && ns > UINT64_C(1600000000000000000));
			CHECK_EQ(t, p[at + 28 + 11], 1 + (packets & 1)); /* source */
			CHECK_EQ(t, p[at + 28 + 14], packets / 2);
			last = ns;
			packets++;
		}
		at += w[1];
	}
	CHECK_EQ(t, at, len);
	CHECK_EQ(t, ifaces, 2);
	CHECK_EQ(t, packets, frames);
}

static void capture(struct tap *t)
{
	struct process p = { .extra = { "--mirror", NULL, "--mirror-size", "8K" } };
	static uint8_t data[16384];
	char path[] = "/tmp/avp-mirror-XXXXXX", msg[4096];
	struct guest g[2];
	struct stat st;
	ssize_t len;
	int fd = mkstemp(path);

	p.extra[1] = path;
	REQUIRE(t, fd >= 0 && process_open(t, &p));
	for (unsigned i = 0; i < 2; i++)
		REQUIRE(t, !guest_start(&g[i], dial(&p, i), &(struct guest_opts){ 0 }));
	for (uint8_t i = 0; i < 5; i++)
		ping(t, g, i);
	CHECK_EQ(t, send(p.control, "stats", 5, 0), 5); /* after this, everything is written */
	REQUIRE(t, hear(&p, msg, sizeof(msg)));
	len = pread(fd, data, sizeof(data), 0);
	check_capture(t, data, len > 0 ? (size_t)len : 0, 10);
	for (uint8_t i = 0; i < 50; i++)
		ping(t, g, i);
	REQUIRE(t, !fstat(fd, &st));
	CHECK(t, st.st_size <= 8192 && st.st_size > 7000);
	CHECK_EQ(t, send(p.control, "stats", 5, 0), 5);
	REQUIRE(t, hear(&p, msg, sizeof(msg)));
	CHECK(t, !strstr(msg, "\"mirror_missed\":0,"));
	for (unsigned i = 0; i < 2; i++)
		guest_stop(&g[i]);
	CHECK_EQ(t, process_end(&p, SIGTERM), 0);
	process_close(&p);
	close(fd);
	unlink(path);
}

/* Runs `avp switch` in `dir` with words separated by spaces; the exit status, message in `msg`. */
static int try(const char *dir, const char *words, char *msg, size_t len)
{
	char cmd[512];
	FILE *f;
	size_t n;
	int status;

	snprintf(cmd, sizeof(cmd), "cd %s && %s switch %s 2>&1", dir, getenv("AVP"), words);
	f = popen(cmd, "r");
	n = f ? fread(msg, 1, len - 1, f) : 0;
	msg[n] = '\0';
	status = f ? pclose(f) : -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void wrong_usage(struct tap *t)
{
	static const struct {
		const char *words, *says;
	} wrong[] = {
		{ "", "at least one" },
		{ "--port fd=3", "name" },
		{ "--port name=a", "socket=PATH or fd=N" },
		{ "--port name=a,socket=s,fd=4", "socket=PATH or fd=N" },
		{ "--port name=a,socket", "KEY=VALUE" },
		{ "--port name=a,socket=s,vlna=3", "did you mean 'vlan'" },
		{ "--uplnk none", "did you mean 'uplink'" },
		{ "--port name=a,socket=s,trunk=5000", "no VLAN" },
		{ "--port name=a,socket=s --uplink tun:x", "tap:NAME" },
		{ "--port name=a,fd=77", "not open" },
		{ "--port", "needs a value" },
		{ "word", "unexpected" },
	};
	char dir[32] = "/tmp/avp-switch-XXXXXX", msg[4096];

	REQUIRE(t, mkdtemp(dir));
	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
		CHECK_EQ(t, try(dir, wrong[i].words, msg, sizeof(msg)), 2);
		if (!CHECK(t, strstr(msg, wrong[i].says)))
			printf("# %s: %s\n", wrong[i].words, msg);
	}
	CHECK_EQ(t, try(dir, "--help", msg, sizeof(msg)), 0);
	CHECK(t, strstr(msg, "--uplink"));
	strcat(dir, "/s");
	unlink(dir);
	*strrchr(dir, '/') = '\0';
	CHECK(t, !rmdir(dir)); /* all that was made is what was named */
}

int main(void)
{
	struct tap t = { 0 };

	if (!getenv("AVP")) {
		puts("1..0 # SKIP the environment has no AVP, the program to test");
		return 0;
	}
	TAP_RUN(&t, killed_and_back);
	TAP_RUN(&t, filters_after_restart);
	TAP_RUN(&t, counters);
	TAP_RUN(&t, capture);
	TAP_RUN(&t, wrong_usage);
	return tap_done(&t);
}
