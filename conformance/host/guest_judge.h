/* SPDX-License-Identifier: BSD-3-Clause */
/* From what a test guest says to verdicts in a report. */
#pragma once

#include "conformance/host/guest_vm.h"
#include "conformance/host/report.h"

/* Zero-initialise and set `report`. */
struct guest_judge {
	struct report *report;
	char target[32];
	char transport[16];
	char running[GUEST_NAME_MAX]; /* the case; empty: none */
	bool split_done;	      /* it ran with split rings, and may run once more */
	char last[GUEST_NAME_MAX];    /* the case that had the last verdict */
	char said[160];		      /* the last text that is no line for us */
	unsigned begun;		      /* cases that have begun, for `from=` */
	unsigned verdicts;	      /* that went into the report */
	bool any, done;
};

/* Takes a line; verdicts go into the report. */
void judge_line(struct guest_judge *j, const struct guest_line *l);
/* The guest is lost: a failure of the case that was running. False if none was, which is a failure
 * of the run. */
bool judge_lost(struct guest_judge *j, const char *why);

enum watch_end {
	WATCH_ON,      /* never returned */
	WATCH_STOPPED, /* `line` returned false */
	WATCH_SILENT,
	WATCH_ENDED, /* the hypervisor ended */
	WATCH_LATE,  /* the time is over, or a signal came: nothing more is to be started */
};

struct guest_watch {
	struct vm *vm;
	uint64_t silence_ns;  /* longest pause between lines */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC */
	/* For each line of the guest under test; false: enough. */
	bool (*line)(void *ctx, const struct guest_line *l);
	/* [opt] At least every 100 ms; false: enough. */
	bool (*tick)(void *ctx);
	void *ctx;
};

/* Reads until there is a reason to end, and says why in a few words. */
enum watch_end guest_watch(const struct guest_watch *w, char *why, size_t size);
