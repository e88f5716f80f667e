/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes and text for cases, since there is no library. */
#include "conformance/cf.h"

#include <stdarg.h>

/* Guests run these where every instruction is emulated: as few as can be. Where there is nothing, it
 * may be at no address. */

void cf_fill(void *p, uint8_t value, size_t len)
{
	if (len)
		__builtin_memset(p, value, len);
}

void cf_copy(void *to, const void *from, size_t len)
{
	if (len)
		__builtin_memcpy(to, from, len);
}

bool cf_same(const void *a, const void *b, size_t len)
{
	return !len || !__builtin_memcmp(a, b, len);
}

/* The first bytes are right, and every byte is as the one 8 before it. */
bool cf_filled(const void *p, uint8_t value, uint32_t len)
{
	const uint8_t *b = p;
	uint32_t i = 0;

	while (i < len && i < 8)
		if (b[i++] != value)
			return false;
	return i == len || cf_same(b, b + 8, len - 8);
}

/* Neighbouring bytes, sectors and seeds all differ: byte i is seed * 31 + i + (i >> 8) * 7. So each
 * 256 bytes are a piece of a table that counts up twice. */
#define COUNT4(n)  (n), (n) + 1, (n) + 2, (n) + 3
#define COUNT16(n) COUNT4(n), COUNT4((n) + 4), COUNT4((n) + 8), COUNT4((n) + 12)
#define COUNT64(n) COUNT16(n), COUNT16((n) + 16), COUNT16((n) + 32), COUNT16((n) + 48)
#define COUNT256   COUNT64(0), COUNT64(64), COUNT64(128), COUNT64(192)
#define PIECE	   256u

static const uint8_t counting[2 * PIECE] = { COUNT256, COUNT256 };

/* The piece at i, a multiple of 256. */
static const uint8_t *piece(uint32_t seed, size_t i)
{
	return counting + (uint8_t)(seed * 31 + (i >> 8) * 7);
}

void cf_pattern(void *p, uint32_t seed, size_t len)
{
	uint8_t *b = p;

	for (size_t i = 0; i < len; i += PIECE)
		cf_copy(b + i, piece(seed, i), len - i < PIECE ? len - i : PIECE);
}

bool cf_is_pattern(const void *p, uint32_t seed, size_t len)
{
	const uint8_t *b = p;

	for (size_t i = 0; i < len; i += PIECE)
		if (!cf_same(b + i, piece(seed, i), len - i < PIECE ? len - i : PIECE))
			return false;
	return true;
}

bool cf_text_same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

bool cf_number(const char *text, uint64_t *value)
{
	unsigned base = 10;
	uint64_t v = 0;

	if (text[0] == '0' && text[1] == 'x') {
		base = 16;
		text += 2;
	}
	if (!*text)
		return false;
	for (; *text; text++) {
		unsigned d = (unsigned)digit(*text);

		if (d >= base || __builtin_mul_overflow(v, base, &v) ||
			__builtin_add_overflow(v, d, &v))
			return false;
	}
	*value = v;
	return true;
}

/* Text. */

struct out {
	char *p;
	size_t size, len;
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->p[o->len++] = c;
}

static void put_text(struct out *o, const char *s)
{
	for (s = s ? s : "(null)"; *s; s++)
		put(o, *s);
}

static void put_number(struct out *o, uint64_t v, unsigned base, unsigned width, char pad)
{
	char digits[24];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	for (; width > n; width--)
		put(o, pad);
	while (n)
		put(o, digits[--n]);
}

static uint64_t unsigned_arg(va_list *args, unsigned longs)
{
	if (longs == 0)
		return va_arg(*args, unsigned int);
	return longs == 1 ? va_arg(*args, unsigned long) : va_arg(*args, unsigned long long);
}

static int64_t signed_arg(va_list *args, unsigned longs)
{
	if (longs == 0)
		return va_arg(*args, int);
	return longs == 1 ? va_arg(*args, long) : va_arg(*args, long long);
}

static void put_signed(struct out *o, int64_t v, unsigned width, char pad)
{
	if (v < 0)
		put(o, '-');
	put_number(o, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, width, pad);
}

/* One conversion, from behind its '%'; returns what follows it. */
static const char *convert(struct out *o, const char *f, va_list *args)
{
	char pad = *f == '0' ? '0' : ' ';
	unsigned width = 0, longs = 0;

	for (; *f >= '0' && *f <= '9'; f++)
		width = width * 10 + (unsigned)(*f - '0');
	for (; *f == 'l'; f++)
		longs++;
	switch (*f) {
	case 's':
		put_text(o, va_arg(*args, const char *));
		break;
	case 'c':
		put(o, (char)va_arg(*args, int));
		break;
	case 'd':
		put_signed(o, signed_arg(args, longs), width, pad);
		break;
	case 'u':
		put_number(o, unsigned_arg(args, longs), 10, width, pad);
		break;
	case 'x':
		put_number(o, unsigned_arg(args, longs), 16, width, pad);
		break;
	case 0:
		return f;
	default:
		put(o, *f);
		break;
	}
	return f + 1;
}

size_t cf_vformat(char *buf, size_t size, const char *fmt, va_list given)
{
	struct out o = { buf, size, 0 };
	va_list args;

	va_copy(args, given);
	while (*fmt) {
		if (*fmt == '%')
			fmt = convert(&o, fmt + 1, &args);
		else
			put(&o, *fmt++);
	}
	va_end(args);
	if (size)
		buf[o.len] = 0;
	return o.len;
}

size_t cf_format(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	size_t n;

	va_start(args, fmt);
	n = cf_vformat(buf, size, fmt, args);
	va_end(args);
	return n;
}
