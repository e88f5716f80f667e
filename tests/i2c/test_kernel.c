/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's side of the I2C and SPI devices on i2c-dev and spidev of a real kernel, as processes
 * in their jails ($AVP). tests/interop runs this in a guest whose adapters have simulated chips.
 *
 *     test_kernel I2C STUB SPIDEV
 *
 * I2C is an adapter with 256 registers at 0x20, a chip with a driver at 0x50, and nothing at 0x33;
 * STUB is i2c-stub's, which only speaks SMBus, with a chip at 0x60; SPIDEV is a loopback.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/util.h"
#include "bus.h"
#include "devices/spi_priv.h"
#include "host/i2cdev.h"

#define WAIT_NS UINT64_C(20000000000)

static const char *i2c_path, *stub_path, *spidev_path;

static bool open_adapter(
	struct tap *t, struct vhud_proc *p, struct bus *b, const char *path, const char *allow)
{
	memset(b, 0, sizeof(*b));
	if (!CHECK_EQ(t, vhud_spawn(p, "i2c", "--adapter", path, "--allow", allow, NULL), 0))
		return false;
	b->d = vhud_open(p->path);
	return CHECK(t, b->d) &&
	       CHECK_EQ(t,
		       vhud_start(
			       b->d, &(struct vhud_opts){ .features = FEATURE(0), .nqueues = 1 }),
		       0);
}

static void close_adapter(struct tap *t, struct vhud_proc *p, struct bus *b)
{
	vhud_close(b->d);
	CHECK_EQ(t, vhud_spawn_end(p), 0);
}

static void whole_transfers(struct tap *t)
{
	uint8_t in[200], out[200] = { 0x10 };
	struct vhud_proc p;
	struct bus b;

	REQUIRE(t, open_adapter(t, &p, &b, i2c_path, "0x20,0x33"));
	for (unsigned i = 1; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 3);
	CHECK_EQ(t, bus_write(&b, 0x20, out, sizeof(out)), I2C_OK);
	CHECK_EQ(t, bus_get(&b, 0x20, 0x10, 1, in, sizeof(in) - 1), I2C_OK);
	CHECK(t, !memcmp(in, out + 1, sizeof(in) - 1));
	CHECK_EQ(t, bus_write(&b, 0x20, NULL, 0), I2C_OK);
	CHECK_EQ(t, bus_write(&b, 0x33, out, 1), I2C_ERR);
	CHECK_EQ(t, bus_write(&b, 0x48, out, 1), I2C_ERR);
	close_adapter(t, &p, &b);
}

static void a_chip_with_a_driver_is_refused(struct tap *t)
{
	struct i2c_addrs addrs = { 0 };
	struct err e = { 0 };
	autoclose int fd = open(i2c_path, O_RDWR | O_CLOEXEC);

	i2c_addrs_add(&addrs, 0x20);
	CHECK_EQ(t, i2cdev_check_free(fd, i2c_path, &addrs, &e), 0);
	i2c_addrs_add(&addrs, 0x50);
	CHECK_EQ(t, i2cdev_check_free(fd, i2c_path, &addrs, &e), -EBUSY);
	CHECK(t, strstr(e.msg, "0x50"));
}

static void smbus_commands(struct tap *t)
{
	uint8_t in[8], block[9] = { 0x40, 1, 2, 3, 4, 5, 6, 7, 8 };
	struct vhud_proc p;
	struct bus b;

	REQUIRE(t, open_adapter(t, &p, &b, stub_path, "0x60,0x61"));
	CHECK_EQ(t, bus_write(&b, 0x60, NULL, 0), I2C_OK);
	CHECK_EQ(t, bus_write(&b, 0x61, NULL, 0), I2C_ERR);
	CHECK_EQ(t, bus_write(&b, 0x60, (uint8_t[]){ 0x10, 0x77 }, 2), I2C_OK);
	CHECK_EQ(t, bus_get(&b, 0x60, 0x10, 1, in, 1), I2C_OK);
	CHECK_EQ(t, in[0], 0x77);
	CHECK_EQ(t, bus_write(&b, 0x60, (uint8_t[]){ 0x20, 0x34, 0x12 }, 3), I2C_OK);
	CHECK_EQ(t, bus_get(&b, 0x60, 0x20, 1, in, 2), I2C_OK);
	CHECK(t, in[0] == 0x34 && in[1] == 0x12);
	CHECK_EQ(t, bus_write(&b, 0x60, block, sizeof(block)), I2C_OK);
	CHECK_EQ(t, bus_get(&b, 0x60, 0x40, 1, in, sizeof(in)), I2C_OK);
	CHECK(t, !memcmp(in, block + 1, sizeof(in)));
	CHECK_EQ(t, bus_read(&b, 0x60, in, 3), I2C_ERR);
	close_adapter(t, &p, &b);
}

static bool becomes(struct bus *b, uint8_t want)
{
	uint64_t until = ev_now_ns() + WAIT_NS;
	uint8_t status;

	do
		status = bus_write(b, 0x60, NULL, 0);
	while (status != want && ev_now_ns() < until);
	return status == want;
}

/* The device's file goes and comes, as with one that is unplugged. */
static void the_adapter_vanishes(struct tap *t)
{
	struct vhud_proc p;
	struct stat st;
	struct bus b;

	REQUIRE(t, !stat(stub_path, &st) && open_adapter(t, &p, &b, stub_path, "0x60"));
	CHECK(t, becomes(&b, I2C_OK));
	CHECK_EQ(t, unlink(stub_path), 0);
	CHECK(t, becomes(&b, I2C_ERR));
	CHECK_EQ(t, mknod(stub_path, S_IFCHR | 0600, st.st_rdev), 0);
	CHECK(t, becomes(&b, I2C_OK));
	close_adapter(t, &p, &b);
}

/* More than spidev takes at a time. */
static void a_chip_of_spidev(struct tap *t)
{
	static uint8_t out[32 + 10000], in[10001];
	struct spi_transfer_head head = { .bits_per_word = 8, .cs_change = 1, .freq = 1000000 };
	struct vhud_proc p;
	struct vhud *d;
	char line[128];

	snprintf(line, sizeof(line), "0 %s", spidev_path);
	memcpy(out, &head, sizeof(head));
	for (unsigned i = 32; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + i / 256);
	REQUIRE(t, !vhud_spawn(&p, "spi", "--devices", line, NULL));
	d = vhud_open(p.path);
	CHECK_EQ(t, vhud_start(d, &(struct vhud_opts){ .nqueues = 1 }), 0);
	CHECK_EQ(t, vhud_do(d, 0, out, sizeof(out), in, sizeof(in)), sizeof(in));
	CHECK_EQ(t, in[10000], SPI_TRANS_OK);
	CHECK(t, !memcmp(in, out + 32, 10000));
	vhud_close(d);
	CHECK_EQ(t, vhud_spawn_end(&p), 0);
}

int main(int argc, char **argv)
{
	struct tap t = { 0 };

	if (argc != 4) {
		puts("1..0 # SKIP needs the paths of two I2C adapters and a spidev");
		return 0;
	}
	i2c_path = argv[1];
	stub_path = argv[2];
	spidev_path = argv[3];
	TAP_RUN(&t, whole_transfers);
	TAP_RUN(&t, a_chip_with_a_driver_is_refused);
	TAP_RUN(&t, smbus_commands);
	TAP_RUN(&t, the_adapter_vanishes);
	TAP_RUN(&t, a_chip_of_spidev);
	return tap_done(&t);
}
