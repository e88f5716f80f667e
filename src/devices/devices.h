/* SPDX-License-Identifier: BSD-3-Clause */
/* The registrations of all device types; each is defined in the file of its name. */
#pragma once

#include "virtio/device.h"

extern const struct vdev_class vdev_blk;
extern const struct vdev_class vdev_can;
extern const struct vdev_class vdev_console;
extern const struct vdev_class vdev_gpio;
extern const struct vdev_class vdev_i2c;
extern const struct vdev_class vdev_input;
extern const struct vdev_class vdev_net;
extern const struct vdev_class vdev_rng;
extern const struct vdev_class vdev_rtc;
extern const struct vdev_class vdev_scmi;
extern const struct vdev_class vdev_spi;
extern const struct vdev_class vdev_vsock;
