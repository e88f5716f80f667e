/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the board's host side: board_arch.c says what is emulated, board_plan.c finds what is
 * needed, board.c runs it. */
#pragma once

#include <sys/types.h>

#include "system/board.h"

#define BOARD_SHARES_MAX 16u
#define BOARD_PATH_MAX	 4096u

/* What is particular to one architecture's board. */
struct board_arch {
	const char *name;    /* the word for --board; part of the name of a cross build's folder */
	const char *machine; /* what uname(2) calls it */
	const char *debian;  /* what Debian calls it */
	const char *qemu;    /* the emulator, */
	const char *package; /* and Debian's package that has it */
	const char *kernel_args; /* where its kernel writes messages, and what it must not check */
	const char *const *args; /* of QEMU: machine and processors; ends with NULL */
};

/* True if this computer is of that architecture: programs of here run in the board. */
bool board_arch_is_host(const struct board_arch *arch);

/* Everything that is settled before a process starts. Zero-initialise. */
struct board_plan {
	char own_dir[BOARD_PATH_MAX]; /* folder of this program */
	char exe_dir[BOARD_PATH_MAX]; /* folder and name of the avp that runs in the board */
	char exe_name[256];
	char qemu[BOARD_PATH_MAX];
	char image[BOARD_PATH_MAX];		      /* folder with vmlinuz and initrd */
	char usr[BOARD_PATH_MAX];		      /* folder that becomes the board's /usr */
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
