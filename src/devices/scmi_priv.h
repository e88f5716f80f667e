/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of the SCMI device: messages, resources, agents, and the seam by which protocols plug
 * in. "SCMI" in comments is Arm's System Control and Management Interface, DEN0056E, version 3.2.
 *
 *   scmi.c           the virtio device: buffers in, buffers out
 *   scmi_engine.c    finds the command of a message, checks length and permission, answers
 *   scmi_agent.c     who asks: grants, notifications, delayed responses
 *   scmi_platform.c  what there is: resources from the configuration
 *   scmi_<x>.c       one protocol each
 *
 * A platform, its agents and their devices live on one loop; there are no locks.
 *
 * A protocol is a constant struct scmi_protocol. The engine has checked, before a command's
 * function runs: the exact length of the parameters, that the resource exists for this agent
 * (m->grant, m->res), that the agent may read it, or write it for SCMI_WRITE, and that
 * notifications reach it for SCMI_NOTIFY. The function reads with scmi_param(), writes return
 * values with the scmi_put_*() functions and returns the status.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "devices/scmi.h"
#include "devices/scmi_rules.h"
#include "devices/scmi_words.h"

/* Message header (SCMI 4.1.2): message id, type, protocol id, token. */
#define SCMI_HDR_MESSAGE(hdr)  ((uint8_t)(hdr))
#define SCMI_HDR_TYPE(hdr)     ((hdr) >> 8 & 3)
#define SCMI_HDR_PROTOCOL(hdr) ((uint8_t)((hdr) >> 10))
#define SCMI_HDR(message, type, protocol)                                                          \
	((uint32_t)(message) | (uint32_t)(type) << 8 | (uint32_t)(protocol) << 10)
#define SCMI_TYPE_COMMAND      0u
#define SCMI_TYPE_DELAYED      2u
#define SCMI_TYPE_NOTIFICATION 3u

/* Status codes (SCMI 4.1.4). */
enum {
	SCMI_SUCCESS = 0,
	SCMI_NOT_SUPPORTED = -1,
	SCMI_INVALID_PARAMETERS = -2,
	SCMI_DENIED = -3,
	SCMI_NOT_FOUND = -4,
	SCMI_OUT_OF_RANGE = -5,
	SCMI_BUSY = -6,
	SCMI_COMMS_ERROR = -7,
	SCMI_GENERIC_ERROR = -8,
	SCMI_HARDWARE_ERROR = -9,
	SCMI_PROTOCOL_ERROR = -10,
};

/* Protocols (SCMI 4.1.2.1). */
#define SCMI_PROTOCOL_BASE     0x10
#define SCMI_PROTOCOL_POWER    0x11
#define SCMI_PROTOCOL_SYSTEM   0x12
#define SCMI_PROTOCOL_PERF     0x13
#define SCMI_PROTOCOL_CLOCK    0x14
#define SCMI_PROTOCOL_SENSOR   0x15
#define SCMI_PROTOCOL_RESET    0x16
#define SCMI_PROTOCOL_VOLTAGE  0x17
#define SCMI_PROTOCOL_POWERCAP 0x18
/* Where a protocol is in tables. */
#define SCMI_SLOTS    9u
#define SCMI_SLOT(id) ((unsigned)(id)-SCMI_PROTOCOL_BASE)

/* Commands that every protocol has (SCMI 4.1.1); the engine answers them. */
#define SCMI_VERSION	    0x0
#define SCMI_ATTRIBUTES	    0x1
#define SCMI_MSG_ATTRIBUTES 0x2
#define SCMI_NEGOTIATE	    0x10

