/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The forwarding table of a learning switch: which port an address of a VLAN was last seen at.
 * Bounded in size and per port, so that no port can push out what the others need.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/util.h"

#define MAC_PORTS_MAX 64u
#define MAC_WAYS      4u

/* An address in a VLAN as one word, never 0 for a valid VLAN. */
static inline uint64_t mac_key(const uint8_t mac[6], unsigned vid)
{
	uint32_t first;
	uint16_t last;

	memcpy(&first, mac, 4);
	memcpy(&last, mac + 4, 2);
	return first | (uint64_t)last << 32 | (uint64_t)(vid + 1) << 48;
}

struct mac_entry {
	uint64_t key;  /* 0: free */
	uint32_t seen; /* seconds */
	uint16_t port;
	bool fixed; /* configured: neither ages nor moves */
};

/* Private fields. */
struct mac_table {
	struct mac_entry *entries; /* sets of MAC_WAYS */
	uint32_t nsets;		   /* a power of two */
	uint64_t seed;		   /* odd; a guest must not know which addresses share a set */
	uint32_t age;		   /* seconds after which an entry is forgotten */
	uint32_t port_max;	   /* most learned entries of one port */
	uint32_t learned[MAC_PORTS_MAX];
	uint32_t swept[MAC_PORTS_MAX]; /* when a full port was last searched for old entries */
};

/* `size` entries, rounded up to a power of two. Returns 0 or -errno. */
int mac_table_init(struct mac_table *t, uint32_t size, uint32_t age, uint32_t port_max);
void mac_table_finish(struct mac_table *t);

/* The entry of a key, whatever its age, or NULL. It stays the key's as long as its `key` says so,
 * and may be kept. */
struct mac_entry *mac_find(const struct mac_table *t, uint64_t key);
/* The port of an entry, which may be NULL; -1 if there is none or it is too old. `now` in seconds.
 */
static inline int mac_port(const struct mac_table *t, const struct mac_entry *e, uint32_t now)
{
	return e && (e->fixed || now - e->seen <= t->age) ? e->port : -1;
}
/* Both at once. */
int mac_lookup(const struct mac_table *t, uint64_t key, uint32_t now);

/* The key was seen at `port`. 0; -ENOSPC: not learned, the port has its share or the set is full;
 * -EPERM: the key is fixed to another port. `*entry`, if not NULL, is where it is now; the caller
 * may refresh `seen` there as long as key and port are unchanged. */
int mac_learn(
	struct mac_table *t, uint64_t key, unsigned port, uint32_t now, struct mac_entry **entry);
/* Fixes a key to a port. 0, -ENOSPC, or -EEXIST if another port has it. */
int mac_fix(struct mac_table *t, uint64_t key, unsigned port);
/* Forgets what was learned at a port. */
void mac_forget(struct mac_table *t, unsigned port);
/* Entries in use that are not too old. */
uint32_t mac_count(const struct mac_table *t, uint32_t now);
