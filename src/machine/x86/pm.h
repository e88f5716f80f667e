/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Power: the ACPI fixed registers PM1 (ACPI 6.5, 4.8.3) with power button and soft-off, and the two
 * ports by which a PC is reset.
 */
#pragma once

#include <pthread.h>

#include "machine/event.h"
#include "transport/vmm.h"

/* Private fields. */
struct pm {
	struct vmm *vmm;
	struct bus_range pm1, i8042;
	struct bus_range reset; /* lies inside PCI's address port, so the PCI host passes it on */
	machine_event_fn *event;
	void *arg;

	pthread_mutex_t lock; /* of all below */
	uint16_t status, enable, control;
	bool line;
};

/* Registers the ports. */
int pm_init(struct pm *pm, struct vmm *vmm, machine_event_fn *event, void *arg, struct err *e);
void pm_finish(struct pm *pm);
/* Presses the power button: the guest's operating system shuts down, if it cares. Any thread.
 * Returns false if the guest has not enabled the button. */
bool pm_power_button(struct pm *pm);
