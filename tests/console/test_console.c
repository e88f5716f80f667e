/* SPDX-License-Identifier: BSD-3-Clause */
/* The console device and its host sides. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "devices/devices.h"
#include "lib/vhud_server.h"
#include "tap.h"

enum { RX0, TX0, CRX, CTX, RX1, TX1, RX2, TX2 };
enum { READY, ADD, REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, OPEN, NAME }; /* 5.3.6.2 */

#define F_SIZE	    FEATURE(0)
#define F_MULTIPORT FEATURE(1)
#define F_EMERG	    FEATURE(2)
#define ALL	    UINT64_C(7)
#define SPLIT	    (FEATURE(VIRTIO_F_EVENT_IDX) | FEATURE(VIRTIO_F_INDIRECT_DESC))
#define PACKED	    (SPLIT | FEATURE(VIRTIO_F_RING_PACKED))

struct control {
	uint32_t id;
	uint16_t event, value;
	char extra[64];
};

struct rig {
	struct vhud_server srv;
	struct vhud *d;
	char dir[40];
	char path[64]; /* key path */
	unsigned nqueues;
};

static uint64_t ring; /* layout of this run of the cases */

static int rig_start(struct rig *r)
{
	const struct vhud_opts opts = { .features = ring | ALL, .nqueues = (uint16_t)r->nqueues };

	return vhud_start(r->d, &opts);
}

/* Port 0 on `host`, further keys; the driver runs. */
static void rig_open(struct tap *t, struct rig *r, unsigned nqueues, const char *host,
	const char *key, const char *value, const char *key2, const char *value2)
{
	memset(r, 0, sizeof(*r));
	r->nqueues = nqueues;
	strcpy(r->dir, "/tmp/avp-console-XXXXXX");
	CHECK(t, mkdtemp(r->dir));
	snprintf(r->path, sizeof(r->path), "%s/con", r->dir);
	CHECK_EQ(t,
		vhud_serve(&r->srv, &vdev_console, "host", host, "path", r->path, key, value, key2,
			value2, NULL),
		0);
	r->d = vhud_open(r->srv.path);
	CHECK_EQ(t, rig_start(r), 0);
}

static void remove_dir(const char *dir)
{
	char cmd[64];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd))
		printf("# cannot remove %s\n", dir);
}

static void rig_close(struct rig *r)
{
	vhud_close(r->d);
	vhud_serve_end(&r->srv);
	remove_dir(r->dir);
}

static bool print_on(struct rig *r, unsigned q, const void *text, size_t len)
{
	return vhud_do(r->d, q, text, len, NULL, 0) == 0;
}

static bool print(struct rig *r, const char *text)
{
	return print_on(r, TX0, text, strlen(text));
}

static int attach(const struct rig *r, const char *suffix)
{
	char path[100];

	snprintf(path, sizeof(path), "%s%s", r->path, suffix);
	return fd_unix_connect(path, SOCK_STREAM, NULL);
}

/* Reads exactly this text, within the time limit. */
static bool reads(int fd, const char *want)
{
	size_t len = strlen(want), n = 0;
	char buf[512];

	while (n < len) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t r = poll(&p, 1, VHUD_TIMEOUT_MS) == 1 ? read(fd, buf + n, len - n) : -1;

		if (r <= 0)
			return false;
		n += (size_t)r;
	}
	return !memcmp(buf, want, len);
}

/* Gives the guest's queue a buffer and waits for input in it. Returns its length. */
static ssize_t input(struct rig *r, unsigned q, char *buf, size_t len)
{
	return vhud_do(r->d, q, NULL, 0, buf, len);
}

static void one_port_by_default(struct tap *t)
{
	struct {
		uint16_t cols, rows;
		uint32_t ports, emerg;
	} config = { 0 };
	struct rig r;

	rig_open(t, &r, 2, "null", "cols", "132", "rows", "50");
	CHECK_EQ(t, vhud_features(r.d) & ALL, F_SIZE | F_EMERG);
	CHECK_EQ(t, vhud_config_read(r.d, 0, &config, sizeof(config)), 0);
	CHECK_EQ(t, config.cols, 132);
	CHECK_EQ(t, config.rows, 50);
	CHECK_EQ(t, config.ports, 1);
	CHECK(t, print(&r, "to nobody"));
	rig_close(&r);
}

