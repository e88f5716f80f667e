/* SPDX-License-Identifier: BSD-3-Clause */
/* What the cases of the console device (VIRTIO 1.4, 5.3) share. */
#pragma once

#include "conformance/cases/cases.h"
#include "drivers/console.h"

/* Offsets in the configuration space (5.3.4). */
enum {
	CON_CFG_COLS = 0,
	CON_CFG_ROWS = 2,
	CON_CFG_MAX_NR_PORTS = 4,
	CON_CFG_EMERG_WR = 8,
};

/* Queues (5.3.2). */
enum { CON_RX, CON_TX, CON_CONTROL_RX, CON_CONTROL_TX, CON_PORT1_RX, CON_PORT1_TX };

/* The two queues of a port, and buffers for synchronizing with who echoes. */
struct con {
	struct cf *c;
	struct drv_queue *rx, *tx;
	uint8_t *marker, *input;
};

/* Brings the device up with port 0 only, without MULTIPORT. */
bool con_up(struct con *k, struct cf *c, uint64_t want);
/* Buffers of `k`, and port 0's queues of a device that is up. */
bool con_use(struct con *k, struct cf *c);
/* Sends `len` bytes from cf_buf() in one buffer; nothing may be written to it. */
bool con_send(struct con *k, const void *p, uint32_t len);
/* Receives exactly `len` bytes into cf_buf(), in buffers of at most `most` bytes. Checks that none
 * is touched behind its used length. */
bool con_receive(struct con *k, uint8_t *buf, uint32_t len, uint32_t most);
/* Sends a pattern of `len` bytes and receives it again. `buf` has room for twice that. */
bool con_echoes(struct con *k, uint8_t *buf, uint32_t len, uint32_t seed);
/* Reads away whatever is still on its way from who echoes. */
bool con_sync(struct con *k);
/* Writes a 32-bit field as a driver does. */
bool con_config_write(struct cf *c, uint32_t offset, uint32_t value, unsigned len);
