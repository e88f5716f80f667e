/* SPDX-License-Identifier: BSD-3-Clause */
/* The board's ACPI tables. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct acpi_board {
	unsigned ncpus;
	bool com1;
	unsigned nvirtio; /* virtio-mmio devices, from the first slot on */
};

/* Writes all tables into `buf` of `len` bytes that the guest sees at `gpa`; the root pointer comes
 * first. -ENOSPC if they do not fit. */
int acpi_build(
	const struct acpi_board *board, uint8_t *buf, size_t len, uint64_t gpa, struct err *e);
/* The address that the guest wants to be woken at, in real mode, from suspend to RAM; 0: none. */
uint32_t acpi_waking_vector(const uint8_t *tables);
