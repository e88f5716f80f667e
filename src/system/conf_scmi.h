/* SPDX-License-Identifier: BSD-3-Clause */
/* What a VM finds behind its SCMI device, as the system file says it: for its device tree. */
#pragma once

#include "devices/scmi.h"
#include "system/config.h"

/* Of one device, of class vdev_scmi. -EINVAL or -ENOMEM with a reason. */
int conf_scmi_summarize(const struct conf *conf, const struct conf_device *d,
	struct scmi_summary *s, struct err *e);
/* The VM's SCMI device, or NULL. */
const struct conf_device *conf_scmi_device(const struct conf_vm *vm);
