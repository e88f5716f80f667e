/* SPDX-License-Identifier: BSD-3-Clause */
/* What a device of the board tells the owner of the machine. */
#pragma once

enum machine_event {
	MACHINE_POWER_OFF,
	MACHINE_RESET,
	MACHINE_SUSPEND,	     /* to RAM, by firmware that is this program's: ACPI S3 */
	MACHINE_WATCHDOG_PRETIMEOUT, /* the guest did not feed it, and has a second chance */
	MACHINE_WATCHDOG_EXPIRED,    /* nor that */
};

/* Comes from a vCPU thread; what a watchdog says, from that of the machine's loop. */
typedef void machine_event_fn(void *arg, enum machine_event what);
