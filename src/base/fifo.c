/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/fifo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

int fifo_init(struct fifo *f, size_t cap)
{
	size_t pow2 = 1;

	while (pow2 < cap && pow2 <= SIZE_MAX / 4)
		pow2 *= 2;
	f->head = f->tail = 0;
	f->cap = pow2;
	f->buf = malloc(pow2);
	return f->buf ? 0 : -ENOMEM;
}

void fifo_finish(struct fifo *f)
{
	free(f->buf);
	memset(f, 0, sizeof(*f));
}

size_t fifo_used(const struct fifo *f)
{
	return f->tail - f->head;
}

size_t fifo_free(const struct fifo *f)
{
	return f->cap - fifo_used(f);
}

/* [pos, pos+len) of the endless byte stream as at most two pieces of the buffer. */
static unsigned pieces(const struct fifo *f, size_t pos, size_t len, struct iovec iov[2])
{
	size_t start = pos & (f->cap - 1);
	size_t first = len < f->cap - start ? len : f->cap - start;
	unsigned n = 0;

	if (first)
		iov[n++] = (struct iovec){ f->buf + start, first };
	if (len > first)
		iov[n++] = (struct iovec){ f->buf, len - first };
	return n;
}

unsigned fifo_readable(const struct fifo *f, struct iovec iov[2])
{
	return f->cap ? pieces(f, f->head, fifo_used(f), iov) : 0;
}

unsigned fifo_writable(const struct fifo *f, struct iovec iov[2])
{
	return f->cap ? pieces(f, f->tail, fifo_free(f), iov) : 0;
}

void fifo_took(struct fifo *f, size_t len)
{
	f->head += min_u64(len, fifo_used(f));
}

void fifo_filled(struct fifo *f, size_t len)
{
	f->tail += min_u64(len, fifo_free(f));
}

size_t fifo_put(struct fifo *f, const void *src, size_t len)
{
	struct iovec iov[2];
	unsigned n = fifo_writable(f, iov);
	size_t done = 0;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t part = min_u64(iov[i].iov_len, len - done);

		memcpy(iov[i].iov_base, (const uint8_t *)src + done, part);
		done += part;
	}
	f->tail += done;
	return done;
}

size_t fifo_get(struct fifo *f, void *dst, size_t len)
{
	struct iovec iov[2];
	unsigned n = fifo_readable(f, iov);
	size_t done = 0;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t part = min_u64(iov[i].iov_len, len - done);

		memcpy((uint8_t *)dst + done, iov[i].iov_base, part);
		done += part;
	}
	f->head += done;
	return done;
}

void fifo_reset(struct fifo *f)
{
	f->head = f->tail = 0;
}
