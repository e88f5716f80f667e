/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Isolation of time and memory, as the supervisor gives it to the VMs of a system: control groups,
 * shares of cache and memory bandwidth, and a look at whether this host can give what the file asks
 * for. What a VM's own processes do about it (real-time threads, locked memory, the miss budget) is
 * the monitor's: src/engine/isolate.c. All calls from the supervisor's thread.
 */
#pragma once

#include "system/config.h"
#include "system/proc.h"

struct isolation;

/* One thing that the file asks for and this host cannot give. */
struct shortfall {
	const struct conf_vm *vm;
	const char *key; /* "cgroup", "sched", "resctrl", ...: static */
	bool monitors;	 /* the monitor will notice, and say so itself */
	char text[512];	 /* what was tried, what was found, what would help */
};

/* Zero-initialise. */
struct shortfalls {
	struct shortfall *v;
	unsigned n;
	unsigned fatal; /* of them are of VMs with `isolation: required` */
};

void shortfalls_free(struct shortfalls *list);

/* Compares the file with this host, without changing anything. 0 with a list that may be empty, or
 * -ENOMEM. */
int isolation_check(struct shortfalls *list, const struct conf *conf);

/*
 * Looks, and if nothing fatal was found makes the groups that the file asks for; a group for each
 * VM if `throttling` says that isolation_throttle() will be called. What the host cannot give is in
 * the list. -errno only where that is no matter of the host: no memory, processes of a killed
 * predecessor that do not end.
 */
int isolation_open(struct isolation **iso, const struct conf *conf, bool throttling,
	struct shortfalls *list, struct err *e);
/* When all processes have ended: removes the groups. Accepts NULL. */
void isolation_close(struct isolation *iso);

/* Where a process of `vm` is to start: its groups, and its policy if it is a device's. */
struct proc_place isolation_place(
	const struct isolation *iso, const struct conf_vm *vm, bool is_device);

/*
 * Throttles a VM with its device processes: its group gets `percent` (1 to 99) of the processor
 * time that its virtual CPUs could use at most, or the configured cpu-max if that is less; 100
 * lifts the throttle. -ENOTSUP where there are no groups.
 */
int isolation_throttle(
	struct isolation *iso, const struct conf_vm *vm, unsigned percent, struct err *e);
