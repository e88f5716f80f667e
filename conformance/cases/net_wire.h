/* SPDX-License-Identifier: BSD-3-Clause */
/* The network device on the wire (VIRTIO 1.4, 5.1): what its driver has no use for. */
#pragma once

#include "drivers/net.h"

/* Feature bits (5.1.3). */
#define VIRTIO_NET_F_CSUM		 0
#define VIRTIO_NET_F_GUEST_CSUM		 1
#define VIRTIO_NET_F_CTRL_GUEST_OFFLOADS 2
#define VIRTIO_NET_F_GUEST_TSO4		 7
#define VIRTIO_NET_F_GUEST_TSO6		 8
#define VIRTIO_NET_F_GUEST_ECN		 9
#define VIRTIO_NET_F_GUEST_UFO		 10
#define VIRTIO_NET_F_HOST_TSO4		 11
#define VIRTIO_NET_F_HOST_TSO6		 12
#define VIRTIO_NET_F_HOST_ECN		 13
#define VIRTIO_NET_F_HOST_UFO		 14
#define VIRTIO_NET_F_RSS_CONTEXT	 25
#define VIRTIO_NET_F_HASH_TUNNEL	 51
#define VIRTIO_NET_F_VQ_NOTF_COAL	 52
#define VIRTIO_NET_F_NOTF_COAL		 53
#define VIRTIO_NET_F_GUEST_USO4		 54
#define VIRTIO_NET_F_GUEST_USO6		 55
#define VIRTIO_NET_F_HOST_USO		 56
#define VIRTIO_NET_F_HASH_REPORT	 57
#define VIRTIO_NET_F_RSS		 60
#define VIRTIO_NET_F_RSC_EXT		 61
#define VIRTIO_NET_F_SPEED_DUPLEX	 63

/* Configuration (5.1.4): offsets. */
#define NET_CONFIG_MAC	     0
#define NET_CONFIG_STATUS    6
#define NET_CONFIG_MAX_PAIRS 8
#define NET_CONFIG_MTU	     10
#define NET_CONFIG_SPEED     12
#define NET_CONFIG_DUPLEX    16
#define NET_CONFIG_RSS_KEY   17 /* rss_max_key_size */
#define NET_CONFIG_RSS_TABLE 18 /* rss_max_indirection_table_length */

/* struct virtio_net_hdr (5.1.9), little-endian as this processor is (drivers/ring.h). */
struct net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
};
_Static_assert(sizeof(struct net_hdr) == 12, "5.1.9");

#define NET_HDR_LEN DRV_NET_HDR_LEN

#define VIRTIO_NET_HDR_F_NEEDS_CSUM 1u
#define VIRTIO_NET_HDR_F_DATA_VALID 2u
#define VIRTIO_NET_HDR_GSO_NONE	    0u
#define VIRTIO_NET_HDR_GSO_TCPV4    1u
#define VIRTIO_NET_HDR_GSO_UDP	    3u
#define VIRTIO_NET_HDR_GSO_TCPV6    4u
#define VIRTIO_NET_HDR_GSO_UDP_L4   5u
#define VIRTIO_NET_HDR_GSO_ECN	    0x80u

/* Control queue (5.1.9.5). */
#define VIRTIO_NET_OK  0u
#define VIRTIO_NET_ERR 1u

#define VIRTIO_NET_CTRL_GUEST_OFFLOADS 5u
#define VIRTIO_NET_CTRL_OFFLOADS_SET   0u

/* Ethernet. */
#define ETH_LEN	       14u
#define ETH_TYPE_IPV4  0x0800u
#define ETH_TYPE_IPV6  0x86ddu
#define ETH_TYPE_VLAN  0x8100u
#define ETH_TYPE_LOCAL 0x88b5u /* for experiments (IEEE 802, 9.2.4) */
