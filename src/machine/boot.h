/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loading a guest's files into its memory; x86/boot.h and arm64/boot.h know the protocols. Files
 * are not trusted: every field is checked before it is used.
 */
#pragma once

#include "base/err.h"
#include "base/mem.h"
#include "machine/boot_items.h"

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
	BOOT_ARM64,   /* EL1 without MMU, X0 = device tree */
};

struct boot {
	/* In. */
	const struct gm *gm;
	const char *kernel, *initrd; /* paths; initrd may be NULL */
	const char *cmdline;	     /* may be NULL */
	const char *firmware;	     /* arm64: path, in place of a kernel, or NULL */
	int vars_fd;		     /* its second bank of flash, or -1; not owned */
	const char *dtb;	     /* arm64: path of a device tree, or NULL: it is generated */
	/* What was verified, or NULL. Then nothing else is loaded, and from these copies. */
	const struct boot_items *verified;
	uint64_t load_address; /* of a raw image; 0: the kernel is not one */
	uint64_t raw_entry;    /* its first instruction; 0: load_address */
	uint64_t rsdp;	       /* x86: guest-physical address of the ACPI tables' root */
	/* In, set by the protocol's loader: where files may go. */
	uint64_t files_min; /* the lowest address */
	uint64_t ram_limit; /* RAM that starts here or higher is not for files */
	/* Out. */
	enum boot_protocol protocol;
	uint64_t entry; /* first instruction */
	uint64_t info;	/* what the first processor is handed: zero page, start info, device tree */
	struct boot_range map[BOOT_MAP_MAX]; /* x86 only */
	unsigned nmap;
	uint64_t initrd_addr, initrd_len;
};

/* The architecture that a kernel says it is made for. */
enum boot_arch { BOOT_ARCH_UNKNOWN, BOOT_ARCH_X86_64, BOOT_ARCH_ARM64 };

/* Looks at the beginning of a file; unknown if it cannot be read. */
enum boot_arch boot_arch_of(const char *path);

/* For the loaders. */

/* A file: descriptor and length. */
struct boot_file {
	const char *path;
	int fd;
	uint64_t size; /* bytes */
};

/*
 * Opens a file of the boot for reading: the verified copy of the item `what`, or, in a boot that is
 * not verified, the regular file `path`. The descriptor, -1 on failure, is the caller's to close.
 */
int boot_open(const struct boot *b, struct boot_file *f, const char *path, const char *what,
	struct err *e);
/* Reads [offset, offset+len) of the file; -EINVAL if it is not all there. */
int boot_read(const struct boot_file *f, uint64_t offset, void *buf, uint64_t len, const char *what,
	struct err *e);
/* The same into guest memory at `gpa`, which must be RAM, from b->files_min on. */
int boot_read_guest(struct boot *b, const struct boot_file *f, uint64_t offset, uint64_t gpa,
	uint64_t len, const char *what, struct err *e);
/* Checks load_address and raw_entry against the file, which must not be ELF; says where to start.
 * That it is RAM is for who loads it. */
int boot_raw_check(const struct boot *b, const struct boot_file *f, uint64_t *entry, struct err *e);
/* Puts the initrd, if there is one, as high as possible, above `kernel_end` and up to `limit`. */
int boot_place_initrd(struct boot *b, uint64_t kernel_end, uint64_t limit, struct err *e);
/* The end of the RAM that files may be in. */
uint64_t boot_ram_end(const struct boot *b);
