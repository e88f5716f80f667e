/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A serial NOR flash: the commands of the 25-series with 3-byte addresses, and SFDP (JESD216B), by
 * which drivers find its size.
 *
 * A command ends when the chip is deselected. A driver that never says so (cs_change; Linux is one)
 * is understood by what it sends: a command ends when it is complete, and what is sent after
 * something was read begins the next one.
 */
#include <errno.h>
#include <string.h>

#include "base/loop.h"
#include "base/util.h"
#include "base/words.h"
#include "devices/spi_chip.h"
#include "host/chipmem.h"

#define SIZE_MIN       (64u << 10)
#define SIZE_MAX_BYTES (16u << 20)
#define PAGE	       256u

#define OPCODE_STATUS 0x05u

#define SR_BUSY 0x01u
#define SR_WEL	0x02u

/* Manufacturer and type of a common family; the third byte is the capacity's power of two. */
#define ID_DEFAULT 0xef4000u

enum phase {
	PHASE_OPCODE,
	PHASE_ADDR,
	PHASE_DUMMY,
	PHASE_OUT,  /* the chip sends */
	PHASE_IN,   /* it takes data */
	PHASE_DONE, /* complete, all else is ignored */
};

struct flash;

/* A command. Flash contents are read where PHASE_OUT has no `out`. */
struct command {
	uint8_t opcode, addr, dummy;			    /* the latter two in bytes */
	enum phase then;				    /* what follows them */
	uint8_t (*out)(const struct flash *f, uint32_t at); /* a byte that the chip sends */
	void (*run)(struct flash *f);			    /* what it does once complete */
	uint32_t span;					    /* bytes to erase; 0: all */
};

struct flash {
	struct spi_chip chip;
	/* Keys. */
	char *file, *id_text;
	uint64_t size;
	uint32_t program_ms, erase_ms;
	bool readonly;

	struct chipmem mem;
	uint32_t id; /* three bytes, the first in bits 23 to 16 */
	uint8_t sfdp[80];

	bool wel;
	uint64_t busy_until; /* ev_now_ns() */

	/* The command under way. */
	const struct command *cmd;
	enum phase phase;
	unsigned left; /* bytes of this phase, for addresses and dummies */
	uint32_t addr; /* also the position in what is read */
	bool moved;    /* data went in or out */
	uint8_t page[PAGE];
};

static struct flash *to_flash(struct spi_chip *chip)
{
	return container_of(chip, struct flash, chip);
}

static bool busy(const struct flash *f)
{
	return ev_now_ns() < f->busy_until;
}

/* What commands do. */

/* What is in the page already stays where it is 0. */
static void program(struct flash *f)
{
	uint32_t base = f->addr & ((uint32_t)f->size - 1) & ~(PAGE - 1);
	uint8_t old[PAGE];

	if (!f->wel || f->readonly || chipmem_read(&f->mem, base, old, PAGE))
		return;
	for (unsigned i = 0; i < PAGE; i++)
		old[i] &= f->page[i];
	chipmem_write(&f->mem, base, old, PAGE);
	f->busy_until = ev_now_ns() + f->program_ms * UINT64_C(1000000);
}

static void erase(struct flash *f)
{
	uint64_t len = f->cmd->span ? f->cmd->span : f->size;

	if (!f->wel || f->readonly)
		return;
	chipmem_fill(&f->mem, f->addr & (f->size - 1) & ~(len - 1), 0xff, len);
	f->busy_until = ev_now_ns() + f->erase_ms * UINT64_C(1000000);
}

static void write_enable(struct flash *f)
{
	f->wel = true;
}

/* Also what is left of writing a status register, of which no bit can be changed. */
static void write_disable(struct flash *f)
{
	f->wel = false;
}

static uint8_t out_id(const struct flash *f, uint32_t at)
{
	return (uint8_t)(f->id >> (16 - 8 * (at % 3)));
}

/* A number one below the capacity's. */
static uint8_t out_device(const struct flash *f, uint32_t at)
{
	return (uint8_t)((f->id & 0xff) - 1);
}

static uint8_t out_old_id(const struct flash *f, uint32_t at)
{
	return at % 2 ? out_device(f, at) : (uint8_t)(f->id >> 16);
}

static uint8_t out_sfdp(const struct flash *f, uint32_t at)
{
	return at < sizeof(f->sfdp) ? f->sfdp[at] : 0xff;
}

static uint8_t out_status(const struct flash *f, uint32_t at)
{
	return (uint8_t)((busy(f) ? SR_BUSY : 0) | (f->wel ? SR_WEL : 0));
}

static uint8_t out_status23(const struct flash *f, uint32_t at)
{
	return 0;
}