static void both_ways_over_a_socket(struct tap *t)
{
	char buf[64];
	struct rig r;

	rig_open(t, &r, 2, "socket", NULL, NULL, NULL, NULL);
	autoclose int fd = attach(&r, "");

	CHECK(t, print(&r, "login: "));
	CHECK(t, reads(fd, "login: "));
	CHECK_EQ(t, write(fd, "root\n", 5), 5);
	CHECK_EQ(t, input(&r, RX0, buf, sizeof(buf)), 5);
	CHECK(t, !memcmp(buf, "root\n", 5));
	/* Bytes are bytes. */
	CHECK(t, print_on(&r, TX0, "\0\xff\x1d\n", 4));
	CHECK_EQ(t, read(fd, buf, 4), 4);
	CHECK(t, !memcmp(buf, "\0\xff\x1d\n", 4));
	rig_close(&r);
}

static void late_programs_get_the_scrollback(struct tap *t)
{
	struct rig r;

	rig_open(t, &r, 2, "socket", "scrollback", "256", NULL, NULL);
	CHECK(t, print(&r, "booting\n"));
	autoclose int first = attach(&r, "");

	CHECK(t, reads(first, "booting\n"));
	for (char i = 0; i < 10; i++)
		CHECK(t, print_on(&r, TX0, "abcdefghijklmnopqrstuvwxyz012345", 32));
	autoclose int late = attach(&r, "");
	char buf[400];
	ssize_t n = 0;

	while (n < 256) {
		ssize_t got = read(late, buf + n, sizeof(buf) - (size_t)n);

		REQUIRE(t, got > 0);
		n += got;
	}
	/* The last 256 bytes, then what comes now, to both. */
	CHECK_EQ(t, n, 256);
	CHECK(t, !memcmp(buf, "abcdef", 6) && !memcmp(buf + 224, "abcdef", 6));
	CHECK(t, print(&r, "$ "));
	CHECK(t, reads(late, "$ "));
	rig_close(&r);
}

/* Megabytes for a program that reads nothing: the guest is not held up, and later the program gets
 * the newest. */
static void slow_program_does_not_block_the_guest(struct tap *t)
{
	static char block[4096], buf[1 << 16];
	struct rig r;
	uint64_t total = 0;
	ssize_t n = 0;

	rig_open(t, &r, 2, "socket", NULL, NULL, NULL, NULL);
	autoclose int fd = attach(&r, "");

	CHECK(t, print(&r, "x"));
	for (unsigned i = 0; i < 512; i++) {
		memset(block, 'a' + (int)(i % 26), sizeof(block));
		REQUIRE(t, print_on(&r, TX0, block, sizeof(block)));
	}
	CHECK(t, print(&r, "the end"));
	fd_nonblock(fd);
	for (struct pollfd p = { .fd = fd, .events = POLLIN }; poll(&p, 1, 300) == 1;) {
		n = read(fd, buf, sizeof(buf));
		REQUIRE(t, n > 0);
		total += (uint64_t)n;
		if (n >= 7 && !memcmp(buf + n - 7, "the end", 7))
			break;
	}
	CHECK(t, total >= 65536 && total < 512 * sizeof(block));
	CHECK_EQ(
		t, total + vhud_serve_metric(&r.srv, "dropped_bytes"), 1 + 512 * sizeof(block) + 7);
	CHECK(t, n >= 7 && !memcmp(buf + n - 7, "the end", 7));
	rig_close(&r);
}

static void output_to_a_full_disk_is_counted(struct tap *t)
{
	struct rig r;

	rig_open(t, &r, 2, "null", "log", "/dev/full", NULL, NULL);
	CHECK(t, print(&r, "twelve bytes"));
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "lost_bytes"), 12);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "out_bytes"), 12);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "dropped_bytes"), 0);
	rig_close(&r);
}

static void half_closed_program_reads_on(struct tap *t)
{
	char buf[16];
	struct rig r;

	rig_open(t, &r, 2, "socket", NULL, NULL, NULL, NULL);
	autoclose int fd = attach(&r, "");

	CHECK_EQ(t, write(fd, "cmd\n", 4), 4);
	shutdown(fd, SHUT_WR);
	CHECK_EQ(t, input(&r, RX0, buf, sizeof(buf)), 4);
	CHECK(t, print(&r, "result"));
	CHECK(t, reads(fd, "result"));
	rig_close(&r);
}

