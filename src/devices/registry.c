/* SPDX-License-Identifier: BSD-3-Clause */
/* The one list of device types. A new device adds its line here and its file to meson.build. */
#include <string.h>

#include "devices/devices.h"

const struct vdev_class *const vdev_classes[] = {
	&vdev_blk,
	&vdev_can,
	&vdev_console,
	&vdev_gpio,
	&vdev_i2c,
	&vdev_input,
	&vdev_net,
	&vdev_rng,
	&vdev_rtc,
	&vdev_scmi,
	&vdev_spi,
	&vdev_vsock,
	NULL,
};

const struct vdev_class *vdev_class_find(const char *name)
{
	for (unsigned i = 0; vdev_classes[i]; i++)
		if (!strcmp(vdev_classes[i]->name, name))
			return vdev_classes[i];
	return NULL;
}