#define SCMI_NAME_MAX	   64u	 /* bytes of a name with its end (NAME_GET commands) */
#define SCMI_SHORT_NAME	   16u	 /* in attributes */
#define SCMI_PARAMS_MAX	   64u	 /* bytes of a command's parameters */
#define SCMI_RETURN_MAX	   1024u /* bytes of return values behind the status */
#define SCMI_P2A_MAX	   128u /* payload of a notification or delayed response: Linux's buffers */
#define SCMI_AGENTS_MAX	   64u
#define SCMI_RESOURCES_MAX 256u /* of one protocol */
#define SCMI_DELAYED_MAX   32u	/* delayed responses that an agent waits for at a time */

/* The platform's own id as an agent (SCMI 4.2.1). */
#define SCMI_AGENT_PLATFORM 0u
#define SCMI_AGENT_SELF	    UINT32_MAX

struct scmi_protocol;
struct scmi_agent;
struct scmi_msg;

/* What every resource (clock, domain, sensor, ...) begins with. */
struct scmi_res {
	const struct scmi_protocol *protocol;
	struct scmi_platform *platform;
	char name[SCMI_NAME_MAX];
};

/* A resource as an agent sees it. Its place in the agent's list is its id there. */
struct scmi_grant {
	struct scmi_agent *agent;
	struct scmi_res *res;
	uint8_t access, configured; /* enum scmi_access: now; by the configuration */
	uint8_t subscribed;	    /* notifications wanted: bits that the protocol defines */
	bool voted;		    /* `vote` is set: the protocol's own, for what agents share */
	uint32_t vote[2];
	uint32_t limit[3]; /* the protocol's own, for notifications */
};

/* Flags of a command. */
#define SCMI_RESOURCE 1u /* parameter word `word` is the id of a resource */
#define SCMI_WRITE    2u /* changes it */
#define SCMI_NOTIFY   4u /* asks for notifications: does not exist without P2A channels */

typedef int32_t (*scmi_fn)(struct scmi_msg *m);

/* A command of a protocol. Tables end with a NULL `run`. */
struct scmi_command {
	uint8_t id;
	uint8_t flags;
	uint8_t word; /* of the resource's id among the parameters */
	uint8_t len;  /* exact bytes of the parameters, a multiple of 4, up to SCMI_PARAMS_MAX */
	uint32_t attributes; /* PROTOCOL_MESSAGE_ATTRIBUTES */
	scmi_fn run;
	const char *name; /* for messages: "CLOCK_RATE_SET" */
};

/* A protocol. Constant data; callbacks marked [opt] may be NULL. */
struct scmi_protocol {
	uint8_t id;
	uint32_t version;
	const char *name;		     /* in grants and commands of the operator: "clock" */
	const struct scmi_command *commands; /* but for those that all protocols have */
	/* Writes the return values of PROTOCOL_ATTRIBUTES. */
	int32_t (*attributes)(struct scmi_msg *m);

	/* The structure of a resource, which begins with a struct scmi_res; 0: no resources. */
	size_t res_size;
	/* Fills a zeroed resource, whose `res` is set, from the words behind its name. */
	int (*open)(struct scmi_res *res, struct scmi_words *w, struct err *e);
	/* [opt] Frees what open() got; also after it failed. */
	void (*close)(struct scmi_res *res);
	/* [opt] The agent's vote and subscriptions have just been dropped: its device was reset. */
	void (*forget)(struct scmi_grant *g);
	/* Writes its state as "KEY=VALUE ..." without an end of line. */
	void (*show)(const struct scmi_res *res, FILE *f);
	/* [opt] The platform changes it: words of the operator behind its name. */
	int (*tell)(struct scmi_res *res, unsigned argc, char **argv, struct err *e);
};

/* All of them by slot (scmi_engine.c). */
extern const struct scmi_protocol *const scmi_protocols[SCMI_SLOTS];
extern const struct scmi_protocol scmi_base, scmi_power, scmi_system, scmi_perf, scmi_clock,
	scmi_sensor, scmi_reset, scmi_voltage, scmi_powercap;

