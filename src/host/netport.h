/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A link for Ethernet frames inside one event loop: two ends, each owned by a virtio-net device, a
 * switch port, a tap interface or passt. A frame is handed over by reference and whoever receives
 * it copies what it keeps before it returns, so between two guests of one switch there is one copy.
 * Checksum and segmentation work that a frame still needs travels with it as metadata; it is done
 * in software only when the receiving end cannot take it (netoffload.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/iov.h"
#include "base/le.h"

#define NET_ETH_LEN  14u /* destination, source, type */
#define NET_VLAN_LEN 4u	 /* an 802.1Q tag */
/* The longest frame: 65535 bytes of IPv6 payload, its header, Ethernet and two tags
 * (VIRTIO 1.4, 5.1.9.3). */
#define NET_FRAME_MAX 65597u
/* Bytes of a frame that are copied before they are looked at: of any frame, and of one that needs
 * checksum or segmentation. */
#define NET_HEAD      64u
#define NET_HEAD_MAX  256u
#define NET_HEAD_ROOM 8u /* for tags added on the way */

#define NET_ETHERTYPE_VLAN 0x8100u
#define NET_ETHERTYPE_QINQ 0x88a8u
#define NET_ETHERTYPE_IPV4 0x0800u
#define NET_ETHERTYPE_IPV6 0x86ddu

/* struct virtio_net_hdr (VIRTIO 1.4, 5.1.9): its values, and the 12 bytes as they are on the wire.
 */
#define NET_HDR_F_NEEDS_CSUM 1u
#define NET_HDR_F_DATA_VALID 2u
#define NET_GSO_NONE	     0u
#define NET_GSO_TCPV4	     1u
#define NET_GSO_TCPV6	     4u
#define NET_GSO_ECN	     0x80u

struct net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	le16 hdr_len;
	le16 gso_size;
	le16 csum_start;
	le16 csum_offset;
	le16 num_buffers;
};
_Static_assert(sizeof(struct net_hdr) == 12, "VIRTIO 1.4, 5.1.9");

/* What an end can receive with the work left undone; bits of netport.accepts. */
#define NET_ACCEPT_CSUM 1u
#define NET_ACCEPT_TSO4 2u
#define NET_ACCEPT_TSO6 4u
#define NET_ACCEPT_ECN	8u

/*
 * A frame on its way. Its first bytes are a private copy, so that what was checked is what is
 * delivered; the rest is still where the sender has it and may change under our hands.
 */
struct net_frame {
	uint32_t len;	      /* bytes, from the destination address on */
	uint32_t head_len;    /* bytes of them at `head`; of a GSO frame exactly its headers */
	uint8_t *head;	      /* points into head_buf, with room in front for a tag */
	struct iov_iter tail; /* where the rest begins; may hold more than the frame */
	struct net_hdr hdr;   /* host byte order, num_buffers unused */
	uint8_t head_buf[NET_HEAD_ROOM + NET_HEAD_MAX];
};

/*
 * Makes a frame of `len` bytes at `at`, which must hold them. `hdr` says what is left to be done
 * (host byte order); NULL: nothing. -EBADMSG if the frame is too short or too long, or if `hdr`
 * does not fit the frame: fields outside of it, or segmentation asked for what is no TCP packet.
 */
int net_frame_init(
	struct net_frame *f, const struct iov_iter *at, uint32_t len, const struct net_hdr *hdr);

/* Copies the frame to `dst`; returns the bytes copied, less than f->len only if dst is full. */
static inline size_t net_frame_copy(struct iov_iter *dst, const struct net_frame *f)
{
	size_t done = iov_write(dst, f->head, f->head_len);
	struct iov_iter tail = f->tail;

	if (done < f->head_len || f->len == f->head_len)
		return done;
	return done + iov_copy(dst, &tail, f->len - f->head_len);
}

/* The frame as pieces of memory, the head first. Returns their number, 0 if `max` does not do. */
unsigned net_frame_iov(const struct net_frame *f, struct iovec *iov, unsigned max);

static inline uint16_t net_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void net_put_be16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

struct netport;

/* What the owner of an end does. All callbacks run on the loop's thread. */
struct netport_ops {
	/* A frame from the other end, with no work left that `accepts` does not allow. 0: taken, or
	 * dropped and counted by the receiver. -EAGAIN: no room; it was not taken and room()
	 * follows. -ENETDOWN: nobody there; it is gone. */
	int (*receive)(struct netport *p, const struct net_frame *f);
	/* The other end has room again, after it returned -EAGAIN. May be NULL if it never does. */
	void (*room)(struct netport *p);
	/* The other end went up or down (p->peer->up). May be NULL. */
	void (*state)(struct netport *p);
};

/* One end. Embedded in its owner, who sets ops and accepts and reads the rest. */
struct netport {
	const struct netport_ops *ops;
	struct netport *peer;
	uint32_t accepts; /* NET_ACCEPT_*; the owner may change it at any time */
	bool up;	  /* the owner can receive */
};

void netport_connect(struct netport *a, struct netport *b);
/* Both ends are free afterwards, the other owner is told. Idempotent. */
void netport_disconnect(struct netport *p);
/* Sends to the other end, after doing in software what it does not accept. Results of receive();
 * -EBADMSG if the frame could not be segmented. If room ends in the middle of the segments of
 * one frame, the rest of them is lost. */
int netport_send(struct netport *p, const struct net_frame *f);
/* Tells the other end that there is room again. */
void netport_room(struct netport *p);
/* Sets p->up and tells the other end of a change. */
void netport_set_up(struct netport *p, bool up);

static inline bool netport_peer_up(const struct netport *p)
{
	return p->peer && p->peer->up;
}
