/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A link to passt(1), which connects frames to the host's sockets without any privilege: a separate
 * process at the other end of a Unix stream socket, each frame behind its length as four bytes,
 * big-endian.
 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "host/netport.h"

struct passt;

/* Connects to the passt that listens at `socket`, now or as soon as it does, again whenever it went
 * away. NULL: starts one of our own, which ends with us. */
int passt_create(struct passt **p, const char *socket, struct ev_loop *loop, const struct log *log,
	struct err *e);
/* Accepts NULL. */
void passt_destroy(struct passt *p);
/* The end to connect; lives as long as the link. Up while connected. */
struct netport *passt_end(struct passt *p);
