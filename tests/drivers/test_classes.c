/* SPDX-License-Identifier: BSD-3-Clause */
/* The classes of drivers/ against our own devices, over each transport and way to interrupt. */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "devices/devices.h"
#include "drivers/blk.h"
#include "drivers/can.h"
#include "drivers/console.h"
#include "drivers/gpio.h"
#include "drivers/i2c.h"
#include "drivers/input.h"
#include "drivers/net.h"
#include "drivers/rng.h"
#include "drivers/rtc.h"
#include "drivers/scmi.h"
#include "drivers/spi.h"
#include "drivers/vsock.h"
#include "machine.h"
#include "tap.h"

#define IMAGE_LEN (1u << 20)

static enum machine_kind kind; /* of this run of the cases */
static uint64_t hidden;	       /* features likewise */
static char dir[64];

/* The machine of this run, from now on. */
static struct machine *seen(struct machine *m)
{
	machine_hide(m, hidden);
	return m;
}

static const char *in_dir(char path[128], const char *name)
{
	snprintf(path, 128, "%s/%s", dir, name);
	return path;
}

static void rng(struct tap *t)
{
	struct machine *m = seen(machine_open(kind, &vdev_rng, NULL));
	struct drv_rng rng;
	uint8_t a[1000] = { 0 }, b[1000] = { 0 };
	unsigned zero = 0;

	REQUIRE(t, !drv_rng_open(&rng, m->dev));
	CHECK_EQ(t, drv_rng_read(&rng, a, sizeof(a), machine_until()), 0);
	CHECK_EQ(t, drv_rng_read(&rng, b, sizeof(b), machine_until()), 0);
	CHECK(t, memcmp(a, b, sizeof(a)));
	for (unsigned i = 0; i < sizeof(a); i++)
		zero += !a[i];
	CHECK(t, zero < 100);
	/* Opening again starts from the beginning. */
	CHECK_EQ(t, drv_rng_open(&rng, m->dev), 0);
	CHECK_EQ(t, drv_rng_read(&rng, a, 1, machine_until()), 0);
	machine_close(m);
}

static void rtc(struct tap *t)
{
	struct machine *m = seen(machine_open(kind, &vdev_rtc, "clocks", "monotonic,utc", NULL));
	struct drv_rtc_clock clock;
	uint64_t a, b, cycles;
	struct drv_rtc rtc;
	bool yes = true;
	uint16_t id;

	REQUIRE(t, !drv_rtc_open(&rtc, m->dev));
	CHECK_EQ(t, rtc.nclocks, 2);
	CHECK(t, rtc.alarms);
	CHECK_EQ(t, drv_rtc_clock(&rtc, 0, &clock), 0);
	CHECK(t, clock.type == VIRTIO_RTC_CLOCK_MONOTONIC && clock.alarm);
	CHECK_EQ(t, drv_rtc_clock(&rtc, 2, &clock), DRV_GONE);
	CHECK_EQ(t, drv_rtc_read(&rtc, 0, &a), 0);
	CHECK_EQ(t, drv_rtc_read(&rtc, 0, &b), 0);
	CHECK(t, a && b > a);
	CHECK_EQ(t, drv_rtc_cross(&rtc, 1, VIRTIO_RTC_COUNTER_X86_TSC, &yes), 0);
	CHECK(t, !yes);
	CHECK_EQ(t, drv_rtc_read_cross(&rtc, 1, VIRTIO_RTC_COUNTER_X86_TSC, &a, &cycles),
		DRV_UNSUPPORTED);
	/* More alarms than there are buffers for, one after the other. */
	for (unsigned i = 0; i < 10; i++) {
		CHECK_EQ(t, drv_rtc_read(&rtc, 0, &a), 0);
		CHECK_EQ(t, drv_rtc_set_alarm(&rtc, 0, a + 1000000, true), 0);
		CHECK_EQ(t, drv_rtc_expired(&rtc, &id, machine_until()), 0);
		CHECK_EQ(t, id, 0);
	}
	CHECK_EQ(t, drv_rtc_alarm(&rtc, 0, &b, &yes), 0);
	CHECK(t, b == a + 1000000 && yes);
	CHECK_EQ(t, drv_rtc_enable_alarm(&rtc, 0, false), 0);
	CHECK_EQ(t, drv_rtc_set_alarm(&rtc, 2, 0, false), DRV_GONE);
	machine_close(m);
}

static void can_sends(struct tap *t, struct drv_can *c)
{
	struct drv_can_frame f = { .id = 0x123, .len = 8, .data = { 1, 2, 3, 4, 5, 6, 7, 8 } };

	/* More than there are buffers. */
	for (unsigned i = 0; i < 40; i++)
		CHECK_EQ(t, drv_can_send(c, &f, machine_until()), 0);
	f = (struct drv_can_frame){ .id = 0x1fffffff, .flags = VIRTIO_CAN_FLAGS_EXTENDED };
	CHECK_EQ(t, drv_can_send(c, &f, machine_until()), 0);
	f.flags |= VIRTIO_CAN_FLAGS_RTR;
	CHECK_EQ(t, drv_can_send(c, &f, machine_until()), 0);
	f = (struct drv_can_frame){ .id = 1, .flags = VIRTIO_CAN_FLAGS_FD, .len = 64 };
	CHECK_EQ(t, drv_can_send(c, &f, machine_until()), 0);
	CHECK_EQ(t, drv_can_sync(c, machine_until()), 0);
	CHECK_EQ(t, c->sent, 43);
	f.len = 65;
	CHECK_EQ(t, drv_can_send(c, &f, 0), DRV_INVALID);
	f = (struct drv_can_frame){ .id = 0x800 };
	CHECK_EQ(t, drv_can_send(c, &f, 0), DRV_INVALID);
	f = (struct drv_can_frame){ .id = 1, .flags = 1 };
	CHECK_EQ(t, drv_can_send(c, &f, 0), DRV_INVALID);
	f.flags = VIRTIO_CAN_FLAGS_FD | VIRTIO_CAN_FLAGS_RTR;
	CHECK_EQ(t, drv_can_send(c, &f, 0), DRV_INVALID);
	f.flags = 0;
	CHECK_EQ(t, drv_can_stop(c), 0);
	CHECK_EQ(t, drv_can_send(c, &f, machine_until()), 0);
	CHECK_EQ(t, drv_can_sync(c, machine_until()), DRV_ERROR);
	CHECK_EQ(t, c->failed, 1);
}

