/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An address space of registers: which device answers an access of a vCPU. One for memory-mapped
 * registers, one for x86 ports. Lookups may come from all vCPU threads at once, and ranges may move
 * meanwhile (PCI BARs do).
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * A range of registers, embedded in its owner, which must live as long as the bus. The owner sets
 * everything but `start` before bus_add(). `len` of an access is 1, 2, 4 or 8 bytes, the offset may
 * be any inside the range, and offset + len lies inside it. Callbacks come from vCPU threads
 * without a lock, and now and then once more after the range was removed.
 */
struct bus_range {
	uint64_t start; /* private to the bus while added */
	uint64_t len;	/* bytes, never 0 */
	const char *name;
	void (*read)(void *arg, uint64_t offset, void *data, unsigned len);
	void (*write)(void *arg, uint64_t offset, const void *data, unsigned len);
	void *arg;
};

/* Private fields. */
struct bus {
	pthread_rwlock_t lock;
	struct bus_range **v; /* sorted by start */
	unsigned n, cap;
};

int bus_init(struct bus *bus);
/* The ranges stay their owners'. */
void bus_finish(struct bus *bus);

/* Makes `r` answer at [start, start + r->len). -EINVAL if that wraps around, -EBUSY if it overlaps
 * another range, -ENOMEM. Any thread. */
int bus_add(struct bus *bus, struct bus_range *r, uint64_t start, struct err *e);
/* Idempotent. Any thread, also a callback of the same bus. */
void bus_del(struct bus *bus, struct bus_range *r);

/* An access of a vCPU. What nobody answers reads as all ones, as on a PC; writes there are lost.
 * Return whether somebody answered. */
bool bus_read(struct bus *bus, uint64_t addr, void *data, unsigned len);
bool bus_write(struct bus *bus, uint64_t addr, const void *data, unsigned len);
