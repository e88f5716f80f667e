/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether this host, and this user on it, can give a VM the isolation that its configuration asks
 * for, as far as the monitor has to do with it. Nothing is changed. The supervisor asks before it
 * starts anything, with the limits and capabilities that its monitors will inherit.
 */
#pragma once

#include <sys/resource.h>

#include "engine/vm_conf.h"

/* `key` is that of the system file; `why` is one line: what was tried, what was found, what would
 * help. */
typedef void (*host_lacks_fn)(void *arg, const char *key, const char *why);

/* Calls `lacks` for each thing that cannot be had. */
void host_check(const struct vm_conf *conf, host_lacks_fn lacks, void *arg);

/* The host CPU that `cpu_host` binds a virtual CPU to; -1 in *cpu: none. -ENODEV if this process
 * may not use it. */
int host_cpu_of(const struct vm_conf *conf, unsigned vcpu, int *cpu, struct err *e);

/* Raises the soft limit of a resource to the hard one, which needs no right. */
void host_raise_limit(__rlimit_resource_t what);

/* The highest real-time priority that a thread of the VM needs; 0: none. */
unsigned host_priority(const struct vm_conf *conf);