/* What is received is played from a recording, which begins with the start. */
static void can(struct tap *t)
{
	static const char recording[] = "(1.0) can0 123#AABB\n(1.0) can0 1FFFFFFF#R4\n"
					"(1.0) can0 7FF##1000102030405060708090A0B\n";
	struct drv_can_frame f;
	struct machine *m;
	struct drv_can c;
	char path[128];
	bool off = true;
	FILE *file = fopen(in_dir(path, "drive.log"), "w");

	if (!file || fputs(recording, file) < 0 || fclose(file))
		exit(1);
	m = seen(machine_open(kind, &vdev_can, "replay", path, "bitrate", "1000000", NULL));
	REQUIRE(t, !drv_can_open(&c, m->dev));
	CHECK_EQ(t, drv_can_bus_off(&c, &off), 0);
	CHECK(t, !off);
	CHECK_EQ(t, drv_can_recv(&c, &f, 0), DRV_TIMEOUT);
	CHECK_EQ(t, drv_can_start(&c), 0);
	CHECK_EQ(t, drv_can_recv(&c, &f, machine_until()), 0);
	CHECK(t, f.id == 0x123 && !f.flags && f.len == 2 && f.data[0] == 0xaa && f.data[1] == 0xbb);
	CHECK_EQ(t, drv_can_recv(&c, &f, machine_until()), 0);
	CHECK(t, f.id == 0x1fffffff && f.len == 4);
	CHECK_EQ(t, f.flags, VIRTIO_CAN_FLAGS_EXTENDED | VIRTIO_CAN_FLAGS_RTR);
	CHECK_EQ(t, drv_can_recv(&c, &f, machine_until()), 0);
	CHECK(t, f.flags == VIRTIO_CAN_FLAGS_FD && f.len == 12 && f.data[11] == 11);
	can_sends(t, &c);
	machine_close(m);
}

static void scmi_commands(struct tap *t, struct drv_scmi *s)
{
	uint32_t version = 0, ret[DRV_SCMI_WORDS];
	uint64_t rate = 0;

	CHECK_EQ(t, drv_scmi_version(s, DRV_SCMI_CLOCK, &version, machine_until()), 0);
	CHECK_EQ(t, version, 0x30000);
	CHECK_EQ(t, drv_scmi_clock_rate(s, 0, &rate, machine_until()), 0);
	CHECK_EQ(t, rate, 24000000);
	CHECK_EQ(t, drv_scmi_clock_set(s, 0, 48000000, machine_until()), 0);
	CHECK_EQ(t, drv_scmi_clock_rate(s, 0, &rate, machine_until()), 0);
	CHECK_EQ(t, rate, 48000000);
	CHECK_EQ(t, drv_scmi_clock_enable(s, 0, true, machine_until()), 0);
	CHECK_EQ(t, drv_scmi_perf_set(s, 0, 800, machine_until()), 0);
	CHECK_EQ(t, drv_scmi_perf_set(s, 0, 900, machine_until()), DRV_ERROR);
	CHECK_EQ(t, s->status, -5);
	CHECK_EQ(t, drv_scmi_power_set(s, 1, true, machine_until()), DRV_ERROR);
	CHECK_EQ(t, s->status, -4);
	CHECK_EQ(t, drv_scmi_do(s, 0x10, 6, ret, DRV_SCMI_WORDS + 1, ret, 1, 0), DRV_INVALID);
}

/* A delayed response, while other messages come. */
static void scmi_events(struct tap *t, struct drv_scmi *s)
{
	const uint32_t all[] = { 0, 1 }, later[] = { 1, 0, 24000000, 0 };
	uint32_t ret[3] = { 7, 7, 7 };
	struct drv_scmi_event e;

	CHECK_EQ(t, drv_scmi_do(s, DRV_SCMI_CLOCK, 9, all, 2, NULL, 0, machine_until()), 0);
	CHECK_EQ(t, drv_scmi_event(s, &e, 0), DRV_TIMEOUT);
	CHECK_EQ(
		t, drv_scmi_do_delayed(s, DRV_SCMI_CLOCK, 5, later, 4, ret, 3, machine_until()), 0);
	CHECK(t, ret[0] == 0 && ret[1] == 24000000 && ret[2] == 0);
	CHECK_EQ(t, drv_scmi_event(s, &e, machine_until()), 0);
	CHECK_EQ(t, e.type, DRV_SCMI_NOTIFICATION);
	CHECK(t, e.protocol == DRV_SCMI_CLOCK && e.message == 0 && e.n == 4);
	CHECK(t, e.word[0] == 1 && e.word[2] == 24000000);
	/* More than there are buffers. */
	for (unsigned i = 0; i < 40; i++) {
		CHECK_EQ(t, drv_scmi_clock_set(s, 0, i & 1 ? 24000000 : 48000000, machine_until()),
			0);
		CHECK_EQ(t, drv_scmi_event(s, &e, machine_until()), 0);
	}
}

static void scmi(struct tap *t)
{
	struct machine *m = seen(
		machine_open(kind, &vdev_scmi, "clocks", "uart rates=24000000/48000000 latency=5ms",
			"perf", "cpu levels=400/800", "power-domains", "gpu", NULL));
	struct drv_scmi s;

	REQUIRE(t, !drv_scmi_open(&s, m->dev));
	scmi_commands(t, &s);
	scmi_events(t, &s);
	/* Opening again starts from the beginning: nothing is subscribed. */
	CHECK_EQ(t, drv_scmi_open(&s, m->dev), 0);
	CHECK_EQ(t, drv_scmi_clock_set(&s, 0, 48000000, machine_until()), 0);
	struct drv_scmi_event e;

	CHECK_EQ(t, drv_scmi_event(&s, &e, 0), DRV_TIMEOUT);
	machine_close(m);
}

