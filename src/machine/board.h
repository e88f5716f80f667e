/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The board: the devices that every guest has, the slots for virtio devices, and the description of
 * it all that the guest reads. board.c has what all boards have; x86/board.c or arm64/board.c, the
 * one of the host's architecture, has the rest.
 */
#pragma once

#include "machine/boot.h"
#include "machine/event.h"
#include "machine/pci_host.h"
#include "transport/mmio.h"
#include "transport/pci.h"

#define BOARD_MMIO_MAX 128u
#define BOARD_RAM_MAX  2u

/* Where virtio devices go; constants of a board. */
struct board_places {
	uint64_t ecam, ecam_len; /* PCI configuration space */
	uint32_t pci_window;	 /* BARs from here on */
	uint32_t pci_irq;	 /* the first of PCI_HOST_PINS lines that PCI functions share */
	uint64_t mmio;		 /* the first virtio-mmio device, */
	uint32_t mmio_stride;	 /* bytes from one to the next */
	uint32_t mmio_irq;	 /* and the lines: one each, */
	uint32_t mmio_nirqs;	 /* or shared, if these are fewer than the devices */
};

/* Guest RAM in one piece. */
struct board_ram {
	uint64_t gpa, size; /* bytes */
};

/* Devices that only this architecture's board has. */
struct board_own;

/* Private fields, but for boot. */
struct board {
	struct vmm *vmm;
	struct board_own *own;
	struct pci_host pci;
	struct virtio_pci *pci_devs[PCI_HOST_DEVICES * PCI_HOST_FUNCTIONS];
	struct virtio_mmio *mmio_devs[BOARD_MMIO_MAX];
	unsigned npci, nmmio;
	uint32_t scmi_protocols, scmi_voltages; /* of board_set_scmi() */
	struct boot boot; /* after board_load(): where the first processor starts */
};

/* How `size` bytes of RAM lie in the address space: the number of pieces, -ENOSPC if there are
 * more bytes than this board has room for. */
int board_ram(uint64_t size, struct board_ram ram[BOARD_RAM_MAX], struct err *e);

/* vmm->gm has the guest's RAM. */
int board_init(struct board *b, struct vmm *vmm, machine_event_fn *event, void *arg, struct err *e);
/* After the guest has ended. Accepts a zeroed structure. */
void board_finish(struct board *b);

/* All before the guest runs. */

/* Gives the serial port its host side; without it the port does not exist. */
int board_set_serial(struct board *b, int in_fd, int out_fd, struct err *e);
/* Adds a device after those that are there; takes over `be` on success. */
int board_add_pci(
	struct board *b, struct vbackend *be, const char *name, uint32_t pci_class, struct err *e);
int board_add_mmio(struct board *b, struct vbackend *be, const char *name, struct err *e);
/* Gives PCI devices their places, when all are there. */
void board_place(struct board *b);
/* Adds the watchdog of the architecture: i6300esb on PCI, or Arm's generic one. `event` as for
 * board_init(). */
int board_add_watchdog(struct board *b, machine_event_fn *event, void *arg, struct err *e);
/* Loads the files of b->boot. */
int board_load(struct board *b, struct err *e);
/* What the guest finds behind its SCMI device, for the description; ACPI has no place for it. Bit i
 * of `protocols` is protocol 0x10 + i, 0: there is no device; `voltages` is the number of domains.
 */
void board_set_scmi(struct board *b, uint32_t protocols, uint32_t voltages);
/* Writes the description, when all devices are in their places. */
int board_describe(struct board *b, unsigned ncpus, struct err *e);

/* The guest stands still / goes on, and its watchdog with it. On the loop's thread. */
void board_hold(struct board *b, bool hold);
/* Presses the power button; false if the guest does not listen to it. On vmm->loop's thread. */
bool board_power_button(struct board *b);
/* The same for the sleep button, on which a guest suspends itself to RAM. */
bool board_sleep_button(struct board *b);
/* x86-64: the guest is woken from ACPI S3. Returns the address where its first processor starts in
 * real mode; 0: it has named none. Any thread. */
uint32_t board_wake(struct board *b);

/* For board.c: the own part of the architecture. */

extern const struct board_places board_places;
int board_own_init(struct board *b, machine_event_fn *event, void *arg, struct err *e);
/* Accepts a board that has none. */
void board_own_finish(struct board *b);
