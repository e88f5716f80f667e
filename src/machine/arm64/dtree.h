/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device tree that describes the arm64 board (Devicetree Specification 0.4; Linux,
 * Documentation/devicetree/bindings). No part of it depends on the host, so that `avp dtb` can
 * write it anywhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DTREE_RNG_SEED 64u

/* What a guest starts with besides the machine: the node /chosen. */
struct dtree_chosen {
	const char *cmdline;		  /* NULL: leave what is there */
	uint64_t initrd_addr, initrd_len; /* bytes; length 0: none */
	bool seeded;
	uint64_t kaslr_seed;
	uint8_t rng_seed[DTREE_RNG_SEED];
};

/* A machine: what is not the same for all. */
struct dtree_board {
	unsigned ncpus;
	uint64_t ram; /* bytes, from ARM64_RAM on */
	bool uart, watchdog, flash;
	bool pci_high;	/* the guest has addresses for the window of 64-bit BARs */
	unsigned nmmio; /* virtio-mmio devices, from the first slot on */
	/* SCMI over virtio: bit i is protocol 0x10 + i, 0: none; and its voltage domains. */
	uint32_t scmi_protocols, scmi_voltages;
	struct dtree_chosen chosen;
};

/* The affinity fields of MPIDR_EL1 that KVM gives processor `id`: 16 in a cluster, for the sake of
 * the GIC's target lists (Linux, arch/arm64/kvm/sys_regs.c). */
uint64_t dtree_mpidr(unsigned id);

/* Writes the tree of `board` into `buf` of `len` bytes, all of which it may use. -ENOSPC if it does
 * not fit.
 */
int dtree_build(const struct dtree_board *board, void *buf, size_t len, struct err *e);

/* The bytes of a tree that was written by one of these. */
size_t dtree_size(const void *fdt);

/* Checks a tree of unknown origin, `size` bytes at the start of `buf`, and sets its /chosen. `name`
 * is for messages. -EINVAL with a reason, -ENOSPC if `len` bytes are too few. */
int dtree_adopt(const struct dtree_chosen *chosen, void *buf, size_t size, size_t len,
	const char *name, struct err *e);