static struct machine *open_disk(struct drv_blk *b, const char *key, const char *value)
{
	char path[128];
	int fd = open(in_dir(path, "image"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct machine *m;

	if (fd < 0 || ftruncate(fd, IMAGE_LEN))
		exit(1);
	close(fd);
	m = seen(machine_open(kind, &vdev_blk, "image", path, "serial", "drv-1", key, value, NULL));
	return m;
}

static void blk(struct tap *t)
{
	struct drv_blk b;
	struct machine *m = open_disk(&b, NULL, NULL);
	uint8_t *w = machine_buf(m), *r = w + 65536;
	char id[21];

	REQUIRE(t, !drv_blk_open(&b, m->dev));
	CHECK_EQ(t, b.capacity, IMAGE_LEN / 512);
	for (unsigned i = 0; i < 65536; i++)
		w[i] = (uint8_t)(i * 7 + i / 251);
	CHECK_EQ(t, drv_blk_write(&b, 8, w, 65536), 0);
	CHECK_EQ(t, drv_blk_flush(&b), 0);
	CHECK_EQ(t, drv_blk_read(&b, 8, r, 65536), 0);
	CHECK(t, !memcmp(w, r, 65536));
	/* In several requests. */
	b.max_bytes = 1536;
	memset(r, 0, 65536);
	CHECK_EQ(t, drv_blk_read(&b, 8, r, 65536), 0);
	CHECK(t, !memcmp(w, r, 65536));
	CHECK_EQ(t, drv_blk_id(&b, id), 0);
	CHECK(t, !strcmp(id, "drv-1"));
	b.max_zeroes = 3;
	CHECK_EQ(t, drv_blk_range(&b, VIRTIO_BLK_T_WRITE_ZEROES, 9, 8, true), 0);
	CHECK_EQ(t, drv_blk_read(&b, 8, r, 65536), 0);
	CHECK(t, !memcmp(w, r, 512) && !memcmp(w + 9 * 512, r + 9 * 512, 512));
	for (unsigned i = 512; i < 9 * 512; i++)
		CHECK_EQ(t, r[i], 0);
	CHECK_EQ(t, drv_blk_range(&b, VIRTIO_BLK_T_DISCARD, 0, 16, false), 0);
	CHECK_EQ(t, drv_blk_range(&b, VIRTIO_BLK_T_DISCARD, 0, 16, true), DRV_INVALID);
	CHECK_EQ(t, drv_blk_refresh(&b), 0);
	CHECK_EQ(t, b.capacity, IMAGE_LEN / 512);
	machine_close(m);
}

static void blk_limits(struct tap *t)
{
	struct drv_blk b;
	struct drv_blk_lifetime l;
	struct machine *m = open_disk(&b, NULL, NULL);
	uint8_t *buf = machine_buf(m), outside[512];

	REQUIRE(t, !drv_blk_open(&b, m->dev));
	CHECK_EQ(t, drv_blk_read(&b, IMAGE_LEN / 512 - 1, buf, 512), 0);
	CHECK_EQ(t, drv_blk_read(&b, IMAGE_LEN / 512 - 1, buf, 1024), DRV_INVALID);
	CHECK_EQ(t, drv_blk_read(&b, UINT64_MAX, buf, 512), DRV_INVALID);
	CHECK_EQ(t, drv_blk_read(&b, 0, buf, 511), DRV_INVALID);
	CHECK_EQ(t, drv_blk_read(&b, 0, outside, 512), DRV_INVALID); /* no device reaches it */
	CHECK_EQ(t, drv_blk_lifetime(&b, &l), DRV_UNSUPPORTED);
	CHECK_EQ(t, drv_blk_range(&b, VIRTIO_BLK_T_SECURE_ERASE, 0, 1, false), DRV_UNSUPPORTED);
	/* Past the driver's own check, the device says no. */
	b.capacity *= 2;
	CHECK_EQ(t, drv_blk_read(&b, IMAGE_LEN / 512, buf, 512), DRV_ERROR);
	CHECK_EQ(t, drv_blk_read(&b, 0, buf, 512), 0);
	machine_close(m);

	m = open_disk(&b, "readonly", "true");
	REQUIRE(t, !drv_blk_open(&b, m->dev));
	CHECK(t, b.read_only);
	CHECK_EQ(t, drv_blk_write(&b, 0, machine_buf(m), 512), DRV_REFUSED);
	b.read_only = false;
	CHECK_EQ(t, drv_blk_write(&b, 0, machine_buf(m), 512), DRV_ERROR);
	machine_close(m);
}

static void count_done(struct drv_blk_op *op)
{
	++*(unsigned *)op->ctx;
}

static void blk_async(struct tap *t)
{
	struct drv_blk b;
	struct machine *m = open_disk(&b, NULL, NULL);
	struct drv_blk_op ops[64] = { 0 };
	unsigned done = 0, full = 0;

	REQUIRE(t, !drv_blk_open(&b, m->dev));
	for (unsigned i = 0; i < 64; i++) {
		int r;

		ops[i] = (struct drv_blk_op){ .type = i & 1 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
			.len = 512,
			.sector = i / 2,
			.buf = machine_buf(m) + i * 512,
			.done = count_done,
			.ctx = &done };
		while ((r = drv_blk_submit(&b, &ops[i])) == DRV_FULL) {
			full++;
			CHECK_EQ(t, drv_blk_poll(&b, machine_until()), 0);
		}
		CHECK_EQ(t, r, 0);
	}
	/* A synchronous request finishes others on the way. */
	CHECK_EQ(t, drv_blk_flush(&b), 0);
	while (done < 64 && !drv_blk_poll(&b, machine_until()))
		;
	CHECK_EQ(t, done, 64);
	CHECK(t, full > 0);
	for (unsigned i = 0; i < 64; i++)
		CHECK(t, ops[i].finished && !ops[i].result);
	CHECK_EQ(t, drv_blk_poll(&b, 0), DRV_TIMEOUT);
	machine_close(m);
}

static int listen_on(const char *path, int type)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 1))
		exit(1);
	return fd;
}

