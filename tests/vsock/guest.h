/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver side of a socket device for tests: packets in and out, one connection's credit. */
#pragma once

#include "devices/vsock.h"
#include "lib/vhud_server.h"

#define GUEST_CID   3u
#define GUEST_RX    32u	  /* rx buffers */
#define GUEST_RXLEN 4096u /* bytes of each, without header */

struct guest {
	struct vhud_server srv;
	struct vhud *d;
	uint64_t cid;
	char dir[64]; /* a folder of its own */
	char uds[80]; /* the key uds, in it */
	uint8_t *rx[GUEST_RX];
	uint8_t *tx; /* scratch for one packet */
};

/* Features of the two rings. */
#define SPLIT  (FEATURE(VIRTIO_F_EVENT_IDX) | FEATURE(VIRTIO_F_INDIRECT_DESC))
#define PACKED (SPLIT | FEATURE(VIRTIO_F_RING_PACKED))
/* All of the device's own. */
#define VSOCK_ALL UINT64_C(7)

/* A device with cid GUEST_CID and a driver on it; further keys and values, then NULL. 0 or -errno.
 */
int guest_open(struct guest *g, uint64_t features, ...) __attribute__((sentinel));
/* The same with a CID, and without the folder of its own if `dir` is not NULL. */
int guest_open_at(struct guest *g, uint64_t features, uint32_t cid, const char *dir,
	const char *key, const char *value, const char *key2, const char *value2);
/* Starts the driver (again) on the device. */
int guest_start(struct guest *g, uint64_t features);
void guest_close(struct guest *g);

/* Sends a packet as it is; `len` bytes of payload go with it, whatever pkt->len says. */
void guest_send_raw(struct guest *g, const struct vsock_pkt *pkt, const void *data, size_t len);
/* Sends a packet of a connection. */
void guest_send(struct guest *g, const struct vsock_key *key, uint16_t op, uint32_t flags,
	const void *data, uint32_t len);
/* The next packet of the device: 1, or 0 after `timeout_ms`. `data` has room for GUEST_RXLEN. */
int guest_recv(struct guest *g, struct vsock_pkt *pkt, void *data, int timeout_ms);
/* Receives one packet and checks that it is this one of that connection. */
bool guest_expect(struct guest *g, const struct vsock_key *key, uint16_t op, struct vsock_pkt *pkt,
	void *data);

/* Host sockets at UDS_PORT; a client of UDS after its CONNECT line; -errno. */
int host_listen(const struct guest *g, uint32_t port, int type);
int host_connect(const struct guest *g, uint32_t port, int type);
/* Accepts, within the time limit. */
int host_accept(int listener);
/* Reads within the time limit: as read(2). */
ssize_t host_read(int fd, void *buf, size_t len);
/* A line, without newline. */
bool host_line(int fd, char *line, size_t size);

/* Connects guest port `port` to a host listener at 1000; returns the host's descriptor. */
int connect_to_host(struct guest *g, uint16_t type, uint32_t port, struct vsock_key *key);
