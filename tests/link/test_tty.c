/* SPDX-License-Identifier: BSD-3-Clause */
/* A console on a terminal device of the host (here the other end of a pseudo terminal): line
 * settings, bytes as they are, a guest that waits for the line, a device that goes and comes back.
 */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "devices/devices.h"
#include "host/tty.h"
#include "lib/vhud_server.h"
#include "tap.h"

#define RX 0
#define TX 1

/* A terminal device with a name of its own; the test is what is at its other end. */
struct line {
	char name[40]; /* a symbolic link to it */
	int master;
};

struct rig {
	struct line line;
	struct vhud_server srv;
	struct vhud *d;
};

static void line_make(struct tap *t, struct line *l)
{
	l->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	CHECK(t, l->master >= 0 && !grantpt(l->master) && !unlockpt(l->master));
	unlink(l->name);
	CHECK_EQ(t, symlink(ptsname(l->master), l->name), 0);
}

static int serve(struct tap *t, struct rig *r, const char *key, const char *value)
{
	memset(r, 0, sizeof(*r));
	snprintf(r->line.name, sizeof(r->line.name), "/tmp/avp-tty-%d", (int)getpid());
	line_make(t, &r->line);
	return vhud_serve(
		&r->srv, &vdev_console, "host", "tty", "path", r->line.name, key, value, NULL);
}

static void rig_open(struct tap *t, struct rig *r, const char *key, const char *value)
{
	CHECK_EQ(t, serve(t, r, key, value), 0);
	r->d = vhud_open(r->srv.path);
	CHECK_EQ(t, vhud_start(r->d, &(struct vhud_opts){ .nqueues = 2 }), 0);
}

static void rig_close(struct rig *r)
{
	vhud_close(r->d);
	vhud_serve_end(&r->srv);
	unlink(r->line.name);
	close(r->line.master);
}

/* Reads `n` bytes of what the guest sent. */
static bool reads(int fd, char *buf, size_t n)
{
	size_t got = 0;

	while (got < n) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t r = poll(&p, 1, VHUD_TIMEOUT_MS) == 1 ? read(fd, buf + got, n - got) : -1;

		if (r <= 0)
			return false;
		got += (size_t)r;
	}
	return true;
}

static void settings(struct tap *t)
{
	struct termios2 ti;
	struct rig r;

	rig_open(t, &r, "baud", "19230");
	CHECK_EQ(t, ioctl(r.line.master, TCGETS2, &ti), 0);
	CHECK_EQ(t, ti.c_ospeed, 19230);
	CHECK_EQ(t, ti.c_cflag & CSIZE, CS8);
	CHECK_EQ(t, ti.c_lflag, 0);
	CHECK_EQ(t, ti.c_oflag, 0);
	CHECK_EQ(t, ti.c_iflag, 0);
	rig_close(&r);
	rig_open(t, &r, "flow", "xonxoff");
	CHECK_EQ(t, ioctl(r.line.master, TCGETS2, &ti), 0);
	CHECK_EQ(t, ti.c_iflag, IXON | IXOFF);
	rig_close(&r);
}

/* What a device does not do is an error: a pseudo terminal has 8 bits and no parity. */
static void refused_settings(struct tap *t)
{
	static const char *const wrong[][2] = { { "bits", "7" }, { "parity", "even" } };

	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
		struct rig r;

		CHECK(t, serve(t, &r, wrong[i][0], wrong[i][1]) < 0);
		unlink(r.line.name);
		close(r.line.master);
	}
}

static void not_a_terminal(struct tap *t)
{
	struct vhud_server s;

	CHECK(t, vhud_serve(&s, &vdev_console, "host", "tty", "path", "/dev/null", NULL) < 0);
	CHECK(t, vhud_serve(&s, &vdev_console, "host", "tty", "path", "/nonexistent", NULL) < 0);
	CHECK(t, vhud_serve(&s, &vdev_console, "host", "tty", NULL) < 0);
}

/* All 256 values both ways, none of them special. */
static void bytes_are_bytes(struct tap *t)
{
	char all[256], buf[256];
	size_t got = 0;
	struct rig r;

	for (unsigned i = 0; i < 256; i++)
		all[i] = (char)i;
	rig_open(t, &r, NULL, NULL);
	CHECK_EQ(t, vhud_do(r.d, TX, all, sizeof(all), NULL, 0), 0);
	CHECK(t, reads(r.line.master, buf, sizeof(buf)));
	CHECK(t, !memcmp(buf, all, sizeof(all)));
	CHECK_EQ(t, write(r.line.master, all, sizeof(all)), 256);
	while (got < 256) {
		ssize_t n = vhud_do(r.d, RX, NULL, 0, buf + got, sizeof(buf) - got);

		REQUIRE(t, n > 0);
		got += (size_t)n;
	}
	CHECK(t, !memcmp(buf, all, sizeof(all)));
	rig_close(&r);
}