static int attach(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		exit(1);
	return fd;
}

/* All of len bytes, within the time limit. */
static bool gets_bytes(int fd, void *buf, size_t len)
{
	for (size_t n = 0; n < len;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t got = poll(&p, 1, 10000) == 1 ? read(fd, (char *)buf + n, len - n) : -1;

		if (got <= 0)
			return false;
		n += (size_t)got;
	}
	return true;
}

static void console(struct tap *t)
{
	char path[128], back[700], big[700];
	struct machine *m =
		seen(machine_open(kind, &vdev_console, "path", in_dir(path, "con"), NULL));
	struct drv_console c;
	uint16_t cols, rows;
	uint32_t len = 0;
	int fd = attach(path);

	memset(big, 'x', sizeof(big));
	REQUIRE(t, !drv_console_open(&c, m->dev, 1));
	CHECK_EQ(t, drv_console_write(&c, 0, "hello", 5), 0);
	CHECK(t, gets_bytes(fd, back, 5) && !memcmp(back, "hello", 5));
	CHECK_EQ(t, drv_console_write(&c, 0, big, sizeof(big)), 0);
	CHECK(t, gets_bytes(fd, back, sizeof(big)) && !memcmp(back, big, sizeof(big)));
	CHECK_EQ(t, write(fd, "world", 5), 5);
	CHECK_EQ(t, drv_console_read(&c, 0, back, 2, &len, machine_until()), 0);
	CHECK_EQ(t, len, 2);
	CHECK_EQ(t, drv_console_read(&c, 0, back + 2, 100, &len, machine_until()), 0);
	CHECK(t, len == 3 && !memcmp(back, "world", 5));
	CHECK_EQ(t, drv_console_read(&c, 0, back, 1, &len, 0), DRV_TIMEOUT);
	CHECK_EQ(t, drv_console_size(&c, 0, &cols, &rows), 0);
	CHECK_EQ(t, cols, 80);
	CHECK_EQ(t, rows, 25);
	CHECK_EQ(t, drv_console_write(&c, 1, "x", 1), DRV_GONE);
	CHECK_EQ(t, drv_console_port_open(&c, 0, true), DRV_UNSUPPORTED);
	CHECK_EQ(t, drv_reset(m->dev), 0);
	CHECK_EQ(t, drv_console_emergency(m->dev, '!'), 0);
	CHECK(t, gets_bytes(fd, back, 1) && back[0] == '!');
	close(fd);
	machine_close(m);
}

static void console_ports(struct tap *t)
{
	char path[128], other[140], back[100];
	struct machine *m = seen(machine_open(
		kind, &vdev_console, "path", in_dir(path, "con"), "ports", "diag,spare", NULL));
	struct drv_console c;
	uint64_t until = machine_until();
	uint32_t len;
	int fd;

	REQUIRE(t, !drv_console_open(&c, m->dev, DRV_CONSOLE_PORTS));
	CHECK_EQ(t, c.nports, 3);
	while (!(c.ports[0].console && c.ports[2].name[0]) && drv_now(m->dev) < until)
		CHECK_EQ(t, drv_console_poll(&c), 0);
	REQUIRE(t, c.ports[0].exists && c.ports[1].exists && c.ports[2].exists);
	CHECK(t, !strcmp(c.ports[1].name, "diag") && !strcmp(c.ports[2].name, "spare"));
	CHECK_EQ(t, drv_console_port_open(&c, 1, true), 0);
	snprintf(other, sizeof(other), "%s.diag", path);
	fd = attach(other);
	while (!c.ports[1].host_open && drv_now(m->dev) < until)
		CHECK_EQ(t, drv_console_poll(&c), 0);
	CHECK(t, c.ports[1].host_open && !c.ports[2].host_open);
	CHECK_EQ(t, drv_console_write(&c, 1, "to diag", 7), 0);
	CHECK(t, gets_bytes(fd, back, 7) && !memcmp(back, "to diag", 7));
	CHECK_EQ(t, write(fd, "ok", 2), 2);
	CHECK_EQ(t, drv_console_read(&c, 1, back, sizeof(back), &len, until), 0);
	CHECK(t, len == 2 && !memcmp(back, "ok", 2));
	close(fd);
	while (c.ports[1].host_open && drv_now(m->dev) < until)
		CHECK_EQ(t, drv_console_poll(&c), 0);
	CHECK(t, !c.ports[1].host_open);
	machine_close(m);
}

/* The test is passt: frames with their length before them, big-endian. */
static bool gets_frame(int fd, uint8_t *frame, uint32_t len)
{
	uint8_t n[4];

	return gets_bytes(fd, n, 4) && n[2] == len >> 8 && n[3] == (len & 0xff) &&
	       gets_bytes(fd, frame, len);
}

static void sends_frame(int fd, const uint8_t *frame, uint32_t len)
{
	uint8_t n[4] = { 0, 0, (uint8_t)(len >> 8), (uint8_t)len };

	if (write(fd, n, 4) != 4 || write(fd, frame, len) != (ssize_t)len)
		exit(1);
}

