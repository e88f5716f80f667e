/* SPDX-License-Identifier: BSD-3-Clause */
#include "host/mactable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int mac_table_init(struct mac_table *t, uint32_t size, uint32_t age, uint32_t port_max)
{
	uint32_t nsets = 1;

	while (nsets * MAC_WAYS < size && nsets < 1u << 20)
		nsets *= 2;
	memset(t, 0, sizeof(*t));
	if (getrandom(&t->seed, sizeof(t->seed), 0) != sizeof(t->seed))
		return -EIO;
	t->seed |= 1;
	t->nsets = nsets;
	t->age = age;
	t->port_max = port_max;
	t->entries = aligned_alloc(64, nsets * MAC_WAYS * sizeof(*t->entries));
	if (!t->entries)
		return -ENOMEM;
	memset(t->entries, 0, nsets * MAC_WAYS * sizeof(*t->entries));
	return 0;
}

void mac_table_finish(struct mac_table *t)
{
	free(t->entries);
	t->entries = NULL;
}

static struct mac_entry *set_of(const struct mac_table *t, uint64_t key)
{
	uint64_t hash = key * t->seed;

	return t->entries + ((hash >> 40) & (t->nsets - 1)) * MAC_WAYS;
}

static bool too_old(const struct mac_table *t, const struct mac_entry *e, uint32_t now)
{
	return !e->fixed && now - e->seen > t->age;
}

struct mac_entry *mac_find(const struct mac_table *t, uint64_t key)
{
	struct mac_entry *set = set_of(t, key);

	for (unsigned i = 0; i < MAC_WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

int mac_lookup(const struct mac_table *t, uint64_t key, uint32_t now)
{
	return mac_port(t, mac_find(t, key), now);
}

static void drop(struct mac_table *t, struct mac_entry *e)
{
	if (e->key && !e->fixed)
		t->learned[e->port]--;
	memset(e, 0, sizeof(*e));
}

/* A place in the set: free, too old, or the port's own oldest one. */
static struct mac_entry *place(struct mac_table *t, uint64_t key, unsigned port, uint32_t now)
{
	struct mac_entry *set = set_of(t, key), *own = NULL;

	for (unsigned i = 0; i < MAC_WAYS; i++) {
		if (!set[i].key || too_old(t, &set[i], now)) {
			drop(t, &set[i]);
			return &set[i];
		}
		if (!set[i].fixed && set[i].port == port && (!own || set[i].seen < own->seen))
			own = &set[i];
	}
	if (own)
		drop(t, own);
	return own;
}

/* A port that has its share may have old entries among them; looks at most once a second. */
static bool may_learn(struct mac_table *t, unsigned port, uint32_t now)
{
	if (t->learned[port] < t->port_max)
		return true;
	if (t->swept[port] == now)
		return false;
	t->swept[port] = now;
	for (uint32_t i = 0; i < t->nsets * MAC_WAYS; i++)
		if (t->entries[i].port == port && too_old(t, &t->entries[i], now))
			drop(t, &t->entries[i]);
	return t->learned[port] < t->port_max;
}

int mac_learn(
	struct mac_table *t, uint64_t key, unsigned port, uint32_t now, struct mac_entry **entry)
{
	struct mac_entry *e = mac_find(t, key);

	if (e && e->fixed && e->port != port)
		return -EPERM;
	if (e && e->port != port)
		drop(t, e); /* it moved */
	if (!e || !e->key) {
		e = place(t, key, port, now);
		if (!e || !may_learn(t, port, now))
			return -ENOSPC;
		*e = (struct mac_entry){ .key = key, .port = (uint16_t)port };
		t->learned[port]++;
	}
	e->seen = now;
	if (entry)
		*entry = e;
	return 0;
}

int mac_fix(struct mac_table *t, uint64_t key, unsigned port)
{
	struct mac_entry *e = mac_find(t, key);

	if (e && e->fixed)
		return e->port == port ? 0 : -EEXIST;
	if (e)
		drop(t, e);
	else
		e = place(t, key, port, 0);
	if (!e)
		return -ENOSPC;
	*e = (struct mac_entry){ .key = key, .port = (uint16_t)port, .fixed = true };
	return 0;
}

void mac_forget(struct mac_table *t, unsigned port)
{
	for (uint32_t i = 0; i < t->nsets * MAC_WAYS; i++)
		if (t->entries[i].port == port && !t->entries[i].fixed)
			drop(t, &t->entries[i]);
}

uint32_t mac_count(const struct mac_table *t, uint32_t now)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->nsets * MAC_WAYS; i++)
		n += t->entries[i].key && !too_old(t, &t->entries[i], now);
	return n;
}
