/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a guest says on its serial port. Lines that begin with "AVPC " are for the runner, all
 * others (firmware, messages of a hypervisor) are not:
 *
 *     AVPC begin pci 2 0                             the cases on a device begin: transport, ID,
 * number AVPC run vq.split.basic                        this case begins AVPC case vq.split.basic
 * packed pass 81523 ... verdict, nanoseconds, evidence AVPC end no more cases on this device AVPC
 * done                                      no more devices AVPC ready WORD a role has come as far
 * as it should AVPC beat 17 4096 8191 0                       the neighbour: beats, disk requests,
 * frames, errors AVPC bye 4100                                  the neighbour ends after so many
 * writes
 *
 * The guest is not trusted: whatever comes is a line or no line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conformance/host/report.h"

#define GUEST_LINE_MAX 512
#define GUEST_NAME_MAX 96

enum guest_word {
	GUEST_TEXT, /* nothing for us */
	GUEST_BEGIN,
	GUEST_RUN,
	GUEST_CASE,
	GUEST_END,
	GUEST_DONE,
	GUEST_READY,
	GUEST_BEAT,
	GUEST_BYE,
};

struct guest_beat {
	uint64_t n, disk, frames, errors;
};

struct guest_line {
	enum guest_word word;
	char text[GUEST_LINE_MAX]; /* the whole line */
	char name[GUEST_NAME_MAX]; /* BEGIN: transport; RUN, CASE: the case; READY: the word */
	uint64_t device, index;	   /* BEGIN */
	enum report_rings rings;   /* CASE */
	enum cf_verdict verdict;
	uint64_t ns;
	const char *evidence;	/* in text */
	struct guest_beat beat; /* BEAT */
	uint64_t writes;	/* BYE */
};

/* Fills all but `text`, which is read. */
void guest_line_parse(struct guest_line *line);

/* A serial port: a FIFO that a hypervisor writes to. One thread. */
struct guest_serial {
	int fd; /* -1: closed */
	char buf[GUEST_LINE_MAX];
	size_t len;
	uint64_t last_ns; /* when something came last, CLOCK_MONOTONIC */
	bool show;	  /* all text on standard error */
};

/* Makes the FIFO. Whoever opens it for writing waits for guest_serial_open(). */
int guest_serial_make(const char *path, struct err *e);
int guest_serial_open(struct guest_serial *s, const char *path, struct err *e);
/* The next line that has come; false if there is none yet, or the port is closed. A line that is
 * too long is cut. */
bool guest_serial_next(struct guest_serial *s, struct guest_line *line);
/* Throws away what has come. */
void guest_serial_drop(struct guest_serial *s);
void guest_serial_close(struct guest_serial *s);
