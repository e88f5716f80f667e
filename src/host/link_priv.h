/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of a serial link: link.c has the wire, link_host.c the end on the host, link_log.c the
 * log, link_tell.c what the operator may say. */
#pragma once

#include <stdbool.h>

#include "base/fifo.h"
#include "host/chardev.h"
#include "host/link.h"

/* A byte on its way. A bus has one wire, each end of a pair one of its own, to send on. */
struct link_wire {
	bool busy;
	uint8_t byte;
	struct link_end *by; /* the first that sends it */
	uint64_t done;	     /* when it is complete, by ev_now_ns() */
};

struct link_end {
	struct link *link;
	const char *name;
	struct link_end_ops ops;
	struct fifo out;
	struct link_wire wire; /* of a pair */
	bool on_bus;	       /* it sends what is on the bus, maybe with others */
	bool cut;	       /* by the operator: it neither sends nor hears */
	bool full;	       /* its buffer was, and it waits for room */
	struct link_end_counters count;
};

/* Faults that the operator has ordered, for bytes to come. */
struct link_faults {
	uint64_t drop, corrupt;
	uint8_t mask; /* of bits to be turned over */
};

/* A line of the log that is not written yet. */
#define LINK_LOG_BYTES 16u

struct link_log {
	int fd; /* -1: none */
	struct ev_timer idle;
	const struct link_end *by;
	unsigned n;
	uint8_t bytes[LINK_LOG_BYTES];
	uint64_t start_ns; /* since 1970, where the first byte began */
	uint64_t end;	   /* by ev_now_ns(), where the last one was complete */
	struct log_limit failed;
};

struct link {
	const char *name;
	const struct link_config *config;
	const struct link_owner *owner;
	struct ev_loop *loop;
	const struct log *log;
	uint64_t char_ns;
	uint8_t mask;  /* of data bits */
	uint32_t fifo; /* bytes of each end's transmit buffer */
	struct ev_timer next;
	struct link_wire bus;
	struct link_end ends[LINK_ENDS_MAX];
	unsigned nends;
	struct link_faults faults;
	struct link_counters count;
	struct link_log trace;
	struct log_limit told; /* of collisions */

	/* The end on the host. */
	struct chardev *host;
	struct link_end *host_end;
	struct fifo heard; /* not written to it yet */
	struct ev_task write;
	struct chardev_stats host_stats;
};

void link_event(struct link *link, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* link_host.c */

int link_host_open(struct link *link, struct err *e);
void link_host_close(struct link *link);

/* link_log.c */

int link_log_open(struct link *link, struct err *e);
void link_log_close(struct link *link);
/* A byte of `by` was complete at `done`. */
void link_log_byte(struct link *link, const struct link_end *by, uint8_t byte, uint64_t done);
