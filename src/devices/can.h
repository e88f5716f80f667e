/* SPDX-License-Identifier: BSD-3-Clause */
/* What the owner of a CAN bus needs of can devices besides the registration (devices.h). */
#pragma once

#include "host/canbus.h"
#include "virtio/device.h"

/* Makes this port of a bus the device's controller, in place of a bus of its own. Between
 * vdev_new() and vdev_init(); the port outlives the device. */
void can_attach(struct vdev *dev, struct canport *port);
/* The keys that are about the port. Valid as long as the device. */
const struct canport_config *can_port_config(const struct vdev *dev);
/* Its port, after vdev_init(). */
struct canport *can_port(const struct vdev *dev);
