/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checksum and TCP segmentation in software, for receivers that cannot take a frame with that work
 * left undone: another guest without the feature, a tap interface without headers, passt.
 */
#pragma once

#include "host/netport.h"

/* Smallest gso_size accepted: bounds how many segments one frame can become. */
#define NET_GSO_SIZE_MIN 32u

/* Where the headers of a frame are, as offsets into it. */
struct net_layers {
	uint16_t ethertype; /* behind all tags */
	uint8_t proto;	    /* IP protocol of the packet; 0: no IP, or not found */
	bool fragment;	    /* part of a fragmented IP packet */
	uint32_t l3;	    /* network header */
	uint32_t l4;	    /* transport header; 0: not found */
	uint32_t payload;   /* behind the TCP header; 0: no TCP, or not complete */
};

/* Looks through at most two tags and eight IPv6 extension headers in the `len` bytes at `p`. */
void net_layers(struct net_layers *l, const uint8_t *p, uint32_t len);

/* Adds `len` bytes to a one's complement sum of big-endian 16-bit words; `odd` says whether they
 * begin in the middle of a word. */
uint32_t net_sum(uint32_t sum, const void *p, size_t len, bool odd);
/* The sum folded to the 16 bits of a checksum field (not yet complemented). */
uint16_t net_fold(uint32_t sum);

/* True if the frame needs work that `accepts` (NET_ACCEPT_*) does not cover. */
static inline bool net_offload_needed(const struct net_frame *f, uint32_t accepts)
{
	uint32_t want = NET_ACCEPT_CSUM;

	if (!(f->hdr.flags & NET_HDR_F_NEEDS_CSUM))
		return false;
	if (f->hdr.gso_type & NET_GSO_ECN)
		want |= NET_ACCEPT_ECN;
	if ((f->hdr.gso_type & ~NET_GSO_ECN) == NET_GSO_TCPV4)
		want |= NET_ACCEPT_TSO4;
	if ((f->hdr.gso_type & ~NET_GSO_ECN) == NET_GSO_TCPV6)
		want |= NET_ACCEPT_TSO6;
	return (accepts & want) != want;
}

/* Takes one finished frame; anything but 0 ends the work. */
typedef int (*net_segment_fn)(void *arg, const struct net_frame *f);

/* Does the work and calls fn for every frame that results; returns fn's last result. */
int net_offload(const struct net_frame *f, net_segment_fn fn, void *arg);
