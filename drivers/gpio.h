/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GPIO device (VIRTIO 1.4, 5.18): lines by number, interrupts on up to DRV_GPIO_IRQS of them at a
 * time. Functions that wait for the device do so for `timeout`.
 */
#pragma once

#include "pool.h"
#include "req.h"

#define DRV_ID_GPIO	   41
#define DRV_GPIO_IRQS	   DRV_POOL_MAX
#define DRV_GPIO_NAMES_MAX 4096u /* bytes of names; a device with more is used without them */

#define VIRTIO_GPIO_F_IRQ 0

#define VIRTIO_GPIO_MSG_GET_LINE_NAMES 1u
#define VIRTIO_GPIO_MSG_GET_DIRECTION  2u
#define VIRTIO_GPIO_MSG_SET_DIRECTION  3u
#define VIRTIO_GPIO_MSG_GET_VALUE      4u
#define VIRTIO_GPIO_MSG_SET_VALUE      5u
#define VIRTIO_GPIO_MSG_SET_IRQ_TYPE   6u

#define VIRTIO_GPIO_STATUS_OK  0
#define VIRTIO_GPIO_STATUS_ERR 1

#define VIRTIO_GPIO_DIRECTION_NONE 0u
#define VIRTIO_GPIO_DIRECTION_OUT  1u
#define VIRTIO_GPIO_DIRECTION_IN   2u

#define VIRTIO_GPIO_IRQ_TYPE_NONE	  0u
#define VIRTIO_GPIO_IRQ_TYPE_EDGE_RISING  1u
#define VIRTIO_GPIO_IRQ_TYPE_EDGE_FALLING 2u
#define VIRTIO_GPIO_IRQ_TYPE_EDGE_BOTH	  3u
#define VIRTIO_GPIO_IRQ_TYPE_LEVEL_HIGH	  4u
#define VIRTIO_GPIO_IRQ_TYPE_LEVEL_LOW	  8u

#define VIRTIO_GPIO_IRQ_STATUS_INVALID 0
#define VIRTIO_GPIO_IRQ_STATUS_VALID   1

/* A buffer of eventq and the line it is for. Private. */
struct drv_gpio_event {
	uint16_t line;
	uint8_t state;
};

struct drv_gpio {
	struct drv_dev *dev;
	uint16_t nlines;
	uint64_t timeout; /* ns for an answer; 1 s unless changed */
	struct drv_req requests;
	struct drv_pool events; /* with VIRTIO_GPIO_F_IRQ */
	struct drv_gpio_event event[DRV_POOL_MAX];
	const char *names; /* the block of 5.18.6.1, or NULL */
	uint32_t names_size;
};

int drv_gpio_open(struct drv_gpio *g, struct drv_dev *dev);
/* The number of the line with this name; DRV_GONE: none has it; DRV_UNSUPPORTED: there are no
 * names. */
int drv_gpio_find(const struct drv_gpio *g, const char *name, uint16_t *line);

/* Results besides the usual: DRV_ERROR: the device refuses; DRV_INVALID: no such line. */
int drv_gpio_direction(struct drv_gpio *g, uint16_t line, uint8_t *direction);
int drv_gpio_set_direction(struct drv_gpio *g, uint16_t line, uint8_t direction);
int drv_gpio_get(struct drv_gpio *g, uint16_t line, bool *high);
/* The value of an output, or of what becomes one. */
int drv_gpio_set(struct drv_gpio *g, uint16_t line, bool high);
/* Makes the line an output that begins with this value (5.18.6.3). */
int drv_gpio_output(struct drv_gpio *g, uint16_t line, bool high);

/* Enables the interrupt of an input and unmasks it; type 0 disables it. DRV_FULL: as many lines as
 * there can be have interrupts. */
int drv_gpio_irq(struct drv_gpio *g, uint16_t line, uint8_t type);
/* The line that interrupted, waiting for one until `until`. Its interrupt is masked from then on,
 * edges are remembered by the device. */
int drv_gpio_wait(struct drv_gpio *g, uint16_t *line, uint64_t until);
/* Unmasks it again. */
int drv_gpio_unmask(struct drv_gpio *g, uint16_t line);
