/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Power: the ACPI fixed registers PM1 (ACPI 6.5, 4.8.3) with power button, sleep button, soft-off
 * and suspend to RAM, and the two ports by which a PC is reset.
 */
#pragma once

#include <pthread.h>

#include "machine/event.h"
#include "transport/vmm.h"

/* Sleep types of PM1 control, as the packages \_S3 and \_S5 say. */
#define PM_SLEEP_RAM 1u
#define PM_SLEEP_OFF 5u

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
/* Presses the sleep button: the guest's operating system suspends itself. As above. */
bool pm_sleep_button(struct pm *pm);
/* The guest is about to go on after a suspend to RAM, and finds out from the status. Any thread. */
void pm_wake(struct pm *pm);
