/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A capture file in pcapng format: one interface per switch port, frames with nanosecond time
 * stamps. Bounded: when the limit is reached, the file is complete and further frames are counted.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "host/netport.h"

struct pcapng;

/* Creates (and empties) the file, mode 0600. `limit` in bytes, `snaplen` the bytes kept of a frame.
 */
int pcapng_create(
	struct pcapng **p, const char *path, uint64_t limit, uint32_t snaplen, struct err *e);
/* Writes out what is buffered and closes; accepts NULL. */
void pcapng_destroy(struct pcapng *p);
/* Adds an interface; returns its number or -errno. `name` is kept in the file. */
int pcapng_interface(struct pcapng *p, const char *name);
/* Records a frame; `ns` is the time since 1970, `inbound` as the interface sees it. Returns 0,
 * -ENOSPC when the limit is reached, or the error of the file, once; from then on -ENOSPC. */
int pcapng_frame(
	struct pcapng *p, unsigned interface, uint64_t ns, bool inbound, const struct net_frame *f);
/* Writes out what is buffered. */
int pcapng_flush(struct pcapng *p);
/* Frames that were not recorded. */
uint64_t pcapng_missed(const struct pcapng *p);