/* Input beyond what the guest takes waits, bounded, in order, even if its sender leaves. */
static void input_waits_for_the_guest(struct tap *t)
{
	static char buf[4096];
	size_t sent = 0, got = 0;
	struct rig r;
	int fd;

	rig_open(t, &r, 2, "socket", NULL, NULL, NULL, NULL);
	fd = attach(&r, "");
	fd_nonblock(fd);
	for (struct pollfd p = { .fd = fd, .events = POLLOUT }; poll(&p, 1, 200) == 1;) {
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (char)((sent + i) % 251);
		ssize_t n = write(fd, buf, sizeof(buf));

		if (n > 0)
			sent += (size_t)n;
		REQUIRE(t, sent < 8u << 20);
	}
	close(fd);
	while (got < sent) {
		ssize_t n = input(&r, RX0, buf, sizeof(buf));

		REQUIRE(t, n > 0);
		for (ssize_t i = 0; i < n; i++)
			REQUIRE(t, buf[i] == (char)((got + (size_t)i) % 251));
		got += (size_t)n;
	}
	CHECK_EQ(t, got, sent);
	rig_close(&r);
}

static void emergency_write_works_at_any_time(struct tap *t)
{
	const struct vhud_opts opts = { .features = ring | ALL };
	uint32_t c = 'E';
	struct rig r;

	rig_open(t, &r, 2, "socket", NULL, NULL, NULL, NULL);
	autoclose int fd = attach(&r, "");

	CHECK_EQ(t, vhud_config_write(r.d, 8, &c, 4), 0);
	/* Without a driver. */
	CHECK_EQ(t, vhud_reset(r.d), 0);
	CHECK_EQ(t, vhud_negotiate(r.d, &opts), 0);
	c = 0xffffff00 | '!';
	CHECK_EQ(t, vhud_config_write(r.d, 8, &c, 4), 0);
	/* Other fields are read-only, and what does not cover the low byte writes nothing. */
	CHECK_EQ(t, vhud_config_write(r.d, 0, &c, 4), 0);
	CHECK_EQ(t, vhud_config_write(r.d, 9, &c, 2), 0);
	c = '\n';
	CHECK_EQ(t, vhud_config_write(r.d, 8, &c, 1), 0);
	CHECK(t, reads(fd, "E!\n"));
	rig_close(&r);
}

static void send_size(struct tap *t, const struct rig *r, const char *text)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s.size", r->path);
	CHECK(t, sendto(fd, text, strlen(text), 0, (struct sockaddr *)&sa, sizeof(sa)) >= 0);
}

static void size_reaches_the_guest(struct tap *t)
{
	static const char *const bad[] = { "", "x", "0x25", "80x0", "99999x25", "-1x-1", "80" };
	uint16_t size[2] = { 0 };
	struct rig r;

	rig_open(t, &r, 2, "socket", NULL, NULL, NULL, NULL);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		send_size(t, &r, bad[i]);
	send_size(t, &r, "200x60");
	CHECK_EQ(t, vhud_config_changed(r.d, VHUD_TIMEOUT_MS), 1);
	CHECK_EQ(t, vhud_config_read(r.d, 0, size, sizeof(size)), 0);
	CHECK_EQ(t, size[0], 200);
	CHECK_EQ(t, size[1], 60);
	rig_close(&r);
}

/* Multiport. */

static void send_control(struct rig *r, uint32_t id, uint16_t event, uint16_t value)
{
	const struct control m = { id, event, value, "" };

	print_on(r, CTX, &m, 8);
}

/* The next control message; its length, without more than 0 bytes if none comes. */
static ssize_t control(struct rig *r, struct control *m)
{
	memset(m, 0, sizeof(*m));
	return vhud_do(r->d, CRX, NULL, 0, m, sizeof(*m));
}

static bool expect(struct rig *r, uint32_t id, uint16_t event, uint16_t value, size_t extra)
{
	struct control m;
	ssize_t n = control(r, &m);

	if (n == (ssize_t)(8 + extra) && m.id == id && m.event == event && m.value == value)
		return true;
	printf("# got message of %zd bytes: port %u event %u value %u\n", n, m.id, m.event,
		m.value);
	return false;
}

