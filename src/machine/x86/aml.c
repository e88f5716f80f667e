/* SPDX-License-Identifier: BSD-3-Clause */
/* AML encodings. Lengths are always written in four bytes, so that they can be filled in later. */
#include "machine/x86/aml.h"

#include <string.h>

#define OP_ZERO	   0x00u
#define OP_NAME	   0x08u
#define OP_BYTE	   0x0au
#define OP_WORD	   0x0bu
#define OP_DWORD   0x0cu
#define OP_STRING  0x0du
#define OP_SCOPE   0x10u
#define OP_BUFFER  0x11u
#define OP_PACKAGE 0x12u
#define OP_EXT	   0x5bu
#define OP_DEVICE  0x82u

#define PKG_LEN 4u

void aml_bytes(struct aml *a, const void *data, size_t len)
{
	if (a->full || len > a->cap - a->len) {
		a->full = true;
		return;
	}
	memcpy(a->buf + a->len, data, len);
	a->len += len;
}

void aml_byte(struct aml *a, uint8_t v)
{
	aml_bytes(a, &v, 1);
}

static void word(struct aml *a, uint16_t v)
{
	aml_bytes(a, &v, sizeof(v));
}

static void dword(struct aml *a, uint32_t v)
{
	aml_bytes(a, &v, sizeof(v));
}

/* PkgLength (20.2.4) counts itself; the four-byte form has four low bits in its first byte. */
static size_t begin(struct aml *a)
{
	size_t mark = a->len;

	dword(a, 0);
	return mark;
}

void aml_end(struct aml *a, size_t mark)
{
	size_t len = a->len - mark;

	if (a->full)
		return;
	a->buf[mark] = (uint8_t)(0xc0 | (len & 0xf));
	a->buf[mark + 1] = (uint8_t)(len >> 4);
	a->buf[mark + 2] = (uint8_t)(len >> 12);
	a->buf[mark + 3] = (uint8_t)(len >> 20);
}

size_t aml_scope(struct aml *a, const char *name)
{
	size_t mark;

	aml_byte(a, OP_SCOPE);
	mark = begin(a);
	aml_bytes(a, name, strlen(name));
	return mark;
}

size_t aml_device(struct aml *a, const char *name)
{
	size_t mark;

	aml_byte(a, OP_EXT);
	aml_byte(a, OP_DEVICE);
	mark = begin(a);
	aml_bytes(a, name, strlen(name));
	return mark;
}

size_t aml_package(struct aml *a, uint8_t elements)
{
	size_t mark;

	aml_byte(a, OP_PACKAGE);
	mark = begin(a);
	aml_byte(a, elements);
	return mark;
}

/* The size of the buffer is a dword after the length of the operation. */
size_t aml_crs(struct aml *a)
{
	size_t mark;

	aml_name(a, "_CRS");
	aml_byte(a, OP_BUFFER);
	mark = begin(a);
	aml_byte(a, OP_DWORD);
	dword(a, 0);
	return mark;
}

void aml_crs_end(struct aml *a, size_t mark)
{
	const uint8_t end_tag[2] = { 0x79, 0 };
	size_t size_at = mark + PKG_LEN + 1;
	uint32_t len;

	aml_bytes(a, end_tag, sizeof(end_tag));
	if (a->full)
		return;
	len = (uint32_t)(a->len - size_at - sizeof(len));
	memcpy(a->buf + size_at, &len, sizeof(len));
	aml_end(a, mark);
}

void aml_name(struct aml *a, const char *name)
{
	aml_byte(a, OP_NAME);
	aml_bytes(a, name, strlen(name));
}

void aml_int(struct aml *a, uint32_t v)
{
	if (v == 0) {
		aml_byte(a, OP_ZERO);
	} else if (v <= 0xff) {
		aml_byte(a, OP_BYTE);
		aml_byte(a, (uint8_t)v);
	} else if (v <= 0xffff) {
		aml_byte(a, OP_WORD);
		word(a, (uint16_t)v);
	} else {
		aml_byte(a, OP_DWORD);
		dword(a, v);
	}
}

void aml_string(struct aml *a, const char *s)
{
	aml_byte(a, OP_STRING);
	aml_bytes(a, s, strlen(s) + 1);
}

/* Three letters of five bits and four hexadecimal digits, big-endian (19.3.4). */
void aml_name_eisa(struct aml *a, const char *name, const char *id)
{
	uint8_t v[4] = { 0 };
	uint32_t bits = 0;

	for (unsigned i = 0; i < 3; i++)
		bits = bits << 5 | (uint32_t)(id[i] - 0x40);
	for (unsigned i = 3; i < 7; i++)
		bits = bits << 4 | (uint32_t)(id[i] <= '9' ? id[i] - '0' : id[i] - 'A' + 10);
	for (unsigned i = 0; i < 4; i++)
		v[i] = (uint8_t)(bits >> (24 - 8 * i));
	aml_name(a, name);
	aml_byte(a, OP_DWORD);
	aml_bytes(a, v, sizeof(v));
}

void aml_name_int(struct aml *a, const char *name, uint32_t v)
{
	aml_name(a, name);
	aml_int(a, v);
}

void aml_name_string(struct aml *a, const char *name, const char *s)
{
	aml_name(a, name);
	aml_string(a, s);
}

/* I/O port descriptor, 16-bit decode (6.4.2.5). */
void aml_res_io(struct aml *a, uint16_t base, uint8_t len)
{
	aml_byte(a, 0x47);
	aml_byte(a, 1);
	word(a, base);
	word(a, base);
	aml_byte(a, 1);
	aml_byte(a, len);
}

/* 32-bit fixed memory, writable (6.4.3.4). */
void aml_res_mem32_fixed(struct aml *a, uint32_t base, uint32_t len)
{
	aml_byte(a, 0x86);
	word(a, 9);
	aml_byte(a, 1);
	dword(a, base);
	dword(a, len);
}

/* Extended interrupt, consumer, active high (6.4.3.6). */
void aml_res_irq(struct aml *a, uint32_t gsi, bool level, bool shared)
{
	aml_byte(a, 0x89);
	word(a, 6);
	aml_byte(a, (uint8_t)(1u | (level ? 0 : 2u) | (shared ? 8u : 0)));
	aml_byte(a, 1);
	dword(a, gsi);
}

/* Address space descriptors (6.4.3.5): produced, minimum and maximum fixed. */
void aml_res_bus0(struct aml *a)
{
	aml_byte(a, 0x88);
	word(a, 13);
	aml_byte(a, 2); /* bus numbers */
	aml_byte(a, 0x0c);
	aml_byte(a, 0);
	word(a, 0);
	word(a, 0);
	word(a, 0);
	word(a, 0);
	word(a, 1);
}

void aml_res_mem_window(struct aml *a, uint32_t first, uint32_t last)
{
	aml_byte(a, 0x87);
	word(a, 23);
	aml_byte(a, 0);
	aml_byte(a, 0x0c);
	aml_byte(a, 1); /* writable, not cached */
	dword(a, 0);
	dword(a, first);
	dword(a, last);
	dword(a, 0);
	dword(a, last - first + 1);
}
