/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket device on the wire (VIRTIO 1.4, 5.10). */
#pragma once

#include "drivers/vsock.h"

#define VIRTIO_VSOCK_OP_INVALID	       0u
#define VIRTIO_VSOCK_OP_REQUEST	       1u
#define VIRTIO_VSOCK_OP_RESPONSE       2u
#define VIRTIO_VSOCK_OP_RST	       3u
#define VIRTIO_VSOCK_OP_SHUTDOWN       4u
#define VIRTIO_VSOCK_OP_RW	       5u
#define VIRTIO_VSOCK_OP_CREDIT_UPDATE  6u
#define VIRTIO_VSOCK_OP_CREDIT_REQUEST 7u

/* Flags of RW on SEQPACKET. */
#define VIRTIO_VSOCK_SEQ_EOM 1u
#define VIRTIO_VSOCK_SEQ_EOR 2u

#define VIRTIO_VSOCK_EVENT_TRANSPORT_RESET 0u

#define VSOCK_CID_HOST 2u

/* struct virtio_vsock_hdr (5.10.6), little-endian as this processor is (drivers/ring.h). */
struct vsock_hdr {
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint32_t len;
	uint16_t type, op;
	uint32_t flags;
	uint32_t buf_alloc, fwd_cnt;
} __attribute__((packed));
_Static_assert(sizeof(struct vsock_hdr) == 44, "5.10.6");

#define VSOCK_HDR_LEN 44u
