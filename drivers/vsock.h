/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Socket device (VIRTIO 1.4, 5.10): stream and seqpacket connections with credit. A connection is
 * the caller's, and so is its receive buffer:
 *
 *     static uint8_t memory[8192];
 *     struct drv_vsock_conn c = { .buf = memory, .size = sizeof(memory) };
 *
 *     drv_vsock_connect(&v, &c, 2, 1234, VIRTIO_VSOCK_TYPE_STREAM, until)
 *
 * Packets are handled while a function waits, and in drv_vsock_poll(). If a seqpacket connection
 * has DRV_VSOCK_MESSAGES unread messages nothing is received for any connection until one is read.
 */
#pragma once

#include "pool.h"

#define DRV_ID_VSOCK	   19
#define DRV_VSOCK_PACKET   2048u /* bytes of payload in a packet */
#define DRV_VSOCK_MESSAGES 16u

#define VIRTIO_VSOCK_F_STREAM		 0
#define VIRTIO_VSOCK_F_SEQPACKET	 1
#define VIRTIO_VSOCK_F_NO_IMPLIED_STREAM 2

#define VIRTIO_VSOCK_TYPE_STREAM    1
#define VIRTIO_VSOCK_TYPE_SEQPACKET 2

#define DRV_VSOCK_SHUT_RECV 1u
#define DRV_VSOCK_SHUT_SEND 2u
#define DRV_VSOCK_SHUT_BOTH 3u

enum drv_vsock_state {
	DRV_VSOCK_CLOSED,
	DRV_VSOCK_LISTENING,
	DRV_VSOCK_CONNECTING,
	DRV_VSOCK_OPEN,
};

struct drv_vsock;

/* Set `buf` and `size`, the rest to zero. Read `state`, `peer_*` and `error`. */
struct drv_vsock_conn {
	uint8_t *buf;
	uint32_t size;

	enum drv_vsock_state state;
	int error; /* why it was closed; 0: by both sides */
	uint64_t peer_cid;
	uint32_t peer_port, port;
	uint16_t type;

	/* Private. */
	struct drv_vsock *v;
	struct drv_vsock_conn *next;
	uint32_t received, read, told; /* bytes; told: what the peer knows of `read` */
	uint32_t sent, peer_alloc, peer_read;
	uint8_t shut, peer_shut;
	uint32_t ends[DRV_VSOCK_MESSAGES]; /* seqpacket: where messages end */
	uint32_t end_in, end_out;
};

struct drv_vsock {
	struct drv_dev *dev;
	uint64_t cid;
	uint64_t timeout;     /* for the device to take a packet, ns; 1 s unless changed */
	uint32_t bad_packets; /* that made no sense */
	struct drv_pool rx, tx, events;
	struct drv_vsock_conn *conns;
	uint32_t next_port;
	uint8_t *held; /* a packet that has to wait, and its length */
	uint32_t held_len;
	uint32_t late; /* packets handled after the time was up */
};

int drv_vsock_open(struct drv_vsock *v, struct drv_dev *dev);
/* Handles what has come. */
int drv_vsock_poll(struct drv_vsock *v);

/* DRV_REFUSED: nobody listens there. DRV_UNSUPPORTED: the device does not have this type. */
int drv_vsock_connect(struct drv_vsock *v, struct drv_vsock_conn *c, uint64_t cid, uint32_t port,
	uint16_t type, uint64_t until);
/* Becomes the next connection to this port that comes in; several may wait for the same. */
int drv_vsock_listen(struct drv_vsock *v, struct drv_vsock_conn *c, uint32_t port, uint16_t type);
/* Waits until it came. */
int drv_vsock_accept(struct drv_vsock_conn *c, uint64_t until);
/* Sends all, seqpacket as one message, as fast as the peer gives credit. After DRV_TIMEOUT a part
 * may have been sent. DRV_GONE: the connection has ended. */
int drv_vsock_send(struct drv_vsock_conn *c, const void *buf, uint32_t len, uint64_t until);
/* Stream: 1 to `size` bytes; 0 bytes once the peer sends no more. Seqpacket: one message, and
 * DRV_NO_MEMORY if it was longer, the rest being lost; DRV_GONE once the peer sends no more. */
int drv_vsock_recv(
	struct drv_vsock_conn *c, void *buf, uint32_t size, uint32_t *len, uint64_t until);
/* Says that nothing more will be sent, or received (DRV_VSOCK_SHUT_*). */
int drv_vsock_shutdown(struct drv_vsock_conn *c, unsigned how);
/* Ends it in any state: cleanly if the peer answers until `until`, else with a reset. */
int drv_vsock_close(struct drv_vsock_conn *c, uint64_t until);
