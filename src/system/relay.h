/* SPDX-License-Identifier: BSD-3-Clause */
/* Relays: pairs of stream sockets of which each gets what the other one sends. */
#pragma once

#include "base/loop.h"

struct relay;

/* The relays of one owner. Zero-initialise; private fields. One thread. */
struct relays {
	struct relay *first;
};

/*
 * Relays between two connected stream sockets until both have ended or one is broken. Takes both
 * descriptors, also on failure, and makes them non-blocking. The end of one stream is passed on by
 * shutdown(2), so half-closed connections work. Returns 0 or -errno.
 */
int relay_open(struct relays *relays, struct ev_loop *loop, int a, int b);
/* Breaks off all that are left. */
void relays_close(struct relays *relays);
