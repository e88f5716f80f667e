/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Telling the service manager how the system is: the protocol of sd_notify(3), datagrams to the
 * socket that the environment names. Without one nothing is sent. The thread of the supervisor's
 * loop.
 */
#pragma once

#include "base/err.h"

struct notify;
struct supervisor;

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that the system's
 * processes do not have them. *out stays NULL if nobody wants to know. */
int notify_open(struct notify **out, struct supervisor *s, struct err *e);
/* Accepts NULL. */
void notify_close(struct notify *n);
/* Something may have changed: sends READY=1 when all VMs that start with the system are ready or
 * have ended, STOPPING=1 when it ends, and a STATUS= with each change. Accepts NULL. */
void notify_look(struct notify *n);
