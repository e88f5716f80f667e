/* SPDX-License-Identifier: BSD-3-Clause */
/* LIN frames. See lin.h. */
#include "guests/lin/lin.h"

static unsigned bit(uint8_t v, unsigned n)
{
	return v >> n & 1;
}

uint8_t lin_pid(uint8_t id)
{
	unsigned p0 = bit(id, 0) ^ bit(id, 1) ^ bit(id, 2) ^ bit(id, 4);
	unsigned p1 = !(bit(id, 1) ^ bit(id, 3) ^ bit(id, 4) ^ bit(id, 5));

	return (uint8_t)((id & 0x3f) | p0 << 6 | p1 << 7);
}

uint8_t lin_checksum(uint8_t pid, const uint8_t *data, unsigned len)
{
	bool classic = (pid & 0x3e) == LIN_MASTER_REQUEST;
	unsigned sum = classic ? 0 : pid;

	for (unsigned i = 0; i < len; i++) {
		sum += data[i];
		sum = (sum & 0xff) + (sum >> 8);
	}
	return (uint8_t)~sum;
}

unsigned lin_header(uint8_t *to, uint8_t id)
{
	to[0] = LIN_BREAK;
	to[1] = LIN_SYNC;
	to[2] = lin_pid(id);
	return LIN_HEADER;
}

unsigned lin_response(uint8_t *to, const struct lin_frame *f, const uint8_t *data)
{
	for (unsigned i = 0; i < f->len; i++)
		to[i] = data[i];
	to[f->len] = lin_checksum(lin_pid(f->id), data, f->len);
	return f->len + 1u;
}

/* Back to waiting for a break. */
static enum lin_event over(struct lin_reader *r, enum lin_event event)
{
	r->at = 0;
	return event;
}

static enum lin_event read_pid(struct lin_reader *r, uint8_t byte)
{
	r->pid = byte;
	r->frame = 0;
	if (lin_pid(byte & 0x3f) != byte)
		return over(r, LIN_BAD_PARITY);
	for (unsigned i = 0; i < r->nframes; i++)
		if (r->frames[i].id == (byte & 0x3f))
			r->frame = &r->frames[i];
	return r->frame ? LIN_GOT_HEADER : over(r, LIN_UNKNOWN);
}

enum lin_event lin_read(struct lin_reader *r, uint8_t byte)
{
	unsigned n = r->at++;

	if (n == 0)
		return byte == LIN_BREAK ? LIN_NOTHING : over(r, LIN_NOTHING);
	if (n == 1)
		return byte == LIN_SYNC ? LIN_NOTHING : over(r, LIN_BAD_SYNC);
	if (n == 2)
		return read_pid(r, byte);
	n -= LIN_HEADER;
	if (n < r->frame->len) {
		r->data[n] = byte;
		return LIN_NOTHING;
	}
	return over(r, byte == lin_checksum(r->pid, r->data, r->frame->len) ? LIN_GOT_FRAME
									    : LIN_BAD_CHECKSUM);
}

void lin_silence(struct lin_reader *r)
{
	r->at = 0;
}