static const struct command commands[] = {
	{ 0x03, 3, 0, PHASE_OUT }, { 0x0b, 3, 1, PHASE_OUT }, { 0x9f, 0, 0, PHASE_OUT, out_id },
	{ 0x90, 3, 0, PHASE_OUT, out_old_id },
	{ 0xab, 0, 3, PHASE_OUT, out_device }, /* also: power-down ends */
	{ 0x5a, 3, 1, PHASE_OUT, out_sfdp }, { OPCODE_STATUS, 0, 0, PHASE_OUT, out_status },
	{ 0x35, 0, 0, PHASE_OUT, out_status23 }, { 0x15, 0, 0, PHASE_OUT, out_status23 },
	{ 0x06, 0, 0, PHASE_DONE, .run = write_enable },
	{ 0x04, 0, 0, PHASE_DONE, .run = write_disable },
	{ 0x01, 0, 0, PHASE_IN, .run = write_disable },
	{ 0x31, 0, 0, PHASE_IN, .run = write_disable },
	{ 0x11, 0, 0, PHASE_IN, .run = write_disable }, { 0x02, 3, 0, PHASE_IN, .run = program },
	{ 0x20, 3, 0, PHASE_DONE, .run = erase, .span = 4u << 10 },
	{ 0x52, 3, 0, PHASE_DONE, .run = erase, .span = 32u << 10 },
	{ 0xd8, 3, 0, PHASE_DONE, .run = erase, .span = 64u << 10 },
	{ 0x60, 0, 0, PHASE_DONE, .run = erase }, { 0xc7, 0, 0, PHASE_DONE, .run = erase },
	{ 0x66, 0, 0, PHASE_DONE }, /* reset comes next */
	{ 0x99, 0, 0, PHASE_DONE, .run = write_disable },
	{ 0xb9, 0, 0, PHASE_DONE }, /* power-down: it stays awake */
};

/* A command that the chip does not have, or not while it is busy: it does not listen. */
static const struct command ignored = { .then = PHASE_DONE };

/* Commands. */

static void next_phase(struct flash *f)
{
	if (f->phase == PHASE_OPCODE && f->cmd->addr) {
		f->phase = PHASE_ADDR;
		f->left = f->cmd->addr;
	} else if (f->phase < PHASE_DUMMY && f->cmd->dummy) {
		f->phase = PHASE_DUMMY;
		f->left = f->cmd->dummy;
	} else {
		f->phase = f->cmd->then;
	}
}

static void begin_command(struct flash *f, uint8_t opcode)
{
	f->cmd = &ignored;
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
		if (commands[i].opcode == opcode && (opcode == OPCODE_STATUS || !busy(f)))
			f->cmd = &commands[i];
	f->addr = 0;
	f->moved = false;
	memset(f->page, 0xff, sizeof(f->page));
	next_phase(f);
}

static void execute(struct flash *f)
{
	if (!f->cmd->run)
		return;
	f->cmd->run(f);
	/* Whatever changes contents ends the permission. */
	if (f->cmd->run != write_enable)
		f->wel = false;
}

/* True if all that the command needs has come. */
static bool complete(const struct flash *f)
{
	return f->phase == PHASE_DONE || (f->phase == PHASE_IN && f->moved);
}

static void end_command(struct flash *f)
{
	if (f->phase != PHASE_OPCODE && complete(f))
		execute(f);
	f->phase = PHASE_OPCODE;
}

/* Bytes. */

static uint8_t one_byte(struct flash *f, uint8_t in)
{
	switch (f->phase) {
	case PHASE_OPCODE:
		begin_command(f, in);
		break;
	case PHASE_ADDR:
		f->addr = f->addr << 8 | in;
		if (!--f->left)
			next_phase(f);
		break;
	case PHASE_DUMMY:
		if (!--f->left)
			next_phase(f);
		break;
	case PHASE_IN:
		f->moved = true;
		f->page[f->addr % PAGE] = in;
		f->addr = (f->addr & ~(PAGE - 1)) | ((f->addr + 1) & (PAGE - 1));
		break;
	case PHASE_OUT:
		f->moved = true;
		return f->cmd->out(f, f->addr++);
	case PHASE_DONE:
	default:
		break;
	}
	return 0xff;
}

/* Contents in one go, up to the chip's end, behind which they begin again. */
static size_t out_contents(struct flash *f, uint8_t *rx, size_t len)
{
	uint32_t at = f->addr & ((uint32_t)f->size - 1);
	size_t n = (size_t)min_u64(len, f->size - at);

	if (rx)
		chipmem_read(&f->mem, at, rx, n);
	f->moved = true;
	f->addr = at + (uint32_t)n;
	return n;
}

static void flash_transfer(struct spi_chip *chip, const uint8_t *tx, uint8_t *rx, size_t len)
{
	struct flash *f = to_flash(chip);

	for (size_t i = 0; i < len;) {
		uint8_t out;

		if (f->phase == PHASE_OUT && !f->cmd->out) {
			i += out_contents(f, rx ? rx + i : NULL, len - i);
			continue;
		}
		out = one_byte(f, tx ? tx[i] : 0);
		if (rx)
			rx[i] = out;
		i++;
	}
}

