/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Commands as in Intel's StrataFlash P30 datasheet (order number 306666), chapters 9 to 12; query
 * data as in JEDEC JESD68.01 (CFI).
 */
#include "machine/pflash.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "machine/reg32.h"

#define CMD_PROGRAM_ALT	   0x10u
#define CMD_ERASE	   0x20u
#define CMD_PROGRAM	   0x40u
#define CMD_CLEAR_STATUS   0x50u
#define CMD_LOCK_SETUP	   0x60u
#define CMD_READ_STATUS	   0x70u
#define CMD_READ_ID	   0x90u
#define CMD_READ_CFI	   0x98u
#define CMD_SUSPEND	   0xb0u
#define CMD_PROTECTION	   0xc0u
#define CMD_CONFIRM	   0xd0u
#define CMD_BUFFER	   0xe8u
#define CMD_RESET_AMD	   0xf0u /* of the other command set: drivers try both */
#define CMD_READ_ARRAY	   0xffu
#define LOCK_BLOCK	   0x01u
#define LOCK_CONFIGURATION 0x03u
#define LOCK_DOWN	   0x2fu

#define SR_LOCKED  0x02u
#define SR_PROGRAM 0x10u
#define SR_ERASE   0x20u
#define SR_READY   0x80u
#define SR_COMMAND (SR_PROGRAM | SR_ERASE)

#define MANUFACTURER 0x0089u
#define DEVICE	     0x0018u

#define LOAD_CHUNK (256u << 10)

/* Query data from word 0x10 on; sizes are those of one chip. */
static const uint8_t cfi[] = {
	'Q', 'R', 'Y', 0x01, 0x00, /* primary command set */
	0x31, 0x00,		   /* where its table is */
	0x00, 0x00, 0x00, 0x00,	   /* no other command set */
	0x17, 0x20, 0x00, 0x00,	   /* 1.7 to 2.0 V; no Vpp */
	0x07, 0x07, 0x0a, 0x00,	   /* 2^n us per word, per buffer, 2^n ms per block */
	0x04, 0x04, 0x04, 0x00,	   /* at most 2^n times that */
	0x19,			   /* 2^25 bytes */
	0x01, 0x00,		   /* x16 */
	0x0a, 0x00,		   /* 2^10 bytes of buffer */
	0x01,			   /* one kind of block: */
	0xff, 0x00, 0x00, 0x02,	   /* 256 of them, 512 * 256 bytes each */
	'P', 'R', 'I', '1', '0',   /* the table of the primary command set, version 1.0 */
	0x20, 0x00, 0x00, 0x00,	   /* blocks can be locked one by one */
	0x00,			   /* nothing to be done while suspended */
	0x01, 0x00,		   /* each block has a lock bit */
	0x18, 0x00,		   /* 1.8 V; no Vpp */
	0x00,			   /* no protection registers */
};
#define CFI_START 0x10u

/* One chip's 16 bits, from both. */
static uint32_t both(uint32_t v)
{
	return v | v << 16;
}

static uint32_t id_word(const struct pflash *f, uint32_t offset)
{
	switch ((offset % PFLASH_BLOCK) / 4) {
	case 0:
		return MANUFACTURER;
	case 1:
		return DEVICE;
	case 2:
		return f->locked[offset / PFLASH_BLOCK];
	default:
		return 0;
	}
}

static uint32_t read_word(void *arg, uint32_t offset)
{
	const struct pflash *f = arg;
	uint32_t word = offset / 4, v;

	switch (f->view) {
	case PFLASH_STATUS:
		return both(f->status);
	case PFLASH_ID:
		return both(id_word(f, offset));
	case PFLASH_CFI:
		word -= CFI_START;
		return word < sizeof(cfi) ? both(cfi[word]) : 0;
	case PFLASH_ARRAY:
	default:
		memcpy(&v, f->mem + offset, sizeof(v));
		return v;
	}
}

/* Lets the guest read the array by itself, or not. Without the machine's help we answer. */
static void update_direct(struct pflash *f)
{
	bool direct = f->view == PFLASH_ARRAY && f->expect == PFLASH_COMMAND;

	if (direct == f->direct || !f->vmm->ops->rom)
		return;
	if (!f->vmm->ops->rom(f->vmm, f->addr, f->mem, PFLASH_BANK, direct))
		f->direct = direct;
}

