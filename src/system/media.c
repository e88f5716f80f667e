/* SPDX-License-Identifier: BSD-3-Clause */
/* The one list of media. A new one adds its row here and its command to the cli. */
#include "system/media.h"

#include <string.h>

#include "devices/scmi.h"
#include "host/canbus.h"
#include "host/link.h"
#include "host/switch.h"
#include "host/wires.h"

const struct medium_class medium_classes[] = {
	{ "can-buses", "can", "bus", "can-bus", canbus_opts, sizeof(struct canbus_config) },
	{ "switches", "net", "switch", "switch", switch_opts, sizeof(struct switch_config) },
	{ "scmi-platforms", "scmi", "platform", "scmi-platform", scmi_platform_opts,
		sizeof(struct scmi_config) },
	{ "wires", "gpio", "wires", "wires", wires_opts, sizeof(struct wires_config) },
	{ "links", "console", "link", "link", link_opts, sizeof(struct link_config) },
	{ .section = NULL },
};

const struct medium_class *medium_class_for(const char *device)
{
	for (const struct medium_class *c = medium_classes; c->section; c++)
		if (!strcmp(c->device, device))
			return c;
	return NULL;
}
