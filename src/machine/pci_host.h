/* SPDX-License-Identifier: BSD-3-Clause */
/* The PCI host: bus 0, reached through ECAM and through ports 0xcf8/0xcfc. */
#pragma once

#include <pthread.h>

#include "machine/layout.h"
#include "transport/pci_func.h"

/* Private fields. */
struct pci_host {
	struct vmm *vmm;
	struct pci_func bridge;
	struct pci_slot
		slots[BOARD_PCI_SLOTS]; /* slot 0 is the bridge; filled before the guest runs */
	struct bus_range ports, ecam;
	const struct bus_range *reset; /* the single port inside the address port */

	pthread_mutex_t lock; /* of the bridge and the address */
	uint32_t address;
};

/* `reset` answers single-byte accesses at port 0xcf9. */
int pci_host_init(
	struct pci_host *h, struct vmm *vmm, const struct bus_range *reset, struct err *e);
void pci_host_finish(struct pci_host *h);
/* Puts a function into slot 1..BOARD_PCI_SLOTS-1, before the guest runs. */
void pci_host_set(struct pci_host *h, unsigned slot, const struct pci_slot *s);
