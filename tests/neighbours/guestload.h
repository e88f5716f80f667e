/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of guestload share: see guestload.c. */
#pragma once

#include <stdint.h>

#include "vhud.h"

#define GUESTLOAD_RING 256u /* of a port's queues */
#define GUESTLOAD_HDR  12u  /* bytes before a frame */

/* Counters, in a file that somebody else maps. */
struct tally {
	volatile uint64_t done; /* operations that ended as they should */
	volatile uint64_t bad;	/* with wrong contents */
	volatile uint64_t lost; /* frames that did not arrive */
};

void guestload_fail(const char *why) __attribute__((noreturn));
/* A network port with both queues started; of `features` what is offered. */
struct vhud *guestload_port(const char *path, uint64_t features);
/* Does what a hostile guest does, without end, on a disk and a network port of its own. */
void attack(const char *kind, const char *disk, const char *port) __attribute__((noreturn));
