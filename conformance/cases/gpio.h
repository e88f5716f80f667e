/* SPDX-License-Identifier: BSD-3-Clause */
/* What the cases of the GPIO device (VIRTIO 1.4, 5.18) have in common. */
#pragma once

#include "conformance/cases/cases.h"
#include "drivers/gpio.h"

#define GPIO_IRQ DRV_FEATURE(VIRTIO_GPIO_F_IRQ)

/* The device with its queues, and buffers for one request. */
struct gpio_end {
	struct cf *c;
	struct drv_queue *q, *ev; /* `ev` with VIRTIO_GPIO_F_IRQ only */
	uint32_t n;		  /* lines */
	uint8_t *req, *resp;	  /* 8 and 2 bytes */
	uint16_t out, in;	  /* the fact `loop`: these lines are connected */
};

/* A buffer of eventq. */
struct gpio_event {
	uint8_t *line, *status; /* 2 bytes, 1 byte */
};

/* Brings the device up with these features. False: recorded. */
bool gpio_up(struct cf *c, struct gpio_end *g, uint64_t want);
/* The same, and `out` and `in` are known; the case is skipped if they are not. */
bool gpio_up_loop(struct cf *c, struct gpio_end *g, uint64_t want);

/* Fills a request in. */
void gpio_fill(uint8_t *req, uint16_t type, uint16_t line, uint32_t value);
/* One request and its response: both bytes must be written. False: recorded. */
bool gpio_ask(struct gpio_end *g, uint16_t type, uint16_t line, uint32_t value);
/* The same, and what the response must be. */
bool gpio_ok(struct gpio_end *g, uint16_t type, uint16_t line, uint32_t value, uint8_t answer);
bool gpio_err(struct gpio_end *g, uint16_t type, uint16_t line, uint32_t value);
/* Line `out` drives `high`, which line `in` must show; both have their directions. */
bool gpio_drive(struct gpio_end *g, bool high);
/* Makes `out` an output that is low, and `in` an input. */
bool gpio_wire_up(struct gpio_end *g);

/* A buffer for a line's interrupt; makes it available; waits for it to come back with `status`; and
 * sees that none comes back. Recorded. */
bool gpio_event_new(struct gpio_end *g, struct gpio_event *e, uint16_t line);
bool gpio_unmask(struct gpio_end *g, struct gpio_event *e);
bool gpio_returned(struct gpio_end *g, const struct gpio_event *e, uint8_t status);
bool gpio_quiet(struct gpio_end *g);