static void flash_begin(struct spi_chip *chip, bool tx)
{
	struct flash *f = to_flash(chip);

	if (!chip->framed && tx && f->phase == PHASE_OUT && f->moved)
		end_command(f);
}

static void flash_end(struct spi_chip *chip)
{
	struct flash *f = to_flash(chip);

	if (!chip->framed && complete(f))
		end_command(f);
}

static void flash_deselect(struct spi_chip *chip)
{
	end_command(to_flash(chip));
}

/* Making one. */

static void put_dword(struct flash *f, unsigned at, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		f->sfdp[at + i] = (uint8_t)(v >> 8 * i);
}

/* A header, one parameter header, and the basic flash parameter table of 16 dwords (JESD216B, 6):
 * single lines only, erasing by 4, 32 and 64 KiB, pages of 256 bytes, no suspending. */
static void make_sfdp(struct flash *f)
{
	const uint32_t table[16] = { 0xff8020e5, (uint32_t)f->size * 8 - 1, 0, 0, 0xffffffee,
		0x0000ffff, 0x0000ffff, 0x520f200c, 0x0000d810, 0, 0x00000080, 0x80000000, 0,
		0x80000004, 0, 0x00001001 };

	put_dword(f, 0, 0x50444653);  /* "SFDP" */
	put_dword(f, 4, 0xff000106);  /* revision 1.6, one parameter header */
	put_dword(f, 8, 0x10010600);  /* basic table: its revision and length */
	put_dword(f, 12, 0xff000010); /* where it is */
	for (unsigned i = 0; i < ARRAY_LEN(table); i++)
		put_dword(f, 16 + 4 * i, table[i]);
}

static int flash_peek(void *chip, uint64_t at, uint8_t *buf, unsigned len)
{
	return chipmem_read(&to_flash(chip)->mem, at, buf, len);
}

static int flash_poke(void *chip, uint64_t at, const uint8_t *buf, unsigned len)
{
	return chipmem_write(&to_flash(chip)->mem, at, buf, len);
}

static void flash_show(const struct spi_chip *chip, FILE *answer)
{
	const struct flash *f = container_of(chip, const struct flash, chip);

	fprintf(answer, "flash size=%llu id=0x%06x%s%s%s", (unsigned long long)f->size, f->id,
		f->readonly ? " readonly" : "", f->wel ? " write-enabled" : "",
		busy(f) ? " busy" : "");
}

static int flash_init(struct spi_chip *chip, struct err *e)
{
	struct flash *f = to_flash(chip);
	uint64_t id = ID_DEFAULT | (uint32_t)__builtin_ctzll(f->size | 1u << 31);

	if (!is_pow2(f->size) || f->size < SIZE_MIN || f->size > SIZE_MAX_BYTES)
		return err_set(e, -EINVAL, "size: a power of two from 64K to 16M");
	if (f->id_text && words_number(f->id_text, 1, 0xffffff, &id))
		return err_set(e, -EINVAL, "id: '%.32s' is no JEDEC ID as 0xef4014", f->id_text);
	f->id = (uint32_t)id;
	make_sfdp(f);
	chip->bytes = (struct chip_bytes){ f->size, flash_peek, flash_poke };
	return chipmem_open(&f->mem, f->file, f->size, 0xff, e);
}

static void flash_finish(struct spi_chip *chip)
{
	chipmem_close(&to_flash(chip)->mem);
}

static const struct opt flash_opts[] = {
	{ "file", OPT_PATH, offsetof(struct flash, file), .help = "keeps its contents" },
	{ "size", OPT_SIZE, offsetof(struct flash, size), .def = "1M", .help = "bytes" },
	{ "id", OPT_STR, offsetof(struct flash, id_text), .help = "JEDEC ID, three bytes" },
	{ "program-time", OPT_TIME, offsetof(struct flash, program_ms), .def = "0ms", .max = 1000,
		.help = "of a page" },
	{ "erase-time", OPT_TIME, offsetof(struct flash, erase_ms), .def = "0ms", .max = 100000,
		.help = "of a sector, a block or the chip" },
	{ "readonly", OPT_BOOL, offsetof(struct flash, readonly), .def = "false",
		.help = "does not program or erase" },
	OPT_END,
};

const struct spi_chip_class spi_flash = {
	.name = "flash",
	.size = sizeof(struct flash),
	.opts = flash_opts,
	.init = flash_init,
	.finish = flash_finish,
	.transfer = flash_transfer,
	.deselect = flash_deselect,
	.begin = flash_begin,
	.end = flash_end,
	.show = flash_show,
};