static void net_mtu(struct tap *t, const char *mtu, uint32_t len)
{
	static uint8_t frame[20000], back[20000];
	char path[128];
	int fd, listener = listen_on(in_dir(path, "passt"), SOCK_STREAM);
	struct machine *m = seen(machine_open(kind, &vdev_net, "passt-socket", path, "mtu", mtu,
		"mac", "02:00:00:00:00:05", "queues", "2", NULL));
	struct drv_net n;
	uint32_t got = 0;
	uint16_t status = 0;

	fd = accept(listener, NULL, NULL);
	close(listener);
	REQUIRE(t, !drv_net_open(&n, m->dev, 1, 0));
	CHECK_EQ(t, n.mtu, atoi(mtu));
	CHECK_EQ(t, n.mac[5], 5);
	CHECK_EQ(t, drv_net_status(&n, &status), 0);
	CHECK(t, status & VIRTIO_NET_S_LINK_UP);
	for (unsigned i = 0; i < len; i++)
		frame[i] = (uint8_t)(i * 3);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, n.mac, 6);
	frame[12] = 8;
	frame[13] = 0;
	/* More than there are buffers, so that each is used again. */
	for (unsigned i = 0; i < 100; i++) {
		frame[20] = (uint8_t)i;
		CHECK_EQ(t, drv_net_send(&n, 0, frame, len, machine_until()), 0);
		REQUIRE(t, gets_frame(fd, back, len));
		CHECK(t, !memcmp(frame, back, len));
		sends_frame(fd, frame, len);
		REQUIRE(t, !drv_net_recv(&n, 0, back, sizeof(back), &got, machine_until()));
		CHECK_EQ(t, got, len);
		CHECK(t, !memcmp(frame, back, len));
	}
	CHECK_EQ(t, drv_net_send(&n, 0, frame, len + 1, 0), DRV_INVALID);
	CHECK_EQ(t, drv_net_send(&n, 0, frame, 13, 0), DRV_INVALID);
	sends_frame(fd, frame, len);
	CHECK_EQ(t, drv_net_recv(&n, 0, back, len - 1, &got, machine_until()), DRV_NO_MEMORY);
	CHECK_EQ(t, n.dropped, 1);
	CHECK_EQ(t, drv_net_recv(&n, 0, back, len, &got, 0), DRV_TIMEOUT);
	close(fd);
	machine_close(m);
}

static void net(struct tap *t)
{
	net_mtu(t, "1500", 1514);
}

/* Frames of several buffers. */
static void net_jumbo(struct tap *t)
{
	net_mtu(t, "9000", 9014);
}

static void net_control(struct tap *t)
{
	static const uint8_t macs[3][6] = { { 2, 1 }, { 2, 2 }, { 1, 0, 0x5e } };
	char path[128];
	int listener = listen_on(in_dir(path, "passt"), SOCK_STREAM);
	struct machine *m =
		seen(machine_open(kind, &vdev_net, "passt-socket", path, "queues", "4", NULL));
	struct drv_net n;

	REQUIRE(t, !drv_net_open(&n, m->dev, 2, 8));
	CHECK_EQ(t, n.pairs, 2);
	CHECK_EQ(t, drv_net_set_mac(&n, macs[0]), 0);
	CHECK_EQ(t, drv_net_rx_mode(&n, VIRTIO_NET_CTRL_RX_PROMISC, true), 0);
	CHECK_EQ(t, drv_net_rx_mode(&n, VIRTIO_NET_CTRL_RX_NOBCAST, false), 0);
	CHECK_EQ(t, drv_net_vlan(&n, 5, true), 0);
	CHECK_EQ(t, drv_net_vlan(&n, 5, false), 0);
	CHECK_EQ(t, drv_net_mac_table(&n, macs, 2, 1), 0);
	CHECK_EQ(t, drv_net_mac_table(&n, macs, 0, 0), 0);
	CHECK_EQ(t, drv_net_mac_table(&n, macs, 100, UINT32_MAX - 50), DRV_INVALID);
	CHECK_EQ(t, drv_net_ctrl(&n, 99, 0, NULL, 0), DRV_ERROR);
	CHECK_EQ(t, drv_net_ctrl(&n, VIRTIO_NET_CTRL_MQ, 0, "\0", 2), DRV_ERROR);
	close(listener);
	machine_close(m);
}

/* The host's end of a connection that the guest makes to this port. */
static int host_end(int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	int fd = poll(&p, 1, 10000) == 1 ? accept(listener, NULL, NULL) : -1;

	close(listener);
	return fd;
}

static void vsock(struct tap *t)
{
	static uint8_t memory[2][8192], out[100000], back[100000];
	char path[128], port[140], line[64];
	struct machine *m =
		seen(machine_open(kind, &vdev_vsock, "cid", "9", "uds", in_dir(path, "vs"), NULL));
	struct drv_vsock_conn c = { .buf = memory[0], .size = sizeof(memory[0]) };
	struct drv_vsock_conn d = { .buf = memory[1], .size = sizeof(memory[1]) };
	struct drv_vsock v;
	uint32_t len = 0, n = 0;
	int fd, listener;

	REQUIRE(t, !drv_vsock_open(&v, m->dev));
	CHECK_EQ(t, v.cid, 9);
	snprintf(port, sizeof(port), "%s_77", path);
	CHECK_EQ(t, drv_vsock_connect(&v, &c, 2, 78, 1, machine_until()), DRV_REFUSED);
	CHECK_EQ(t, drv_vsock_connect(&v, &c, 2, 78, 3, machine_until()), DRV_UNSUPPORTED);
	listener = listen_on(port, SOCK_STREAM);
	REQUIRE(t, !drv_vsock_connect(&v, &c, 2, 77, 1, machine_until()));
	fd = host_end(listener);
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 5 + i / 253);
	CHECK_EQ(t, drv_vsock_send(&c, out, sizeof(out), machine_until()), 0);
	CHECK(t, gets_bytes(fd, back, sizeof(back)) && !memcmp(out, back, sizeof(out)));
	/* Much more than the receive buffer: credit has to be given again and again. */
	CHECK_EQ(t, write(fd, out, sizeof(out)), sizeof(out));
	memset(back, 0, sizeof(back));
	for (n = 0; n < sizeof(back); n += len)
		REQUIRE(t, !drv_vsock_recv(&c, back + n, sizeof(back) - n, &len, machine_until()) &&
				   len);
	CHECK(t, !memcmp(out, back, sizeof(out)));
	CHECK_EQ(t, drv_vsock_recv(&c, back, 1, &len, 0), DRV_TIMEOUT);

	/* The other way round, meanwhile. */
	CHECK_EQ(t, drv_vsock_listen(&v, &d, 5, 1), 0);
	listener = attach(path);
	CHECK_EQ(t, write(listener, "CONNECT 5\n", 10), 10);
	CHECK_EQ(t, drv_vsock_accept(&d, machine_until()), 0);
	CHECK(t, gets_bytes(listener, line, 3) && !memcmp(line, "OK ", 3));
	while (gets_bytes(listener, line, 1) && line[0] != '\n')
		;
	CHECK_EQ(t, write(listener, "abc", 3), 3);
	CHECK_EQ(t, drv_vsock_recv(&d, back, 100, &len, machine_until()), 0);
	CHECK(t, len == 3 && !memcmp(back, "abc", 3));
	CHECK_EQ(t, drv_vsock_shutdown(&d, DRV_VSOCK_SHUT_SEND), 0);
	CHECK_EQ(t, read(listener, line, 1), 0);
	CHECK_EQ(t, drv_vsock_send(&d, "x", 1, machine_until()), DRV_GONE);
	close(listener);
	CHECK_EQ(t, drv_vsock_recv(&d, back, 1, &len, machine_until()), 0);
	CHECK_EQ(t, len, 0);

	CHECK_EQ(t, drv_vsock_send(&c, "!", 1, machine_until()), 0);
	CHECK_EQ(t, drv_vsock_close(&c, machine_until()), 0);
	CHECK_EQ(t, c.state, DRV_VSOCK_CLOSED);
	CHECK(t, gets_bytes(fd, line, 1) && read(fd, line, 1) == 0);
	close(fd);
	drv_vsock_close(&d, machine_until());
	CHECK(t, !v.conns && !v.bad_packets);
	machine_close(m);
}

