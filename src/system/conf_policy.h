/* SPDX-License-Identifier: BSD-3-Clause */
/* When a VM is started, when it counts as ready, and what follows its end (docs/supervision.md). */
#pragma once

#include <stdint.h>

#include "base/opt.h"

enum conf_start { CONF_START_AUTO, CONF_START_MANUAL };
enum conf_restart { CONF_RESTART_NO, CONF_RESTART_ON_FAILURE, CONF_RESTART_ALWAYS };
enum conf_on_failure { CONF_FAILURE_NONE, CONF_FAILURE_SYSTEM_STOP };
enum conf_on_timeout { CONF_TIMEOUT_FAIL, CONF_TIMEOUT_IGNORE };

/* What another VM must have reached. */
enum conf_reach { CONF_REACH_READY, CONF_REACH_RUNNING, CONF_REACH_OFF };

/* An entry of `after:`. */
struct conf_after {
	char *vm;      /* its name */
	unsigned peer; /* its index in struct conf, once the file has been checked */
	int state;     /* enum conf_reach */
	unsigned line, column;
};

/* `ready:`. Without any of the first three a VM is ready as soon as it runs. */
struct conf_ready {
	char *console;	      /* a console device of the VM, which prints ... */
	char *line;	      /* ... this text within a line */
	uint32_t vsock;	      /* the guest connects to this port of the host and says READY=1 */
	uint32_t vsock_guest; /* a program in the guest listens on this port */
	uint32_t timeout_ms;
	int on_timeout; /* enum conf_on_timeout */
	unsigned line_no, column;
};

struct conf_policy {
	int start;		   /* enum conf_start */
	int restart;		   /* enum conf_restart */
	uint32_t restart_limit;	   /* failures in a row until the VM is given up; 0: never */
	uint32_t restart_delay_ms; /* after the first failure; doubled with each further one */
	uint32_t restart_delay_max_ms;
	uint32_t restart_window_ms; /* a guest that ran so long begins a new row */
	char *fallback;		    /* the VM to be started when this one is given up, or NULL */
	int on_failure;		    /* enum conf_on_failure */
	uint32_t grace_ms;	    /* 0: the system's */
	struct conf_after *after;
	unsigned nafter;
	struct conf_ready ready;
};

/* The words of enum conf_reach, ends with NULL. */
extern const char *const conf_reach_words[];

/* Their rows in conf_vm_sections. */
extern const struct opt conf_policy_opts[];
extern const struct opt conf_ready_opts[];
