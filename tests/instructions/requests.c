/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to every type of device, for callgrind to count what the device executes for each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"
#include "devices/can.h"
#include "devices/devices.h"
#include "devices/net.h"
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
#include "host/canbus.h"
#include "host/switch.h"
#include "inproc.h"

#define WAIT_NS	  UINT64_C(60000000000)
#define IMAGE_LEN 0x100000u
#define CHUNK	  2048u /* of a stream */
#define LINE	  64u	/* of a console */

static struct ev_loop *loop;
static const char *layout; /* of the rings: first word of every name */
static uint64_t hidden;	   /* the features that make it so */
static char dir[64];

static uint64_t until(void)
{
	return ev_now_ns() + WAIT_NS;
}

static void count(const char *what, void (*once)(void *arg), void *arg)
{
	char name[64];

	snprintf(name, sizeof(name), "%s %s", layout, what);
	inproc_count(name, once, arg);
}

static char *in_dir(char path[128], const char *name)
{
	snprintf(path, 128, "%s/%s", dir, name);
	return path;
}

static void read_all(int fd, void *buf, size_t len)
{
	must(fd_read_full(fd, buf, len), "reading what the device sent");
}

/* Disks. */

struct disk {
	struct inproc p;
	struct drv_blk blk;
	uint64_t sector;
};

static uint64_t next_sector(struct disk *d)
{
	d->sector = (d->sector + 8) % (IMAGE_LEN / 512);
	return d->sector;
}

static void blk_read(void *arg)
{
	struct disk *d = arg;

	must(drv_blk_read(&d->blk, next_sector(d), inproc_buf(&d->p), 4096), "reading");
}

static void blk_write(void *arg)
{
	struct disk *d = arg;

	must(drv_blk_write(&d->blk, next_sector(d), inproc_buf(&d->p), 4096), "writing");
}

static void blk(void)
{
	static struct disk d;
	struct err e = { 0 };
	autoclose int fd = fd_memfd("image", IMAGE_LEN, 0, &e);
	char path[64];

	must(fd < 0, e.msg);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	inproc_new(&d.p, loop, &vdev_blk, "image", path, NULL);
	inproc_start(&d.p, hidden);
	must(drv_blk_open(&d.blk, &d.p.drv), "opening the disk");
	count("blk: read of 4 KiB in the page cache", blk_read, &d);
	count("blk: write of 4 KiB to tmpfs", blk_write, &d);
	inproc_close(&d.p);
}

/* Two guests on a switch. */

struct cable {
	struct inproc p[2];
	struct drv_net net[2];
	uint32_t len;
};

static void send_frame(struct cable *c, unsigned from, uint32_t len)
{
	uint8_t frame[1514] = { 0 }, got[1514];
	uint32_t n = 0;

	memcpy(frame, c->net[!from].mac, 6);
	memcpy(frame + 6, c->net[from].mac, 6);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	must(drv_net_send(&c->net[from], 0, frame, len, until()), "sending a frame");
	must(drv_net_recv(&c->net[!from], 0, got, sizeof(got), &n, until()), "receiving a frame");
	must(n != len || memcmp(frame, got, len) != 0, "a frame is damaged");
}

static void net_frame_once(void *arg)
{
	struct cable *c = arg;

	send_frame(c, 0, c->len);
}

static void net(void)
{
	static struct cable c;
	struct switch_config config = { 0 };
	struct netswitch *sw;
	struct err e = { 0 };

	must(opt_defaults(switch_opts, &config, &e), e.msg);
	must(switch_create(&sw, &config, loop, NULL, &e), e.msg);
	for (unsigned i = 0; i < 2; i++) {
		struct netport *end;

		inproc_new(&c.p[i], loop, &vdev_net, "mac",
			i ? "02:00:00:00:00:02" : "02:00:00:00:00:01", NULL);
		must(switch_add_port(sw, i ? "b" : "a", net_port_config(c.p[i].dev), &end, &e),
			e.msg);
		net_attach(c.p[i].dev, end);
		inproc_start(&c.p[i], hidden);
		must(drv_net_open(&c.net[i], &c.p[i].drv, 1, 0), "opening the network device");
	}
	send_frame(&c, 1, 64); /* so that its address is known */
	c.len = 64;
	count("net: frame of 64 bytes through a switch", net_frame_once, &c);
	c.len = 1514;
	count("net: frame of 1514 bytes through a switch", net_frame_once, &c);
	for (unsigned i = 0; i < 2; i++)
		inproc_close(&c.p[i]);
	switch_destroy(sw);
	opt_free(switch_opts, &config);
}

