/* SPDX-License-Identifier: BSD-3-Clause */
/* The flash as firmware drives it: EDK2's VirtNorFlashDxe and U-Boot's cfi_flash, and as nobody
 * should. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "fake.h"
#include "machine/pflash.h"

#define AT 0x04000000u

struct rig {
	struct fake_vmm f;
	struct pflash flash;
	int fd;
};

static uint32_t get(struct rig *r, uint32_t offset)
{
	uint32_t v = 0xdeadbeef;

	bus_read(&r->f.vmm.mmio, AT + offset, &v, 4);
	return v;
}

static void set(struct rig *r, uint32_t offset, uint32_t v)
{
	bus_write(&r->f.vmm.mmio, AT + offset, &v, 4);
}

/* To both chips. */
static void command(struct rig *r, uint32_t offset, uint16_t cmd)
{
	set(r, offset, (uint32_t)cmd << 16 | cmd);
}

/* A file of `size` bytes of 0xff, without a name. */
static int scratch(uint64_t size)
{
	char path[] = "/tmp/avp-pflash-XXXXXX";
	int fd = mkstemp(path);
	static uint8_t ones[4096];

	memset(ones, 0xff, sizeof(ones));
	unlink(path);
	for (uint64_t at = 0; at < size; at += sizeof(ones))
		if (pwrite(fd, ones, sizeof(ones), (off_t)at) != sizeof(ones))
			exit(1);
	if (ftruncate(fd, (off_t)size))
		exit(1);
	return fd;
}

static void up(struct rig *r, int fd, bool writable)
{
	fake_vmm_init(&r->f);
	r->fd = fd;
	if (pflash_init(&r->flash, &r->f.vmm, AT, "flash1", fd, writable, NULL))
		exit(1);
}

static void down(struct rig *r)
{
	pflash_finish(&r->flash);
	fake_vmm_finish(&r->f);
	close(r->fd);
}

static uint32_t in_file(struct rig *r, uint32_t offset)
{
	uint32_t v = 0xdeadbeef;

	return pread(r->fd, &v, 4, offset) == 4 ? v : 0xbadbad;
}

/* Status, as drivers read it after an operation. */
static uint32_t status(struct rig *r)
{
	command(r, 0, 0x70);
	return get(r, 0);
}

static void query(struct tap *t)
{
	struct rig r;
	uint8_t one;

	up(&r, scratch(3 * PFLASH_BLOCK), true);
	command(&r, 0x55 * 4, 0x98);
	CHECK_EQ(t, get(&r, 0x10 * 4), 'Q' << 16 | 'Q');
	CHECK_EQ(t, get(&r, 0x11 * 4) & 0xffff, 'R');
	CHECK_EQ(t, get(&r, 0x12 * 4) & 0xffff, 'Y');
	CHECK_EQ(t, get(&r, 0x13 * 4) & 0xffff, 1); /* Intel's commands */
	/* Two chips of 2^n bytes, 256 blocks of 128 KiB each: 64 MiB. */
	CHECK_EQ(t, 2u << (get(&r, 0x27 * 4) & 0xff), PFLASH_BANK);
	CHECK_EQ(t, (get(&r, 0x2d * 4) & 0xff) + 1, PFLASH_BLOCKS);
	CHECK_EQ(t, 2 * 256 * ((get(&r, 0x30 * 4) & 0xff) << 8 | (get(&r, 0x2f * 4) & 0xff)),
		PFLASH_BLOCK);
	CHECK_EQ(t, 2u << (get(&r, 0x2a * 4) & 0xff), PFLASH_BUFFER);
	CHECK_EQ(t, get(&r, 0x31 * 4) & 0xff, 'P');
	CHECK_EQ(t, get(&r, 0x33 * 4) & 0xff, 'I');
	bus_read(&r.f.vmm.mmio, AT + 0x10 * 4 + 2, &one, 1);
	CHECK_EQ(t, one, 'Q');
	CHECK_EQ(t, get(&r, PFLASH_BANK - 4), 0);
	command(&r, 0, 0xff);
	CHECK_EQ(t, get(&r, 0x10 * 4), 0xffffffff);
	command(&r, 0, 0x90);
	CHECK_EQ(t, get(&r, 0), 0x00890089);
	down(&r);
}

static void program_words(struct tap *t)
{
	struct rig r;

	up(&r, scratch(3 * PFLASH_BLOCK), true);
	command(&r, 0x100, 0x40);
	set(&r, 0x100, 0x12345678);
	CHECK_EQ(t, get(&r, 0x100), 0x00800080); /* status, until the array is asked for */
	CHECK_EQ(t, in_file(&r, 0x100), 0x12345678);
	command(&r, 0, 0x50);
	command(&r, 0, 0xff);
	CHECK_EQ(t, get(&r, 0x100), 0x12345678);
	/* Bits are only cleared. */
	command(&r, 0x100, 0x10);
	set(&r, 0x100, 0xffff0000);
	command(&r, 0, 0xff);
	CHECK_EQ(t, get(&r, 0x100), 0x12340000);
	/* Erasing sets them all again, in one block. */
	command(&r, PFLASH_BLOCK, 0x40);
	set(&r, PFLASH_BLOCK, 0x55555555);
	command(&r, 0x2000, 0x20);
	command(&r, 0x2000, 0xd0);
	CHECK_EQ(t, status(&r), 0x00800080);
	command(&r, 0, 0xff);
	CHECK_EQ(t, get(&r, 0x100), 0xffffffff);
	CHECK_EQ(t, in_file(&r, 0x100), 0xffffffff);
	CHECK_EQ(t, get(&r, PFLASH_BLOCK), 0x55555555);
	down(&r);
}

