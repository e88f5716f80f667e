/* SPDX-License-Identifier: BSD-3-Clause */
/* Walking scatter-gather lists: copies with a bound, never past the end of either side. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

/* A position in a list of buffers. The list is not changed. */
struct iov_iter {
	const struct iovec *iov;
	unsigned n;    /* buffers left, the current one included */
	size_t offset; /* bytes of the current one already used */
};

static inline void iov_iter_init(struct iov_iter *it, const struct iovec *iov, unsigned n)
{
	*it = (struct iov_iter){ .iov = iov, .n = n };
}

/* Bytes left. */
size_t iov_iter_left(const struct iov_iter *it);
/* Each returns the bytes moved, less than `len` only at the end of the list. */
size_t iov_read(struct iov_iter *it, void *dst, size_t len);
/* As iov_read(), faster for what lies in one piece. */
static inline size_t iov_read_piece(struct iov_iter *it, void *dst, size_t len)
{
	if (!it->n || it->iov->iov_len - it->offset < len)
		return iov_read(it, dst, len);
	memcpy(dst, (const uint8_t *)it->iov->iov_base + it->offset, len);
	it->offset += len;
	return len;
}
size_t iov_write(struct iov_iter *it, const void *src, size_t len);
size_t iov_zero(struct iov_iter *it, size_t len);
size_t iov_skip(struct iov_iter *it, size_t len);
/* Copies from one list to another. */
size_t iov_copy(struct iov_iter *dst, struct iov_iter *src, size_t len);
/* The next `len` bytes as at most `max` buffers in `out`, and moves on; returns how many buffers.
 * Stops early when `max` is used up; `*taken` is the bytes covered. */
unsigned iov_take(struct iov_iter *it, size_t len, struct iovec *out, unsigned max, size_t *taken);

size_t iov_len(const struct iovec *iov, unsigned n);

/* Bytes for which the next read of a stream had better have room, after one that got `got` of
 * `room` where `expected` were: one that filled its room twice has more, it seems. */
static inline size_t iov_expect(size_t expected, size_t room, size_t got)
{
	if (got == room)
		return expected >= room ? 4 * room : room;
	return got ? got : expected / 2;
}
