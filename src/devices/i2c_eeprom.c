/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A serial EEPROM of the 24xx family: 8-bit addressing up to 2 KiB, where larger ones than 256
 * bytes have several device addresses, and 16-bit addressing beyond. A write fills the page buffer
 * and becomes lasting after the stop condition; until its time is over the chip does not answer.
 */
#include <errno.h>
#include <string.h>

#include "base/loop.h"
#include "base/util.h"
#include "devices/i2c_chip.h"
#include "host/chipmem.h"

#define SIZE_MIN 128u
#define SIZE_8	 2048u	 /* most with 8-bit addressing */
#define SIZE_16	 131072u /* with 16-bit addressing: two device addresses */
#define PAGE_MAX 256u

static const char *const width_words[] = { "auto", "8", "16", NULL };

struct eeprom {
	struct i2c_chip chip;
	/* Keys. */
	char *file;
	uint64_t size;
	uint32_t page, write_ms;
	int width;
	bool readonly;

	struct chipmem mem;
	unsigned addr_len; /* bytes of an address, 1 or 2 */
	uint32_t pointer;
	uint64_t busy_until; /* end of the write cycle, ev_now_ns() */

	/* The write that is under way. */
	unsigned addr_got; /* address bytes so far */
	bool dirty;
	uint8_t page_buf[PAGE_MAX];
	bool changed[PAGE_MAX];
};

static struct eeprom *to_eeprom(struct i2c_chip *chip)
{
	return container_of(chip, struct eeprom, chip);
}

static void drop_page(struct eeprom *m)
{
	memset(m->changed, 0, sizeof(m->changed));
	m->dirty = false;
}

static bool eeprom_start(struct i2c_chip *chip, unsigned which, bool read)
{
	struct eeprom *m = to_eeprom(chip);

	/* Data that no stop condition followed is not written. */
	drop_page(m);
	m->addr_got = 0;
	if (ev_now_ns() < m->busy_until)
		return false;
	/* The bits that select among the device addresses are the address's upper ones. */
	if (!read && chip->naddrs > 1)
		m->pointer =
			(m->pointer & ((1u << 8 * m->addr_len) - 1)) | which << 8 * m->addr_len;
	return true;
}

static void address_byte(struct eeprom *m, uint8_t byte)
{
	unsigned shift = 8 * (m->addr_len - 1 - m->addr_got++);

	m->pointer = (m->pointer & ~(0xffu << shift)) | (uint32_t)byte << shift;
	m->pointer &= (uint32_t)m->size - 1;
}

/* Within a page: the address's lower bits wrap. */
static void data_byte(struct eeprom *m, uint8_t byte)
{
	uint32_t in_page = m->pointer & (m->page - 1);

	m->page_buf[in_page] = byte;
	m->changed[in_page] = true;
	m->dirty = true;
	m->pointer = (m->pointer & ~(m->page - 1)) | ((in_page + 1) & (m->page - 1));
}

static bool eeprom_write(struct i2c_chip *chip, const uint8_t *buf, unsigned len)
{
	struct eeprom *m = to_eeprom(chip);

	for (unsigned i = 0; i < len; i++)
		if (m->addr_got < m->addr_len)
			address_byte(m, buf[i]);
		else
			data_byte(m, buf[i]);
	return true;
}

static void eeprom_read(struct i2c_chip *chip, uint8_t *buf, unsigned len)
{
	struct eeprom *m = to_eeprom(chip);

	while (len) {
		unsigned n = (unsigned)min_u64(len, m->size - m->pointer);

		chipmem_read(&m->mem, m->pointer, buf, n);
		m->pointer = (m->pointer + n) & ((uint32_t)m->size - 1);
		buf += n;
		len -= n;
	}
}

