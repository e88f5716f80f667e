/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the socket device (VIRTIO 1.4, 5.10): vsock.c has the virtqueues and packets, vsock_conn.c
 * the connections and their credit, vsock_host.c the listening and connecting.
 */
#pragma once

#include "base/fifo.h"
#include "base/iov.h"
#include "base/le.h"
#include "host/vsock_uds.h"
#include "virtio/device.h"

enum { VSOCK_RXQ, VSOCK_TXQ, VSOCK_EVENTQ };

#define VSOCK_HOST_CID 2u

/* Payload of one packet to the guest; what Linux accepts. */
#define VSOCK_PACKET_MAX 65536u

/* struct virtio_vsock_hdr.op (VIRTIO 1.4, 5.10.6) */
enum vsock_op {
	VSOCK_OP_INVALID,
	VSOCK_OP_REQUEST,
	VSOCK_OP_RESPONSE,
	VSOCK_OP_RST,
	VSOCK_OP_SHUTDOWN,
	VSOCK_OP_RW,
	VSOCK_OP_CREDIT_UPDATE,
	VSOCK_OP_CREDIT_REQUEST,
};

/* Header flags of SHUTDOWN (5.10.6.5) and of RW on SEQPACKET (5.10.6.6.1). */
#define VSOCK_SHUT_RECEIVE 1u
#define VSOCK_SHUT_SEND	   2u
#define VSOCK_SHUT_BOTH	   3u
#define VSOCK_SEQ_EOM	   1u
#define VSOCK_SEQ_EOR	   2u

/* Packet header, in host byte order. */
struct vsock_pkt {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len;
	uint16_t type, op;
	uint32_t flags;
	uint32_t buf_alloc, fwd_cnt;
};

/* Packet header as the guest sees it. */
struct vsock_hdr {
	le64 src_cid, dst_cid;
	le32 src_port, dst_port;
	le32 len;
	le16 type, op;
	le32 flags;
	le32 buf_alloc, fwd_cnt;
} __attribute__((packed));

/* What identifies a connection, seen from the guest (5.10.6.2). */
struct vsock_key {
	uint64_t peer_cid;
	uint32_t peer_port;
	uint32_t guest_port;
	uint16_t type;
};

enum vsock_state {
	VSOCK_ASKED,	 /* a client connected; its first line is awaited */
	VSOCK_REQUESTED, /* the guest is asked (REQUEST); its RESPONSE is awaited */
	VSOCK_DIALLED,	 /* the guest asked; the other guest's process is asked, its OK awaited */
	VSOCK_OPEN,
	VSOCK_CLOSING, /* the host's end is gone; the guest's RST is awaited */
};

/* Control packets due to the guest, bits of vsock_conn.due, in the order of sending. */
#define VSOCK_DUE_REQUEST	 1u
#define VSOCK_DUE_RESPONSE	 2u
#define VSOCK_DUE_CREDIT_UPDATE	 4u
#define VSOCK_DUE_CREDIT_REQUEST 8u
#define VSOCK_DUE_SHUTDOWN	 16u

struct vsock;

/* One connection. Created and freed by vsock_conn.c. */
struct vsock_conn {
	struct vsock *vs;
	struct vsock_key key;
	enum vsock_state state;
	bool keyed; /* in vs->table */
	bool peer;  /* the other end is a vsock process, not a host process */
	int fd;
	struct ev_fd watch; /* edge-triggered */
	struct ev_timer timer;
	struct vsock_line line;

	bool readable;	 /* the socket may have data */
	bool writable;	 /* the socket may take data; else it is watched for that */
	size_t expected; /* bytes for which the next read had better have room */
	bool hup;	 /* the host's end closed both ways */
	bool rdhup;	 /* the host's end will send no more */

	unsigned due;	     /* VSOCK_DUE_* */
	unsigned guest_shut; /* VSOCK_SHUT_*: what the guest will no longer do */
	unsigned host_shut;  /* what the host's end will no longer do */
	unsigned fd_shut;    /* what of guest_shut was done to the socket */

	/* Guest to host: counters run freely (5.10.6.3). rx_cnt - fwd_cnt bytes are in `backlog`.
	 */
	uint32_t rx_cnt, fwd_cnt;
	uint32_t fwd_told; /* fwd_cnt in the last packet to the guest */
	struct fifo backlog;
	struct fifo bounds; /* SEQPACKET: uint32_t per complete message in the backlog */
	uint32_t partial;   /* SEQPACKET: bytes in the backlog after the last boundary */
	/* Host to guest. */
	uint32_t tx_cnt, peer_fwd_cnt, peer_buf_alloc;
	bool credit_asked;
	bool msg_ready; /* SEQPACKET: a message is being sent, msg_off bytes of it so far */
	uint8_t *msg;
	uint32_t msg_cap, msg_len, msg_off, msg_flags;

