/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON objects, one per line, over a stream socket on an event loop: the control socket, and the
 * line between the supervisor and each of its processes (docs/control-socket.md).
 */
#pragma once

#include <cJSON.h>
#include <stddef.h>

#include "base/err.h"
#include "base/loop.h"

/* Longest line taken, and most bytes that wait for a peer that does not read. */
#define JSONL_LINE_MAX (64u << 10)
#define JSONL_OUT_MAX  (1u << 20)

struct jsonl;

/*
 * A message arrived; it belongs to the connection and lives until the function returns. A line that
 * is no JSON object, or too long, ends the connection. NULL: the connection has ended; the owner is
 * to jsonl_close() it, then or later. jsonl_close() is allowed in the function.
 */
typedef void (*jsonl_fn)(void *arg, const cJSON *msg);

/* Takes over `fd`, also on failure. Returns 0 or -errno. */
int jsonl_open(struct jsonl **j, struct ev_loop *loop, int fd, jsonl_fn fn, void *arg);
/* Accepts NULL. What was sent and has not left yet is tried once more, then lost. */
void jsonl_close(struct jsonl *j);

/* Sends one object. A peer that has not read JSONL_OUT_MAX bytes loses the connection: -ENOBUFS. */
int jsonl_send(struct jsonl *j, const cJSON *msg);
/* Sends `msg` and frees it; NULL (out of memory) is -ENOMEM. */
int jsonl_send_take(struct jsonl *j, cJSON *msg);

/*
 * Ends the connection without closing the descriptor, which the caller gets, non-blocking: for
 * connections that turn into plain streams. Bytes that came after the last line taken are copied to
 * `rest` (JSONL_LINE_MAX bytes of room), their number to *len. Frees `j` like jsonl_close().
 */
int jsonl_detach(struct jsonl *j, void *rest, size_t *len);

/* A string member, or NULL. */
const char *jsonl_str(const cJSON *msg, const char *name);
/* A number member that is an integer in 0..max; else `def`. */
double jsonl_num(const cJSON *msg, const char *name, double max, double def);
