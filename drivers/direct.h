/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Direct rings: a device without registers and without a hypervisor. Driver and device share an
 * area of memory that says what registers say elsewhere, and ring each other's doorbell by whatever
 * the platform has (an interrupt between cores, a function call). The device's side fills in the
 * area and sets `magic` last.
 *
 * The driver writes only `accepted`, `wanted`, `changes` and the queues' `addr` and `enabled`.
 * After each change it adds 1 to `changes`, rings with DRV_CONFIG and waits until `seen` is the
 * same: the device has then taken what was changed.
 */
#pragma once

#include "drv.h"

#define DRV_DIRECT_MAGIC 0x52494456u

struct drv_direct_queue {
	uint64_t desc, driver, device;
	uint16_t max, size; /* max: by the device, 0: no such queue */
	uint16_t enabled;   /* 1; the driver writes 0 to reset the queue */
	uint16_t reserved;
};

struct drv_direct_area {
	uint32_t magic;
	uint16_t id, nqueues;
	uint64_t offered, accepted;
	uint32_t config_offset, config_len; /* configuration space, from the start of the area */
	uint32_t generation;
	uint32_t changes, seen;
	uint8_t wanted, status; /* device status: as the driver writes it, as the device reads */
	uint8_t reserved[2];
	struct drv_direct_queue queues[];
};

struct drv_direct {
	struct drv_dev dev; /* what the classes want */
	struct drv_direct_area *area;
	uint8_t *config;
	uint32_t config_len;
	uint16_t nqueues;
};

/* `area` has `area_len` bytes; `mem` is for rings and requests. The platform needs notify().
 * DRV_GONE: nothing in the area, DRV_INVALID: what it says does not fit into it. */
int drv_direct_open(struct drv_direct *d, const struct drv_platform *platform, void *area,
	size_t area_len, void *mem, size_t len);
