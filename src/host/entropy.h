/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sources of random bytes. Bytes are read straight into the caller's buffer and kept nowhere else,
 * so that no byte can be handed out twice.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/* An open source. Zero-initialise; private fields. */
struct entropy {
	ssize_t (*read)(struct entropy *src, void *buf, size_t len);
	int fd;
};

/*
 * Opens `name`: "getrandom" (the kernel's generator), "hwrng" (/dev/hwrng), "rdseed" (the
 * processor's noise source, x86) or the path of a character device, or FIFO. A regular file is
 * refused: it would give the same bytes again. Returns 0 or -errno with a reason.
 */
int entropy_open(struct entropy *src, const char *name, struct err *e);
void entropy_close(struct entropy *src);

/* Fills up to `len` bytes without blocking; returns how many (>0), -EAGAIN if there are none yet,
 * or -errno if the source failed. */
ssize_t entropy_read(struct entropy *src, void *buf, size_t len);
