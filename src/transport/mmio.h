/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio-mmio, version 2 (VIRTIO 1.4, 4.2): one device in 512 bytes of registers. */
#pragma once

#include "transport/vio.h"

#define VIRTIO_MMIO_LEN (0x100u + VIO_CONFIG_MAX) /* bytes: registers, configuration space */

/* Private fields. */
struct virtio_mmio {
	struct vio vio;
	struct bus_range range;
	uint64_t base;
	unsigned ndoorbells;
};

/* Puts the device at `base`, interrupting by the line `gsi`. Takes over `be` on success. On the
 * loop's thread, before the guest runs. */
int virtio_mmio_init(struct virtio_mmio *m, struct vmm *vmm, struct vbackend *be, const char *name,
	uint64_t base, uint32_t gsi, struct err *e);
/* After the guest has ended. */
void virtio_mmio_finish(struct virtio_mmio *m);
