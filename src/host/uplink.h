/* SPDX-License-Identifier: BSD-3-Clause */
/* How a switch, or a single device, reaches the network outside: "none", "tap:NAME", "passt" or
 * "passt:SOCKET". */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "host/netport.h"

struct tap;
struct passt;

/* At most one of the two. Zero-initialise. */
struct uplink {
	struct tap *tap;
	struct passt *passt;
};

/* -EINVAL, saying what is allowed, for any other text. */
int uplink_open(struct uplink *u, const char *spec, struct ev_loop *loop, const struct log *log,
	struct err *e);
/* Idempotent. */
void uplink_close(struct uplink *u);
/* The end to connect, or NULL for "none". */
struct netport *uplink_end(const struct uplink *u);
