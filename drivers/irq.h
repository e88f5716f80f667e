/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counting interrupts. The transport's interrupt function, which the platform calls from its
 * handler, adds; the thread that uses the device takes. Vector 0 is the configuration's, vector
 * 1 + q that of queue q; the last vector serves all queues from there on.
 */
#pragma once

#include "drv.h"

#define DRV_IRQ_VECTORS 33u

struct drv_irq {
	volatile uint32_t count[DRV_IRQ_VECTORS]; /* written by the handler only */
	uint32_t seen[DRV_IRQ_VECTORS];
	uint16_t nvectors; /* in use; 0: the driver polls */
};

static inline uint16_t drv_irq_vector(const struct drv_irq *irq, uint16_t q)
{
	uint32_t v = q == DRV_CONFIG ? 0 : q + 1u;

	return (uint16_t)(v < irq->nvectors ? v : irq->nvectors - 1u);
}

/* Interrupts of q since the last call: what drv_ops.interrupts() has to tell. */
static inline int drv_irq_take(struct drv_irq *irq, uint16_t q, uint32_t *count)
{
	uint32_t slot = q == DRV_CONFIG ? 0 : q + 1u, now;

	if (slot >= DRV_IRQ_VECTORS || !irq->nvectors)
		return DRV_UNSUPPORTED;
	now = irq->count[drv_irq_vector(irq, q)];
	*count = now - irq->seen[slot];
	irq->seen[slot] = now;
	return 0;
}

/* One device interrupt that says by two bits what it is about (4.1.4.5, 4.2.2). */
static inline void drv_irq_status(struct drv_irq *irq, uint32_t status)
{
	if (status & 1)
		irq->count[1]++;
	if (status & 2)
		irq->count[0]++;
}
