/* SPDX-License-Identifier: BSD-3-Clause */
/* The PCI host: bus 0, reached through ECAM. */
#pragma once

#include <pthread.h>

#include "transport/pci_func.h"

#define PCI_HOST_SLOTS 32u

/* Private fields. */
struct pci_host {
	struct vmm *vmm;
	struct pci_func bridge;
	struct pci_slot
		slots[PCI_HOST_SLOTS]; /* slot 0 is the bridge; filled before the guest runs */
	struct bus_range ecam;

	pthread_mutex_t lock; /* of the bridge */
};

/* Puts configuration space at `ecam`: 1 MiB for each bus, of which only the first is not empty. */
int pci_host_init(struct pci_host *h, struct vmm *vmm, uint64_t ecam, uint64_t len, struct err *e);
void pci_host_finish(struct pci_host *h);
/* Puts a function into slot 1..PCI_HOST_SLOTS-1, before the guest runs. */
void pci_host_set(struct pci_host *h, unsigned slot, const struct pci_slot *s);
/* A configuration access on bus 0, of any kind: reads ones where there is nothing, and where PCI
 * allows no such access. Any thread. */
void pci_host_read(struct pci_host *h, unsigned devfn, unsigned offset, void *data, unsigned len);
void pci_host_write(
	struct pci_host *h, unsigned devfn, unsigned offset, const void *data, unsigned len);
