/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chips of a host adapter: the kernel's side of i2c-dev is played here, in place of ioctl(). Each
 * address has 256 registers.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/util.h"
#include "bus.h"
#include "devices/devices.h"
#include "lib/device_test.h"

#define SMBUS                                                                                      \
	(I2C_FUNC_SMBUS_QUICK | I2C_FUNC_SMBUS_BYTE | I2C_FUNC_SMBUS_BYTE_DATA |                   \
		I2C_FUNC_SMBUS_WORD_DATA | I2C_FUNC_SMBUS_I2C_BLOCK)

/* The adapter. */
static struct adapter {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned long functions;
	uint8_t regs[128][256], pointer[128], slave;
	uint8_t busy;		      /* an address that a driver of the host has */
	int fail;		      /* errno of transfers */
	int limit;		      /* messages done of each transfer; 0: all */
	bool block;		      /* transfers wait */
	unsigned waiting;	      /* ... so many now */
	unsigned transfers, messages; /* done; of the last one */
	uint32_t size;		      /* of the last SMBus command */
} adapter = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

/* What the device told the operator. */
static struct device_events events;

static void put(uint8_t addr, uint8_t v)
{
	adapter.regs[addr][adapter.pointer[addr]++] = v;
}

static uint8_t get(uint8_t addr)
{
	return adapter.regs[addr][adapter.pointer[addr]++];
}

static int transfer(const struct i2c_rdwr_ioctl_data *d)
{
	unsigned n = adapter.limit ? (unsigned)adapter.limit : d->nmsgs;

	adapter.messages = d->nmsgs;
	for (unsigned i = 0; i < n; i++) {
		struct i2c_msg *m = &d->msgs[i];

		for (unsigned k = 0; k < m->len; k++)
			if (m->flags & I2C_M_RD)
				m->buf[k] = get((uint8_t)m->addr);
			else if (!k)
				adapter.pointer[m->addr] = m->buf[0];
			else
				put((uint8_t)m->addr, m->buf[k]);
	}
	return (int)n;
}

static int smbus(const struct i2c_smbus_ioctl_data *d)
{
	bool read = d->read_write == I2C_SMBUS_READ;
	uint8_t a = adapter.slave, *bytes, n = 1;

	adapter.size = d->size;
	if (d->size == I2C_SMBUS_QUICK)
		return 0;
	if (d->size == I2C_SMBUS_BYTE && !read) {
		adapter.pointer[a] = d->command;
		return 0;
	}
	bytes = &d->data->byte;
	if (d->size != I2C_SMBUS_BYTE)
		adapter.pointer[a] = d->command;
	if (d->size == I2C_SMBUS_WORD_DATA)
		n = 2;
	if (d->size == I2C_SMBUS_I2C_BLOCK_DATA) {
		n = d->data->block[0];
		bytes = d->data->block + 1;
	}
	for (unsigned i = 0; i < n; i++)
		if (read)
			bytes[i] = get(a);
		else
			put(a, bytes[i]);
	return 0;
}

