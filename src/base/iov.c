/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/iov.h"

#include <string.h>

#include "base/util.h"

void iov_iter_init(struct iov_iter *it, const struct iovec *iov, unsigned n)
{
	*it = (struct iov_iter){ .iov = iov, .n = n };
}

size_t iov_len(const struct iovec *iov, unsigned n)
{
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

size_t iov_iter_left(const struct iov_iter *it)
{
	return iov_len(it->iov, it->n) - it->offset;
}

/* The bytes of the current buffer that are left, skipping used-up buffers; 0 at the end. */
static size_t current(struct iov_iter *it, uint8_t **p)
{
	while (it->n && it->offset == it->iov->iov_len) {
		it->iov++;
		it->n--;
		it->offset = 0;
	}
	if (!it->n)
		return 0;
	*p = (uint8_t *)it->iov->iov_base + it->offset;
	return it->iov->iov_len - it->offset;
}

size_t iov_read(struct iov_iter *it, void *dst, size_t len)
{
	size_t done = 0;
	uint8_t *p;

	while (done < len) {
		size_t part = min_u64(current(it, &p), len - done);

		if (!part)
			break;
		memcpy((uint8_t *)dst + done, p, part);
		it->offset += part;
		done += part;
	}
	return done;
}

size_t iov_write(struct iov_iter *it, const void *src, size_t len)
{
	size_t done = 0;
	uint8_t *p;

	while (done < len) {
		size_t part = min_u64(current(it, &p), len - done);

		if (!part)
			break;
		memcpy(p, (const uint8_t *)src + done, part);
		it->offset += part;
		done += part;
	}
	return done;
}

size_t iov_zero(struct iov_iter *it, size_t len)
{
	size_t done = 0;
	uint8_t *p;

	while (done < len) {
		size_t part = min_u64(current(it, &p), len - done);

		if (!part)
			break;
		memset(p, 0, part);
		it->offset += part;
		done += part;
	}
	return done;
}

size_t iov_skip(struct iov_iter *it, size_t len)
{
	size_t done = 0;
	uint8_t *p;

	while (done < len) {
		size_t part = min_u64(current(it, &p), len - done);

		if (!part)
			break;
		it->offset += part;
		done += part;
	}
	return done;
}

size_t iov_copy(struct iov_iter *dst, struct iov_iter *src, size_t len)
{
	size_t done = 0;
	uint8_t *p;

	while (done < len) {
		size_t part = min_u64(current(src, &p), len - done);

		part = part ? iov_write(dst, p, part) : 0;
		if (!part)
			break;
		src->offset += part;
		done += part;
	}
	return done;
}

unsigned iov_take(struct iov_iter *it, size_t len, struct iovec *out, unsigned max, size_t *taken)
{
	unsigned n = 0;
	uint8_t *p;

	*taken = 0;
	while (*taken < len && n < max) {
		size_t part = min_u64(current(it, &p), len - *taken);

		if (!part)
			break;
		out[n++] = (struct iovec){ p, part };
		it->offset += part;
		*taken += part;
	}
	return n;
}
