/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes and text for cases, since there is no library. */
#include "conformance/cf.h"

#include <stdarg.h>

/* Eight bytes at a time where the alignment allows it: cases move megabytes, and some machines that
 * they run on emulate every instruction. */
typedef uint64_t __attribute__((may_alias)) word;

#define EACH_BYTE UINT64_C(0x0101010101010101)
#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Bytes before the first word. */
static size_t head_of(const void *p, size_t len)
{
	size_t head = -(uintptr_t)p % sizeof(word);

	return head < len ? head : len;
}

static bool same_alignment(const void *a, const void *b)
{
	return ((uintptr_t)a - (uintptr_t)b) % sizeof(word) == 0;
}

void cf_fill(void *p, uint8_t value, size_t len)
{
	uint8_t *b = p;
	size_t i = 0, head = head_of(p, len);

	for (; i < head; i++)
		b[i] = value;
	for (; len - i >= sizeof(word); i += sizeof(word))
		*(word *)(void *)(b + i) = value * EACH_BYTE;
	for (; i < len; i++)
		b[i] = value;
}

void cf_copy(void *to, const void *from, size_t len)
{
	uint8_t *d = to;
	const uint8_t *s = from;
	size_t i = 0, head = same_alignment(to, from) ? head_of(to, len) : len;

	for (; i < head; i++)
		d[i] = s[i];
	for (; len - i >= sizeof(word); i += sizeof(word))
		*(word *)(void *)(d + i) = *(const word *)(const void *)(s + i);
	for (; i < len; i++)
		d[i] = s[i];
}

bool cf_same(const void *a, const void *b, size_t len)
{
	const uint8_t *x = a, *y = b;
	size_t i = 0, head = same_alignment(a, b) ? head_of(a, len) : len;

	for (; i < head; i++)
		if (x[i] != y[i])
			return false;
	for (; len - i >= sizeof(word); i += sizeof(word))
		if (*(const word *)(const void *)(x + i) != *(const word *)(const void *)(y + i))
			return false;
	for (; i < len; i++)
		if (x[i] != y[i])
			return false;
	return true;
}

bool cf_filled(const void *p, uint8_t value, uint32_t len)
{
	const uint8_t *b = p;
	size_t i = 0, head = head_of(p, len);

	for (; i < head; i++)
		if (b[i] != value)
			return false;
	for (; len - i >= sizeof(word); i += sizeof(word))
		if (*(const word *)(const void *)(b + i) != value * EACH_BYTE)
			return false;
	for (; i < len; i++)
		if (b[i] != value)
			return false;
	return true;
}

/* Neighbouring bytes, sectors and seeds all differ. */
static uint8_t pattern_byte(uint32_t seed, size_t i)
{
	return (uint8_t)(seed * 31 + i + (i >> 8) * 7);
}

/* Bytes i to i + 7 of the pattern, of which i is a multiple, so that i >> 8 is the same for all:
 * each is one more than the one before it, without a carry between them. */
static word pattern_word(uint32_t seed, size_t i)
{
	const uint8_t steps[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	word first = pattern_byte(seed, i) * EACH_BYTE, step;

	__builtin_memcpy(&step, steps, sizeof(step));
	return ((first & ~HIGH_BITS) + step) ^ (first & HIGH_BITS);
}

void cf_pattern(void *p, uint32_t seed, size_t len)
{
	bool aligned = (uintptr_t)p % sizeof(word) == 0;
	uint8_t *b = p;
	size_t i = 0;

	for (; aligned && len - i >= sizeof(word); i += sizeof(word))
		*(word *)(void *)(b + i) = pattern_word(seed, i);
	for (; i < len; i++)
		b[i] = pattern_byte(seed, i);
}

bool cf_is_pattern(const void *p, uint32_t seed, size_t len)
{
	bool aligned = (uintptr_t)p % sizeof(word) == 0;
	const uint8_t *b = p;
	size_t i = 0;

	for (; aligned && len - i >= sizeof(word); i += sizeof(word))
		if (*(const word *)(const void *)(b + i) != pattern_word(seed, i))
			return false;
	for (; i < len; i++)
		if (b[i] != pattern_byte(seed, i))
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