/* A connection to the host. */

struct stream {
	struct inproc p;
	struct drv_vsock v;
	struct drv_vsock_conn conn;
	int fd;
	uint8_t bytes[CHUNK], memory[8 * CHUNK];
};

static void vsock_send(void *arg)
{
	struct stream *s = arg;

	must(drv_vsock_send(&s->conn, s->bytes, CHUNK, until()), "sending");
	read_all(s->fd, s->bytes, CHUNK);
}

static void vsock_recv(void *arg)
{
	struct stream *s = arg;

	must(fd_write_full(s->fd, s->bytes, CHUNK), "writing");
	for (uint32_t n = 0, len; n < CHUNK; n += len)
		must(drv_vsock_recv(&s->conn, s->bytes, CHUNK - n, &len, until()), "receiving");
}

static void vsock(void)
{
	static struct stream s;
	struct err e = { 0 };
	char path[128], port[140];
	int listener;

	snprintf(port, sizeof(port), "%s_77", in_dir(path, "vsock"));
	listener = fd_unix_listen(port, SOCK_STREAM, &e);
	must(listener < 0, e.msg);
	memset(&s, 0, sizeof(s));
	s.conn = (struct drv_vsock_conn){ .buf = s.memory, .size = sizeof(s.memory) };
	inproc_new(&s.p, loop, &vdev_vsock, "cid", "3", "uds", path, NULL);
	inproc_start(&s.p, hidden);
	must(drv_vsock_open(&s.v, &s.p.drv), "opening the socket device");
	must(drv_vsock_connect(&s.v, &s.conn, 2, 77, VIRTIO_VSOCK_TYPE_STREAM, until()),
		"connecting");
	s.fd = accept(listener, NULL, NULL);
	count("vsock: 2 KiB to the host", vsock_send, &s);
	count("vsock: 2 KiB from the host", vsock_recv, &s);
	close(s.fd);
	close(listener);
	inproc_close(&s.p);
}

/* A console on a socket. */

struct terminal {
	struct inproc p;
	struct drv_console con;
	int fd;
	uint8_t line[LINE];
};

static void console_write(void *arg)
{
	struct terminal *t = arg;

	must(drv_console_write(&t->con, 0, t->line, LINE), "writing");
	read_all(t->fd, t->line, LINE);
}

static void console_read(void *arg)
{
	struct terminal *t = arg;

	must(fd_write_full(t->fd, t->line, LINE), "writing");
	for (uint32_t n = 0, len; n < LINE; n += len)
		must(drv_console_read(&t->con, 0, t->line, LINE - n, &len, until()), "reading");
}

static void console(void)
{
	static struct terminal t;
	struct err e = { 0 };
	char path[128];

	inproc_new(&t.p, loop, &vdev_console, "path", in_dir(path, "console"), NULL);
	inproc_start(&t.p, hidden);
	t.fd = fd_unix_connect(path, SOCK_STREAM, &e);
	must(t.fd < 0, e.msg);
	must(drv_console_open(&t.con, &t.p.drv, 1), "opening the console");
	count("console: 64 bytes to a program", console_write, &t);
	count("console: 64 bytes from a program", console_read, &t);
	close(t.fd);
	inproc_close(&t.p);
}

/* Devices with one kind of request. */

