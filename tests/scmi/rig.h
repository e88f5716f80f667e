/* SPDX-License-Identifier: BSD-3-Clause */
/* An SCMI agent in a test: a device on a thread of this process, and messages to and from it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "devices/scmi_priv.h"
#include "lib/vhud_server.h"
#include "tap.h"

#define CMDQ	   0u
#define EVENTQ	   1u
#define P2A	   FEATURE(0)
#define EVENTS	   8u /* buffers that the eventq gets */
#define EVENT_SIZE 136u
#define WORDS_MAX  64u

struct scmi_rig {
	struct vhud_server srv;
	struct vhud *d;
	uint32_t token;
	/* The last answer. */
	int32_t status;
	uint32_t hdr, n; /* n: words behind the status */
	uint32_t ret[WORDS_MAX];
	/* The last message of the eventq. */
	uint32_t event_hdr, event_n;
	uint32_t event[WORDS_MAX];
	uint8_t *buffers[EVENTS];
};

/* Starts a device with keys and values ("clocks", "...", NULL), with these features and `events`
 * buffers in the eventq. */
void rig_open(struct tap *t, struct scmi_rig *r, uint64_t features, unsigned events,
	const char *const *keys);
void rig_close(struct scmi_rig *r);
/* The driver's side from a reset on. */
void rig_start(struct tap *t, struct scmi_rig *r, uint64_t features, unsigned events);

/* Sends a command with `n` words and returns the status. */
int32_t rig_do(
	struct scmi_rig *r, uint8_t protocol, uint8_t message, const uint32_t *words, unsigned n);
#define CMD(r, protocol, message, ...)                                                             \
	rig_do((r), (protocol), (message), (const uint32_t[]){ __VA_ARGS__ },                      \
		sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))
#define CMD0(r, protocol, message) rig_do((r), (protocol), (message), NULL, 0)
/* The same with room for `room` bytes of return values only. */
int32_t rig_do_room(struct scmi_rig *r, uint8_t protocol, uint8_t message, const uint32_t *words,
	unsigned n, uint32_t room);

/* Puts one more buffer into the eventq. */
void rig_feed(struct scmi_rig *r, unsigned size);
/* Waits for a message of the eventq and gives its buffer back; false if none comes in time. */
bool rig_event(struct scmi_rig *r, int timeout_ms);
/* The text of `words` words at p. */
bool rig_text_is(const uint32_t *p, const char *text);
/* A command of the operator; `answer` gets what it says, up to `size` bytes. 0 or -errno. */
int rig_tell(struct scmi_rig *r, const char *words, char *answer, size_t size);
