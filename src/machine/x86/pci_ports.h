/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports 0xcf8 and 0xcfc, a PC's way to PCI configuration space (PCI Local Bus 3.0, 3.2.2.3.2). */
#pragma once

#include <pthread.h>

#include "machine/pci_host.h"

/* Private fields. */
struct pci_ports {
	struct vmm *vmm;
	struct pci_host *host;
	struct bus_range range;
	const struct bus_range *reset; /* the single port inside the address port */

	pthread_mutex_t lock;
	uint32_t address;
};

/* `reset` answers single-byte accesses at port 0xcf9. Both must outlive the ports. */
int pci_ports_init(struct pci_ports *p, struct vmm *vmm, struct pci_host *host,
	const struct bus_range *reset, struct err *e);
/* Accepts a zeroed structure. */
void pci_ports_finish(struct pci_ports *p);
