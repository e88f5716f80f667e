/* SPDX-License-Identifier: BSD-3-Clause */
/* Drivers of several network devices on one switch, for tests: each guest is a vhud with receive
 * buffers posted and a pool of transmit buffers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host/netport.h"
#include "host/switch.h"
#include "tap.h"
#include "vhud_server.h"

#define GUESTS_MAX   4
#define GUEST_BUFS   64
#define GUEST_TX_LEN 70000u
#define GUEST_PAIRS  2

#define RXQ(pair) (2 * (pair))
#define TXQ(pair) (2 * (pair) + 1)

/* A frame as the guest received it. */
struct got {
	struct net_hdr hdr;
	unsigned queue;
	uint32_t len;
	uint8_t data[NET_FRAME_MAX];
	uint32_t used[64]; /* used length of each buffer */
};

struct guest {
	struct vhud *d;
	uint32_t buf_len; /* of a receive buffer */
	unsigned nbufs;	  /* receive buffers of each queue */
	unsigned pairs;
	unsigned ctrl; /* queue */
	uint8_t *tx;
	struct got *got;
};

/* A switch with its devices on a thread of this process. */
struct bed;

/* Keys of one port as "key=value" words separated by spaces; NULL: none. `n` ports. */
struct bed *bed_open(unsigned n, const char *const *keys);
void bed_close(struct bed *b);
/* A new connection to port i; the device must have none. */
int bed_connect(struct bed *b, unsigned i);
/* Pulls the cable of port i, or plugs it in again. */
void bed_link(struct bed *b, unsigned i, bool up);
/* Reads a counter of the device (its metrics) or of its switch port, on the switch's thread. */
uint64_t bed_metric(struct bed *b, unsigned i, const char *name);
uint64_t bed_counter(struct bed *b, unsigned i, const char *name);

/* What a guest is started with. Zeroes: everything offered, 1526-byte buffers, one pair. */
struct guest_opts {
	uint64_t without; /* feature bits not to be negotiated */
	uint64_t with;	  /* bits of the core wanted: RING_PACKED, ... */
	uint32_t buf_len;
	unsigned nbufs; /* receive buffers; 0: as many as the ring holds */
	unsigned pairs;
	bool no_buffers;
};

/* Takes over `sock`. */
int guest_start(struct guest *g, int sock, const struct guest_opts *o);
/* Again on the same connection, after a reset. */
int guest_restart(struct guest *g, const struct guest_opts *o);
void guest_stop(struct guest *g);
/* Posts `n` receive buffers on a pair. */
void guest_post(struct guest *g, unsigned pair, unsigned n);
/* Sends a frame and waits until the device is done with it. `hdr` in host order, or NULL. */
int guest_send(
	struct guest *g, unsigned pair, const void *frame, size_t len, const struct net_hdr *hdr);
/* The next frame, in g->got; false if none came within `timeout_ms`. Reposts its buffers. */
bool guest_recv(struct guest *g, int timeout_ms);
/* A control command: the ack, or -1. */
int guest_ctrl(struct guest *g, uint8_t class, uint8_t command, const void *data, size_t len);
