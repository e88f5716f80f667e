/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host's end of vsock connections: unix sockets in Firecracker's convention, a SEQPACKET
 * variant of it, and the sockets by which the vsock processes of two guests meet
 * (docs/devices/vsock.md). The first line on a socket says what is wanted:
 *
 *     host to guest    CONNECT <port>                         answered by  OK <host port>
 *     guest to guest   CONNECT <port> <source cid> <source port>           OK <port>
 *
 * On a SEQPACKET socket a line is one message.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* More than the longest line. */
#define VSOCK_LINE_MAX 64

/* Numbers are VIRTIO's: struct virtio_vsock_hdr.type (VIRTIO 1.4, 5.10.6.2). */
#define VIRTIO_VSOCK_TYPE_STREAM    1
#define VIRTIO_VSOCK_TYPE_SEQPACKET 2

/* What a first line asks for. */
struct vsock_ask {
	uint32_t port;
	uint64_t src_cid;  /* only from a peer */
	uint32_t src_port; /* only from a peer */
};

/* A line that arrives piece by piece. Zero-initialise. */
struct vsock_line {
	char text[VSOCK_LINE_MAX];
	unsigned len;
};

/* The listening socket of `type`, non-blocking: the base path itself for STREAM, with ".seqpacket"
 * after it for SEQPACKET. Returns a descriptor or -errno. */
int vsock_uds_listen(const char *base, unsigned type, struct err *e);
/* Removes the file of such a socket. */
void vsock_uds_unlink(const char *base, unsigned type);
/* Where the other end of a guest's connection listens: `base`_`port` on the host. */
int vsock_uds_connect_port(const char *base, uint32_t port, unsigned type, struct err *e);
/* The peer socket of guest `cid`: its path, and a connection to it. Non-blocking. */
int vsock_uds_peer_path(char *path, unsigned size, const char *base, uint64_t cid);
int vsock_uds_connect_peer(const char *base, uint64_t cid, unsigned type, struct err *e);

/* Reads up to the end of a line and not beyond it. 1: the line is complete, without its newline; 0:
 * not yet; -EPROTO: too long; -EPIPE: the other side is gone; -errno. */
int vsock_line_read(struct vsock_line *line, int fd, unsigned type);
/* Parses the first line of a host process (`peer` false) or of a vsock process. 0 or -EPROTO. */
int vsock_ask_parse(const char *line, bool peer, struct vsock_ask *ask);
/* Sends one line, given without newline; the socket's buffer is empty, so it fits or fails. */
int vsock_line_send(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