static int write_file(struct pflash *f, uint32_t offset, uint32_t len)
{
	while (len) {
		ssize_t n = pwrite(f->fd, f->mem + offset, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		offset += (uint32_t)n;
		len -= (uint32_t)n;
	}
	return fdatasync(f->fd) < 0 ? -errno : 0;
}

/* The bits of SR that a change of [offset, offset + len) ends with; `failed` is the operation's. */
static uint8_t store(struct pflash *f, uint32_t offset, uint32_t len, uint8_t failed)
{
	int rc = write_file(f, offset, len);

	if (!rc)
		return 0;
	if (log_allowed(&f->limit, 1))
		log_error(f->vmm->log, "%s: cannot write to its file: %s", f->name, strerror(-rc));
	return failed;
}

/* Programming only clears bits. */
static void program(struct pflash *f, uint32_t offset, const uint8_t *data, uint32_t len)
{
	if (f->locked[offset / PFLASH_BLOCK] || f->locked[(offset + len - 1) / PFLASH_BLOCK]) {
		f->status |= SR_PROGRAM | SR_LOCKED;
		return;
	}
	for (uint32_t i = 0; i < len; i++)
		f->mem[offset + i] &= data[i];
	f->status |= store(f, offset, len, SR_PROGRAM);
}

static void erase(struct pflash *f, uint32_t offset)
{
	uint32_t block = offset / PFLASH_BLOCK;

	if (f->locked[block]) {
		f->status |= SR_ERASE | SR_LOCKED;
		return;
	}
	memset(f->mem + block * PFLASH_BLOCK, 0xff, PFLASH_BLOCK);
	f->status |= store(f, block * PFLASH_BLOCK, PFLASH_BLOCK, SR_ERASE);
}

/* A block without a place in the file stays locked. */
static void set_lock(struct pflash *f, uint32_t offset, uint8_t what)
{
	uint32_t block = offset / PFLASH_BLOCK;

	if (what == LOCK_BLOCK || what == LOCK_DOWN)
		f->locked[block] = true;
	else if (what == CMD_CONFIRM && f->fd >= 0 && block < f->file_len / PFLASH_BLOCK)
		f->locked[block] = false;
	else if (what != CMD_CONFIRM && what != LOCK_CONFIGURATION)
		f->status |= SR_COMMAND;
}

static void command(struct pflash *f, uint8_t cmd)
{
	static const struct {
		uint8_t cmd;
		enum pflash_expect expect;
		enum pflash_view view;
	} commands[] = {
		{ CMD_PROGRAM, PFLASH_WORD, PFLASH_STATUS },
		{ CMD_PROGRAM_ALT, PFLASH_WORD, PFLASH_STATUS },
		{ CMD_PROTECTION, PFLASH_PROTECTION_WORD, PFLASH_STATUS },
		{ CMD_BUFFER, PFLASH_COUNT, PFLASH_STATUS },
		{ CMD_ERASE, PFLASH_ERASE, PFLASH_STATUS },
		{ CMD_LOCK_SETUP, PFLASH_LOCK, PFLASH_STATUS },
		{ CMD_READ_STATUS, PFLASH_COMMAND, PFLASH_STATUS },
		{ CMD_SUSPEND, PFLASH_COMMAND, PFLASH_STATUS },
		{ CMD_CONFIRM, PFLASH_COMMAND, PFLASH_STATUS },
		{ CMD_READ_ID, PFLASH_COMMAND, PFLASH_ID },
		{ CMD_READ_CFI, PFLASH_COMMAND, PFLASH_CFI },
		{ CMD_READ_ARRAY, PFLASH_COMMAND, PFLASH_ARRAY },
		{ CMD_RESET_AMD, PFLASH_COMMAND, PFLASH_ARRAY },
	};

	if (cmd == CMD_CLEAR_STATUS)
		f->status = SR_READY;
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
		if (commands[i].cmd == cmd) {
			f->expect = commands[i].expect;
			f->view = commands[i].view;
		}
}

/* The count of a buffered program. */
static void start_buffer(struct pflash *f, uint32_t count)
{
	f->left = count + 1;
	f->window_set = false;
	memset(f->buffer, 0xff, sizeof(f->buffer));
	f->expect = PFLASH_DATA;
	if (count < PFLASH_BUFFER / 4)
		return;
	f->status |= SR_COMMAND;
	f->expect = PFLASH_COMMAND;
}

/* All data of one buffered program lie in one window, an aligned part of the bank. */
static void fill_buffer(struct pflash *f, uint32_t offset, const uint8_t *data, uint32_t len)
{
	if (!f->window_set)
		f->window = offset & ~(PFLASH_BUFFER - 1);
	f->window_set = true;
	if (offset < f->window || !range_in(offset - f->window, len, PFLASH_BUFFER)) {
		f->status |= SR_COMMAND;
		f->expect = PFLASH_COMMAND;
		return;
	}
	memcpy(f->buffer + (offset - f->window), data, len);
	if (!--f->left)
		f->expect = PFLASH_CONFIRM;
}

static void write_word(struct pflash *f, uint32_t offset, const uint8_t *data, uint32_t len)
{
	enum pflash_expect expect = f->expect;
	uint32_t v = 0;

	memcpy(&v, data, len);
	if (expect != PFLASH_DATA)
		f->expect = PFLASH_COMMAND;
	switch (expect) {
	case PFLASH_WORD:
		program(f, offset, data, len);
		break;
	case PFLASH_PROTECTION_WORD:
		f->status |= SR_PROGRAM | SR_LOCKED;
		break;
	case PFLASH_COUNT:
		start_buffer(f, v & 0xffff);
		break;
	case PFLASH_DATA:
		fill_buffer(f, offset, data, len);
		break;
	case PFLASH_CONFIRM:
		if ((v & 0xff) == CMD_CONFIRM)
			program(f, f->window, f->buffer, PFLASH_BUFFER);
		else
			f->status |= SR_COMMAND;
		break;
	case PFLASH_ERASE:
		if ((v & 0xff) == CMD_CONFIRM)
			erase(f, offset);
		else
			f->status |= SR_COMMAND;
		break;
	case PFLASH_LOCK:
		set_lock(f, offset, v & 0xff);
		break;
	case PFLASH_COMMAND:
	default:
		command(f, v & 0xff);
		break;
	}
}

static void flash_read(void *arg, uint64_t offset, void *data, unsigned len)
{
	struct pflash *f = arg;

	pthread_mutex_lock(&f->lock);
	reg32_read(read_word, f, offset, data, len);
	pthread_mutex_unlock(&f->lock);
}

static void flash_write(void *arg, uint64_t offset, const void *data, unsigned len)
{
	struct pflash *f = arg;
	const uint8_t *from = data;

	pthread_mutex_lock(&f->lock);
	for (unsigned n; len; offset += n, from += n, len -= n) {
		n = len > 4 ? 4 : len;
		write_word(f, (uint32_t)offset, from, n);
	}
	update_direct(f);
	pthread_mutex_unlock(&f->lock);
}

/* Copies the file, so that nobody can take it away from under the guest. Zeros are there already.
 */
static int load(struct pflash *f, int fd, struct err *e)
{
	static const uint8_t zeros[4096];
	autofree uint8_t *chunk = malloc(LOAD_CHUNK);

	if (!chunk)
		return err_set(e, -ENOMEM, "%s: no memory", f->name);
	for (uint64_t at = 0; at < f->file_len; at += LOAD_CHUNK) {
		size_t len = (size_t)min_u64(LOAD_CHUNK, f->file_len - at);
		int rc = fd_pread_full(fd, chunk, len, at);

		if (rc)
			return err_sys(e, rc, "%s: cannot read its file", f->name);
		for (size_t page = 0; page < len; page += sizeof(zeros)) {
			size_t n = (size_t)min_u64(sizeof(zeros), len - page);

			if (memcmp(chunk + page, zeros, n) != 0)
				memcpy(f->mem + at + page, chunk + page, n);
		}
	}
	return 0;
}

static int check_file(struct pflash *f, int fd, bool writable, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "%s: cannot look at its file", f->name);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s: what it is to hold is not a regular file", f->name);
	if (st.st_size > PFLASH_BANK)
		return err_set(e, -EINVAL, "%s: the file has %jd bytes, the bank only %u", f->name,
			(intmax_t)st.st_size, PFLASH_BANK);
	if (writable && (!st.st_size || st.st_size % PFLASH_BLOCK))
		return err_set(e, -EINVAL,
			"%s: the file has %jd bytes, which is no multiple of %u, the size of a "
			"block",
			f->name, (intmax_t)st.st_size, PFLASH_BLOCK);
	f->file_len = (uint64_t)st.st_size;
	return 0;
}

