/* SPDX-License-Identifier: BSD-3-Clause */
/* The other end of the control socket: for `avp ps` and its like. Everything here blocks. */
#pragma once

#include <cJSON.h>
#include <stddef.h>

#include "base/err.h"

#define CLIENT_ANSWER_MAX (4u << 20) /* bytes of one answer */

/* A connection. Zero-initialise with fd -1. */
struct client_conn {
	int fd;
	char *buf; /* bytes read and not used */
	size_t len, cap;
};

/* Connects to the system of that name; with NULL to the only one that runs. */
int client_open(struct client_conn *c, const char *system, struct err *e);
void client_close(struct client_conn *c);
/* Reads one message, which the caller frees. -EPIPE: the other end is gone. */
int client_read(struct client_conn *c, cJSON **msg, struct err *e);
/* Sends a request, which it frees, and waits for the answer's `result`, which the caller frees; a
 * refusal is an error with its text. */
int client_request(struct client_conn *c, cJSON *request, cJSON **result, struct err *e);
/* {"cmd": cmd} */
cJSON *client_command(const char *cmd);
