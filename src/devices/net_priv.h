/* SPDX-License-Identifier: BSD-3-Clause */
/* The network device (VIRTIO 1.4, 5.1): what net.c (registration, life cycle), net_data.c (frames)
 * and net_ctrl.c (control queue) share. */
#pragma once

#include "base/util.h"
#include "devices/net.h"
#include "host/uplink.h"

/* Feature bit numbers (VIRTIO 1.4, 5.1.3). */
#define VIRTIO_NET_F_CSUM		 0
#define VIRTIO_NET_F_GUEST_CSUM		 1
#define VIRTIO_NET_F_CTRL_GUEST_OFFLOADS 2
#define VIRTIO_NET_F_MTU		 3
#define VIRTIO_NET_F_MAC		 5
#define VIRTIO_NET_F_GUEST_TSO4		 7
#define VIRTIO_NET_F_GUEST_TSO6		 8
#define VIRTIO_NET_F_GUEST_ECN		 9
#define VIRTIO_NET_F_HOST_TSO4		 11
#define VIRTIO_NET_F_HOST_TSO6		 12
#define VIRTIO_NET_F_HOST_ECN		 13
#define VIRTIO_NET_F_MRG_RXBUF		 15
#define VIRTIO_NET_F_STATUS		 16
#define VIRTIO_NET_F_CTRL_VQ		 17
#define VIRTIO_NET_F_CTRL_RX		 18
#define VIRTIO_NET_F_CTRL_VLAN		 19
#define VIRTIO_NET_F_CTRL_RX_EXTRA	 20
#define VIRTIO_NET_F_GUEST_ANNOUNCE	 21
#define VIRTIO_NET_F_MQ			 22
#define VIRTIO_NET_F_CTRL_MAC_ADDR	 23
#define VIRTIO_NET_F_SPEED_DUPLEX	 63

#define VIRTIO_NET_S_LINK_UP  1u
#define VIRTIO_NET_S_ANNOUNCE 2u

#define NET_PAIRS_MAX	8u   /* queue pairs */
#define NET_FILTER_MAX	64u  /* addresses per filter table */
#define NET_ALLOWED_MAX 64u  /* addresses in allowed-macs */
#define NET_FLOWS	256u /* slots of the receive steering */
#define NET_BATCH	32u  /* chains taken, and frames received that a driver gets to see */

/* Receive filter, set through the control queue (5.1.9.5.1 to 5.1.9.5.3). */
struct net_filter {
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	bool uni_overflow, multi_overflow; /* the table was too long: everything passes */
	unsigned nuni, nmulti;
	uint8_t uni[NET_FILTER_MAX][6], multi[NET_FILTER_MAX][6];
	uint64_t vlans[4096 / 64];
	/* The driver set these up with a process before this one, which is gone: all pass until the
	 * driver sets the address tables again; VLANs until a reset. */
	bool lost_addresses, lost_vlans;
};

struct net {
	struct vdev dev;

	/* Configuration keys. */
	struct opt_mac mac_key;
	uint32_t mtu, pairs_max, speed;
	char *tap, *passt_socket;
	bool passt;
	struct opt_list allowed_macs;
	bool anti_spoof;
	struct switch_port_config port;

	struct netport end;
	struct netport *carrier; /* not owned */
	struct uplink uplink;
	uint8_t own_mac[6]; /* as configured */
	uint8_t (*allowed)[6];
	unsigned nallowed;
	bool check_source;

	/* What the driver negotiated and set; reset to the defaults on reset. */
	uint8_t mac[6];
	bool announce;
	bool mrg;
	bool served; /* a queue was started from its beginning */
	unsigned ctrl_queue;
	unsigned pairs;
	uint64_t offloads; /* GUEST_* feature bits that are on */
	struct net_filter filter;
	uint8_t flows[NET_FLOWS];

	/* Work left, a bit for each queue. */
	struct ev_task more_task, rx_task;
	uint64_t more;	   /* queues to go on with in the next round */
	uint64_t tx_stuck; /* transmit queues that wait for the carrier's room */
	uint64_t rx_dirty; /* receive queues to be flushed */
	uint64_t rx_empty; /* receive queues that a frame waits for */
	bool rx_retry;	   /* such a frame may have another queue now */

	/* With one receive queue: its buffers taken in this round of the loop, the first
	 * `rx_filled` of them with frames. `rx_expected` are taken at a time, which is how many
	 * frames the last round had, up to a batch. */
	struct vq_chain *rx[NET_BATCH];
	unsigned rx_filled, rx_taken;
	unsigned rx_expected;
	uint64_t rx_before; /* rx_frames when the round began */

	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t rx_filtered, rx_too_long, rx_no_buffer;
	uint64_t tx_malformed, tx_spoofed, tx_too_long, tx_no_carrier;
	uint64_t ctrl_commands, ctrl_refused;
	struct log_limit spoof_limit, ctrl_limit;
};

static inline struct net *net_of(struct vdev *dev)
{
	return container_of(dev, struct net, dev);
}

/* net_data.c */
extern const struct netport_ops net_port_ops;
void net_tx(struct net *n, unsigned q);
void net_rx_refilled(struct net *n, unsigned q);
/* Goes on with queue q in the next round of the loop. */
void net_continue(struct net *n, unsigned q);
void net_rx_task(void *net);
/* The choice of receive queues changes: who holds frames back is soon asked for them again. */
void net_rx_retry(struct net *n);
/* Publishes what was received on queue q and forgets about its work. */
void net_queue_quiet(struct net *n, unsigned q);
/* Computes what the other end may leave undone, after n->offloads changed. */
void net_update_accepts(struct net *n);

/* net_ctrl.c */
void net_ctrl(struct net *n, unsigned q);
/* True if the guest may use the address as its own. */
bool net_may_use(const struct net *n, const uint8_t mac[6]);

/* net.c: the carrier went up or down. */
void net_link_changed(struct net *n);
