/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of a CAN bus share. */
#pragma once

#include "host/can_log.h"
#include "host/can_socket.h"
#include "host/canbus.h"

#define CANBUS_NAME_MAX 64u

/* Error counters (ISO 11898-1, 12.1.4). */
#define CAN_WARNING 96u
#define CAN_PASSIVE 128u
#define CAN_OFF	    256u

/* A frame that waits. */
struct pending {
	struct canfd_frame frame;
	void *cookie;
	uint64_t time_ns; /* since when */
	bool held;	  /* counted as held */
};

/* A limit on what is sent in the long run: `tat_ns` is when, at the rate allowed, all that was sent
 * would have been (the theoretical arrival time of the generic cell rate algorithm). */
struct limit {
	uint64_t tat_ns;
};

struct canport {
	struct canbus *bus;
	char name[CANBUS_NAME_MAX];
	const struct canport_ops *ops;
	void *arg;
	struct canport_config config; /* its lists are not ours */
	struct can_filters filter, tx_filter;

	enum can_state state; /* STOPPED, ERROR_ACTIVE, ..., BUS_OFF */
	uint32_t tec, rec;    /* error counters */
	bool joined;	      /* was started at least once */
	bool was_off;	      /* has to see the bus recessive before it may start */
	bool starting;	      /* and is waiting for that, */
	uint64_t start_ns;    /* until then */

	struct pending queue[CANBUS_QUEUE_MAX]; /* the oldest first */
	unsigned nqueue;
	uint64_t not_before_ns; /* suspended after an error, or retrying without pace */
	struct limit rate, load;
	bool babbling; /* the limits were exceeded, and it was said */
	struct log_limit events;

	/* Faults that the operator injects. */
	uint32_t errors; /* transmissions to be destroyed */
	bool babble;	 /* sends `noise` on its own, every `babble_ns` */
	struct pending noise;
	uint64_t babble_ns;

	struct canport_counters count;
};

/* The transmission under way. */
struct transmission {
	struct canport *port; /* NULL: the bus is idle */
	struct pending *what; /* of the port's queue, or its noise */
	uint64_t start_ns, end_ns;
	bool error;  /* it will be destroyed */
	bool no_ack; /* because nobody acknowledged it */
};

struct canbus {
	struct ev_loop *loop;
	const struct log *log;
	char name[CANBUS_NAME_MAX];
	struct canbus_config config; /* its strings are not ours */
	uint64_t (*clock)(void *arg, clockid_t id);
	void *clock_arg;
	void (*event)(void *arg, const char *event, const char *detail);
	void *event_arg;

	struct canport *ports[CANBUS_PORTS_MAX + 3];
	unsigned nports;

	struct transmission tx;
	uint64_t free_ns; /* the bus is free from here on */
	uint64_t next_ns; /* when something is to be done; 0: nothing */
	int timer_fd;
	struct ev_fd timer;
	struct ev_task task;
	bool short_circuit; /* injected: nothing gets through */
	uint32_t errors;    /* transmissions to be destroyed, whoever sends */
	uint64_t window_ns; /* start of the second of which the load is measured */
	uint64_t window_busy_ns;
	unsigned load; /* of the last whole second, percent */

	struct can_log *file;
	struct can_socket *host;
	bool host_up;
	bool at_host; /* the frame is at the interface, which will tell when it was sent */
	struct replay *replay;
	bool replay_waits; /* for the ports to be started */
	/* Ports of our own: NULL without interface, without recording; always there. */
	struct canport *host_port, *replay_port, *operator_port;

	struct canbus_counters count;
};

/* canbus.c */
uint64_t canbus_now(const struct canbus *b);
/* Lets the bus look again in this round of the loop. */
void canbus_wake(struct canbus *b);
int canbus_start_timer(struct canbus *b);
/* Brings the figure of the load up to date; the bus was busy so long before `until_ns`. */
void canbus_count_load(struct canbus *b, uint64_t until_ns, uint64_t busy_ns);
/* Delivers a frame to all ports but `from`, to the log and the host. */
void canbus_deliver(
	struct canbus *b, struct canport *from, const struct canfd_frame *f, uint64_t time_ns);
/* The end of the transmission that was at the host's interface. */
void canbus_host_done(struct canbus *b, bool ok);

/* canbus_node.c */
bool canport_active(const struct canport *p); /* takes part in the bus */
bool canport_acks(const struct canport *p);
void canport_sent_ok(struct canport *p);
/* An error while it was sending; `no_ack`: nobody acknowledged. */
void canport_sent_error(struct canport *p, bool no_ack);
void canport_received_ok(struct canport *p);
void canport_received_error(struct canport *p);
void canport_go_off(struct canport *p, const char *why);
/* When the limits let its next frame begin. */
uint64_t canport_allowed_ns(const struct canport *p);
/* A frame began at `start_ns` and takes `ns`. */
void canport_charge(struct canport *p, uint64_t start_ns, uint64_t ns);
/* Its next frame has to wait for the limits. */
void canport_exceeded(struct canport *p, struct pending *what);
/* Completes starts that are due. Returns when the next one is, UINT64_MAX: never. */
uint64_t canbus_finish_starts(struct canbus *b, uint64_t now);
void canport_event(struct canport *p, const char *event, const char *detail);

/* canbus_side.c: the host's interface, the recording, the operator */
int canbus_open_sides(struct canbus *b, struct err *e);
void canbus_close_sides(struct canbus *b);
/* True if the port is one of our own. */
bool canbus_is_side(const struct canbus *b, const struct canport *p);
/* Hands a frame to the host's interface. True: it will tell when the frame was sent. */
bool canbus_to_host(struct canbus *b, const struct canfd_frame *f);
/* Forgets that the interface was to tell. */
void canbus_leave_host(struct canbus *b);
/* A port was started: the recording may have waited for it. */
void canbus_port_joined(struct canbus *b);
void canbus_event(struct canbus *b, const char *event, const char *detail);
