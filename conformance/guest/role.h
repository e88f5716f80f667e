/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the test guest may do in place of judging: role=NAME on its command line.
 *
 *     neighbour      works beside a hostile guest until its power button is pressed
 *     persist-write  writes, flushes, says "AVPC ready flushed" and waits to be killed
 *     persist-check  looks whether what persist-write wrote is there
 */
#pragma once

#include "conformance/cf.h"
#include "guests/bare/virtio.h"

/* Returns what bare_main() is to return. */
int role_run(struct bare_info *info, struct bare_virtio_list *devices, const char *role);

int role_neighbour(struct bare_virtio_list *devices);
int role_persist(struct bare_virtio_list *devices, bool check);

/* A line for the runner. */
void role_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
