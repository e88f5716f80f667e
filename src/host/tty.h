/* SPDX-License-Identifier: BSD-3-Clause */
/* Line settings of a terminal device of the host, as a raw serial line. */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "base/opt.h"

enum tty_parity {
	TTY_PARITY_NONE,
	TTY_PARITY_EVEN,
	TTY_PARITY_ODD,
	TTY_PARITY_MARK,
	TTY_PARITY_SPACE
};
enum tty_flow { TTY_FLOW_NONE, TTY_FLOW_RTSCTS, TTY_FLOW_XONXOFF };

/* Filled by TTY_OPTS. */
struct tty_line {
	uint32_t baud, bits, stop;
	int parity; /* enum tty_parity */
	int flow;   /* enum tty_flow */
};

/* The words of the enums, end with NULL. */
extern const char *const tty_parity_words[];
extern const char *const tty_flow_words[];

/* Rows of an option table for the member `at` of `owner`. */
/* clang-format off */
#define TTY_OPTS(owner, at)                                                                        \
	{ "baud", OPT_U32, offsetof(owner, at.baud), .def = "115200", .min = 50, .max = 4000000,   \
		.help = "serial line: bits per second" },                                          \
	{ "bits", OPT_U32, offsetof(owner, at.bits), .def = "8", .min = 5, .max = 8,               \
		.help = "serial line: data bits of a byte" },                                      \
	{ "parity", OPT_ENUM, offsetof(owner, at.parity), .words = tty_parity_words,               \
		.help = "serial line: parity bit" },                                               \
	{ "stop", OPT_U32, offsetof(owner, at.stop), .def = "1", .min = 1, .max = 2,               \
		.help = "serial line: stop bits" },                                                \
	{ "flow", OPT_ENUM, offsetof(owner, at.flow), .words = tty_flow_words,                     \
		.help = "serial line: flow control" }
/* clang-format on */

/* Makes `fd`, the terminal at `path`, a raw line with these settings. -EINVAL with a reason if it
 * is no terminal, or does not take one of them. */
int tty_setup(int fd, const char *path, const struct tty_line *line, struct err *e);
/* Bits that a byte takes on the line, with start, parity and stop bits. */
unsigned tty_char_bits(const struct tty_line *line);
/* The system calls' requests (ioctl) that tty_setup() makes, ends with 0. */
extern const unsigned long tty_ioctls[];
