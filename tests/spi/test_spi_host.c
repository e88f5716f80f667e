/* SPDX-License-Identifier: BSD-3-Clause */
/* Chips of the host: the kernel's side of spidev is played here, in place of ioctl(). What is sent
 * comes back with all bits turned. */
#include <errno.h>
#include <fcntl.h>
#include <linux/spi/spidev.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/util.h"
#include "bus.h"
#include "devices/devices.h"
#include "lib/device_test.h"

/* The controller. */
static struct controller {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int fail; /* errno of transfers */
	bool block;
	unsigned waiting, transfers;
	uint32_t mode;
	struct spi_ioc_transfer last;
	uint64_t bytes;	  /* of all transfers */
	unsigned longest; /* of one */
	unsigned held;	  /* transfers after which the chip stayed selected */
} controller = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static struct device_events events;

static int transfer(const struct spi_ioc_transfer *x)
{
	const uint8_t *tx = (const uint8_t *)(uintptr_t)x->tx_buf;
	uint8_t *rx = (uint8_t *)(uintptr_t)x->rx_buf;

	controller.waiting++;
	pthread_cond_broadcast(&controller.changed);
	while (controller.block)
		pthread_cond_wait(&controller.changed, &controller.lock);
	controller.waiting--;
	if (controller.fail)
		return -controller.fail;
	for (unsigned i = 0; rx && i < x->len; i++)
		rx[i] = tx ? tx[i] ^ 0xff : 0xee;
	controller.transfers++;
	controller.bytes += x->len;
	controller.held += x->cs_change;
	controller.last = *x;
	if (x->len > controller.longest)
		controller.longest = x->len;
	return (int)x->len;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int r = 0;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	pthread_mutex_lock(&controller.lock);
	if (request == SPI_IOC_RD_MAX_SPEED_HZ)
		*(uint32_t *)arg = 500000;
	else if (request == SPI_IOC_WR_MODE32)
		controller.mode = *(uint32_t *)arg;
	else if (request == SPI_IOC_MESSAGE(1))
		r = transfer(arg);
	else
		r = -ENOTTY;
	pthread_mutex_unlock(&controller.lock);
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

static struct controller seen(void)
{
	struct controller c;

	pthread_mutex_lock(&controller.lock);
	c = controller;
	pthread_mutex_unlock(&controller.lock);
	return c;
}

static void set_fail(int fail)
{
	pthread_mutex_lock(&controller.lock);
	controller.fail = fail;
	pthread_mutex_unlock(&controller.lock);
}

static void set_block(bool block)
{
	pthread_mutex_lock(&controller.lock);
	controller.block = block;
	pthread_cond_broadcast(&controller.changed);
	pthread_mutex_unlock(&controller.lock);
}

static void await_waiting(void)
{
	pthread_mutex_lock(&controller.lock);
	while (!controller.waiting)
		pthread_cond_wait(&controller.changed, &controller.lock);
	pthread_mutex_unlock(&controller.lock);
}

static char path[64];

static void restart(struct tap *t, struct bus *b)
{
	bus_start(t, b, 0);
	b->head.cs_change = 1;
}

/* A chip of the host at 0 with these keys, a loopback at 1. */
static void open_host(struct tap *t, struct bus *b, const char *keys)
{
	char line[128];
	const char *const all[20] = { "devices", line, "devices", "1 loopback", "bits-per-word",
		"8,16", "functions", "cs-high,lsb-first,loop", "tx-nbits", "2", "rx-nbits", "4",
		"max-word-delay", "255000", "max-cs-hold", "5000000" };

	device_node(path);
	controller.fail = 0;
	controller.transfers = controller.longest = controller.held = 0;
	controller.bytes = 0;
	snprintf(line, sizeof(line), "0 %s %s", path, keys);
	bus_open(t, b, 0, all);
	device_watch(&b->srv, &events);
	b->head.cs_change = 1;
}

static void parameters_are_passed_on(struct tap *t)
{
	uint8_t in[4];
	struct controller c;
	struct bus r;

	open_host(t, &r, "max-frequency=2000000");
	r.head.freq = 1000000;
	CHECK_EQ(t, bus_transfer(&r, "\x01\x02\x03\x04", in, 4), SPI_TRANS_OK);
	CHECK(t, !memcmp(in, "\xfe\xfd\xfc\xfb", 4));
	c = seen();
	CHECK(t, c.last.speed_hz == 1000000 && c.last.bits_per_word == 8 && c.mode == 0);
	CHECK(t, !c.last.cs_change && !c.last.delay_usecs && !c.last.word_delay_usecs);
	/* Faster than the chip may, or not said. */
	r.head.freq = 10000000;
	CHECK_EQ(t, bus_transfer(&r, "ab", NULL, 2), SPI_TRANS_OK);
	CHECK(t, seen().last.speed_hz == 2000000 && !seen().last.rx_buf);
	r.head.freq = 0;
	r.head.bits_per_word = 16;
	r.head.mode = 0x1f;
	r.head.tx_nbits = 2;
	r.head.rx_nbits = 4;
	r.head.word_delay_ns = 1500;
	r.head.cs_delay_hold_ns = 3000;
	CHECK_EQ(t, bus_transfer(&r, NULL, in, 4), SPI_TRANS_OK);
	CHECK(t, !memcmp(in, "\xee\xee\xee\xee", 4));
	c = seen();
	CHECK(t, c.last.speed_hz == 2000000 && c.last.bits_per_word == 16 && !c.last.tx_buf);
	CHECK_EQ(t, c.mode,
		SPI_CPHA | SPI_CPOL | SPI_CS_HIGH | SPI_LSB_FIRST | SPI_LOOP | SPI_TX_DUAL |
			SPI_RX_QUAD);
	CHECK(t, c.last.tx_nbits == 2 && c.last.rx_nbits == 4);
	CHECK(t, c.last.word_delay_usecs == 2 && c.last.delay_usecs == 3);
	bus_close(&r);
}

/* Selected until cs_change, another chip, or a reset. */
static void the_chip_stays_selected(struct tap *t)
{
	struct bus r;

	open_host(t, &r, "");
	r.head.cs_change = 0;
	CHECK_EQ(t, bus_transfer(&r, "a", NULL, 1), SPI_TRANS_OK);
	CHECK_EQ(t, seen().last.cs_change, 1);
	r.head.cs_change = 1;
	CHECK_EQ(t, bus_transfer(&r, "a", NULL, 1), SPI_TRANS_OK);
	CHECK_EQ(t, seen().last.cs_change, 0);
	CHECK_EQ(t, seen().transfers, 2);
	/* Deselecting is a transfer of nothing. */
	r.head.cs_change = 0;
	CHECK_EQ(t, bus_transfer(&r, "a", NULL, 1), SPI_TRANS_OK);
	r.head.chip_select_id = 1;
	CHECK_EQ(t, bus_transfer(&r, "a", NULL, 1), SPI_TRANS_OK);
	CHECK(t, seen().transfers == 4 && !seen().last.len && !seen().last.cs_change);
	r.head.chip_select_id = 0;
	CHECK_EQ(t, bus_transfer(&r, "a", NULL, 1), SPI_TRANS_OK);
	CHECK_EQ(t, vhud_reset(r.d), 0);
	restart(t, &r);
	CHECK_EQ(t, bus_transfer(&r, "a", NULL, 1), SPI_TRANS_OK);
	CHECK_EQ(t, seen().transfers, 7);
	bus_close(&r);
}

static void released_after_each_transfer(struct tap *t)
{
	struct bus r;

	open_host(t, &r, "release=transfer");
	r.head.cs_change = 0;
	CHECK_EQ(t, bus_transfer(&r, "a", NULL, 1), SPI_TRANS_OK);
	CHECK_EQ(t, seen().last.cs_change, 0);
	bus_close(&r);
}

/* In parts that spidev takes, selected from the first to the last. */
static void long_transfers(struct tap *t)
{
	static uint8_t out[(1 << 20) + 1], in[1 << 20];
	struct controller c;
	struct bus r;

	open_host(t, &r, "");
	for (unsigned i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 11 + i / 256);
	CHECK_EQ(t, bus_transfer(&r, out, in, sizeof(in)), SPI_TRANS_OK);
	for (unsigned i = 0, wrong = 0; i < sizeof(in) && wrong < 3; i++)
		wrong += !CHECK_EQ(t, in[i] + out[i], 0xff);
	c = seen();
	CHECK(t, c.longest <= 65536 && c.bytes == sizeof(in));
	CHECK(t, c.held == c.transfers - 1 && !c.last.cs_change);
	CHECK_EQ(t, bus_transfer(&r, out, NULL, sizeof(out)), SPI_TRANS_ERR);
	CHECK_EQ(t, seen().transfers, c.transfers);
	bus_close(&r);
}

static void failures_reach_the_guest(struct tap *t)
{
	uint8_t in[2];
	struct bus r;

	open_host(t, &r, "");
	set_fail(EINVAL);
	CHECK_EQ(t, bus_transfer(&r, "ab", in, 2), SPI_TRANS_ERR);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "host_failures"), 1);
	set_fail(0);
	CHECK_EQ(t, bus_transfer(&r, "ab", in, 2), SPI_TRANS_OK);
	bus_close(&r);
}

