/* SPDX-License-Identifier: BSD-3-Clause */
#include "bus.h"

#include <errno.h>
#include <unistd.h>

#include "base/util.h"
#include "base/words.h"
#include "devices/devices.h"

#define SLOT 9000u /* bytes of guest memory for one request of a group */

bool bus_open(struct tap *t, struct bus *b, uint64_t ring, const char *const *keys)
{
	memset(b, 0, sizeof(*b));
	if (!CHECK_EQ(t,
		    vhud_serve(&b->srv, &vdev_i2c, keys[0], keys[1], keys[2], keys[3], keys[4],
			    keys[5], keys[6], keys[7], NULL),
		    0))
		return false;
	b->d = vhud_open(b->srv.path);
	return CHECK(t, b->d) &&
	       CHECK_EQ(t,
		       vhud_start(b->d,
			       &(struct vhud_opts){ .features = ring | FEATURE(0), .nqueues = 1 }),
		       0);
}

void bus_close(struct bus *b)
{
	vhud_close(b->d);
	vhud_serve_end(&b->srv);
}

static void put_header(uint8_t *h, uint16_t addr, uint32_t flags)
{
	memset(h, 0, 8);
	memcpy(h, &addr, 2);
	memcpy(h + 4, &flags, 4);
}

ssize_t bus_raw(struct bus *b, uint16_t addr, uint32_t flags, const void *out, uint32_t out_len,
	void *in, uint32_t in_len)
{
	uint8_t *request = calloc(1, 8 + out_len);
	ssize_t n;

	put_header(request, addr, flags);
	if (out_len)
		memcpy(request + 8, out, out_len);
	n = vhud_do(b->d, 0, request, 8 + out_len, in, in_len);
	free(request);
	return n;
}

uint8_t bus_write(struct bus *b, uint8_t addr, const void *data, uint16_t len)
{
	uint8_t status = I2C_NONE;

	return bus_raw(b, (uint16_t)(addr << 1), 0, data, len, &status, 1) == 1 ? status : I2C_NONE;
}

uint8_t bus_read(struct bus *b, uint8_t addr, void *data, uint16_t len)
{
	uint8_t *in = malloc(len + 1u), status = I2C_NONE;

	memset(in, 0xa5, len + 1u);
	if (bus_raw(b, (uint16_t)(addr << 1), I2C_M_READ, NULL, 0, in, len + 1u) == len + 1) {
		memcpy(data, in, len);
		status = in[len];
	}
	free(in);
	return status;
}

/* Header, status, data. */
static bool add_segment(struct bus *b, const struct bus_segment *s, uint32_t flags, uint8_t *mem)
{
	struct iovec iov[3] = { { mem, 8 } };
	unsigned n = 1;

	put_header(mem, (uint16_t)(s->addr << 1), flags | (s->read ? I2C_M_READ : 0));
	mem[8] = I2C_NONE;
	if (!s->read)
		memcpy(mem + 16, s->data, s->len);
	if (s->len)
		iov[n++] = (struct iovec){ mem + 16, s->len };
	iov[n++] = (struct iovec){ mem + 8, 1 };
	return !vhud_add(b->d, 0, iov, s->read ? 1 : n - 1, s->read ? n - 1 : 1, mem);
}

bool bus_send(struct bus *b, const struct bus_segment *s, unsigned n, bool open, void **mem)
{
	uint8_t *at = vhud_alloc(b->d, (uint64_t)n * SLOT);
	bool ok = at;

	*mem = at;
	for (unsigned i = 0; i < n && ok; i++)
		ok = add_segment(
			b, &s[i], open || i + 1 < n ? I2C_FAIL_NEXT : 0, at + (size_t)i * SLOT);
	if (ok)
		vhud_kick(b->d, 0);
	return ok;
}

bool bus_wait(struct bus *b, struct bus_segment *s, unsigned n, void *mem, int timeout_ms)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t *at = (uint8_t *)mem + (size_t)i * SLOT;
		void *token = NULL;
		uint32_t len = 0;

		if (vhud_wait(b->d, 0, &token, &len, timeout_ms) != 1 || token != at ||
			len != (s[i].read ? s[i].len : 0) + 1u)
			return false;
		s[i].status = at[8];
		if (s[i].read)
			memcpy(s[i].data, at + 16, s[i].len);
	}
	return true;
}

bool bus_group(struct bus *b, struct bus_segment *s, unsigned n)
{
	void *mem;

	return bus_send(b, s, n, false, &mem) && bus_wait(b, s, n, mem, VHUD_TIMEOUT_MS);
}

uint8_t bus_get(struct bus *b, uint8_t addr, uint16_t reg, unsigned width, void *data, uint16_t len)
{
	uint8_t number[2] = { (uint8_t)(width == 2 ? reg >> 8 : reg), (uint8_t)reg };
	struct bus_segment s[2] = { { addr, false, number, (uint16_t)width, I2C_NONE },
		{ addr, true, data, len, I2C_NONE } };

	if (!bus_group(b, s, 2))
		return I2C_NONE;
	return s[0].status == I2C_OK ? s[1].status : s[0].status;
}

struct told {
	struct vdev *dev;
	struct words words;
	char *answer;
	int result;
};

static void tell(void *arg)
{
	struct told *told = arg;
	struct err e = { 0 };
	FILE *f = fmemopen(told->answer, 511, "w");

	told->result = told->dev->cls->command(told->dev, told->words.n, told->words.v, f, &e);
	fclose(f);
	if (told->result)
		snprintf(told->answer, 512, "%s", e.msg);
}

int bus_tell(struct bus *b, const char *words, char answer[512])
{
	struct told told = { .dev = b->srv.dev, .answer = answer };

	memset(answer, 0, 512);
	if (words_split(&told.words, words, NULL))
		return -ENOMEM;
	vhud_serve_call(&b->srv, tell, &told);
	words_free(&told.words);
	return told.result;
}
