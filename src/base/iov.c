/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/iov.h"

#include <string.h>

#include "base/util.h"

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

/* Uses up to `max` bytes of the current buffer, skipping empty ones; 0 at the end. */
static size_t next(struct iov_iter *it, size_t max, uint8_t **p)
{
	size_t part;

	while (it->n && it->offset == it->iov->iov_len) {
		it->iov++;
		it->n--;
		it->offset = 0;
	}
	if (!it->n)
		return 0;
	part = min_u64(it->iov->iov_len - it->offset, max);
	*p = (uint8_t *)it->iov->iov_base + it->offset;
	it->offset += part;
	return part;
}

size_t iov_read(struct iov_iter *it, void *dst, size_t len)
{
	size_t done, part;
	uint8_t *p;

	for (done = 0; (part = next(it, len - done, &p)); done += part)
		memcpy((uint8_t *)dst + done, p, part);
	return done;
}

size_t iov_write(struct iov_iter *it, const void *src, size_t len)
{
	size_t done, part;
	uint8_t *p;

	for (done = 0; (part = next(it, len - done, &p)); done += part)
		memcpy(p, (const uint8_t *)src + done, part);
	return done;
}

size_t iov_zero(struct iov_iter *it, size_t len)
{
	size_t done, part;
	uint8_t *p;

	for (done = 0; (part = next(it, len - done, &p)); done += part)
		memset(p, 0, part);
	return done;
}

size_t iov_skip(struct iov_iter *it, size_t len)
{
	size_t done, part;
	uint8_t *p;

	for (done = 0; (part = next(it, len - done, &p)); done += part)
		;
	return done;
}

size_t iov_copy(struct iov_iter *dst, struct iov_iter *src, size_t len)
{
	size_t done, part;
	uint8_t *p;

	len = min_u64(len, iov_iter_left(dst));
	for (done = 0; (part = next(src, len - done, &p)); done += part)
		iov_write(dst, p, part);
	return done;
}

unsigned iov_take(struct iov_iter *it, size_t len, struct iovec *out, unsigned max, size_t *taken)
{
	unsigned n;
	size_t part;
	uint8_t *p;

	*taken = 0;
	for (n = 0; n < max && (part = next(it, len - *taken, &p)); n++) {
		out[n] = (struct iovec){ p, part };
		*taken += part;
	}
	return n;
}