static int fill(struct pflash *f, int fd, bool writable, struct err *e)
{
	int rc = check_file(f, fd, writable, e);

	if (!rc)
		rc = load(f, fd, e);
	if (rc || !writable)
		return rc;
	f->fd = fd;
	for (uint64_t block = 0; block < f->file_len / PFLASH_BLOCK; block++)
		f->locked[block] = false;
	return 0;
}

int pflash_init(struct pflash *f, struct vmm *vmm, uint64_t addr, const char *name, int fd,
	bool writable, struct err *e)
{
	void *mem = mmap(NULL, PFLASH_BANK, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int rc;

	if (mem == MAP_FAILED)
		return err_sys(e, -errno, "%s: no memory", name);
	*f = (struct pflash){
		.vmm = vmm,
		.name = name,
		.addr = addr,
		.mem = mem,
		.fd = -1,
		.status = SR_READY,
		.range = { .len = PFLASH_BANK,
			.name = name,
			.read = flash_read,
			.write = flash_write,
			.arg = f },
	};
	pthread_mutex_init(&f->lock, NULL);
	memset(f->locked, true, sizeof(f->locked));
	rc = fd < 0 ? 0 : fill(f, fd, writable, e);
	if (!rc)
		rc = bus_add(&vmm->mmio, &f->range, addr, e);
	if (!rc)
		update_direct(f);
	return rc;
}

void pflash_finish(struct pflash *f)
{
	if (!f->vmm)
		return;
	if (f->direct)
		f->vmm->ops->rom(f->vmm, f->addr, f->mem, PFLASH_BANK, false);
	bus_del(&f->vmm->mmio, &f->range);
	munmap(f->mem, PFLASH_BANK);
	pthread_mutex_destroy(&f->lock);
	f->vmm = NULL;
}
