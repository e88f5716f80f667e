/* SPDX-License-Identifier: BSD-3-Clause */
/* Serial text, and the four functions that compilers expect of any runtime. */
#include "guests/bare/bare_priv.h"

void bare_put(const char *s)
{
	for (; *s; s++) {
		if (*s == '\n')
			bare_arch_putc('\r');
		bare_arch_putc(*s);
	}
}

static void put_number(uint64_t v, unsigned base)
{
	char text[21];
	unsigned i = sizeof(text) - 1;

	text[i] = '\0';
	do {
		text[--i] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	bare_put(text + i);
}

void bare_put_hex(uint64_t v)
{
	bare_put("0x");
	put_number(v, 16);
}

void bare_put_dec(uint64_t v)
{
	put_number(v, 10);
}

/* Volatile accesses keep the compiler from making a call of memcpy() out of memcpy(). */
void *memmove(void *to, const void *from, size_t len)
{
	volatile uint8_t *t = to;
	const uint8_t *f = from;

	if ((uintptr_t)to <= (uintptr_t)from)
		for (size_t i = 0; i < len; i++)
			t[i] = f[i];
	else
		for (size_t i = len; i-- > 0;)
			t[i] = f[i];
	return to;
}

#ifdef __x86_64__
/* Where instructions are emulated each repetition costs, so the most is done in words. */
void *memcpy(void *to, const void *from, size_t len)
{
	size_t words = len / 8, rest = len % 8;
	void *t = to;

	__asm__ volatile("rep movsq" : "+D"(t), "+S"(from), "+c"(words)::"memory");
	__asm__ volatile("rep movsb" : "+D"(t), "+S"(from), "+c"(rest)::"memory");
	return to;
}

void *memset(void *to, int value, size_t len)
{
	uint64_t each = (uint8_t)value * UINT64_C(0x0101010101010101);
	size_t words = len / 8, rest = len % 8;
	void *t = to;

	__asm__ volatile("rep stosq" : "+D"(t), "+c"(words) : "a"(each) : "memory");
	__asm__ volatile("rep stosb" : "+D"(t), "+c"(rest) : "a"(each) : "memory");
	return to;
}
#else
void *memcpy(void *to, const void *from, size_t len)
{
	return memmove(to, from, len);
}

void *memset(void *to, int value, size_t len)
{
	volatile uint8_t *t = to;

	for (size_t i = 0; i < len; i++)
		t[i] = (uint8_t)value;
	return to;
}
#endif

int memcmp(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a;
	const uint8_t *y = b;

	for (size_t i = 0; i < len; i++) {
		uint8_t v = x[i];

		if (v != y[i])
			return v < y[i] ? -1 : 1;
	}
	return 0;
}
