/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One end of a stream of bytes as a program of a guest has it: a descriptor (the limit beneath), or
 * a device's queues with the guest's driver played here. Waits as long as it takes, up to
 * VHUD_TIMEOUT_MS; ends the process after saying why if something goes wrong.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define END_MESSAGE 65536u /* the longest */

struct end {
	/* Where the next message is to be written, END_MESSAGE bytes, which the device reads in
	 * place. */
	uint8_t *(*room)(struct end *e);
	/* Sends it. */
	void (*put)(struct end *e, size_t len);
	/* The next bytes that came, valid until the next get(). */
	size_t (*get)(struct end *e, uint8_t **data);
};

/* Ends the process. `ret` is 0 or -errno. */
void die(const char *what, int ret) __attribute__((noreturn));

/* A descriptor, not owned. */
struct end *end_fd(int fd);
/* Port 0 of the console device behind a vhost-user socket. */
struct end *end_console(const char *path);
/* A connection to `port` of the host over the socket device behind a vhost-user socket; buffers for
 * what comes have room for `rx_len` bytes of payload each. */
struct end *end_vsock(const char *path, uint32_t port, uint32_t rx_len);
