/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device in the test program, behind direct rings: it answers inside the doorbell, and lies as
 * the test wants. Memory that the driver may use ends at an inaccessible page.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/direct.h"

#define TOY_QUEUES 12u
#define TOY_MEM	   0x80000u
#define TOY_CONFIG 128u
#define TOY_SG	   8u

/* What the driver offered. */
struct toy_chain {
	uint16_t q, id, ndesc;
	unsigned n;
	struct {
		uint8_t *p;
		uint32_t len;
		bool write;
	} e[TOY_SG];
};

struct toy {
	struct drv_platform platform;
	struct drv_direct direct;
	struct drv_dev *dev;
	uint8_t *mem; /* the driver's, for rings, requests and buffers */
	struct drv_direct_area *area;
	uint8_t *config;
	uint64_t now; /* goes on with each look at it */
	uint64_t rnd;
	uint16_t next[TOY_QUEUES]; /* available entry, or packed position */
	uint16_t used[TOY_QUEUES];
	bool wrap[TOY_QUEUES];
	/* Called for each buffer; NULL: nothing happens. */
	void (*serve)(struct toy *toy, const struct toy_chain *c);
	/* Called with each look at the time. */
	void (*tick)(struct toy *toy);
	void *ctx;
	unsigned notified[TOY_QUEUES];
};

/* A device of this ID that offers VERSION_1 and `features`. */
void toy_open(struct toy *toy, uint16_t id, uint64_t features);
void toy_close(struct toy *toy);
/* Takes the next buffer of queue q. */
bool toy_take(struct toy *toy, uint16_t q, struct toy_chain *c);
/* Marks a buffer as used; any id and length. */
void toy_put(struct toy *toy, uint16_t q, uint16_t id, uint16_t ndesc, uint32_t len);
/* All writable bytes of a buffer from `data`; the rest stays. Returns how many there were. */
uint32_t toy_fill(const struct toy_chain *c, const void *data, uint32_t len);
uint32_t toy_rand(struct toy *toy, uint32_t n);
