/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What virtio-mmio and virtio-pci have in common: registers that mean the same and lie elsewhere,
 * and counting interrupts. The transport's interrupt function, which the platform calls from its
 * handler, counts; the thread that uses the device takes.
 */
#pragma once

#include "drv.h"
#include "io.h"

#define DRV_IRQ_VECTORS 33u

/* Vector 0 is the configuration's, 1 + q that of queue q; the last vector serves all queues from
 * there on. */
struct drv_irq {
	volatile uint32_t count[DRV_IRQ_VECTORS]; /* written by the handler only */
	uint32_t seen[DRV_IRQ_VECTORS];
	uint16_t nvectors; /* in use; 0: the driver polls */
};

struct drv_reg {
	uint16_t at, width; /* bytes */
};

/* Where a transport has its registers. The queues' addresses take 8 bytes each. */
struct drv_reg_map {
	struct drv_reg offered_sel, offered, accepted_sel, accepted;
	struct drv_reg status, generation;
	struct drv_reg queue_sel, queue_max, queue_size, queue_ready, queue_reset;
	uint16_t queue_desc, queue_driver, queue_device;
};

struct drv_regs {
	const struct drv_reg_map *map;
	uintptr_t base, config; /* registers, and configuration space */
	uint32_t len, config_len;
	struct drv_irq irq;
	struct drv_ops ops; /* the device's: a transport replaces what is special */
};

/* What `regs->ops` begins with; without notify(). */
extern const struct drv_ops drv_regs_ops;

/* From now on interrupts are counted by `nvectors` vectors. */
void drv_regs_use_irq(struct drv_regs *regs, uint16_t nvectors);
/* The vector of queue q or DRV_CONFIG. */
uint16_t drv_irq_vector(const struct drv_irq *irq, uint16_t q);
/* Counts one device interrupt that says by two bits what it is about (4.1.4.5, 4.2.2). */
void drv_irq_status(struct drv_irq *irq, uint32_t status);
