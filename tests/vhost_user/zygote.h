/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A back-end process that can be killed and replaced behind the same listening socket, as the
 * supervisor does it. A helper process of one thread does the forking; it is to be started before
 * the test has threads.
 */
#pragma once

#include <sys/types.h>

struct zygote {
	pid_t pid;
	int sock;
	char path[108];
};

/* Starts the helper, which serves the echo device with `hold` from a first process. */
int zygote_start(struct zygote *z, const char *hold);
/* SIGKILL to the back-end process, and wait for its end. */
int zygote_kill(struct zygote *z);
/* The next back-end process. */
int zygote_respawn(struct zygote *z);
void zygote_end(struct zygote *z);
