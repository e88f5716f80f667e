/* SPDX-License-Identifier: BSD-3-Clause */
/* What the cases of the SCMI device (VIRTIO 1.4, 5.17) share. Message formats are those of Arm's
 * SCMI, DEN0056E, version 3.2. */
#pragma once

#include "conformance/cases/cases.h"
#include "drivers/scmi.h"

/* Status (SCMI 4.1.4). */
enum {
	SCMI_SUCCESS = 0,
	SCMI_NOT_SUPPORTED = -1,
	SCMI_INVALID_PARAMETERS = -2,
	SCMI_NOT_FOUND = -4,
	SCMI_OUT_OF_RANGE = -5,
	SCMI_PROTOCOL_ERROR = -10,
};

/* Messages of all protocols, and of the base protocol. */
enum {
	SCMI_VERSION = 0x0,
	SCMI_ATTRIBUTES = 0x1,
	SCMI_MESSAGE_ATTRIBUTES = 0x2,
	SCMI_BASE_LIST = 0x6,
	SCMI_BASE_AGENT = 0x7,
	SCMI_BASE_NOTIFY = 0x8,
};

#define SCMI_P2A     DRV_FEATURE(VIRTIO_SCMI_F_P2A_CHANNELS)
#define SCMI_ROOM    128u /* bytes of return values that commands get */
#define SCMI_WORDS   32u
#define SCMI_EVENT   136u /* bytes of a buffer in the eventq */
#define SCMI_ANSWER  8u	  /* header and status */
#define SCMI_LAST_ID 0x18u

/* The device with its queues. */
struct scmi {
	struct cf *c;
	struct drv_queue *q, *eventq; /* eventq: NULL without P2A_CHANNELS */
	uint8_t *out, *in;
	uint16_t token;
	/* The last answer. */
	int32_t status;
	uint32_t hdr, n; /* words behind the status */
	uint32_t ret[SCMI_WORDS];
	/* The last message of the eventq: its payload. */
	uint32_t event_hdr, event_n, event[SCMI_WORDS];
};

/* Brings it up with `want`; `events` buffers in the eventq, up to 4. */
bool scmi_up(struct scmi *s, struct cf *c, uint64_t want, unsigned events);
/* Sends `len` bytes of a message of which s->out has the parameters, with `room` bytes for return
 * values. The answer must have the header of the command, the right length for its status, and
 * nothing behind it. */
bool scmi_send(struct scmi *s, uint8_t protocol, uint8_t message, uint32_t len, uint32_t room);
/* A command with `n` words. */
bool scmi_do(struct scmi *s, uint8_t protocol, uint8_t message, const uint32_t *words, unsigned n);
/* The same, answered with this status. */
bool scmi_must(struct scmi *s, uint8_t protocol, uint8_t message, const uint32_t *words, unsigned n,
	int32_t want);
/* Puts a buffer into the eventq. */
bool scmi_feed(struct scmi *s, uint32_t len);
/* Waits for a message of the eventq. Recorded: none, or one that is too short. */
bool scmi_take(struct scmi *s);

/* The protocols that the device lists, without the base protocol; their number. */
unsigned scmi_list(struct scmi *s, uint8_t list[SCMI_WORDS]);
bool scmi_has(struct scmi *s, uint8_t protocol);
/* True if the protocol says that it has this message. */
bool scmi_knows(struct scmi *s, uint8_t protocol, uint8_t message);
/* How many resources a protocol has (16 bits of PROTOCOL_ATTRIBUTES); 0 for base and system. */
uint32_t scmi_resources(struct scmi *s, uint8_t protocol);

/* Commands that ask for notifications: `words` of parameters with the switch in place `on`. */
struct scmi_notify {
	uint8_t protocol, message, words, on;
};
extern const struct scmi_notify scmi_notifies[];
extern const unsigned scmi_nnotifies;

/* Commands that can be asked for a delayed response, with parameters for resource 0. */
struct scmi_async {
	uint8_t protocol, message, words;
	uint32_t param[4];
};
extern const struct scmi_async scmi_asyncs[];
extern const unsigned scmi_nasyncs;
/* The first one that the device accepts, sent; false (skipped) if there is none. */
bool scmi_send_async(struct scmi *s, const struct scmi_async **which);
