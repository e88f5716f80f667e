/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to a GPIO device (VIRTIO 1.4, 5.18.6), for its tests. */
#pragma once

#include <stdint.h>

#include "vhud.h"

enum { REQUESTQ, EVENTQ };
enum { NAMES = 1, GET_DIRECTION, SET_DIRECTION, GET_VALUE, SET_VALUE, SET_IRQ };
enum { NONE, OUT, IN };
enum { IRQ_OFF, RISING, FALLING, BOTH, HIGH, LOW = 8 };
enum { OK, ERR };
enum { INVALID, VALID };

#define F_IRQ	FEATURE(0)
#define WAIT_MS 5000

/* The response to a request, status in the low byte and value above; -1: the used length is wrong.
 */
int gpio_ask(struct vhud *d, uint16_t type, uint16_t gpio, uint32_t value);
/* What GET_VALUE says, or -1. */
int gpio_level(struct vhud *d, uint16_t gpio);
