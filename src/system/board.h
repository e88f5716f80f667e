/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The board: one emulated computer with hardware virtualization (QEMU without acceleration, AMD
 * SVM), for hosts that have none. The same system file, avp and guests run inside; to the user it
 * looks as if they ran here: output, exit status and control socket are carried over vsock, which
 * our own device serves. docs/board.md.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* The values of --board. */
enum board_mode { BOARD_AUTO, BOARD_NONE, BOARD_X86_64 };

extern const char *const board_mode_words[]; /* by enum board_mode, ends with NULL */

/* What is to run in the board. All strings are the caller's and outlive board_run(). */
struct board_job {
	const char *system_file; /* absolute path */
	const char *const
		*paths; /* absolute paths that the system file names: their folders are shared */
	unsigned n_paths;
	char *const *args; /* more arguments for `avp run` inside, ends with NULL; may be NULL */
	uint64_t guest_memory; /* bytes of all guests together */
	const char *run_dir;   /* existing private folder of this system, for the board's sockets */
	const char *control;   /* the control socket's path here; the board listens on it */
	const char *control_inside; /* and inside the board, where avp runs as root */
};

/* True if KVM cannot run stock guests here: the processor has neither vmx nor svm (a /dev/kvm of
 * its own kind may still exist), or /dev/kvm cannot be opened. `why` gets the reason in one line.
 */
bool board_is_needed(char *why, unsigned len);

/*
 * Starts the board, runs the job in it to its end, and returns its exit status (EXIT_*). Standard
 * output and error are the job's. SIGINT, SIGTERM and SIGHUP are passed on to it. Before anything
 * is started, a missing program or folder is answered with -errno and what to install in `e`;
 * likewise a board that does not come up. Nothing stays behind in either case.
 */
int board_run(const struct board_job *job, struct err *e);

/* The command `avp board-agent`: first process of the board. Does not return normally. */
int board_agent(int argc, char **argv);
