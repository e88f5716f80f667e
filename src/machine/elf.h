/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ELF images of guests (System V ABI, gABI 4.1 chapters 4 and 5): the header, the segments, and
 * loading them by their physical addresses. Files are not trusted: every field is checked before it
 * is used.
 */
#pragma once

#include "base/mem.h"
#include "machine/boot.h"

#define ELF_SEGMENTS_MAX 64u

/* The header of a file; fields as in the gABI. */
struct elf {
	bool is64;
	uint16_t machine; /* EM_... */
	uint64_t entry;	  /* a virtual address */
	uint64_t phoff;
	unsigned phnum, phentsize;
};

/* A program header, of either class. Addresses and sizes in bytes. */
struct elf_segment {
	uint32_t type; /* PT_... */
	uint64_t offset, vaddr, paddr, filesz, memsz;
};

/* What has been loaded. */
struct elf_image {
	struct elf_segment seg[ELF_SEGMENTS_MAX]; /* PT_LOAD with memsz > 0, in the file's order */
	unsigned n;
	uint64_t end; /* of the highest one, guest-physical */
};

/* Reads and checks the header: little-endian, version 1, an executable (or static position-
 * independent one), a sane table of program headers. -EINVAL with a reason. */
int elf_read(const struct boot_file *f, struct elf *elf, struct err *e);
/* Reads program header `i`, which is below elf->phnum. */
int elf_segment_read(const struct boot_file *f, const struct elf *elf, unsigned i,
	struct elf_segment *s, struct err *e);
/*
 * Loads all segments of type PT_LOAD at their physical addresses; RAM behind their bytes of the
 * file is zero already, as guest memory is at first. -ENOSPC if one is not within [min, max) or
 * not RAM, -EINVAL if two overlap or the file is wrong.
 */
int elf_load(const struct gm *gm, const struct boot_file *f, const struct elf *elf, uint64_t min,
	uint64_t max, struct elf_image *image, struct err *e);
/* Where elf->entry is in guest-physical memory: in the segment that holds it by virtual address, or
 * else by physical address. -EINVAL if it is in none, or behind a segment's bytes of the file. */
int elf_entry(const struct boot_file *f, const struct elf *elf, const struct elf_image *image,
	uint64_t *entry, struct err *e);