static void vsock_messages(struct tap *t)
{
	static uint8_t memory[8192], out[6000], back[6000];
	char path[128], port[160];
	struct machine *m =
		seen(machine_open(kind, &vdev_vsock, "cid", "9", "uds", in_dir(path, "vs"), NULL));
	struct drv_vsock_conn c = { .buf = memory, .size = sizeof(memory) };
	struct drv_vsock v;
	uint32_t len = 0;
	int fd, listener;

	snprintf(port, sizeof(port), "%s_77", path);
	listener = listen_on(port, SOCK_SEQPACKET);
	REQUIRE(t, !drv_vsock_open(&v, m->dev));
	REQUIRE(t, !drv_vsock_connect(&v, &c, 2, 77, 2, machine_until()));
	fd = host_end(listener);
	memset(out, 'm', sizeof(out));
	CHECK_EQ(t, drv_vsock_send(&c, out, sizeof(out), machine_until()), 0);
	CHECK_EQ(t, drv_vsock_send(&c, "2nd", 3, machine_until()), 0);
	CHECK_EQ(t, recv(fd, back, sizeof(back), 0), sizeof(back));
	CHECK_EQ(t, recv(fd, back, sizeof(back), 0), 3);
	/* More messages than can be remembered; they wait. */
	for (unsigned i = 0; i < 40; i++)
		CHECK_EQ(t, send(fd, out, i + 1, 0), i + 1);
	for (unsigned i = 0; i < 40; i++) {
		CHECK_EQ(t, drv_vsock_poll(&v), 0);
		CHECK_EQ(t, drv_vsock_recv(&c, back, sizeof(back), &len, machine_until()), 0);
		CHECK_EQ(t, len, i + 1);
	}
	CHECK_EQ(t, send(fd, out, 5000, 0), 5000);
	CHECK_EQ(t, drv_vsock_recv(&c, back, 10, &len, machine_until()), DRV_NO_MEMORY);
	CHECK_EQ(t, len, 10);
	close(fd);
	CHECK_EQ(t, drv_vsock_recv(&c, back, 10, &len, machine_until()), DRV_GONE);
	drv_vsock_close(&c, machine_until());
	CHECK(t, !v.conns);
	machine_close(m);
}