/* As EDK2 writes its variables: 32 words, confirmed at the bank's start. */
static void buffered(struct tap *t)
{
	struct rig r;
	uint32_t at = PFLASH_BLOCK + 0x780;

	up(&r, scratch(3 * PFLASH_BLOCK), true);
	command(&r, at, 0xe8);
	CHECK(t, get(&r, at) & 0x80);
	command(&r, at, 31);
	for (uint32_t i = 0; i < 32; i++)
		set(&r, at + 4 * i, 0xa0000000 + i);
	CHECK_EQ(t, in_file(&r, at), 0xffffffff); /* not yet */
	command(&r, 0, 0xd0);
	CHECK_EQ(t, status(&r), 0x00800080);
	command(&r, 0, 0xff);
	for (uint32_t i = 0; i < 32; i++)
		CHECK_EQ(t, get(&r, at + 4 * i), 0xa0000000 + i);
	CHECK_EQ(t, in_file(&r, at + 31 * 4), 0xa000001f);
	CHECK_EQ(t, get(&r, at - 4), 0xffffffff);
	CHECK_EQ(t, get(&r, at + 128), 0xffffffff);
	down(&r);
}

/* Sequences that are wrong are said to be, and change nothing. */
static void wrong_sequences(struct tap *t)
{
	struct rig r;

	up(&r, scratch(3 * PFLASH_BLOCK), true);
	command(&r, 0, 0x20);
	command(&r, 0, 0x55);
	CHECK_EQ(t, status(&r), 0x00b000b0);
	command(&r, 0, 0x50);
	CHECK_EQ(t, status(&r), 0x00800080);
	/* A count that is too high. */
	command(&r, 0, 0xe8);
	command(&r, 0, 512);
	CHECK_EQ(t, status(&r), 0x00b000b0);
	command(&r, 0, 0x50);
	/* Data outside the window of the first word. */
	command(&r, 0, 0xe8);
	command(&r, 0, 1);
	set(&r, 0x7fc, 0);
	set(&r, 0x800, 0);
	CHECK_EQ(t, status(&r), 0x00b000b0);
	command(&r, 0, 0x50);
	/* Not confirmed. */
	command(&r, 0, 0xe8);
	command(&r, 0, 0);
	set(&r, 0, 0);
	command(&r, 0, 0xff);
	CHECK_EQ(t, status(&r), 0x00b000b0);
	command(&r, 0, 0x50);
	command(&r, 0, 0xff);
	for (uint32_t at = 0; at < 0x900; at += 4)
		CHECK_EQ(t, get(&r, at), 0xffffffff);
	down(&r);
}

static void locks(struct tap *t)
{
	struct rig r;

	up(&r, scratch(2 * PFLASH_BLOCK), true);
	command(&r, 0, 0x60);
	command(&r, 0, 0x01);
	command(&r, 0, 0x90);
	CHECK_EQ(t, get(&r, 2 * 4), 0x00010001);
	CHECK_EQ(t, get(&r, PFLASH_BLOCK + 2 * 4), 0);
	command(&r, 0, 0x40);
	set(&r, 0, 0);
	CHECK_EQ(t, status(&r), 0x00920092);
	command(&r, 0, 0x50);
	command(&r, 0, 0x20);
	command(&r, 0, 0xd0);
	CHECK_EQ(t, status(&r), 0x00a200a2);
	command(&r, 0, 0x50);
	command(&r, 0, 0x60);
	command(&r, 0, 0xd0);
	command(&r, 0, 0x40);
	set(&r, 0, 0x77777777);
	CHECK_EQ(t, status(&r), 0x00800080);
	/* What is behind the file's end cannot be unlocked. */
	command(&r, 2 * PFLASH_BLOCK, 0x60);
	command(&r, 2 * PFLASH_BLOCK, 0xd0);
	command(&r, 2 * PFLASH_BLOCK, 0x40);
	set(&r, 2 * PFLASH_BLOCK, 0);
	CHECK_EQ(t, status(&r), 0x00920092);
	command(&r, 0, 0xff);
	CHECK_EQ(t, get(&r, 0), 0x77777777);
	down(&r);
}

