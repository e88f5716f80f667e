/* SPDX-License-Identifier: BSD-3-Clause */
/* What a set of wires that several guests share needs of the GPIO device. */
#pragma once

#include "host/wires.h"
#include "virtio/device.h"

/* Reads an item of the key `lines` as the device will, without opening anything. `net` gets the
 * name of the net that it is wired to, or "". -EINVAL with a reason. */
int gpio_check_item(const char *text, char net[WIRES_NAME_MAX + 1], struct err *e);

/* Plugs a GPIO device into wires, before vdev_init(): its lines with "wire:NET" are ends of their
 * nets. `name` is for events ("ivi/gpio0"). Both outlive the device. */
void gpio_attach(struct vdev *dev, struct wires *wires, const char *name);
