/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A CAN bus (ISO 11898-1) inside one event loop: controllers ("ports") that compete by identifier,
 * frames that take their time, error counters and bus-off. The other end of a port is a virtio-can
 * device; the bus has further ones of its own for a SocketCAN interface of the host, a recording
 * that is replayed, and the operator.
 *
 * Time passes on the bus as the bit rates say, whenever the loop comes to look: a frame begins when
 * the one before it had ended, not when that was noticed.
 */
#pragma once

#include <linux/can/netlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/opt.h"
#include "host/can_frame.h"
#include "host/replay.h"

#define CANBUS_PORTS_MAX 64u
#define CANBUS_QUEUE_MAX 64u /* frames that wait at a port */

enum canbus_ack { CANBUS_ACK_ALWAYS, CANBUS_ACK_NODES };
enum canbus_gone { CANBUS_GONE_FAULT, CANBUS_GONE_CONTINUE };
enum canport_order { CANPORT_FIFO, CANPORT_ID };
enum canport_babble { CANPORT_HOLD, CANPORT_BUS_OFF };

extern const char *const canbus_ack_words[];
extern const char *const canbus_gone_words[];
extern const char *const canport_order_words[];
extern const char *const canport_babble_words[];

/* The keys of an entry of `can-buses:` in the system file, and of `avp can-bus`. */
struct canbus_config {
	uint32_t bitrate;      /* bit/s; 0: frames take no time */
	uint32_t data_bitrate; /* bit/s of the data phase of CAN FD; 0: the same */
	bool fd;	       /* CAN FD frames may be sent */
	int ack;	       /* enum canbus_ack */
	char *host;	       /* SocketCAN interface, or NULL */
	int host_gone;	       /* enum canbus_gone */
	char *log;	       /* file, or NULL */
	uint64_t log_size;     /* bytes of a file */
	uint32_t log_files;    /* files kept */
	struct replay_config replay;
	char *replay_interface; /* of the recording; NULL: all */
};

/* Rows of an option table for a struct canbus_config that is field `field` of `owner`. */
/* clang-format off */
#define CANBUS_OPTS(owner, field)                                                                  \
	{ "bitrate", OPT_U32, offsetof(owner, field.bitrate), .def = "500000", .max = 1000000,     \
		.help = "bit/s; 0: frames take no time" },                                         \
	{ "data-bitrate", OPT_U32, offsetof(owner, field.data_bitrate), .def = "2000000",          \
		.max = 20000000, .help = "bit/s of the data of CAN FD frames; 0: as bitrate" },    \
	{ "can-fd", OPT_BOOL, offsetof(owner, field.fd), .def = "true",                                \
		.help = "CAN FD frames may be sent" },                                             \
	{ "ack", OPT_ENUM, offsetof(owner, field.ack), .words = canbus_ack_words,                  \
		.def = "always",                                                                   \
		.help = "who acknowledges frames: always somebody, or other nodes that run" },     \
	{ "host", OPT_STR, offsetof(owner, field.host),                                            \
		.help = "SocketCAN interface of the host that is on the bus" },                    \
	{ "host-gone", OPT_ENUM, offsetof(owner, field.host_gone), .words = canbus_gone_words,     \
		.def = "fault",                                                                    \
		.help = "without that interface: a fault of the bus, or continue" },               \
	{ "log", OPT_PATH, offsetof(owner, field.log),                                             \
		.help = "file that gets all frames, in the format of candump -l" },                \
	{ "log-size", OPT_SIZE, offsetof(owner, field.log_size), .def = "64M", .min = 4096,        \
		.help = "bytes after which the log begins a new file" },                           \
	{ "log-files", OPT_U32, offsetof(owner, field.log_files), .def = "4", .min = 1,            \
		.max = 1000, .help = "files of the log that are kept" },                           \
	{ "replay-interface", OPT_STR, offsetof(owner, field.replay_interface),                    \
		.help = "only frames that the recording has from this interface" },                \
	REPLAY_OPTS(owner, field.replay)
/* clang-format on */

extern const struct opt canbus_opts[];

/* What a port may do: keys of the can device that is attached to it. */
struct canport_config {
	struct opt_list filters;    /* what it receives, as in candump */
	struct opt_list tx_filters; /* what it may send */
	bool listen_only;
	uint32_t tx_queue; /* frames, 1..CANBUS_QUEUE_MAX */
	int tx_order;	   /* enum canport_order */
	uint32_t max_rate; /* frames per second; 0: no limit */
	uint32_t max_load; /* percent of the bus; 0: no limit */
	int on_babbling;   /* enum canport_babble */
};

/* Rows for a struct canport_config that is field `field` of `owner`. */
/* clang-format off */
#define CANPORT_OPTS(owner, field)                                                                 \
	{ "filters", OPT_LIST, offsetof(owner, field.filters),                                     \
		.help = "what is received, as in candump: ID:MASK, ID~MASK (default: all)" },      \
	{ "tx-filters", OPT_LIST, offsetof(owner, field.tx_filters),                               \
		.help = "what may be sent, likewise (default: all)" },                             \
	{ "listen-only", OPT_BOOL, offsetof(owner, field.listen_only),                             \
		.help = "sends nothing, and acknowledges nothing" },                               \
	{ "tx-queue", OPT_U32, offsetof(owner, field.tx_queue), .def = "16", .min = 1,             \
		.max = CANBUS_QUEUE_MAX, .help = "frames that wait at the controller" },           \
	{ "tx-order", OPT_ENUM, offsetof(owner, field.tx_order), .words = canport_order_words,     \
		.def = "fifo", .help = "which of them is sent first: the oldest, or the lowest id" }, \
	{ "max-rate", OPT_U32, offsetof(owner, field.max_rate), .max = 1000000,                    \
		.help = "frames per second that it may send; 0: no limit" },                       \
	{ "max-load", OPT_U32, offsetof(owner, field.max_load), .max = 100,                        \
		.help = "percent of the bus that it may use; 0: no limit" },                       \
	{ "on-babbling", OPT_ENUM, offsetof(owner, field.on_babbling),                             \
		.words = canport_babble_words, .def = "hold",                                      \
		.help = "what follows when it wants more: its frames wait, or it goes bus-off" }
