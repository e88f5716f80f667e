/* SPDX-License-Identifier: BSD-3-Clause */
/* The four functions that compilers expect of any runtime. */
#include "guests/bare/bare_priv.h"

/*
 * As few instructions as can be, since some hosts emulate each one. -ffreestanding keeps the
 * compiler from making a call of memcpy() out of memcpy().
 */

#ifdef __x86_64__
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
	uint64_t pattern = (uint8_t)value * UINT64_C(0x0101010101010101);
	size_t words = len / 8, rest = len % 8;
	void *t = to;

	__asm__ volatile("rep stosq" : "+D"(t), "+c"(words) : "a"(pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D"(t), "+c"(rest) : "a"(pattern) : "memory");
	return to;
}
#else
static bool aligned(const void *a, const void *b)
{
	return !(((uintptr_t)a | (uintptr_t)b) & 7);
}

void *memcpy(void *to, const void *from, size_t len)
{
	const uint8_t *f = from;
	uint8_t *t = to;
	size_t i = 0;

	if (aligned(to, from))
		for (; len - i >= 8; i += 8)
			*(uint64_t *)(void *)(t + i) = *(const uint64_t *)(const void *)(f + i);
	for (; i < len; i++)
		t[i] = f[i];
	return to;
}

void *memset(void *to, int value, size_t len)
{
	uint64_t pattern = (uint8_t)value * UINT64_C(0x0101010101010101);
	uint8_t *t = to;
	size_t i = 0;

	if (aligned(to, to))
		for (; len - i >= 8; i += 8)
			*(uint64_t *)(void *)(t + i) = pattern;
	for (; i < len; i++)
		t[i] = (uint8_t)value;
	return to;
}
#endif

void *memmove(void *to, const void *from, size_t len)
{
	const uint8_t *f = from;
	uint8_t *t = to;

	if ((uintptr_t)to <= (uintptr_t)from)
		return memcpy(to, from, len);
	while (len--)
		t[len] = f[len];
	return to;
}

/* How many of the first bytes are the same for certain: all but those of one word, and the rest. */
static size_t same_words(const void *a, const void *b, size_t len)
{
#ifdef __x86_64__
	size_t words = len / 8, left = words;
	bool same;

	/* The comparison before it is for no words at all. */
	__asm__ volatile("cmp %%eax, %%eax; repe cmpsq; sete %3"
			 : "+D"(a), "+S"(b), "+c"(left), "=q"(same)::"memory", "cc");
	return (words - left - !same) * 8;
#else
	const uint64_t *x = a, *y = b;
	size_t i = 0;

	if (aligned(a, b))
		while (len - i * 8 >= 8 && x[i] == y[i])
			i++;
	return i * 8;
#endif
}

int memcmp(const void *a, const void *b, size_t len)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = same_words(a, b, len); i < len; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}