/* A line that takes no more holds the guest's request back; nothing is lost. */
static void the_guest_waits(struct tap *t)
{
	enum { LEN = 256 * 1024 };
	static char sent[LEN], got[LEN];
	struct iovec iov;
	struct rig r;

	for (unsigned i = 0; i < LEN; i++)
		sent[i] = (char)(i * 7 + (i >> 8));
	rig_open(t, &r, NULL, NULL);
	iov = (struct iovec){ vhud_alloc(r.d, LEN), LEN };
	REQUIRE(t, iov.iov_base);
	memcpy(iov.iov_base, sent, LEN);
	CHECK_EQ(t, vhud_add(r.d, TX, &iov, 1, 0, NULL), 0);
	vhud_kick(r.d, TX);
	CHECK_EQ(t, vhud_wait(r.d, TX, NULL, NULL, 200), 0);
	CHECK(t, reads(r.line.master, got, LEN));
	CHECK_EQ(t, vhud_wait(r.d, TX, NULL, NULL, VHUD_TIMEOUT_MS), 1);
	CHECK(t, !memcmp(got, sent, LEN));
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "dropped_bytes"), 0);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "lost_bytes"), 0);
	rig_close(&r);
}

/* A reset takes back what waits for the line, and the device goes on. */
static void reset_while_it_waits(struct tap *t)
{
	enum { LEN = 128 * 1024 };
	char buf[64];
	struct iovec iov;
	struct rig r;

	rig_open(t, &r, NULL, NULL);
	iov = (struct iovec){ vhud_alloc(r.d, LEN), LEN };
	REQUIRE(t, iov.iov_base);
	CHECK_EQ(t, vhud_add(r.d, TX, &iov, 1, 0, NULL), 0);
	vhud_kick(r.d, TX);
	CHECK_EQ(t, vhud_wait(r.d, TX, NULL, NULL, 100), 0);
	CHECK_EQ(t, vhud_reset(r.d), 0);
	CHECK(t, vhud_serve_metric(&r.srv, "lost_bytes") > 0);
	CHECK_EQ(t, vhud_start(r.d, &(struct vhud_opts){ .nqueues = 2 }), 0);
	CHECK_EQ(t, write(r.line.master, "on", 2), 2);
	CHECK_EQ(t, vhud_do(r.d, RX, NULL, 0, buf, sizeof(buf)), 2);
	rig_close(&r);
}

/* Unplugged: the guest's output goes nowhere, as on an open line; plugged in again it works. */
static void gone_and_back(struct tap *t)
{
	struct termios2 ti = { 0 };
	char buf[16];
	struct rig r;
	uint64_t until;

	rig_open(t, &r, "baud", "57600");
	CHECK_EQ(t, vhud_do(r.d, TX, "one", 3, NULL, 0), 0);
	CHECK(t, reads(r.line.master, buf, 3));
	close(r.line.master);
	unlink(r.line.name);
	until = ev_now_ns() + UINT64_C(10000000000);
	while (!vhud_serve_metric(&r.srv, "lost_bytes") && ev_now_ns() < until) {
		CHECK_EQ(t, vhud_do(r.d, TX, "x", 1, NULL, 0), 0);
		usleep(10000);
	}
	CHECK(t, vhud_serve_metric(&r.srv, "lost_bytes") > 0);
	line_make(t, &r.line);
	/* It is found and set up. */
	until = ev_now_ns() + UINT64_C(10000000000);
	while (!ioctl(r.line.master, TCGETS2, &ti) && ti.c_ospeed != 57600 && ev_now_ns() < until)
		usleep(10000);
	CHECK_EQ(t, ti.c_ospeed, 57600);
	CHECK_EQ(t, write(r.line.master, "back", 4), 4);
	CHECK_EQ(t, vhud_do(r.d, RX, NULL, 0, buf, sizeof(buf)), 4);
	CHECK(t, !memcmp(buf, "back", 4));
	CHECK_EQ(t, vhud_do(r.d, TX, "two", 3, NULL, 0), 0);
	CHECK(t, reads(r.line.master, buf, 3));
	CHECK(t, !memcmp(buf, "two", 3));
	rig_close(&r);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, settings);
	TAP_RUN(&t, refused_settings);
	TAP_RUN(&t, not_a_terminal);
	TAP_RUN(&t, bytes_are_bytes);
	TAP_RUN(&t, the_guest_waits);
	TAP_RUN(&t, reset_while_it_waits);
	TAP_RUN(&t, gone_and_back);
	return tap_done(&t);
}
