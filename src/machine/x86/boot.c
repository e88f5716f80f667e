/* SPDX-License-Identifier: BSD-3-Clause */
/* What all protocols of x86 need: the memory map, the command line. */
#include "machine/x86/boot.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/fd.h"
#include "base/util.h"
#include "machine/x86/layout.h"

static void add_range(struct boot *b, uint64_t start, uint64_t end, uint32_t type)
{
	if (start < end)
		b->map[b->nmap++] = (struct boot_range){ start, end - start, type };
}

static void make_map(struct boot *b)
{
	b->nmap = 0;
	add_range(b, 0, BOARD_LOW_END, BOOT_RAM);
	add_range(b, BOARD_LOW_END, BOARD_KERNEL_MIN, BOOT_RESERVED);
	add_range(b, BOARD_KERNEL_MIN, boot_ram_end(b), BOOT_RAM);
	add_range(b, BOARD_ECAM, BOARD_ECAM + BOARD_ECAM_SIZE, BOOT_RESERVED);
	for (unsigned i = 0; i < b->gm->n; i++)
		if (b->gm->r[i].gpa >= BOARD_HIGH_RAM && b->nmap < BOOT_MAP_MAX)
			add_range(b, b->gm->r[i].gpa, b->gm->r[i].gpa + b->gm->r[i].size, BOOT_RAM);
}

int boot_place(
	struct boot *b, uint64_t kernel_end, uint64_t limit, uint64_t cmdline_max, struct err *e)
{
	const char *cmdline = b->cmdline ? b->cmdline : "";
	uint64_t len = strlen(cmdline);
	char *dst = gm_ptr(b->gm, BOARD_CMDLINE, BOARD_CMDLINE_SIZE);

	cmdline_max = min_u64(cmdline_max, BOARD_CMDLINE_SIZE - 1);
	if (!dst || len > cmdline_max)
		return err_set(e, -EINVAL,
			"the command line has %" PRIu64
			" bytes, this kernel takes at most %" PRIu64,
			len, cmdline_max);
	memcpy(dst, cmdline, len + 1);
	return boot_place_initrd(b, kernel_end, limit, e);
}

int boot_load_x86(struct boot *b, struct err *e)
{
	struct boot_file f = { .fd = -1 };
	autoclose int fd = -1;
	uint8_t magic[SELFMAG];
	int rc = boot_open(b, &f, b->kernel, "kernel", e);

	fd = f.fd;
	if (rc)
		return rc;
	b->files_min = BOARD_KERNEL_MIN;
	b->ram_limit = BOARD_HIGH_RAM;
	make_map(b);
	if (b->load_address || b->raw_entry)
		return boot_x86_raw(b, &f, e);
	rc = boot_read(&f, 0, magic, sizeof(magic), "file's magic number", e);
	if (rc)
		return rc;
	return memcmp(magic, ELFMAG, SELFMAG) ? boot_x86_linux(b, &f, e) : boot_x86_elf(b, &f, e);
}
