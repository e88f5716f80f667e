/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtio drivers for guests without a library: kernels, RTOSes, bare metal. Freestanding C, no
 * libc, no hidden state, no allocation after a device has been opened: memory comes from the
 * caller. The platform gives six hooks. One thread per device.
 *
 *     struct drv_mmio m;
 *     struct drv_blk blk;
 *
 *     if (drv_mmio_open(&m, &platform, 0x0a000000, memory, sizeof(memory)) == 0 && m.dev.id == 2)
 *             if (drv_blk_open(&blk, &m.dev) == 0)
 *                     drv_blk_read(&blk, 0, buf, 512);
 *
 * This file: what all have in common, a device (struct drv_dev), its life cycle and its queues.
 * Transports: pci.h, mmio.h, direct.h. Classes: blk.h, net.h, console.h, rng.h, vsock.h, req.h.
 */
#pragma once

#include "ring.h"

/* Further results below zero (ring.h has the first ones). */
#define DRV_TIMEOUT	(-4) /* the device did not answer in time */
#define DRV_REFUSED	(-5) /* the device did not accept: features, a queue, a value */
#define DRV_UNSUPPORTED (-6) /* this transport, or this device, cannot do that */
#define DRV_ERROR	(-7) /* the device answered with an error */
#define DRV_GONE	(-8) /* the transport has lost the device */
#define DRV_NO_MEMORY	(-9) /* the memory given is too small */

/* Device status (VIRTIO 1.4, 2.1). */
#define VIRTIO_S_ACKNOWLEDGE 1u
#define VIRTIO_S_DRIVER	     2u
#define VIRTIO_S_DRIVER_OK   4u
#define VIRTIO_S_FEATURES_OK 8u
#define VIRTIO_S_NEEDS_RESET 64u
#define VIRTIO_S_FAILED	     128u

/* Further feature bit numbers (6). */
#define VIRTIO_F_ACCESS_PLATFORM   33
#define VIRTIO_F_ORDER_PLATFORM	   36
#define VIRTIO_F_SR_IOV		   37
#define VIRTIO_F_NOTIFICATION_DATA 38
#define VIRTIO_F_NOTIF_CONFIG_DATA 39
#define VIRTIO_F_RING_RESET	   40

#define DRV_FEATURE(bit) (UINT64_C(1) << (bit))

/* In place of a queue's index where the configuration's interrupt is meant. */
#define DRV_CONFIG 0xffffu

struct drv_dev;
struct drv_regs;

/* What the platform gives. Called on the thread that uses the device. */
struct drv_platform {
	void *ctx;
	/* The address by which devices reach [p, p + len); UINT64_MAX if they cannot. */
	uint64_t (*map)(void *ctx, const void *p, size_t len);
	/* Orders all memory accesses before it against all after it, as devices see them. */
	void (*barrier)(void *ctx);
	/* [opt] Rings the doorbell of queue q in place of the transport's own way: a hypercall, a
	 * mailbox. Needed by direct rings. */
	void (*notify)(void *ctx, struct drv_dev *dev, uint16_t q);
	/* [opt] Waits for an interrupt of the device, until `until` (as time()) at most. It may
	 * return early. NULL: the driver polls. */
	void (*wait)(void *ctx, struct drv_dev *dev, uint64_t until);
	/* Nanoseconds since any fixed point; never goes back. */
	uint64_t (*time)(void *ctx);
	/* [opt] Takes one line of text, without an end of line. */
	void (*log)(void *ctx, const char *text);
};

/* Where a queue's areas are, as the device sees them (2.7, 2.8). */
struct drv_queue_addr {
	uint16_t size;
	uint64_t desc, driver, device;
};

/*
 * A transport. Every function but those marked [opt] is there; results are 0 or DRV_*. Nothing here
 * checks the order in which a driver does things: the conformance suite breaks it on purpose.
 */