static int answer(unsigned long request, void *arg)
{
	switch (request) {
	case I2C_FUNCS:
		*(unsigned long *)arg = adapter.functions;
		return 0;
	case I2C_SLAVE:
		adapter.slave = (uint8_t)(uintptr_t)arg;
		return adapter.slave == adapter.busy ? -EBUSY : 0;
	case I2C_RDWR:
	case I2C_SMBUS:
		adapter.waiting++;
		pthread_cond_broadcast(&adapter.changed);
		while (adapter.block)
			pthread_cond_wait(&adapter.changed, &adapter.lock);
		adapter.waiting--;
		if (adapter.fail)
			return -adapter.fail;
		adapter.transfers++;
		return request == I2C_RDWR ? transfer(arg) : smbus(arg);
	default:
		return -ENOTTY;
	}
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int r;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	pthread_mutex_lock(&adapter.lock);
	r = answer(request, arg);
	pthread_mutex_unlock(&adapter.lock);
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

static void set_int(int *field, int value)
{
	pthread_mutex_lock(&adapter.lock);
	*field = value;
	pthread_mutex_unlock(&adapter.lock);
}

static void set_block(bool block)
{
	pthread_mutex_lock(&adapter.lock);
	adapter.block = block;
	pthread_cond_broadcast(&adapter.changed);
	while (block && !adapter.waiting)
		pthread_cond_wait(&adapter.changed, &adapter.lock);
	pthread_mutex_unlock(&adapter.lock);
}

static unsigned transfers(void)
{
	unsigned n;

	pthread_mutex_lock(&adapter.lock);
	n = adapter.transfers;
	pthread_mutex_unlock(&adapter.lock);
	return n;
}

static char path[64];

/* An adapter with chips at 0x50 to 0x57, and one simulated. */
static void open_host(struct tap *t, struct bus *b, unsigned long functions)
{
	const char *const keys[8] = { "adapter", path, "allow", "0x50-0x57", "devices",
		"0x20 registers" };

	device_node(path);
	adapter.functions = functions;
	adapter.busy = 0x58;
	adapter.fail = adapter.limit = 0;
	adapter.transfers = 0;
	memset(adapter.regs, 0, sizeof(adapter.regs));
	bus_open(t, b, 0, keys);
	device_watch(&b->srv, &events);
}

static void a_group_is_one_transfer(struct tap *t)
{
	uint8_t in[3] = { 0 };
	struct bus b;

	open_host(t, &b, I2C_FUNC_I2C);
	CHECK_EQ(t, bus_write(&b, 0x50, (uint8_t[]){ 0x10, 1, 2, 3 }, 4), I2C_OK);
	CHECK_EQ(t, bus_get(&b, 0x50, 0x10, 1, in, 3), I2C_OK);
	CHECK(t, in[0] == 1 && in[1] == 2 && in[2] == 3);
	CHECK_EQ(t, transfers(), 2);
	CHECK_EQ(t, adapter.messages, 2);
	CHECK_EQ(t, bus_write(&b, 0x57, NULL, 0), I2C_OK);
	bus_close(&b);
}

/* Other addresses never get there; no guest fills the log with it. */
static void only_allowed_addresses(struct tap *t)
{
	struct bus b;

	open_host(t, &b, I2C_FUNC_I2C);
	for (uint8_t a = 0; a < 128; a++)
		CHECK_EQ(t, bus_write(&b, a, "", 1),
			a == 0x20 || (a >= 0x50 && a <= 0x57) ? I2C_OK : I2C_ERR);
	CHECK_EQ(t, transfers(), 8);
	CHECK_EQ(t, vhud_serve_metric(&b.srv, "denied"), 128 - 9 - 4);
	CHECK(t, device_reports(&b.srv, &events, "denied"));
	CHECK(t, strlen(events.text) < 300);
	/* Nor in a group with one that is allowed. */
	struct bus_segment s[] = { { 0x50, false, (uint8_t[]){ 1, 1 }, 2, 0 },
		{ 0x58, false, (uint8_t[]){ 1, 1 }, 2, 0 } };

	CHECK(t, bus_group(&b, s, 2));
	CHECK(t, s[0].status == I2C_OK && s[1].status == I2C_ERR);
	CHECK_EQ(t, transfers(), 9);
	bus_close(&b);
}

static void failures_reach_the_guest(struct tap *t)
{
	uint8_t in[2];
	struct bus b;

	open_host(t, &b, I2C_FUNC_I2C);
	/* No acknowledgement, as different adapters say it. */
	for (unsigned i = 0; i < 3; i++) {
		set_int(&adapter.fail, (const int[]){ ENXIO, EREMOTEIO, ENODEV }[i]);
		CHECK_EQ(t, bus_read(&b, 0x50, in, 2), I2C_ERR);
	}
	CHECK_EQ(t, vhud_serve_metric(&b.srv, "host_failures"), 0);
	set_int(&adapter.fail, ETIMEDOUT);
	CHECK_EQ(t, bus_read(&b, 0x50, in, 2), I2C_ERR);
	CHECK(t, in[0] == 0 && in[1] == 0);
	CHECK_EQ(t, vhud_serve_metric(&b.srv, "host_failures"), 1);
	/* An adapter that did the first of two. */
	set_int(&adapter.fail, 0);
	set_int(&adapter.limit, 1);
	struct bus_segment s[] = { { 0x50, false, in, 1, 0 }, { 0x50, true, in, 1, 0 } };

	CHECK(t, bus_group(&b, s, 2));
	CHECK(t, s[0].status == I2C_OK && s[1].status == I2C_ERR);
	bus_close(&b);
}

/* i2c-dev takes 42 messages: longer groups fail as a whole, and nothing of them is sent. */
static void more_than_the_adapter_takes(struct tap *t)
{
	static uint8_t data[1];
	const char *const keys[8] = { "adapter", path, "allow", "0x50-0x57" };
	struct bus_segment s[50];
	struct bus b;

	device_node(path);
	adapter.functions = I2C_FUNC_I2C;
	adapter.fail = adapter.limit = 0;
	adapter.transfers = 0;
	bus_open(t, &b, FEATURE(VIRTIO_F_INDIRECT_DESC), keys);
	for (unsigned n = 42; n <= 44; n++) {
		for (unsigned i = 0; i < n; i++)
			s[i] = (struct bus_segment){ 0x50, false, data, 1, 0 };
		CHECK(t, bus_group(&b, s, n));
		for (unsigned i = 0; i < n; i++)
			CHECK_EQ(t, s[i].status, n == 42 ? I2C_OK : I2C_ERR);
		CHECK_EQ(t, transfers(), 1);
	}
	CHECK_EQ(t, bus_write(&b, 0x50, data, 1), I2C_OK);
	bus_close(&b);
}

/* The rest of a group that does not come is not waited for. */
static void an_open_group_is_answered(struct tap *t)
{
	uint8_t in;
	struct bus b;
	void *mem;

	open_host(t, &b, I2C_FUNC_I2C);
	struct bus_segment first[] = { { 0x50, false, (uint8_t[]){ 9 }, 1, 0 } };

	CHECK(t, bus_send(&b, first, 1, true, &mem));
	CHECK(t, bus_wait(&b, first, 1, mem, VHUD_TIMEOUT_MS));
	CHECK_EQ(t, first[0].status, I2C_OK);
	CHECK_EQ(t, bus_read(&b, 0x50, &in, 1), I2C_OK);
	CHECK_EQ(t, transfers(), 2);
	bus_close(&b);
}

static void simulated_and_host_in_one_group(struct tap *t)
{
	uint8_t a = 0, c = 0;
	struct bus b;

	open_host(t, &b, I2C_FUNC_I2C);
	struct bus_segment s[] = { { 0x50, false, (uint8_t[]){ 3, 0x33 }, 2, 0 },
		{ 0x20, false, (uint8_t[]){ 4, 0x44 }, 2, 0 },
		{ 0x50, false, (uint8_t[]){ 3 }, 1, 0 }, { 0x50, true, &a, 1, 0 },
		{ 0x20, false, (uint8_t[]){ 4 }, 1, 0 }, { 0x20, true, &c, 1, 0 } };

	CHECK(t, bus_group(&b, s, 6));
	for (unsigned i = 0; i < 6; i++)
		CHECK_EQ(t, s[i].status, I2C_OK);
	CHECK(t, a == 0x33 && c == 0x44);
	CHECK_EQ(t, transfers(), 2);
	bus_close(&b);
}

/* A chip that holds the clock: the loop goes on, a reset is done, and what comes late is dropped.
 */
static void a_slow_adapter(struct tap *t)
{
	uint8_t in;
	struct bus b;
	void *mem;

	open_host(t, &b, I2C_FUNC_I2C);
	struct bus_segment s[] = { { 0x50, true, &in, 1, 0 } };

	pthread_mutex_lock(&adapter.lock);
	adapter.block = true;
	pthread_mutex_unlock(&adapter.lock);
	CHECK(t, bus_send(&b, s, 1, false, &mem));
	set_block(true);
	CHECK_EQ(t, vhud_serve_metric(&b.srv, "reads"), 0);
	CHECK(t, !bus_wait(&b, s, 1, mem, 0));
	CHECK_EQ(t, vhud_reset(b.d), 0);
	CHECK_EQ(
		t, vhud_start(b.d, &(struct vhud_opts){ .features = FEATURE(0), .nqueues = 1 }), 0);
	CHECK(t, bus_send(&b, s, 1, false, &mem));
	set_block(false);
	CHECK(t, bus_wait(&b, s, 1, mem, VHUD_TIMEOUT_MS));
	CHECK_EQ(t, s[0].status, I2C_OK);
	CHECK_EQ(t, vhud_serve_metric(&b.srv, "reads"), 1);
	CHECK_EQ(t, transfers(), 2);
	bus_close(&b);
}

/* Ends with a transfer under way, which has to be waited for. */
static void closing_in_the_middle(struct tap *t)
{
	struct bus b;
	void *mem;

	open_host(t, &b, I2C_FUNC_I2C);
	struct bus_segment s[] = { { 0x50, false, (uint8_t[]){ 1 }, 1, 0 } };

	CHECK(t, bus_send(&b, s, 1, false, &mem));
	bus_close(&b);
	CHECK(t, transfers() <= 1);
}

/* Unplugged and plugged in again: its file goes and comes. */
static void the_adapter_vanishes(struct tap *t)
{
	uint8_t in;
	struct bus b;
	char a[512];

	open_host(t, &b, I2C_FUNC_I2C);
	CHECK_EQ(t, bus_read(&b, 0x50, &in, 1), I2C_OK);
	CHECK_EQ(t, unlink(path), 0);
	CHECK(t, device_reports(&b.srv, &events, "host-gone"));
	CHECK_EQ(t, bus_read(&b, 0x50, &in, 1), I2C_ERR);
	CHECK_EQ(t, transfers(), 1);
	CHECK_EQ(t, bus_read(&b, 0x20, &in, 1), I2C_OK);
	CHECK(t, !bus_tell(&b, "list", a) && strstr(a, "(gone)"));
	device_node(path);
	CHECK(t, device_reports(&b.srv, &events, "host-back"));
	CHECK_EQ(t, bus_read(&b, 0x50, &in, 1), I2C_OK);
	CHECK(t, !bus_tell(&b, "list", a) && !strstr(a, "(gone)"));
	CHECK(t, strstr(a, ": 0x50 0x51 0x52 0x53 0x54 0x55 0x56 0x57\n"));
	bus_close(&b);
}

static void smbus_commands(struct tap *t)
{
	uint8_t block[34] = { 0x40 }, in[34] = { 0 };
	struct bus b;

	open_host(t, &b, SMBUS);
	CHECK_EQ(t, bus_write(&b, 0x50, NULL, 0), I2C_OK);
	CHECK_EQ(t, adapter.size, I2C_SMBUS_QUICK);
	CHECK_EQ(t, bus_write(&b, 0x50, (uint8_t[]){ 0x10, 0x77 }, 2), I2C_OK);
	CHECK_EQ(t, adapter.size, I2C_SMBUS_BYTE_DATA);
	CHECK_EQ(t, bus_write(&b, 0x50, (uint8_t[]){ 0x11, 0x78, 0x79 }, 3), I2C_OK);
	CHECK_EQ(t, adapter.size, I2C_SMBUS_WORD_DATA);
	CHECK(t, adapter.regs[0x50][0x11] == 0x78 && adapter.regs[0x50][0x12] == 0x79);
	CHECK_EQ(t, bus_write(&b, 0x50, (uint8_t[]){ 0x10 }, 1), I2C_OK);
	CHECK_EQ(t, adapter.size, I2C_SMBUS_BYTE);
	CHECK_EQ(t, bus_read(&b, 0x50, in, 1), I2C_OK);
	CHECK(t, adapter.size == I2C_SMBUS_BYTE && in[0] == 0x77);
	CHECK_EQ(t, bus_get(&b, 0x50, 0x12, 1, in, 1), I2C_OK);
	CHECK(t, adapter.size == I2C_SMBUS_BYTE_DATA && in[0] == 0x79);
	CHECK_EQ(t, bus_get(&b, 0x50, 0x11, 1, in, 2), I2C_OK);
	CHECK(t, adapter.size == I2C_SMBUS_WORD_DATA && in[0] == 0x78 && in[1] == 0x79);
	for (unsigned i = 1; i < 33; i++)
		block[i] = (uint8_t)i;
	CHECK_EQ(t, bus_write(&b, 0x50, block, 33), I2C_OK);
	CHECK_EQ(t, adapter.size, I2C_SMBUS_I2C_BLOCK_DATA);
	CHECK_EQ(t, bus_get(&b, 0x50, 0x40, 1, in, 32), I2C_OK);
	CHECK(t, !memcmp(in, block + 1, 32));
	/* What no command of SMBus is. */
	CHECK_EQ(t, bus_write(&b, 0x50, block, 34), I2C_ERR);
	CHECK_EQ(t, bus_get(&b, 0x50, 0x40, 1, in, 33), I2C_ERR);
	CHECK_EQ(t, bus_get(&b, 0x50, 0x40, 2, in, 1), I2C_ERR);
	CHECK_EQ(t, bus_read(&b, 0x50, in, 2), I2C_ERR);
	struct bus_segment s[] = { { 0x50, false, block, 1, 0 }, { 0x51, true, in, 1, 0 } };

	CHECK(t, bus_group(&b, s, 2) && s[0].status == I2C_ERR && s[1].status == I2C_ERR);
	bus_close(&b);
}

static void refused(struct tap *t, unsigned long functions, const char *allow, const char *reason)
{
	struct vdev *dev = NULL;
	struct ev_loop *loop;
	struct err e = { 0 };

	device_node(path);
	adapter.functions = functions;
	REQUIRE(t, !ev_loop_create(&loop) && !vdev_new(&dev, &vdev_i2c, &e));
	CHECK_EQ(t, opt_set(vdev_i2c.opts, dev, "adapter", path, &e), 0);
	CHECK_EQ(t, opt_set(vdev_i2c.opts, dev, "allow", allow, &e), 0);
	CHECK(t, vdev_init(dev, loop, NULL, &e) < 0);
	if (!CHECK(t, strstr(e.msg, reason)))
		printf("# '%s' is not in '%s'\n", reason, e.msg);
	vdev_destroy(dev);
	ev_loop_destroy(loop);
}

static void unusable_adapters_are_refused(struct tap *t)
{
	unsigned before = vhud_count_fds();

	refused(t, I2C_FUNC_10BIT_ADDR, "0x50", "can transfer nothing");
	refused(t, I2C_FUNC_I2C, "0x58", "address 0x58 on");
	refused(t, I2C_FUNC_I2C, "0x50-0x58", "belongs to a driver of the host");
	CHECK_EQ(t, vhud_count_fds(), before);
}

int main(void)
{
	struct tap t = { 0 };

	snprintf(path, sizeof(path), "/tmp/avp-i2c-adapter-%d", (int)getpid());
	TAP_RUN(&t, a_group_is_one_transfer);
	TAP_RUN(&t, only_allowed_addresses);
	TAP_RUN(&t, failures_reach_the_guest);
	TAP_RUN(&t, more_than_the_adapter_takes);
	TAP_RUN(&t, an_open_group_is_answered);
	TAP_RUN(&t, simulated_and_host_in_one_group);
	TAP_RUN(&t, a_slow_adapter);
	TAP_RUN(&t, closing_in_the_middle);
	TAP_RUN(&t, the_adapter_vanishes);
	TAP_RUN(&t, smbus_commands);
	TAP_RUN(&t, unusable_adapters_are_refused);
	unlink(path);
	return tap_done(&t);
}
