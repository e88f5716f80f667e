/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Input device (VIRTIO 1.4, 5.8): keyboards, touch screens and the like, with the events of Linux's
 * evdev (include/uapi/linux/input-event-codes.h). An update is a sequence of events that ends with
 * EV_SYN, SYN_REPORT.
 */
#pragma once

#include "req.h"

#define DRV_ID_INPUT	  18
#define DRV_INPUT_BUFFERS 32u
#define DRV_INPUT_DATA	  128u /* bytes of configuration data */

/* What drv_input_config() selects (5.8.4). */
enum {
	VIRTIO_INPUT_CFG_UNSET = 0x00,
	VIRTIO_INPUT_CFG_ID_NAME = 0x01,
	VIRTIO_INPUT_CFG_ID_SERIAL = 0x02,
	VIRTIO_INPUT_CFG_ID_DEVIDS = 0x03,
	VIRTIO_INPUT_CFG_PROP_BITS = 0x10,
	VIRTIO_INPUT_CFG_EV_BITS = 0x11,  /* subsel: event type */
	VIRTIO_INPUT_CFG_ABS_INFO = 0x12, /* subsel: axis */
};

struct drv_input_event {
	uint16_t type, code;
	int32_t value;
};

/* An axis: its range, and what counts as noise (5.8.4). */
struct drv_input_abs {
	int32_t min, max, fuzz, flat, res;
};

struct drv_input {
	struct drv_dev *dev;
	struct drv_pool events;
	struct drv_req status;
};

int drv_input_open(struct drv_input *in, struct drv_dev *dev);
/* Takes the next event, waiting for it until `until`. */
int drv_input_read(struct drv_input *in, struct drv_input_event *event, uint64_t until);
/* Tells the device something: an LED, a sound. DRV_TIMEOUT: not taken until `until`. */
int drv_input_send(struct drv_input *in, const struct drv_input_event *event, uint64_t until);
/* Reads what it says of itself: up to `len` bytes of it to `data`. `*size` is how much there is, up
 * to DRV_INPUT_DATA; 0: nothing. */
int drv_input_config(struct drv_input *in, uint8_t select, uint8_t subsel, void *data, uint32_t len,
	uint32_t *size);
/* Whether it has events of this type and code. */
int drv_input_has(struct drv_input *in, uint16_t type, uint16_t code, bool *has);
/* DRV_UNSUPPORTED: it has no such axis. */
int drv_input_abs(struct drv_input *in, uint16_t code, struct drv_input_abs *abs);
