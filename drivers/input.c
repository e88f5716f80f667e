/* SPDX-License-Identifier: BSD-3-Clause */
/* Input device. See input.h. */
#include "input.h"

/* Offsets in the configuration (5.8.4). */
enum {
	SELECT = 0,
	SUBSEL = 1,
	SIZE = 2,
	DATA = 8,
};

_Static_assert(sizeof(struct drv_input_event) == 8, "struct virtio_input_event");

int drv_input_open(struct drv_input *in, struct drv_dev *dev)
{
	int r;

	if (dev->id != DRV_ID_INPUT)
		return DRV_INVALID;
	*in = (struct drv_input){ .dev = dev };
	r = drv_begin(dev, DRV_COMMON_FEATURES, 0);
	if (!r)
		r = drv_pool_open(
			&in->events, dev, 0, DRV_INPUT_BUFFERS, 1, sizeof(struct drv_input_event));
	if (!r)
		r = drv_req_queue(&in->status, dev, 1, sizeof(struct drv_input_event));
	if (!r)
		r = drv_run(dev);
	return r ? r : drv_pool_fill(&in->events);
}

int drv_input_read(struct drv_input *in, struct drv_input_event *event, uint64_t until)
{
	uint8_t *buf;
	uint32_t len;
	int r = drv_pool_take(&in->events, &buf, &len, until);

	if (r)
		return r;
	__builtin_memcpy(event, buf, sizeof(*event));
	r = drv_pool_offer(&in->events, buf, 0, sizeof(*event));
	return !r && len != sizeof(*event) ? DRV_BROKEN : r;
}

int drv_input_send(struct drv_input *in, const struct drv_input_event *event, uint64_t until)
{
	return drv_req_do(&in->status, event, sizeof(*event), NULL, 0, NULL, until);
}

int drv_input_config(struct drv_input *in, uint8_t select, uint8_t subsel, void *data, uint32_t len,
	uint32_t *size)
{
	struct drv_dev *dev = in->dev;
	uint8_t n = 0;
	int r = dev->ops->config_write(dev, SELECT, &select, 1);

	*size = 0;
	if (!r)
		r = dev->ops->config_write(dev, SUBSEL, &subsel, 1);
	if (!r)
		r = drv_config(dev, SIZE, &n, 1);
	if (!r && n > DRV_INPUT_DATA)
		r = DRV_BROKEN;
	if (!r && n && len)
		r = drv_config(dev, DATA, data, len < n ? len : n);
	if (!r)
		*size = n;
	return r;
}

int drv_input_has(struct drv_input *in, uint16_t type, uint16_t code, bool *has)
{
	uint8_t map[DRV_INPUT_DATA];
	uint32_t size;
	int r;

	*has = false;
	if (type > 0xff)
		return DRV_INVALID;
	r = drv_input_config(in, VIRTIO_INPUT_CFG_EV_BITS, (uint8_t)type, map, sizeof(map), &size);
	if (!r && code / 8u < size)
		*has = map[code / 8] >> (code % 8) & 1;
	return r;
}

int drv_input_abs(struct drv_input *in, uint16_t code, struct drv_input_abs *abs)
{
	uint32_t size;
	int r;

	if (code > 0xff)
		return DRV_INVALID;
	r = drv_input_config(
		in, VIRTIO_INPUT_CFG_ABS_INFO, (uint8_t)code, abs, sizeof(*abs), &size);
	if (r)
		return r;
	return !size ? DRV_UNSUPPORTED : size < sizeof(*abs) ? DRV_BROKEN : 0;
}
