/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The x86-64 board: the devices that every guest has (COM1, power, PCI host), the slots for virtio
 * devices, and the description of it all that the guest reads (ACPI).
 */
#pragma once

#include "machine/boot.h"
#include "machine/pm.h"
#include "machine/serial.h"
#include "transport/vmm.h"

/* Private fields, but for boot. */
struct board {
	struct vmm *vmm;
	struct pm pm;
	struct serial serial;
	bool has_serial;
	struct boot boot; /* after board_load(): where the first processor starts */
};

int board_init(struct board *b, struct vmm *vmm, void (*event)(void *arg, enum pm_event what),
	void *arg, struct err *e);
/* Accepts a zeroed structure. */
void board_finish(struct board *b);

/* Gives COM1 its host side; without it the port does not exist. */
int board_set_serial(struct board *b, int in_fd, int out_fd, struct err *e);
/* Loads the files of b->boot. */
int board_load(struct board *b, struct err *e);
/* Writes the ACPI tables, when all devices are there. */
int board_describe(struct board *b, unsigned ncpus, struct err *e);
