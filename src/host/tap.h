/* SPDX-License-Identifier: BSD-3-Clause */
/* A tap interface of the host as one end of a link. */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "host/netport.h"

struct tap;

/* Opens interface `name` (needs CAP_NET_ADMIN unless it exists and is ours) and serves it on
 * `loop`; checksum and segmentation work is left to the kernel. The interface's own state and
 * addresses are the administrator's. */
int tap_create(struct tap **t, const char *name, struct ev_loop *loop, const struct log *log,
	struct err *e);
/* Accepts NULL. */
void tap_destroy(struct tap *t);
/* The end to connect; lives as long as the tap. */
struct netport *tap_end(struct tap *t);
