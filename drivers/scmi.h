/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SCMI device (VIRTIO 1.4, 5.17): commands to a platform, delayed responses and notifications from
 * it. Message formats are those of Arm's SCMI, DEN0056E, version 3.2.
 */
#pragma once

#include "req.h"

#define DRV_ID_SCMI 32

#define VIRTIO_SCMI_F_P2A_CHANNELS  0
#define VIRTIO_SCMI_F_SHARED_MEMORY 1

/* Message header (SCMI 4.1.2). */
#define DRV_SCMI_HDR(message, type, protocol, token)                                               \
	((uint32_t)(message) | (uint32_t)(type) << 8 | (uint32_t)(protocol) << 10 |                \
		(uint32_t)(token) << 18)
#define DRV_SCMI_DELAYED      2u /* types */
#define DRV_SCMI_NOTIFICATION 3u

#define DRV_SCMI_BASE	  0x10
#define DRV_SCMI_POWER	  0x11
#define DRV_SCMI_SYSTEM	  0x12
#define DRV_SCMI_PERF	  0x13
#define DRV_SCMI_CLOCK	  0x14
#define DRV_SCMI_SENSOR	  0x15
#define DRV_SCMI_RESET	  0x16
#define DRV_SCMI_VOLTAGE  0x17
#define DRV_SCMI_POWERCAP 0x18

#define DRV_SCMI_WORDS 32u /* of parameters, return values and payloads: 128 bytes */
#define DRV_SCMI_KEPT  8u  /* events kept while a delayed response is waited for */

/* A notification or delayed response. */
struct drv_scmi_event {
	uint8_t protocol, message, type;
	uint16_t token; /* of the command that a delayed response belongs to */
	uint8_t n;	/* words of payload; that of a delayed response begins with the status */
	uint32_t word[DRV_SCMI_WORDS];
};

struct drv_scmi {
	struct drv_dev *dev;
	struct drv_req cmd;
	struct drv_pool events; /* unless there is no P2A_CHANNELS */
	uint16_t token;
	int32_t status; /* of the last answer, SCMI's */
	uint32_t lost;	/* events for which there was no place in `kept` */
	uint8_t first, nkept;
	struct drv_scmi_event kept[DRV_SCMI_KEPT];
};

int drv_scmi_open(struct drv_scmi *s, struct drv_dev *dev);

/*
 * A command with `n` words of parameters. `ret` has room for `max` words of return values, what is
 * behind those that came is zeroed. DRV_ERROR: the platform says s->status, which is below 0.
 */
int drv_scmi_do(struct drv_scmi *s, uint8_t protocol, uint8_t message, const uint32_t *params,
	unsigned n, uint32_t *ret, unsigned max, uint64_t until);
/* The same for a command with its asynchronous flag set: `ret` is from its delayed response. Events
 * that come before it are kept for drv_scmi_event(). */
int drv_scmi_do_delayed(struct drv_scmi *s, uint8_t protocol, uint8_t message,
	const uint32_t *params, unsigned n, uint32_t *ret, unsigned max, uint64_t until);
/* The next notification, or delayed response that nobody waits for. DRV_UNSUPPORTED: the device has
 * none. */
int drv_scmi_event(struct drv_scmi *s, struct drv_scmi_event *e, uint64_t until);

/* Common commands. `id` is the resource's. */

int drv_scmi_version(struct drv_scmi *s, uint8_t protocol, uint32_t *version, uint64_t until);
int drv_scmi_power_set(struct drv_scmi *s, uint32_t id, bool on, uint64_t until);
int drv_scmi_clock_rate(struct drv_scmi *s, uint32_t id, uint64_t *rate, uint64_t until);
int drv_scmi_clock_set(struct drv_scmi *s, uint32_t id, uint64_t rate, uint64_t until);
int drv_scmi_clock_enable(struct drv_scmi *s, uint32_t id, bool on, uint64_t until);
int drv_scmi_perf_set(struct drv_scmi *s, uint32_t id, uint32_t level, uint64_t until);
/* A scalar sensor, or the first axis: its value in the unit of its description, and the time stamp,
 * 0 if it has none. */
int drv_scmi_sensor_read(
	struct drv_scmi *s, uint32_t id, int64_t *value, uint64_t *stamp, uint64_t until);
