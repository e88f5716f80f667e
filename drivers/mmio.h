/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtio-mmio transport, version 2 (VIRTIO 1.4, 4.2). */
#pragma once

#include "regs.h"

/* Registers (4.2.2). */
enum {
	DRV_MMIO_MAGIC = 0x000,
	DRV_MMIO_VERSION = 0x004,
	DRV_MMIO_DEVICE_ID = 0x008,
	DRV_MMIO_DEVICE_FEATURES = 0x010,
	DRV_MMIO_DEVICE_FEATURES_SEL = 0x014,
	DRV_MMIO_DRIVER_FEATURES = 0x020,
	DRV_MMIO_DRIVER_FEATURES_SEL = 0x024,
	DRV_MMIO_QUEUE_SEL = 0x030,
	DRV_MMIO_QUEUE_SIZE_MAX = 0x034,
	DRV_MMIO_QUEUE_SIZE = 0x038,
	DRV_MMIO_QUEUE_READY = 0x044,
	DRV_MMIO_QUEUE_NOTIFY = 0x050,
	DRV_MMIO_INTERRUPT_STATUS = 0x060,
	DRV_MMIO_INTERRUPT_ACK = 0x064,
	DRV_MMIO_STATUS = 0x070,
	DRV_MMIO_QUEUE_DESC = 0x080, /* low half; the high half follows */
	DRV_MMIO_QUEUE_DRIVER = 0x090,
	DRV_MMIO_QUEUE_DEVICE = 0x0a0,
	DRV_MMIO_QUEUE_RESET = 0x0c0,
	DRV_MMIO_CONFIG_GENERATION = 0x0fc,
	DRV_MMIO_CONFIG = 0x100,
};

struct drv_mmio {
	struct drv_dev dev; /* what the classes want */
	struct drv_regs regs;
};

/* Looks at the registers at `base` and prepares to poll; `mem` is for rings and requests. Returns
 * DRV_GONE if no device is there (another magic, or the placeholder ID 0), DRV_UNSUPPORTED if it
 * is of version 1. */
int drv_mmio_open(struct drv_mmio *m, const struct drv_platform *platform, uintptr_t base,
	void *mem, size_t len);
/* From now on the platform calls drv_mmio_interrupt() when the device interrupts. */
void drv_mmio_use_interrupts(struct drv_mmio *m);
/* For the interrupt handler: acknowledges and counts. False if it was not this device. */
bool drv_mmio_interrupt(struct drv_mmio *m);

/* Any register, for tests that break the rules on purpose. */
static inline uint32_t drv_mmio_read(const struct drv_mmio *m, uint32_t reg)
{
	return drv_io_read(m->regs.base + reg, 4);
}

static inline void drv_mmio_write(const struct drv_mmio *m, uint32_t reg, uint32_t v)
{
	drv_io_write(m->regs.base + reg, 4, v);
}
