/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Console device (VIRTIO 1.4, 5.3): port 0, or several ports with MULTIPORT. With several, a port
 * exists once the device has added it: call drv_console_poll() until ports[i].exists.
 */
#pragma once

#include "req.h"

#define DRV_ID_CONSOLE	  3
#define DRV_CONSOLE_PORTS 4u
#define DRV_CONSOLE_CHUNK 256u /* bytes of a buffer */
#define DRV_CONSOLE_NAME  32u

#define VIRTIO_CONSOLE_F_SIZE	     0
#define VIRTIO_CONSOLE_F_MULTIPORT   1
#define VIRTIO_CONSOLE_F_EMERG_WRITE 2

/* Control messages (5.3.6.2). */
enum {
	VIRTIO_CONSOLE_DEVICE_READY = 0,
	VIRTIO_CONSOLE_DEVICE_ADD = 1,
	VIRTIO_CONSOLE_DEVICE_REMOVE = 2,
	VIRTIO_CONSOLE_PORT_READY = 3,
	VIRTIO_CONSOLE_CONSOLE_PORT = 4,
	VIRTIO_CONSOLE_RESIZE = 5,
	VIRTIO_CONSOLE_PORT_OPEN = 6,
	VIRTIO_CONSOLE_PORT_NAME = 7,
};

struct drv_console_port {
	bool exists, console;
	bool host_open;	     /* somebody is at the other end */
	uint16_t cols, rows; /* from RESIZE; 0: not told */
	char name[DRV_CONSOLE_NAME];
	struct drv_pool rx, tx;
	uint8_t *in; /* received and not read in full; NULL: none */
	uint32_t in_len, in_at;
};

struct drv_console {
	struct drv_dev *dev;
	unsigned nports;
	struct drv_console_port ports[DRV_CONSOLE_PORTS];
	struct drv_pool ctrl_rx;
	struct drv_req ctrl_tx;
	uint64_t timeout; /* of control messages and output, ns; 1 s unless changed */
};

/* 1 port: without MULTIPORT. More: up to as many as the device has. */
int drv_console_open(struct drv_console *c, struct drv_dev *dev, unsigned ports);
/* Handles what the device says about ports. */
int drv_console_poll(struct drv_console *c);
/* Writes all; returns when the device has taken it. DRV_GONE: there is no such port. */
int drv_console_write(struct drv_console *c, unsigned port, const void *buf, uint32_t len);
/* Reads what there is, 1 to `size` bytes, waiting for it until `until`. */
int drv_console_read(struct drv_console *c, unsigned port, void *buf, uint32_t size, uint32_t *len,
	uint64_t until);
/* Tells the device that the port is in use here, or no more. With MULTIPORT. */
int drv_console_port_open(struct drv_console *c, unsigned port, bool open);
/* Size of a console port. */
int drv_console_size(struct drv_console *c, unsigned port, uint16_t *cols, uint16_t *rows);
/* One character, in any state of the device, without queues. */
int drv_console_emergency(struct drv_dev *dev, char ch);