static void open_multiport(struct tap *t, struct rig *r)
{
	rig_open(t, r, 8, "socket", "ports", "org.avp.one", "ports", "two=null");
	CHECK(t, vhud_negotiated(r->d) & F_MULTIPORT);
}

static void announce(struct tap *t, struct rig *r)
{
	send_control(r, UINT32_MAX, READY, 1);
	for (uint32_t i = 0; i < 3; i++)
		CHECK(t, expect(r, i, ADD, 1, 0));
}

static void ports_are_announced(struct tap *t)
{
	struct control m;
	struct rig r;

	open_multiport(t, &r);
	announce(t, &r);
	send_control(&r, 0, PORT_READY, 1);
	CHECK(t, expect(&r, 0, CONSOLE_PORT, 1, 0));
	CHECK_EQ(t, control(&r, &m), 12);
	CHECK(t, m.event == RESIZE && !memcmp(m.extra, "\x50\0\x19\0", 4)); /* 80x25 */
	CHECK(t, expect(&r, 0, OPEN, 1, 0));
	send_control(&r, 1, PORT_READY, 1);
	CHECK_EQ(t, control(&r, &m), 8 + 11);
	CHECK(t, m.id == 1 && m.event == NAME && !memcmp(m.extra, "org.avp.one", 11));
	CHECK(t, expect(&r, 1, OPEN, 0, 0)); /* nobody is attached */
	send_control(&r, 2, PORT_READY, 1);
	CHECK(t, expect(&r, 2, NAME, 1, 3));
	CHECK(t, expect(&r, 2, OPEN, 1, 0));
	/* A second READY adds no port twice; a new size is told. */
	send_control(&r, 0, READY, 1);
	send_size(t, &r, "100x30");
	CHECK(t, expect(&r, 0, RESIZE, 1, 4));
	rig_close(&r);
}

static void port_carries_data(struct tap *t)
{
	char buf[16];
	struct rig r;

	open_multiport(t, &r);
	announce(t, &r);
	int fd = attach(&r, ".org.avp.one");

	CHECK(t, fd >= 0);
	CHECK(t, expect(&r, 1, OPEN, 1, 0));
	CHECK(t, print_on(&r, TX1, "data", 4));
	CHECK(t, reads(fd, "data"));
	/* Nothing for a port that the guest has not open: its driver would throw it away. */
	CHECK_EQ(t, write(fd, "hello", 5), 5);
	struct iovec iov = { vhud_alloc(r.d, 64), 64 };
	uint32_t len = 0;

	CHECK_EQ(t, vhud_add(r.d, RX1, &iov, 0, 1, NULL), 0);
	vhud_kick(r.d, RX1);
	CHECK_EQ(t, vhud_wait(r.d, RX1, NULL, &len, 50), 0);
	send_control(&r, 1, OPEN, 1);
	CHECK_EQ(t, vhud_wait(r.d, RX1, NULL, &len, VHUD_TIMEOUT_MS), 1);
	CHECK_EQ(t, len, 5);
	CHECK(t, !memcmp(iov.iov_base, "hello", 5));
	close(fd);
	CHECK(t, expect(&r, 1, OPEN, 0, 0));
	/* Port 2 goes nowhere, and port 0 is another one. */
	CHECK(t, print_on(&r, TX2, "gone", 4));
	autoclose int con = attach(&r, "");

	send_control(&r, 0, OPEN, 1);
	CHECK_EQ(t, write(con, "zero", 4), 4);
	CHECK_EQ(t, input(&r, RX0, buf, sizeof(buf)), 4);
	rig_close(&r);
}

