/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CAN frames (ISO 11898-1): their place in arbitration, their length on the bus, and the text that
 * candump and cansend use. A frame is a struct canfd_frame, as in SocketCAN, with CANFD_FDF in
 * `flags` if it is one of CAN FD.
 */
#pragma once

#include <linux/can.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/opt.h"

/* A time stamp, a name of CAN_LOG_NAME_MAX bytes, and 64 bytes of data fit. */
#define CAN_LOG_LINE_MAX 256u
#define CAN_LOG_NAME_MAX 63u

/* Between two frames: the intermission, the suspension of an error-passive sender; and what an
 * error takes: superposed flags and delimiter. In bits. */
#define CAN_INTERMISSION_BITS 3u
#define CAN_SUSPEND_BITS      8u
#define CAN_ERROR_FRAME_BITS  20u
/* Recessive bits after which a controller that was bus-off may take part again: 128 times 11. */
#define CAN_RECOVERY_BITS 1408u

/* Bits from the start of frame to the last bit of its end, all stuff bits included. The CRC is
 * calculated, so that the number is exact. */
struct can_bits {
	uint32_t nominal; /* at the nominal bit rate */
	uint32_t data;	  /* between the bit rate switch and the end of the CRC; 0 without */
};

static inline bool can_is_fd(const struct canfd_frame *f)
{
	return f->flags & CANFD_FDF;
}

/* True if identifier, length and flags are of a frame that can be sent: no error frame, and for CAN
 * FD one of its 16 lengths. */
bool can_frame_valid(const struct canfd_frame *f);
/* The next length that CAN FD has, from 0..64. */
uint8_t can_fd_len(uint8_t len);
/* What arbitration compares; the lower number wins. At the same identifier data wins over remote,
 * a standard one over the extended one that begins with it. */
uint32_t can_arbitration(const struct canfd_frame *f);
/* `f` is valid. */
struct can_bits can_frame_bits(const struct canfd_frame *f);

/* Text, as cansend has it: "123#DEADBEEF", "12345678#R4", "123##1AABB" (CAN FD with flags). The
 * length is that of the text; always ends with 0. */
size_t can_frame_text(char *buf, size_t size, const struct canfd_frame *f);
/* Reads it; what is behind the frame must be a blank or the end, *end is set to it. -EINVAL with a
 * reason. */
int can_frame_parse(const char *text, const char **end, struct canfd_frame *f, struct err *e);
/* A line of candump -l, with its newline: "(1436509052.249713) can0 123#DEADBEEF". `ns` is the time
 * since 1970. Returns its length. */
size_t can_log_line(
	char buf[CAN_LOG_LINE_MAX], uint64_t ns, const char *name, const struct canfd_frame *f);

#define CAN_FILTERS_MAX 64u

/* Filters as in SocketCAN: a frame passes one if its identifier and the filter's agree in the bits
 * of the mask, or with CAN_INV_FILTER if they do not. */
struct can_filters {
	unsigned n;
	struct can_filter v[CAN_FILTERS_MAX];
};

/* From "123:7FF" (passes) and "123~7FF" (does not), hexadecimal; 8 digits are an extended
 * identifier. `key` is for the message. -EINVAL with a reason. */
int can_filters_parse(
	struct can_filters *f, const struct opt_list *words, const char *key, struct err *e);
/* True if one filter lets it pass, or there is none. */
bool can_filters_pass(const struct can_filters *f, uint32_t can_id);
