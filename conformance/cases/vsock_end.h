/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For the cases of the socket device: the device under test and its peer, the drivers of both being
 * ours, and connections between them, seen from either end.
 *
 * Every packet that an end gets is checked: addresses, used length, and of a connection that its
 * counters are possible and that no data goes beyond the credit given.
 */
#pragma once

#include "conformance/cases/cases.h"
#include "conformance/cases/vsock_wire.h"

#define VS_BUFS	    64
#define VS_DATA_MAX 65536u
#define VS_CREDIT   65536u /* buf_alloc of connections unless a case says otherwise */

#define VS_STREAM DRV_FEATURE(VIRTIO_VSOCK_F_STREAM)
#define VS_SEQ	  DRV_FEATURE(VIRTIO_VSOCK_F_SEQPACKET)
#define VS_ALL	  (VS_STREAM | VS_SEQ | DRV_FEATURE(VIRTIO_VSOCK_F_NO_IMPLIED_STREAM))

struct vs_buf {
	uint8_t *p;
	uint32_t len;
	uint32_t piece; /* length of its descriptors */
};

struct vs_end {
	struct cf *c;
	const char *name; /* for messages */
	struct drv_dev *dev;
	struct drv_queue *rx, *tx, *event;
	struct drv_queue own[3];
	uint64_t cid;
	struct vs_buf bufs[VS_BUFS];
	unsigned nbufs;
	uint8_t *out; /* the packet being sent: header and up to VS_DATA_MAX bytes */

	/* The last packet received. */
	struct vsock_hdr hdr;
	uint8_t *data;
};

struct vs_link {
	struct cf *c;
	struct vs_end dut, peer;
	uint32_t port; /* the last one given to a connection */
};

/* One end of a connection. */
struct vs_conn {
	struct vs_end *e;
	uint64_t peer_cid;
	uint32_t port, peer_port;
	uint16_t type;
	uint32_t buf_alloc, fwd_cnt; /* as the device is told with the next packet */
	uint32_t rx_cnt;	     /* data received */
	uint32_t tx_cnt;	     /* data sent */
	uint32_t peer_buf_alloc, peer_fwd_cnt;
	uint32_t credit_requests; /* received */
};

/* The device alone; both. With `count` receive buffers of `len` bytes. False: recorded. */
bool vs_up_alone(struct cf *c, struct vs_link *l, uint64_t features, unsigned count, uint32_t len);
bool vs_up(struct cf *c, struct vs_link *l, uint64_t features, unsigned count, uint32_t len);
/* The usual: both, all features, 16 buffers of a page. */
bool vs_up_ready(struct cf *c, struct vs_link *l);
/* The device under test alone is reset and brought up again. */
bool vs_up_again(struct vs_link *l, uint64_t features, unsigned count, uint32_t len);
bool vs_post(struct vs_end *e, unsigned count, uint32_t len, uint32_t piece);

/* Sends a packet with h->len set to `len`; the device uses it with length 0. */
bool vs_send(struct vs_end *e, struct vsock_hdr h, const void *data, uint32_t len);
/* Puts header and data into e->out; h->len stays as it is. */
void vs_put(struct vs_end *e, const struct vsock_hdr *h, const void *data, uint32_t len);
/* The next packet, of whatever connection: e->hdr and e->data. */
bool vs_take(struct vs_end *e);
/* True if there is one, or comes until `until`; nothing is recorded. */
bool vs_waiting(struct vs_end *e, uint64_t until);
/* The next packet is RST with the addresses of `to` exchanged. */
bool vs_expect_rst(struct vs_end *e, const struct vsock_hdr *to);

/* A header from the device's driver to port 1 of CID `dst`, from a new port. */
struct vsock_hdr vs_hdr(struct vs_link *l, uint64_t dst, uint16_t op);

/* A connection of new ports that is not there yet: both ends. */
void vs_pair(struct vs_link *l, uint16_t type, struct vs_conn *dut, struct vs_conn *peer);
/* REQUEST by one, RESPONSE by the other. */
bool vs_open(struct vs_conn *from, struct vs_conn *to);
/* Both: connects the device under test to the peer. */
bool vs_connect(struct vs_link *l, uint16_t type, struct vs_conn *dut, struct vs_conn *peer);
/* The usual, and a connection. */
bool vs_up_connected(
	struct cf *c, struct vs_link *l, uint16_t type, struct vs_conn *dut, struct vs_conn *peer);
/* A packet of the connection. */
bool vs_op(struct vs_conn *k, uint16_t op, uint32_t flags);
bool vs_rw(struct vs_conn *k, uint32_t flags, const void *data, uint32_t len);
/* The packet that was taken is of this connection, and its counters and data are possible. */
bool vs_account(struct vs_conn *k);
/* The next packet that is of this connection and not about credit, which is kept count of and
 * answered. */
bool vs_next(struct vs_conn *k);
/* The same, and it is `op`. */
bool vs_expect(struct vs_conn *k, uint16_t op);
/* The connection ends: SHUTDOWN of both directions, which is answered by RST, or RST. */
bool vs_expect_closed(struct vs_conn *k);
/* No data comes on `k`, but on the other connection, from `peer`, it does. */
bool vs_no_data(struct vs_conn *k, struct vs_conn *other, struct vs_conn *peer);
/* Data received so far is read: the device is told by CREDIT_UPDATE. */
bool vs_consume(struct vs_conn *k);
/* Space that the device has for data. */
uint32_t vs_room(const struct vs_conn *k);
/* Asks for the device's credit until fwd_cnt says that all data sent was taken. */
bool vs_await_fwd(struct vs_conn *k);
/* Receives `len` bytes of a stream; they are the pattern of `seed` from `at` on. Not consumed. */
bool vs_receive(struct vs_conn *k, uint32_t seed, uint32_t at, uint32_t len);
/* Sends `len` bytes in packets of up to `part` from one end to the other, both keeping to credit;
 * they arrive as sent. `from` and `to` are the ends of one connection. */
bool vs_transfer(
	struct vs_conn *from, struct vs_conn *to, uint32_t seed, uint32_t len, uint32_t part);
/* The data that was taken is the pattern of `seed` from `at` on. */
bool vs_is(struct vs_conn *k, uint32_t seed, uint32_t at);
/* A byte of the pattern that all data here is made of. */
uint8_t vs_byte(uint32_t seed, uint32_t at);
void vs_pattern(uint8_t *p, uint32_t seed, uint32_t at, uint32_t len);