static void bad_control_messages_are_ignored(struct tap *t)
{
	static const struct control bad[] = {
		{ 3, PORT_READY, 1, "" },
		{ UINT32_MAX, OPEN, 1, "" },
		{ 0, ADD, 0, "" },
		{ 0, REMOVE, 0, "" },
		{ 1, CONSOLE_PORT, 1, "" },
		{ 1, RESIZE, 0, "" },
		{ 1, NAME, 0, "" },
		{ 1, 8, 1, "" },
		{ 1, UINT16_MAX, 1, "" },
		{ 1, PORT_READY, 0, "" },
		{ 0, READY, 0, "" },
	};
	struct iovec iov = { .iov_len = 7 }; /* too short for any message */
	struct rig r;

	open_multiport(t, &r);
	/* Before the ports exist, nothing may be said of them either. */
	send_control(&r, 1, PORT_READY, 1);
	announce(t, &r);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		send_control(&r, bad[i].id, bad[i].event, bad[i].value);
	iov.iov_base = vhud_alloc(r.d, sizeof(struct control));
	CHECK_EQ(t, vhud_add(r.d, CTX, &iov, 1, 0, NULL), 0);
	vhud_kick(r.d, CTX);
	CHECK_EQ(t, vhud_wait(r.d, CTX, NULL, NULL, VHUD_TIMEOUT_MS), 1);
	send_control(&r, 2, PORT_READY, 1);
	CHECK(t, expect(&r, 2, NAME, 1, 3));
	rig_close(&r);
}

/* Lines that this process wrote to standard error while fn(r) ran. */
static unsigned lines_logged(struct rig *r, void (*fn)(struct rig *r))
{
	autoclose int file = memfd_create("log", MFD_CLOEXEC);
	autoclose int saved = dup(STDERR_FILENO);
	unsigned lines = 0;
	char c;

	dup2(file, STDERR_FILENO);
	fn(r);
	dup2(saved, STDERR_FILENO);
	for (off_t at = 0; pread(file, &c, 1, at) == 1; at++)
		lines += c == '\n';
	return lines;
}

static void complain_a_lot(struct rig *r)
{
	for (unsigned i = 0; i < 200; i++) {
		send_control(r, 0, READY, 0);
		send_control(r, 1, PORT_READY, 0);
		send_control(r, 1, REMOVE, 0);
	}
}

static void guest_cannot_flood_the_log(struct tap *t)
{
	struct rig r;
	unsigned lines;

	open_multiport(t, &r);
	announce(t, &r);
	lines = lines_logged(&r, complain_a_lot);
	CHECK(t, lines > 0);
	CHECK(t, lines <= 100);
	rig_close(&r);
}

static void reset_announces_again(struct tap *t)
{
	struct rig r;

	open_multiport(t, &r);
	announce(t, &r);
	CHECK_EQ(t, vhud_reset(r.d), 0);
	CHECK_EQ(t, rig_start(&r), 0);
	announce(t, &r);
	rig_close(&r);
}