/* A command under way. */
struct scmi_msg {
	struct scmi_agent *agent;
	const struct scmi_protocol *protocol;
	const struct scmi_command *command;
	uint32_t hdr;
	bool short_hdr;		  /* it was not all there */
	struct scmi_grant *grant; /* with SCMI_RESOURCE; else NULL */
	struct scmi_res *res;	  /* grant->res */
	uint32_t id;		  /* and the id by which the agent named it */
	uint32_t len;
	uint8_t params[SCMI_PARAMS_MAX];
	uint32_t room; /* bytes of return values that fit, up to SCMI_RETURN_MAX */
	uint32_t used;
	bool overflow; /* more was put than fits: the answer is COMMS_ERROR */
	uint8_t ret[SCMI_RETURN_MAX];
};

/* Word `i` of the parameters; 0 behind their end. */
uint32_t scmi_param(const struct scmi_msg *m, unsigned i);
/* Words `i` (low) and `i` + 1 (high). */
uint64_t scmi_param64(const struct scmi_msg *m, unsigned i);
void scmi_put(struct scmi_msg *m, uint32_t v);
void scmi_put64(struct scmi_msg *m, uint64_t v);
/* A name in `size` bytes, cut to fit with its end, the rest zeroed. */
void scmi_put_name(struct scmi_msg *m, const char *name, unsigned size);
/* How many more items of `size` bytes fit, after `before` bytes in front of them. */
uint32_t scmi_room_for(const struct scmi_msg *m, uint32_t before, uint32_t size);
/* The whole answer to a NAME_GET command (flags 0, and the name). */
int32_t scmi_name_get(struct scmi_msg *m);
/* True if the name needs NAME_GET, as it is cut in attributes. */
bool scmi_name_is_long(const struct scmi_res *res);
/* The number of resources of the message's protocol that its agent sees. */
uint32_t scmi_count(const struct scmi_msg *m);

/* For NOTIFY commands whose second word has bit 0 to switch them on: sets or clears `bit` in
 * m->grant->subscribed. INVALID_PARAMETERS if other bits are set. */
int32_t scmi_subscribe(struct scmi_msg *m, uint8_t bit);
/*
 * Notifies every agent that subscribed to `bit` of a resource. The payload is: the agent that
 * caused it (NULL: the platform), the id of the resource, and `n` words. With `latest`, one that
 * still waits for a buffer is replaced (VIRTIO 1.4, 5.17.6.3.1).
 */
void scmi_notify(const struct scmi_res *res, uint8_t bit, uint8_t message,
	const struct scmi_agent *cause, const uint32_t *words, unsigned n, bool latest);
/* The same for one agent. */
void scmi_notify_one(const struct scmi_grant *g, uint8_t message, const struct scmi_agent *cause,
	const uint32_t *words, unsigned n, bool latest);

/*
 * Answers an asynchronous command: SUCCESS now, and after `delay_ns` `complete` runs with the same
 * parameters, and what it returns and puts is the delayed response, unless the agent said that it
 * does not want it. NOT_SUPPORTED if it does and has no P2A channel, BUSY if it waits for too many.
 * Return its value from the command.
 */
int32_t scmi_later(struct scmi_msg *m, uint64_t delay_ns, scmi_fn complete, bool wanted);
/* True if notifications and delayed responses exist for the agent of this message. */
bool scmi_has_p2a(const struct scmi_msg *m);

/* The agents' grants for a resource: call with 0, 1, ... until NULL. */
struct scmi_grant *scmi_grant_of(const struct scmi_res *res, unsigned agent);
/* The platform decides: what agents want of this resource is forgotten. */
void scmi_drop_votes(const struct scmi_res *res);
/* Loop and log of a platform, and its configuration. */
struct ev_loop *scmi_loop(const struct scmi_platform *p);
const struct log *scmi_log(const struct scmi_platform *p);
const struct scmi_config *scmi_config(const struct scmi_platform *p);
/* Records an event of the platform; limit what a guest can cause. */
void scmi_event(struct scmi_platform *p, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
