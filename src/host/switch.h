/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A learning Ethernet switch with 802.1Q VLANs, inside one event loop. Every port is one end of a
 * link (netport.h); the other end is a virtio-net device, a tap interface or passt.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/opt.h"
#include "host/netport.h"

#define SWITCH_PORTS_MAX    64u
#define SWITCH_VLAN_MAX	    4094u
#define SWITCH_VLAN_DEFAULT 1u /* of ports that say nothing */
/* Defaults of switch_port_config, as text for option tables. */
#define SWITCH_BURST "64K"
#define SWITCH_QUEUE "256K"

/* The keys of an entry of `switches:` in the system file, and of `avp switch`. */
struct switch_config {
	char *uplink; /* see uplink.h */
	uint32_t uplink_vlan;
	struct opt_list uplink_trunk;
	char *mirror;
	struct opt_list mirror_ports;
	uint64_t mirror_size;	 /* bytes */
	uint32_t mirror_snaplen; /* bytes */
	uint32_t age;		 /* seconds */
	uint32_t macs, macs_per_port;
};
extern const struct opt switch_opts[];

/* What a port may do: keys of the net device that is attached to it. */
struct switch_port_config {
	uint32_t vlan;		    /* of untagged frames; 0: not set */
	struct opt_list trunk;	    /* VLANs that pass tagged: "10", "20-29" */
	uint32_t pcp;		    /* priority of untagged frames, 0..7 */
	uint64_t rate_in, rate_out; /* kbit/s; 0: no limit */
	uint64_t burst;		    /* bytes */
	uint32_t flood_rate;	    /* frames per second; 0: no limit */
	uint64_t queue;		    /* bytes per priority */
	struct opt_list static_macs, deny_macs;
};

/* What a port has when nothing is said about it. */
void switch_port_defaults(struct switch_port_config *c);

/* Counters of a port, as the switch sees it: rx is what came from the port. */
struct switch_counters {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t rx_flooded;  /* frames sent on to more than one port */
	uint64_t tx_queued;   /* frames that waited for room or for the rate */
	uint64_t drop_vlan;   /* VLAN not allowed here */
	uint64_t drop_mac;    /* denied, invalid, reserved, or fixed to another port */
	uint64_t drop_flood;  /* above flood-rate */
	uint64_t drop_queue;  /* queue towards this port full */
	uint64_t drop_down;   /* nobody at the port */
	uint64_t drop_self;   /* destination is on the port it came from */
	uint64_t not_learned; /* table or the port's share of it full */
};

struct switch_counter_name {
	const char *name;
	size_t offset; /* of a uint64_t in struct switch_counters */
};
extern const struct switch_counter_name switch_counter_names[]; /* ends with NULL */

struct netswitch;

/* `c` is only read. Opens the mirror file. */
int switch_create(struct netswitch **s, const struct switch_config *c, struct ev_loop *loop,
	const struct log *log, struct err *e);
/* Disconnects and frees; accepts NULL. */
void switch_destroy(struct netswitch *s);
/* Adds a port; *end is to be connected to its other side and lives as long as the switch. `name` is
 * unique. -EINVAL with a reason for a wrong configuration. */
int switch_add_port(struct netswitch *s, const char *name, const struct switch_port_config *c,
	struct netport **end, struct err *e);

unsigned switch_nports(const struct netswitch *s);
const char *switch_port_name(const struct netswitch *s, unsigned port);
const struct switch_counters *switch_port_counters(const struct netswitch *s, unsigned port);
/* Bytes waiting for the port. */
uint64_t switch_port_queued(const struct netswitch *s, unsigned port);
bool switch_port_up(const struct netswitch *s, unsigned port);
uint32_t switch_macs(struct netswitch *s);
uint64_t switch_mirror_missed(const struct netswitch *s);

/* For tests: nanoseconds of CLOCK_MONOTONIC and CLOCK_REALTIME from elsewhere. */
void switch_set_clock(struct netswitch *s, uint64_t (*clock)(void *arg, clockid_t id), void *arg);
