/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the board's host side: board_plan.c finds what is needed, board.c runs it. */
#pragma once

#include <sys/types.h>

#include "system/board.h"

#define BOARD_SHARES_MAX 16u
#define BOARD_PATH_MAX	 4096u

/* Everything that is settled before a process starts. Zero-initialise. */
struct board_plan {
	char exe_dir[BOARD_PATH_MAX]; /* folder and name of this program */
	char exe_name[256];
	char qemu[BOARD_PATH_MAX];
	char image[BOARD_PATH_MAX];		      /* folder with vmlinuz and initrd */
	char share[BOARD_SHARES_MAX][BOARD_PATH_MAX]; /* folders shared under tag "s<index>" */
	unsigned nshares;
	char dir[BOARD_PATH_MAX]; /* for the board's sockets and log, inside the run folder */
};

/* Fills the plan; builds the image with guests/board/build if it is not cached. 0 or -errno. */
int board_plan_make(struct board_plan *plan, const struct board_job *job, struct err *e);

/* The paths of the plan's folder: "vhost", "vsock", "vsock_1000", "log". `out` has BOARD_PATH_MAX
 * bytes. */
void board_path(const struct board_plan *plan, const char *name, char *out);

/*
 * Start the vsock device, which serves the socket `listener` at "vhost", and the emulated computer,
 * both with `log_fd` as their output. They do not get the terminal's signals and die with this
 * process. Return the process id or -errno.
 */
pid_t board_start_vsock(const struct board_plan *plan, int listener, int log_fd, struct err *e);
pid_t board_start_qemu(
	const struct board_plan *plan, const struct board_job *job, int log_fd, struct err *e);
