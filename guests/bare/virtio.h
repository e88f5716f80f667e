/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtio devices of the machine, opened and with interrupts where there are some. */
#pragma once

#include "drivers/mmio.h"
#include "drivers/pci.h"
#include "guests/bare/bare.h"

#define BARE_VIRTIO_MAX	    128
#define BARE_VIRTIO_VECTORS 8 /* MSI-X messages of a device, at most */

struct bare_virtio;

/* One message of a device. */
struct bare_message {
	struct bare_virtio *device;
	uint16_t vector;
};

struct bare_virtio {
	struct drv_dev *dev; /* that of `pci` or `mmio` */
	bool is_pci;
	uint64_t where;		/* PCI: bus << 8 | device << 3 | function; MMIO: address */
	const char *interrupts; /* "MSI-X", "INTx", "line" or "none" */
	union {
		struct drv_pci pci;
		struct drv_mmio mmio;
	};
	struct bare_message messages[BARE_VIRTIO_VECTORS];
};

/* All devices of a machine. `host` must stay where it is while they are used. */
struct bare_virtio_list {
	bool intx; /* set before looking for them: INTx although there is MSI-X */
	struct drv_platform platform;
	struct drv_pci_host host;
	struct bare_virtio devices[BARE_VIRTIO_MAX];
	unsigned n;
};

/* Access to a host bridge. False: its registers are out of reach. */
bool bare_pci_host(struct drv_pci_host *h, const struct bare_pci *pci);
/* The hooks of drivers/ for this platform. */
void bare_drv_platform(struct drv_platform *platform);
/* Finds and opens all devices, each with `memory` bytes for its rings. */
void bare_virtio_find(struct bare_virtio_list *list, const struct bare_info *info, size_t memory);
/* The n-th device with that ID; NULL: there are not so many. */
struct bare_virtio *bare_virtio_get(struct bare_virtio_list *list, uint16_t id, unsigned n);
