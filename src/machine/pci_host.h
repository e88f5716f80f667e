/* SPDX-License-Identifier: BSD-3-Clause */
/* The PCI host: bus 0, reached through ECAM. */
#pragma once

#include <pthread.h>

#include "transport/pci_func.h"

#define PCI_HOST_SLOTS	    32u
#define PCI_HOST_FUNCTIONS  8u	/* of one slot */
#define PCI_HOST_PINS	    4u	/* INTA# to INTD#; and as many interrupt lines has the host */
#define PCI_HOST_DEVICES    30u /* slots of virtio devices, from 1 on; slot 0 is the bridge */
#define PCI_HOST_BOARD_SLOT 31u /* for what else the board has */

/* Private fields. */
struct pci_host {
	struct vmm *vmm;
	struct pci_func bridge;
	/* By slot and function; filled before the guest runs. */
	struct pci_slot functions[PCI_HOST_SLOTS * PCI_HOST_FUNCTIONS];
	struct bus_range ecam;

	pthread_mutex_t lock; /* of the bridge */
};

/* Puts configuration space at `ecam`: 1 MiB for each bus, of which only the first is not empty. */
int pci_host_init(struct pci_host *h, struct vmm *vmm, uint64_t ecam, uint64_t len, struct err *e);
void pci_host_finish(struct pci_host *h);
/* Puts a function at `devfn` (8 times the slot plus the function), before the guest runs. A slot
 * that has any has a function 0. */
void pci_host_set(struct pci_host *h, unsigned devfn, const struct pci_slot *s);
/* Where device i of n goes: into a slot of its own if they are enough, else as many into each as it
 * takes, in order. n is at most PCI_HOST_DEVICES * PCI_HOST_FUNCTIONS. */
unsigned pci_host_devfn(unsigned i, unsigned n);
/* The interrupt pin of a function, 1 to 4; function 0 has INTA#. */
uint8_t pci_host_pin(unsigned devfn);
/* Which of the host's interrupt lines the pin of this slot leads to: they turn by one from slot to
 * slot, as behind a bridge (PCI-to-PCI Bridge Architecture 1.2, 9.1). */
unsigned pci_host_line(unsigned slot, uint8_t pin);
/* A configuration access on bus 0, of any kind: reads ones where there is nothing, and where PCI
 * allows no such access. Any thread. */
void pci_host_read(struct pci_host *h, unsigned devfn, unsigned offset, void *data, unsigned len);
void pci_host_write(
	struct pci_host *h, unsigned devfn, unsigned offset, const void *data, unsigned len);
