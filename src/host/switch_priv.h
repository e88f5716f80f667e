/* SPDX-License-Identifier: BSD-3-Clause */
/* What switch.c (forwarding) and switch_config.c (making and asking) share. */
#pragma once

#include "base/fifo.h"
#include "host/mactable.h"
#include "host/switch.h"
#include "host/tokens.h"

#define PRIORITIES 8
#define NAME_LEN   48
#define VLAN_WORDS (4096 / 64)

struct pcapng;

/* A port. Its queues are by rank, the highest served first. */
struct port {
	struct netport end;
	struct netswitch *sw;
	unsigned index;
	int mirror; /* interface of the capture file, -1: not captured */
	/* What this port last sent from: no table search for the next frame of the same source. */
	struct mac_entry *last;
	uint64_t last_key;
	struct mac_entry *last_to; /* likewise what it last sent to */

	uint16_t native; /* VLAN of untagged frames, 0: none */
	uint8_t pcp;
	bool trunk;
	uint64_t vlans[VLAN_WORDS];
	uint8_t (*deny)[6];
	unsigned ndeny;

	struct tokens in, out, flood;
	struct ev_timer in_timer, out_timer;
	unsigned flooded; /* frames to several ports since then */
	uint64_t flooded_at_ns;
	struct fifo queues[PRIORITIES];		       /* by rank, the last one first */
	uint32_t shares[PRIORITIES][SWITCH_PORTS_MAX]; /* bytes in it, by where they came in */
	unsigned waiting;			       /* bit set: queue is not empty */
	struct switch_counters count;
	char name[NAME_LEN];
};

struct netswitch {
	struct ev_loop *loop;
	const struct log *log;
	struct mac_table macs;
	struct pcapng *mirror;
	struct opt_list mirror_ports; /* not owned */
	uint64_t (*clock)(void *arg, clockid_t id);
	void *clock_arg;
	/* The time is read once per round of the loop. */
	struct ev_task round;
	uint64_t now_ns, wall_ns;
	uint32_t now_s;
	bool fresh;
	bool mirror_warned;
	unsigned nports;
	struct port *ports[SWITCH_PORTS_MAX];
};

static inline bool switch_in_vlan(const struct port *p, unsigned vid)
{
	return p->vlans[vid / 64] >> (vid % 64) & 1;
}

extern const struct netport_ops switch_port_ops;

/* Callbacks: the end of a round of the loop; the rate of a port allows more. */
void switch_end_of_round(void *sw);
void switch_in_ready(void *port);
void switch_out_ready(void *port);
/* Reads the clock for this round. */
void switch_refresh(struct netswitch *s);
