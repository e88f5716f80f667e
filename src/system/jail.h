/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The jail of device, switch and monitor processes (docs/architecture.md, rule 5): after it closes,
 * a process that a guest has taken over can do no more than serve that guest.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "virtio/device.h"

#define JAIL_PATHS_MAX 8u
#define JAIL_TYPES_MAX 4u

enum jail_mode {
	JAIL_BEST_EFFORT, /* a layer the kernel lacks is logged and left out; seccomp is never */
	JAIL_REQUIRED,	  /* a missing layer is an error */
	JAIL_OFF,	  /* no jail at all: for debugging */
};

/* The words of `jail:` and --jail, in the order of enum jail_mode. */
extern const char *const jail_mode_words[];

/* What a process may do beyond the common minimum. Nothing in it is owned. */
struct jail_profile {
	enum jail_mode mode;
	/* Further system calls by name, ends with NULL; or NULL. "openat" and the like only lead to
	 * the folders below, "socket" only to Unix sockets, "ioctl" needs a request below. */
	const char *const *syscalls;
	const unsigned long *ioctls; /* request numbers, ends with 0; or NULL */
	/* All requests of these type bytes as well, e.g. KVMIO; 0: none. */
	uint8_t ioctl_types[JAIL_TYPES_MAX];
	/* Folders that stay reachable under their own (absolute) names, for reading and writing. */
	const char *paths[JAIL_PATHS_MAX];
	unsigned npaths;
	bool network; /* stays in the network namespace it is in */
};

/*
 * Closes the jail around this process, for good: no new privileges, namespaces of its own, an empty
 * file system, Landlock, limits, a user id of its own, no capabilities, seccomp. To be called when
 * everything is open and before the first thread is started. A process of root changes to a user id
 * that nobody else has, or, if it has folders to reach, to that of the first one's owner.
 *
 * Layers that the kernel does not provide are reported to `log`, one line each. Returns 0 or
 * -errno; after an error the process is in an undefined state and must exit.
 */
int jail_enter(const struct jail_profile *profile, const struct log *log, struct err *e);

/*
 * The profile of a device process from its class's registration: system calls, requests, and the
 * folders of the files that its path keys name. Strings are allocated in `profile->paths`.
 */
int jail_for_device(struct jail_profile *profile, const struct vdev *dev, struct err *e);
/* Adds the folder of the file `path`, once. */
int jail_add_folder(struct jail_profile *profile, const char *path, struct err *e);
/* Frees what these two allocated. */
void jail_profile_free(struct jail_profile *profile);
