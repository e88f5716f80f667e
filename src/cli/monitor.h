/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of `avp monitor`. */
#pragma once

#include <termios.h>

#include "base/log.h"
#include "base/loop.h"
#include "engine/vm.h"

#define MONITOR_DEVICES_MAX 32

/* The command line, taken apart. */
struct monitor_args {
	const char *name;
	int control_fd; /* -1: none */
	struct vm_conf conf;
	const char *devices[MONITOR_DEVICES_MAX];
	unsigned ndevices;
};

/* The host side of COM1. */
struct monitor_serial {
	int in_fd, out_fd;
	int other_fd; /* of a PTY, kept open so that the line never hangs up */
	bool raw;     /* the terminal is to be restored */
	struct termios saved;
};

struct monitor {
	struct monitor_args args;
	struct log log;
	struct ev_loop *loop;
	struct vm *vm;
	struct vm_events events;
	struct monitor_serial serial;
	int signal_fd;
	struct ev_fd signals, control;
	unsigned interrupts; /* SIGINTs seen */
	uint64_t start_ns;   /* of the process, CLOCK_MONOTONIC */
	int status;
};

/* 0, 1 if the help was printed, or -errno with a message for the user. */
int monitor_parse(struct monitor_args *args, int argc, char **argv, struct err *e);
void monitor_args_free(struct monitor_args *args);

/* `where`: NULL, "-", "pty" or a path. */
int monitor_serial_open(
	struct monitor_serial *s, const char *where, const struct log *log, struct err *e);
void monitor_serial_close(struct monitor_serial *s);
