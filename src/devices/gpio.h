/* SPDX-License-Identifier: BSD-3-Clause */
/* What a set of wires that several guests share needs of the GPIO device. */
#pragma once

#include "host/wires.h"
#include "virtio/device.h"

/* Plugs a GPIO device into wires, before vdev_init(): its lines with "wire:NET" are ends of their
 * nets. `name` is for events ("ivi/gpio0"). Both outlive the device. */
void gpio_attach(struct vdev *dev, struct wires *wires, const char *name);
