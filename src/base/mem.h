/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest memory map: which guest-physical ranges exist and where they are in this process. Used
 * by one thread, or changed only while nobody reads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

#ifndef GM_REGIONS_MAX /* proofs/ has fewer */
#define GM_REGIONS_MAX 256
#endif

/* One contiguous range of guest memory. */
struct gm_region {
	uint64_t gpa;	    /* guest-physical address, bytes */
	uint64_t size;	    /* bytes, never 0 */
	uint64_t uva;	    /* address in the vhost-user frontend's process; 0 in our monitor */
	uint8_t *hva;	    /* where it is mapped here */
	int fd;		    /* what is mapped, -1 if not known; not owned */
	uint64_t fd_offset; /* bytes */
	void *map;	    /* mapping to unmap on removal, or NULL if not ours */
	size_t map_len;
};

/* Zero-initialise. Sorted by gpa, without overlap. */
struct gm {
	unsigned n;
	struct gm_region r[GM_REGIONS_MAX];
};

/* Adds a range. -EINVAL: empty, wraps around or overlaps; -ENOSPC: table full. */
int gm_add(struct gm *gm, const struct gm_region *r, struct err *e);
/* Maps `r->fd` at `r->fd_offset` (any alignment) shared, checks that the file is long enough, and
 * adds the range. The descriptor stays the caller's. */
int gm_map(struct gm *gm, const struct gm_region *r, struct err *e);
/* Removes the range that has exactly this gpa, size and uva; -ENOENT otherwise. */
int gm_del(struct gm *gm, uint64_t gpa, uint64_t size, uint64_t uva);
/* Unmaps and removes everything. */
void gm_clear(struct gm *gm);

/* The host address of [gpa, gpa+len), which must lie inside one range; else NULL. len 0 is NULL. */
void *gm_ptr(const struct gm *gm, uint64_t gpa, uint64_t len);
/* The same for an address of the vhost-user frontend's process. */
void *gm_ptr_uva(const struct gm *gm, uint64_t uva, uint64_t len);

/* Splits [gpa, gpa+len) into at most `max` host pieces, since a buffer may cross adjacent ranges.
 * Returns the number of pieces, -EFAULT if any byte is outside guest memory or len is 0, -E2BIG if
 * `max` is too small. */
int gm_iov(const struct gm *gm, uint64_t gpa, uint64_t len, struct iovec *iov, unsigned max);