	struct vsock_conn *next_hash;
	struct vsock_conn *next, *prev; /* links vs->conns */
	struct vsock_conn *next_ready;	/* links vs->ready */
	bool queued;			/* in vs->ready */
};

#define VSOCK_BUCKETS 256u

/* A listening socket. */
struct vsock_listener {
	struct vsock *vs;
	struct ev_fd watch;
	int fd;
	unsigned type;
	bool peer;
};

#define VSOCK_LISTENERS 4u

struct vsock {
	struct vdev dev;
	/* Keys. */
	uint32_t cid;
	char *uds;
	char *peer_uds;
	struct opt_list peers;
	uint32_t max_conns;
	uint64_t buffer;

	uint32_t *peer_cids; /* peers, parsed */
	char *peer_base;     /* own peer socket, without type suffix */
	struct vsock_listener listeners[VSOCK_LISTENERS];
	unsigned nlisteners;
	struct vsock_conn *conns;
	struct vsock_conn *table[VSOCK_BUCKETS];
	unsigned nconns;
	uint32_t next_port; /* of host-initiated connections */
	/* Connections that may have something for the guest, served in turn. */
	struct vsock_conn *ready, **ready_end;
	/* RST packets that wait for rx buffers: a ring. */
	struct vsock_pkt *rst;
	unsigned rst_size, rst_head, rst_used;
	struct ev_task work;
	bool tx_waits;	/* packets of the guest wait for their turn or for room */
	bool served;	/* packets were exchanged since the reset, so connections are known */
	bool event_due; /* TRANSPORT_RESET waits for an event buffer */
	struct log_limit complaints;
	/* Metrics. */
	uint64_t opened, refused, resets, bad_packets, rx_bytes, tx_bytes, rx_packets, tx_packets;
};

/* vsock.c */

/* Has the rx queue served soon: a connection became ready or an RST waits. */
void vsock_wake(struct vsock *vs);
/* Queues an RST with these addresses, seen from the guest. There is always room: see
 * vsock_room(). */
void vsock_send_rst(struct vsock *vs, const struct vsock_key *key);
/* True while another connection or packet may be taken, whose RST is sure to find room. */
bool vsock_room(const struct vsock *vs);

/* vsock_conn.c */

struct vsock_conn *vsock_conn_find(struct vsock *vs, const struct vsock_key *key);
/* A connection on `fd`, which it owns from then on, in state `state`; NULL and fd closed if there
 * is no memory. */
struct vsock_conn *vsock_conn_new(struct vsock *vs, int fd, unsigned type, enum vsock_state state);
/* Gives it its addresses; they are not in use. */
void vsock_conn_set_key(struct vsock_conn *c, const struct vsock_key *key);
/* Changes the state and sets its time limit. */
void vsock_conn_set_state(struct vsock_conn *c, enum vsock_state state);
/* Closes and frees without a word to the guest. */
void vsock_conn_free(struct vsock_conn *c);
/* The same, and an RST to the guest if it knows of the connection. */
void vsock_conn_reset(struct vsock_conn *c);
/* The guest may be told: puts it in vs->ready, and has that served soon. */
void vsock_conn_ready(struct vsock_conn *c);
/* The same for a caller who serves vs->ready. */
void vsock_conn_queue(struct vsock_conn *c);
/* A packet of the guest, with its payload. May free the connection. */
void vsock_conn_packet(struct vsock_conn *c, const struct vsock_pkt *pkt, struct iov_iter *data);
/* Bytes of payload for which there had better be room in vsock_conn_next(), 0: any will do. */
size_t vsock_conn_wants(const struct vsock_conn *c);
/*
 * Makes the next packet for the guest: sets *pkt and fills the payload into `room`, the buffers
 * after the header, or after the headers of several packets of which pkt->len is the sum. 1: made;
 * 0: nothing to send now; -ECONNRESET: the connection is to be reset; -ENOBUFS: there is data and
 * no room at all.
 */
int vsock_conn_next(struct vsock_conn *c, struct vsock_pkt *pkt, struct iov_iter *room);
/* True if vsock_conn_next() may have more. */
bool vsock_conn_more(const struct vsock_conn *c);

/* vsock_host.c */

int vsock_host_init(struct vsock *vs, struct err *e);
void vsock_host_finish(struct vsock *vs);
/* The guest sent REQUEST: connects. Answers the guest with RESPONSE or RST, at once or later. */
void vsock_host_dial(struct vsock *vs, const struct vsock_key *key, const struct vsock_pkt *pkt);
/* The socket of a connection in state ASKED or DIALLED has something to say. */
void vsock_host_line(struct vsock_conn *c);
/* The guest accepted a connection: tells the client. 0 or -errno. */
int vsock_host_accepted(struct vsock_conn *c);
