/* SPDX-License-Identifier: BSD-3-Clause */
/* What the owner of a serial link needs of console devices besides the registration (devices.h). */
#pragma once

#include "host/chardev.h"
#include "virtio/device.h"

/* Makes `carrier` the host side of port 0, in place of keys. Between vdev_new() and vdev_init();
 * `carrier` outlives the device. */
void console_attach(struct vdev *dev, const struct chardev_carrier *carrier);
/* The stream of port 0, for the carrier's calls; after vdev_init(). */
struct chardev *console_stream(struct vdev *dev);
