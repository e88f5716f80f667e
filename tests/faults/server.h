/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process of avp that can be killed at any moment and is replaced at once behind the same
 * sockets, as the supervisor does it: a device, or a medium with several ports.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

#define SERVER_PORTS 2u
#define SERVER_ARGS  24u

struct server {
	char dir[64];		     /* a folder of its own */
	char path[SERVER_PORTS][96]; /* the sockets */
	int listener[SERVER_PORTS];
	unsigned nports;
	int control; /* our end of its control socket */
	pid_t pid;
	char *argv[SERVER_ARGS + 1];
	char port[SERVER_PORTS][256]; /* arguments of --port */
};

/* Makes the folder. */
int server_init(struct server *s, struct err *e);
/*
 * Starts $AVP with `words`, which end with NULL: {"device", "rng", NULL}, or a medium's name and
 * options. In words and keys "{dir}" becomes the server's folder. `keys` are further keys of the
 * medium's ports; NULL: it is a device. Waits until it serves.
 */
int server_start(struct server *s, const char *const *words, const char *const *keys,
	unsigned nports, struct err *e);
/* SIGKILL, and waits for the end. -ECHILD: it had ended by itself. */
int server_kill(struct server *s, struct err *e);
/* Starts the next one after that. */
int server_replace(struct server *s, struct err *e);
/* The same if it has ended by itself with an error: 1 if so, and 0 if it lives. */
int server_again(struct server *s, struct err *e);
/* Waits for a message on the control socket that has `text` in it. */
int server_hear(struct server *s, const char *text, struct err *e);
/* SIGTERM, and removes everything. Returns the exit status, or 128 + signal. */
int server_end(struct server *s);
