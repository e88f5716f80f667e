/* SPDX-License-Identifier: BSD-3-Clause */
#include "lines.h"

int gpio_ask(struct vhud *d, uint16_t type, uint16_t gpio, uint32_t value)
{
	struct {
		uint16_t type, gpio;
		uint32_t value;
	} req = { type, gpio, value };
	uint8_t resp[2] = { 0xa5, 0xa5 };
	ssize_t n = vhud_do(d, REQUESTQ, &req, sizeof(req), resp, sizeof(resp));

	return n == 2 ? resp[0] | resp[1] << 8 : -1;
}

int gpio_level(struct vhud *d, uint16_t gpio)
{
	int resp = gpio_ask(d, GET_VALUE, gpio, 0);

	return resp & 0xff ? -1 : resp >> 8;
}
