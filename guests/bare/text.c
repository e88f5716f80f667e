/* SPDX-License-Identifier: BSD-3-Clause */
/* Text to the serial port. */
#include "guests/bare/bare_priv.h"

#define CHUNK 128u

void bare_put(const char *s)
{
	char text[CHUNK];
	size_t n = 0;

	for (; *s; s++) {
		if (*s == '\n')
			text[n++] = '\r';
		text[n++] = *s;
		if (n > CHUNK - 2) {
			bare_arch_write(text, n);
			n = 0;
		}
	}
	bare_arch_write(text, n);
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