static void eeprom_stop(struct i2c_chip *chip)
{
	struct eeprom *m = to_eeprom(chip);
	uint32_t base = m->pointer & ~(m->page - 1);

	if (!m->dirty)
		return;
	for (uint32_t i = 0, end; i < m->page && !m->readonly; i = end + 1) {
		for (end = i; end < m->page && m->changed[end]; end++)
			;
		if (end > i)
			chipmem_write(&m->mem, base + i, m->page_buf + i, end - i);
	}
	/* A protected chip acknowledges and does nothing, without a write cycle. */
	if (!m->readonly)
		m->busy_until = ev_now_ns() + m->write_ms * UINT64_C(1000000);
	drop_page(m);
}

static int eeprom_peek(void *chip, uint64_t at, uint8_t *buf, unsigned len)
{
	return chipmem_read(&to_eeprom(chip)->mem, at, buf, len);
}

static int eeprom_poke(void *chip, uint64_t at, const uint8_t *buf, unsigned len)
{
	return chipmem_write(&to_eeprom(chip)->mem, at, buf, len);
}

static void eeprom_show(const struct i2c_chip *chip, FILE *answer)
{
	const struct eeprom *m = container_of(chip, const struct eeprom, chip);

	fprintf(answer, "size=%llu page=%u width=%u%s%s", (unsigned long long)m->size, m->page,
		8 * m->addr_len, m->readonly ? " readonly" : "",
		ev_now_ns() < m->busy_until ? " writing" : "");
}

static int check_keys(struct eeprom *m, struct err *e)
{
	uint64_t most = m->width == 1 ? SIZE_8 : SIZE_16;

	if (!is_pow2(m->size) || m->size < SIZE_MIN || m->size > most)
		return err_set(e, -EINVAL, "size: a power of two from %u to %llu", SIZE_MIN,
			(unsigned long long)most);
	m->addr_len = m->width ? (unsigned)m->width : m->size <= SIZE_8 ? 1 : 2;
	if (!m->page)
		m->page = m->addr_len == 1 ? (m->size <= 256 ? 8 : 16) : 32;
	if (!is_pow2(m->page) || m->page > min_u64(PAGE_MAX, m->size))
		return err_set(
			e, -EINVAL, "page: a power of two, at most %u and the size", PAGE_MAX);
	return 0;
}

static int eeprom_init(struct i2c_chip *chip, struct err *e)
{
	struct eeprom *m = to_eeprom(chip);
	int r = check_keys(m, e);

	if (r)
		return r;
	chip->naddrs = (uint8_t)max_u64(m->size >> 8 * m->addr_len, 1);
	chip->bytes = (struct chip_bytes){ m->size, eeprom_peek, eeprom_poke };
	return chipmem_open(&m->mem, m->file, m->size, 0xff, e);
}

static void eeprom_finish(struct i2c_chip *chip)
{
	chipmem_close(&to_eeprom(chip)->mem);
}

static const struct opt eeprom_opts[] = {
	{ "file", OPT_PATH, offsetof(struct eeprom, file), .help = "keeps its contents" },
	{ "size", OPT_SIZE, offsetof(struct eeprom, size), .def = "256", .help = "bytes" },
	{ "page", OPT_U32, offsetof(struct eeprom, page), .def = "0",
		.help = "bytes written at once" },
	{ "write-time", OPT_TIME, offsetof(struct eeprom, write_ms), .def = "5ms", .max = 1000,
		.help = "length of a write cycle" },
	{ "width", OPT_ENUM, offsetof(struct eeprom, width), .def = "auto", .words = width_words,
		.help = "bits of an address on the bus" },
	{ "readonly", OPT_BOOL, offsetof(struct eeprom, readonly), .def = "false",
		.help = "as with its write-protect pin high" },
	OPT_END,
};

const struct i2c_chip_class i2c_eeprom = {
	.name = "eeprom",
	.size = sizeof(struct eeprom),
	.opts = eeprom_opts,
	.init = eeprom_init,
	.finish = eeprom_finish,
	.start = eeprom_start,
	.write = eeprom_write,
	.read = eeprom_read,
	.stop = eeprom_stop,
	.show = eeprom_show,
};