struct drv_ops {
	const char *name; /* "pci", "mmio", "direct", "vhost-user" */
	/* All 64 feature bits offered, and the driver's choice. */
	int (*features)(struct drv_dev *dev, uint64_t *offered);
	int (*accept)(struct drv_dev *dev, uint64_t features);
	int (*status)(struct drv_dev *dev, uint8_t *status);
	int (*set_status)(struct drv_dev *dev, uint8_t status);
	/* Configuration space: accessed in the widest units that offset and length allow. */
	int (*config_read)(struct drv_dev *dev, uint32_t offset, void *buf, uint32_t len);
	int (*config_write)(struct drv_dev *dev, uint32_t offset, const void *buf, uint32_t len);
	/* [opt] */
	int (*generation)(struct drv_dev *dev, uint32_t *generation);
	/* The largest size of queue q; 0 if there is no such queue. */
	int (*queue_max)(struct drv_dev *dev, uint16_t q, uint16_t *max);
	/* Gives the queue its areas and enables it. */
	int (*queue_start)(struct drv_dev *dev, uint16_t q, const struct drv_queue_addr *addr);
	/* [opt] Resets one queue (2.6.1) and waits, until `until`, for the device to say so. */
	int (*queue_reset)(struct drv_dev *dev, uint16_t q, uint64_t until);
	/* Tells the device to look at queue q; `next` is what NOTIFICATION_DATA asks for (2.9). */
	int (*notify)(struct drv_dev *dev, uint16_t q, uint32_t next);
	/* [opt] Interrupts of queue q, or DRV_CONFIG, since the last call. Where queues share an
	 * interrupt each gets the common count. */
	int (*interrupts)(struct drv_dev *dev, uint16_t q, uint32_t *count);
};

/* A device. Filled in by a transport's open function; read what you like. */
struct drv_dev {
	const struct drv_ops *ops;
	const struct drv_platform *platform;
	struct drv_regs *regs; /* [opt] of transports that have registers */
	uint8_t *mem;	       /* for rings and requests; devices must reach it */
	size_t mem_len, mem_used;
	/* [opt] Set after the transport's open function: memory for the state of rings, which
	 * devices need not and should not reach. NULL: it is taken from `mem`, and a device that
	 * writes where it must not can lead the driver astray. */
	uint8_t *priv;
	size_t priv_len, priv_used;
	uint16_t id;	   /* device ID (5) */
	uint64_t offered;  /* feature bits, after drv_begin() */
	uint64_t features; /* agreed */
};

/* A queue of a device. */
struct drv_queue {
	struct drv_ring ring;
	struct drv_dev *dev;
	uint16_t index;
	struct drv_queue_addr addr;
	struct drv_ring_config config; /* for starting again after a reset */
};

/*
 * Life cycle (3.1): drv_begin(), drv_queue_open() for each queue, drv_run(). drv_begin() resets, so
 * it may be called at any time. It frees all memory of the device.
 */

/* Resets and waits for the device to say so, up to a second. */
int drv_reset(struct drv_dev *dev);
/* Resets, then negotiates: `want` as far as it is offered; VERSION_1 and `need` must be. Leaves the
 * device with FEATURES_OK. DRV_REFUSED if a needed bit is missing or the device refuses. */
int drv_begin(struct drv_dev *dev, uint64_t want, uint64_t need);
/* Sets up queue `index` with `size` entries, fewer if the device has fewer; 0: as many as it has,
 * up to 256. `table_len` is the length of an indirect table for each buffer (0: none). */
int drv_queue_open(struct drv_queue *q, struct drv_dev *dev, uint16_t index, uint16_t size,
	uint16_t table_len);
/* Sets DRIVER_OK. */
int drv_run(struct drv_dev *dev);
/* Memory of the device, zeroed; `align` is a power of two. NULL if used up. */
void *drv_alloc(struct drv_dev *dev, size_t len, size_t align);

static inline bool drv_has(const struct drv_dev *dev, unsigned bit)
{
	return dev->features >> bit & 1;
}

/* One element of a buffer in memory that devices reach. */
struct drv_sg drv_sg(const struct drv_dev *dev, const void *p, uint32_t len);
/* Shows the device what was added, and notifies it if it wants to know. */
int drv_queue_publish(struct drv_queue *q);
/* Takes the next used buffer, waiting for it until `until`: 0, DRV_TIMEOUT, DRV_BROKEN. `cookie`
 * and `len` may be NULL. */
int drv_queue_wait(struct drv_queue *q, void **cookie, uint32_t *len, uint64_t until);
/* Resets the queue and starts it again, empty (2.6.1). */
int drv_queue_restart(struct drv_queue *q);

/* Configuration fields, read again until the generation is the same before and after (2.5.1). */
int drv_config(struct drv_dev *dev, uint32_t offset, void *buf, uint32_t len);

static inline uint64_t drv_now(const struct drv_dev *dev)
{
	return dev->platform->time(dev->platform->ctx);
}

/* A line for whoever sets the system up; nowhere if the platform has no log. */
static inline void drv_log(const struct drv_platform *pf, const char *text)
{
	if (pf->log)
		pf->log(pf->ctx, text);
}
