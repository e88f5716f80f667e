/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Isolation of time and memory, as the supervisor gives it to the VMs of a system: control groups,
 * resource groups of cache and memory bandwidth, and a look at whether this host can give what the
 * file asks for. What a VM's own processes do about it (real-time policies, locked memory, the miss
 * budget) is the monitor's: src/engine/isolation.h.
 */
#pragma once

#include "base/log.h"
#include "system/config.h"

struct isolation;

/* One thing that the file asks for and this host cannot give. */
struct shortfall {
	const struct conf_vm *vm;
	const char *key; /* "cgroup", "sched", "resctrl", ...: static */
	bool fatal;	 /* the VM has `isolation: required` */
	char text[512];	 /* what was tried, what was found, what would help */
};

struct shortfalls {
	struct shortfall *v;
	unsigned n;
};

/*
 * Compares the file with this host, without changing anything. 0 with a list that may be empty, or
 * -ENOMEM.
 */
int isolation_check(struct shortfalls *list, const struct conf *conf);
void shortfalls_free(struct shortfalls *list);

/*
 * Makes the groups that the file asks for, and those that a thermal policy needs. What the host
 * cannot give is in `list` (from isolation_check(), extended). -errno only if memory runs out.
 */
int isolation_open(struct isolation **iso, const struct conf *conf, struct shortfalls *list);
/* When all processes have ended. Accepts NULL. */
void isolation_close(struct isolation *iso);

/* The most descriptors that isolation_join() returns. */
#define ISOLATION_JOIN_MAX 2u
/* The files into which a process of `vm` writes "0" before it becomes what it is to be. They belong
 * to `iso`. Returns their number. */
unsigned isolation_join(const struct isolation *iso, const struct conf_vm *vm, int *fds);

/*
 * Throttles a VM: its group gets `percent` (1 to 100) of the processor time that its virtual CPUs
 * could use at most, or of the configured cpu-max if that is less; 100 lifts the throttle. Its
 * device processes are in the same group. -ENOTSUP where there are no groups.
 */
int isolation_throttle(
	struct isolation *iso, const struct conf_vm *vm, unsigned percent, struct err *e);
