/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of wires share. See wires.h. */
#pragma once

#include "host/vcd.h"
#include "host/wires.h"

/* A net. */
struct wire {
	struct wires *set;
	char name[WIRES_NAME_MAX + 1];
	unsigned var; /* of the trace */
	enum wire_pull pull;
	struct wire_end *ends;
	struct wire_end operator; /* the operator's and the script's */
	enum wire_drive stuck;	  /* WIRE_Z: it is not */
	char state;		  /* '0', '1', 'x' (conflict), 'z' (floats) */
	bool level;		  /* what its ends read */
};

struct wires {
	const struct wires_config *config;
	const struct wires_host *host;
	struct ev_loop *loop;
	const struct log *log;
	struct wire **nets; /* n of them, in the order in which they were added */
	unsigned n;
	struct vcd *trace;
	struct ev_timer flush;
	struct replay *replay;
	bool replayed; /* the script has been started */
	unsigned guests, guests_up;
	struct log_limit conflicts;
	struct wires_counters counters;
};

/* The script (wires_script.c). */
int wires_script_open(struct wires *w, struct err *e);
