/* SPDX-License-Identifier: BSD-3-Clause */
/* A byte queue of fixed capacity. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Private fields. One thread. */
struct fifo {
	uint8_t *buf;
	size_t cap;  /* power of two */
	size_t head; /* bytes ever taken */
	size_t tail; /* bytes ever put */
};

/* `cap` is rounded up to a power of two. Returns 0 or -ENOMEM. */
int fifo_init(struct fifo *f, size_t cap);
/* Frees the buffer; may be called twice. */
void fifo_finish(struct fifo *f);
size_t fifo_used(const struct fifo *f);
size_t fifo_free(const struct fifo *f);
/* Return the bytes moved, which is less than `len` when full or empty. */
size_t fifo_put(struct fifo *f, const void *src, size_t len);
size_t fifo_get(struct fifo *f, void *dst, size_t len);
/* Up to two pieces with the bytes present / the room; returns their number. */
unsigned fifo_readable(const struct fifo *f, struct iovec iov[2]);
unsigned fifo_writable(const struct fifo *f, struct iovec iov[2]);
/* Bytes that were consumed from fifo_readable() / filled into fifo_writable(). */
void fifo_took(struct fifo *f, size_t len);
void fifo_filled(struct fifo *f, size_t len);
void fifo_reset(struct fifo *f);
