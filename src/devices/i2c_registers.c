/* SPDX-License-Identifier: BSD-3-Clause */
/* A plain register file: the first byte or two of a write say which register, each further byte
 * written or read goes on to the next. Behind the last comes the first. */
#include <errno.h>

#include "base/util.h"
#include "devices/i2c_chip.h"
#include "host/chipmem.h"

#define SIZE_MAX_BYTES 65536u

struct registers {
	struct i2c_chip chip;
	/* Keys. */
	char *file;
	uint64_t size;

	struct chipmem mem;
	uint32_t pointer;
	unsigned addr_len, addr_got; /* bytes of a register's number */
};

static struct registers *to_registers(struct i2c_chip *chip)
{
	return container_of(chip, struct registers, chip);
}

static bool registers_start(struct i2c_chip *chip, unsigned which, bool read)
{
	to_registers(chip)->addr_got = 0;
	return true;
}

/* Up to the end of the file and on from its beginning. Returns how many bytes. */
static unsigned step(struct registers *m, unsigned len, uint32_t *at)
{
	unsigned n = (unsigned)min_u64(len, m->size - m->pointer);

	*at = m->pointer;
	m->pointer = (uint32_t)((m->pointer + n) % m->size);
	return n;
}

static bool registers_write(struct i2c_chip *chip, const uint8_t *buf, unsigned len)
{
	struct registers *m = to_registers(chip);

	for (; len && m->addr_got < m->addr_len; buf++, len--) {
		m->pointer = m->addr_got++ ? m->pointer << 8 | *buf : *buf;
		if (m->addr_got == m->addr_len)
			m->pointer %= (uint32_t)m->size;
	}
	while (len) {
		uint32_t at;
		unsigned n = step(m, len, &at);

		if (chipmem_write(&m->mem, at, buf, n))
			return false;
		buf += n;
		len -= n;
	}
	return true;
}

static void registers_read(struct i2c_chip *chip, uint8_t *buf, unsigned len)
{
	struct registers *m = to_registers(chip);

	while (len) {
		uint32_t at;
		unsigned n = step(m, len, &at);

		chipmem_read(&m->mem, at, buf, n);
		buf += n;
		len -= n;
	}
}

static int registers_peek(void *chip, uint64_t at, uint8_t *buf, unsigned len)
{
	return chipmem_read(&to_registers(chip)->mem, at, buf, len);
}

static int registers_poke(void *chip, uint64_t at, const uint8_t *buf, unsigned len)
{
	return chipmem_write(&to_registers(chip)->mem, at, buf, len);
}

static void registers_show(const struct i2c_chip *chip, FILE *answer)
{
	const struct registers *m = container_of(chip, const struct registers, chip);

	fprintf(answer, "size=%llu pointer=0x%x", (unsigned long long)m->size, m->pointer);
}

static int registers_init(struct i2c_chip *chip, struct err *e)
{
	struct registers *m = to_registers(chip);

	if (!m->size || m->size > SIZE_MAX_BYTES)
		return err_set(e, -EINVAL, "size: 1 to %u bytes", SIZE_MAX_BYTES);
	m->addr_len = m->size <= 256 ? 1 : 2;
	chip->bytes = (struct chip_bytes){ m->size, registers_peek, registers_poke };
	return chipmem_open(&m->mem, m->file, m->size, 0, e);
}

static void registers_finish(struct i2c_chip *chip)
{
	chipmem_close(&to_registers(chip)->mem);
}

static const struct opt registers_opts[] = {
	{ "file", OPT_PATH, offsetof(struct registers, file), .help = "keeps its contents" },
	{ "size", OPT_SIZE, offsetof(struct registers, size), .def = "256",
		.help = "number of registers, a byte each" },
	OPT_END,
};

const struct i2c_chip_class i2c_registers = {
	.name = "registers",
	.size = sizeof(struct registers),
	.opts = registers_opts,
	.init = registers_init,
	.finish = registers_finish,
	.start = registers_start,
	.write = registers_write,
	.read = registers_read,
	.show = registers_show,
};
