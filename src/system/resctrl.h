/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shares of cache and memory bandwidth through the kernel's resctrl file system (Intel RDT, AMD
 * QoS, Arm MPAM): one resource group per VM, avp.SYSTEM.VM, for its monitor and its device
 * processes. See the kernel's Documentation/filesystems/resctrl.rst. All calls from one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define RESCTRL_PATH "/sys/fs/resctrl"
/* Environment variable: a folder to use instead of RESCTRL_PATH. */
#define RESCTRL_ENV "AVP_RESCTRL"

/*
 * What a VM is to have; owned strings, NULL: as the kernel gives it. Each is a value for all
 * domains (caches, memory controllers), or "ID=VALUE;ID=VALUE" by domain. A value is
 *   l2, l3   "50%": a share of its own, which no other VM of the system gets; or a bit mask in
 *            hexadecimal, "0xff0", which may overlap
 *   mb       a number as the host counts bandwidth: percent (the sign may be left out), or MB/s
 */
struct resctrl_limits {
	char *l2, *l3, *mb;
};

struct resctrl;
struct resctrl_group;

/* True if anything is asked for. */
bool resctrl_wanted(const struct resctrl_limits *limits);
/* Whether the texts can be read at all, on whatever host. -EINVAL with the key in *key. */
int resctrl_limits_check(const struct resctrl_limits *limits, const char **key, struct err *e);

/* Reads what the host has, changing nothing. -ENOTSUP with the reason where there is no resctrl.
 * `path` NULL: from the environment, or RESCTRL_PATH. */
int resctrl_open(struct resctrl **r, const char *path, struct err *e);
/* Removes the groups that were made. Accepts NULL. */
void resctrl_close(struct resctrl *r);

/*
 * Works out the schemata lines of a VM, and takes its shares of the cache: VMs are given theirs in
 * the order of the calls, from the high bits down. Changes nothing. -ENOTSUP, -EINVAL or -ENOSPC
 * with what the host has and what was asked for. A failed call takes nothing.
 */
int resctrl_plan(struct resctrl *r, const struct resctrl_limits *limits, char *schemata, size_t len,
	struct err *e);

/* Removes the groups of a system that a killed predecessor left. */
void resctrl_clean(const struct resctrl *r, const char *system);
/* Makes the group of a VM with these schemata. It lives as long as `r`. */
int resctrl_add(struct resctrl *r, const char *system, const char *vm, const char *schemata,
	struct resctrl_group **group, struct err *e);
/* A descriptor of the group's tasks file: whoever writes "0" into it is in the group. */
int resctrl_join_fd(const struct resctrl_group *group);
