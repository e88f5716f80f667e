/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The x86-64 board: the devices that every guest has (COM1, power, PCI host), the slots for virtio
 * devices, and the description of it all that the guest reads (ACPI).
 */
#pragma once

#include "machine/boot.h"
#include "machine/pci_host.h"
#include "machine/pm.h"
#include "machine/serial.h"
#include "transport/mmio.h"
#include "transport/pci.h"

/* Private fields, but for boot. */
struct board {
	struct vmm *vmm;
	struct pm pm;
	struct pci_host pci;
	struct serial serial;
	bool has_serial;
	struct virtio_pci *pci_devs[BOARD_PCI_SLOTS];
	struct virtio_mmio *mmio_devs[BOARD_VIRTIO_SLOTS];
	unsigned npci, nmmio;
	struct boot boot; /* after board_load(): where the first processor starts */
};

/* `event` comes from a vCPU thread. */
int board_init(struct board *b, struct vmm *vmm, void (*event)(void *arg, enum pm_event what),
	void *arg, struct err *e);
/* After the guest has ended. Accepts a zeroed structure. */
void board_finish(struct board *b);

/* All before the guest runs. */

/* Gives COM1 its host side; without it the port does not exist. */
int board_set_serial(struct board *b, int in_fd, int out_fd, struct err *e);
/* Puts a device into the next slot; takes over `be` on success. */
int board_add_pci(
	struct board *b, struct vbackend *be, const char *name, uint32_t pci_class, struct err *e);
int board_add_mmio(struct board *b, struct vbackend *be, const char *name, struct err *e);
/* Loads the files of b->boot. */
int board_load(struct board *b, struct err *e);
/* Writes the ACPI tables, when all devices are there. */
int board_describe(struct board *b, unsigned ncpus, struct err *e);
