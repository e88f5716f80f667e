/* SPDX-License-Identifier: BSD-3-Clause */
/* What the owner of a switch needs of net devices besides the registration (devices.h). */
#pragma once

#include "host/netport.h"
#include "host/switch.h"
#include "virtio/device.h"

/* Makes `end` the carrier of this net device, in place of a key of its configuration. Between
 * vdev_new() and vdev_init(); `end` outlives the device. */
void net_attach(struct vdev *dev, struct netport *end);
/* The keys that are about the switch port. Valid as long as the device. */
const struct switch_port_config *net_port_config(const struct vdev *dev);