struct simple {
	struct inproc p;
	union {
		struct drv_rng rng;
		struct drv_gpio gpio;
		struct drv_i2c i2c;
		struct drv_spi spi;
		struct drv_scmi scmi;
		struct drv_rtc rtc;
		struct drv_input input;
	};
	bool level;
};

static struct simple simple;

static void rng_once(void *arg)
{
	uint8_t bytes[64];

	must(drv_rng_read(&simple.rng, bytes, sizeof(bytes), until()), "reading");
}

static void rng(void)
{
	inproc_new(&simple.p, loop, &vdev_rng, NULL);
	inproc_start(&simple.p, hidden);
	must(drv_rng_open(&simple.rng, &simple.p.drv), "opening the entropy device");
	count("rng: 64 bytes", rng_once, NULL);
	inproc_close(&simple.p);
}

static void gpio_once(void *arg)
{
	simple.level = !simple.level;
	must(drv_gpio_set(&simple.gpio, 0, simple.level), "setting a line");
}

/* An edge, which another line of the device sees and interrupts for. */
static void gpio_edge(void *arg)
{
	uint16_t line;

	gpio_once(NULL);
	must(drv_gpio_wait(&simple.gpio, &line, until()), "waiting for an edge");
	must(drv_gpio_unmask(&simple.gpio, line), "unmasking");
}

static void gpio(void)
{
	inproc_new(&simple.p, loop, &vdev_gpio, "lines", "lamp wire:w,see wire:w", NULL);
	inproc_start(&simple.p, hidden);
	must(drv_gpio_open(&simple.gpio, &simple.p.drv), "opening the GPIO device");
	must(drv_gpio_output(&simple.gpio, 0, false), "making an output");
	count("gpio: setting a line", gpio_once, NULL);
	must(drv_gpio_set_direction(&simple.gpio, 1, VIRTIO_GPIO_DIRECTION_IN), "making an input");
	must(drv_gpio_irq(&simple.gpio, 1, VIRTIO_GPIO_IRQ_TYPE_EDGE_BOTH), "asking for edges");
	count("gpio: setting a line, an interrupt and its end", gpio_edge, NULL);
	inproc_close(&simple.p);
}

static void i2c_once(void *arg)
{
	uint8_t in[2];

	must(drv_i2c_write_read(&simple.i2c, 0x48, "", 1, in, sizeof(in)), "reading a sensor");
}

static void i2c(void)
{
	inproc_new(&simple.p, loop, &vdev_i2c, "devices", "0x48 lm75 temp=20", NULL);
	inproc_start(&simple.p, hidden);
	must(drv_i2c_open(&simple.i2c, &simple.p.drv), "opening the I2C adapter");
	count("i2c: register of a sensor, two messages", i2c_once, NULL);
	inproc_close(&simple.p);
}

static void spi_once(void *arg)
{
	const struct drv_spi_head head = { .bits_per_word = 8, .cs_change = 1, .freq = 1000000 };
	uint8_t out[32] = { 1 }, in[32];

	must(drv_spi_transfer(&simple.spi, &head, out, in, sizeof(in)), "transferring");
}

static void spi(void)
{
	inproc_new(&simple.p, loop, &vdev_spi, "devices", "0 loopback", NULL);
	inproc_start(&simple.p, hidden);
	must(drv_spi_open(&simple.spi, &simple.p.drv), "opening the SPI controller");
	count("spi: transfer of 32 bytes", spi_once, NULL);
	inproc_close(&simple.p);
}

static void scmi_once(void *arg)
{
	uint64_t rate;

	must(drv_scmi_clock_rate(&simple.scmi, 0, &rate, until()), "asking for a rate");
}

static void scmi(void)
{
	inproc_new(&simple.p, loop, &vdev_scmi, "clocks", "uart rates=24000000/48000000", NULL);
	inproc_start(&simple.p, hidden);
	must(drv_scmi_open(&simple.scmi, &simple.p.drv), "opening the SCMI device");
	count("scmi: rate of a clock", scmi_once, NULL);
	inproc_close(&simple.p);
}

