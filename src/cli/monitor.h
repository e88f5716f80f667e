/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of `avp monitor`. */
#pragma once

#include <termios.h>

#include "base/log.h"
#include "base/loop.h"
#include "cli/line.h"
#include "engine/vm.h"
#include "system/jail.h"

/* One --device. Zero-initialise. */
struct monitor_device {
	/* Keys. */
	char *type, *name, *socket;
	bool isolate;
	int transport; /* enum vm_transport */
	uint32_t id, queues, config;
	uint32_t poll;	      /* of one served by a thread here */
	struct opt_list scmi; /* protocols, as board_set_scmi() has them */
	uint32_t scmi_voltages;

	const struct vdev_class *cls; /* NULL: not known here */
	struct vdev *vdev;	      /* served by a thread here; with the loop, until attached */
	struct ev_loop *loop;
	struct log log;
	struct line line; /* of a device served here: its requests come from line_fds[1] */
	int line_fds[2];
};

/* The command line, taken apart. */
struct monitor_args {
	const char *name;
	int control_fd; /* -1: none */
	enum jail_mode jail;
	struct vm_conf conf;
	const char *devices[VM_DEVICES_MAX];
	unsigned ndevices;
};

/* The host side of COM1. */
struct monitor_serial {
	int in_fd, out_fd;
	int other_fd; /* of a PTY, kept open so that the line never hangs up */
	bool raw;     /* the terminal is to be restored */
	struct termios saved;
};

/* The guest's share of the time. */
struct monitor_throttle {
	struct vm *vm;
	struct ev_timer timer;
	unsigned percent; /* 100: not throttled */
	bool holds;	  /* its processors, at the moment */
};

/* Exit status: the boot could not be verified (docs/architecture.md). */
#define EXIT_REFUSED 14

struct monitor {
	struct monitor_args args;
	struct monitor_device devices[VM_DEVICES_MAX]; /* args.ndevices of them */
	struct log log;
	struct ev_loop *loop;
	struct vm *vm;
	struct vm_events events;
	struct monitor_serial serial;
	struct monitor_throttle throttle;
	int vars_fd;	 /* the firmware's variables in flash, locked; -1: none */
	char *vars_disk; /* or the device that they are on, as for --device */
	int signal_fd;
	struct ev_fd signals, control;
	unsigned interrupts; /* SIGINTs seen */
	bool unheard;	     /* the user was told that the guest does not hear the power button */
	uint64_t start_ns;   /* of the process, CLOCK_MONOTONIC */
	struct boot_items boot; /* of a verified boot, until the guest is started */
	int status;
};

/* 0, 1 if the help was printed, or -errno with a message for the user. */
int monitor_parse(struct monitor_args *args, int argc, char **argv, struct err *e);
void monitor_args_free(struct monitor_args *args);

/* Reads what the guest is booted from into m->boot, and checks it. -EPERM: it is not to be trusted;
 * m->status and the supervisor know. Before anything of the guest exists. */
int monitor_boot_verify(struct monitor *m, struct err *e);

/* Finds the firmware, makes its file of variables if there is none and opens it, in m->vars_fd, or
 * as one more device if it is a disk. Between monitor_parse() and the devices' parsing. */
int monitor_firmware_open(struct monitor *m, struct err *e);
void monitor_firmware_close(struct monitor *m);

/* `where`: NULL, "-", "pty" or a path. */
int monitor_serial_open(
	struct monitor_serial *s, const char *where, const struct log *log, struct err *e);
void monitor_serial_close(struct monitor_serial *s);

/* Takes "KEY=VALUE,..." apart; what conf says is the default. */
int monitor_device_parse(
	struct monitor_device *d, const char *text, const struct vm_conf *conf, struct err *e);
/* Opens what a device of this process needs. `log` names the VM; `control_fd` as in monitor_args.
 */
int monitor_device_open(
	struct monitor_device *d, const struct log *log, int control_fd, struct err *e);
/* Passes the operator's request on to the device's thread, which answers the supervisor itself. */
void monitor_device_tell(struct monitor_device *d, const char *request, size_t len);
/* Starts or connects its backend and puts it into the machine. Starts threads. */
int monitor_device_attach(struct monitor_device *d, struct vm *vm, struct err *e);
/* Idempotent; does not touch what is in the machine. */
void monitor_device_free(struct monitor_device *d);
const char *monitor_device_name(const struct monitor_device *d);

/* Closes the jail, leaving what KVM and the devices need. After all is open, before any thread. */
int monitor_jail(const struct monitor *m, struct err *e);

/* With the guest's machine and its loop. */
void monitor_throttle_init(struct monitor_throttle *t, struct vm *vm, struct ev_loop *loop);
/* "1" to "100": percent of the time in which the processors may run. -EINVAL: something else. */
int monitor_throttle_set(struct monitor_throttle *t, const char *percent);
/* Before the machine and the loop go. Accepts a zeroed structure. */
void monitor_throttle_stop(struct monitor_throttle *t);
