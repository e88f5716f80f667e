/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/i2cdev.h"

#include <errno.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <string.h>
#include <sys/ioctl.h>

_Static_assert(I2CDEV_SEGMENTS_MAX == I2C_RDWR_IOCTL_MAX_MSGS, "i2c-dev's limit");

int i2cdev_functions(int fd, const char *path, unsigned long *functions, struct err *e)
{
	if (ioctl(fd, I2C_FUNCS, functions) < 0)
		return err_sys(e, -errno, "%s is no I2C adapter of i2c-dev", path);
	if (!(*functions & (I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL)))
		return err_set(e, -EOPNOTSUPP, "the adapter %s can transfer nothing", path);
	return 0;
}

int i2cdev_check_free(int fd, const char *path, const struct i2c_addrs *addrs, struct err *e)
{
	for (uint8_t addr = 0; addr < 128; addr++) {
		if (!i2c_addrs_has(addrs, addr) || !ioctl(fd, I2C_SLAVE, (unsigned long)addr))
			continue;
		if (errno == EBUSY)
			return err_set(e, -EBUSY,
				"address 0x%02x on %s belongs to a driver of the host; unbind it "
				"or take the address out of 'allow'",
				addr, path);
		return err_sys(e, -errno, "asking %s about address 0x%02x", path, addr);
	}
	return 0;
}

static int rdwr(int fd, const struct i2cdev_segment *s, unsigned n)
{
	struct i2c_msg msgs[I2CDEV_SEGMENTS_MAX];
	struct i2c_rdwr_ioctl_data data = { .msgs = msgs, .nmsgs = n };
	int r;

	for (unsigned i = 0; i < n; i++)
		msgs[i] = (struct i2c_msg){ .addr = s[i].addr,
			.flags = s[i].read ? I2C_M_RD : 0,
			.len = s[i].len,
			.buf = s[i].data };
	r = ioctl(fd, I2C_RDWR, &data);
	return r < 0 ? -errno : r;
}

/* SMBus: the command of each form, as in the specification's chapter 6.5. */

static int command(int fd, bool read, uint8_t code, uint32_t size, union i2c_smbus_data *data)
{
	struct i2c_smbus_ioctl_data args = {
		.read_write = read ? I2C_SMBUS_READ : I2C_SMBUS_WRITE,
		.command = code,
		.size = size,
		.data = data,
	};

	return ioctl(fd, I2C_SMBUS, &args) < 0 ? -errno : 0;
}

/* A single segment without a register before it. */
static int quick_or_byte(int fd, unsigned long f, const struct i2cdev_segment *s)
{
	unsigned long byte = s->read ? I2C_FUNC_SMBUS_READ_BYTE : I2C_FUNC_SMBUS_WRITE_BYTE;
	union i2c_smbus_data data = { 0 };
	int r;

	if (!s->len)
		return f & I2C_FUNC_SMBUS_QUICK ? command(fd, s->read, 0, I2C_SMBUS_QUICK, NULL)
						: -EOPNOTSUPP;
	if (s->len > 1 || !(f & byte))
		return -EOPNOTSUPP;
	r = command(fd, s->read, s->read ? 0 : s->data[0], I2C_SMBUS_BYTE, &data);
	if (!r && s->read)
		s->data[0] = data.byte;
	return r;
}

/* A register, and `len` bytes of it. Two bytes are a word, low byte first. */
static int registers(int fd, unsigned long f, bool read, uint8_t reg, uint8_t *bytes, unsigned len)
{
	unsigned long byte = read ? I2C_FUNC_SMBUS_READ_BYTE_DATA : I2C_FUNC_SMBUS_WRITE_BYTE_DATA;
	unsigned long word = read ? I2C_FUNC_SMBUS_READ_WORD_DATA : I2C_FUNC_SMBUS_WRITE_WORD_DATA;
	unsigned long block = read ? I2C_FUNC_SMBUS_READ_I2C_BLOCK : I2C_FUNC_SMBUS_WRITE_I2C_BLOCK;
	union i2c_smbus_data data = { 0 };
	bool as_block = false;
	uint32_t size;
	int r;

	if (len == 1 && f & byte) {
		size = I2C_SMBUS_BYTE_DATA;
		data.byte = bytes[0];
	} else if (len == 2 && f & word) {
		size = I2C_SMBUS_WORD_DATA;
		data.word = (uint16_t)(bytes[0] | bytes[1] << 8);
	} else if (len >= 1 && len <= I2C_SMBUS_BLOCK_MAX && f & block) {
		size = I2C_SMBUS_I2C_BLOCK_DATA;
		as_block = true;
		data.block[0] = (uint8_t)len;
		memcpy(data.block + 1, bytes, len);
	} else {
		return -EOPNOTSUPP;
	}
	r = command(fd, read, reg, size, &data);
	if (r || !read)
		return r;
	if (as_block && data.block[0] < len)
		return -EPROTO;
	if (as_block) {
		memcpy(bytes, data.block + 1, len);
	} else {
		bytes[0] = size == I2C_SMBUS_BYTE_DATA ? data.byte : (uint8_t)data.word;
		if (len == 2)
			bytes[1] = (uint8_t)(data.word >> 8);
	}
	return 0;
}

static int smbus(int fd, unsigned long f, const struct i2cdev_segment *s, unsigned n)
{
	int r;

	if (ioctl(fd, I2C_SLAVE, (unsigned long)s[0].addr) < 0)
		return -errno;
	if (n == 1 && (s->len < 2 || s->read))
		r = quick_or_byte(fd, f, s);
	else if (n == 1)
		r = registers(fd, f, false, s->data[0], s->data + 1, s->len - 1u);
	else if (n == 2 && s[0].addr == s[1].addr && !s[0].read && s[0].len == 1 && s[1].read)
		r = registers(fd, f, true, s[0].data[0], s[1].data, s[1].len);
	else
		r = -EOPNOTSUPP;
	return r ? r : (int)n;
}

int i2cdev_transfer(
	int fd, unsigned long functions, const struct i2cdev_segment *segments, unsigned n)
{
	return functions & I2C_FUNC_I2C ? rdwr(fd, segments, n) : smbus(fd, functions, segments, n);
}
