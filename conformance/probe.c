/* SPDX-License-Identifier: BSD-3-Clause */
/* For each class a request that is always answered: what generic cases use. */
#include "conformance/cf.h"
#include "drivers/can.h"
#include "drivers/i2c.h"

/* VIRTIO_BLK_T_IN of sector 0 (5.2.6). */
static const uint8_t blk[16];
/* A header without offloads and a frame of 60 bytes with the ethertype for experiments (5.1.9). */
static const uint8_t net[12 + 60] = { [12] = 0x02, 0xa5, [18] = 0x02, 0x5a, [24] = 0x88, 0xb5 };
/* EV_LED, LED_NUML, off (5.8.6). */
static const uint8_t input[8] = { 0x11 };
static const uint8_t console[1] = { '.' };
/* VIRTIO_RTC_REQ_CFG (5.23.6.4). */
static const uint8_t rtc[8] = { [1] = 0x10 };
/* VIRTIO_GPIO_MSG_GET_DIRECTION of line 0 (5.18.6.2). */
static const uint8_t gpio[8] = { 2 };
/* PROTOCOL_VERSION of SCMI's base protocol (DEN0056E, 4.1.2 and 4.2.2.1). */
static const uint8_t scmi[4] = { [1] = 0x40 };
/* A VIRTIO_VSOCK_OP_RST for a connection that is not there (5.10.6). */
static const uint8_t vsock[44] = { [8] = 2, [28] = 1, [30] = 3 };

/* VIRTIO_CAN_SET_CTRL_MODE_STOP (5.20.5.1): of a controller that is stopped, too. */
static const uint8_t can[2] = { 0x02, 0x02 };

/* A write of no bytes to an I2C address that nothing has (5.16.6.1). */
static const uint8_t i2c[8] = { 0xfc };
/* A head of an SPI transfer with words of no bits (5.21.6.1). */
static const uint8_t spi[32];

static const struct cf_probe probes[] = {
	{ .device = 1, .queue = 1, .out = net, .out_len = sizeof(net) },
	{ .device = 2,
		.out = blk,
		.out_len = sizeof(blk),
		.in_len = 513,
		.used = 513,
		.used_min = 513 },
	{ .device = 3, .queue = 1, .out = console, .out_len = sizeof(console) },
	{ .device = 4, .in_len = 16, .used = 16, .used_min = 1 },
	{ .device = 17,
		.out = rtc,
		.out_len = sizeof(rtc),
		.in_len = 16,
		.used = 16,
		.used_min = 16 },
	{ .device = 18, .queue = 1, .out = input, .out_len = sizeof(input) },
	{ .device = 36,
		.queue = 2,
		.out = can,
		.out_len = sizeof(can),
		.in_len = 1,
		.used = 1,
		.used_min = 1,
		.features = 1u << VIRTIO_CAN_F_CAN_CLASSIC },
	{ .device = 32,
		.out = scmi,
		.out_len = sizeof(scmi),
		.in_len = 12,
		.used = 12,
		.used_min = 12 },
	{ .device = 34,
		.out = i2c,
		.out_len = sizeof(i2c),
		.in_len = 1,
		.used = 1,
		.used_min = 1,
		.features = 1u << VIRTIO_I2C_F_ZERO_LENGTH_REQUEST },
	{ .device = 45, .out = spi, .out_len = sizeof(spi), .in_len = 1, .used = 1, .used_min = 1 },
	{ .device = 19, .queue = 1, .out = vsock, .out_len = sizeof(vsock) },
	{ .device = 41,
		.out = gpio,
		.out_len = sizeof(gpio),
		.in_len = 2,
		.used = 2,
		.used_min = 2 },
};

const struct cf_probe *cf_probe(const struct cf *c)
{
	for (unsigned i = 0; i < sizeof(probes) / sizeof(*probes); i++)
		if (probes[i].device == cf_dev(c)->id)
			return &probes[i];
	return NULL;
}
