/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the guests of examples/gateway.yaml say to each other: signals on CAN FD, each with the time
 * of its measurement. And what all of them need.
 */
#pragma once

#include "drivers/can.h"
#include "drivers/console.h"
#include "guests/bare/virtio.h"

#define MS	      UINT64_C(1000000)
#define SECOND	      (1000 * MS)
#define DEVICE_MEMORY (128u << 10)

/* CAN identifiers: the lower, the more urgent. */
#define SIGNAL_ENGINE  0x0c9u /* classic, of a control unit that is not here: a recording */
#define SIGNAL_SPEED   0x120u
#define SIGNAL_COOLANT 0x121u
#define SIGNAL_END     0x7f0u /* the drive is over */

/* A signal on the bus, little-endian. */
struct signal {
	int32_t value;	 /* speed: 0.01 m/s; coolant: 0.1 degrees Celsius */
	uint32_t number; /* 0, 1, 2, ... of this identifier */
	uint64_t time;	 /* of the measurement, nanoseconds of the host's monotonic clock */
};

/* Where a guest writes its lines: to its console, or without one to the serial port. */
struct teller {
	const char *name;
	struct drv_console console;
	bool has_console;
};

/* Finds all devices, opens the console, if there is one. */
void teller_open(struct teller *t, const char *name, struct bare_info *info,
	struct bare_virtio_list *devices);
/* One line. Knows %s, %u (uint64_t), %h (int64_t, hundredths) and %t (uint64_t, nanoseconds, shown
 * as seconds); it is cut if it is too long. */
void tell(struct teller *t, const char *fmt, ...);
/* The n-th CAN controller, opened and on its bus. */
int open_can(struct drv_can *can, struct bare_virtio_list *devices, unsigned n);
/* Says what failed, and with what result of drivers/; returns `result`. */
int failed(struct teller *t, const char *what, int result);
