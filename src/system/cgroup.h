/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control groups, version 2: one group per virtual machine, for its monitor and its device
 * processes. They are PARENT/avp/SYSTEM/VM, where PARENT is the group that this process was started
 * in, which must have been handed to it (systemd: Delegate=yes) or be the root group.
 * See the kernel's Documentation/admin-guide/cgroup-v2.rst. All calls from the supervisor's thread.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Environment variable: a folder to use as PARENT instead of this process's own group. */
#define CGROUP_PARENT_ENV "AVP_CGROUP"

#define CGROUP_NO_LIMIT UINT32_MAX /* cgroup_set_cpu_max() */

/* Controllers, as bits. */
enum cgroup_controller {
	CGROUP_CPU = 1,
	CGROUP_MEMORY = 2,
	CGROUP_CPUSET = 4,
};

/* What one group is limited to; zero means: as the kernel has it. */
struct cgroup_limits {
	uint32_t cpu_weight;  /* 1 to 10000; a group that says nothing has 100 */
	uint32_t cpu_max;     /* percent of one host CPU: 150 is one and a half */
	uint64_t memory_max;  /* bytes; beyond it a process of the group is killed */
	uint64_t memory_high; /* bytes; beyond it the group is slowed down and reclaimed from */
	char *cpuset;	      /* host CPUs as the kernel lists them, "0-2,5"; owned, or NULL */
};

struct cgroups; /* those of one system */
struct cgroup;	/* that of one VM */

/* The controllers that `limits` needs, as bits. */
unsigned cgroup_limits_need(const struct cgroup_limits *limits);

/*
 * Looks, without changing anything, whether groups with the controllers `need` could be made.
 * Returns 0, or -errno with the reason. `parent` NULL: from the environment, or this process's own
 * group.
 */
int cgroups_probe(const char *parent, unsigned need, struct err *e);

/* Removes what a killed predecessor of the same name left; its processes, which die with it, may
 * take a moment. -EBUSY if there are living ones after that. */
int cgroups_clean(const char *parent, const char *system, struct err *e);

/*
 * Makes the system's folder of groups with the controllers `need`. In a delegated group this
 * process moves into a group of its own beside those of the VMs, because a group with controllers
 * for its children may not have processes itself.
 */
int cgroups_open(struct cgroups **groups, const char *parent, const char *system, unsigned need,
	struct err *e);
/* Removes all groups; their processes must have ended. Moves this process back. Accepts NULL. */
void cgroups_close(struct cgroups *groups);

/* Makes (or finds) the group of a VM. It lives as long as `groups`. */
int cgroup_add(struct cgroups *groups, const char *vm, struct cgroup **group, struct err *e);
/* Sets what `limits` says. The error names file, value and what the kernel answered. */
int cgroup_set(struct cgroup *group, const struct cgroup_limits *limits, struct err *e);
/*
 * Changes the processor limit of a group at any time: percent of one host CPU, at least 1;
 * CGROUP_NO_LIMIT: none. Throttling for the sake of temperature is supervisor's
 * isolation_throttle() (isolation.h), which knows the configured limit.
 */
int cgroup_set_cpu_max(struct cgroup *group, uint32_t percent, struct err *e);
/* A descriptor of cgroup.procs: whoever writes "0" into it is in the group. Owned by the group. */
int cgroup_join_fd(const struct cgroup *group);
/* Processor time that the group has used, in microseconds; -errno without a cpu.stat. */
int64_t cgroup_usage_us(const struct cgroup *group);
