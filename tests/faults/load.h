/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Verified loads: traffic of a device type whose every answer has exactly one right content, so
 * that what is lost, answered twice or wrong after a crash is seen. One class per device type and
 * per medium; a driver of drivers/ per port.
 */
#pragma once

#include <stdatomic.h>

#include "seat.h"
#include "server.h"

struct load;

struct load_class {
	const char *name;
	const char *const *words; /* for server_start() */
	const char *const *keys;  /* of a medium's ports; NULL: a device */
	unsigned nports;
	uint16_t id, nqueues; /* of the devices */
	/* [opt] Before the process starts: files it needs. */
	int (*prepare)(struct load *l);
	/* Opens the drivers. All return 0 or below it after load_fail(). */
	int (*open)(struct load *l);
	/* A little traffic, checked. Sets l->begun when something was answered. */
	int (*step)(struct load *l);
	/* [opt] Takes what is under way and checks what the process leaves behind. */
	int (*finish)(struct load *l);
	void (*close)(struct load *l); /* [opt] */
};

struct load {
	const struct load_class *cls;
	struct server srv;
	struct seat seat[SERVER_PORTS];
	void *state; /* of the class */
	uint64_t random;
	/* Since when (ev_now_ns()) the process has been in service again after a crash; UINT64_MAX
	 * from before the kill until then. */
	atomic_ullong calm_since;
	atomic_uint pending; /* requests that the device has */
	/* When the last request to be answered was made: ev_now_ns(). */
	uint64_t begun;
	unsigned long done; /* requests answered and found right */
	unsigned long lost; /* of what a medium may lose with a crash, or say twice */
	unsigned long twice;
	char why[200];
};

extern const struct load_class *const load_classes[]; /* ends with NULL */

/* Starts the process and opens the drivers. Returns 0, or below it with l->why. */
int load_open(struct load *l, const struct load_class *cls, uint64_t hidden);
/* Ends all. True if the process ended as it should. */
bool load_close(struct load *l);
/* Begins what load_fail() is told when a load cannot be had here. */
#define LOAD_SKIP "skip: "
/* Says why; returns -1. */
int load_fail(struct load *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
uint32_t load_random(struct load *l);
/* True if there was no crash since then, which would explain what the load has found missing. */
static inline bool load_calm(const struct load *l, uint64_t time)
{
	return time > atomic_load(&l->calm_since);
}

/*
 * A numbered record with its time, in which every byte is known: `len` bytes, at least
 * LOAD_RECORD. load_record_check() returns false if one is wrong.
 */
#define LOAD_RECORD 16u
void load_record(uint8_t *p, uint32_t len, uint64_t number);
bool load_record_check(const uint8_t *p, uint32_t len, uint64_t *number, uint64_t *time);

/* One direction of records: numbers count up by one, unless there was a crash since the last one
 * was sent. */
struct load_flow {
	uint64_t sent, got; /* last numbers */
	uint64_t time;	    /* when the last one to come was sent */
};
/* Notes a record that came. 0, or below it after load_fail(). */
int load_flow_got(struct load *l, struct load_flow *f, uint64_t number, uint64_t time);

/* Records in a stream of bytes: each is a line of text, so that its beginning is found again when
 * bytes were lost with a kill. */
#define LOAD_LINE 64u
struct load_lines {
	struct load_flow flow;
	char part[LOAD_LINE + 1]; /* of a line that has not ended */
	unsigned len;
};
void load_line(char line[LOAD_LINE], uint64_t number);
/* Takes bytes that came. 0, or below it after load_fail(). */
int load_lines_got(struct load *l, struct load_lines *s, const char *p, size_t len);
