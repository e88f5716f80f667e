/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loading a guest: Linux bzImage by the 64-bit boot protocol, ELF by the Xen PVH protocol or as it
 * is, raw images. Files are not trusted: every field is checked before it is used.
 */
#pragma once

#include "base/err.h"
#include "base/mem.h"

#define BOOT_MAP_MAX 8

/* Types of e820 and PVH alike. */
#define BOOT_RAM      1u
#define BOOT_RESERVED 2u

struct boot_range {
	uint64_t start, len; /* bytes */
	uint32_t type;
};

enum boot_protocol {
	BOOT_LINUX64, /* long mode, identity-mapped, RSI = zero page */
	BOOT_PVH,     /* 32-bit protected mode without paging, EBX = start info */
	BOOT_BARE32,  /* the same, for an ELF file without a PVH entry */
	BOOT_BARE64,  /* long mode as for Linux, RDI = RBX = start info */
};

struct boot {
	/* In. */
	const struct gm *gm;
	const char *kernel, *initrd; /* paths; initrd may be NULL */
	const char *cmdline;	     /* may be NULL */
	uint64_t load_address;	     /* of a raw image; 0: the kernel is not one */
	uint64_t raw_entry;	     /* its first instruction; 0: load_address */
	uint64_t rsdp;		     /* guest-physical address of the ACPI tables' root */
	/* Out. */
	enum boot_protocol protocol;
	uint64_t entry; /* first instruction */
	uint64_t info;	/* zero page or start info */
	struct boot_range map[BOOT_MAP_MAX];
	unsigned nmap;
	uint64_t initrd_addr, initrd_len;
};

/* Loads kernel, initrd, command line and memory map into guest memory; fills in the second half.
 * -EINVAL with a reason for files that are wrong, -ENOSPC if the RAM is too small. */
int boot_load(struct boot *b, struct err *e);

/* For the protocols. */

/* A kernel file: descriptor and length. */
struct boot_file {
	const char *path;
	int fd;
	uint64_t size;
};

int boot_linux(struct boot *b, const struct boot_file *f, struct err *e);
int boot_elf(struct boot *b, const struct boot_file *f, struct err *e);
int boot_raw(struct boot *b, const struct boot_file *f, struct err *e);

struct elf;

/* The PVH entry in the file's notes: 1 found, 0 there is none, -errno. */
int boot_pvh_entry(
	const struct boot_file *f, const struct elf *elf, uint32_t *entry, struct err *e);
/* Writes the start info for what has been placed, and sets b->info. */
int boot_start_info(struct boot *b, struct err *e);
/* Page tables and segments of BOOT_LINUX64 and BOOT_BARE64. */
int boot_long_mode(struct boot *b, struct err *e);
/* Checks load_address and raw_entry against the file, which must not be ELF; says where to start.
 * That it is RAM is for who loads it. */
int boot_raw_check(const struct boot *b, const struct boot_file *f, uint64_t *entry, struct err *e);

/* Reads [offset, offset+len) of the file; -EINVAL if it is not all there. `what` is for the
 * message. */
int boot_read(const struct boot_file *f, uint64_t offset, void *buf, uint64_t len, const char *what,
	struct err *e);
/* The same into guest memory at `gpa`, which must be RAM from BOARD_KERNEL_MIN to the end of low
 * RAM. */
int boot_read_guest(struct boot *b, const struct boot_file *f, uint64_t offset, uint64_t gpa,
	uint64_t len, const char *what, struct err *e);
/* Puts the initrd as high as possible, above `kernel_end` and up to `limit`, and the command line,
 * at most `cmdline_max` bytes, at BOARD_CMDLINE. */
int boot_place(
	struct boot *b, uint64_t kernel_end, uint64_t limit, uint64_t cmdline_max, struct err *e);
/* The end of RAM below 4 GiB. */
uint64_t boot_low_end(const struct boot *b);
