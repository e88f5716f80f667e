/* SPDX-License-Identifier: BSD-3-Clause */
/* What a device of the board tells the owner of the machine. */
#pragma once

enum machine_event { MACHINE_POWER_OFF, MACHINE_RESET };

/* Comes from a vCPU thread. */
typedef void machine_event_fn(void *arg, enum machine_event what);
