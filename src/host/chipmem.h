/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of a simulated chip: a file, or only RAM. A file is locked against a second writer and
 * written through the page cache, so that contents survive the process but not a power cut of the
 * host a moment later.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Zero-initialise; private fields but `size`. */
struct chipmem {
	uint64_t size; /* bytes */
	int fd;
	uint8_t *ram;
};

/* A file that is not there, or empty, is made with `size` bytes of `fill`; one of another size is
 * refused. `path` NULL: RAM, filled likewise. */
int chipmem_open(struct chipmem *m, const char *path, uint64_t size, uint8_t fill, struct err *e);
/* Accepts one that was not opened. */
void chipmem_close(struct chipmem *m);
/* The range must lie inside. -EIO if the file cannot be read or written (it was cut, storage is
 * full): reads give what is there and ones behind it. */
int chipmem_read(const struct chipmem *m, uint64_t at, void *buf, size_t len);
int chipmem_write(struct chipmem *m, uint64_t at, const void *buf, size_t len);
int chipmem_fill(struct chipmem *m, uint64_t at, uint8_t value, uint64_t len);
