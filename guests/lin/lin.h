/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LIN frames as bytes of a serial line (ISO 17987-3): header of break, sync and protected
 * identifier, response of data and checksum. A break is a byte 0 here, as a serial link carries no
 * other (docs/links.md). No library, no state but the reader's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LIN_DATA_MAX 8u
#define LIN_HEADER   3u
#define LIN_BREAK    0x00u
#define LIN_SYNC     0x55u

/* The master request frame, and its go-to-sleep command: this byte, then 0xff. */
#define LIN_MASTER_REQUEST 0x3cu
#define LIN_SLEEP	   0x00u

/* A frame of the network: its identifier, 0 to 63, and the bytes of its response. */
struct lin_frame {
	uint8_t id, len;
};

/* The identifier with its two parity bits. */
uint8_t lin_pid(uint8_t id);
/* The enhanced checksum, which covers the protected identifier; the classic one for the frames of
 * diagnostics, 60 and 61. */
uint8_t lin_checksum(uint8_t pid, const uint8_t *data, unsigned len);
/* Writes break, sync and protected identifier: LIN_HEADER bytes. */
unsigned lin_header(uint8_t *to, uint8_t id);
/* Writes data and checksum; returns how many bytes. */
unsigned lin_response(uint8_t *to, const struct lin_frame *f, const uint8_t *data);

/* What a byte has brought. */
enum lin_event {
	LIN_NOTHING,
	LIN_GOT_HEADER,	  /* of r->frame; its response is due */
	LIN_GOT_FRAME,	  /* r->frame with r->data is whole */
	LIN_BAD_SYNC,	  /* what follows a break is no sync byte */
	LIN_BAD_PARITY,	  /* of the identifier */
	LIN_BAD_CHECKSUM, /* of r->frame */
	LIN_UNKNOWN,	  /* a frame that is not in the table; r->pid */
};

/* Reads the bytes that a node hears. Give it the table of frames, the rest zeroed. */
struct lin_reader {
	const struct lin_frame *frames;
	unsigned nframes;
	unsigned at; /* bytes since the break */
	uint8_t pid;
	const struct lin_frame *frame;
	uint8_t data[LIN_DATA_MAX];
};

enum lin_event lin_read(struct lin_reader *r, uint8_t byte);
/* The line was silent for longer than a frame can be: what was begun is over. */
void lin_silence(struct lin_reader *r);