/* A framing that breaks a rule of the standard, on each kind of queue. */
static void broken_framing_needs_reset(struct tap *t)
{
	static const struct {
		unsigned q, n_out, n_in, len;
	} cases[] = {
		{ TX0, 0, 1, 64 },
		{ TX0, 1, 1, 64 },
		{ CTX, 1, 1, 8 },
		{ CRX, 0, 1, 7 },
		{ CRX, 1, 0, 64 },
		{ RX0, 1, 0, 64 },
		{ RX0, 1, 1, 64 },
		{ TX1, 0, 1, 64 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		open_multiport(t, &r);
		uint8_t *mem = vhud_alloc(r.d, 256);
		struct iovec iov[] = { { mem, cases[i].len }, { mem + 128, cases[i].len } };
		autoclose int fd = attach(&r, "");

		/* So that there is something for the receive queues. */
		send_control(&r, 0, READY, 1);
		send_control(&r, 0, OPEN, 1);
		CHECK_EQ(t, write(fd, "x", 1), 1);
		CHECK_EQ(t, vhud_add(r.d, cases[i].q, iov, cases[i].n_out, cases[i].n_in, NULL), 0);
		vhud_kick(r.d, cases[i].q);
		if (!CHECK(t, vhud_needs_reset(r.d)))
			printf("# case %u\n", i);
		rig_close(&r);
	}
}

/* Other host sides. */

static void pty_can_be_opened_and_reopened(struct tap *t)
{
	char buf[16];
	struct termios tio;
	struct stat st;
	struct rig r;

	rig_open(t, &r, 2, "pty", NULL, NULL, NULL, NULL);
	CHECK(t, !lstat(r.path, &st) && S_ISLNK(st.st_mode));
	CHECK(t, print(&r, "first\n"));
	for (int i = 0; i < 2; i++) {
		int fd = open(r.path, O_RDWR | O_NOCTTY);

		REQUIRE(t, fd >= 0);
		CHECK(t, !tcgetattr(fd, &tio) && !(tio.c_lflag & (ICANON | ECHO)));
		CHECK(t, reads(fd, "first\n"));
		CHECK_EQ(t, write(fd, "in\n", 3), 3);
		CHECK_EQ(t, input(&r, RX0, buf, sizeof(buf)), 3);
		close(fd);
	}
	vhud_close(r.d);
	r.d = NULL;
	rig_close(&r);
	CHECK(t, lstat(r.path, &st) < 0);
}

/* The close of one program and the opening by the next may be seen at different times. */
static void newcomer_on_a_pty_sees_the_past(struct tap *t)
{
	struct rig r;

	rig_open(t, &r, 2, "pty", NULL, NULL, NULL, NULL);
	CHECK(t, print(&r, "one\n"));
	autoclose int stays = open(r.path, O_RDWR | O_NOCTTY);
	autoclose int leaves = open(r.path, O_RDWR | O_NOCTTY);

	CHECK(t, reads(stays, "one\n"));
	close_fd(&leaves);
	CHECK(t, print(&r, "two\n") && print(&r, "three\n"));
	CHECK(t, reads(stays, "two\nthree\n"));
	autoclose int comes = open(r.path, O_RDWR | O_NOCTTY);

	CHECK(t, reads(comes, "one\ntwo\nthree\n"));
	rig_close(&r);
}

static void files_are_appended_to(struct tap *t)
{
	char log[80], text[64] = "";
	struct rig r;

	rig_open(t, &r, 2, "file", NULL, NULL, NULL, NULL);
	CHECK(t, print(&r, "one "));
	CHECK(t, print(&r, "two"));
	autoclose int fd = open(r.path, O_RDONLY);

	CHECK_EQ(t, read(fd, text, sizeof(text)), 7);
	CHECK(t, !strcmp(text, "one two"));
	rig_close(&r);
	snprintf(log, sizeof(log), "/tmp/avp-console-log-%d", (int)getpid());
	for (int i = 0; i < 2; i++) {
		rig_open(t, &r, 2, "socket", "log", log, NULL, NULL);
		CHECK(t, print(&r, i ? "again" : "once "));
		rig_close(&r);
	}
	autoclose int fd2 = open(log, O_RDONLY);

	memset(text, 0, sizeof(text));
	CHECK_EQ(t, read(fd2, text, sizeof(text)), 10);
	CHECK(t, !strcmp(text, "once again"));
	unlink(log);
}

/* The terminal of the process: raw while the device is there, as it was afterwards. */
static void terminal_is_the_host_side(struct tap *t)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), in = dup(0), out = dup(1), slave;
	struct termios before, during, after;
	char buf[16];
	struct rig r;

	REQUIRE(t, master >= 0 && !grantpt(master) && !unlockpt(master));
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	tcgetattr(slave, &before);
	fflush(stdout);
	dup2(slave, 0);
	dup2(slave, 1);
	rig_open(t, &r, 2, "stdio", NULL, NULL, NULL, NULL);
	dup2(in, 0);
	dup2(out, 1);
	CHECK(t, print(&r, "login: "));
	CHECK(t, reads(master, "login: "));
	tcgetattr(slave, &during);
	CHECK(t, !(during.c_lflag & (ICANON | ECHO)) && (during.c_lflag & ISIG));
	CHECK_EQ(t, write(master, "r", 1), 1); /* no line, no echo */
	CHECK_EQ(t, input(&r, RX0, buf, sizeof(buf)), 1);
	rig_close(&r);
	tcgetattr(slave, &after);
	CHECK_EQ(t, after.c_lflag, before.c_lflag);
	close(slave);
	close(master);
	close(in);
	close(out);
}

