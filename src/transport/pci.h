/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio-pci, modern only (VIRTIO 1.4, 4.1): one device as a PCI function. */
#pragma once

#include "transport/pci_func.h"
#include "transport/pci_msix.h"
#include "transport/vio.h"

#define VIRTIO_PCI_BAR_LEN 0x8000u

/* Private fields. vio.lock guards everything. */
struct virtio_pci {
	struct vio vio;
	struct pci_func func;
	struct msix msix;
	unsigned cfg_cap; /* offset of the PCI configuration access capability */
};

/* Creates the function; `pci_class` has 24 bits. Takes over `be` on success. On the loop's thread,
 * before the guest runs. */
int virtio_pci_init(struct virtio_pci *p, struct vmm *vmm, struct vbackend *be, const char *name,
	uint32_t pci_class, struct err *e);
/* Tells it its place, before the guest runs; the PCI host is told separately. */
void virtio_pci_place(struct virtio_pci *p, const struct pci_place *at);
/* After the guest has ended. */
void virtio_pci_finish(struct virtio_pci *p);
/* The function, for the PCI host. */
struct pci_slot virtio_pci_slot(struct virtio_pci *p);
