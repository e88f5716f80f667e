/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The run-time folder of a system, $XDG_RUNTIME_DIR/avp/NAME; without that variable /run/avp/NAME
 * for root and /tmp/avp-UID/NAME for others. Private, locked by the supervisor while it runs, and
 * removed with everything in it at the end.
 */
#pragma once

#include "base/err.h"

#define RUNDIR_CONTROL "control.sock"

/* The folder's name for a system; with NULL the folder of all systems. Owned by the caller; NULL:
 * no memory. */
char *rundir_path(const char *system);

/* Creates the folder (mode 0700) and takes its lock; what a supervisor that was killed left in it
 * is removed. -EBUSY: the system runs. Returns the lock's descriptor or -errno. */
int rundir_create(const char *path, struct err *e);
/* Removes the folder and everything in it, then lets go of the lock. */
void rundir_remove(const char *path, int lock);
/* 1 if a supervisor runs there, 0 if not, or -errno. */
int rundir_is_live(const char *path);