static void gpio(struct tap *t)
{
	struct machine *m = seen(machine_open(kind, &vdev_gpio, "lines",
		"lamp wire:w,gap 2,see wire:w,- sim =1 in,also wire:w", NULL));
	struct drv_gpio g;
	uint8_t direction = 9;
	uint16_t lamp, see, also, line = 0;
	bool high = true;

	REQUIRE(t, !drv_gpio_open(&g, m->dev));
	CHECK_EQ(t, g.nlines, 6);
	CHECK_EQ(t, drv_gpio_find(&g, "lamp", &lamp), 0);
	CHECK_EQ(t, drv_gpio_find(&g, "see", &see), 0);
	CHECK_EQ(t, drv_gpio_find(&g, "also", &also), 0);
	CHECK(t, lamp == 0 && see == 3 && also == 5);
	CHECK_EQ(t, drv_gpio_find(&g, "se", &line), DRV_GONE);
	CHECK_EQ(t, drv_gpio_find(&g, "seen", &line), DRV_GONE);
	CHECK_EQ(t, drv_gpio_get(&g, 4, &high), 0);
	CHECK(t, high);
	CHECK_EQ(t, drv_gpio_get(&g, 6, &high), DRV_INVALID);
	CHECK_EQ(t, drv_gpio_get(&g, 1, &high), DRV_ERROR);
	CHECK_EQ(t, drv_gpio_output(&g, 4, true), DRV_ERROR);
	CHECK_EQ(t, drv_gpio_direction(&g, lamp, &direction), 0);
	CHECK_EQ(t, direction, VIRTIO_GPIO_DIRECTION_NONE);
	CHECK_EQ(t, drv_gpio_output(&g, lamp, false), 0);
	CHECK_EQ(t, drv_gpio_direction(&g, lamp, &direction), 0);
	CHECK_EQ(t, direction, VIRTIO_GPIO_DIRECTION_OUT);
	CHECK_EQ(t, drv_gpio_set_direction(&g, see, VIRTIO_GPIO_DIRECTION_IN), 0);
	/* Two lines that see the same edge. */
	CHECK_EQ(t, drv_gpio_irq(&g, see, VIRTIO_GPIO_IRQ_TYPE_EDGE_RISING), 0);
	CHECK_EQ(t, drv_gpio_irq(&g, also, VIRTIO_GPIO_IRQ_TYPE_EDGE_BOTH), 0);
	CHECK_EQ(t, drv_gpio_irq(&g, also, 7), DRV_ERROR);
	CHECK_EQ(t, drv_gpio_irq(&g, lamp, VIRTIO_GPIO_IRQ_TYPE_EDGE_BOTH), DRV_ERROR);
	CHECK_EQ(t, drv_gpio_wait(&g, &line, 0), DRV_TIMEOUT);
	for (unsigned i = 0; i < 50; i++) {
		CHECK_EQ(t, drv_gpio_set(&g, lamp, true), 0);
		CHECK_EQ(t, drv_gpio_wait(&g, &line, machine_until()), 0);
		CHECK_EQ(t, line, see);
		CHECK_EQ(t, drv_gpio_unmask(&g, line), 0);
		CHECK_EQ(t, drv_gpio_wait(&g, &line, machine_until()), 0);
		CHECK_EQ(t, line, also);
		CHECK_EQ(t, drv_gpio_unmask(&g, line), 0);
		CHECK_EQ(t, drv_gpio_unmask(&g, line), 0);
		CHECK_EQ(t, drv_gpio_set(&g, lamp, false), 0);
		CHECK_EQ(t, drv_gpio_wait(&g, &line, machine_until()), 0);
		CHECK_EQ(t, line, also);
		CHECK_EQ(t, drv_gpio_unmask(&g, line), 0);
	}
	/* Disabled: nothing comes, not even what had come. */
	CHECK_EQ(t, drv_gpio_set(&g, lamp, true), 0);
	CHECK_EQ(t, drv_gpio_irq(&g, also, 0), 0);
	CHECK_EQ(t, drv_gpio_wait(&g, &line, machine_until()), 0);
	CHECK_EQ(t, line, see);
	CHECK_EQ(t, drv_gpio_irq(&g, see, 0), 0);
	CHECK_EQ(t, drv_gpio_set(&g, lamp, false), 0);
	CHECK_EQ(t, drv_gpio_wait(&g, &line, 0), DRV_TIMEOUT);
	/* And again, with a level. */
	CHECK_EQ(t, drv_gpio_irq(&g, also, VIRTIO_GPIO_IRQ_TYPE_LEVEL_LOW), 0);
	CHECK_EQ(t, drv_gpio_wait(&g, &line, machine_until()), 0);
	CHECK_EQ(t, drv_gpio_set(&g, lamp, true), 0);
	CHECK_EQ(t, drv_gpio_unmask(&g, also), 0);
	CHECK_EQ(t, drv_gpio_wait(&g, &line, 0), DRV_TIMEOUT);
	/* Opening again starts from the beginning. */
	CHECK_EQ(t, drv_gpio_open(&g, m->dev), 0);
	CHECK_EQ(t, drv_gpio_direction(&g, lamp, &direction), 0);
	CHECK_EQ(t, direction, VIRTIO_GPIO_DIRECTION_NONE);
	CHECK_EQ(t, drv_gpio_irq(&g, also, VIRTIO_GPIO_IRQ_TYPE_LEVEL_LOW), 0);
	CHECK_EQ(t, drv_gpio_wait(&g, &line, machine_until()), 0);
	machine_close(m);
}

static void input_is(
	struct tap *t, struct drv_input *in, uint16_t type, uint16_t code, int32_t value)
{
	struct drv_input_event ev = { 0 };

	CHECK_EQ(t, drv_input_read(in, &ev, machine_until()), 0);
	CHECK_EQ(t, ev.type, type);
	CHECK_EQ(t, ev.code, code);
	CHECK_EQ(t, ev.value, value);
}

/* A screen that is touched by a script, again and again: more events than there are buffers. */
static void input(struct tap *t)
{
	const struct drv_input_event led = { 0x11, 1, 1 };
	struct drv_input_abs abs;
	struct drv_input in;
	struct machine *m;
	char path[128], name[128];
	uint32_t size;
	bool has;
	FILE *f = fopen(in_dir(path, "script"), "w");

	if (!f || fputs("0 touch 10 20\n0.001 lift\n", f) < 0 || fclose(f))
		exit(1);
	m = seen(machine_open(kind, &vdev_input, "profile", "touchscreen", "id-name", "panel",
		"replay", path, "replay-loop", "true", NULL));
	REQUIRE(t, !drv_input_open(&in, m->dev));
	CHECK_EQ(t, drv_input_config(&in, VIRTIO_INPUT_CFG_ID_NAME, 0, name, sizeof(name), &size),
		0);
	CHECK(t, size == 5 && !memcmp(name, "panel", 5));
	CHECK_EQ(t, drv_input_abs(&in, 0x35, &abs), 0);
	CHECK(t, abs.min == 0 && abs.max == 1919);
	CHECK_EQ(t, drv_input_abs(&in, 0x36, &abs), 0);
	CHECK_EQ(t, abs.max, 1079);
	CHECK_EQ(t, drv_input_abs(&in, 0x06, &abs), DRV_UNSUPPORTED);
	CHECK_EQ(t, drv_input_abs(&in, 0x100, &abs), DRV_INVALID);
	CHECK(t, !drv_input_has(&in, 1, 0x14a, &has) && has);
	CHECK(t, !drv_input_has(&in, 1, 30, &has) && !has);
	CHECK(t, !drv_input_has(&in, 2, 7, &has) && !has);
	CHECK_EQ(t, drv_input_send(&in, &led, machine_until()), 0);
	for (unsigned i = 0; i < 10; i++) {
		input_is(t, &in, 3, 0x2f, 0); /* ABS_MT_SLOT */
		input_is(t, &in, 3, 0x39, (int32_t)i);
		input_is(t, &in, 3, 0x35, 10);
		input_is(t, &in, 3, 0, 10);
		input_is(t, &in, 3, 0x36, 20);
		input_is(t, &in, 3, 1, 20);
		input_is(t, &in, 3, 0x3a, 100);
		input_is(t, &in, 1, 0x14a, 1);
		input_is(t, &in, 0, 0, 0);
		input_is(t, &in, 3, 0x2f, 0);
		input_is(t, &in, 3, 0x39, -1);
		input_is(t, &in, 1, 0x14a, 0);
		input_is(t, &in, 0, 0, 0);
	}
	machine_close(m);
}

