/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The board: one emulated computer with hardware virtualization (QEMU without acceleration; AMD SVM
 * or arm64 with EL2), for hosts that have none, or are of another architecture. The same system
 * file and guests run inside; to the user it looks as if they ran here: output, exit status and
 * control socket are carried over vsock, which our own device serves. docs/board.md.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* The values of --board. */
enum board_mode { BOARD_AUTO, BOARD_NONE, BOARD_X86_64, BOARD_ARM64 };

extern const char *const board_mode_words[]; /* by enum board_mode, ends with NULL */

/* The board of one architecture; constant, from board_choose(). */
struct board_arch;

/* What is to run in the board. All strings are the caller's and outlive board_run(). */
struct board_job {
	const struct board_arch *arch;
	const char *program; /* path in the board, or name in /usr or /avp; NULL: the board's avp */
	const char *const *args;  /* its arguments, ends with NULL */
	const char *dir;	  /* absolute path of the working folder, which is shared */
	const char *const *paths; /* absolute paths of files here: their folders are shared */
	unsigned n_paths;
	uint64_t guest_memory; /* bytes of all guests together */
	const char *run_dir;   /* existing private folder of this system, for the board's sockets */
	const char
		*control; /* path of the control socket here; the board listens on it. NULL: none */
	const char *control_inside; /* and inside the board, where avp runs as root */
};

/* The board of an architecture by its word for --board, or this computer's for NULL; NULL: there is
 * none. */
const struct board_arch *board_named(const char *name);

/*
 * The board that a system needs whose guests are for the architecture `guests` (a word of
 * board_mode_words; NULL: this computer's), or NULL if it can run here or is to. With BOARD_AUTO
 * that is so if the guests are for another architecture, if the processor has neither vmx nor svm
 * (a /dev/kvm of its own kind may still exist), or if /dev/kvm cannot be opened: `why` gets the
 * reason in one line; else it becomes empty.
 */
const struct board_arch *board_choose(int mode, const char *guests, char *why, unsigned len);

/*
 * Starts the board, runs the job in it to its end, and returns its exit status (EXIT_*). Standard
 * output and error are the job's. SIGINT, SIGTERM and SIGHUP are passed on to it. Before anything
 * is started, a missing program or folder is answered with -errno and what to install in `e`;
 * likewise a board that does not come up. Nothing stays behind in either case.
 */
int board_run(const struct board_job *job, struct err *e);

/* The command `avp board-agent`: first process of the board. Does not return normally. */
int board_agent(int argc, char **argv);