static void rtc_once(void *arg)
{
	uint64_t now;

	must(drv_rtc_read(&simple.rtc, 0, &now), "reading a clock");
}

static void rtc(void)
{
	inproc_new(&simple.p, loop, &vdev_rtc, "clocks", "monotonic", NULL);
	inproc_start(&simple.p, hidden);
	must(drv_rtc_open(&simple.rtc, &simple.p.drv), "opening the clock");
	count("rtc: reading a clock", rtc_once, NULL);
	inproc_close(&simple.p);
}

/* Down and up, each with its report: four events. */
static void input_once(void *arg)
{
	static char key[] = "key", name[] = "KEY_A";
	char *words[] = { key, name };
	struct drv_input_event event;

	inproc_tell(&simple.p, ARRAY_LEN(words), words);
	for (unsigned i = 0; i < 4; i++)
		must(drv_input_read(&simple.input, &event, until()), "reading an event");
}

static void input(void)
{
	inproc_new(&simple.p, loop, &vdev_input, "profile", "keyboard", NULL);
	inproc_start(&simple.p, hidden);
	must(drv_input_open(&simple.input, &simple.p.drv), "opening the keyboard");
	count("input: a key by the operator, four events", input_once, NULL);
	inproc_close(&simple.p);
}

/* Two guests on a CAN bus. */

struct bus {
	struct inproc p[2];
	struct drv_can can[2];
};

static void can_once(void *arg)
{
	const struct drv_can_frame f = { .id = 0x123, .len = 8 };
	struct drv_can_frame got;
	struct bus *b = arg;

	must(drv_can_send(&b->can[0], &f, until()), "sending a frame");
	must(drv_can_recv(&b->can[1], &got, until()), "receiving a frame");
	must(drv_can_sync(&b->can[0], until()), "waiting for its acknowledgement");
}

static void can(void)
{
	static struct bus b;
	struct canbus_config config = { 0 };
	struct canbus *bus;
	struct err e = { 0 };

	must(opt_defaults(canbus_opts, &config, &e), e.msg);
	config.bitrate = 0;
	must(canbus_create(&bus, &config, "can0", loop, NULL, &e), e.msg);
	for (unsigned i = 0; i < 2; i++) {
		struct canport *port;

		inproc_new(&b.p[i], loop, &vdev_can, NULL);
		must(canbus_add_port(bus, i ? "b" : "a", can_port_config(b.p[i].dev), &port, &e),
			e.msg);
		can_attach(b.p[i].dev, port);
		inproc_start(&b.p[i], hidden);
		must(drv_can_open(&b.can[i], &b.p[i].drv), "opening the controller");
		must(drv_can_start(&b.can[i]), "starting the controller");
	}
	count("can: frame to another guest", can_once, &b);
	for (unsigned i = 0; i < 2; i++)
		inproc_close(&b.p[i]);
	canbus_destroy(bus);
	opt_free(canbus_opts, &config);
}

int main(void)
{
	static void (*const devices[])(
		void) = { blk, net, vsock, console, rng, can, gpio, i2c, spi, scmi, rtc, input };
	static const struct {
		const char *name;
		uint64_t hidden;
	} layouts[] = {
		{ "split", DRV_FEATURE(VIRTIO_F_RING_PACKED) },
		{ "packed", 0 },
	};
	char clean[80];

	setvbuf(stdout, NULL, _IOLBF, 0);
	strcpy(dir, "/tmp/avp-requests-XXXXXX");
	if (!mkdtemp(dir) || ev_loop_create(&loop))
		return 1;
	for (unsigned l = 0; l < ARRAY_LEN(layouts); l++) {
		layout = layouts[l].name;
		hidden = layouts[l].hidden;
		for (unsigned i = 0; i < ARRAY_LEN(devices); i++)
			devices[i]();
	}
	ev_loop_destroy(loop);
	snprintf(clean, sizeof(clean), "rm -rf %s", dir);
	return system(clean) ? 1 : 0;
}