static void image(struct tap *t)
{
	struct rig r;
	int fd = scratch(1000);

	CHECK_EQ(t, pwrite(fd, "boot", 4, 0), 4);
	up(&r, fd, false);
	CHECK_EQ(t, get(&r, 0), 0x746f6f62);
	CHECK_EQ(t, get(&r, 996), 0xffffffff);
	CHECK_EQ(t, get(&r, 1000), 0);
	CHECK_EQ(t, get(&r, PFLASH_BANK - 4), 0);
	command(&r, 0, 0x60);
	command(&r, 0, 0xd0);
	command(&r, 0, 0x40);
	set(&r, 0, 0);
	CHECK_EQ(t, status(&r), 0x00920092);
	command(&r, 0, 0xff);
	CHECK_EQ(t, get(&r, 0), 0x746f6f62);
	/* The file may vanish meanwhile. */
	CHECK_EQ(t, ftruncate(fd, 0), 0);
	CHECK_EQ(t, get(&r, 0), 0x746f6f62);
	down(&r);
}

/* The guest reads the array without us, and nothing but the array. */
static void direct(struct tap *t)
{
	struct rig r;

	up(&r, scratch(PFLASH_BLOCK), true);
	CHECK(t, r.f.rom && r.f.rom[5] == 0xff);
	command(&r, 0, 0x70);
	CHECK(t, !r.f.rom);
	command(&r, 0, 0xff);
	CHECK(t, r.f.rom);
	command(&r, 0, 0x40);
	CHECK(t, !r.f.rom);
	set(&r, 4, 0x11223344);
	CHECK(t, !r.f.rom);
	command(&r, 0, 0xff);
	CHECK(t, r.f.rom && r.f.rom[5] == 0x33);
	CHECK_EQ(t, r.f.rom_changes, 5);
	down(&r);
}

static void files(struct tap *t)
{
	struct fake_vmm f;
	struct pflash flash = { .fd = -1 };
	struct err e = { 0 };
	int fd = scratch(PFLASH_BLOCK + 4096);

	fake_vmm_init(&f);
	CHECK_EQ(t, pflash_init(&flash, &f.vmm, AT, "vars", fd, true, &e), -EINVAL);
	CHECK(t, strstr(e.msg, "multiple"));
	pflash_finish(&flash);
	CHECK_EQ(t, ftruncate(fd, (off_t)PFLASH_BANK + 1), 0);
	CHECK_EQ(t, pflash_init(&flash, &f.vmm, AT, "code", fd, false, &e), -EINVAL);
	pflash_finish(&flash);
	CHECK_EQ(t, pflash_init(&flash, &f.vmm, AT, "none", -1, false, &e), 0);
	pflash_finish(&flash);
	close(fd);
	fake_vmm_finish(&f);
}

/* A host that cannot write says so to the guest. */
static void broken_file(struct tap *t)
{
	struct rig r;
	char path[] = "/tmp/avp-pflash-XXXXXX";
	int rw = mkstemp(path), ro = open(path, O_RDONLY);

	unlink(path);
	CHECK_EQ(t, ftruncate(rw, PFLASH_BLOCK), 0);
	close(rw);
	up(&r, ro, true);
	r.f.log.fd = -1;
	command(&r, 0, 0x20);
	command(&r, 0, 0xd0);
	CHECK_EQ(t, status(&r), 0x00a000a0);
	command(&r, 0, 0x50);
	command(&r, 0, 0x40);
	set(&r, 0, 0);
	CHECK_EQ(t, status(&r), 0x00900090);
	down(&r);
}

/* Any sequence at all, at every width and alignment; the file keeps its size. */
static void hostile(struct tap *t)
{
	static const uint8_t commands[] = { 0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xb0,
		0xc0, 0xd0, 0xe8, 0xf0, 0xff, 0x01, 0x2f, 0x03, 0x00 };
	struct rig r;
	struct stat st;
	uint64_t x = 42, v;

	up(&r, scratch(2 * PFLASH_BLOCK), true);
	for (unsigned i = 0; i < 60000; i++) {
		unsigned len = 1u << (x >> 60 & 3);
		uint64_t at =
			AT + (x >> 13 & 1 ? x >> 20 & 0xfff : (x >> 20) % (PFLASH_BANK - len));

		x = x * 6364136223846793005u + 1442695040888963407u;
		v = commands[(x >> 40) % sizeof(commands)];
		if (x >> 59 & 3)
			bus_write(&r.f.vmm.mmio, at, &v, len);
		else
			bus_read(&r.f.vmm.mmio, at, &v, len);
	}
	v = 0xffff;
	for (unsigned i = 1; i <= 8; i++)
		bus_write(&r.f.vmm.mmio, AT + PFLASH_BANK - i, &v, 1);
	CHECK(t, !fstat(r.fd, &st) && st.st_size == 2 * PFLASH_BLOCK);
	down(&r);
}

int main(void)
{
	struct tap t = { 0 };

	TAP_RUN(&t, query);
	TAP_RUN(&t, program_words);
	TAP_RUN(&t, buffered);
	TAP_RUN(&t, wrong_sequences);
	TAP_RUN(&t, locks);
	TAP_RUN(&t, image);
	TAP_RUN(&t, direct);
	TAP_RUN(&t, files);
	TAP_RUN(&t, broken_file);
	TAP_RUN(&t, hostile);
	return tap_done(&t);
}
