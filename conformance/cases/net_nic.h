/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For the cases of the network device: the device under test and its peer as two cards on one wire.
 * Whatever a card gets is checked against what it negotiated; frames that neither of the two sent
 * are not looked at.
 *
 * That a frame does not come is proved with a marker sent after it, never by waiting.
 */
#pragma once

#include "conformance/cases/cases.h"
#include "conformance/cases/net_wire.h"

#define NIC_BUFS 64

struct nic_buf {
	uint8_t *p;
	uint32_t len;
	uint32_t piece; /* length of its descriptors */
};

struct nic {
	struct cf *c;
	const char *name; /* for messages */
	struct drv_dev *dev;
	const struct nic *other; /* at the end of the wire */
	struct drv_queue *rx, *tx, *ctrl;
	struct drv_queue own[3];
	uint8_t mac[6];
	uint64_t guest;	 /* features that what it receives is judged by */
	bool keep_order; /* used buffers are not given to the device again */
	struct nic_buf bufs[NIC_BUFS];
	unsigned nbufs;

	/* The last frame received: header, and data from all buffers together. */
	struct net_hdr hdr;
	uint8_t *frame;
	uint32_t room, len;
};

struct nic_link {
	struct cf *c;
	struct nic dut, peer;
	uint32_t seed; /* of the markers */
};

/* Brings up both; MAC and STATUS are negotiated in any case. The control queue is there if CTRL_VQ
 * is. False: recorded. */
bool nic_up(struct cf *c, struct nic_link *l, uint64_t dut, uint64_t peer);
/* The same, with `count` receive buffers of 1526 bytes for both. */
bool nic_up_ready(struct cf *c, struct nic_link *l, uint64_t dut, uint64_t peer, unsigned count);
/* The device under test alone is reset and brought up again. */
bool nic_up_again(struct nic_link *l, uint64_t dut);

/* Gives the device `count` receive buffers of `len` bytes. */
bool nic_post(struct nic *n, unsigned count, uint32_t len);
/* One, cut into descriptors of `piece` bytes. */
bool nic_post_pieces(struct nic *n, uint32_t len, uint32_t piece);
/* Makes room to receive frames of `len` bytes. */
bool nic_room(struct nic *n, uint32_t len);

/* Memory for a packet of header (zeroed) and `len` bytes of frame. NULL: recorded. */
uint8_t *nic_packet(struct cf *c, uint32_t len);
/* A frame of `len` >= 14 bytes of the local ethertype, filled with a pattern. */
void nic_fill(uint8_t *frame, const uint8_t *dst, const uint8_t *src, uint32_t len, uint32_t seed);
/* Both: a packet with such a frame. */
uint8_t *nic_plain(
	struct cf *c, const uint8_t *dst, const uint8_t *src, uint32_t len, uint32_t seed);
/* Sends a packet of `len` bytes of frame, checks that it is used with length 0. */
bool nic_send(struct nic *n, const uint8_t *packet, uint32_t len);

/* Waits for the next frame and puts it into n->hdr, n->frame, n->len. */
bool nic_take(struct nic *n);
/* The same, and completes its checksum if that was left to the driver. */
bool nic_take_finished(struct nic *n);
/* What was taken is exactly this frame; the next one is. */
bool nic_is(struct nic *n, const uint8_t *frame, uint32_t len);
bool nic_expect(struct nic *n, const uint8_t *frame, uint32_t len);
/* Sends a frame of `len` bytes from one to the other, which gets it as it is. */
bool nic_pass(struct nic *from, struct nic *to, uint32_t len, uint32_t seed);
/* A frame that always comes: whatever was sent before it has come, or never will. */
bool nic_marker(struct nic_link *l, struct nic *from, struct nic *to);
/* Sends a packet that must not come out: the marker behind it does, first. */
bool nic_dropped(
	struct nic_link *l, struct nic *from, struct nic *to, const uint8_t *packet, uint32_t len);

/* A command on the control queue; the answer must be `ack`, used length 1. */
bool nic_ctrl(
	struct nic *n, uint8_t class, uint8_t command, const void *data, uint32_t len, uint8_t ack);
/* One byte of data. */
bool nic_ctrl_byte(struct nic *n, uint8_t class, uint8_t command, uint8_t data, uint8_t ack);

/* An IP packet in an Ethernet frame. */
struct net_ip {
	const uint8_t *dst, *src;
	bool v6, udp;
	bool partial;  /* checksum: of the pseudo header only */
	uint8_t flags; /* TCP */
	uint16_t id;   /* IPv4 */
	uint32_t seq;  /* TCP */
	uint32_t at;   /* its payload begins there in the stream of all payloads */
	uint32_t len;  /* of the payload */
};

#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_ACK 0x10u
#define TCP_CWR 0x80u

/* Length of the headers, Ethernet included. */
uint32_t ip_headers(const struct net_ip *p);
/* Where the TCP or UDP header begins, and its checksum in it. */
uint16_t ip_csum_start(const struct net_ip *p);
uint16_t ip_csum_offset(const struct net_ip *p);
/* Makes the frame; its length. */
uint32_t ip_make(uint8_t *frame, const struct net_ip *p);
/* A packet of it. With `partial` the header says NEEDS_CSUM; gso_size != 0: segmentation, too. */
uint8_t *ip_packet(struct cf *c, const struct net_ip *p, uint16_t gso_size);
/* The payload of `p`, sent with segmentation to `mss` bytes, arrives: in segments, or unsegmented
 * where that was negotiated. */
bool nic_expect_tcp(struct nic *n, const struct net_ip *p, uint16_t mss);

/* Ones' complement sum of 16-bit words, folded, as RFC 1071 has it. */
uint16_t ip_sum(uint32_t sum, const uint8_t *p, uint32_t len);