/* The loop goes on while a transfer does, a reset is done, and what comes late is dropped. */
static void a_slow_chip(struct tap *t)
{
	uint8_t *mem;
	struct bus r;

	open_host(t, &r, "");
	mem = vhud_alloc(r.d, 128);
	r.head.cs_change = 0;
	memcpy(mem, &r.head, sizeof(r.head));
	mem[64] = 0xff;
	struct iovec iov[] = { { mem, 40 }, { mem + 64, 1 } };

	set_block(true);
	CHECK_EQ(t, vhud_add(r.d, 0, iov, 1, 1, NULL), 0);
	vhud_kick(r.d, 0);
	await_waiting();
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "transfers"), 0);
	CHECK_EQ(t, vhud_reset(r.d), 0);
	restart(t, &r);
	set_block(false);
	CHECK_EQ(t, bus_transfer(&r, "a", NULL, 1), SPI_TRANS_OK);
	CHECK_EQ(t, vhud_serve_metric(&r.srv, "transfers"), 1);
	CHECK_EQ(t, mem[64], 0xff);
	/* The first one, deselecting its chip, and the second. */
	CHECK_EQ(t, seen().transfers, 3);
	bus_close(&r);
}

static void the_chip_vanishes(struct tap *t)
{
	uint8_t in[2];
	struct bus r;

	open_host(t, &r, "");
	CHECK_EQ(t, bus_transfer(&r, "ab", in, 2), SPI_TRANS_OK);
	CHECK_EQ(t, unlink(path), 0);
	CHECK(t, device_reports(&r.srv, &events, "host-gone"));
	CHECK_EQ(t, bus_transfer(&r, "ab", in, 2), SPI_TRANS_ERR);
	r.head.chip_select_id = 1;
	CHECK_EQ(t, bus_transfer(&r, "ab", in, 2), SPI_TRANS_OK);
	r.head.chip_select_id = 0;
	device_node(path);
	CHECK(t, device_reports(&r.srv, &events, "host-back"));
	CHECK_EQ(t, bus_transfer(&r, "ab", in, 2), SPI_TRANS_OK);
	CHECK_EQ(t, in[0], 'a' ^ 0xff);
	device_watch(&r.srv, &events);
	set_fail(ENODEV);
	CHECK_EQ(t, bus_transfer(&r, "ab", in, 2), SPI_TRANS_ERR);
	CHECK(t, device_reports(&r.srv, &events, "host-gone"));
	set_fail(0);
	CHECK(t, device_reports(&r.srv, &events, "host-back"));
	CHECK_EQ(t, bus_transfer(&r, "ab", in, 2), SPI_TRANS_OK);
	bus_close(&r);
}