static void i2c(struct tap *t)
{
	struct machine *m = seen(machine_open(kind, &vdev_i2c, "devices",
		"0x50 eeprom size=4K page=32 write-time=0ms", "devices", "0x48 lm75 temp=-3",
		NULL));
	uint8_t page[2 + 32] = { 0x01, 0x00 }, in[DRV_I2C_DATA + 1] = { 0 };
	unsigned failed = 9;
	struct drv_i2c i;

	REQUIRE(t, !drv_i2c_open(&i, m->dev));
	CHECK_EQ(t, drv_i2c_write_read(&i, 0x48, "", 1, in, 2), 0);
	CHECK(t, in[0] == 0xfd && in[1] == 0);
	CHECK_EQ(t, drv_i2c_write_read(&i, 0x48, NULL, 0, NULL, 0), 0);
	CHECK_EQ(t, drv_i2c_write_read(&i, 0x49, NULL, 0, NULL, 0), DRV_ERROR);
	memset(page + 2, 0x42, 32);
	CHECK_EQ(t, drv_i2c_write_read(&i, 0x50, page, sizeof(page), NULL, 0), 0);
	CHECK_EQ(t, drv_i2c_write_read(&i, 0x50, page, 2, in, DRV_I2C_DATA), 0);
	CHECK(t, in[0] == 0x42 && in[31] == 0x42 && in[32] == 0xff);
	/* The third message fails, and the fourth is not executed. */
	struct drv_i2c_msg msgs[] = { { page, 2, 0x50, false }, { in, 1, 0x50, true },
		{ page, 1, 0x51, false }, { in, 1, 0x50, true } };

	CHECK_EQ(t, drv_i2c_transfer(&i, msgs, 4, &failed), DRV_ERROR);
	CHECK_EQ(t, failed, 2);
	CHECK_EQ(t, drv_i2c_transfer(&i, msgs, 0, NULL), DRV_INVALID);
	CHECK_EQ(t, drv_i2c_transfer(&i, msgs, DRV_I2C_MSGS + 1, NULL), DRV_INVALID);
	CHECK_EQ(t, drv_i2c_write_read(&i, 0x80, page, 1, NULL, 0), DRV_INVALID);
	CHECK_EQ(t, drv_i2c_write_read(&i, 0x50, NULL, 0, in, DRV_I2C_DATA + 1), DRV_INVALID);
	CHECK_EQ(t, drv_i2c_write_read(&i, 0x50, page, 2, in, 1), 0);
	machine_close(m);
}

static void spi(struct tap *t)
{
	struct machine *m = seen(machine_open(kind, &vdev_spi, "devices", "0 loopback", "devices",
		"2 flash size=64K", "max-frequency", "1000000", NULL));
	struct drv_spi_head head = { .bits_per_word = 8, .cs_change = 1, .freq = 1000000 };
	uint8_t out[DRV_SPI_DATA + 1], in[DRV_SPI_DATA + 1];
	struct drv_spi s;

	REQUIRE(t, !drv_spi_open(&s, m->dev));
	CHECK(t, s.config.cs_max_number == 3 && s.config.max_freq_hz == 1000000);
	for (unsigned k = 0; k < sizeof(out); k++)
		out[k] = (uint8_t)(k * 3);
	CHECK_EQ(t, drv_spi_transfer(&s, &head, out, in, DRV_SPI_DATA), 0);
	CHECK(t, !memcmp(out, in, DRV_SPI_DATA));
	CHECK_EQ(t, drv_spi_transfer(&s, &head, out, in, DRV_SPI_DATA + 1), DRV_INVALID);
	head.chip_select_id = 1;
	CHECK_EQ(t, drv_spi_transfer(&s, &head, out, in, 4), DRV_ERROR);
	head.chip_select_id = 2;
	CHECK_EQ(t, drv_spi_transfer(&s, &head, "\x9f\0\0\0", in, 4), 0);
	CHECK(t, in[1] == 0xef && in[3] == 16);
	head.freq++;
	CHECK_EQ(t, drv_spi_transfer(&s, &head, out, in, 4), DRV_REFUSED);
	machine_close(m);
}

static void run(struct tap *t)
{
	TAP_RUN(t, i2c);
	TAP_RUN(t, spi);
	TAP_RUN(t, gpio);
	TAP_RUN(t, rng);
	TAP_RUN(t, scmi);
	TAP_RUN(t, rtc);
	TAP_RUN(t, can);
	TAP_RUN(t, blk);
	TAP_RUN(t, blk_limits);
	TAP_RUN(t, blk_async);
	TAP_RUN(t, input);
	TAP_RUN(t, console);
	TAP_RUN(t, console_ports);
	TAP_RUN(t, net);
	TAP_RUN(t, net_jumbo);
	TAP_RUN(t, net_control);
	TAP_RUN(t, vsock);
	TAP_RUN(t, vsock_messages);
}

int main(void)
{
	static const struct {
		const char *name;
		uint64_t hidden;
	} layouts[] = {
		{ "all features", 0 },
		{ "split rings", DRV_FEATURE(VIRTIO_F_RING_PACKED) },
		{ "plain split rings", DRV_FEATURE(VIRTIO_F_RING_PACKED) |
					       DRV_FEATURE(VIRTIO_F_EVENT_IDX) |
					       DRV_FEATURE(VIRTIO_F_IN_ORDER) },
		{ "plain packed rings",
			DRV_FEATURE(VIRTIO_F_EVENT_IDX) | DRV_FEATURE(VIRTIO_F_IN_ORDER) },
	};
	static const char *const names[] = { "mmio", "mmio-irq", "pci", "pci-intx", "pci-msix" };
	struct tap t = { 0 };
	char clean[80];

	strcpy(dir, "/tmp/drv-classes-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	for (kind = MMIO_POLL; kind < MACHINE_KINDS; kind++)
		for (unsigned i = 0; i < sizeof(layouts) / sizeof(*layouts); i++) {
			printf("# %s, %s\n", names[kind], layouts[i].name);
			hidden = layouts[i].hidden;
			run(&t);
		}
	snprintf(clean, sizeof(clean), "rm -rf %s", dir);
	if (system(clean))
		printf("# cannot remove %s\n", dir);
	return tap_done(&t);
}