/* clang-format on */

/* What a port has when nothing is said about it. */
void canport_defaults(struct canport_config *c);
/* -EINVAL with a reason if a key of the bus differs from its default. */
int canbus_check_unset(const struct canbus_config *c, struct err *e);

/* Counters of a port, as the bus sees it: tx is what the port sent. */
struct canport_counters {
	uint64_t tx_frames, tx_bytes, rx_frames;
	uint64_t tx_errors;	   /* attempts to send that ended with an error */
	uint64_t arbitration_lost; /* times a frame with a lower identifier went first */
	uint64_t rx_filtered;	   /* frames that the filters kept away */
	uint64_t tx_denied;	   /* frames that it may not send */
	uint64_t tx_cancelled;	   /* frames that were waiting when it stopped or went bus-off */
	uint64_t held;		   /* frames that waited for max-rate or max-load */
	uint64_t bus_off;	   /* times it went bus-off */
};

struct canbus_counters {
	uint64_t frames, bytes, errors, busy_ns;
	uint64_t replayed, replay_dropped;
	uint64_t host_rx, host_tx, host_dropped, host_gone;
	uint64_t log_missed; /* frames that the log could not take */
};

struct canbus_counter_name {
	const char *name;
	size_t offset; /* of a uint64_t in the structure of counters */
};
extern const struct canbus_counter_name canport_counter_names[]; /* ends with NULL */
extern const struct canbus_counter_name canbus_counter_names[];	 /* ends with NULL */

struct canbus;
struct canport;

/* The other end of a port. Called on the loop, never from inside a canport_*() call but
 * canport_stop(), which may call sent(). */
struct canport_ops {
	/* A frame of somebody else that passed the filters. */
	void (*receive)(void *arg, const struct canfd_frame *f);
	/* The fate of a frame: it was on the bus and acknowledged, or it never will be. There is
	 * room for another one. */
	void (*sent)(void *arg, void *cookie, bool ok);
	/* A canport_start() that had to wait is done. */
	void (*started)(void *arg);
	/* The port went bus-off; before its waiting frames come back. */
	void (*bus_off)(void *arg);
	/* Something that an operator wants to know of ("bus-off", "babbling"). */
	void (*event)(void *arg, const char *event, const char *detail);
};

/* `c` is only read, its strings stay. Opens log, recording and interface. `name` is the interface
 * in the log. A recording with `replay-start: ready` begins when all ports have been started. */
int canbus_create(struct canbus **bus, const struct canbus_config *c, const char *name,
	struct ev_loop *loop, const struct log *log, struct err *e);
/* Accepts NULL. */
void canbus_destroy(struct canbus *bus);
/* Events of the bus itself go here ("host-gone", "host-back", "replay-end"). */
void canbus_on_event(struct canbus *bus,
	void (*event)(void *arg, const char *event, const char *detail), void *arg);

/* Adds a port, stopped; it lives as long as the bus. `name` is unique. -EINVAL with a reason for a
 * wrong configuration, -ENOSPC if there are too many. */
int canbus_add_port(struct canbus *bus, const char *name, const struct canport_config *c,
	struct canport **port, struct err *e);
/* `ops` NULL: nobody is there any more. */
void canport_connect(struct canport *p, const struct canport_ops *ops, void *arg);
struct canbus *canport_bus(const struct canport *p);

/* Joins the bus. True: at once, or it had joined before; false: it was bus-off, and started() comes
 * when the bus was recessive for long enough. */
bool canport_start(struct canport *p);
/* Leaves it; frames that wait are given back by sent(), false. Idempotent. */
void canport_stop(struct canport *p);
/* Hands over a frame. 0; -EAGAIN: no room, sent() will be called; -EPERM: the port may not send
 * that; -ENETDOWN: it is not on the bus; -EINVAL: no valid frame, or CAN FD where it is off. */
int canport_send(struct canport *p, const struct canfd_frame *f, void *cookie);
/* Frames that canport_send() would take now. */
unsigned canport_room(const struct canport *p);
/* Gives all frames back that wait; it stays on the bus. */
void canport_cancel(struct canport *p);
enum can_state canport_state(const struct canport *p);

unsigned canbus_nports(const struct canbus *bus);
struct canport *canbus_port(const struct canbus *bus, unsigned i);
const char *canport_name(const struct canport *p);
const struct canport_counters *canport_counters(const struct canport *p);
const struct canbus_counters *canbus_counters(struct canbus *bus);
bool canbus_has_fd(const struct canbus *bus);

/* Words of the operator (docs/can-bus.md); text for him goes to `answer`. -EINVAL with a reason. */
int canbus_tell(struct canbus *bus, unsigned argc, char *const *argv, FILE *answer, struct err *e);
int canport_tell(struct canport *p, unsigned argc, char *const *argv, FILE *answer, struct err *e);

/* What a jailed process with a bus calls beyond the common minimum. */
extern const char *const canbus_syscalls[];

/* For tests: nanoseconds of CLOCK_MONOTONIC and CLOCK_REALTIME from elsewhere; and what is due by
 * that clock is done. */
void canbus_set_clock(struct canbus *bus, uint64_t (*clock)(void *arg, clockid_t id), void *arg);
void canbus_poll(struct canbus *bus);