/* spidev has no such delays. */
static void delays_it_cannot_have(struct tap *t)
{
	static const char *const keys[][2] = { { "max-cs-setup", "1" }, { "max-cs-inactive", "1" },
		{ "max-cs-hold", "65535001" }, { "max-word-delay", "255001" } };
	char line[128];

	snprintf(line, sizeof(line), "0 %s", path);
	for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
		struct vdev *dev = NULL;
		struct err e = { 0 };

		CHECK_EQ(t, vdev_new(&dev, &vdev_spi, &e), 0);
		CHECK_EQ(t, opt_set(vdev_spi.opts, dev, "devices", line, &e), 0);
		CHECK_EQ(t, opt_set(vdev_spi.opts, dev, keys[i][0], keys[i][1], &e), 0);
		CHECK_EQ(t, vdev_init(dev, NULL, NULL, &e), -EINVAL);
		CHECK(t, strstr(e.msg, keys[i][0]));
		vdev_destroy(dev);
	}
}

int main(void)
{
	struct tap t = { 0 };

	snprintf(path, sizeof(path), "/tmp/avp-spidev-%d", (int)getpid());
	TAP_RUN(&t, parameters_are_passed_on);
	TAP_RUN(&t, the_chip_stays_selected);
	TAP_RUN(&t, released_after_each_transfer);
	TAP_RUN(&t, long_transfers);
	TAP_RUN(&t, failures_reach_the_guest);
	TAP_RUN(&t, a_slow_chip);
	TAP_RUN(&t, the_chip_vanishes);
	TAP_RUN(&t, delays_it_cannot_have);
	unlink(path);
	return tap_done(&t);
}
