/* SPDX-License-Identifier: BSD-3-Clause */
/* What a CAN frame is on the wire (ISO 11898-1, 10.4 and 10.5). Text is in can_text.c. */
#include "host/can_frame.h"

#include <string.h>

#define CRC15_POLY 0x4599u
#define STUFF_RUN  5u /* equal bits, after which an opposite one is sent */
/* Behind the CRC: delimiter, acknowledgement and its delimiter, end of frame. */
#define CRC_DELIMITER 1u
#define TAIL_BITS     9u

/* A frame being sent, bit by bit. */
struct wire {
	uint32_t bits;	/* so far, with stuff bits */
	uint32_t crc;	/* of classic frames */
	unsigned run;	/* equal bits at the end */
	unsigned level; /* of the last bit */
};

static void put_bit(struct wire *w, unsigned bit)
{
	bool next = bit ^ (w->crc >> 14 & 1);

	w->crc = w->crc << 1 & 0x7fff;
	if (next)
		w->crc ^= CRC15_POLY;
	/* The stuff bit comes with the bit behind the run, so that none is sent after the last. */
	if (w->run == STUFF_RUN) {
		w->bits++;
		w->level = !w->level;
		w->run = 1;
	}
	w->run = bit == w->level ? w->run + 1 : 1;
	w->level = bit;
	w->bits++;
}

static void put_bits(struct wire *w, uint32_t value, unsigned n)
{
	while (n--)
		put_bit(w, value >> n & 1);
}

static unsigned dlc(uint8_t len)
{
	static const uint8_t lens[] = { 12, 16, 20, 24, 32, 48, 64 };

	if (len <= 8)
		return len;
	for (unsigned i = 0; i < sizeof(lens); i++)
		if (len <= lens[i])
			return 9 + i;
	return 15;
}

uint8_t can_fd_len(uint8_t len)
{
	static const uint8_t lens[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64 };

	return lens[dlc(len)];
}

bool can_frame_valid(const struct canfd_frame *f)
{
	uint32_t id = f->can_id & CAN_EFF_MASK;

	if (f->can_id & CAN_ERR_FLAG || (!(f->can_id & CAN_EFF_FLAG) && id > CAN_SFF_MASK))
		return false;
	if (!can_is_fd(f))
		return f->len <= CAN_MAX_DLEN;
	return !(f->can_id & CAN_RTR_FLAG) && f->len <= CANFD_MAX_DLEN &&
	       can_fd_len(f->len) == f->len;
}

uint32_t can_arbitration(const struct canfd_frame *f)
{
	uint32_t id = f->can_id & CAN_EFF_MASK, rtr = !!(f->can_id & CAN_RTR_FLAG);

	if (!(f->can_id & CAN_EFF_FLAG))
		return id << 21 | rtr << 20;
	/* SRR and IDE are recessive. */
	return id >> 18 << 21 | 3u << 19 | (id & 0x3ffff) << 1 | rtr;
}

/* From the start of frame to the bit before the DLC, or in CAN FD up to BRS. */
static void put_head(struct wire *w, const struct canfd_frame *f)
{
	uint32_t id = f->can_id & CAN_EFF_MASK, rtr = !!(f->can_id & CAN_RTR_FLAG);
	bool fd = can_is_fd(f);

	put_bit(w, 0);
	if (f->can_id & CAN_EFF_FLAG) {
		put_bits(w, id >> 18, 11);
		put_bits(w, 3, 2); /* SRR, IDE */
		put_bits(w, id & 0x3ffff, 18);
		put_bit(w, rtr);
	} else {
		put_bits(w, id, 11);
		put_bit(w, rtr);
		put_bit(w, 0); /* IDE */
	}
	if (fd) {
		put_bits(w, 2, 2); /* FDF, and its reserved bit */
		put_bit(w, !!(f->flags & CANFD_BRS));
		return;
	}
	put_bits(w, 0, f->can_id & CAN_EFF_FLAG ? 2 : 1); /* reserved */
}

static void put_data(struct wire *w, const struct canfd_frame *f)
{
	put_bits(w, dlc(f->len), 4);
	for (unsigned i = 0; i < f->len && !(f->can_id & CAN_RTR_FLAG); i++)
		put_bits(w, f->data[i], 8);
}

static struct can_bits classic_bits(const struct canfd_frame *f)
{
	struct wire w = { .level = 1 };

	put_head(&w, f);
	put_data(&w, f);
	put_bits(&w, w.crc, 15);
	/* A run that ends with the CRC is stuffed, too. */
	return (struct can_bits){ w.bits + (w.run == STUFF_RUN) + CRC_DELIMITER + TAIL_BITS, 0 };
}

/* Count of stuff bits and CRC, with a fixed stuff bit before them and after every fourth bit. The
 * first takes the place of one that a run at the end of the data would need. */
static unsigned fd_crc_bits(uint8_t len)
{
	unsigned bits = 4 + (len > 16 ? 21 : 17);

	return bits + 1 + bits / 4;
}

/* The bit rate changes at the sample points of BRS and of the CRC delimiter: together that is one
 * whole bit of each rate, if both have their sample points at the same place. */
static struct can_bits fd_bits(const struct canfd_frame *f)
{
	struct wire w = { .level = 1 };
	struct can_bits b;

	put_head(&w, f);
	b.nominal = w.bits;
	put_bit(&w, !!(f->flags & CANFD_ESI));
	put_data(&w, f);
	b.data = w.bits - b.nominal + fd_crc_bits(f->len) + CRC_DELIMITER;
	b.nominal += TAIL_BITS;
	if (f->flags & CANFD_BRS)
		return b;
	return (struct can_bits){ b.nominal + b.data, 0 };
}

struct can_bits can_frame_bits(const struct canfd_frame *f)
{
	return can_is_fd(f) ? fd_bits(f) : classic_bits(f);
}
