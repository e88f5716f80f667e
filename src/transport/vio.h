/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What virtio-pci and virtio-mmio have in common behind their registers: feature selection, device
 * status, queues, configuration space, and interrupts with a status byte.
 *
 * Registers are accessed by vCPU threads; the transport calls everything here with vio->lock held,
 * except where it says otherwise. Backends call in from their own threads, without that lock.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "transport/vmm.h"
#include "virtio/backend.h"

#define VIO_QUEUES_MAX 256u
#define VIO_CONFIG_MAX 256u /* bytes of configuration space */

/* Interrupt status (VIRTIO 1.4, 4.1.4.5 and 4.2.2). */
#define VIO_ISR_QUEUE  1u
#define VIO_ISR_CONFIG 2u

struct vio;

/* One reason to interrupt: a queue, or the configuration. */
struct vio_source {
	struct vio *vio;
	int fd; /* eventfd that the device signals */
	uint8_t isr_bit;
	struct ev_fd watch;
	int gsi;	 /* of virtio-pci: the message it is connected to, or -1 */
	uint16_t vector; /* of virtio-pci: MSI-X vector */
};

struct vio_queue {
	uint16_t size;
	bool enabled; /* by the driver */
	bool started; /* at the backend */
	uint64_t desc, driver, device;
	int kick_fd;
	struct vio_source irq;
};

struct vio {
	struct vmm *vmm;
	struct vbackend *be; /* owned */
	char name[32];
	struct log_limit complaints;

	pthread_mutex_t lock; /* of all registers of the transport, and of all in this group */
	uint64_t offered, accepted;
	uint32_t device_sel, driver_sel;
	uint16_t queue_sel;
	uint8_t status;
	uint8_t generation;
	bool config_known;		     /* it was read once, */
	uint8_t config_seen[VIO_CONFIG_MAX]; /* and was this the last time */
	unsigned nqueues;
	struct vio_queue *queues;
	struct vio_source config;
	bool watching;

	_Atomic bool config_changed, needs_reset;

	pthread_mutex_t isr_lock; /* taken last; of all in this group */
	uint32_t gsi;		  /* level-triggered line */
	uint8_t isr;
	bool line, masked;
};

/* Takes over `be` on success. Before the guest runs, on vmm->loop's thread. Interrupts go to the
 * line `gsi`, until vio_watch(vio, false). */
int vio_init(struct vio *vio, struct vmm *vmm, struct vbackend *be, const char *name, uint32_t gsi,
	struct err *e);
/* After the guest has ended, on the loop's thread. Accepts a zeroed structure. */
void vio_finish(struct vio *vio);

uint32_t vio_device_features(const struct vio *vio);
uint32_t vio_driver_features(const struct vio *vio);
void vio_set_driver_features(struct vio *vio, uint32_t bits);

uint8_t vio_status(const struct vio *vio);
/* VIRTIO 1.4, 2.1; 0 resets. A state that the driver may not enter is not entered. */
void vio_set_status(struct vio *vio, uint8_t status);

/* The selected queue, or NULL. */
struct vio_queue *vio_selected(struct vio *vio);
/* The selected queue if its registers may still be changed, or NULL. */
struct vio_queue *vio_configurable(struct vio *vio);
/* The driver enables / stops the queue. */
void vio_queue_enable(struct vio *vio, struct vio_queue *q);
void vio_queue_disable(struct vio *vio, struct vio_queue *q);
/* Puts the registers back to their defaults as well (VIRTIO 1.4, 2.6.1); only with RING_RESET. */
void vio_queue_reset(struct vio *vio, struct vio_queue *q);
/* The driver kicks queue `index` by a path that is no doorbell. Without the lock. */
void vio_kick(struct vio *vio, uint32_t index);

/* Any offset and length: what is outside reads as zero. */
void vio_config_read(struct vio *vio, uint64_t offset, void *data, unsigned len);
void vio_config_write(struct vio *vio, uint64_t offset, const void *data, unsigned len);
/* VIRTIO 1.4, 2.5. */
uint8_t vio_generation(struct vio *vio);

/* The interrupt status, and taking bits out of it, which lets the line fall. Any thread. */
uint8_t vio_isr(struct vio *vio);
void vio_isr_ack(struct vio *vio, uint8_t bits);
/* Masks the line (PCI's Interrupt Disable). Any thread. */
void vio_mask_line(struct vio *vio, bool masked);
/* Whether interrupts go through the status and the line; else their descriptors are the
 * transport's to connect. */
void vio_watch(struct vio *vio, bool on);
