/* SPDX-License-Identifier: BSD-3-Clause */
/* From a configuration to the processes that make it run: their command lines and sockets. */
#pragma once

#include "system/config.h"

/* Descriptors of a process: 0 is /dev/null, 1 and 2 its log. */
#define PLAN_FD_CONTROL 3
#define PLAN_FD_SOCKETS 4 /* the first of its listening sockets, in the order of `sockets` */

enum plan_kind { PLAN_MEDIUM, PLAN_DEVICE, PLAN_MONITOR };

/* One process. */
struct plan_proc {
	enum plan_kind kind;
	char *name; /* "car", "ivi/blk0", "ivi"; unique */
	/* What it is for; NULL where it does not apply. They belong to the configuration. */
	const struct conf_vm *vm;
	const struct conf_device *device;
	const struct conf_medium *medium;
	char **argv; /* from argv[0] = "avp"; ends with NULL */
	unsigned argc;
	char **sockets; /* paths of the listening sockets it is handed */
	unsigned nsockets;
};

/* Media first, then devices, then monitors in the order of the file. */
struct plan {
	struct plan_proc *procs;
	unsigned n;
	/* Folders to be made in the run-time folder, parents first. */
	char **folders;
	unsigned nfolders;
};

/* `run_dir` is absolute and need not exist. The configuration must outlive the plan. */
int plan_make(struct plan **plan, const struct conf *conf, const char *run_dir, struct err *e);
/* Accepts NULL. */
void plan_free(struct plan *plan);

/* The file with a VM's UEFI variables: what the file says, or beside it SYSTEM.VM.efivars. NULL: no
 * memory. Owned by the caller. */
char *plan_vars_path(const struct conf *conf, const struct conf_vm *vm);
/* The console socket (for `avp console`) and the vsock socket of a device in `run_dir`, or where
 * the file puts them; NULL if there is none or no memory. Owned by the caller. */
char *plan_console_path(const struct conf_vm *vm, const struct conf_device *d, const char *run_dir);
char *plan_vsock_path(const struct conf_vm *vm, const struct conf_device *d, const char *run_dir);
