/* SPDX-License-Identifier: BSD-3-Clause */
/* A temporary folder with all that a test guest needs: images, disks, sockets, the serial port. */
#pragma once

#include <stdint.h>

#include "base/err.h"

#define PLACE_DIR_MAX 64

/* The disks of the test guest, and what they are told to be. */
#define PLACE_DISK_SIZE	  (UINT64_C(16) << 20)
#define PLACE_DISK_SERIAL "AVP-CONFORM-0"

struct place {
	char dir[PLACE_DIR_MAX]; /* empty: there is none */
};

int place_open(struct place *p, struct err *e);
/* Removes it and everything in it. Accepts one that was not opened. */
void place_close(struct place *p);

/* "dir/name", owned by the caller; NULL without memory. */
char *place_path(const struct place *p, const char *name);
/* An empty disk. */
int place_disk(const struct place *p, const char *name, uint64_t size, struct err *e);
