/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that is shared with the driver, as the proofs see it: another processor may write to it
 * at any time, so every read gives any value whatever. Comes before each source file.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Any value; proves that the bytes are inside an object. */
uint64_t shared_load(const void *p, size_t size);

#define __atomic_load_n(p, order)     ((__typeof__(*(p)))shared_load((p), sizeof(*(p))))
#define __atomic_store_n(p, v, order) ((void)(*(p) = (v)))
#define __atomic_thread_fence(order)  ((void)0)
#define __atomic_signal_fence(order)  ((void)0)
#define __builtin_prefetch(...)	      ((void)0)

/* memcpy() and realloc() as far as the proven files use them: a copy out of guest memory has no
 * content, as reads give any value anyway, and the rest are lists of buffers. */
#include <stdlib.h>
#include <string.h>

void *model_copy(void *to, const void *from, size_t len);
void *model_realloc(void *old, size_t len);

#define memcpy(to, from, len) model_copy((to), (from), (len))
#define realloc(old, len)     model_realloc((old), (len))

/* So that the longest walk through an indirect table is a few steps. */
#define INDIRECT_MAX 2u
/* So that the map is not most of the formula. */
#define GM_REGIONS_MAX 2
/* What queue_priv.h keeps in an array of 65536 entries: a set of at most as many ids as the ring has
 * entries, which is proven with it. */
#include <stdbool.h>

#define VQ_BUSY_SET
struct vq;
bool busy_test(const struct vq *vq, uint16_t id);
void busy_set(struct vq *vq, uint16_t id);
void busy_clear(struct vq *vq, uint16_t id);
