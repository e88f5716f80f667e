/* SPDX-License-Identifier: BSD-3-Clause */
/* The layers of the jail, for jail.c. Each returns 0 or -errno. */
#pragma once

#include "system/jail.h"

/* Replaces the root by an empty, read-only tmpfs that holds the profile's folders. Needs a mount
 * namespace of its own and CAP_SYS_ADMIN in it. */
int jail_root(const struct jail_profile *profile, struct err *e);
/* Landlock: nothing but the profile's folders, no TCP, no signals or abstract sockets outside.
 * -EOPNOTSUPP if the kernel has none. */
int jail_landlock(const struct jail_profile *profile, struct err *e);
/* The system call filter; the last layer. */
int jail_seccomp(const struct jail_profile *profile, struct err *e);
