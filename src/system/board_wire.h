/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What avp on the host and its agent in the board say to each other over vsock. The agent calls the
 * first three ports of the host; the host calls the last one of the board.
 *
 * On BOARD_PORT_JOB both sides send words that end with a zero byte. Host to board, in this order:
 *   "share TAG PATH"   mount the 9p tag at PATH; any number
 *   "chdir PATH"       once
 *   "control PATH"     where connections to BOARD_PORT_CONTROL go, if the job has a control socket
 *   "program PATH"     what to run, if it is not avp
 *   "arg TEXT"         an argument for it; any number
 *   "log LEVEL"        the value of AVP_LOG, if there is one
 *   "run"              start it
 *   "signal NUMBER"    any time after run
 * Board to host: "ready" when the control socket, if any, answers, "exit STATUS" at the end, or
 * "fail TEXT" instead. The board powers off when the host has hung up.
 */
#pragma once

#include <stddef.h>

#define BOARD_CID	   3u
#define BOARD_PORT_JOB	   1000u
#define BOARD_PORT_STDOUT  1001u
#define BOARD_PORT_STDERR  1002u
#define BOARD_PORT_CONTROL 1003u

#define BOARD_WORD_MAX 4352u /* a path and its verb */

/* Words as they arrive, in pieces. Zero-initialise. */
struct board_words {
	char buf[BOARD_WORD_MAX];
	size_t len;
};

/* Sends one word; blocks if it must. Returns 0 or -errno. */
int board_word_send(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Reads once from `fd` and calls fn(arg, verb, rest) for each complete word; `rest` is what follows
 * the first space, or "". Returns 0, -EPIPE at the end, -EPROTO for a word that is too long, or
 * what fn returned if that is negative.
 */
int board_words_read(struct board_words *w, int fd,
	int (*fn)(void *arg, const char *verb, const char *rest), void *arg);
