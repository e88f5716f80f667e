/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Network device (VIRTIO 1.4, 5.1): whole Ethernet frames without the FCS, copied in and out, no
 * offloads.
 */
#pragma once

#include "req.h"

#define DRV_ID_NET	  1
#define DRV_NET_PAIRS_MAX 4u
#define DRV_NET_HDR_LEN	  12u
#define DRV_NET_CTRL_MAX  256u /* bytes of a control command */

#define VIRTIO_NET_F_MTU	    3
#define VIRTIO_NET_F_MAC	    5
#define VIRTIO_NET_F_MRG_RXBUF	    15
#define VIRTIO_NET_F_STATUS	    16
#define VIRTIO_NET_F_CTRL_VQ	    17
#define VIRTIO_NET_F_CTRL_RX	    18
#define VIRTIO_NET_F_CTRL_VLAN	    19
#define VIRTIO_NET_F_CTRL_RX_EXTRA  20
#define VIRTIO_NET_F_GUEST_ANNOUNCE 21
#define VIRTIO_NET_F_MQ		    22
#define VIRTIO_NET_F_CTRL_MAC_ADDR  23

#define VIRTIO_NET_S_LINK_UP  1u
#define VIRTIO_NET_S_ANNOUNCE 2u

/* Classes and commands of the control queue (5.1.9.5). */
#define VIRTIO_NET_CTRL_RX		0
#define VIRTIO_NET_CTRL_RX_PROMISC	0
#define VIRTIO_NET_CTRL_RX_ALLMULTI	1
#define VIRTIO_NET_CTRL_RX_ALLUNI	2
#define VIRTIO_NET_CTRL_RX_NOMULTI	3
#define VIRTIO_NET_CTRL_RX_NOUNI	4
#define VIRTIO_NET_CTRL_RX_NOBCAST	5
#define VIRTIO_NET_CTRL_MAC		1
#define VIRTIO_NET_CTRL_MAC_TABLE_SET	0
#define VIRTIO_NET_CTRL_MAC_ADDR_SET	1
#define VIRTIO_NET_CTRL_VLAN		2
#define VIRTIO_NET_CTRL_VLAN_ADD	0
#define VIRTIO_NET_CTRL_VLAN_DEL	1
#define VIRTIO_NET_CTRL_ANNOUNCE	3
#define VIRTIO_NET_CTRL_ANNOUNCE_ACK	0
#define VIRTIO_NET_CTRL_MQ		4
#define VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET 0

struct drv_net {
	struct drv_dev *dev;
	uint8_t mac[6]; /* all zero if the device has none: choose one */
	uint16_t mtu;	/* 1500 unless the device says otherwise */
	uint16_t pairs;
	uint32_t dropped; /* received but unusable */
	uint64_t timeout; /* of control commands, ns; 1 s unless changed */
	struct drv_pool rx[DRV_NET_PAIRS_MAX], tx[DRV_NET_PAIRS_MAX];
	struct drv_req ctrl; /* with CTRL_VQ */
};

/* Opens with up to `pairs` pairs of queues, as many as the device has, and `buffers` (a power of
 * two up to DRV_POOL_MAX, 0: 16) for each direction of a pair. */
int drv_net_open(struct drv_net *n, struct drv_dev *dev, uint16_t pairs, uint16_t buffers);
/* Sends a frame: 14 bytes at least; the MTU behind header and VLAN tag at most. Waits for a free
 * buffer until `until`. */
int drv_net_send(struct drv_net *n, unsigned pair, const void *frame, uint32_t len, uint64_t until);
/* Waits until the device has taken all frames sent. */
int drv_net_drain(struct drv_net *n, unsigned pair, uint64_t until);
/* Receives a frame, waiting until `until`. DRV_NO_MEMORY: it was longer than `size`, and is lost.
 */
int drv_net_recv(struct drv_net *n, unsigned pair, void *frame, uint32_t size, uint32_t *len,
	uint64_t until);
/* VIRTIO_NET_S_*; always up if the device does not tell. */
int drv_net_status(struct drv_net *n, uint16_t *status);

/* A control command with its data. DRV_ERROR: the device said no; DRV_UNSUPPORTED: it has no
 * control queue. The others are shorthands. */
int drv_net_ctrl(struct drv_net *n, uint8_t class, uint8_t cmd, const void *data, uint32_t len);
int drv_net_set_mac(struct drv_net *n, const uint8_t mac[6]);
/* One of VIRTIO_NET_CTRL_RX_*. */
int drv_net_rx_mode(struct drv_net *n, uint8_t mode, bool on);
int drv_net_vlan(struct drv_net *n, uint16_t vid, bool on);
/* The filter table: unicast addresses, then multicast ones. */
int drv_net_mac_table(
	struct drv_net *n, const uint8_t (*macs)[6], unsigned n_uni, unsigned n_multi);
int drv_net_announced(struct drv_net *n);