/* The whole as a process in its jail, with each host side that needs system calls of its own. */
static void works_in_the_jail(struct tap *t)
{
	static const char *const hosts[] = { "socket", "pty" };
	char buf[16];

	for (unsigned i = 0; i < ARRAY_LEN(hosts); i++) {
		struct vhud_proc p;
		struct rig r = { .nqueues = 2 };

		strcpy(r.dir, "/tmp/avp-console-XXXXXX");
		CHECK(t, mkdtemp(r.dir));
		snprintf(r.path, sizeof(r.path), "%s/con", r.dir);
		REQUIRE(t, !vhud_spawn(&p, "console", "--host", hosts[i], "--path", r.path, NULL));
		r.d = vhud_open(p.path);
		CHECK_EQ(t, rig_start(&r), 0);
		CHECK(t, print(&r, "early "));
		int fd = i ? open(r.path, O_RDWR | O_NOCTTY) : attach(&r, "");

		CHECK(t, reads(fd, "early "));
		CHECK_EQ(t, write(fd, "in", 2), 2);
		CHECK_EQ(t, input(&r, RX0, buf, sizeof(buf)), 2);
		CHECK(t, print(&r, "late"));
		CHECK(t, reads(fd, "late"));
		if (!i) {
			send_size(t, &r, "90x40");
			CHECK_EQ(t, vhud_config_changed(r.d, VHUD_TIMEOUT_MS), 1);
		}
		close(fd);
		CHECK(t, print(&r, "to nobody"));
		vhud_close(r.d);
		CHECK_EQ(t, vhud_spawn_end(&p), 0);
		remove_dir(r.dir);
	}
}

static void bad_keys_are_explained(struct tap *t)
{
	static const char *const bad[][4] = {
		{ "host", "socket", NULL, NULL }, /* without path */
		{ "host", "pty", "path", "/etc/passwd" },
		{ "host", "tape", NULL, NULL },
		{ "host", "null", "ports", "name" },
		{ "host", "null", "ports", "=socket:/tmp/x" },
		{ "host", "null", "ports", "a=stdio" },
		{ "host", "null", "ports", "a=tape:/tmp/x" },
		{ "host", "file", "path", "/nonexistent/folder/f" },
		{ "cols", "0", NULL, NULL },
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct vhud_server s;

		memset(&s, 0, sizeof(s));
		CHECK(t, vhud_serve(&s, &vdev_console, bad[i][0], bad[i][1], bad[i][2], bad[i][3],
				 NULL) < 0);
	}
}

static void no_descriptor_is_left(struct tap *t)
{
	unsigned before = vhud_count_fds();
	struct rig r;

	open_multiport(t, &r);
	autoclose int fd = attach(&r, "");

	CHECK(t, print(&r, "x") && reads(fd, "x"));
	close_fd(&fd);
	rig_close(&r);
	rig_open(t, &r, 2, "pty", NULL, NULL, NULL, NULL);
	rig_close(&r);
	CHECK_EQ(t, vhud_count_fds(), before);
}

int main(void)
{
	static const struct {
		const char *name;
		void (*fn)(struct tap *t);
	} cases[] = {
		{ "one port by default", one_port_by_default },
		{ "both ways over a socket", both_ways_over_a_socket },
		{ "late programs get the scrollback", late_programs_get_the_scrollback },
		{ "a slow program does not block the guest",
			slow_program_does_not_block_the_guest },
		{ "output to a full disk is counted", output_to_a_full_disk_is_counted },
		{ "a half-closed program reads on", half_closed_program_reads_on },
		{ "input waits for the guest", input_waits_for_the_guest },
		{ "emergency write works at any time", emergency_write_works_at_any_time },
		{ "the size reaches the guest", size_reaches_the_guest },
		{ "ports are announced", ports_are_announced },
		{ "a port carries data", port_carries_data },
		{ "bad control messages are ignored", bad_control_messages_are_ignored },
		{ "a guest cannot flood the log", guest_cannot_flood_the_log },
		{ "a reset announces again", reset_announces_again },
		{ "broken framing needs a reset", broken_framing_needs_reset },
		{ "a PTY can be opened and reopened", pty_can_be_opened_and_reopened },
		{ "a newcomer on a PTY sees the past", newcomer_on_a_pty_sees_the_past },
		{ "no descriptor is left", no_descriptor_is_left },
	};
	struct tap t = { 0 };
	char name[80];

	for (int packed = 0; packed < 2; packed++) {
		ring = packed ? PACKED : SPLIT;
		for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
			snprintf(name, sizeof(name), "%s: %s", packed ? "packed" : "split",
				cases[i].name);
			tap_run(&t, name, cases[i].fn);
		}
	}
	TAP_RUN(&t, files_are_appended_to);
	TAP_RUN(&t, terminal_is_the_host_side);
	TAP_RUN(&t, works_in_the_jail);
	TAP_RUN(&t, bad_keys_are_explained);
	return tap_done(&t);
}
